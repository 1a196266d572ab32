/* channelsum.c - ds.ChannelSum: X [N, C, ...] -> [C], the sum over everything but the channels (the gradient of a bias); f64 inside (chanstat.h) */
#include "chanstat.h"
#include "infer.h"
#include "nnsample.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;
	if (!ds_nn_is_float(x->dtype) || x->rank == 0 || x->rank == 1)
		return ds_fail(err, DS_E_INPUT, "%s of %s, rank %d", n->op_name, ds_dtype_name(x->dtype), x->rank);
	ds_infer_unknown(&out[0], x->dtype, 1);
	if (x->rank > 0)
		out[0].dim[0] = x->dim[1];
	return DS_OK;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type t = ds_type_of(in[0]);
	ds_chan c = ds_chan_of(&t, in[0]->layout);
	double *sum = env->scratch;
	ds_chan_sums(env->pool, &c, &(ds_k_norm){ .what = DS_NORM_SUM, .x = in[0]->data }, sum);
	for (int64_t i = 0; i < c.channels; i++)
		((float *)out[0]->data)[i] = (float)sum[i];
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_nn_in_f32_scratch(n, in, out) + ds_chan_scratch(&in[0].type);
}

static size_t scratch_last(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_chan_scratch(&in[0].type); }

/* Channels-last as it comes. */
static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	*out_layout = DS_PLAIN;
	return want[0] == DS_CHANNELS_LAST && in[0].type.dtype == DS_F32;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	*c = (ds_cost){ .flops = (double)ds_type_count(&in[0].type), .act_bytes = (double)ds_type_count(&in[0].type) * (double)ds_dtype_size(out->dtype) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("ChannelSum", seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 9), ds_sample_int(&r, 1, 70), ds_sample_int(&r, 1, 6), ds_sample_int(&r, 1, 6) };
	ds_value *x = ds_sample_input(g, seed % 5 == 4 ? DS_BF16 : DS_F32, (int)(2 + seed % 3), dim);
	ds_node *n = x ? ds_sample_node(g, "ds", "ChannelSum", 1, &x, 1) : NULL;
	return n ? ds_node_parse(n, err) : ds_fail_nomem(err, 0);
}

static const ds_variant variants[] = { { .name = "channelsum.last", .match = match_last, .scratch = scratch_last, .forward = forward_f32 }, { 0 } };

const ds_op ds_op_ChannelSum = {
	.name = "ChannelSum", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = sample,
};
