/* convtranspose.c - ConvTranspose: the transpose of Conv, each output gathering the taps that reach it */
#include "convgrad.h"
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "nn.h"

#include <math.h>

typedef struct ct_attr { ds_conv_attr conv; ds_ints output_padding, output_shape; int64_t bf16; } ct_attr;

static int64_t item(const ds_ints *l, int i, int64_t def) { return i < l->n ? l->v[i] : def; }

/* Size of the output along spatial axis i and the padding at its beginning. */
static int64_t axis_out(const ct_attr *a, int i, int sp, int64_t x, int64_t k, int64_t *pad)
{
	int64_t s = item(&a->conv.strides, i, 1), span = (k - 1) * item(&a->conv.dilations, i, 1) + 1, op = item(&a->output_padding, i, 0);
	int64_t full = s * (x - 1) + op + span, out;
	if (a->output_shape.n) {
		out = a->output_shape.v[i];
	} else if (a->conv.auto_pad == DS_PAD_SAME_UPPER || a->conv.auto_pad == DS_PAD_SAME_LOWER) {
		out = x * s;
	} else {
		*pad = a->conv.auto_pad == DS_PAD_VALID ? 0 : item(&a->conv.pads, i, 0);
		return full - *pad - (a->conv.auto_pad == DS_PAD_VALID ? 0 : item(&a->conv.pads, sp + i, 0));
	}
	int64_t total = DS_MAX(full - out, 0);
	*pad = a->conv.auto_pad == DS_PAD_SAME_UPPER ? total / 2 : total - total / 2;
	return out;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ct_attr *a = n->a;
	const ds_type *x = &in[0].type, *w = &in[1].type;
	int rank = x->rank >= 0 ? x->rank : w->rank, sp = rank - 2;
	out[0] = (ds_type){ .dtype = x->dtype, .rank = -1 };
	if (rank < 0)
		return DS_OK;
	if (rank < 3 || (w->rank >= 0 && w->rank != rank))
		return ds_fail(err, DS_E_INPUT, "transposed convolution of rank %d with a weight of rank %d", x->rank, w->rank);
	if (rank > 5)
		return ds_fail(err, DS_E_UNSUPPORTED, "transposed convolution over %d spatial axes", sp);
	const ds_ints *lists[] = { &a->conv.strides, &a->conv.dilations, &a->conv.kernel_shape, &a->output_padding, &a->output_shape };
	bool ok = !a->conv.pads.n || a->conv.pads.n == 2 * sp;
	for (size_t l = 0; l < DS_COUNTOF(lists); l++) {
		ok = ok && (!lists[l]->n || lists[l]->n == sp);
		for (int i = 0; ok && i < lists[l]->n; i++)
			ok = lists[l]->v[i] >= (l < 3 ? 1 : 0) && lists[l]->v[i] <= 1 << 20;
	}
	for (int i = 0; ok && i < a->conv.pads.n; i++)
		ok = a->conv.pads.v[i] >= 0 && a->conv.pads.v[i] <= 1 << 20;
	if (!ok)
		return ds_fail(err, DS_E_INPUT, "transposed convolution: attributes do not fit %d spatial axes", sp);
	ds_infer_unknown(&out[0], x->dtype, rank);
	if (x->rank >= 0)
		out->dim[0] = x->dim[0];
	if (w->rank < 0)
		return DS_OK;
	out->dim[1] = ds_dim_mul(w->dim[1], a->conv.group);
	if (x->rank >= 0 && x->dim[1] >= 0 && w->dim[0] >= 0 && (x->dim[1] != w->dim[0] || w->dim[0] % a->conv.group))
		return ds_fail(err, DS_E_INPUT, "transposed convolution of %lld channels with a weight for %lld", (long long)x->dim[1], (long long)w->dim[0]);
	for (int i = 0; i < sp && x->rank >= 0; i++) {
		int64_t pad;
		if (x->dim[2 + i] < 0 || w->dim[2 + i] < 0)
			continue;
		out->dim[2 + i] = axis_out(a, i, sp, x->dim[2 + i], w->dim[2 + i], &pad);
		if (out->dim[2 + i] < 0)
			return ds_fail(err, DS_E_INPUT, "transposed convolution: the padding is larger than the result");
	}
	return DS_OK;
}

typedef struct job {
	const float *x, *w, *b;
	float       *y;
	int64_t      ic, oc, groups, in[3], out[3], k[3], stride[3], dil[3], pad[3];
} job;

/* Input coordinate that tap k brings to output o along axis i, -1: none. */
static int64_t source(const job *j, int i, int64_t o, int64_t k)
{
	int64_t p = o + j->pad[i] - k * j->dil[i];
	return p < 0 || p % j->stride[i] || p / j->stride[i] >= j->in[i] ? -1 : p / j->stride[i];
}

static void task(void *arg, int t, int worker)
{
	const job *j = arg;
	int64_t img = t / j->oc, oc = t % j->oc, icg = j->ic / j->groups, ocg = j->oc / j->groups, c0 = oc / ocg * icg;
	int64_t plane = j->in[0] * j->in[1] * j->in[2], taps = j->k[0] * j->k[1] * j->k[2];
	float *y = j->y + (int64_t)t * j->out[0] * j->out[1] * j->out[2];
	for (int64_t oz = 0; oz < j->out[0]; oz++)
		for (int64_t oy = 0; oy < j->out[1]; oy++)
			for (int64_t ox = 0; ox < j->out[2]; ox++) {
				float s = j->b ? j->b[oc] : 0.0f;
				for (int64_t tap = 0; tap < taps; tap++) {
					int64_t iz = source(j, 0, oz, tap / (j->k[1] * j->k[2])), iy = source(j, 1, oy, tap / j->k[2] % j->k[1]), ix = source(j, 2, ox, tap % j->k[2]);
					if (iz < 0 || iy < 0 || ix < 0)
						continue;
					const float *x = j->x + (img * j->ic + c0) * plane + (iz * j->in[1] + iy) * j->in[2] + ix;
					const float *w = j->w + (c0 * ocg + oc % ocg) * taps + tap;
					for (int64_t c = 0; c < icg; c++)
						s = fmaf(x[c * plane], w[c * ocg * taps], s);
				}
				*y++ = s;
			}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ct_attr *a = n->a;
	int sp = in[0]->rank - 2;
	if (in[0]->dtype != DS_F32 || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "ConvTranspose of type %s", ds_dtype_name(in[0]->dtype));
	job j = { .x = in[0]->data, .w = in[1]->data, .b = n->n_in > 2 && in[2] ? in[2]->data : NULL, .y = out[0]->data, .ic = in[0]->dim[1], .oc = out[0]->dim[1],
		.groups = a->conv.group };
	for (int i = 0; i < 3; i++) {
		int ax = i - (3 - sp);
		j.in[i] = j.out[i] = j.k[i] = j.stride[i] = j.dil[i] = 1;
		if (ax < 0)
			continue;
		j.in[i] = in[0]->dim[2 + ax];
		j.out[i] = out[0]->dim[2 + ax];
		j.k[i] = in[1]->dim[2 + ax];
		j.stride[i] = item(&a->conv.strides, ax, 1);
		j.dil[i] = item(&a->conv.dilations, ax, 1);
		axis_out(a, ax, sp, j.in[i], j.k[i], &j.pad[i]);
	}
	ds_pool_run(env->pool, (int)(in[0]->dim[0] * j.oc), task, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_nn_in_f32_scratch(n, in, out); }

/* The transpose of a convolution has that convolution as its gradient: from the space of Y to that of X, with W as it is. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ct_attr *a = n->a;
	const ds_type *x = &n->in[0]->type, *w = &n->in[1]->type, *y = &n->out[0]->type;
	ds_emit e = ds_emit_begin(g, err);
	int sp = x->rank - 2;
	int64_t pads[6], k[3];
	for (int i = 0; i < sp; i++) {
		k[i] = w->dim[2 + i];
		axis_out(a, i, sp, x->dim[2 + i], k[i], &pads[i]);
		pads[sp + i] = DS_MAX((x->dim[2 + i] - 1) * item(&a->conv.strides, i, 1) + (k[i] - 1) * item(&a->conv.dilations, i, 1) + 1 - y->dim[2 + i] - pads[i], 0);
	}
	din[0] = ds_emit2(&e, "Conv", dout[0], n->in[1]);
	din[1] = ds_emit2(&e, "ds.ConvGradWeight", n->in[0], dout[0]);
	for (int i = 0; i < 2; i++) {
		ds_emit_is(&e, din[i], "pads", 2 * sp, pads);
		ds_emit_is(&e, din[i], "kernel_shape", sp, k);
		ds_emit_i(&e, din[i], "group", a->conv.group);
		if (a->conv.strides.n)
			ds_emit_is(&e, din[i], "strides", sp, a->conv.strides.v);
		if (a->conv.dilations.n)
			ds_emit_is(&e, din[i], "dilations", sp, a->conv.dilations.v);
	}
	ds_emit_is(&e, din[1], "shape", w->rank, w->dim);
	if (n->n_in > 2 && n->in[2])
		din[2] = ds_emit1(&e, "ds.ChannelSum", dout[0]);
	return ds_emit_end(&e);
}

/* ---- the fast way: that of the gradient of the convolution from Y to X ---------------------------------------------------------------------- */
static ds_conv_geo geometry(const ds_node *n, const ds_type *x, const ds_type *w, const ds_type *y)
{
	const ct_attr *a = n->a;
	ds_conv_geo g = { .n = x->dim[0], .ic = y->dim[1], .oc = x->dim[1], .groups = a->conv.group, .spatial = x->rank - 2 };
	for (int i = 0; i < 3; i++) {
		int ax = i - (3 - g.spatial);
		g.in[i] = g.out[i] = g.k[i] = g.stride[i] = g.dil[i] = 1;
		if (ax < 0)
			continue;
		g.in[i] = y->dim[2 + ax];
		g.out[i] = x->dim[2 + ax];
		g.k[i] = w->dim[2 + ax];
		g.stride[i] = item(&a->conv.strides, ax, 1);
		g.dil[i] = item(&a->conv.dilations, ax, 1);
		axis_out(a, ax, g.spatial, g.out[i], g.k[i], &g.pad[i]);
	}
	return g;
}

static bool match_fast(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	if (out->dtype != DS_F32 || ds_type_count(out) == 0 || ds_type_count(&in[0].type) == 0 || (in[1].value && in[1].value->q))
		return false;
	ds_conv_geo g = geometry(n, &in[0].type, &in[1].type, out);
	want[0] = *out_layout = DS_CHANNELS_LAST;
	want[1] = DS_PLAIN;
	return ds_conv_grad_fast_ok(&g);
}

static size_t scratch_fast(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_conv_geo g = geometry(n, &in[0].type, &in[1].type, out);
	return ds_conv_grad_fast_scratch(&g, DS_A(ct_attr, n)->bf16 != 0, threads);
}

static ds_status forward_fast(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = geometry(n, &x, &w, &y);
	ds_conv_grad_fast_go(env, &g, DS_A(ct_attr, n)->bf16 != 0, in[0]->data, in[1]->data, n->n_in > 2 && in[2] ? in[2]->data : NULL, out[0]->data);
	return DS_OK;
}

static const ds_variant variants[] = { { "convtranspose.f32.igemm", match_fast, NULL, NULL, scratch_fast, forward_fast }, { 0 } };

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double per = 1;
	for (int i = 1; i < in[1].type.rank; i++)
		per *= (double)in[1].type.dim[i];
	*c = (ds_cost){ .macs = per * (double)ds_type_count(&in[0].type), .weight_bytes = 4 * (double)ds_type_count(&in[1].type),
		.act_bytes = 4 * (double)(ds_type_count(&in[0].type) + ds_type_count(out)) };
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_link_add(link, 0, cap, DS_LINK_SAME, 0, 1, 1, 0, 0);
	if (DS_A(ct_attr, n)->conv.group != 1)
		return 0;
	k = ds_link_add(link, k, cap, DS_LINK_SAME, 1, 1, DS_SLOT_OUT, 1, 0);
	k = ds_link_add(link, k, cap, DS_LINK_FREE, 1, 1, 1, 1, 0);
	if (n->n_in > 2 && in[2].present)
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 1, 1, 2, 0, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t group = seed % 3 == 2 ? 2 : 1, x[4] = { 1, group * ds_draw_in(&s, 1, 3), 4, 5 }, w[4] = { x[1], ds_draw_in(&s, 1, 4), 3, 2 };
	int64_t stride[2] = { ds_draw_in(&s, 1, 3), ds_draw_in(&s, 1, 2) }, pads[4] = { 1, 0, 0, 1 }, bias = w[1] * group;
	ds_value *in[3] = { ds_draw_input(&s, DS_F32, 4, x), ds_draw_param(&s, DS_F32, 4, w), ds_draw_param(&s, DS_F32, 1, &bias) };
	ds_node *n = ds_draw_node(&s, "ConvTranspose", 2 + (int)(seed % 2), in, 1);
	ds_draw_i(&s, n, "group", group);
	ds_draw_is(&s, n, "strides", 2, stride);
	if (seed % 4 == 3)
		ds_draw_s(&s, n, "auto_pad", "SAME_UPPER");
	else
		ds_draw_is(&s, n, "pads", 4, pads);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_CONV_ATTRS(ct_attr, conv),
	{ "output_padding", .type = DS_T_INTS, .offset = offsetof(ct_attr, output_padding), .help = "rows added at the end of each spatial axis" },
	{ "output_shape", .type = DS_T_INTS, .offset = offsetof(ct_attr, output_shape), .help = "spatial extents wanted; pads follow from them" },
	DS_BF16_ATTR(ct_attr, bf16),
	{ 0 }
};

const ds_op ds_op_ConvTranspose = {
	.name = "ConvTranspose", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(ct_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .gradient = gradient, .cost = cost, .channels = channels, .sample = sample,
};
