/* fit.c - what a model takes from its training data before training: columns and their spread, characters, classes */
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A whole file, unpacked where it is gzip. */
typedef struct whole { const void *p; size_t n; void *owner; uint8_t *plain; } whole;
#define WHOLE_LIMIT ((uint64_t)4 << 30)

static void whole_done(whole *w)
{
	ds_free(w->plain);
	ds_source_drop(w->owner);
	*w = (whole){ 0 };
}

static ds_status read_whole(whole *w, const char *path, ds_err *err)
{
	*w = (whole){ 0 };
	DS_TRY(ds_read_whole(path, &w->p, &w->n, &w->owner, err));
	if (!ds_is_gzip(w->p, w->n))
		return DS_OK;
	ds_status rc = ds_gunzip(&w->plain, &w->n, w->p, w->n, WHOLE_LIMIT, err);
	w->p = w->plain;
	if (rc != DS_OK)
		ds_err_in(err, path);
	return rc;
}

static ds_status set(ds_status rc, ds_err *err)
{
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "the metadata cannot be stored");
}

/* ---- characters ---------------------------------------------------------------------------------------------------------------- */

static ds_status store_asset(ds_model *m, const char *name, const char *media, const ds_buf *b, ds_err *err)
{
	ds_buffer *data = ds_buffer_new(b->len);
	if (!data)
		return ds_fail_nomem(err, b->len);
	memcpy(ds_buffer_data(data), b->data, b->len);
	return set(ds_model_asset_set(m, name, media, data), err);
}

static ds_status store_vocab(ds_model *m, int input, const ds_buf *b, ds_err *err)
{
	char key[64];
	DS_TRY(store_asset(m, "vocabulary", "text/plain", b, err));
	snprintf(key, sizeof key, "input.%d.tokens", input);
	DS_TRY(set(ds_meta_set_str(&m->meta, key, ds_tokens_names[DS_TOKENS_CHARS]), err));
	snprintf(key, sizeof key, "input.%d.tokenizer", input);
	return set(ds_meta_set_str(&m->meta, key, "vocabulary"), err);
}

/* The different characters of one file, appended. */
static ds_status add_chars(ds_buf *b, const char *path, ds_err *err)
{
	whole w;
	DS_TRY(read_whole(&w, path, err));
	ds_status rc = ds_vocab_build(b, w.p, w.n, err);
	if (rc != DS_OK)
		ds_err_in(err, path);
	whole_done(&w);
	return rc;
}

ds_status ds_vocab_set(ds_model *m, int input, const char *path, ds_err *err)
{
	ds_buf b = { 0 };
	ds_vocab v;
	whole w;
	DS_TRY(read_whole(&w, path, err));
	ds_status rc = DS_OK;
	if (ds_vocab_parse(&v, w.p, w.n, NULL) == DS_OK)        /* each once: they stand in their order */
		ds_buf_add(&b, w.p, w.n);
	else
		rc = ds_vocab_build(&b, w.p, w.n, err);
	ds_vocab_done(&v);
	if (rc != DS_OK)
		ds_err_in(err, path);
	else
		rc = b.oom ? ds_fail_nomem(err, w.n) : store_vocab(m, input, &b, err);
	whole_done(&w);
	ds_buf_done(&b);
	return rc;
}

/* Those of all files, ranges not minded: a character that only the part for validation has shall not be a mistake. */
static ds_status fit_text(ds_model *m, int input, const ds_list *l, ds_err *err)
{
	ds_buf each = { 0 }, all = { 0 };
	ds_status rc = DS_OK;
	for (size_t i = 0; rc == DS_OK && i < l->n; i++)
		rc = add_chars(&each, l->e[i].path, err);
	if (rc == DS_OK)
		rc = ds_vocab_build(&all, each.data ? each.data : "", each.len, err);
	if (rc == DS_OK)
		rc = store_vocab(m, input, &all, err);
	ds_buf_done(&each);
	ds_buf_done(&all);
	return rc;
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------- */

/* Mean and deviation as the rows come (Welford 1962). */
typedef struct spread { double *mean, *m2; int n; int64_t rows; } spread;

static void spread_done(spread *s)
{
	ds_free(s->mean);
	ds_free(s->m2);
}

static ds_status spread_add(spread *s, const ds_grid *g, const ds_range *r, ds_err *err)
{
	int64_t from, to;
	if (!s->mean) {
		s->n = g->cols;
		s->mean = ds_calloc((size_t)s->n, sizeof *s->mean);
		s->m2 = ds_calloc((size_t)s->n, sizeof *s->m2);
		if (!s->mean || !s->m2)
			return ds_fail_nomem(err, (size_t)s->n * sizeof *s->mean);
	}
	ds_range_apply(r, g->rows, &from, &to);
	for (int64_t row = from; row < to; row++) {
		const double *v = g->v + (size_t)row * (size_t)g->cols;
		if (g->flaws.n && ds_flaw_in(&g->flaws, row, row + 1))
			continue;
		s->rows++;
		for (int c = 0; c < s->n; c++) {
			double d = v[c] - s->mean[c];
			s->mean[c] += d / (double)s->rows;
			s->m2[c] += d * (v[c] - s->mean[c]);
		}
	}
	return DS_OK;
}

static ds_status store_columns(ds_model *m, const char *slot, int i, char *const *name, int n, const double *mean, const double *m2, int64_t rows, ds_err *err)
{
	char key[64];
	ds_status rc = DS_OK;
	double *std = ds_calloc((size_t)n, sizeof *std);
	if (!std)
		return ds_fail_nomem(err, (size_t)n * sizeof *std);
	for (int c = 0; c < n; c++) {
		double v = rows ? sqrt(m2[c] / (double)rows) : 0;
		std[c] = v > 0 && isfinite(v) ? v : 1;
	}
	snprintf(key, sizeof key, "%s.%d.columns", slot, i);
	rc = ds_meta_set_list(&m->meta, key, n, (const char *const *)name);
	snprintf(key, sizeof key, "%s.%d.mean", slot, i);
	if (rc == DS_OK)
		rc = ds_meta_set_f64(&m->meta, key, n, mean);
	snprintf(key, sizeof key, "%s.%d.std", slot, i);
	if (rc == DS_OK)
		rc = ds_meta_set_f64(&m->meta, key, n, std);
	ds_free(std);
	return set(rc, err);
}

/* Columns c of all files, mean and deviation into META.  c->n 0: every column of numbers but those of `but`. */
static ds_status fit_columns(ds_model *m, const char *slot, int i, const ds_columns *c, const ds_columns *but, const ds_list *l, ds_err *err)
{
	ds_table_want *want = c->n ? ds_calloc((size_t)c->n, sizeof *want) : NULL;
	ds_table_opts o = { .want = want, .n = c->n, .but = but ? (const char *const *)but->name : NULL, .n_but = but ? but->n : 0 };
	spread s = { 0 };
	ds_grid g = { 0 };
	ds_status rc = DS_OK;
	if (c->n && !want)
		return ds_fail_nomem(err, (size_t)c->n * sizeof *want);
	for (int k = 0; k < c->n; k++)
		want[k].name = c->name[k];
	for (size_t e = 0; rc == DS_OK && e < l->n; e++) {
		whole w;
		ds_grid_done(&g);
		rc = read_whole(&w, l->e[e].path, err);
		if (rc == DS_OK)
			rc = ds_grid_read(&g, w.p, w.n, &o, err);
		if (rc == DS_OK && s.mean && g.cols != s.n)
			rc = ds_fail(err, DS_E_INPUT, "%d columns of numbers, the files before it have %d", g.cols, s.n);
		if (rc == DS_OK)
			rc = spread_add(&s, &g, &l->e[e].range, err);
		if (rc != DS_OK)
			ds_err_in(err, l->e[e].path);
		whole_done(&w);
	}
	if (rc == DS_OK && g.cols)
		rc = store_columns(m, slot, i, g.name, g.cols, s.mean, s.m2, s.rows, err);
	ds_grid_done(&g);
	spread_done(&s);
	ds_free(want);
	return rc;
}

/* Names of classes that are no numbers become the asset "labels", sorted; those of the first file count. */
static ds_status fit_classes(ds_model *m, const ds_aim *a, const ds_list *l, ds_err *err)
{
	char **name;
	int n;
	bool numeric;
	whole w;
	ds_buf b = { 0 };
	DS_TRY(read_whole(&w, l->e[0].path, err));
	ds_status rc = ds_table_classes(w.p, w.n, a->col.name[0], &name, &n, &numeric, err);
	if (rc != DS_OK)
		ds_err_in(err, l->e[0].path);
	whole_done(&w);
	for (int i = 0; rc == DS_OK && i < n; i++) {
		ds_buf_str(&b, name[i]);
		ds_buf_str(&b, "\n");
	}
	if (rc == DS_OK && !numeric && n)
		rc = b.oom ? ds_fail_nomem(err, b.len) : store_asset(m, "labels", "text/plain", &b, err);
	if (rc == DS_OK && !numeric && n)
		rc = set(ds_meta_set_str(&m->meta, "output.0.labels", "labels"), err);
	for (int i = 0; name && i < n; i++)
		ds_free(name[i]);
	ds_free(name);
	ds_buf_done(&b);
	return rc;
}

static ds_status fit_table(ds_model *m, int input, const ds_feed *f, const ds_aim *a, const ds_list *l, ds_err *err)
{
	bool rows = f->window <= 1 && m->graph->input[input]->type.rank < 3;    /* a row does not hold its answer; a series holds what came before */
	if (!f->col.mean)
		DS_TRY(fit_columns(m, "input", input, &f->col, rows && a->what != DS_AIM_INPUT ? &a->col : NULL, l, err));
	if (a->what == DS_AIM_VALUES && !a->col.mean)
		DS_TRY(fit_columns(m, "output", 0, &a->col, NULL, l, err));
	if (a->what == DS_AIM_CLASS && !ds_meta_find(&m->meta, "output.0.labels"))
		return fit_classes(m, a, l, err);
	return DS_OK;
}

/* ---- all together -------------------------------------------------------------------------------------------------------------- */

ds_status ds_data_fit(ds_model *m, const ds_data_opts *o, ds_err *err)
{
	ds_list l = { .text = true };
	ds_feed f = { 0 };
	ds_aim a;
	bool listed = false;
	DS_TRY(ds_aim_from_meta(&a, m, err));
	ds_status rc = DS_OK;
	for (int i = 0; rc == DS_OK && i < m->graph->n_input; i++) {
		rc = ds_feed_from_meta(&f, m, i, err);
		bool chars = rc == DS_OK && f.kind == DS_KIND_TEXT && f.tokens == DS_TOKENS_CHARS && !f.vocab.n;
		bool table = rc == DS_OK && f.kind == DS_KIND_TABLE;
		if ((chars || table) && !listed) {
			rc = ds_list_build(&l, o, err);
			listed = rc == DS_OK;
		}
		if (rc == DS_OK && chars && l.n)
			rc = fit_text(m, i, &l, err);
		else if (rc == DS_OK && table && l.n)
			rc = fit_table(m, i, &f, &a, &l, err);
		ds_feed_done(&f);
	}
	ds_list_done(&l);
	ds_aim_done(&a);
	return rc == DS_OK ? ds_data_check(m, err) : rc;
}

static ds_status check_input(const ds_model *m, const ds_aim *a, int i, ds_err *err)
{
	const ds_value *v = m->graph->input[i];
	int64_t dim[DS_MAX_RANK];
	ds_feed f;
	for (int k = 0; k < v->type.rank; k++)
		dim[k] = v->type.dim[k] < 0 ? -1 : v->type.dim[k];
	DS_TRY(ds_feed_from_meta(&f, m, i, err));
	ds_status rc = DS_OK;
	if (ds_feed_rows(&f) && (f.kind != DS_KIND_TABLE || f.col.n))
		rc = ds_feed_settle(&f, v->name, v->type.dtype, v->type.rank, dim, err);
	int tokens = f.kind != DS_KIND_TEXT ? 0 : f.tokens == DS_TOKENS_BYTES ? 256 : f.vocab.n;
	int64_t classes = a->rank > 0 ? a->dim[a->rank - 1] : -1;
	if (rc == DS_OK && a->what == DS_AIM_NEXT && classes >= 0 && classes < tokens)
		rc = ds_fail(err, DS_E_INPUT, "%d tokens for a model whose output has %lld classes", tokens, (long long)classes);
	ds_feed_done(&f);
	return rc;
}

ds_status ds_data_check(const ds_model *m, ds_err *err)
{
	ds_aim a;
	int rank;
	int64_t dim[3];
	bool swap;
	DS_TRY(ds_aim_from_meta(&a, m, err));
	ds_status rc = DS_OK;
	for (int i = 0; rc == DS_OK && i < m->graph->n_input; i++)
		rc = check_input(m, &a, i, err);
	if (rc == DS_OK && a.what == DS_AIM_VALUES)
		rc = ds_aim_dims(&a, DS_MAX(a.horizon, 1), a.col.n, &rank, dim, &swap, err);
	ds_aim_done(&a);
	return rc;
}
