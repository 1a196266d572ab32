/* table.c - a table for people: columns aligned by what they hold */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

void ds_table_init(ds_table *t, const char *const *columns)
{
	memset(t, 0, sizeof *t);
	t->columns = columns;
	while (columns[t->n_col])
		t->n_col++;
}

/* Cells lie behind one another, each ended by a zero byte; foreign text is quoted here. */
void ds_table_cell(ds_table *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ds_text_quote(&t->cells, text, strlen(text));
	ds_buf_add(&t->cells, "", 1);
	t->n_cell++;
}

/* Columns on the terminal: characters, not bytes. */
static int width(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *heading(const ds_table *t, int i)
{
	return t->columns[i] + (t->columns[i][0] == '>');
}

static void put_cell(ds_buf *line, const char *s, int w, bool right, bool last)
{
	int fill = w - width(s);
	if (right)
		ds_buf_printf(line, "%*s", fill, "");
	ds_buf_str(line, s);
	if (!right && !last)
		ds_buf_printf(line, "%*s", fill, "");
	ds_buf_str(line, last ? "\n" : "  ");
}

ds_status ds_table_write(ds_table *t, ds_sink *s, ds_err *err)
{
	ds_buf line = { 0 };
	ds_status rc = DS_OK;
	int *w = ds_calloc((size_t)t->n_col, sizeof *w);
	if (!w || t->cells.oom)
		DS_GOTO(ds_fail_nomem(err, t->cells.len));
	for (int i = 0; i < t->n_col; i++)
		w[i] = width(heading(t, i));
	const char *cell = t->cells.data;
	for (int i = 0; i < t->n_cell; i++, cell += strlen(cell) + 1)
		w[i % t->n_col] = DS_MAX(w[i % t->n_col], width(cell));
	if (t->bold)
		ds_buf_str(&line, "\033[1m");
	for (int i = 0; i < t->n_col; i++)
		put_cell(&line, heading(t, i), w[i], t->columns[i][0] == '>', i == t->n_col - 1);
	if (t->bold)
		ds_buf_str(&line, "\033[0m");
	cell = t->cells.data;
	for (int i = 0; i < t->n_cell; i++, cell += strlen(cell) + 1)
		put_cell(&line, cell, w[i % t->n_col], t->columns[i % t->n_col][0] == '>', i % t->n_col == t->n_col - 1);
	if (line.oom)
		DS_GOTO(ds_fail_nomem(err, line.len));
	rc = ds_sink_write(s, line.data, line.len, err);
out:
	ds_free(w);
	ds_buf_done(&line);
	ds_buf_done(&t->cells);
	t->n_cell = 0;
	return rc;
}
