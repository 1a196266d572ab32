/* occlusion.c - what the score loses when a square is covered (Zeiler & Fergus 2014, arXiv:1311.2901)
 *
 * Squares of `patch` places begin every `stride` places; those at the far edges are cut off.  A place has the mean over the squares that cover it of
 * score(item) - score(item with the square replaced by the baseline).  No gradient is needed: it explains any model, integer kernels and all. */
#include "explain_int.h"

#include <math.h>
#include <string.h>

typedef struct grid { int64_t ph, pw, sh, sw, rows, cols; } grid;       /* patch, stride, how many */

static int64_t shifts(int64_t n, int64_t patch, int64_t stride)
{
	return n <= patch ? 1 : 1 + (n - patch + stride - 1) / stride;
}

static grid grid_of(const ds_explain_opts *o, const ds_plane *p)
{
	int64_t side = p->h == 1 ? p->w : DS_MIN(p->h, p->w);
	int64_t patch = o->patch > 0 ? o->patch : o->axes == DS_AXES_TC ? 1 : DS_MAX(side / 8, 1);
	int64_t stride = o->stride > 0 ? o->stride : DS_MAX(patch / 2, 1);
	grid g = { DS_MIN(patch, p->h), DS_MIN(patch, p->w), stride, stride, 0, 0 };
	g.rows = shifts(p->h, g.ph, g.sh);
	g.cols = shifts(p->w, g.pw, g.sw);
	return g;
}

/* `row` is the item; put the baseline into square i. */
static void cover(const ds_plane *p, const grid *g, int64_t i, const float *base, float *row)
{
	int64_t y0 = i / g->cols * g->sh, x0 = i % g->cols * g->sw;
	for (int64_t c = 0; c < p->channels; c++)
		for (int64_t y = y0; y < DS_MIN(y0 + g->ph, p->h); y++)
			for (int64_t k = x0; k < DS_MIN(x0 + g->pw, p->w); k++) {
				int64_t at = c * p->sc + y * p->sy + k * p->sx;
				row[at] = base[at];
			}
}

/* Means over the squares that cover a place. */
static ds_status gather(const ds_plane *p, const grid *g, const double *drop, float *out, ds_err *err)
{
	int64_t n = p->h * p->w;
	double *sum = ds_calloc((size_t)n + 1, sizeof *sum);
	int32_t *count = ds_calloc((size_t)n + 1, sizeof *count);
	if (!sum || !count) {
		ds_free(sum);
		ds_free(count);
		return ds_fail_nomem(err, 0);
	}
	for (int64_t i = 0; i < g->rows * g->cols; i++) {
		int64_t y0 = i / g->cols * g->sh, x0 = i % g->cols * g->sw;
		for (int64_t y = y0; y < DS_MIN(y0 + g->ph, p->h); y++)
			for (int64_t k = x0; k < DS_MIN(x0 + g->pw, p->w); k++) {
				sum[y * p->w + k] += drop[i];
				count[y * p->w + k]++;
			}
	}
	for (int64_t i = 0; i < n; i++)         /* a stride beyond the patch leaves gaps: nothing is known there */
		out[i] = count[i] ? (float)(sum[i] / count[i]) : 0;
	ds_free(sum);
	ds_free(count);
	return DS_OK;
}

/* Scores of the target with each square covered, a batch at a time. */
static ds_status drops(ds_explainer *x, const ds_explain_item *it, int64_t target, const ds_plane *p, const grid *g, double *drop, ds_err *err)
{
	int64_t n = ds_tensor_count(&it->in[x->input]), batch = ds_explain_batch(x, it), squares = g->rows * g->cols, e = x->classes.elements;
	float *base = ds_calloc((size_t)n + 1, sizeof *base), *rows = ds_calloc((size_t)(n * batch) + 1, sizeof *rows);
	float *v = ds_calloc((size_t)(e * batch) + 1, sizeof *v);
	ds_tensor in = { 0 };
	ds_status rc = base && rows && v ? ds_tensor_to_f32(&it->in[x->input], &in, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK)
		rc = ds_explain_baseline(x, &it->in[x->input], base, err);
	if (rc == DS_OK)
		rc = ds_explain_scores(x, it, in.data, 1, x->o.probability, v, err);
	double whole = rc == DS_OK ? (double)v[target] : 0;
	for (int64_t i = 0; rc == DS_OK && i < squares; i += batch) {
		int64_t some = DS_MIN(batch, squares - i);
		for (int64_t k = 0; k < some; k++) {
			memcpy(rows + k * n, in.data, (size_t)n * sizeof *rows);
			cover(p, g, i + k, base, rows + k * n);
		}
		rc = ds_explain_scores(x, it, rows, some, x->o.probability, v, err);
		for (int64_t k = 0; rc == DS_OK && k < some; k++)
			drop[i + k] = whole - (double)v[k * e + target];
	}
	ds_tensor_done(&in);
	ds_free(base);
	ds_free(rows);
	ds_free(v);
	return rc;
}

static ds_status occlusion(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	ds_plane p;
	ds_map *m;
	if (!ds_explain_plane(x, &it->in[x->input], &p))
		return ds_fail(err, DS_E_UNSUPPORTED, "occlusion of an input of more axes than a picture has");
	grid g = grid_of(&x->o, &p);
	double *drop = ds_calloc((size_t)(g.rows * g.cols) + 1, sizeof *drop);
	if (!drop)
		return ds_fail_nomem(err, 0);
	ds_status rc = drops(x, it, target, &p, &g, drop, err);
	if (rc == DS_OK)
		rc = ds_maps_add(out, DS_MAP_PLANE, 2, (int64_t[]){ p.h, p.w }, &m, err);
	if (rc == DS_OK) {
		m->has_sign = true;
		m->runs = g.rows * g.cols + 1;
		rc = gather(&p, &g, drop, m->t.data, err);
	}
	ds_free(drop);
	return rc;
}

const ds_method ds_method_occlusion = { "occlusion", ds_explain_float_input, occlusion, "what the score loses when a square is covered" };
