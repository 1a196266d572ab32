/* softmax_grad.c - ds.SoftmaxGrad and ds.LogSoftmaxGrad: from the output y and its gradient along one axis
 *
 *     Softmax:     dx = y (dy - sum(dy y))
 *     LogSoftmax:  dx = dy - e^y sum(dy)
 * Inputs y, dy f32 (f16, bf16, f64 through f32) of one shape; sums are f64 in the order of the axis (columns) or of eight lanes (rows). */
#include "grad.h"
#include "nnmath.h"
#include "nnsample.h"
#include "softmax.h"

#include <string.h>

enum { LANES = 8, COLUMNS = 64 };

struct job {
	bool         log;
	int64_t      extent, inner, blocks;
	const float *y, *dy;
	float       *dx;
};

static double dot(const float *a, const float *b, int64_t n)
{
	double s[LANES] = { 0 }, sum = 0;
	int64_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			s[k] += (double)a[i + k] * (double)b[i + k];
	for (int k = 0; i < n; i++, k++)
		s[k] += (double)a[i] * (double)b[i];
	for (int k = 0; k < LANES; k++)
		sum += s[k];
	return sum;
}

static void rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	int64_t n = j->extent;

	for (int64_t r = i0; r < i1; r++) {
		const float *y = j->y + r * n, *dy = j->dy + r * n;
		float *dx = j->dx + r * n, s = (float)(j->log ? ds_nn_sum(dy, n) : dot(y, dy, n));

		if (j->log) {
			ds_nn_exp(dx, y, (size_t)n);
			for (int64_t i = 0; i < n; i++)
				dx[i] = dy[i] - dx[i] * s;
		} else {
			for (int64_t i = 0; i < n; i++)
				dx[i] = y[i] * (dy[i] - s);
		}
	}
}

/* Blocks of COLUMNS columns where the axis is not the last one. */
static void columns(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	for (int64_t b = i0; b < i1; b++) {
		int64_t c = b % j->blocks * COLUMNS, n = DS_MIN(COLUMNS, j->inner - c), at = b / j->blocks * j->extent * j->inner + c;
		const float *y = j->y + at, *dy = j->dy + at;
		double sum[COLUMNS] = { 0 };
		float s[COLUMNS], e[COLUMNS];

		for (int64_t i = 0; i < j->extent; i++)
			for (int64_t k = 0; k < n; k++)
				sum[k] += (double)dy[i * j->inner + k] * (j->log ? 1.0 : (double)y[i * j->inner + k]);
		for (int64_t k = 0; k < n; k++)
			s[k] = (float)sum[k];
		for (int64_t i = 0; i < j->extent; i++) {
			const float *yi = y + i * j->inner, *dyi = dy + i * j->inner;
			float *dx = j->dx + at + i * j->inner;

			if (j->log)
				ds_nn_exp(e, yi, (size_t)n);
			for (int64_t k = 0; k < n; k++)
				dx[k] = j->log ? dyi[k] - e[k] * s[k] : yi[k] * (dyi[k] - s[k]);
		}
	}
}

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .log = strcmp(n->op_name, "LogSoftmaxGrad") == 0, .y = in[0]->data, .dy = in[1]->data, .dx = out[0]->data };
	int64_t outer;
	int axis;

	if (in[0]->rank == 0) {
		*j.dx = 0;
		return DS_OK;
	}
	DS_TRY(ds_nn_axis(n, DS_A(ds_softmax_attr, n)->axis, in[0]->rank, &axis, err));
	ds_nn_split(in[0], axis, &outer, &j.extent, &j.inner);
	j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
	if (j.inner == 1)
		ds_nn_for(env->pool, outer, ds_nn_grain(outer, 4 * (double)j.extent), rows, &j);
	else
		ds_nn_for(env->pool, outer * j.blocks, ds_nn_grain(outer * j.blocks, 4.0 * COLUMNS * (double)j.extent), columns, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, run);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (in[0].type.dtype != in[1].type.dtype || (in[0].type.rank >= 0 && in[1].type.rank >= 0 && in[0].type.rank != in[1].type.rank))
		return ds_fail(err, DS_E_INPUT, "%s: the inputs are not of one type", n->op_name);
	return ds_softmax_infer(n, in, out, err);
}

ds_status ds_softmax_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit2(&e, strcmp(n->op_name, "Softmax") == 0 ? "ds.SoftmaxGrad" : "ds.LogSoftmaxGrad", n->out[0], dout[0]);
	ds_emit_i(&e, din[0], "axis", DS_A(ds_softmax_attr, n)->axis);
	return ds_emit_end(&e);
}

static ds_status sample_of(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	ds_rng r = ds_sample_rng(op, seed);
	int rank = (int)(1 + seed % 4);
	int64_t dim[4];
	ds_value *in[2];
	ds_node *n;

	for (int i = 0; i < rank; i++)
		dim[i] = ds_sample_int(&r, 1, i + 1 == rank || seed % 2 ? 70 : 5);
	for (int i = 0; i < 2; i++) {
		ds_type t = ds_type_make(seed % 5 == 4 ? DS_F16 : DS_F32, rank, dim);

		in[i] = ds_graph_input(g, i ? "dy" : "y", &t);
	}
	n = in[0] && in[1] ? ds_sample_node(g, "ds", op, 2, in, 1) : NULL;
	if (!n)
		return ds_fail_nomem(err, 0);
	if (seed % 3)
		DS_TRY(ds_attr_i(n, "axis", ds_sample_int(&r, -rank, rank - 1)));
	return ds_node_parse(n, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "SoftmaxGrad", err); }
static ds_status sample_log(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "LogSoftmaxGrad", err); }

const ds_op ds_op_SoftmaxGrad = {
	.name = "SoftmaxGrad", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_softmax_attr), .attrs = ds_softmax_attrs,
	.infer = infer, .scratch = ds_softmax_scratch, .forward = forward, .cost = ds_softmax_cost, .sample = sample,
};

const ds_op ds_op_LogSoftmaxGrad = {
	.name = "LogSoftmaxGrad", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_softmax_attr), .attrs = ds_softmax_attrs,
	.infer = infer, .scratch = ds_softmax_scratch, .forward = forward, .cost = ds_softmax_cost, .sample = sample_log,
};
