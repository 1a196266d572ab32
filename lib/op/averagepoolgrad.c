/* averagepoolgrad.c - ds.AveragePoolGrad (poolgrad.h) */
#include "infer.h"
#include "poolgrad.h"

struct attr { ds_pool_attr pool; ds_ints shape; };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_ints *s = &DS_A(struct attr, n)->shape;
	if (!ds_nn_is_float(in[0].type.dtype) || s->n < 3 || s->n > 5)
		return ds_fail(err, DS_E_INPUT, "%s of %s with a shape of %d dims", n->op_name, ds_dtype_name(in[0].type.dtype), s->n);
	ds_arg x = { true, ds_type_make(in[0].type.dtype, s->n, s->v), NULL };
	ds_type y[1];
	for (int i = 0; i < s->n; i++)
		if (s->v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "%s: shape with dim %lld", n->op_name, (long long)s->v[i]);
	DS_TRY(ds_window_infer(n, &x, y, err));
	if (ds_type_concrete(&in[0].type) && !ds_type_same_dims(&y[0], &in[0].type))
		return ds_fail(err, DS_E_INPUT, "%s: dims are not those of the pooling's result", n->op_name);
	out[0] = x.type;
	return DS_OK;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_pool_grad(env, n, in[0], NULL, NULL, out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_nn_in_f32_scratch(n, in, out); }

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	*out_layout = DS_CHANNELS_LAST;
	return want[0] == DS_CHANNELS_LAST && out->dtype == DS_F32;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	*c = (ds_cost){ .flops = 2 * (double)ds_type_count(&out[0]), .act_bytes = 4 * (double)(ds_type_count(&out[0]) + ds_type_count(&in[0].type)) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_pool_grad_sample(g, seed, "AveragePoolGrad", false, err); }

static const ds_opt attrs[] = {
	DS_WINDOW_ROWS,
	DS_NN_INT(ds_pool_attr, count_include_pad, "count_include_pad", "0", 0, 1, "Padding counts in the mean"),
	DS_NN_INTS(struct attr, shape, "shape", DS_OPT_REQUIRED, "Dims of the result"),
	{ 0 }
};
static const ds_variant variants[] = { { .name = "averagepoolgrad.last", .match = match_last, .forward = forward_f32 }, { 0 } };

const ds_op ds_op_AveragePoolGrad = {
	.name = "AveragePoolGrad", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = sample,
};
