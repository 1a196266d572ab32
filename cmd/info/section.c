/* section.c - ds-info: rows of a section, as a table or as TSV and JSON Lines */
#include <string.h>

#include "info.h"

ds_status info_section_end(section *o, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_rows_close(o->rows);
	o->rows = NULL;
	if (o->plain && o->table.columns) {
		rc = ds_table_write(&o->table, o->sink, err);
		o->table.columns = NULL;
	}
	return rc;
}

ds_status info_section_begin(section *o, const char *const *columns, const char *const *keys, ds_err *err)
{
	DS_TRY(info_section_end(o, err));
	o->plain = !o->s->c.json && !o->s->c.tsv;
	if (!o->plain)
		return ds_rows_open(&o->rows, o->sink, o->s->c.json, keys, err);
	if (o->n++)
		DS_TRY(ds_sink_write(o->sink, "\n", 1, err));
	ds_table_init(&o->table, columns);
	o->table.bold = ds_color(&o->s->c, 1);
	return DS_OK;
}

void info_cell_str(section *o, const char *s, size_t n)
{
	if (o->plain)
		ds_table_cell(&o->table, "%.*s", (int)n, s);
	else
		ds_rows_str(o->rows, s, n);
}

void info_cell_text(section *o, const char *s)
{
	info_cell_str(o, s, strlen(s));
}

void info_cell_i64(section *o, int64_t v)
{
	if (o->plain)
		ds_table_cell(&o->table, "%lld", (long long)v);
	else
		ds_rows_i64(o->rows, v);
}

void info_cell_bits(section *o, double bytes, double elements)
{
	if (elements > 0 && o->plain)
		ds_table_cell(&o->table, "%.2f", 8 * bytes / elements);
	else if (elements > 0)
		ds_rows_f64(o->rows, 8 * bytes / elements);
	else if (o->plain)
		ds_table_cell(&o->table, "-");
	else
		ds_rows_null(o->rows);
}

ds_status info_row_end(section *o, ds_err *err)
{
	return o->plain ? DS_OK : ds_rows_end(o->rows, err);
}

void info_cell_buf(section *o, ds_buf *b)
{
	info_cell_str(o, b->data ? b->data : "", b->len);
	ds_buf_reset(b);
}
