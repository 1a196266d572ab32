/* table.c - a table as items: rows, or windows of a series, with the class or the values that belong to each */
#include "table.h"

#include <string.h>

/* All columns that any input and the aim want, side by side. */
static ds_status collect(ds_table_want **want, int *n, const ds_loader *ld, ds_err *err)
{
	const ds_columns *aim = ld->want ? &ld->aim.col : NULL;
	int total = aim ? aim->n : 0;
	for (int k = 0; k < ld->n_in; k++)
		total += ld->in[k].feed.kind == DS_KIND_TABLE ? ld->in[k].feed.col.n : 0;
	*n = 0;
	*want = ds_calloc((size_t)total, sizeof **want);
	if (!*want)
		return ds_fail_nomem(err, (size_t)total * sizeof **want);
	for (int k = 0; k < ld->n_in; k++) {
		const ds_feed *f = &ld->in[k].feed;
		for (int c = 0; f->kind == DS_KIND_TABLE && c < f->col.n; c++)
			(*want)[(*n)++] = (ds_table_want){ f->col.name[c], false };
	}
	for (int c = 0; aim && c < aim->n; c++)
		(*want)[(*n)++] = (ds_table_want){ aim->name[c], ld->aim.what != DS_AIM_VALUES };
	return DS_OK;
}

/* Columns [at, at + c->n) of rows [from, to), standardised. */
static ds_status cut(ds_tensor *t, const ds_grid *g, int at, const ds_columns *c, int64_t from, int64_t to, ds_err *err)
{
	const int64_t dim[] = { to - from, c->n };
	DS_TRY(ds_tensor_new(t, DS_F32, 2, dim, err));
	float *d = t->data;
	for (int64_t r = from; r < to; r++) {
		const double *v = g->v + (size_t)r * (size_t)g->cols + at;
		for (int i = 0; i < c->n; i++)
			*d++ = (float)((v[i] - (c->mean ? c->mean[i] : 0)) / (c->std ? c->std[i] : 1));
	}
	return DS_OK;
}

static ds_status make_target(ds_loaded *l, const ds_loader *ld, const ds_grid *g, int at, int64_t from, int64_t to, int64_t window, ds_err *err)
{
	const ds_aim *a = &ld->aim;
	ds_part *p = &l->target;
	int64_t h = DS_MAX(a->horizon, 1);
	DS_TRY(ds_aim_dims(a, h, a->col.n, &p->rank, p->dim, &p->swap, err));
	DS_TRY(cut(&p->t, g, at, &a->col, from, to, err));
	p->windows = true;
	p->n = l->n;
	p->hop = l->hop;
	p->first = a->horizon ? window : window - 1;
	p->len = h;
	if (a->horizon)
		l->last = (ds_part){ .t = ds_tensor_ref(&p->t), .n = l->n, .rank = 2, .dim = { 1, a->col.n }, .windows = true, .hop = l->hop, .first = window - 1, .len = 1 };
	return DS_OK;
}

/* The class of each item: that of the window's last row, or of the row `horizon` rows on. */
static ds_status make_labels(ds_loaded *l, const ds_loader *ld, const ds_grid *g, int at, int64_t from, int64_t window, ds_err *err)
{
	l->label = ds_calloc((size_t)l->n, sizeof *l->label);
	if (!l->label)
		return ds_fail_nomem(err, (size_t)l->n * sizeof *l->label);
	for (int64_t i = 0; i < l->n; i++)
		l->label[i] = (int64_t)g->v[(size_t)(from + i * l->hop + window - 1 + ld->aim.horizon) * (size_t)g->cols + at];
	return DS_OK;
}

static void move_flaws(ds_loaded *l, ds_grid *g, int64_t from)
{
	l->flaws = g->flaws;
	g->flaws = (ds_flaws){ 0 };
	for (size_t i = 0; i < l->flaws.n; i++)
		l->flaws.f[i].row -= from;
}

static ds_status make_parts(ds_loaded *l, const ds_loader *ld, ds_grid *g, const ds_range *r, ds_err *err)
{
	const ds_feed *main = &ld->in[ld->main].feed;
	int64_t from, to, after = ld->want ? ld->aim.horizon : 0, lead = main->context;
	int at = 0;
	ds_range_apply(r, g->rows, &from, &to);
	l->hop = ld->hop ? ld->hop : main->hop;
	l->n = ds_window_count(to - from, lead + main->window, l->hop, after);
	l->row0 = from + lead;
	l->span = lead + main->window + after;
	l->streams = l->hop == main->window;
	if (!l->n && to > from)
		return ds_fail(err, DS_E_INPUT, "%lld rows where a window takes %lld%s", (long long)(to - from), (long long)(lead + main->window + after),
			after ? " with what follows it" : "");
	if (!l->n)
		return ds_fail(err, DS_E_INPUT, "no rows in the range");
	for (int k = 0; k < ld->n_in; k++) {
		const ds_feed *f = &ld->in[k].feed;
		ds_tensor t;
		if (f->kind != DS_KIND_TABLE)
			continue;
		DS_TRY(cut(&t, g, at, &f->col, from, to, err));
		ds_part_windows(&l->part[k], &t, f, l->hop);
		l->part[k].n = l->n;
		l->part[k].first = lead - f->context;   /* a table has real rows before the first window, no zeros */
		at += f->col.n;
	}
	if (ld->want && ld->aim.what == DS_AIM_VALUES)
		DS_TRY(make_target(l, ld, g, at, from, to, lead + main->window, err));
	else if (ld->want && ld->aim.col.n)
		DS_TRY(make_labels(l, ld, g, at, from, lead + main->window, err));
	move_flaws(l, g, from);
	return DS_OK;
}

/* ---- arrays as tables ---------------------------------------------------------------------------------------------------------- */

bool ds_is_rows(const ds_tensor *t, const ds_shape_of *k)
{
	if (k->feed.kind != DS_KIND_TABLE || t->rank != 2 || t->dim[1] < 1 || t->dim[1] > INT32_MAX)
		return false;
	return k->rank > 2 || (k->rank == 2 && k->dim[1] >= 0 && k->dim[1] != t->dim[1] && k->dim[1] % t->dim[1] == 0);
}

ds_status ds_load_rows(ds_loaded *l, const ds_loader *ld, const ds_tensor *t, const ds_range *r, ds_err *err)
{
	const ds_shape_of *k = &ld->in[ld->main];
	ds_feed f = { .kind = DS_KIND_TABLE, .axes = k->feed.axes, .window = k->feed.window, .context = k->feed.context, .hop = k->feed.hop };
	ds_grid g = { .rows = t->dim[0], .cols = (int)t->dim[1] };
	ds_tensor rows;
	int64_t from, to;
	f.col = (ds_columns){ .n = g.cols };
	if (k->feed.col.n == g.cols)
		f.col = k->feed.col;
	else if (k->feed.col.n)
		return ds_fail(err, DS_E_INPUT, "an array of %d columns where the model takes %d", g.cols, k->feed.col.n);
	DS_TRY(ds_feed_settle(&f, k->name, k->dtype, k->rank, k->dim, err));
	if (ld->want && ld->aim.col.n)
		return ds_fail(err, DS_E_INPUT, "an array has no column '%s' that the model answers to", ld->aim.col.name[0]);
	g.v = ds_calloc((size_t)ds_tensor_count(t), sizeof *g.v);
	if (!g.v)
		return ds_fail_nomem(err, (size_t)ds_tensor_count(t) * sizeof *g.v);
	for (int64_t i = 0; i < ds_tensor_count(t); i++)
		g.v[i] = ds_tensor_f64(t, i);
	ds_range_apply(r, g.rows, &from, &to);
	l->row_range = true;
	l->hop = ld->hop ? ld->hop : f.hop;
	l->n = ds_window_count(to - from, f.context + f.window, l->hop, 0);
	l->row0 = from + f.context;
	l->streams = l->hop == f.window;
	ds_status rc = DS_OK;
	if (!l->n)
		rc = ds_fail(err, DS_E_INPUT, "%lld rows where a window takes %lld", (long long)(to - from), (long long)(f.context + f.window));
	if (rc == DS_OK)
		rc = cut(&rows, &g, 0, &f.col, from, to, err);
	ds_free(g.v);
	if (rc != DS_OK)
		return rc;
	ds_part_windows(&l->part[ld->main], &rows, &f, l->hop);
	l->part[ld->main].n = l->n;
	l->part[ld->main].first = 0;
	return DS_OK;
}

ds_status ds_load_table(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err)
{
	ds_table_opts o = { .names = ld->names };
	ds_table_want *want = NULL;
	ds_grid g = { 0 };
	ds_status rc;
	if (!ld->in[ld->main].feed.col.n) {
		l->fatal = true;
		return ds_fail(err, DS_E_USAGE, "a table, and the model does not say which columns it takes; ds-convert --columns puts that into the model");
	}
	DS_GOTO(collect(&want, &o.n, ld, err));
	o.want = want;
	DS_GOTO(ds_grid_read(&g, p, n, &o, err));
	rc = make_parts(l, ld, &g, r, err);
out:
	ds_grid_done(&g);
	ds_free(want);
	return rc;
}
