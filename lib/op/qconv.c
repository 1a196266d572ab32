/* qconv.c - QConv (ds): convolution of u8 codes with int8 weights, requantised on the way out (see fused.h) */
#include "conv_fast.h"
#include "conv_ref.h"
#include "draw.h"
#include "infer.h"

#include <math.h>
#include <string.h>

static const ds_arg *opt(const ds_node *n, const ds_arg *in, int i) { return i < n->n_in && in[i].present ? &in[i] : NULL; }

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_conv_infer(n->a, &in[0].type, &in[1].type, &out[0], err));
	out[0].dtype = DS_A(ds_conv_full, n)->q.y_scale > 0 ? DS_U8 : DS_F32;
	if (in[0].type.dtype != DS_U8)
		return ds_fail(err, DS_E_INPUT, "QConv of type %s", ds_dtype_name(in[0].type.dtype));
	return DS_OK;
}

/* ---- prepared rows ------------------------------------------------------------------------------------------------------------------ */
/* Codes, scales, sums of the weights and the requantisation, packed. */
static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	const ds_conv_full *a = n->a;
	ds_status rc = DS_OK;
	ds_qweight w = { 0 };
	ds_tensor b = { 0 };
	int32_t *sum = NULL;
	ds_conv_geo g = ds_conv_geometry(&a->conv, &in[0].type, &in[1].type, out);
	ds_conv_fast *f = ds_calloc(1, sizeof *f);
	if (!f)
		return ds_fail_nomem(err, sizeof *f);
	DS_GOTO(ds_qweight_read(in[1].value, &w, err));
	sum = ds_calloc((size_t)g.oc, sizeof *sum);
	if (!sum) {
		rc = ds_fail_nomem(err, (size_t)g.oc * sizeof *sum);
		goto out;
	}
	for (int64_t o = 0; o < g.oc; o++)
		for (int64_t i = 0; i < w.cols; i++)
			sum[o] += w.code[o * w.cols + i];
	DS_GOTO(ds_conv_fast_new(f, &g, true, w.code, (int32_t)a->q.x_zp, err));
	if (opt(n, in, 2))
		DS_GOTO(ds_tensor_to_f32(in[2].value, &b, err));
	ds_igemm_requant(&f->mm, &a->q, &a->act, w.scale, w.scale_step, b.data, sum);
	*bytes = f->bytes;
	*prep = f;
	f = NULL;
out:
	ds_qweight_done(&w);
	ds_tensor_done(&b);
	ds_free(sum);
	if (f) {
		ds_conv_fast_done(f);
		ds_free(f);
	}
	return rc;
}

static void free_prep(void *prep)
{
	if (prep)
		ds_conv_fast_done(prep);
	ds_free(prep);
}

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	ds_conv_how how;
	const ds_arg *b = opt(n, in, 2);
	if (in[0].type.dtype != DS_U8 || !ds_qweight_ok(&in[1]) || (b && !b->value) || ds_type_count(out) == 0)
		return false;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	if (!ds_conv_fast_how(&g, true, &how))
		return false;
	if (how != DS_CONV_STAGED)
		want[0] = DS_CHANNELS_LAST;
	if (opt(n, in, 3))
		want[3] = DS_CHANNELS_LAST;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	return ds_conv_fast_scratch(&g, true, threads);
}

static ds_status forward_fast(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	ds_conv_fast_go(env, env->prep, &g, in[0], n->n_in > 3 && in[3] ? in[3]->data : NULL, out[0]->data);
	return DS_OK;
}

/* ---- reference ---------------------------------------------------------------------------------------------------------------------- */
/* The planner hands a reference decoded weights: codes come back exactly, because q * scale / scale rounds to q.  The scale of a row is not known
 * here, so the reference works in f64 on the values; it agrees with the fast rows but for ties. */
static size_t scratch_ref(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return (size_t)(ds_type_count(&in[0].type) + ds_type_count(&in[1].type) + ds_type_count(out)) * sizeof(double) + 64;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_conv_full *a = n->a;
	const ds_q_attr *q = &a->q;
	ds_type xt = ds_type_of(in[0]), wt = ds_type_of(in[1]), yt = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(&a->conv, &xt, &wt, &yt);
	int64_t nx = ds_tensor_count(in[0]), nw = ds_tensor_count(in[1]), ny = ds_tensor_count(out[0]), plane = g.out[0] * g.out[1] * g.out[2];
	double *x = env->scratch, *w = x + nx, *y = w + nw;
	if (in[1]->dtype != DS_F32 || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "QConv: weights of type %s", ds_dtype_name(in[1]->dtype));
	for (int64_t i = 0; i < nx; i++)
		x[i] = (double)(((const uint8_t *)in[0]->data)[i] - q->x_zp) * q->x_scale;
	for (int64_t i = 0; i < nw; i++)
		w[i] = ((const float *)in[1]->data)[i];
	ds_conv_ref_f64(env->pool, &g, x, w, NULL, y);
	for (int64_t i = 0; i < ny; i++) {
		double v = y[i] + (n->n_in > 2 && in[2] ? ((const float *)in[2]->data)[i / plane % g.oc] : 0.0f);
		if (q->y_scale > 0) {
			if (n->n_in > 3 && in[3])
				v += (double)(((const uint8_t *)in[3]->data)[i] - q->r_zp) * q->r_scale;
			v = rint(v / q->y_scale) + (double)q->y_zp;
			((uint8_t *)out[0]->data)[i] = (uint8_t)fmin(fmax(v, (double)q->q_min), (double)q->q_max);
		} else {
			float f = (float)v;
			ds_k_act_f32_c((float *)out[0]->data + i, &f, 1, a->act.act, (float)a->act.a, (float)a->act.b);
		}
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_conv_links(n->a, &in[0].type, &in[1].type, 1, opt(n, in, 2) ? 2 : -1, opt(n, in, 3) ? 3 : -1, link, cap);
}

/* Plain, staged (few channels), grouped and depthwise convolutions over one and two axes; results in codes and in f32. */
static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	bool depthwise = seed % 4 == 3, f32 = seed % 5 == 4;
	int rank = seed % 3 == 2 ? 3 : 4;
	int64_t c = seed % 3 ? 4 * ds_draw_in(&s, 1, 5) : ds_draw_in(&s, 1, 7), o = ds_draw_in(&s, 1, 70), k = ds_draw_in(&s, 0, 1) * 2 + 1, h = ds_draw_in(&s, 3, 9);
	int64_t x[4] = { ds_draw_in(&s, 1, 2), depthwise ? o : c, h, h + 1 }, w[4] = { o, depthwise ? 1 : c, k, k }, y[4] = { x[0], o, h, h + 1 };
	int64_t pads[4] = { k / 2, k / 2, k / 2, k / 2 };
	ds_value *in[4] = { ds_draw_input(&s, DS_U8, rank, x), ds_draw_coded(&s, rank, w, seed % 2), ds_draw_param(&s, DS_F32, 1, w), NULL };
	if (seed % 2 && !f32)
		in[3] = ds_draw_input(&s, DS_U8, rank, y);
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "QConv", "", in[3] ? 4 : 3, in, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "group", depthwise ? o : 1);
	ds_draw_is(&s, n, "pads", 2 * (rank - 2), pads);
	ds_draw_f(&s, n, "x_scale", 0.02);
	ds_draw_i(&s, n, "x_zp", 100);
	if (!f32) {
		ds_draw_f(&s, n, "y_scale", 0.05);
		ds_draw_i(&s, n, "y_zp", 50);
		ds_draw_f(&s, n, "r_scale", 0.03);
		ds_draw_i(&s, n, "r_zp", 120);
		ds_draw_i(&s, n, "q_min", 50);
	} else {
		ds_draw_s(&s, n, "act", "silu");
	}
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = { DS_CONV_ATTRS(ds_conv_full, conv), DS_ACT_ATTRS(ds_conv_full, act), DS_Q_ATTRS(ds_conv_full, q), { 0 } };
const ds_variant ds_qconv_variants[] = {
	{ "qconv.i8.igemm", match, prepare, free_prep, scratch, forward_fast },
	{ 0 },
};

const ds_op ds_op_QConv = {
	.name = "QConv", .domain = "ds", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_conv_full), .attrs = attrs,
	.infer = infer, .scratch = scratch_ref, .forward = forward, .variants = ds_qconv_variants, .cost = ds_conv_cost, .channels = channels,
	.recut = ds_conv_recut, .sample = sample,
};
