/* softmax.c - Softmax (ONNX 13): exp(x - max) / sum along one axis; the loops of LogSoftmax and Hardmax too (softmax.h) */
#include "softmax.h"
#include "nnsample.h"
#include "nnmath.h"

#include <math.h>

enum { LANES = 8, COLUMNS = 64 };

struct job {
	ds_softmax_kind kind;
	int64_t         extent, inner, blocks;
	const float    *x;
	float          *y;
};

const ds_opt ds_softmax_attrs[] = {
	DS_NN_INT(ds_softmax_attr, axis, "axis", "-1", 0, 0, "Axis along which the values add up to one"),
	{ 0 }
};

static float row_max(const float *x, int64_t n)
{
	float m[LANES], best;
	int64_t i = 0;

	for (int k = 0; k < LANES; k++)
		m[k] = -INFINITY;
	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
	best = m[0];
	for (int k = 1; k < LANES; k++)
		best = m[k] > best ? m[k] : best;
	for (; i < n; i++)
		best = x[i] > best ? x[i] : best;
	return best;
}

/* Rows along the last axis. */
static void rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const float *x = j->x + r * j->extent;
		float *y = j->y + r * j->extent, max = row_max(x, j->extent), f;
		int64_t best = 0;

		if (j->kind == DS_HARDMAX) {
			for (int64_t i = j->extent - 1; i >= 0; i--)
				best = x[i] == max ? i : best;
			for (int64_t i = 0; i < j->extent; i++)
				y[i] = i == best ? 1.0f : 0.0f;
			continue;
		}
		if (j->kind == DS_LOGSOFTMAX) {
			float part[COLUMNS];
			double sum = 0;

			for (int64_t i = 0; i < j->extent; i += COLUMNS) {
				int64_t n = DS_MIN(COLUMNS, j->extent - i);

				for (int64_t k = 0; k < n; k++)
					part[k] = x[i + k] - max;
				ds_nn_exp(part, part, (size_t)n);
				sum += ds_nn_sum(part, n);
			}
			f = (float)log(sum);
			for (int64_t i = 0; i < j->extent; i++)
				y[i] = (x[i] - max) - f;
			continue;
		}
		for (int64_t i = 0; i < j->extent; i++)
			y[i] = x[i] - max;
		ds_nn_exp(y, y, (size_t)j->extent);
		f = (float)ds_nn_sum(y, j->extent);
		for (int64_t i = 0; i < j->extent; i++)
			y[i] = y[i] / f;
	}
}

/* Blocks of COLUMNS columns where the axis is not the last one. */
static void columns(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t b = i0; b < i1; b++) {
		int64_t c = b % j->blocks * COLUMNS, n = DS_MIN(COLUMNS, j->inner - c);
		const float *x = j->x + b / j->blocks * j->extent * j->inner + c;
		float *y = j->y + b / j->blocks * j->extent * j->inner + c, max[COLUMNS], part[COLUMNS];
		double sum[COLUMNS] = { 0 };
		int64_t best[COLUMNS] = { 0 };

		for (int64_t k = 0; k < n; k++)
			max[k] = j->extent ? x[k] : 0;
		for (int64_t i = 1; i < j->extent; i++)
			for (int64_t k = 0; k < n; k++)
				if (x[i * j->inner + k] > max[k]) {
					max[k] = x[i * j->inner + k];
					best[k] = i;
				}
		for (int64_t i = 0; i < j->extent; i++) {
			float *row = y + i * j->inner;

			for (int64_t k = 0; k < n; k++)
				part[k] = j->kind == DS_HARDMAX ? (best[k] == i ? 1.0f : 0.0f) : x[i * j->inner + k] - max[k];
			for (int64_t k = 0; k < n; k++)
				row[k] = part[k];
			if (j->kind == DS_HARDMAX)
				continue;
			ds_nn_exp(part, part, (size_t)n);
			for (int64_t k = 0; k < n; k++) {
				sum[k] += (double)part[k];
				if (j->kind == DS_SOFTMAX)
					row[k] = part[k];
			}
		}
		for (int64_t i = 0; i < j->extent && j->kind != DS_HARDMAX; i++)
			for (int64_t k = 0; k < n; k++) {
				float *v = y + i * j->inner + k;

				*v = j->kind == DS_SOFTMAX ? *v / (float)sum[k] : *v - (float)log(sum[k]);
			}
	}
}

void ds_softmax_along(ds_pool *pool, ds_softmax_kind kind, const ds_tensor *x, ds_tensor *y, int axis)
{
	struct job j = { .kind = kind, .x = x->data, .y = y->data };
	int64_t outer;

	ds_nn_split(x, axis, &outer, &j.extent, &j.inner);
	j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
	if (j.inner == 1)
		ds_nn_for(pool, outer, ds_nn_grain(outer, 4 * (double)j.extent), rows, &j);
	else
		ds_nn_for(pool, outer * j.blocks, ds_nn_grain(outer * j.blocks, 4.0 * COLUMNS * (double)j.extent), columns, &j);
}

ds_status ds_softmax_forward(const ds_env *env, const ds_node *n, ds_softmax_kind kind, const ds_tensor *x, ds_tensor *y, ds_err *err)
{
	int axis;

	if (x->dtype != DS_F32)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
	if (x->rank == 0) {
		*(float *)y->data = kind == DS_LOGSOFTMAX ? 0.0f : 1.0f;
		return DS_OK;
	}
	DS_TRY(ds_nn_axis(n, DS_A(ds_softmax_attr, n)->axis, x->rank, &axis, err));
	ds_softmax_along(env->pool, kind, x, y, axis);
	return DS_OK;
}

size_t ds_softmax_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

ds_status ds_softmax_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int axis;

	out[0] = in[0].type;
	if (!ds_nn_is_float(out[0].dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(out[0].dtype));
	return out[0].rank > 0 ? ds_nn_axis(n, DS_A(ds_softmax_attr, n)->axis, out[0].rank, &axis, err) : DS_OK;
}

void ds_softmax_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	double count = (double)ds_type_count(&out[0]);

	(void)n;
	(void)in;
	*cost = (ds_cost){ .flops = 4 * count, .act_bytes = 2 * count * (double)ds_dtype_size(out[0].dtype) };
}

int ds_softmax_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k = 0;

	(void)in;
	if (out[0].rank < 1 || ds_nn_axis(n, DS_A(ds_softmax_attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return 0;
	k = ds_nn_same(link, cap, k, 0, DS_SLOT_OUT, 0, axis);
	return ds_nn_same(link, cap, k, 0, DS_SLOT_OUT, axis + 1, out[0].rank);
}

ds_status ds_softmax_sample(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	ds_rng r = ds_sample_rng(op, seed);
	int rank = (int)(1 + seed % 4);
	int64_t dim[4];
	ds_value *x;
	ds_node *n;

	for (int i = 0; i < 4; i++)
		dim[i] = ds_sample_int(&r, 1, seed % 2 ? 6 : 70);
	if (seed % 2 == 0 && rank > 2)
		dim[0] = dim[1] = 2;
	x = ds_sample_input(g, seed % 5 == 4 ? DS_F16 : DS_F32, rank, dim);
	n = x ? ds_sample_node(g, "", op, 1, &x, 1) : NULL;
	if (!n)
		return ds_fail_nomem(err, 0);
	if (seed % 3)
		DS_TRY(ds_attr_i(n, "axis", ds_sample_int(&r, -rank, rank - 1)));
	return ds_node_parse(n, err);
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_softmax_forward(env, n, DS_SOFTMAX, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_softmax_sample(g, seed, "Softmax", err); }

const ds_op ds_op_Softmax = {
	.name = "Softmax", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_softmax_attr), .attrs = ds_softmax_attrs,
	.infer = ds_softmax_infer, .scratch = ds_softmax_scratch, .forward = forward,
	.cost = ds_softmax_cost, .channels = ds_softmax_channels, .gradient = ds_softmax_gradient, .sample = sample,
};
