/* gemmact.c - GemmAct (ds): Y = act(A B + C) with a constant matrix B, leading axes of A kept */
#include "igemm.h"
#include "draw.h"
#include "infer.h"
#include "mm_ref.h"

/* A [..., K]; B [K, N] or transposed. */
static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_gemm_act_infer(&in[0].type, &in[1].type, DS_A(ds_gemm_full, n)->transB != 0, &out[0], err);
}

ds_status ds_gemm_act_infer(const ds_type *a, const ds_type *b, bool trans_b, ds_type *out, ds_err *err)
{
	if (b->rank >= 0 && b->rank != 2)
		return ds_fail(err, DS_E_INPUT, "matrix of rank %d", b->rank);
	ds_type t = *b;
	if (trans_b && b->rank == 2) {
		t.dim[0] = b->dim[1];
		t.dim[1] = b->dim[0];
	}
	return ds_mm_infer(a, &t, out, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_gemm_full *a = n->a;
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]);
	/* one product over all leading axes */
	x.dim[0] = ds_type_count(&x) / DS_MAX(x.dim[x.rank - 1], 1);
	x.dim[1] = ds_type_of(in[0]).dim[in[0]->rank - 1];
	x.rank = 2;
	ds_mm_geo g = ds_mm_geometry(&x, &w, false, a->transB != 0);
	if (x.dtype != DS_F32 || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "GemmAct %s of type %s", n->name, ds_dtype_name(x.dtype));
	float *y = out[0]->data;
	DS_TRY(ds_mm_ref(env->pool, &g, DS_F32, in[0]->data, in[1]->data, y, n->n_in > 2 && in[2] ? in[2]->data : NULL, 0, 1, err));
	ds_k_act_f32_c(y, y, (size_t)ds_tensor_count(out[0]), a->act.act, (float)a->act.a, (float)a->act.b);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_mm_links(&in[0].type, &in[1].type, &out[0], false, DS_A(ds_gemm_full, n)->transB != 0, 1, link, cap);
	if (n->n_in > 2 && in[2].present)
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 2, 0, DS_SLOT_OUT, out->rank - 1, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t a[3] = { ds_draw_in(&s, 1, 3), ds_draw_in(&s, 1, 9), ds_draw_in(&s, 1, 40) }, c = ds_draw_in(&s, 1, 70), tb = seed % 2;
	int64_t b[2] = { tb ? c : a[2], tb ? a[2] : c };
	ds_value *in[3] = { ds_draw_input(&s, DS_F32, 3, a), ds_draw_param(&s, DS_F32, 2, b), ds_draw_param(&s, DS_F32, 1, &c) };
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "GemmAct", "", 2 + (int)(seed / 2 % 2), in, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "transB", tb);
	ds_draw_s(&s, n, "act", ds_act_names[seed % DS_ACT_COUNT]);
	ds_draw_f(&s, n, "act_a", -0.5);
	ds_draw_f(&s, n, "act_b", 0.75);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	{ "transB", .type = DS_T_INT, .offset = offsetof(ds_gemm_full, transB), .def = "0", .max = 1, .help = "B is given transposed" },
	DS_ACT_ATTRS(ds_gemm_full, act), { 0 }
};

const ds_op ds_op_GemmAct = {
	.name = "GemmAct", .domain = "ds", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_gemm_full), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = ds_gemm_act_variants, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
