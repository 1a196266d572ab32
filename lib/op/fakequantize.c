/* fakequantize.c - FakeQuantize (ds): x (f32, any dims) on the grid of scale (one value, or one per index of `axis`), see fakequant.h
 *
 * Its gradient is that of learned step size quantisation (Esser et al. 2020, arXiv:1902.08153): fakequantizegrad.c. */
#include "fakequant.h"
#include "grad.h"
#include "nnsample.h"

#include <math.h>

ds_status ds_fq_check(const ds_node *n, const ds_arg *x, const ds_arg *scale, ds_err *err)
{
	const ds_fq_attr *a = n->a;
	const ds_arg all[3] = { *x, *scale, { 0 } };

	if (a->q_min > 0 || a->q_max < 0 || a->q_min == a->q_max || a->q_min < -DS_FQ_CODES || a->q_max > DS_FQ_CODES)
		return ds_fail(err, DS_E_INPUT, "%s: codes from %lld to %lld", n->op_name, (long long)a->q_min, (long long)a->q_max);
	if (!ds_nn_is_float(x->type.dtype) || !ds_nn_is_float(scale->type.dtype) || scale->type.rank > 1)
		return ds_fail(err, DS_E_INPUT, "%s of %s with a scale of %s, rank %d", n->op_name, ds_dtype_name(x->type.dtype),
			ds_dtype_name(scale->type.dtype), scale->type.rank);
	if (scale->type.rank == 1 && scale->type.dim[0] == 0)
		return ds_fail(err, DS_E_INPUT, "%s: no scale", n->op_name);
	return ds_qdq_check(n, all, err);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_fq_check(n, &in[0], &in[1], err));
	out[0] = in[0].type;
	return DS_OK;
}

/* ---- forward -------------------------------------------------------------------------------------------------------------------- */
struct job { const float *x, *scale; float *y, lo, hi; };

static void row(void *arg, int64_t at, int64_t len, int64_t s0, int step)
{
	const struct job *j = arg;
	const float *x = j->x + at, *s = j->scale + s0, lo = j->lo, hi = j->hi;
	float *y = j->y + at;

	if (step == 0) {
		const float one = ds_fq_step(s[0]);

		for (int64_t i = 0; i < len; i++)
			y[i] = ds_fq_code(x[i], one, lo, hi) * one;
		return;
	}
	for (int64_t i = 0; i < len; i++) {
		const float one = ds_fq_step(s[i]);

		y[i] = ds_fq_code(x[i], one, lo, hi) * one;
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_fq_attr *a = n->a;
	struct job j = { in[0]->data, in[1]->data, out[0]->data, (float)a->q_min, (float)a->q_max };
	ds_qdq_split s;

	if (in[0]->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	DS_TRY(ds_qdq_make(n, in[0], in[1], &s, err));
	ds_qdq_each(env->pool, &s, row, &j);
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

/* ---- gradient ------------------------------------------------------------------------------------------------------------------- */
/* The factor on the gradient of a scale, 1 / sqrt(N Qp): N values share the scale (of an activation those of one sample, so that the batch does not
 * count), Qp is the largest code.  It brings steps of scales in proportion to those of weights (section 2.2 of the paper).  That holds for few codes.
 * With many, clipped values rule the gradient, each with Qp, and the scale itself is as 1 / Qp, so that its relative step grows as Qp^1.5: 8-bit
 * grids wander off.  Above FEW codes it is held at that of FEW. */
enum { FEW = 15 };

static double factor(const ds_fq_attr *a, const ds_type *x, const ds_type *scale)
{
	double n = (double)ds_type_count(x) / (double)DS_MAX(ds_type_count(scale), 1), top = (double)(a->q_max > 0 ? a->q_max : -a->q_min);

	if (a->per_sample && x->rank > 0 && x->dim[0] > 0)
		n /= (double)x->dim[0];
	return 1 / sqrt(fmax(n, 1) * top) * pow(fmin(FEW / top, 1), 1.5);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_node *d = ds_emit_node(&e, "ds.FakeQuantizeGrad", 3, (ds_value *[]){ dout[0], n->in[0], n->in[1] }, 2);

	if (!d)
		return ds_emit_end(&e);
	ds_emit_attrs(&e, d->out[0], n);
	ds_emit_f(&e, d->out[0], "factor", factor(n->a, &n->in[0]->type, &n->in[1]->type));
	din[0] = d->out[0];
	din[1] = d->out[1];
	return ds_emit_end(&e);
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);

	(void)n;
	*c = (ds_cost){ .flops = 5 * count, .weight_bytes = 4 * (double)ds_type_count(&in[1].type),
		.act_bytes = 2 * count * (double)ds_dtype_size(out[0].dtype) };
}

/* One scale or one per index of an axis; scales that are given from outside as well as parameters; steps of zero and below. */
static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("FakeQuantize", seed);
	ds_dtype d = seed % 7 == 6 ? DS_F16 : DS_F32;
	int64_t dim[4] = { ds_sample_int(&r, 1, 4), ds_sample_int(&r, 1, 20), ds_sample_int(&r, 1, 9), ds_sample_int(&r, 1, 40) };
	int axis = (int)ds_sample_int(&r, 0, 3), bits = 2 + (int)(seed % 7);
	bool rows = seed % 3 == 1, sign = seed % 2;
	ds_value *in[2] = { ds_sample_input(g, d, 4, dim), seed % 5 == 4 ? ds_sample_input(g, d, rows, dim + axis) :
		ds_sample_weight(g, &r, d, rows, dim + axis, seed % 8 == 7 ? -0.1 : 0.01, 0.5) };
	ds_node *n;

	if (!in[0] || !in[1] || !(n = ds_sample_node(g, "ds", "FakeQuantize", 2, in, 1)))
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_i(n, "axis", axis));
	DS_TRY(ds_attr_i(n, "q_min", sign ? -(INT64_C(1) << (bits - 1)) : 0));
	DS_TRY(ds_attr_i(n, "q_max", (INT64_C(1) << (bits - sign)) - 1));
	DS_TRY(ds_attr_i(n, "per_sample", !rows));
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(ds_fq_attr, grid.axis, "axis", "0", 0, 0, "Axis that the scales go along, where there are several"),
	DS_NN_INT(ds_fq_attr, per_sample, "per_sample", "0", 0, 1, "Axis 0 counts samples: they do not weigh in the gradient of the scale"),
	DS_NN_INT(ds_fq_attr, q_max, "q_max", "127", 0, 0, "Largest code"),
	DS_NN_INT(ds_fq_attr, q_min, "q_min", "-128", 0, 0, "Smallest code"),
	{ 0 }
};

const ds_op ds_op_FakeQuantize = {
	.name = "FakeQuantize", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.attr_size = sizeof(ds_fq_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .gradient = gradient, .cost = cost, .channels = ds_qdq_channels, .sample = sample,
};
