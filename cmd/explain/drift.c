/* drift.c - --against: do two models, one a compressed copy of the other, have the same reasons? */
#include "explain/drift.h"

#include <math.h>
#include <string.h>

#include "check.h"
#include "format/format.h"

static const char *const columns[] = { "input", "class", "label", "probability", "prediction", "against_prediction", "against_probability", "rank", "overlap", "ssim", NULL };
#define FOREMOST .1

typedef struct state {
	ds_rows      *rows;
	ds_model     *m;
	ds_cut       *cut;              /* where the one of -m is cut; NULL: whole */
	ds_explainer *x;
	ex_figures    drift, rank, overlap, ssim;
	uint64_t      n, agree;         /* items; the same best class */
} state;

static bool chosen(const job *j)
{
	return j->s->against != NULL;
}

static ds_status open_explainer(const job *j, state *st, ds_err *err)
{
	int frames;
	const char *at = j->s->about ? j->s->about : !j->cut ? NULL : j->token.on ? ds_cut_tokens(st->m, j->source) : ds_cut_spectrum(st->m, j->source, &frames, err);
	if (j->cut && !at)
		return ds_fail(err, DS_E_INPUT, "no such value inside it as maps are about");
	if (j->cut)
		DS_TRY(ds_cut_new(&st->cut, st->m, at, (int)j->s->c.threads, err));
	DS_TRY(ds_explainer_new(&st->x, st->cut ? ds_cut_model(st->cut) : st->m, ds_explainer_opts(j->x), err));
	if (j->method->fits && !j->method->fits(st->x))
		return ds_fail(err, DS_E_UNSUPPORTED, "method %s does not fit this model", j->method->name);
	return DS_OK;
}

static ds_status start(job *j, ds_err *err)
{
	ds_dsm_opts o = { .memory_limit = j->s->c.memory_limit, .no_verify = j->s->c.no_verify };
	ds_source *src;
	state *st = j->state = ds_calloc(1, sizeof *st);
	if (!st)
		return ds_fail_nomem(err, sizeof *st);
	DS_TRY(ds_open_file(&src, &j->s->c, j->s->against, err));
	DS_TRY(ds_model_load(&st->m, src, &o, err));
	ds_status rc = open_explainer(j, st, err);
	if (rc != DS_OK) {
		ds_err_in(err, j->s->against);
		return rc;
	}
	return ds_rows_open(&st->rows, j->out, j->s->c.json, columns, err);
}

/* The item as the other model takes it, and what that says of it: its best class among those of the place that is explained, and the probability of one element. */
typedef struct says { ds_explain_item it; float *logit, *p; int64_t n; } says;

static int64_t best_of(const float *v, int64_t first, int64_t n)
{
	int64_t best = 0;
	ds_top_k(v + first, n, 1, &best);
	return best;
}

static ds_status compare(job *j, const ex_result *r, const ds_map *a, const ds_map *b, const says *s, ds_err *err)
{
	state *st = j->state;
	float *va = NULL, *vb = NULL;
	int64_t h, w, h2, w2;
	double rank, overlap, ssim;
	ds_classes c = ds_explainer_classes(j->x);
	int64_t first = c.elements - c.n;
	ds_status rc;
	DS_GOTO(ex_places(j, r, a, &va, &h, &w, err));
	DS_GOTO(ex_places(j, r, b, &vb, &h2, &w2, err));
	if (h != h2 || w != w2) {
		rc = ds_fail(err, DS_E_INPUT, "a map of %lld x %lld where %s gives %lld x %lld", (long long)h, (long long)w, j->s->against, (long long)h2, (long long)w2);
		goto out;
	}
	DS_GOTO(ds_map_rank(va, vb, h * w, &rank, err));
	DS_GOTO(ds_map_overlap(va, vb, h * w, FOREMOST, &overlap, err));
	DS_GOTO(ds_map_ssim(va, vb, h, w, &ssim, err));
	DS_GOTO(ex_figures_add(&st->rank, rank, err));
	DS_GOTO(ex_figures_add(&st->drift, 1 - rank, err));
	DS_GOTO(ex_figures_add(&st->overlap, overlap, err));
	DS_GOTO(ex_figures_add(&st->ssim, ssim, err));
	ex_cells_map(j, st->rows, r, a);
	ex_cell_i64(st->rows, best_of(r->logit, first, c.n));
	ex_cell_i64(st->rows, best_of(s->logit, first, c.n));
	ex_cell_f64(st->rows, s->p ? (double)s->p[a->target] : NAN);
	ex_cell_f64(st->rows, rank);
	ex_cell_f64(st->rows, overlap);
	ex_cell_f64(st->rows, ssim);
	rc = ds_rows_end(st->rows, err);
out:
	ds_free(va);
	ds_free(vb);
	return rc;
}

/* The maps of one target, which begin at r->maps.m[first], against the other model's for the same class. */
static ds_status compare_target(job *j, const ex_result *r, size_t first, const says *s, ds_err *err)
{
	state *st = j->state;
	ds_maps other = { 0 };
	int64_t target = r->maps.m[first].target;
	size_t n = 0;
	while (first + n < r->maps.n && r->maps.m[first + n].target == target)
		n++;
	ds_status rc = ds_explain(st->x, j->method, &s->it, target, &other, err);
	if (rc == DS_OK && other.n != n)
		rc = ds_fail(err, DS_E_INPUT, "%zu maps where %s gives %zu", n, j->s->against, other.n);
	for (size_t i = 0; i < n && rc == DS_OK; i++)
		rc = compare(j, r, &r->maps.m[first + i], &other.m[i], s, err);
	ds_maps_done(&other);
	return rc;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	state *st = j->state;
	says s = { .it = r->it };
	ds_classes c = ds_explainer_classes(j->x);
	ds_status rc = st->cut ? ds_cut_item(st->cut, r->item->in, r->item->n_in, &s.it.in, &s.it.n_in, err) : DS_OK;
	if (rc == DS_OK)
		rc = ds_explain_predict(st->x, &s.it, &s.logit, &s.p, &s.n, err);
	if (rc == DS_OK && s.n != r->n)
		rc = ds_fail(err, DS_E_INPUT, "%lld numbers come out where %s gives %lld", (long long)r->n, j->s->against, (long long)s.n);
	if (rc == DS_OK) {
		st->n++;
		st->agree += best_of(r->logit, c.elements - c.n, c.n) == best_of(s.logit, c.elements - c.n, c.n);
	}
	for (size_t i = 0; rc == DS_OK && i < r->maps.n; i++)
		if (!i || r->maps.m[i].target != r->maps.m[i - 1].target)
			rc = compare_target(j, r, i, &s, err);
	ds_free(s.logit);
	ds_free(s.p);
	return rc;
}

static ds_status end(job *j, ds_err *err)
{
	state *st = j->state;
	ds_rows *rows;
	double drift[3] = { 0 };
	DS_TRY(ex_summary_open(j, &rows, err));
	ds_status rc = ex_summary_mean(j, rows, "rank", NULL, &st->rank, NULL, err);
	if (rc == DS_OK)
		rc = ex_summary_mean(j, rows, "overlap", NULL, &st->overlap, NULL, err);
	if (rc == DS_OK)
		rc = ex_summary_mean(j, rows, "ssim", NULL, &st->ssim, NULL, err);
	if (rc == DS_OK)
		rc = ex_summary_mean(j, rows, "drift", NULL, &st->drift, drift, err);
	if (rc == DS_OK)
		rc = ex_summary_share(rows, "agreement", st->agree, st->n, err);
	ds_rows_close(rows);
	if (rc == DS_OK && ds_given("max-drift") && drift[2] > j->s->max_drift)
		return ds_fail(err, DS_E_CHECK, "the reasons may have drifted by %.4f (95 %% interval), more than %.4f", drift[2], j->s->max_drift);
	return rc;
}

static void drop(job *j)
{
	state *st = j->state;
	if (!st)
		return;
	ds_rows_close(st->rows);
	ds_explainer_free(st->x);
	ds_cut_free(st->cut);
	ds_model_free(st->m);
	ds_free(st->drift.v);
	ds_free(st->rank.v);
	ds_free(st->overlap.v);
	ds_free(st->ssim.v);
	ds_free(st);
	j->state = NULL;
}

const ex_output ex_output_drift = { "drift", false, chosen, start, item, end, drop };
