/* instancenormalization.c - InstanceNormalization (ONNX 22), over the positions of each channel, and GroupNormalization (ONNX 21), over groups of
 * channels with all their positions.  Ulyanov et al. 2016; Wu & He 2018 */
#include "draw.h"
#include "rownorm.h"

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, int64_t groups, ds_err *err)
{
	const ds_tensor *x = in[0];
	ds_rownorm r = { .x = x->data, .y = out[0]->data, .scale = in[1]->data, .bias = in[2]->data, .epsilon = DS_A(ds_norm_attr, n)->epsilon,
		.inner = 1, .period = x->dim[1] };

	for (int i = 2; i < x->rank; i++)
		r.inner *= x->dim[i];
	if (x->dim[1] == 0)
		return DS_OK;
	if (groups < 1 || groups > x->dim[1] || x->dim[1] % groups)
		return ds_fail(err, DS_E_INPUT, "%s: %lld channels in %lld groups", n->op_name, (long long)x->dim[1], (long long)groups);
	r.rows = x->dim[0] * groups;
	r.len = x->dim[1] / groups * r.inner;
	ds_rownorm_run(env->pool, &r);
	return DS_OK;
}

static ds_status instance_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, in[0]->dim[1], err);
}

static ds_status group_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, DS_A(ds_norm_attr, n)->num_groups, err);
}

static ds_status forward_instance(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, instance_f32);
}

static ds_status forward_group(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, group_f32);
}

/* Channels of an instance norm stand alone; those of a group norm hang together through the statistics, so they are a barrier. */
static int channels_instance(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, 2);

	(void)n;
	(void)in;
	(void)out;
	for (int i = 1; i < 3 && k < cap; i++)
		link[k++] = (ds_link){ DS_LINK_SAME, 0, 1, (int8_t)i, 0, 0 };
	return k;
}

static int channels_group(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	(void)out;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, 1);
}

static ds_status sample_of(ds_graph *g, uint64_t seed, const char *op, int64_t groups, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype d = ds_draw_dtype(&s, types, 3);
	int64_t dim[4], c;
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 4, 6, dim);
	c = dim[1] = dim[1] * (groups ? groups : 1);
	in[0] = ds_draw_input(&s, d, (int)(3 + seed % 2), dim);
	in[1] = ds_draw_param(&s, d, 1, &c);
	in[2] = ds_draw_param(&s, d, 1, &c);
	n = ds_draw_node(&s, op, 3, in, 1);
	if (groups)
		ds_draw_i(&s, n, "num_groups", groups);
	return ds_draw_end(&s, n, err);
}

static ds_status sample_instance(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "InstanceNormalization", 0, err); }
static ds_status sample_group(ds_graph *g, uint64_t seed, ds_err *err)
{
	return sample_of(g, seed, "GroupNormalization", 1 + (int64_t)(seed % 4), err);
}

static const ds_opt attrs[] = {
	DS_NN_FLOAT(ds_norm_attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	{ 0 }
};

static const ds_opt attrs_group[] = {
	DS_NN_FLOAT(ds_norm_attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	{ .name = "num_groups", .type = DS_T_INT, .flags = DS_OPT_REQUIRED, .offset = offsetof(ds_norm_attr, num_groups), .help = "Groups of channels" },
	DS_NN_INT(ds_norm_attr, stash_type, "stash_type", "1", 0, 0, "Type of the statistics (number of ONNX); f32 here"),
	{ 0 }
};

const ds_op ds_op_InstanceNormalization = {
	.name = "InstanceNormalization", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_norm_attr), .attrs = attrs,
	.infer = ds_rownorm_infer_channels, .scratch = ds_rownorm_scratch, .forward = forward_instance, .cost = ds_rownorm_cost,
	.channels = channels_instance, .gradient = ds_rownorm_gradient, .sample = sample_instance,
};

const ds_op ds_op_GroupNormalization = {
	.name = "GroupNormalization", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_norm_attr), .attrs = attrs_group,
	.infer = ds_rownorm_infer_channels, .scratch = ds_rownorm_scratch, .forward = forward_group, .cost = ds_rownorm_cost,
	.channels = channels_group, .gradient = ds_rownorm_gradient, .sample = sample_group,
};
