/* logsoftmax.c - LogSoftmax (ONNX 13): the logarithm of Softmax, computed without leaving the logarithm */
#include "softmax.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_softmax_forward(env, n, DS_LOGSOFTMAX, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_softmax_sample(g, seed, "LogSoftmax", err); }

const ds_op ds_op_LogSoftmax = {
	.name = "LogSoftmax", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_softmax_attr), .attrs = ds_softmax_attrs,
	.infer = ds_softmax_infer, .scratch = ds_softmax_scratch, .forward = forward,
	.cost = ds_softmax_cost, .channels = ds_softmax_channels, .gradient = ds_softmax_gradient, .sample = sample,
};
