/* help.c - --help and --version, made from the option table */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define WIDTH 79        /* columns that a line of help may have */
#define COLUMN 26       /* where the explanations begin */

void ds_cli_usage(ds_buf *b)
{
	ds_buf_printf(b, "Usage: %s %s\n", ds_cli.f->name, ds_cli.f->usage);
}

/* Words of `text` from column `at` on, wrapped at WIDTH and indented by COLUMN.  Text of the table is ASCII. */
static void wrap(ds_buf *b, int at, const char *text)
{
	while (*text) {
		int n = (int)strcspn(text, " ");
		if (at > COLUMN && at + 1 + n > WIDTH) {
			ds_buf_printf(b, "\n%*s", COLUMN, "");
			at = COLUMN;
		} else if (at > COLUMN) {
			ds_buf_str(b, " ");
			at++;
		}
		ds_buf_add(b, text, (size_t)n);
		at += n;
		text += n;
		text += strspn(text, " ");
	}
	ds_buf_str(b, "\n");
}

/* "help text (one of: a, b; from 0 to 9; default: 3)" */
static void explain(const ds_opt *o, ds_buf *b)
{
	ds_buf more = { 0 };
	if (o->type == DS_T_CHOICE && o->metavar)
		for (int i = 0; o->choices[i]; i++)
			ds_buf_printf(&more, "%s%s", i ? ", " : "one of: ", o->choices[i]);
	if (ds_cli_takes_value(o) && (o->min != 0 || o->max != 0)) {
		ds_buf_str(&more, more.len ? "; " : "");
		ds_cli_range(o, &more);
	}
	if (o->def)
		ds_buf_printf(&more, "%sdefault: %s", more.len ? "; " : "", o->def);
	ds_buf_str(b, o->help);
	if (more.len)
		ds_buf_printf(b, " (%s)", more.data);
	ds_buf_done(&more);
}

static void option_line(const ds_opt *o, ds_buf *b)
{
	ds_buf head = { 0 }, text = { 0 };
	if (o->letter)
		ds_buf_printf(&head, "  -%c, --%s", o->letter, o->name);
	else
		ds_buf_printf(&head, "      --%s", o->name);
	if (ds_cli_takes_value(o)) {
		ds_buf_str(&head, ds_cli_optional(o) ? "[=" : "=");
		ds_buf value = { 0 };
		ds_cli_metavar(o, &value);
		if (ds_cli_optional(o) && value.data)
			ds_buf_add(&head, value.data + 1, value.len - 1);
		else
			ds_buf_str(&head, value.data ? value.data : "");
		ds_buf_done(&value);
	}
	explain(o, &text);
	ds_buf_str(b, head.data ? head.data : "");
	if ((int)head.len + 1 > COLUMN)
		ds_buf_printf(b, "\n%*s", COLUMN, "");
	else
		ds_buf_printf(b, "%*s", COLUMN - (int)head.len, "");
	wrap(b, COLUMN, text.data ? text.data : "");
	ds_buf_done(&head);
	ds_buf_done(&text);
}

void ds_cli_help(ds_buf *b)
{
	const ds_filter *f = ds_cli.f;
	ds_cli_usage(b);
	ds_buf_printf(b, "%s - %s\n\nExamples:\n", f->name, f->summary);
	for (const char *s = f->examples; *s;) {
		int n = (int)strcspn(s, "\n");
		ds_buf_printf(b, "  %.*s\n", n, s);
		s += n + (s[n] == '\n');
	}
	if (!ds_cli.n_row || ds_cli.row[0]->type != DS_T_GROUP)
		ds_buf_str(b, "\nOptions:\n");
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type == DS_T_GROUP)
			ds_buf_printf(b, "\n%s:\n", o->help);
		else if (!(o->flags & DS_OPT_HIDDEN))
			option_line(o, b);
	}
	ds_buf_printf(b, "\nExit status: 0 done, 1 run-time failure, 2 usage, 3 input not acceptable,\n"
		"4 not supported, 5 some items failed, 6 a check that was asked for failed.\n"
		"Manual: %s(1).  Where to report bugs: ds(7), section BUGS.\n", f->name);
}
