/* averagepool.c - AveragePool (ONNX 22): the mean of each window */
#include "pool.h"
#include "nnsample.h"
#include "poolgrad.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_pool_forward(env, n, DS_POOL_AVG, in[0], out[0], NULL, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return in[0]->dtype == DS_F64 ? forward_f32(env, n, in, out, err) : ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (!ds_nn_is_float(in[0].type.dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	return ds_window_infer(n, in, out, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	if (!dout[0] || !ds_nn_is_float(n->in[0]->type.dtype))
		return ds_fail(err, DS_E_UNSUPPORTED, "gradient of %s of %s", n->op_name, ds_dtype_name(n->in[0]->type.dtype));
	ds_pool_grad_emit(&e, n, dout[0], false, &din[0]);
	return ds_emit_end(&e);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_sample_window(g, seed, "AveragePool", seed % 5 == 4 ? DS_F16 : DS_F32, err);
}

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	return ds_nn_is_float(in[0].type.dtype) && ds_pool_match_last(n, in, out, want, out_layout);
}

static const ds_opt attrs[] = {
	DS_WINDOW_ROWS,
	DS_NN_INT(ds_pool_attr, count_include_pad, "count_include_pad", "0", 0, 1, "Padding counts in the mean"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "averagepool.last", .match = match_last, .forward = forward_f32 },
	{ 0 }
};

const ds_op ds_op_AveragePool = {
	.name = "AveragePool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_pool_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants,
	.gradient = gradient,	.cost = ds_pool_cost, .channels = ds_pool_channels, .sample = sample,
};
