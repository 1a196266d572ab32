/* convact.c - ConvAct (ds): Conv, then the sum with a residual, then an activation */
#include "conv_ref.h"
#include "draw.h"
#include "igemm.h"
#include "infer.h"

#include <math.h>

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_conv_infer(n->a, &in[0].type, &in[1].type, &out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_conv_full *a = n->a;
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(&a->conv, &x, &w, &y);
	if (x.dtype != DS_F32 || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "ConvAct %s of type %s", n->name, ds_dtype_name(x.dtype));
	float *o = out[0]->data;
	size_t count = (size_t)ds_tensor_count(out[0]);
	ds_conv_ref_f32(env->pool, &g, in[0]->data, in[1]->data, n->n_in > 2 && in[2] ? in[2]->data : NULL, o);
	if (n->n_in > 3 && in[3])
		for (size_t i = 0; i < count; i++)
			o[i] += ((const float *)in[3]->data)[i];
	ds_k_act_f32_c(o, o, count, a->act.act, (float)a->act.a, (float)a->act.b);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_conv_links(n->a, &in[0].type, &in[1].type, 1, n->n_in > 2 && in[2].present ? 2 : -1, n->n_in > 3 && in[3].present ? 3 : -1, link, cap);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t c = ds_draw_in(&s, 1, 20), o = ds_draw_in(&s, 1, 40), k = ds_draw_in(&s, 0, 1) * 2 + 1, h = ds_draw_in(&s, 3, 9);
	bool depthwise = seed % 5 == 4;
	int64_t x[4] = { ds_draw_in(&s, 1, 2), depthwise ? o : c, h, h + 1 }, w[4] = { o, depthwise ? 1 : c, k, k }, y[4] = { x[0], o, h, h + 1 };
	int64_t pads[4] = { k / 2, k / 2, k / 2, k / 2 };
	ds_value *in[4] = { ds_draw_input(&s, DS_F32, 4, x), ds_draw_param(&s, DS_F32, 4, w), ds_draw_param(&s, DS_F32, 1, w), NULL };
	if (seed % 2)
		in[3] = ds_draw_input(&s, DS_F32, 4, y);
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "ConvAct", "", 3 + (int)(seed % 2), in, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "group", depthwise ? o : 1);
	ds_draw_is(&s, n, "pads", 4, pads);
	ds_draw_s(&s, n, "act", ds_act_names[seed % DS_ACT_COUNT]);
	ds_draw_f(&s, n, "act_a", -0.5);
	ds_draw_f(&s, n, "act_b", 0.75);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = { DS_CONV_ATTRS(ds_conv_full, conv), DS_ACT_ATTRS(ds_conv_full, act), DS_BF16_ATTR(ds_conv_full, bf16), { 0 } };

const ds_op ds_op_ConvAct = {
	.name = "ConvAct", .domain = "ds", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_conv_full), .attrs = attrs, .infer = infer, .forward = forward, .variants = ds_conv_variants,
	.cost = ds_conv_cost, .channels = channels, .recut = ds_conv_recut, .sample = sample,
};
