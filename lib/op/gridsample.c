/* gridsample.c - GridSample (ONNX 22): values of an image or volume at given positions (Jaderberg et al. 2015) */
#include "draw.h"
#include "nn.h"

#include <math.h>

struct attr { int64_t align; int mode, padding; };
enum { LINEAR, NEAREST, CUBIC, BILINEAR, BICUBIC };
enum { ZEROS, BORDER, REFLECTION };
static const char *const modes[] = { "linear", "nearest", "cubic", "bilinear", "bicubic", NULL };
static const char *const paddings[] = { "zeros", "border", "reflection", NULL };

struct job {
	const struct attr *a;
	int          nd;
	int64_t      channels, dim[3], in_plane, points;
	const float *x, *grid;
	float       *y;
};

static double reflect(double x, double lo, double hi)
{
	double range = hi - lo, d, n;

	if (range <= 0)
		return lo;
	if (x >= lo && x <= hi)
		return x;
	d = x < lo ? lo - x : x - hi;
	n = floor(d / range);
	d -= n * range;
	return (fmod(n, 2) == 0) == (x < lo) ? lo + d : hi - d;
}

/* Index of a tap under the padding mode; -1: zero. */
static int64_t tap(const struct attr *a, int64_t i, int64_t len)
{
	if (i >= 0 && i < len)
		return i;
	if (a->padding == BORDER)
		return i < 0 ? 0 : len - 1;
	if (a->padding == REFLECTION) {
		double v = a->align ? reflect((double)i, 0, (double)(len - 1)) : reflect((double)i, -0.5, (double)len - 0.5);

		return DS_MIN(DS_MAX((int64_t)v, 0), len - 1);
	}
	return -1;
}

static void cubic(double t, double *w)
{
	const double A = -0.75;
	double u;

	for (int k = 0; k < 4; k++) {
		u = fabs(t + 1 - k);
		w[k] = u <= 1 ? ((A + 2) * u - (A + 3)) * u * u + 1 : ((A * u - 5 * A) * u + 8 * A) * u - 4 * A;
	}
}

/* Taps of one coordinate: returns how many. */
static int taps_of(const struct attr *a, float at, int64_t len, int64_t index[4], double w[4])
{
	double x = a->align ? ((double)at + 1) / 2 * (double)(len - 1) : (((double)at + 1) * (double)len - 1) / 2;
	double lo = a->align ? 0 : -0.5, hi = a->align ? (double)(len - 1) : (double)len - 0.5, f;
	int n = a->mode == NEAREST ? 1 : a->mode == CUBIC || a->mode == BICUBIC ? 4 : 2;

	if (!(fabs(x) < 1e9))
		x = x > 0 ? 1e9 : -1e9;
	if (n == 1)
		x = nearbyint(x);
	if (x < lo || x > hi) {
		if (a->padding == BORDER)
			x = fmin(fmax(x, 0), (double)(len - 1));
		else if (a->padding == REFLECTION)
			x = reflect(x, lo, hi);
	}
	f = floor(x);
	if (n == 1) {
		index[0] = tap(a, (int64_t)nearbyint(x), len);
		w[0] = 1;
		return 1;
	}
	if (n == 4) {
		cubic(x - f, w);
	} else {
		w[0] = 1 - (x - f);
		w[1] = x - f;
	}
	for (int k = 0; k < n; k++)
		index[k] = tap(a, (int64_t)f + k - (n == 4), len);
	return n;
}

/* Points [i0, i1) of (item, point). */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		const float *g = j->grid + i * j->nd, *x = j->x + i / j->points * j->channels * j->in_plane;
		float *y = j->y + i / j->points * j->channels * j->points + i % j->points, weight[64];
		int64_t index[3][4] = { { 0 } }, at[64];
		double w[3][4] = { { 1 }, { 1 }, { 1 } };
		int n[3] = { 1, 1, 1 }, count = 0;

		/* the grid holds x first, the axes end with x */
		for (int d = 0; d < j->nd; d++)
			n[3 - j->nd + d] = taps_of(j->a, g[j->nd - 1 - d], j->dim[3 - j->nd + d], index[3 - j->nd + d], w[3 - j->nd + d]);
		for (int a = 0; a < n[0]; a++)
			for (int b = 0; b < n[1]; b++)
				for (int c = 0; c < n[2]; c++) {
					if (index[0][a] < 0 || index[1][b] < 0 || index[2][c] < 0)
						continue;
					at[count] = (index[0][a] * j->dim[1] + index[1][b]) * j->dim[2] + index[2][c];
					weight[count++] = (float)(w[0][a] * w[1][b] * w[2][c]);
				}
		for (int64_t c = 0; c < j->channels; c++) {
			float sum = 0;

			for (int k = 0; k < count; k++)
				sum += weight[k] * x[c * j->in_plane + at[k]];
			y[c * j->points] = sum;
		}
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *x = in[0];
	struct job j = { .a = n->a, .nd = x->rank - 2, .channels = x->dim[1], .dim = { 1, 1, 1 }, .in_plane = 1, .points = 1,
		.x = x->data, .grid = in[1]->data, .y = out[0]->data };
	int64_t items;

	for (int d = 0; d < j.nd; d++) {
		j.dim[3 - j.nd + d] = x->dim[2 + d];
		j.in_plane *= x->dim[2 + d];
		j.points *= out[0]->dim[2 + d];
	}
	if (j.in_plane == 0 && ds_tensor_count(out[0]) > 0)
		return ds_fail(err, DS_E_INPUT, "%s of an empty tensor", n->op_name);
	items = x->dim[0] * j.points;
	ds_nn_for(env->pool, items, ds_nn_grain(items, 40 + 8 * (double)j.channels), run, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type, *g = &in[1].type;

	out[0] = *x;
	if (!ds_nn_is_float(x->dtype) || !ds_nn_is_float(g->dtype))
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
	if (x->rank < 0 || g->rank < 0) {
		out[0].rank = -1;
		return DS_OK;
	}
	if (x->rank != g->rank || x->rank < 3 || (g->dim[g->rank - 1] >= 0 && g->dim[g->rank - 1] != x->rank - 2))
		return ds_fail(err, DS_E_INPUT, "%s: the grid does not fit an input of rank %d", n->op_name, x->rank);
	if (x->rank > 5)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s: more than three spatial axes", n->op_name);
	for (int d = 2; d < x->rank; d++)
		out[0].dim[d] = g->dim[d - 1];
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	(void)out;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, 2);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int nd = seed % 3 == 2 ? 3 : 2;
	int64_t dim[5], grid[5];
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 5, 7, dim);
	ds_draw_dims(&s, 5, 5, grid);
	grid[0] = dim[0];
	grid[nd + 1] = nd;
	in[0] = ds_draw_input(&s, DS_F32, nd + 2, dim);
	in[1] = ds_draw_input(&s, DS_F32, nd + 2, grid);
	n = ds_draw_node(&s, "GridSample", 2, in, 1);
	ds_draw_s(&s, n, "mode", modes[seed % 3]);
	ds_draw_s(&s, n, "padding_mode", paddings[seed / 3 % 3]);
	ds_draw_i(&s, n, "align_corners", (int64_t)(seed % 2));
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(struct attr, align, "align_corners", "0", 0, 1, "-1 and 1 are the centres of the outermost elements, not their edges"),
	DS_NN_CHOICE(struct attr, mode, "mode", "linear", modes, "Interpolation"),
	DS_NN_CHOICE(struct attr, padding, "padding_mode", "zeros", paddings, "Values outside"),
	{ 0 }
};

const ds_op ds_op_GridSample = {
	.name = "GridSample", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .channels = channels, .sample = sample,
};
