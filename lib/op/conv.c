/* conv.c - Conv: Y = W * X + B over 1 to 3 spatial axes, in groups */
#include "conv_ref.h"
#include "convgrad.h"
#include "draw.h"
#include "grad.h"
#include "igemm.h"
#include "infer.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_conv_infer(n->a, &in[0].type, &in[1].type, &out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	const void *b = n->n_in > 2 && in[2] ? in[2]->data : NULL;
	if (in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "Conv %s: quantised weight in the reference", n->name);
	if (x.dtype == DS_F32)
		ds_conv_ref_f32(env->pool, &g, in[0]->data, in[1]->data, b, out[0]->data);
	else if (x.dtype == DS_F64)
		ds_conv_ref_f64(env->pool, &g, in[0]->data, in[1]->data, b, out[0]->data);
	else
		return ds_fail(err, DS_E_UNSUPPORTED, "Conv %s of type %s", n->name, ds_dtype_name(x.dtype));
	return DS_OK;
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_conv_grad_emit(&e, n, dout[0], n->in[0], n->in[1], &din[0], &din[1]);
	if (n->n_in > 2 && n->in[2])
		din[2] = ds_emit1(&e, "ds.ChannelSum", dout[0]);
	return ds_emit_end(&e);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_conv_links(n->a, &in[0].type, &in[1].type, 1, n->n_in > 2 && in[2].present ? 2 : -1, -1, link, cap);
}

/* Plain, strided, grouped, depthwise, dilated, 1-D, 3-D and auto_pad in turn. */
static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int sp = seed % 8 == 6 ? 1 : seed % 8 == 7 ? 3 : 2;
	int64_t group = seed % 4 == 2 ? 2 : seed % 4 == 3 ? ds_draw_in(&s, 2, 5) : 1;
	int64_t icg = seed % 4 == 3 ? 1 : ds_draw_in(&s, 1, 5), ocg = seed % 4 == 3 ? 1 : ds_draw_in(&s, 1, 6);
	int64_t x[5] = { ds_draw_in(&s, 1, 2), icg * group }, w[5] = { ocg * group, icg }, stride[3], dil[3], pad[6];
	for (int i = 0; i < sp; i++) {
		x[2 + i] = ds_draw_in(&s, 5, 9);
		w[2 + i] = ds_draw_in(&s, 1, 3);
		stride[i] = ds_draw_in(&s, 1, 2);
		dil[i] = seed % 5 == 4 ? 2 : 1;
		pad[i] = ds_draw_in(&s, 0, 1);
		pad[sp + i] = ds_draw_in(&s, 0, 1);
	}
	ds_value *in[3] = { ds_draw_input(&s, DS_F32, 2 + sp, x), seed % 3 == 2 ? ds_draw_input(&s, DS_F32, 2 + sp, w) : ds_draw_param(&s, DS_F32, 2 + sp, w), NULL };
	if (seed % 2)
		in[2] = ds_draw_param(&s, DS_F32, 1, w);
	ds_node *n = ds_draw_node(&s, "Conv", 2 + (int)(seed % 2), in, 1);
	ds_draw_i(&s, n, "group", group);
	ds_draw_is(&s, n, "strides", sp, stride);
	ds_draw_is(&s, n, "dilations", sp, dil);
	ds_draw_is(&s, n, "kernel_shape", sp, w + 2);
	if (seed % 6 == 5)
		ds_draw_s(&s, n, "auto_pad", seed % 12 == 5 ? "SAME_UPPER" : "SAME_LOWER");
	else
		ds_draw_is(&s, n, "pads", 2 * sp, pad);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = { DS_CONV_ATTRS(ds_conv_full, conv), DS_BF16_ATTR(ds_conv_full, bf16), { 0 } };

const ds_op ds_op_Conv = {
	.name = "Conv", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_conv_full), .attrs = attrs, .infer = infer, .forward = forward, .variants = ds_conv_variants,
	.gradient = gradient,	.cost = ds_conv_cost, .channels = channels, .recut = ds_conv_recut, .sample = sample,
};
