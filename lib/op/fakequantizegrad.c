/* fakequantizegrad.c - FakeQuantizeGrad (ds): dy, x, scale -> dx, dscale; the gradients of FakeQuantize
 *
 * With u = x / step:  dx = dy where q_min <= u <= q_max, else 0 (ste.h);  dscale = factor * sum of dy * (rint(u) - u) inside, dy * q_min or dy *
 * q_max outside, the sum over all values that share the scale (Esser et al. 2020, arXiv:1902.08153, equations 3 and 5).  A NaN of x makes dscale
 * NaN.  Terms are f32, their sums f64 (in eight lanes, then pieces in the order of memory), so that neither threads nor, but for a last digit, the
 * layout shows; pieces are cut by the shape alone. */
#include "fakequant.h"
#include "nnsample.h"
#include "ste.h"

#include <string.h>

enum {
	PIECE = 4096,           /* elements of a piece where one scale serves long runs */
	ROWS = 64,              /* rows of a piece where each element of a row has its own scale */
	TERMS = 256, LANES = 8,
};

struct job {
	const float *dy, *x, *scale;
	float       *dx, *dscale;
	double      *part;      /* [pieces] or [pieces][extent] */
	float        lo, hi;
	double       factor;
	ds_qdq_split s;
	int64_t      len, pieces;       /* elements of a run with one scale, pieces of it */
};

/* One run with one step: dx, and the sum of what goes to the scale. */
static double run(const struct job *j, int64_t at, int64_t len, float step)
{
	float term[TERMS];
	double lane[LANES] = { 0 };
	const float lo = j->lo, hi = j->hi;
	double sum = 0;

	for (int64_t i0 = 0; i0 < len; i0 += TERMS) {
		const float *x = j->x + at + i0, *dy = j->dy + at + i0;
		float *dx = j->dx + at + i0;
		int n = (int)DS_MIN(TERMS, len - i0);

		for (int i = 0; i < n; i++) {
			const float u = x[i] / step, c = ds_fq_clamp(u, lo, hi), g = dy[i];

			term[i] = g * (ds_rint_small(c) - (c == u ? u : 0.0f));        /* outside, c is a limit and whole */
			dx[i] = ds_ste(g, u, lo, hi);
		}
		for (int i = n; i < (n + LANES - 1) / LANES * LANES; i++)
			term[i] = 0;
		for (int i = 0; i < n; i += LANES)
			for (int l = 0; l < LANES; l++)
				lane[l] += (double)term[i + l];
	}
	for (int l = 0; l < LANES; l++)
		sum += lane[l];
	return sum;
}

/* Runs with one scale each, cut into pieces. */
static void long_runs(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		int64_t r = i / j->pieces, from = i % j->pieces * PIECE, len = DS_MIN(PIECE, j->len - from);
		float scale = j->scale[j->s.tensor ? 0 : r % j->s.extent];

		j->part[i] = run(j, r * j->len + from, len, ds_fq_step(scale));
	}
}

/* Rows in which each element has its own scale. */
static void short_runs(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const int64_t n = j->s.extent;
	const float lo = j->lo, hi = j->hi;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		double *part = j->part + i * n;

		memset(part, 0, (size_t)n * sizeof *part);
		for (int64_t r = i * ROWS; r < DS_MIN((i + 1) * ROWS, j->s.outer); r++) {
			const float *x = j->x + r * n, *dy = j->dy + r * n;
			float *dx = j->dx + r * n;

			for (int64_t k = 0; k < n; k++) {
				const float u = x[k] / ds_fq_step(j->scale[k]), c = ds_fq_clamp(u, lo, hi), g = dy[k];

				part[k] += (double)(g * (ds_rint_small(c) - (c == u ? u : 0.0f)));
				dx[k] = ds_ste(g, u, lo, hi);
			}
		}
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_fq_attr *a = n->a;
	struct job j = { .dy = in[0]->data, .x = in[1]->data, .scale = in[2]->data, .dx = out[0]->data, .dscale = out[1]->data, .part = env->scratch,
		.lo = (float)a->q_min, .hi = (float)a->q_max, .factor = a->factor };
	int64_t count = ds_tensor_count(in[1]), scales = ds_tensor_count(in[2]), blocks;

	if (in[0]->layout != in[1]->layout || in[1]->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	DS_TRY(ds_qdq_make(n, in[1], in[2], &j.s, err));
	memset(j.dscale, 0, (size_t)scales * sizeof *j.dscale);
	if (count == 0)
		return DS_OK;
	if (!j.s.tensor && j.s.inner == 1) {
		blocks = (j.s.outer + ROWS - 1) / ROWS;
		ds_nn_for(env->pool, blocks, 1, short_runs, &j);
		for (int64_t k = 0; k < scales; k++) {
			double sum = 0;

			for (int64_t b = 0; b < blocks; b++)
				sum += j.part[b * j.s.extent + k];
			j.dscale[k] = (float)(sum * j.factor);
		}
		return DS_OK;
	}
	j.len = j.s.inner;
	j.pieces = (j.len + PIECE - 1) / PIECE;
	blocks = j.s.outer * j.s.extent * j.pieces;
	ds_nn_for(env->pool, blocks, ds_nn_grain(blocks, 2.0 * (double)DS_MIN(j.len, PIECE)), long_runs, &j);
	for (int64_t k = 0; k < scales; k++) {
		double sum = 0;

		for (int64_t o = 0; o < j.s.outer; o++)
			for (int64_t p = 0; p < j.pieces; p++)
				sum += j.part[(o * j.s.extent + k) * j.pieces + p];
		j.dscale[k] = (float)(sum * j.factor);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

/* Parts for either order of memory: runs of [outer][extent], or blocks of rows of [extent] numbers. */
static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	int64_t count = ds_type_count(&in[1].type), scales = ds_type_count(&in[2].type), outer = 1;
	const ds_fq_attr *a = n->a;

	(void)threads;
	int64_t axis = a->grid.axis < 0 ? a->grid.axis + in[1].type.rank : a->grid.axis;
	for (int64_t i = 0; scales > 1 && i < axis && i < in[1].type.rank; i++)
		outer *= in[1].type.dim[i];
	int64_t parts = count / PIECE + 1 + (scales > 1 ? outer * scales + count / ROWS + 2 * scales : 0);
	return ds_nn_in_f32_scratch(n, in, out) + (size_t)parts * sizeof(double) + 64;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_fq_check(n, &in[1], &in[2], err));
	if (ds_type_concrete(&in[0].type) && ds_type_concrete(&in[1].type) && !ds_type_same_dims(&in[0].type, &in[1].type))
		return ds_fail(err, DS_E_INPUT, "%s: a gradient of other dims than the value", n->op_name);
	out[0] = in[1].type;
	out[1] = in[2].type;
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);

	(void)n;
	*c = (ds_cost){ .flops = 10 * count, .weight_bytes = 4 * (double)ds_type_count(&in[2].type),
		.act_bytes = 3 * count * (double)ds_dtype_size(out[0].dtype) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("FakeQuantizeGrad", seed);
	ds_dtype d = seed % 7 == 6 ? DS_F16 : DS_F32;
	int64_t dim[4] = { ds_sample_int(&r, 1, 4), ds_sample_int(&r, 1, 20), ds_sample_int(&r, 1, 30), ds_sample_int(&r, 1, 40) };
	int axis = (int)ds_sample_int(&r, 0, 3);
	bool rows = seed % 3 == 1, sign = seed % 2;
	ds_value *in[3] = { ds_sample_input(g, d, 4, dim), ds_sample_input(g, d, 4, dim), ds_sample_weight(g, &r, d, rows, dim + axis, 0.1, 0.5) };
	ds_node *n;

	if (!in[0] || !in[1] || !in[2] || !(n = ds_sample_node(g, "ds", "FakeQuantizeGrad", 3, in, 2)))
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_i(n, "axis", axis));
	DS_TRY(ds_attr_i(n, "q_min", sign ? -8 : 0));
	DS_TRY(ds_attr_i(n, "q_max", sign ? 7 : 15));
	DS_TRY(ds_attr_f(n, "factor", 0.125));
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(ds_fq_attr, grid.axis, "axis", "0", 0, 0, "Axis that the scales go along, where there are several"),
	DS_NN_FLOAT(ds_fq_attr, factor, "factor", "1", "Factor on the gradient of the scale"),
	DS_NN_INT(ds_fq_attr, per_sample, "per_sample", "0", 0, 1, "As in FakeQuantize; counted in factor"),
	DS_NN_INT(ds_fq_attr, q_max, "q_max", "127", 0, 0, "Largest code"),
	DS_NN_INT(ds_fq_attr, q_min, "q_min", "-128", 0, 0, "Smallest code"),
	{ 0 }
};

const ds_op ds_op_FakeQuantizeGrad = {
	.name = "FakeQuantizeGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 2, .max_out = 2, .flags = DS_OP_ANY_LAYOUT,
	.attr_size = sizeof(ds_fq_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .sample = sample,
};
