/* matmul.c - MatMul: matrix product with numpy's broadcasting */
#include "draw.h"
#include "igemm.h"
#include "infer.h"
#include "mm_ref.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_mm_infer(&in[0].type, &in[1].type, &out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = ds_mm_geometry(&a, &b, false, false);
	if (in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "MatMul %s: quantised weight in the reference", n->name);
	return ds_mm_ref(env->pool, &g, a.dtype, in[0]->data, in[1]->data, out[0]->data, NULL, 0, 0, err);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_mm_links(&in[0].type, &in[1].type, &out[0], false, false, 1, link, cap);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	static const ds_dtype types[] = { DS_F32, DS_F64, DS_I32, DS_I64, DS_F32, DS_U32 };
	ds_dtype t = ds_draw_dtype(&s, types, 6);
	int64_t bt = ds_draw_in(&s, 2, 3), m = ds_draw_in(&s, 1, 9), k = ds_draw_in(&s, 1, 40), c = ds_draw_in(&s, 1, 70);
	int64_t a3[3] = { bt, m, k }, b3[3] = { seed % 3 ? bt : 1, k, c };
	ds_value *in[2];
	in[0] = seed % 7 == 6 ? ds_draw_input(&s, t, 1, a3 + 2) : ds_draw_input(&s, t, seed % 2 ? 3 : 2, seed % 2 ? a3 : a3 + 1);
	in[1] = seed % 4 == 3 ? ds_draw_input(&s, t, 3, b3) : seed % 5 == 4 ? ds_draw_param(&s, t, 1, b3 + 1) : ds_draw_param(&s, t, 2, b3 + 1);
	return ds_draw_end(&s, ds_draw_node(&s, "MatMul", 2, in, 1), err);
}

const ds_op ds_op_MatMul = {
	.name = "MatMul", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .variants = ds_matmul_variants, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
