/* matmulinteger.c - MatMulInteger: int32 sums of (a - a_zero_point) * (b - b_zero_point) */
#include "draw.h"
#include "infer.h"
#include "mm_ref.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_mm_infer(&in[0].type, &in[1].type, &out[0], err));
	out[0].dtype = DS_I32;
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = ds_mm_geometry(&a, &b, false, false);
	const ds_tensor *az = n->n_in > 2 ? in[2] : NULL, *bz = n->n_in > 3 ? in[3] : NULL;
	if (in[1]->q || (az && ds_tensor_count(az) != 1 && ds_tensor_count(az) != g.m) || (bz && ds_tensor_count(bz) != 1 && ds_tensor_count(bz) != g.n))
		return ds_fail(err, DS_E_UNSUPPORTED, "MatMulInteger: zero points of this shape");
	ds_mm_ints p = { .a = in[0]->data, .b = in[1]->data, .a_signed = a.dtype == DS_I8, .b_signed = b.dtype == DS_I8,
		.a_zp = az ? az->data : NULL, .b_zp = bz ? bz->data : NULL, .a_zp_step = az && ds_tensor_count(az) > 1, .b_zp_step = bz && ds_tensor_count(bz) > 1 };
	ds_mm_ref_int(env->pool, &g, &p, out[0]->data);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_mm_links(&in[0].type, &in[1].type, &out[0], false, false, 1, link, cap);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype at = seed % 2 ? DS_U8 : DS_I8, bt = seed % 3 ? DS_I8 : DS_U8;
	int64_t a[3] = { 2, ds_draw_in(&s, 1, 5), ds_draw_in(&s, 1, 20) }, b[2] = { a[2], ds_draw_in(&s, 1, 20) }, one = 1;
	ds_value *in[4] = { ds_draw_input(&s, at, seed % 5 ? 2 : 3, seed % 5 ? a + 1 : a), ds_draw_param(&s, bt, 2, b), ds_draw_param(&s, at, 0, &one),
		ds_draw_param(&s, bt, seed % 4 ? 0 : 1, b + 1) };
	return ds_draw_end(&s, ds_draw_node(&s, "MatMulInteger", 2 + (int)(seed % 3), in, 1), err);
}

const ds_op ds_op_MatMulInteger = {
	.name = "MatMulInteger", .domain = "", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
