/* batchnormgrad.c - ds.BatchNormGrad: the gradient of ds.BatchNormTrain (Ioffe & Szegedy, "Batch Normalization", 2015, section 3)
 *
 * dY, X, scale, B, mean, inv_std (of the batch) -> dX, dscale, dB.  With u = X - mean, g = dY (relu = 1: 0 where the forward's result was cut, which is computed again),
 * n the positions of a channel and k = scale * inv_std:
 *     dB = sum g;  dscale = inv_std * sum g*u;  dX = k*g - k/n * sum g - u * (k/n * inv_std^2 * sum g*u)
 * frozen = 1: mean and inv_std do not depend on X (inference statistics), dX = k*g.  B is read with relu only. */
#include "batchnorm.h"
#include "infer.h"
#include "nnsample.h"

struct attr { int64_t frozen, relu; };

ds_status ds_batchnorm_check(const ds_node *n, const ds_arg *in, int from, int to, ds_err *err)
{
	const ds_type *x = &in[0].type;
	if (!ds_nn_is_float(x->dtype) || x->rank == 0)
		return ds_fail(err, DS_E_INPUT, "%s of %s, rank %d", n->op_name, ds_dtype_name(x->dtype), x->rank);
	for (int i = from; i < to; i++) {
		const ds_type *p = &in[i].type;
		if (!in[i].present)
			continue;
		if (p->dtype != x->dtype || (p->rank >= 0 && p->rank != 1))
			return ds_fail(err, DS_E_INPUT, "%s: parameter %d is %s of rank %d", n->op_name, i, ds_dtype_name(p->dtype), p->rank);
		int64_t c = x->rank < 0 ? DS_DIM_UNKNOWN : x->rank > 1 ? x->dim[1] : 1;
		if (p->rank == 1 && p->dim[0] >= 0 && c >= 0 && p->dim[0] != c)
			return ds_fail(err, DS_E_INPUT, "%s: parameter %d has %lld channels, the input %lld", n->op_name, i, (long long)p->dim[0], (long long)c);
	}
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_batchnorm_check(n, in, 2, 6, err));
	if (in[1].type.dtype != in[0].type.dtype)
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[1].type.dtype));
	out[0] = in[0].type;
	for (int i = 1; i < n->n_out; i++)
		out[i] = in[2].type;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_nn_in_f32_scratch(n, in, out) + ds_chan_scratch(&in[0].type) + (size_t)ds_pad64((uint64_t)ds_type_count(&in[2].type) * sizeof(float) * 4);
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = n->a;
	ds_type t = ds_type_of(in[0]);
	ds_chan c = ds_chan_of(&t, in[0]->layout);
	const float *scale = in[2]->data, *inv = in[5]->data;
	double *sum = env->scratch, count = (double)(c.batch * c.inner);
	float *mult = (float *)(void *)((char *)env->scratch + ds_chan_scratch(&t)), *k2 = mult + c.channels, *k3 = k2 + c.channels;
	ds_k_norm k = { .what = DS_NORM_GRAD, .relu = a->relu != 0, .x = in[1]->data, .dy = in[0]->data, .y = out[0]->data, .mean = in[4]->data, .a = mult,
		.b = in[3] ? in[3]->data : NULL, .k1 = mult, .k2 = k2, .k3 = k3 };
	if (in[0]->layout != out[0]->layout || in[1]->layout != in[0]->layout || (k.relu && !k.b))
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	for (int64_t i = 0; i < c.channels; i++)
		mult[i] = ds_batchnorm_factor(scale[i], inv[i]);
	ds_chan_sums(env->pool, &c, &k, sum);
	for (int64_t i = 0; i < c.channels; i++) {
		double f = a->frozen || count <= 0 ? 0 : (double)mult[i] / count, s = sum[i], su = sum[c.channels + i];
		k2[i] = (float)(f * s);
		k3[i] = (float)(f * (double)inv[i] * (double)inv[i] * su);
		if (n->n_out > 1 && out[1])
			((float *)out[1]->data)[i] = (float)((double)inv[i] * su);
		if (n->n_out > 2 && out[2])
			((float *)out[2]->data)[i] = (float)s;
	}
	k.what = DS_NORM_BACK;
	ds_chan_map(env->pool, &c, &k);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);
	k = ds_nn_same(link, cap, k, 1, DS_SLOT_OUT, 0, out[0].rank);
	for (int i = 2; i < n->n_in && k < cap && in[0].type.rank > 1; i++)
		if (in[i].present)
			link[k++] = (ds_link){ DS_LINK_SAME, 0, 1, (int8_t)i, 0, 0 };
	return k;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);
	*c = (ds_cost){ .flops = 10 * count, .act_bytes = 5 * 4 * count };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("BatchNormGrad", seed);
	int64_t dim[4] = { ds_sample_int(&r, 2, 5), ds_sample_int(&r, 1, 40), ds_sample_int(&r, 2, 6), ds_sample_int(&r, 1, 6) };
	ds_value *in[6];
	for (int i = 0; i < 2; i++)
		in[i] = ds_sample_input(g, DS_F32, (int)(2 + seed % 3), dim);
	for (int i = 2; i < 6; i++)
		in[i] = ds_sample_weight(g, &r, DS_F32, 1, dim + 1, i == 5 ? 0.5 : -1, i == 5 ? 2 : 1);
	for (int i = 0; i < 6; i++)
		if (!in[i])
			return ds_fail_nomem(err, 0);
	ds_node *n = ds_sample_node(g, "ds", "BatchNormGrad", 6, in, 3);
	if (!n || ds_attr_i(n, "relu", (int64_t)(seed % 2)) != DS_OK || ds_attr_i(n, "frozen", seed % 5 == 3) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(struct attr, frozen, "frozen", "0", 0, 1, "The statistics are constants"),
	DS_NN_INT(struct attr, relu, "relu", "0", 0, 1, "The result was rectified"),
	{ 0 }
};

const ds_op ds_op_BatchNormGrad = {
	.name = "BatchNormGrad", .domain = "ds", .min_in = 6, .max_in = 6, .min_out = 1, .max_out = 3, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .channels = channels,
	.sample = sample,
};
