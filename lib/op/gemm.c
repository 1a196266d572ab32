/* gemm.c - Gemm: Y = alpha op(A) op(B) + beta C */
#include "draw.h"
#include "igemm.h"
#include "infer.h"
#include "matmult.h"
#include "mm_ref.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_gemm_attr *a = n->a;
	const ds_type *x = &in[0].type, *w = &in[1].type;
	ds_infer_unknown(&out[0], x->dtype, 2);
	if ((x->rank >= 0 && x->rank != 2) || (w->rank >= 0 && w->rank != 2))
		return ds_fail(err, DS_E_INPUT, "Gemm of tensors of rank %d and %d", x->rank, w->rank);
	if (x->rank == 2)
		out->dim[0] = x->dim[a->transA != 0];
	if (w->rank == 2)
		out->dim[1] = w->dim[a->transB == 0];
	if (x->rank == 2 && w->rank == 2) {
		int64_t ka = x->dim[a->transA == 0], kb = w->dim[a->transB != 0];
		if (ka >= 0 && kb >= 0 && ka != kb)
			return ds_fail(err, DS_E_INPUT, "Gemm: %lld columns against %lld rows", (long long)ka, (long long)kb);
	}
	if (n->n_in > 2 && in[2].present && in[2].type.rank > 2)
		return ds_fail(err, DS_E_INPUT, "Gemm: C of rank %d", in[2].type.rank);
	for (int i = 0; n->n_in > 2 && in[2].present && i < in[2].type.rank; i++) {
		int64_t c = in[2].type.dim[i], o = out->dim[2 - in[2].type.rank + i];
		if (c >= 0 && o >= 0 && c != 1 && c != o)
			return ds_fail(err, DS_E_INPUT, "Gemm: C does not broadcast to the result");
	}
	return DS_OK;
}

#define GEMM_TAIL(T) do { \
	T *y = out[0]->data; \
	const T *cc = cdata; \
	for (int64_t i = 0; i < g.m; i++) \
		for (int64_t j = 0; j < g.n; j++, y++) { \
			T p = (T)a->alpha * *y; \
			*y = cc ? p + (T)a->beta * cc[i * sm + j * sn] : p; \
		} \
} while (0)

/* With alpha = beta = 1 the chain starts at C, as in the fast path; otherwise C is added to the finished product. */
static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_gemm_attr *a = n->a;
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]);
	ds_mm_geo g = ds_mm_geometry(&x, &w, a->transA != 0, a->transB != 0);
	const ds_tensor *c = n->n_in > 2 ? in[2] : NULL;
	const void *cdata = c ? c->data : NULL;
	int64_t sm = c && c->rank == 2 && c->dim[0] > 1 ? c->dim[1] : 0, sn = c && c->rank >= 1 && c->dim[c->rank - 1] > 1 ? 1 : 0;
	bool plain = a->alpha == 1 && a->beta == 1;
	if (in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "Gemm %s: quantised weight in the reference", n->name);
	DS_TRY(ds_mm_ref(env->pool, &g, x.dtype, in[0]->data, in[1]->data, out[0]->data, plain ? cdata : NULL, sm, sn, err));
	if (plain)
		return DS_OK;
	switch (x.dtype) {
	case DS_F32: GEMM_TAIL(float); break;
	case DS_F64: GEMM_TAIL(double); break;
	case DS_I32: GEMM_TAIL(int32_t); break;
	case DS_U32: GEMM_TAIL(uint32_t); break;
	case DS_I64: GEMM_TAIL(int64_t); break;
	default:     GEMM_TAIL(uint64_t); break;
	}
	return DS_OK;
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ds_gemm_attr *a = n->a;
	const ds_type *y = &n->out[0]->type;
	ds_emit e = ds_emit_begin(g, err);
	ds_value *dp = a->alpha == 1 ? dout[0] : ds_emit2(&e, "Mul", dout[0], ds_emit_scalar(&e, y->dtype, a->alpha));
	ds_matmul_grad_emit(&e, dp, y, n->in[0], &n->in[0]->type, a->transA != 0, n->in[1], &n->in[1]->type, a->transB != 0, &din[0], &din[1]);
	if (n->n_in > 2 && n->in[2]) {
		const ds_type *c = &n->in[2]->type;
		ds_value *dc = a->beta == 1 ? dout[0] : ds_emit2(&e, "Mul", dout[0], ds_emit_scalar(&e, y->dtype, a->beta));
		din[2] = c->rank == 1 && c->dim[0] == y->dim[1] && y->dim[1] > 1 ? ds_emit1(&e, "ds.ChannelSum", dc) : ds_emit_reduce_to(&e, dc, y, c);
	}
	return ds_emit_end(&e);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	const ds_gemm_attr *a = n->a;
	int k = ds_mm_links(&in[0].type, &in[1].type, &out[0], a->transA != 0, a->transB != 0, 1, link, cap);
	for (int i = 0; n->n_in > 2 && in[2].present && i < in[2].type.rank; i++)
		if (in[2].type.dim[i] > 1)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 2, i, DS_SLOT_OUT, 2 - in[2].type.rank + i, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F32, DS_F64, DS_I32 };
	ds_dtype t = ds_draw_dtype(&s, types, 5);
	int64_t m = ds_draw_in(&s, 1, 9), k = ds_draw_in(&s, 1, 40), c = ds_draw_in(&s, 1, 70), ta = seed % 4 == 3, tb = seed % 2;
	int64_t a[2] = { ta ? k : m, ta ? m : k }, b[2] = { tb ? c : k, tb ? k : c }, bias[2] = { seed % 3 ? 1 : m, c };
	ds_value *in[3] = { ds_draw_input(&s, t, 2, a), seed % 3 == 1 ? ds_draw_input(&s, t, 2, b) : ds_draw_param(&s, t, 2, b), NULL };
	if (seed % 8 != 7)
		in[2] = seed % 5 == 1 ? ds_draw_param(&s, t, 2, bias) : ds_draw_param(&s, t, 1, bias + 1);
	ds_node *n = ds_draw_node(&s, "Gemm", in[2] ? 3 : 2, in, 1);
	ds_draw_i(&s, n, "transA", ta);
	ds_draw_i(&s, n, "transB", tb);
	if (seed % 6 == 5) {
		ds_draw_f(&s, n, "alpha", 0.5);
		ds_draw_f(&s, n, "beta", 2);
	}
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	{ "alpha", .type = DS_T_FLOAT, .offset = offsetof(ds_gemm_attr, alpha), .def = "1", .help = "factor of the product" },
	{ "beta", .type = DS_T_FLOAT, .offset = offsetof(ds_gemm_attr, beta), .def = "1", .help = "factor of C" },
	{ "transA", .type = DS_T_INT, .offset = offsetof(ds_gemm_attr, transA), .def = "0", .max = 1, .help = "A is given transposed" },
	{ "transB", .type = DS_T_INT, .offset = offsetof(ds_gemm_attr, transB), .def = "0", .max = 1, .help = "B is given transposed" },
	DS_BF16_ATTR(ds_gemm_attr, bf16),
	{ 0 }
};

const ds_op ds_op_Gemm = {
	.name = "Gemm", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_gemm_attr), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = ds_gemm_variants, .gradient = gradient, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
