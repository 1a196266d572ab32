/* open.c - the input and output of a filter, with the guards of the command line */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static bool is_stream(const char *path)
{
	return !path || strcmp(path, "-") == 0;
}

/* `ds-x < m > m`: the shell has emptied the file already, or we would overwrite what we read. */
static bool same_file(int a, int b)
{
	struct stat s, t;
	return fstat(a, &s) == 0 && fstat(b, &t) == 0 && S_ISREG(s.st_mode) && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

ds_status ds_open_file(ds_source **s, const ds_common *c, const char *path, ds_err *err)
{
	const ds_source_opts o = { .no_map = c->no_mmap };
	const void *p;
	size_t got = 0;
	*s = NULL;
	if (is_stream(path)) {
		if (isatty(0)) {
			ds_cli.usage_hint = true;
			return ds_fail(err, DS_E_USAGE, "nothing to read: standard input is a terminal");
		}
		if (is_stream(c->output) && same_file(0, 1))
			return ds_fail(err, DS_E_INPUT, "standard input and output are the same file; write with -o FILE");
	}
	DS_TRY(ds_source_open(s, path, &o, err));
	ds_status rc = ds_source_peek(*s, 1, &p, &got, err);
	if (rc == DS_END || (rc == DS_OK && got == 0)) {
		rc = ds_fail(err, DS_E_INPUT, "empty input - did the previous command fail?");
		ds_err_in(err, ds_source_name(*s));
	}
	if (rc != DS_OK) {
		ds_source_close(*s);
		*s = NULL;
		return rc;
	}
	if (c->hold)
		kill(getpid(), SIGSTOP);
	return DS_OK;
}

ds_status ds_open_input(ds_source **s, const ds_common *c, ds_err *err)
{
	const char *path = c->model;
	if (!path && !(c->filter->common & DS_C_INPUTS) && c->operand.n > 0)
		path = c->operand.v[0];
	return ds_open_file(s, c, path, err);
}

ds_status ds_open_output(ds_sink **s, const ds_common *c, bool binary, ds_err *err)
{
	*s = NULL;
	if (binary && !c->force && is_stream(c->output) && (c->fake_tty || isatty(1)))
		return ds_fail(err, DS_E_USAGE, "binary data are not written to a terminal; use -o FILE, a pipe, or --force");
	return ds_sink_open(s, c->output, err);
}
