/* sum.c - Sum: sum of the inputs, from left to right */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, sum, SAME, (void)arg, x + y, x + y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sum) }, .same = 1 };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_ew_infer(&ew, n, in, out, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_ew_fold(&ew, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_ew_sample(&ew, g, "Sum", 1 + (int)(seed % 3), seed, err);
}

const ds_op ds_op_Sum = {
	.name = "Sum", .domain = "", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .gradient = ds_ew_gradient_sum, .sample = sample,
};
