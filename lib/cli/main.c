/* main.c - the life of a filter, from guarding its descriptors to its exit code */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* Exit codes by precedence, the strongest first: usage, run time, unsupported, input, some items, check. */
static const int strength[] = { 2, 1, 4, 3, 5, 6 };

static int stronger(int a, int b)
{
	for (size_t i = 0; i < DS_COUNTOF(strength); i++)
		if (a == strength[i] || b == strength[i])
			return strength[i];
	return 0;
}

void ds_items_failed(uint64_t n, uint64_t total)
{
	ds_cli.failed += n;
	ds_cli.total += total;
}

static int items_code(void)
{
	return ds_cli.failed == 0 ? 0 : ds_cli.failed >= ds_cli.total ? 3 : 5;
}

/* Usage faults point to --help; where there was nothing to read the usage lines stand below. */
static int complain_usage(ds_err *err)
{
	ds_buf b = { 0 };
	if (ds_cli.usage_hint) {
		ds_complain(err);
		ds_cli_usage(&b);
		ds_buf_printf(&b, "Try '%s --help'.\n", ds_cli.name);
		ds_cli_write(2, b.data ? b.data : "", b.len);
		ds_buf_done(&b);
	} else {
		size_t n = strlen(err->text);
		ds_buf_printf(&b, "; try '%s --help'", ds_cli.name);
		if (b.data && n + b.len < sizeof err->text)
			memcpy(err->text + n, b.data, b.len + 1);
		ds_buf_done(&b);
		ds_complain(err);
	}
	return 2;
}

static int report(ds_status rc, ds_err *err)
{
	if (rc == DS_E_USAGE)
		return complain_usage(err);
	if (rc < 0)
		ds_complain(err);
	return rc < 0 ? ds_exit_code(rc) : 0;
}

ds_status ds_cli_print(const ds_buf *b, ds_err *err)
{
	if (b->oom)
		return ds_fail_nomem(err, b->len);
	return b->len == 0 || ds_cli_write(1, b->data, b->len) ? DS_OK : ds_fail_sys(err, errno, "write error");
}

static ds_status print_docs(int which, ds_err *err)
{
	static void (*const text[])(ds_buf *) = { ds_cli_help, ds_cli_man, ds_cli_bash, ds_cli_zsh, ds_cli_fish };
	ds_buf b = { 0 };
	ds_status rc;
	if (which < (int)DS_COUNTOF(text)) {
		text[which](&b);
		rc = ds_cli_print(&b, err);
	} else {
		bool sound = ds_opts_check(ds_cli.f, &b);
		rc = ds_cli_print(&b, err);
		if (rc == DS_OK && !sound)
			rc = ds_fail(err, DS_E_INTERNAL, "the option table has faults");
	}
	ds_buf_done(&b);
	return rc;
}

/* Everything up to the work itself.  DS_END: there is none (help was printed). */
static ds_status prepare(void *settings, int argc, char **argv, ds_err *err)
{
	const ds_filter *f = ds_cli.f;
	ds_common *c = settings;
	DS_TRY(ds_cli_defaults(settings, err));
	ds_status rc = ds_cli_parse(settings, argc, argv, err);
	if (ds_cli.want_help)
		rc = print_docs(0, err);
	else if (rc == DS_OK && ds_cli.want_version) {
		ds_buf b = { 0 };
		ds_cli_version(&b);
		rc = ds_cli_print(&b, err);
		ds_buf_done(&b);
	} else if (rc == DS_OK && c->docs >= 0)
		rc = print_docs(c->docs, err);
	else if (rc == DS_OK) {
		DS_TRY(ds_cli_environment(settings, err));
		DS_TRY(ds_cli_combinations(c, err));
		if (f->check)
			DS_TRY(f->check(settings, err));
		c->effective = ds_cli_effective(settings);
		return c->effective ? DS_OK : ds_fail_nomem(err, 0);
	}
	return rc == DS_OK ? DS_END : rc;
}

static void say_settings(const ds_common *c)
{
	for (const char *s = c->effective; c->verbose && *s;) {
		size_t n = strcspn(s, "\n");
		ds_note("%.*s", (int)n, s);
		s += n + (s[n] == '\n');
	}
}

int ds_main(const ds_filter *f, int argc, char **argv)
{
	ds_err err;
	memset(&err, 0, sizeof err);
	ds_cli_guard_fds();
	ds_cli_rows(f);
	ds_cli_signals();
	void *settings = ds_calloc(1, f->settings_size);
	if (!settings)
		return report(ds_fail_nomem(&err, f->settings_size), &err);
	ds_common *c = settings;
	c->filter = f;
	ds_cli.c = c;
	ds_status rc = prepare(settings, argc, argv, &err);
	int code;
	if (rc != DS_OK) {
		code = report(rc, &err);
	} else {
		ds_cli_jobserver(c);
		say_settings(c);
		rc = f->run(settings, &err);
		ds_cli_wipe();
		code = stronger(report(rc, &err), items_code());
		ds_cli_jobserver_done();
	}
	/* some file systems tell of a failed write only now */
	if (close(1) < 0 && errno != EBADF && errno != EINTR)
		code = stronger(code, report(ds_fail_sys(&err, errno, "write error"), &err));
	ds_cli.c = NULL;
	ds_cli_done(settings);
	return code;
}
