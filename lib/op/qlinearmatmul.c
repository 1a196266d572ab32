/* qlinearmatmul.c - QLinearMatMul: product of codes to codes; scales and zero points are inputs */
#include "draw.h"
#include "infer.h"
#include "mm_ref.h"

#include <math.h>

enum { A, AS, AZ, B, BS, BZ, YS, YZ };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_mm_infer(&in[A].type, &in[B].type, &out[0], err));
	out[0].dtype = in[YZ].type.dtype;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return (size_t)ds_type_count(out) * sizeof(int32_t); }

/* One scale or zero point for all, or one per row of A or column of B. */
static bool per(const ds_tensor *t, int64_t n) { return ds_tensor_count(t) == 1 || ds_tensor_count(t) == n; }

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[A]), b = ds_type_of(in[B]);
	ds_mm_geo g = ds_mm_geometry(&a, &b, false, false);
	if (!per(in[AS], g.m) || !per(in[AZ], g.m) || !per(in[BS], g.n) || !per(in[BZ], g.n))
		return ds_fail(err, DS_E_UNSUPPORTED, "QLinearMatMul: scales of this shape");
	int64_t count = ds_tensor_count(out[0]), az = ds_tensor_count(in[AZ]) > 1, bz = ds_tensor_count(in[BZ]) > 1, as = ds_tensor_count(in[AS]) > 1,
		bs = ds_tensor_count(in[BS]) > 1;
	int32_t *sum = env->scratch;
	ds_mm_ints p = { .a = in[A]->data, .b = in[B]->data, .a_signed = a.dtype == DS_I8, .b_signed = b.dtype == DS_I8, .a_zp = in[AZ]->data, .b_zp = in[BZ]->data,
		.a_zp_step = (int)az, .b_zp_step = (int)bz };
	ds_mm_ref_int(env->pool, &g, &p, sum);
	bool sign = out[0]->dtype == DS_I8;
	float yz = (float)ds_tensor_i64(in[YZ], 0);
	for (int64_t i = 0; i < count; i++) {
		double m = ds_tensor_f64(in[AS], as * (i / g.n % g.m)) * ds_tensor_f64(in[BS], bs * (i % g.n)) / ds_tensor_f64(in[YS], 0);
		float v = fminf(fmaxf(rintf((float)sum[i] * (float)m) + yz, sign ? -128.0f : 0.0f), sign ? 127.0f : 255.0f);
		((uint8_t *)out[0]->data)[i] = (uint8_t)(int)v;
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_mm_links(&in[A].type, &in[B].type, &out[0], false, false, B, link, cap);
	for (int i = BS; i <= BZ; i++)
		if (in[i].type.rank == 1 && in[i].type.dim[0] > 1)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, i, 0, DS_SLOT_OUT, out->rank - 1, 0);
	return k;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	ds_arg two[2] = { in[A], in[B] };
	ds_mm_cost(n, two, out, c);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = seed % 2 ? DS_U8 : DS_I8;
	int64_t a[3] = { 2, ds_draw_in(&s, 1, 5), ds_draw_in(&s, 1, 20) }, b[3] = { 2, a[2], ds_draw_in(&s, 1, 20) }, one = 1;
	int r = seed % 3 ? 2 : 3, f = 3 - r;
	ds_value *in[8] = { ds_draw_input(&s, t, r, a + f), ds_draw_f32(&s, 0.02f), ds_draw_param(&s, t, 0, &one), ds_draw_param(&s, t, r, b + f),
		ds_draw_f32(&s, 0.01f), ds_draw_param(&s, t, 0, &one), ds_draw_f32(&s, 0.05f), ds_draw_param(&s, t, 0, &one) };
	return ds_draw_end(&s, ds_draw_node(&s, "QLinearMatMul", 8, in, 1), err);
}

const ds_op ds_op_QLinearMatMul = {
	.name = "QLinearMatMul", .domain = "", .min_in = 8, .max_in = 8, .min_out = 1, .max_out = 1,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .channels = channels, .sample = sample,
};
