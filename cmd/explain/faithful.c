/* faithful.c - --faithful: is what the maps name what the model looks at?  Curves against random orders, and models that have forgotten their upper layers */
#include "explain/faithful.h"

#include <math.h>
#include <string.h>

#include "check.h"
#include "base/rng.h"
#include "explain/drift.h"
#include "explain/randomise.h"

enum { DELETION, INSERTION, RANDOM, DELETION_GAIN, INSERTION_GAIN, FIGURES };
static const char *const figure_names[] = { "deletion", "insertion", "random", "deletion_gain", "insertion_gain" };
static const char *const columns[] = { "input", "class", "label", "probability", "blank", "deletion", "insertion", "random", "deletion_gain", "insertion_gain", NULL };

/* A model without what its upper layers have learned, and how the maps of it resemble those of the whole one. */
typedef struct level {
	int           layers;
	const char   *name;             /* of the lowest of them */
	ds_model      m;                /* its graph; metadata are those of the model */
	ds_explainer *x;
	ex_figures    ssim, rank;
} level;

typedef struct state {
	ds_rows   *rows;
	ex_figures f[FIGURES];
	ex_curves  curves;
	level     *level;
	int        levels;
} state;

static bool chosen(const job *j)
{
	return j->s->faithful;
}

/* Cuts through the cascade: the top layer alone first, all of them last. */
static ds_status open_levels(job *j, state *st, ds_err *err)
{
	int layers = ds_forget_layers(ds_explainer_model(j->x)->graph), n = (int)DS_MIN(j->s->sanity, layers);
	st->level = ds_calloc((size_t)n, sizeof *st->level);
	if (!st->level)
		return ds_fail_nomem(err, (size_t)n * sizeof *st->level);
	for (int i = 0; i < n; i++) {
		level *l = &st->level[i];
		l->layers = n > 1 ? 1 + i * (layers - 1) / (n - 1) : 1;
		l->name = ds_forget_name(ds_explainer_model(j->x)->graph, l->layers - 1);
		l->m = (ds_model){ .meta = ds_explainer_model(j->x)->meta };
		DS_TRY(ds_forget(&l->m.graph, ds_explainer_model(j->x)->graph, l->layers, (uint64_t)j->s->c.seed, err));
		st->levels++;
		DS_TRY(ds_explainer_new(&l->x, &l->m, ds_explainer_opts(j->x), err));
	}
	return DS_OK;
}

static ds_status start(job *j, ds_err *err)
{
	state *st = j->state = ds_calloc(1, sizeof *st);
	if (!st)
		return ds_fail_nomem(err, sizeof *st);
	DS_TRY(ds_rows_open(&st->rows, j->out, j->s->c.json, columns, err));
	return open_levels(j, st, err);
}

/* ---- curves ------------------------------------------------------------------------------------------------------------------------ */

typedef struct judge { job *j; const ex_result *r; int64_t target; float *out; } judge;

static ds_status probability(void *arg, const float *x, int64_t n, double *p, ds_err *err)
{
	judge *k = arg;
	int64_t elements = ds_explainer_classes(k->j->x).elements;
	DS_TRY(ds_explain_scores(k->j->x, &k->r->it, x, n, true, k->out, err));
	for (int64_t i = 0; i < n; i++)
		p[i] = (double)k->out[i * elements + k->target];
	return DS_OK;
}

static ds_status keep_curves(state *st, const ds_faith *f, ds_err *err)
{
	const double v[FIGURES] = { f->deletion_auc, f->insertion_auc, f->random_auc, f->random_auc - f->deletion_auc, f->insertion_auc - f->random_auc };
	for (int i = 0; i < FIGURES; i++)
		if (!isnan(v[i]))
			DS_TRY(ex_figures_add(&st->f[i], v[i], err));
	return ex_curves_add(&st->curves, f, err);
}

static ds_status put_row(const job *j, const state *st, const ex_result *r, const ds_map *m, const ds_faith *f, ds_err *err)
{
	ex_cells_map(j, st->rows, r, m);
	const double v[] = { f->blank, f->deletion_auc, f->insertion_auc, f->random_auc, f->random_auc - f->deletion_auc, f->insertion_auc - f->random_auc };
	for (size_t i = 0; i < DS_COUNTOF(v); i++)
		ex_cell_f64(st->rows, v[i]);
	return ds_rows_end(st->rows, err);
}

/* The sample's numbers with what is to stand for a patch that is taken away. */
static ds_status measure(job *j, const ex_result *r, const ds_map *m, const float *map, const ds_plane *p, ds_faith *f, ds_err *err)
{
	const ds_tensor *in = &r->it.in[m->input];
	int64_t batch = DS_MAX(ds_explain_batch(j->x, &r->it), 1);
	size_t count = (size_t)ds_tensor_count(in);
	ds_tensor x = { 0 };
	float *blank = ds_calloc(count, sizeof *blank);
	judge k = { j, r, m->target, ds_calloc((size_t)(batch * ds_explainer_classes(j->x).elements), sizeof(float)) };
	ds_faith_opts o = { .plane = *p, .grid = j->s->grid, .orders = (int)j->s->orders, .batch = batch,
		.seed = ds_hash64(&r->item->index, sizeof r->item->index, (uint64_t)j->s->c.seed) };
	ds_status rc;
	if (!blank || !k.out) {
		rc = ds_fail_nomem(err, count * sizeof *blank);
		goto out;
	}
	DS_GOTO(ds_tensor_to_f32(in, &x, err));
	DS_GOTO(ds_explain_baseline(j->x, in, blank, err));
	rc = ds_faithful(f, &o, x.data, blank, map, probability, &k, err);
out:
	ds_tensor_done(&x);
	ds_free(k.out);
	ds_free(blank);
	return rc;
}

/* ---- the check by layers that have forgotten --------------------------------------------------------------------------------------------- */

/* The maps of one target, which begin at r->maps.m[first]: each against that of the level. */
static ds_status forget(job *j, level *l, const ex_result *r, size_t first, ds_err *err)
{
	ds_maps other = { 0 };
	int64_t target = r->maps.m[first].target;
	ds_status rc = ds_explain(l->x, j->method, &r->it, target, &other, err);
	for (size_t i = 0; rc == DS_OK && i < other.n && first + i < r->maps.n && r->maps.m[first + i].target == target; i++) {
		float *a = NULL, *b = NULL;
		int64_t h, w, h2, w2;
		double ssim = 0, rank = 0;
		rc = ex_places(j, r, &r->maps.m[first + i], &a, &h, &w, err);
		if (rc == DS_OK)
			rc = ex_places(j, r, &other.m[i], &b, &h2, &w2, err);
		if (rc == DS_OK && (h != h2 || w != w2))
			rc = ds_fail(err, DS_E_INTERNAL, "a map of another size");
		if (rc == DS_OK)
			rc = ds_map_ssim(a, b, h, w, &ssim, err);
		if (rc == DS_OK)
			rc = ds_map_rank(a, b, h * w, &rank, err);
		if (rc == DS_OK)
			rc = ex_figures_add(&l->ssim, ssim, err);
		if (rc == DS_OK)
			rc = ex_figures_add(&l->rank, rank, err);
		ds_free(a);
		ds_free(b);
	}
	ds_maps_done(&other);
	return rc;
}

/* ---- all together ------------------------------------------------------------------------------------------------------------------------ */

static ds_status one_map(job *j, const ex_result *r, const ds_map *m, ds_err *err)
{
	state *st = j->state;
	ds_plane p;
	ds_faith f;
	float *v = NULL;
	int64_t h, w;
	bool places = (m->kind == DS_MAP_PLANE || m->kind == DS_MAP_INPUT || m->kind == DS_MAP_TOKENS) && ds_explain_plane(j->x, &r->it.in[m->input], &p);
	if (!places || (m->kind == DS_MAP_TOKENS && (p.h != 1 || p.w != ds_tensor_count(&m->t))))
		return ds_fail(err, DS_E_UNSUPPORTED, "--faithful takes patches away, and the maps of %s are not about places of the input", j->method->name);
	DS_TRY(ex_places(j, r, m, &v, &h, &w, err));
	ds_status rc = measure(j, r, m, v, &p, &f, err);
	ds_free(v);
	if (rc != DS_OK)
		return rc;
	rc = keep_curves(st, &f, err);
	if (rc == DS_OK)
		rc = put_row(j, st, r, m, &f, err);
	ds_faith_done(&f);
	return rc;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	state *st = j->state;
	for (size_t i = 0; i < r->maps.n; i++) {
		DS_TRY(one_map(j, r, &r->maps.m[i], err));
		for (int k = 0; k < st->levels && (!i || r->maps.m[i].target != r->maps.m[i - 1].target); k++)
			DS_TRY(forget(j, &st->level[k], r, i, err));
	}
	return DS_OK;
}

static ds_status shares(const state *st, ds_rows *rows, ds_err *err)
{
	const ex_figures *d = &st->f[DELETION_GAIN], *i = &st->f[INSERTION_GAIN];
	uint64_t n = d->n, better[3] = { 0 };
	for (uint64_t k = 0; k < n; k++) {
		better[0] += d->v[k] > 0;
		better[1] += i->v[k] > 0;
		better[2] += d->v[k] > 0 && i->v[k] > 0;
	}
	if (!n)
		return DS_OK;
	DS_TRY(ex_summary_share(rows, "deletion_beats_random", better[0], n, err));
	DS_TRY(ex_summary_share(rows, "insertion_beats_random", better[1], n, err));
	return ex_summary_share(rows, "both_beat_random", better[2], n, err);
}

static ds_status end(job *j, ds_err *err)
{
	state *st = j->state;
	ds_rows *rows;
	DS_TRY(ex_summary_open(j, &rows, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < FIGURES && rc == DS_OK; i++)
		if (st->f[i].n)
			rc = ex_summary_mean(j, rows, figure_names[i], NULL, &st->f[i], NULL, err);
	if (rc == DS_OK)
		rc = shares(st, rows, err);
	for (int k = 0; k < st->levels && rc == DS_OK; k++) {
		const level *l = &st->level[k];
		rc = ex_summary_mean(j, rows, "sanity_ssim", l->name, &l->ssim, NULL, err);
		if (rc == DS_OK)
			rc = ex_summary_mean(j, rows, "sanity_rank", l->name, &l->rank, NULL, err);
	}
	ds_rows_close(rows);
	return rc == DS_OK && j->s->curves ? ex_curves_draw(j, &st->curves, err) : rc;
}

static void drop(job *j)
{
	state *st = j->state;
	if (!st)
		return;
	ds_rows_close(st->rows);
	for (int i = 0; i < FIGURES; i++)
		ds_free(st->f[i].v);
	for (int k = 0; k < st->levels; k++) {
		level *l = &st->level[k];
		ds_explainer_free(l->x);
		ds_graph_free(l->m.graph);
		ds_free(l->ssim.v);
		ds_free(l->rank.v);
	}
	ds_free(st->level);
	ex_curves_done(&st->curves);
	ds_free(st);
	j->state = NULL;
}

const ex_output ex_output_faithful = { "faithful", false, chosen, start, item, end, drop };
