/* batchnormtrain.c - ds.BatchNormTrain: batch normalisation with the statistics of the batch, and what its gradient needs
 *
 * X [N, C, ...], scale, B, mean, var [C] -> Y, new_mean, new_var, batch_mean, batch_inv_std.  f32.
 * batch_var is the population variance (divided by the number of positions); new_mean = mean * momentum + batch_mean * (1 - momentum) and new_var the same with batch_var: the
 * rule of ONNX BatchNormalization with training_mode = 1 (others keep the unbiased variance).  batch_inv_std = 1 / sqrt(batch_var + epsilon).
 * Y = (X - batch_mean) * (scale * batch_inv_std) + B; relu = 1: 0 where that is <= 0 (a NaN stays). */
#include "batchnorm.h"
#include "infer.h"
#include "nnsample.h"
#include "grad.h"

#include <math.h>

struct attr { double epsilon, momentum; int64_t relu; };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_batchnorm_check(n, in, 1, 5, err));
	if (in[0].type.dtype != DS_F32)
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	out[0] = in[0].type;
	for (int i = 1; i < n->n_out; i++)
		out[i] = in[1].type;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_chan_scratch(&in[0].type) + (size_t)ds_pad64((uint64_t)ds_type_count(&in[1].type) * sizeof(float) * 3);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = n->a;
	ds_type t = ds_type_of(in[0]);
	ds_chan c = ds_chan_of(&t, in[0]->layout);
	const float *scale = in[1]->data, *run_mean = in[3]->data, *run_var = in[4]->data;
	double *sum = env->scratch, count = (double)(c.batch * c.inner);
	float *mean = (float *)(void *)((char *)env->scratch + ds_chan_scratch(&t)), *inv = mean + c.channels, *mult = inv + c.channels;
	if (in[0]->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	ds_chan_sums(env->pool, &c, &(ds_k_norm){ .what = DS_NORM_MOMENTS, .x = in[0]->data }, sum);
	for (int64_t i = 0; i < c.channels; i++) {
		double m = count > 0 ? sum[i] / count : 0, v = count > 0 ? fmax(sum[c.channels + i] / count - m * m, 0) : 0;
		float *to[5] = { NULL };
		for (int k = 1; k < n->n_out; k++)
			to[k] = out[k] ? (float *)out[k]->data + i : NULL;
		mean[i] = (float)m;
		inv[i] = (float)(1 / sqrt(v + a->epsilon));
		mult[i] = ds_batchnorm_factor(scale[i], inv[i]);
		if (to[1])
			*to[1] = (float)((double)run_mean[i] * a->momentum + m * (1 - a->momentum));
		if (to[2])
			*to[2] = (float)((double)run_var[i] * a->momentum + v * (1 - a->momentum));
		if (to[3])
			*to[3] = mean[i];
		if (to[4])
			*to[4] = inv[i];
	}
	ds_chan_map(env->pool, &c, &(ds_k_norm){ .what = DS_NORM_APPLY, .relu = a->relu != 0, .x = in[0]->data, .y = out[0]->data, .mean = mean, .a = mult, .b = in[2]->data });
	return DS_OK;
}

/* Sum of the terms that are there. */
static ds_value *plus(ds_emit *e, ds_value *a, ds_value *b) { return a && b ? ds_emit2(e, "Add", a, b) : a ? a : b; }
static ds_value *times(ds_emit *e, ds_value *a, double f) { return a ? ds_emit2(e, "Mul", a, ds_emit_f32(e, (float)f)) : NULL; }

/* What flows back through the statistics: dX from d batch_mean / n and d batch_var * 2 (X - mean) / n. */
static void statistics(ds_emit *e, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	const struct attr *a = n->a;
	const ds_type *x = &n->in[0]->type;
	ds_type row = { DS_F32, x->rank, { 0 } };
	double count = (double)ds_type_count(x) / (double)DS_MAX(x->rank > 1 ? x->dim[1] : 1, 1);
	for (int i = 0; i < x->rank; i++)
		row.dim[i] = i == 1 ? x->dim[1] : 1;
	ds_value *const *d = dout, *inv = n->out[4];
	din[3] = times(e, d[1], a->momentum);
	din[4] = times(e, d[2], a->momentum);
	ds_value *mean = plus(e, d[3], times(e, d[1], 1 - a->momentum)), *var = times(e, d[2], 1 - a->momentum), *dx = NULL;
	if (d[4])
		var = plus(e, var, times(e, ds_emit2(e, "Mul", d[4], ds_emit2(e, "Mul", inv, ds_emit2(e, "Mul", inv, inv))), -0.5));
	if (var) {
		ds_value *u = ds_emit2(e, "Sub", n->in[0], ds_emit_reshape(e, n->out[3], &row));
		dx = ds_emit2(e, "Mul", u, ds_emit_reshape(e, times(e, var, 2 / count), &row));
	}
	if (mean)
		dx = dx ? plus(e, dx, ds_emit_reshape(e, times(e, mean, 1 / count), &row)) : ds_emit_expand(e, ds_emit_reshape(e, times(e, mean, 1 / count), &row), x);
	din[0] = plus(e, din[0], dx);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	if (n->n_out < 5)
		return ds_fail(err, DS_E_INTERNAL, "%s without its statistics has no gradient", n->op_name);
	if (dout[0]) {
		ds_node *b = ds_emit_node(&e, "ds.BatchNormGrad", 6, (ds_value *[]){ dout[0], n->in[0], n->in[1], n->in[2], n->out[3], n->out[4] }, 3);
		ds_emit_i(&e, b ? b->out[0] : NULL, "relu", DS_A(struct attr, n)->relu);
		for (int i = 0; b && i < 3; i++)
			din[i] = b->out[i];
	}
	statistics(&e, n, dout, din);
	return ds_emit_end(&e);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);
	for (int i = 1; i < 5 && k < cap && in[0].type.rank > 1; i++)
		link[k++] = (ds_link){ DS_LINK_SAME, 0, 1, (int8_t)i, 0, 0 };
	return k;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);
	*c = (ds_cost){ .flops = 6 * count, .act_bytes = 3 * 4 * count };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("BatchNormTrain", seed);
	int64_t dim[4] = { ds_sample_int(&r, 2, 5), ds_sample_int(&r, 1, 40), ds_sample_int(&r, 2, 6), ds_sample_int(&r, 1, 6) };
	ds_value *in[5];
	in[0] = ds_sample_input(g, DS_F32, (int)(2 + seed % 3), dim);
	for (int i = 1; i < 5; i++)
		in[i] = ds_sample_weight(g, &r, DS_F32, 1, dim + 1, i == 4 ? 0.5 : -1, i == 4 ? 2 : 1);
	for (int i = 0; i < 5; i++)
		if (!in[i])
			return ds_fail_nomem(err, 0);
	ds_node *n = ds_graph_node(g, "ds", "BatchNormTrain", "n", 5, in, 5, NULL);
	for (int i = 0; n && i < 5; i++)
		DS_TRY(ds_graph_output(g, n->out[i]));
	if (!n || ds_attr_i(n, "relu", (int64_t)(seed % 2)) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_FLOAT(struct attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	DS_NN_FLOAT(struct attr, momentum, "momentum", "0.9", "Share that the running statistics keep"),
	DS_NN_INT(struct attr, relu, "relu", "0", 0, 1, "Rectify the result"),
	{ 0 }
};

const ds_op ds_op_BatchNormTrain = {
	.name = "BatchNormTrain", .domain = "ds", .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 5, .flags = DS_OP_ANY_LAYOUT,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .scratch = scratch, .forward = forward, .gradient = gradient, .cost = cost,
	.channels = channels, .sample = sample,
};
