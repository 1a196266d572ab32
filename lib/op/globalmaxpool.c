/* globalmaxpool.c - GlobalMaxPool (ONNX 22): the largest value over all spatial axes */
#include "globalpool.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_global_forward(env, n, DS_POOL_MAX, 1, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_global_sample(g, seed, "GlobalMaxPool", err); }

static const ds_variant variants[] = {
	{ .name = "globalmaxpool.last", .match = ds_global_match_last, .forward = forward_f32 },
	{ 0 }
};

const ds_op ds_op_GlobalMaxPool = {
	.name = "GlobalMaxPool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.infer = ds_global_infer, .scratch = ds_global_scratch, .forward = forward, .variants = variants,
	.cost = ds_global_cost, .channels = ds_pool_channels, .sample = sample,
};
