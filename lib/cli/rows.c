/* rows.c - rows for machines: TSV with a header line, or JSON Lines with the same keys; one write per row */
#include <math.h>
#include <string.h>

#include "internal.h"

struct ds_rows {
	ds_sink           *sink;
	const char *const *columns;
	int                n_col, at;   /* cells in the row that is being made */
	bool               json;
	ds_buf             line;
};

static ds_status write_line(ds_rows *r, ds_err *err)
{
	if (r->line.oom)
		return ds_fail_nomem(err, r->line.len);
	DS_TRY(ds_sink_write(r->sink, r->line.data, r->line.len, err));
	/* a killed run leaves whole lines only */
	DS_TRY(ds_sink_flush(r->sink, err));
	ds_buf_reset(&r->line);
	return DS_OK;
}

ds_status ds_rows_open(ds_rows **out, ds_sink *sink, bool json, const char *const *columns, ds_err *err)
{
	ds_rows *r = ds_calloc(1, sizeof *r);
	*out = NULL;
	if (!r)
		return ds_fail_nomem(err, sizeof *r);
	r->sink = sink;
	r->columns = columns;
	r->json = json;
	while (columns[r->n_col])
		r->n_col++;
	if (!json) {
		for (int i = 0; i < r->n_col; i++)
			ds_buf_printf(&r->line, "%s%s", i ? "\t" : "", columns[i]);
		ds_buf_str(&r->line, "\n");
		ds_status rc = write_line(r, err);
		if (rc != DS_OK) {
			ds_rows_close(r);
			return rc;
		}
	}
	*out = r;
	return DS_OK;
}

static void begin(ds_rows *r)
{
	if (!r->json) {
		ds_buf_str(&r->line, r->at ? "\t" : "");
	} else {
		const char *key = r->at < r->n_col ? r->columns[r->at] : "";
		ds_buf_str(&r->line, r->at ? "," : "{");
		ds_text_json(&r->line, key, strlen(key));
		ds_buf_str(&r->line, ":");
	}
	r->at++;
}

void ds_rows_str(ds_rows *r, const char *s, size_t n)
{
	begin(r);
	if (r->json)
		ds_text_json(&r->line, s, n);
	else
		ds_text_quote(&r->line, s, n);
}

void ds_rows_i64(ds_rows *r, int64_t v)
{
	begin(r);
	ds_buf_printf(&r->line, "%lld", (long long)v);
}

static void number(ds_rows *r, const char *text, bool finite)
{
	begin(r);
	ds_buf_str(&r->line, finite || !r->json ? text : "null");
}

void ds_rows_f32(ds_rows *r, float v)
{
	char t[32];
	number(r, ds_fmt_f32(t, v), isfinite(v));
}

void ds_rows_f64(ds_rows *r, double v)
{
	char t[32];
	number(r, ds_fmt_f64(t, v), isfinite(v));
}

void ds_rows_null(ds_rows *r)
{
	begin(r);
	ds_buf_str(&r->line, r->json ? "null" : "");
}

ds_status ds_rows_end(ds_rows *r, ds_err *err)
{
	if (r->at != r->n_col)
		return ds_fail(err, DS_E_INTERNAL, "a row of %d cells for %d columns", r->at, r->n_col);
	r->at = 0;
	ds_buf_str(&r->line, r->json ? "}\n" : "\n");
	return write_line(r, err);
}

void ds_rows_close(ds_rows *r)
{
	if (!r)
		return;
	ds_buf_done(&r->line);
	ds_free(r);
}
