/* matmul.c - MatMul: matrix product with numpy's broadcasting */
#include "draw.h"
#include "igemm.h"
#include "infer.h"
#include "matmult.h"
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

/* A vector is a matrix of one row (A) or column (B). */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_type ta = n->in[0]->type, tb = n->in[1]->type, ty = n->out[0]->type;
	ds_value *a = n->in[0], *b = n->in[1], *dy = dout[0];
	bool va = ta.rank == 1, vb = tb.rank == 1;
	if (va) {
		ta = (ds_type){ ta.dtype, 2, { 1, ta.dim[0] } };
		a = ds_emit_reshape(&e, a, &ta);
	}
	if (vb) {
		tb = (ds_type){ tb.dtype, 2, { tb.dim[0], 1 } };
		b = ds_emit_reshape(&e, b, &tb);
	}
	if (va || vb) {
		int64_t last = vb ? 1 : ty.dim[ty.rank - 1];
		ty.rank = (int8_t)(ty.rank - !vb);      /* batch and rows that are there */
		if (va)
			ty.dim[ty.rank++] = 1;
		ty.dim[ty.rank++] = last;
		dy = ds_emit_reshape(&e, dy, &ty);
	}
	ds_matmul_grad_emit(&e, dy, &ty, a, &ta, false, b, &tb, false, &din[0], &din[1]);
	if (va)
		din[0] = ds_emit_reshape(&e, din[0], &n->in[0]->type);
	if (vb)
		din[1] = ds_emit_reshape(&e, din[1], &n->in[1]->type);
	return ds_emit_end(&e);
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
	in[1] = seed % 4 == 3 ? ds_draw_input(&s, t, 3, b3) : seed % 5 == 4 ? ds_draw_param(&s, t, 1, b3 + 1) :
		seed % 3 == 0 ? ds_draw_input(&s, t, 2, b3 + 1) : ds_draw_param(&s, t, 2, b3 + 1);
	return ds_draw_end(&s, ds_draw_node(&s, "MatMul", 2, in, 1), err);
}

static const ds_opt attrs[] = { DS_BF16_ATTR(ds_matmul_attr, bf16), { 0 } };

const ds_op ds_op_MatMul = {
	.name = "MatMul", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_matmul_attr), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = ds_matmul_variants, .gradient = gradient, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
