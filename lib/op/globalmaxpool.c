/* globalmaxpool.c - GlobalMaxPool (ONNX 22): the largest value over all spatial axes */
#include "globalpool.h"
#include "grad.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_global_forward(env, n, DS_POOL_MAX, 1, in[0], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

/* A window over everything. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ds_type *x = &n->in[0]->type;
	ds_emit e = ds_emit_begin(g, err);
	if (!ds_nn_is_float(x->dtype) || x->rank < 3 || x->rank > 5)
		return ds_fail(err, DS_E_UNSUPPORTED, "gradient of %s of %s, rank %d", n->op_name, ds_dtype_name(x->dtype), x->rank);
	din[0] = ds_emit3(&e, "ds.MaxPoolGrad", dout[0], n->in[0], n->out[0]);
	ds_emit_is(&e, din[0], "kernel_shape", x->rank - 2, x->dim + 2);
	return ds_emit_end(&e);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_global_sample(g, seed, "GlobalMaxPool", err); }

static const ds_variant variants[] = {
	{ .name = "globalmaxpool.last", .match = ds_global_match_last, .forward = forward_f32 },
	{ 0 }
};

const ds_op ds_op_GlobalMaxPool = {
	.name = "GlobalMaxPool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.infer = ds_global_infer, .scratch = ds_global_scratch, .forward = forward, .variants = variants,
	.gradient = gradient,	.cost = ds_global_cost, .channels = ds_pool_channels, .sample = sample,
};
