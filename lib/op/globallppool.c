/* globallppool.c - GlobalLpPool (ONNX 22): the p-norm over all spatial axes */
#include "globalpool.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_global_forward(env, n, DS_POOL_LP, DS_A(ds_pool_attr, n)->p, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_global_sample(g, seed, "GlobalLpPool", err); }

static const ds_variant variants[] = {
	{ .name = "globallppool.last", .match = ds_global_match_last, .forward = forward_f32 },
	{ 0 }
};

static const ds_opt attrs[] = {
	DS_NN_INT(ds_pool_attr, p, "p", "2", 1, 64, "Order of the norm"),
	{ 0 }
};

const ds_op ds_op_GlobalLpPool = {
	.name = "GlobalLpPool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_pool_attr), .attrs = attrs,
	.infer = ds_global_infer, .scratch = ds_global_scratch, .forward = forward, .variants = variants,
	.cost = ds_global_cost, .channels = ds_pool_channels, .sample = sample,
};
