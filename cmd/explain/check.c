/* check.c - cells, summaries and flat maps for --faithful and --against */
#include "check.h"

#include <math.h>
#include <string.h>

#include "explain/drift.h"

ds_status ex_figures_add(ex_figures *f, double v, ds_err *err)
{
	if (!ds_grow((void **)&f->v, f->n, &f->cap, sizeof *f->v))
		return ds_fail_nomem(err, sizeof *f->v);
	f->v[f->n++] = v;
	return DS_OK;
}

void ex_cell_f64(ds_rows *rows, double v)
{
	if (isfinite(v))
		ds_rows_f64(rows, v);
	else
		ds_rows_null(rows);
}

void ex_cell_i64(ds_rows *rows, int64_t v)
{
	if (v >= 0)
		ds_rows_i64(rows, v);
	else
		ds_rows_null(rows);
}

void ex_cell_str(ds_rows *rows, const char *v)
{
	if (v)
		ds_rows_str(rows, v, strlen(v));
	else
		ds_rows_null(rows);
}

void ex_cells_map(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m)
{
	int64_t c = ex_class(j, m);
	ds_rows_str(rows, r->item->name, r->item->name_len);
	ds_rows_i64(rows, c);
	ex_cell_str(rows, ex_label(j, c));
	ex_cell_f64(rows, m->probability);
}

ds_status ex_summary_open(job *j, ds_rows **rows, ds_err *err)
{
	static const char *const columns[] = { "figure", "layer", "value", "low", "high", "count", "total", NULL };
	if (!j->s->c.json)
		DS_TRY(ds_sink_write(j->out, "\n", 1, err));
	return ds_rows_open(rows, j->out, j->s->c.json, columns, err);
}

static ds_status row(ds_rows *rows, const char *figure, const char *layer, const double v[3], int64_t k, int64_t n, ds_err *err)
{
	ex_cell_str(rows, figure);
	ex_cell_str(rows, layer);
	for (int i = 0; i < 3; i++)
		ex_cell_f64(rows, v[i]);
	ex_cell_i64(rows, k);
	ex_cell_i64(rows, n);
	return ds_rows_end(rows, err);
}

ds_status ex_summary_mean(const job *j, ds_rows *rows, const char *figure, const char *layer, const ex_figures *f, double *mean, ds_err *err)
{
	double v[3];
	DS_TRY(ds_mean_interval(f->v, (int64_t)f->n, (uint64_t)j->s->c.seed, &v[0], &v[1], &v[2], err));
	if (mean)
		memcpy(mean, v, sizeof v);
	return row(rows, figure, layer, v, -1, (int64_t)f->n, err);
}

ds_status ex_summary_share(ds_rows *rows, const char *figure, uint64_t k, uint64_t n, ds_err *err)
{
	double v[3] = { n ? (double)k / (double)n : NAN, NAN, NAN };
	ds_wilson(k, n, &v[1], &v[2]);
	return row(rows, figure, NULL, v, (int64_t)k, (int64_t)n, err);
}

ds_status ex_places(const job *j, const ex_result *r, const ds_map *m, float **v, int64_t *h, int64_t *w, ds_err *err)
{
	ds_plane p;
	bool picture = (m->kind == DS_MAP_PLANE || m->kind == DS_MAP_INPUT) && ds_explain_plane(j->x, &r->it.in[m->input], &p);
	*h = picture ? p.h : m->t.rank > 1 ? m->t.dim[0] : 1;
	*w = picture ? p.w : *h ? ds_tensor_count(&m->t) / *h : 0;
	if (!(*v = ds_calloc((size_t)(*h * *w), sizeof **v)))
		return ds_fail_nomem(err, (size_t)(*h * *w) * sizeof **v);
	ds_status rc = DS_OK;
	if (picture)
		rc = ds_map_places(m, &p, *v, err);
	else
		memcpy(*v, m->t.data, (size_t)(*h * *w) * sizeof **v);
	if (rc != DS_OK) {
		ds_free(*v);
		*v = NULL;
	}
	return rc;
}
