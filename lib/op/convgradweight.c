/* convgradweight.c - ds.ConvGradWeight: the gradient of a convolution with respect to its weight (convgrad.h) */
#include "convgrad.h"
#include "infer.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = ds_conv_grad_type(n, in[0].type.dtype);
	return ds_conv_grad_check(n, &in[1].type, &out[0], &in[0].type, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[1]), w = ds_type_of(out[0]), y = ds_type_of(in[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	if ((x.dtype != DS_F32 && x.dtype != DS_F64) || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of type %s", n->op_name, ds_dtype_name(x.dtype));
	ds_conv_grad_weight_ref(env->pool, &g, x.dtype, in[0]->data, in[1]->data, out[0]->data);
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_conv_grad_sample(g, "ConvGradWeight", seed, err); }

const ds_op ds_op_ConvGradWeight = {
	.name = "ConvGradWeight", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_conv_grad_attr),
	.attrs = ds_conv_grad_attrs, .infer = infer, .forward = forward, .variants = ds_conv_grad_weight_variants, .cost = ds_conv_grad_cost, .sample = sample,
};
