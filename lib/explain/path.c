/* path.c - gradients at many points: integrated along the way from a baseline, averaged over noise
 *
 * Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365): (x - x') times the mean gradient on the straight line from the baseline x' to x, by the midpoint
 * rule.  In the limit the map adds up to score(x) - score(x'); how far it is from that is the gap, by which the number of points is chosen.  In a network of rectifiers
 * the gradient jumps along the line, so the gap falls slowly and not always: doubling ends where it no longer helps.
 *
 * SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825): the mean gradient of noisy copies.  Copy k has the k-th stream of normal numbers of the seed. */
#include "explain_int.h"

#include "../base/rng.h"

#include <math.h>
#include <string.h>

enum { FIRST = 16, MOST = 2048 };       /* points, when the gap chooses */

typedef struct walk {
	ds_explainer *x;
	const ds_explain_item *it;
	int64_t       target, n;        /* elements of the input */
	ds_tensor     in;               /* f32 */
	float        *base;             /* n */
	float        *rows, *grad;      /* batch * n */
	double       *sum;              /* n */
	int64_t       batch;
	double        score, base_score;       /* of the target: at the item, at the baseline */
	double        sigma;            /* of the noise */
	ds_err       *err;
} walk;

static void walk_done(walk *w)
{
	ds_tensor_done(&w->in);
	ds_free(w->base);
	ds_free(w->rows);
	ds_free(w->grad);
	ds_free(w->sum);
}

static ds_status walk_init(walk *w, ds_explainer *x, const ds_explain_item *it, int64_t target, ds_err *err)
{
	const ds_tensor *t = &it->in[x->input];
	*w = (walk){ .x = x, .it = it, .target = target, .n = ds_tensor_count(t), .batch = ds_explain_batch(x, it), .err = err };
	size_t n = (size_t)w->n, many;
	if (ds_mul_over(n, (size_t)w->batch, &many))
		return ds_fail_nomem(err, n);
	DS_TRY(ds_tensor_to_f32(t, &w->in, err));
	w->base = ds_calloc(n + 1, sizeof *w->base);
	w->rows = ds_calloc(many + 1, sizeof *w->rows);
	w->grad = ds_calloc(many + 1, sizeof *w->grad);
	w->sum = ds_calloc(n + 1, sizeof *w->sum);
	if (w->base && w->rows && w->grad && w->sum)
		return DS_OK;
	walk_done(w);
	return ds_fail_nomem(err, many * sizeof *w->rows);
}

/* The sum of gradients at points 0 .. count-1, which `point` writes. */
static ds_status add_up(walk *w, int64_t count, void (*point)(const walk *w, int64_t i, int64_t count, float *row))
{
	memset(w->sum, 0, (size_t)w->n * sizeof *w->sum);
	for (int64_t i = 0; i < count; i += w->batch) {
		int64_t some = DS_MIN(w->batch, count - i);
		for (int64_t k = 0; k < some; k++)
			point(w, i + k, count, w->rows + k * w->n);
		DS_TRY(ds_explain_gradients(w->x, w->it, w->rows, some, w->target, w->grad, NULL, w->err));
		for (int64_t k = 0; k < some; k++)
			for (int64_t e = 0; e < w->n; e++)
				w->sum[e] += (double)w->grad[k * w->n + e];
	}
	return DS_OK;
}

/* ---- integrated gradients --------------------------------------------------------------------------------------------------------- */
static void on_line(const walk *w, int64_t i, int64_t count, float *row)
{
	const float *a = w->in.data;
	float t = (float)(((double)i + 0.5) / (double)count);
	for (int64_t e = 0; e < w->n; e++)
		row[e] = w->base[e] + t * (a[e] - w->base[e]);
}

/* The map into out; its gap. */
static double settle(const walk *w, int64_t count, float *out)
{
	const float *a = w->in.data;
	double sum = 0, change = w->score - w->base_score;
	for (int64_t e = 0; e < w->n; e++) {
		double v = ((double)a[e] - (double)w->base[e]) * w->sum[e] / (double)count;
		out[e] = (float)v;
		sum += v;
	}
	return fabs(sum - change) / fmax(fabs(change), 1e-12);
}

static ds_status ends(walk *w)
{
	double s[2];
	DS_TRY(ds_explain_baseline(w->x, &w->it->in[w->x->input], w->base, w->err));
	DS_TRY(ds_explain_gradients(w->x, w->it, w->in.data, 1, w->target, w->grad, &s[0], w->err));
	DS_TRY(ds_explain_gradients(w->x, w->it, w->base, 1, w->target, w->grad, &s[1], w->err));
	w->score = s[0];
	w->base_score = s[1];
	return DS_OK;
}

static ds_status integrate(walk *w, ds_map *m)
{
	const ds_explain_opts *o = &w->x->o;
	int64_t count = o->steps > 0 ? o->steps : FIRST;
	double best = HUGE_VAL;
	int worse = 0;
	m->runs = 2;
	for (;;) {
		DS_TRY(add_up(w, count, on_line));
		m->runs += count;
		m->gap = settle(w, count, m->t.data);
		if (o->steps > 0 || m->gap <= o->max_gap || count >= MOST)
			return DS_OK;
		worse = m->gap < 0.9 * best ? 0 : worse + 1;
		best = fmin(best, m->gap);
		if (worse > 2)                  /* roundings in the network: no number of points will do */
			return DS_OK;
		count *= 2;
	}
}

static ds_status integrated(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	const ds_tensor *t = &it->in[x->input];
	int lead = t->rank > 1 && t->dim[0] == 1;
	walk w;
	ds_map *m;
	DS_TRY(walk_init(&w, x, it, target, err));
	ds_status rc = ends(&w);
	if (rc == DS_OK)
		rc = ds_maps_add(out, DS_MAP_INPUT, t->rank - lead, t->dim + lead, &m, err);
	if (rc == DS_OK) {
		m->has_sign = true;
		m->base_score = w.base_score;
		rc = integrate(&w, m);
	}
	walk_done(&w);
	return rc;
}

/* ---- SmoothGrad ------------------------------------------------------------------------------------------------------------------- */
static void noisy(const walk *w, int64_t i, int64_t count, float *row)
{
	const float *a = w->in.data;
	ds_rng r = ds_rng_init(w->x->o.seed, (uint64_t)i);
	(void)count;
	for (int64_t e = 0; e < w->n; e++)
		row[e] = (float)((double)a[e] + w->sigma * ds_rng_normal(&r));
}

static ds_status smooth(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	walk w;
	ds_map *m;
	DS_TRY(walk_init(&w, x, it, target, err));
	const float *a = w.in.data;
	double lo = HUGE_VAL, hi = -HUGE_VAL;
	for (int64_t e = 0; e < w.n; e++) {
		lo = fmin(lo, (double)a[e]);
		hi = fmax(hi, (double)a[e]);
	}
	w.sigma = hi > lo ? x->o.noise * (hi - lo) : 0;
	int64_t count = DS_MAX(x->o.samples, 1);
	ds_status rc = add_up(&w, count, noisy);
	if (rc == DS_OK) {
		for (int64_t e = 0; e < w.n; e++)
			w.base[e] = (float)(w.sum[e] / (double)count);
		rc = ds_explain_sizes(x, &it->in[x->input], w.base, out, &m, err);
	}
	if (rc == DS_OK)
		m->runs = count;
	walk_done(&w);
	return rc;
}

const ds_method ds_method_integrated_gradients = { "integrated-gradients", ds_explain_float_input, integrated,
	"gradient along the way from a baseline; adds up to the difference of scores" };
const ds_method ds_method_smoothgrad = { "smoothgrad", ds_explain_float_input, smooth, "saliency, averaged over noisy copies" };
