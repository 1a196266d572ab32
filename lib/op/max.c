/* max.c - Max: largest of the inputs, NaN if there is one */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, max, SAME, (void)arg, x > y || x != x ? x : y, x > y || x != x ? x : y)
DS_EW_INTS(DS_EW2_ROW, max, SAME, (void)arg, x > y ? x : y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(max), DS_EW_FN_INTS(max) }, .same = 1 };

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
	return ds_ew_sample(&ew, g, "Max", 1 + (int)(seed % 3), seed, err);
}

const ds_op ds_op_Max = {
	.name = "Max", .domain = "", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .gradient = ds_ew_gradient_first, .sample = sample,
};
