/* globalaveragepoolgrad.c - ds.GlobalAveragePoolGrad (poolgrad.h) */
#include "infer.h"
#include "nnsample.h"
#include "poolgrad.h"

struct attr { ds_ints shape; };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_ints *s = &DS_A(struct attr, n)->shape;
	const ds_type *dy = &in[0].type;
	if (!ds_nn_is_float(dy->dtype) || s->n < 2 || s->n > DS_MAX_RANK || (dy->rank >= 0 && dy->rank != s->n))
		return ds_fail(err, DS_E_INPUT, "%s of %s with a shape of %d dims", n->op_name, ds_dtype_name(dy->dtype), s->n);
	for (int i = 0; i < s->n; i++)
		if (s->v[i] < 0 || (dy->rank > 0 && dy->dim[i] >= 0 && dy->dim[i] != (i < 2 ? s->v[i] : 1)))
			return ds_fail(err, DS_E_INPUT, "%s: dims are not those of the pooling's result", n->op_name);
	out[0] = ds_type_make(dy->dtype, s->n, s->v);
	return DS_OK;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_global_average_grad(env, in[0], out[0]);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_nn_in_f32_scratch(n, in, out); }

/* Behind the mean stands a convolution's result as a rule: channels-last. */
static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	want[0] = DS_PLAIN;
	*out_layout = DS_CHANNELS_LAST;
	return out->rank >= 3 && out->dtype == DS_F32;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("GlobalAveragePoolGrad", seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 40), ds_sample_int(&r, 1, 6), ds_sample_int(&r, 1, 6) }, one[4] = { dim[0], dim[1], 1, 1 };
	int rank = (int)(3 + seed % 2);
	ds_value *x = ds_sample_input(g, DS_F32, rank, one);
	ds_node *n = x ? ds_sample_node(g, "ds", "GlobalAveragePoolGrad", 1, &x, 1) : NULL;
	if (!n || ds_attr_is(n, "shape", rank, dim) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = { DS_NN_INTS(struct attr, shape, "shape", DS_OPT_REQUIRED, "Dims of the result"), { 0 } };
static const ds_variant variants[] = { { .name = "globalaveragepoolgrad.last", .match = match_last, .forward = forward_f32 }, { 0 } };

const ds_op ds_op_GlobalAveragePoolGrad = {
	.name = "GlobalAveragePoolGrad", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .sample = sample,
};
