/* qlinearconv.c - QLinearConv: convolution of codes to codes; scales and zero points are inputs */
#include "conv_ref.h"
#include "draw.h"
#include "infer.h"

#include <math.h>

enum { X, XS, XZ, W, WS, WZ, YS, YZ, B };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_conv_infer(n->a, &in[X].type, &in[W].type, &out[0], err));
	out[0].dtype = in[YZ].type.dtype;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ((size_t)ds_type_count(out) + (size_t)in[W].type.dim[0]) * sizeof(int32_t);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[X]), w = ds_type_of(in[W]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	int64_t count = ds_tensor_count(out[0]), plane = g.out[0] * g.out[1] * g.out[2];
	int32_t *sum = env->scratch, *zp = sum + count;
	for (int64_t o = 0; o < g.oc; o++)
		zp[o] = (int32_t)ds_tensor_i64(in[WZ], ds_tensor_count(in[WZ]) > 1 ? o : 0);
	ds_conv_ints p = { .x = in[X]->data, .w = in[W]->data, .x_signed = x.dtype == DS_I8, .w_signed = w.dtype == DS_I8,
		.x_zp = (int32_t)ds_tensor_i64(in[XZ], 0), .w_zp = zp, .b = n->n_in > B && in[B] ? in[B]->data : NULL };
	ds_conv_ref_int(env->pool, &g, &p, sum);
	bool sign = out[0]->dtype == DS_I8;
	double xs = ds_tensor_f64(in[XS], 0), ys = ds_tensor_f64(in[YS], 0), yz = (double)ds_tensor_i64(in[YZ], 0);
	for (int64_t i = 0; i < count; i++) {
		int64_t o = i / plane % g.oc;
		float m = (float)(xs * ds_tensor_f64(in[WS], ds_tensor_count(in[WS]) > 1 ? o : 0) / ys);
		float v = fminf(fmaxf(rintf((float)sum[i] * m) + (float)yz, sign ? -128.0f : 0.0f), sign ? 127.0f : 255.0f);
		((uint8_t *)out[0]->data)[i] = (uint8_t)(int)v;
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_conv_links(n->a, &in[X].type, &in[W].type, W, n->n_in > B && in[B].present ? B : -1, -1, link, cap);
	for (int i = WS; i <= WZ; i++)
		if (in[i].type.rank == 1 && in[i].type.dim[0] > 1)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, W, 0, i, 0, 0);
	return k;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	ds_arg two[2] = { in[X], in[W] };
	ds_conv_cost(n, two, out, c);
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	ds_type two[2] = { in[X], in[W] };
	return ds_conv_recut(g, n, two, want, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = seed % 2 ? DS_U8 : DS_I8;
	int64_t x[4] = { 1, ds_draw_in(&s, 1, 4), 6, 5 }, w[4] = { ds_draw_in(&s, 1, 5), x[1], 3, 2 }, one = 1, pads[4] = { 1, 0, 1, 1 };
	ds_value *in[9] = { ds_draw_input(&s, t, 4, x), ds_draw_f32(&s, 0.02f), ds_draw_param(&s, t, 0, &one), ds_draw_param(&s, DS_I8, 4, w), ds_draw_f32(&s, 0.01f),
		ds_draw_param(&s, DS_I8, 0, &one), ds_draw_f32(&s, 0.05f), ds_draw_param(&s, t, 0, &one), ds_draw_param(&s, DS_I32, 1, w) };
	ds_node *n = ds_draw_node(&s, "QLinearConv", 8 + (int)(seed % 2), in, 1);
	ds_draw_is(&s, n, "pads", 4, pads);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = { DS_CONV_ATTRS(ds_conv_full, conv), { 0 } };

const ds_op ds_op_QLinearConv = {
	.name = "QLinearConv", .domain = "", .min_in = 8, .max_in = 9, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_conv_full), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .channels = channels, .recut = recut, .sample = sample,
};
