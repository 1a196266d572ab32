/* mean.c - Mean: mean of the inputs, summed from left to right */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, sum, SAME, (void)arg, x + y, x + y)
DS_EW_FLOATS(DS_EW1_ROW, part, SAME, const int n_in = *(const int *)arg, x / (float)n_in, x / n_in)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sum) }, .same = 1 };
static const ds_ew divide = { .fn = { DS_EW_FN_FLOATS(part) }, .same = 1 };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_ew_infer(&ew, n, in, out, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *total = out[0];

	DS_TRY(ds_ew_fold(&ew, env, n, in, out, err));
	return ds_ew_run(&divide, env->pool, 1, &total, out[0], &n->n_in, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_ew_sample(&ew, g, "Mean", 1 + (int)(seed % 3), seed, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *part = ds_emit2(&e, "Div", dout[0], ds_emit_scalar(&e, n->out[0]->type.dtype, n->n_in));

	for (int i = 0; i < n->n_in; i++)
		din[i] = ds_emit_reduce_to(&e, part, &n->out[0]->type, &n->in[i]->type);
	return ds_emit_end(&e);
}

const ds_op ds_op_Mean = {
	.name = "Mean", .domain = "", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .gradient = gradient, .sample = sample,
};
