/* lppool.c - LpPool (ONNX 22): the p-norm of each window */
#include "globalpool.h"
#include "nnsample.h"

#include <string.h>

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_pool_forward(env, n, DS_POOL_LP, in[0], out[0], NULL, err);
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

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_sample_window(g, seed, "LpPool", seed % 5 == 4 ? DS_F16 : DS_F32, err);
}

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	return ds_nn_is_float(in[0].type.dtype) && ds_pool_match_last(n, in, out, want, out_layout);
}

static const ds_opt attrs[] = {
	DS_WINDOW_ROWS,
	DS_NN_INT(ds_pool_attr, p, "p", "2", 1, 64, "Order of the norm"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "lppool.last", .match = match_last, .forward = forward_f32 },
	{ 0 }
};

/* A sum over the windows that saw an element is the gradient of a mean over windows of as many as the sum of ones says. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const ds_type *x = &n->in[0]->type;
	int64_t p = DS_A(ds_pool_attr, n)->p;
	ds_value *share = ds_lp_share(&e, p, n->out[0], dout[0], x->dtype), *ones = ds_emit_expand(&e, ds_emit_scalar(&e, x->dtype, 1), x), *many, *sum;

	many = ds_emit1(&e, "LpPool", ones);
	ds_emit_i(&e, many, "p", 1);
	ds_emit_attrs(&e, many, n);
	sum = ds_emit1(&e, "ds.AveragePoolGrad", ds_emit2(&e, "Mul", share, many));
	ds_emit_is(&e, sum, "shape", x->rank, x->dim);
	for (int i = 0; e.rc == DS_OK && i < n->n_attr; i++)    /* all but the order of the norm */
		if (strcmp(n->attr[i].key, "p") != 0)
			ds_emit_attr(&e, sum, &n->attr[i]);
	din[0] = ds_emit2(&e, "Mul", ds_lp_slope(&e, p, n->in[0]), sum);
	return ds_emit_end(&e);
}

const ds_op ds_op_LpPool = {
	.name = "LpPool", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_pool_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants,
	.cost = ds_pool_cost, .channels = ds_pool_channels, .gradient = gradient, .sample = sample,
};
