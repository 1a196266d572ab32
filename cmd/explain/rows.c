/* rows.c - one row for each map: tsv, json, --report */
#include "job.h"

#include <math.h>
#include <string.h>

const char *const ex_columns[] = { "input", "class", "label", "probability", "score", "method", "layer", "head", "gap", "runs", "x", "y", NULL };

int64_t ex_class(const job *j, const ds_map *m)
{
	ds_classes c = ds_explainer_classes(j->x);
	return c.n ? m->target / c.stride % c.n : m->target;
}

const char *ex_label(const job *j, int64_t class_)
{
	return class_ >= 0 && class_ < j->names.n ? j->names.name[class_] : NULL;
}

static int64_t largest(const float *v, int64_t n)
{
	int64_t best = -1;
	for (int64_t i = 0; i < n; i++)
		if (isfinite(v[i]) && (best < 0 || v[i] > v[best]))
			best = i;
	return best;
}

void ex_top_place(const job *j, const ex_result *r, const ds_map *m, int64_t *x, int64_t *y)
{
	ds_plane p;
	*x = *y = -1;
	if (m->kind == DS_MAP_TOKENS) {
		*x = largest(m->t.data, ds_tensor_count(&m->t));
	} else if ((m->kind == DS_MAP_PLANE || m->kind == DS_MAP_INPUT) && ds_explain_plane(j->x, &r->it.in[m->input], &p)) {
		float *v = ds_malloc((size_t)(p.h * p.w + 1) * sizeof *v);
		if (v && ds_map_places(m, &p, v, NULL) == DS_OK) {
			int64_t best = largest(v, p.h * p.w);
			*x = best < 0 ? -1 : best % p.w;
			*y = best < 0 ? -1 : best / p.w;
		}
		ds_free(v);
	}
}

static void put_f64(ds_rows *rows, double v)
{
	if (isfinite(v))
		ds_rows_f64(rows, v);
	else
		ds_rows_null(rows);
}

static void put_i64(ds_rows *rows, int64_t v)
{
	if (v >= 0)
		ds_rows_i64(rows, v);
	else
		ds_rows_null(rows);
}

static void put_str(ds_rows *rows, const char *v)
{
	if (v)
		ds_rows_str(rows, v, strlen(v));
	else
		ds_rows_null(rows);
}

void ex_put_cells(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m)
{
	int64_t x, y, c = ex_class(j, m);
	ex_top_place(j, r, m, &x, &y);
	ds_rows_str(rows, r->item->name, r->item->name_len);
	ds_rows_i64(rows, c);
	put_str(rows, ex_label(j, c));
	put_f64(rows, m->probability);
	put_f64(rows, m->score);
	put_str(rows, j->method->name);
	put_str(rows, m->layer);
	put_i64(rows, m->head);
	put_f64(rows, m->gap);
	put_i64(rows, m->runs);
	put_i64(rows, x);
	put_i64(rows, y);
}

ds_status ex_put_row(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m, ds_err *err)
{
	ex_put_cells(j, rows, r, m);
	return ds_rows_end(rows, err);
}

static bool chosen(const job *j)
{
	return j->s->c.tsv || j->s->c.json;
}

static ds_status start(job *j, ds_err *err)
{
	ds_rows *rows;
	DS_TRY(ds_rows_open(&rows, j->out, j->s->c.json, ex_columns, err));
	j->state = rows;
	return DS_OK;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	for (size_t i = 0; i < r->maps.n; i++)
		DS_TRY(ex_put_row(j, j->state, r, &r->maps.m[i], err));
	return DS_OK;
}

static void drop(job *j)
{
	ds_rows_close(j->state);
	j->state = NULL;
}

const ex_output ex_output_rows = { "rows", false, chosen, start, item, NULL, drop };
