/* maxpoolgrad.c - ds.MaxPoolGrad (poolgrad.h) */
#include "infer.h"
#include "poolgrad.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_type y[1];
	for (int i = 0; i < 3; i++)
		if (!ds_nn_is_float(in[i].type.dtype) || in[i].type.dtype != in[0].type.dtype)
			return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[i].type.dtype));
	ds_node one = *n;
	one.n_out = 1;
	DS_TRY(ds_window_infer(&one, in + 1, y, err));
	if (ds_type_concrete(&y[0]) && ((ds_type_concrete(&in[0].type) && !ds_type_same_dims(&y[0], &in[0].type)) ||
		(ds_type_concrete(&in[2].type) && !ds_type_same_dims(&y[0], &in[2].type))))
		return ds_fail(err, DS_E_INPUT, "%s: dims are not those of the pooling's result", n->op_name);
	out[0] = in[1].type;
	return DS_OK;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_pool_grad(env, n, in[0], in[1], in[2], out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_nn_in_f32_scratch(n, in, out); }

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	if (want[1] != DS_CHANNELS_LAST || in[1].type.dtype != DS_F32)
		return false;
	want[0] = want[2] = *out_layout = DS_CHANNELS_LAST;
	return true;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	*c = (ds_cost){ .flops = 2 * (double)ds_type_count(&out[0]), .act_bytes = 4 * (2 * (double)ds_type_count(&out[0]) + 2 * (double)ds_type_count(&in[0].type)) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_pool_grad_sample(g, seed, "MaxPoolGrad", true, err); }

static const ds_opt attrs[] = {
	DS_WINDOW_ROWS,
	DS_NN_INT(ds_pool_attr, storage_order, "storage_order", "0", 0, 1, "No meaning here: of the forward operator"),
	{ 0 }
};
static const ds_variant variants[] = { { .name = "maxpoolgrad.last", .match = match_last, .forward = forward_f32 }, { 0 } };

const ds_op ds_op_MaxPoolGrad = {
	.name = "MaxPoolGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_pool_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = sample,
};
