/* convinteger.c - ConvInteger: int32 sums of (x - x_zero_point) * (w - w_zero_point) */
#include "conv_ref.h"
#include "draw.h"
#include "infer.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_conv_infer(n->a, &in[0].type, &in[1].type, &out[0], err));
	out[0].dtype = DS_I32;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return (size_t)in[1].type.dim[0] * sizeof(int32_t);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	const ds_tensor *xz = n->n_in > 2 ? in[2] : NULL, *wz = n->n_in > 3 ? in[3] : NULL;
	int32_t *zp = env->scratch;
	for (int64_t o = 0; o < g.oc; o++)
		zp[o] = wz ? (int32_t)ds_tensor_i64(wz, ds_tensor_count(wz) > 1 ? o : 0) : 0;
	ds_conv_ints p = { .x = in[0]->data, .w = in[1]->data, .x_signed = x.dtype == DS_I8, .w_signed = w.dtype == DS_I8,
		.x_zp = xz ? (int32_t)ds_tensor_i64(xz, 0) : 0, .w_zp = zp };
	ds_conv_ref_int(env->pool, &g, &p, out[0]->data);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_conv_links(n->a, &in[0].type, &in[1].type, 1, -1, -1, link, cap);
	if (n->n_in > 3 && in[3].present && in[3].type.rank == 1 && in[3].type.dim[0] > 1)
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 1, 0, 3, 0, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype xt = seed % 2 ? DS_U8 : DS_I8, wt = seed % 3 ? DS_I8 : DS_U8;
	int64_t x[4] = { 1, ds_draw_in(&s, 1, 4), 6, 5 }, w[4] = { ds_draw_in(&s, 1, 5), x[1], 3, 2 }, one = 1, pads[4] = { 1, 0, 1, 1 };
	ds_value *in[4] = { ds_draw_input(&s, xt, 4, x), ds_draw_param(&s, wt, 4, w), ds_draw_param(&s, xt, 0, &one), ds_draw_param(&s, wt, 1, seed % 4 ? &one : w) };
	ds_node *n = ds_draw_node(&s, "ConvInteger", 2 + (int)(seed % 3), in, 1);
	ds_draw_is(&s, n, "pads", 4, pads);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = { DS_CONV_ATTRS(ds_conv_full, conv), { 0 } };

const ds_op ds_op_ConvInteger = {
	.name = "ConvInteger", .domain = "", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_conv_full), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = ds_conv_cost, .channels = channels, .recut = ds_conv_recut, .sample = sample,
};
