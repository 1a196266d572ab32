/* hardmax.c - Hardmax (ONNX 13): 1 at the first largest value along one axis, 0 elsewhere */
#include "softmax.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_softmax_forward(env, n, DS_HARDMAX, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_softmax_sample(g, seed, "Hardmax", err); }

const ds_op ds_op_Hardmax = {
	.name = "Hardmax", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_softmax_attr), .attrs = ds_softmax_attrs,
	.infer = ds_softmax_infer, .scratch = ds_softmax_scratch, .forward = forward,
	.cost = ds_softmax_cost, .channels = ds_softmax_channels, .sample = sample,
};
