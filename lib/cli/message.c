/* message.c - one line on standard error per problem: "ds-run: photos/a.png: truncated PNG" */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

bool ds_color(const ds_common *c, int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	if (!c || c->color == 2)
		return false;
	if (c->color == 1)
		return true;
	return (!no || !*no) && term && strcmp(term, "dumb") != 0 && isatty(fd);
}

/* The whole line in one write, so that lines of several processes do not mix. */
static void put(const char *where, int64_t offset, const char *text)
{
	ds_buf b = { 0 };
	bool bold = ds_color(ds_cli.c, 2);
	ds_buf_printf(&b, bold ? "\033[1m%s:\033[0m " : "%s: ", ds_cli.name ? ds_cli.name : "ds");
	if (where && *where) {
		ds_text_quote(&b, where, strlen(where));
		ds_buf_str(&b, offset >= 0 ? ":" : ": ");
	}
	if (offset >= 0)
		ds_buf_printf(&b, "@%lld: ", (long long)offset);
	ds_text_quote(&b, text, strlen(text));
	ds_buf_str(&b, "\n");
	ds_cli_wipe();
	ds_cli_write(2, b.data ? b.data : "", b.len);
	ds_buf_done(&b);
}

/* Texts hold bytes of files and command lines as they are: this is the one place that quotes them. */
void ds_complain(const ds_err *err)
{
	put(err->where, err->offset, err->text);
}

static void say(const char *fmt, va_list ap) DS_PRINTF(1, 0);
static void say(const char *fmt, va_list ap)
{
	char text[1024];
	vsnprintf(text, sizeof text, fmt, ap);
	put(NULL, -1, text);
}

void ds_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!ds_cli.c || !ds_cli.c->quiet)
		say(fmt, ap);
	va_end(ap);
}

void ds_note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (ds_cli.c && ds_cli.c->verbose)
		say(fmt, ap);
	va_end(ap);
}
