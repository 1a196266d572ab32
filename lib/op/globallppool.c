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

ds_value *ds_lp_share(ds_emit *e, int64_t p, ds_value *y, ds_value *dy, ds_dtype d)
{
	ds_value *zero = ds_emit_scalar(e, d, 0);

	if (p == 1)
		return dy;
	return ds_emit3(e, "Where", ds_emit2(e, "Equal", y, zero), zero, ds_emit2(e, "Mul", dy, ds_emit2(e, "Pow", y, ds_emit_scalar(e, d, (double)(1 - p)))));
}

ds_value *ds_lp_slope(ds_emit *e, int64_t p, ds_value *x)
{
	ds_value *size;

	if (p == 2)
		return x;
	if (p == 1)
		return ds_emit1(e, "Sign", x);
	size = ds_emit2(e, "Pow", ds_emit1(e, "Abs", x), ds_emit_scalar(e, x->type.dtype, (double)(p - 1)));
	return ds_emit2(e, "Mul", ds_emit1(e, "Sign", x), size);
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

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	int64_t p = DS_A(ds_pool_attr, n)->p;

	din[0] = ds_emit2(&e, "Mul", ds_lp_slope(&e, p, n->in[0]), ds_lp_share(&e, p, n->out[0], dout[0], n->out[0]->type.dtype));
	return ds_emit_end(&e);
}

const ds_op ds_op_GlobalLpPool = {
	.name = "GlobalLpPool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_pool_attr), .attrs = attrs,
	.infer = ds_global_infer, .scratch = ds_global_scratch, .forward = forward, .variants = variants,
	.cost = ds_global_cost, .channels = ds_pool_channels, .gradient = gradient, .sample = sample,
};
