/* section.c - rows of a report: TSV, JSON Lines, or a table with bars for people */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

bool locale_utf8(void)
{
	static const char *const name[] = { "LC_ALL", "LC_CTYPE", "LANG" }, *const word[] = { "UTF-8", "utf-8", "UTF8", "utf8" };
	const char *v = NULL;
	for (size_t i = 0; i < DS_COUNTOF(name) && !(v && *v); i++)
		v = getenv(name[i]);
	for (size_t i = 0; v && i < DS_COUNTOF(word); i++)
		if (strstr(v, word[i]))
			return true;
	return false;
}

static bool is_bar(const char *column) { return !strcmp(column, "|"); }

ds_status section_begin(section *o, job *j, const char *name, const char *const *columns, ds_err *err)
{
	int n = 0;
	*o = (section){ .j = j, .name = name };
	if (j->sections++)              /* an empty line between tables: they have columns of their own */
		DS_TRY(j->s->c.json ? DS_OK : ds_sink_write(j->out, "\n", 1, err));
	if (j->pretty) {
		for (int i = 0; columns[i] && n < SECTION_COLUMNS; i++)
			if (columns[i][0] != '!')
				o->key[n++] = is_bar(columns[i]) ? "" : columns[i];
		ds_table_init(&o->table, o->key);
		o->table.bold = ds_color(&j->s->c, 1);
		return DS_OK;
	}
	o->key[n++] = "section";
	for (int i = 0; columns[i] && n < SECTION_COLUMNS; i++)
		if (!is_bar(columns[i]))
			o->key[n++] = columns[i] + (columns[i][0] == '>' || columns[i][0] == '!');
	return ds_rows_open(&o->rows, j->out, j->s->c.json, o->key, err);
}

static void begin_row(section *o)
{
	if (o->rows && !o->at)
		ds_rows_str(o->rows, o->name, strlen(o->name));
	o->at++;
}

void cell_text(section *o, const char *s)
{
	begin_row(o);
	if (o->rows)
		ds_rows_str(o->rows, s, strlen(s));
	else
		ds_table_cell(&o->table, "%s", s);
}

void cell_i64(section *o, int64_t v)
{
	begin_row(o);
	if (o->rows)
		ds_rows_i64(o->rows, v);
	else
		ds_table_cell(&o->table, "%lld", (long long)v);
}

void cell_none(section *o)
{
	begin_row(o);
	if (o->rows)
		ds_rows_null(o->rows);
	else
		ds_table_cell(&o->table, "-");
}

/* A number with three digits and a prefix by powers of 1000. */
static char *scaled(char buf[32], double v, double base, const char *const *unit, int n)
{
	double a = fabs(v);
	int k = 0;
	for (a /= base; k + 1 < n && a >= 999.5; k++)
		a /= 1000;
	snprintf(buf, 32, "%s%.*f %s", v < 0 ? "-" : "", a < 9.995 ? 2 : a < 99.95 ? 1 : 0, a, unit[k]);
	return buf;
}

char *num_text(char buf[32], double v, char unit)
{
	static const char *const seconds[] = { "ns", "us", "ms", "s" }, *const counts[] = { "", "k", "M", "G", "T" };
	if (!isfinite(v)) {
		snprintf(buf, 32, "%s", isnan(v) ? "-" : "inf");
		return buf;
	}
	switch (unit) {
	case 's':
		return scaled(buf, v, 1e-9, seconds, 4);
	case 'B':
		return ds_fmt_size(buf, v > 0 ? (uint64_t)v : 0);
	case '%':
		snprintf(buf, 32, "%.1f %%", 100 * v);
		return buf;
	case 'G':
		snprintf(buf, 32, "%.*f", v < 9.995e9 ? 2 : v < 99.95e9 ? 1 : 0, v * 1e-9);
		return buf;
	case 'n':
		if (fabs(v) < 1000)
			break;
		return scaled(buf, v, 1, counts, 5);
	}
	snprintf(buf, 32, "%.6g", v);
	return buf;
}

void cell_num(section *o, double v, char unit)
{
	char text[32];
	begin_row(o);
	if (!o->rows)
		ds_table_cell(&o->table, "%s", num_text(text, v, unit));
	else if (isnan(v))
		ds_rows_null(o->rows);
	else
		ds_rows_f64(o->rows, unit == 'G' ? v * 1e-9 : v);
}

void cell_bar(section *o, double share)
{
	enum { WIDTH = 20 };
	static const char *const eighth[] = { "", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d", "\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89" };
	char text[WIDTH * 3 + 4], *p = text;
	if (o->rows)
		return;
	int n = (int)lround(fmin(fmax(share, 0), 1) * WIDTH * 8);
	for (int i = 0; i < n / 8; i++)
		p += snprintf(p, 4, "%s", o->j->ascii ? "#" : "\xe2\x96\x88");
	if (n % 8)
		snprintf(p, 4, "%s", o->j->ascii ? n % 8 > 3 ? "#" : "" : eighth[n % 8]);
	else
		*p = 0;
	begin_row(o);
	ds_table_cell(&o->table, "%s", text);
}

void cell_only(section *o, const char *s)
{
	if (o->rows)
		cell_text(o, s);
}

ds_status section_row(section *o, ds_err *err)
{
	o->at = 0;
	return o->rows ? ds_rows_end(o->rows, err) : DS_OK;
}

ds_status section_pair(section *o, const char *key, const char *value, ds_err *err)
{
	cell_text(o, key);
	cell_text(o, value);
	return section_row(o, err);
}

ds_status section_end(section *o, ds_err *err)
{
	ds_rows_close(o->rows);
	o->rows = NULL;
	return o->j->pretty ? ds_table_write(&o->table, o->j->out, err) : DS_OK;
}

void section_drop(section *o)
{
	ds_rows_close(o->rows);
	o->rows = NULL;
	ds_buf_done(&o->table.cells);
}
