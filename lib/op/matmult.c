/* matmult.c - ds.MatMulT: matrix product with numpy's broadcasting of perhaps transposed operands: what gradients of matrix products are made of
 *
 * A [..., m, k] (trans_a: [..., k, m]), B [..., k, n] (trans_b: [..., n, k]) -> Y [..., m, n]; f32 or f64, ranks of 2 or more.
 * With trans_a and no leading dims, k counts samples and can be long: the sum is cut into ds_mm_parts pieces of k, each one chain of fused multiply-adds from 0, which are
 * added in their order.  All else is one chain. */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "matmult.h"

#include <math.h>

enum { PARTS = 16, PART_BYTES = 10 << 20, PART_K = 1024 };

int64_t ds_mm_parts(const ds_mm_geo *g, bool trans_a)
{
	int64_t parts = DS_MIN(PARTS, PART_BYTES / 4 / DS_MAX(g->m * g->n, 1));
	return trans_a && g->batch == 1 ? DS_MAX(DS_MIN(parts, g->k / PART_K), 1) : 1;
}

static ds_type swapped(const ds_type *t, bool trans)
{
	ds_type s = *t;
	if (trans && s.rank >= 2) {
		s.dim[s.rank - 1] = t->dim[s.rank - 2];
		s.dim[s.rank - 2] = t->dim[s.rank - 1];
	}
	return s;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_matmult_attr *t = n->a;
	ds_type a = swapped(&in[0].type, t->trans_a != 0), b = swapped(&in[1].type, t->trans_b != 0);
	if ((a.rank >= 0 && a.rank < 2) || (b.rank >= 0 && b.rank < 2) || a.dtype != b.dtype)
		return ds_fail(err, DS_E_INPUT, "%s of rank %d and %d, %s and %s", n->op_name, a.rank, b.rank, ds_dtype_name(a.dtype), ds_dtype_name(b.dtype));
	return ds_mm_infer(&a, &b, &out[0], err);
}

typedef struct job { const ds_mm_geo *g; const void *a, *b; void *y; int64_t parts; } job;

#define REF(name, T, FMA) \
static void name(void *arg, int task, int worker) \
{ \
	const job *j = arg; \
	const ds_mm_geo *g = j->g; \
	int64_t a_at, b_at, row = task % g->m; \
	ds_mm_at(g, task / g->m, &a_at, &b_at); \
	for (int64_t c = 0; c < g->n; c++) { \
		const T *a = (const T *)j->a + a_at + row * g->sam, *b = (const T *)j->b + b_at + c * g->sbn; \
		T sum = 0; \
		for (int64_t part = 0; part < j->parts; part++) { \
			T s = 0; \
			for (int64_t k = g->k * part / j->parts; k < g->k * (part + 1) / j->parts; k++) \
				s = FMA(a[k * g->sak], b[k * g->sbk], s); \
			sum = part ? sum + s : s; \
		} \
		((T *)j->y)[(int64_t)task * g->n + c] = sum; \
	} \
}
REF(ref_f32, float, fmaf)
REF(ref_f64, double, fma)

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_matmult_attr *t = n->a;
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = ds_mm_geometry(&a, &b, t->trans_a != 0, t->trans_b != 0);
	job j = { .g = &g, .a = in[0]->data, .b = in[1]->data, .y = out[0]->data, .parts = ds_mm_parts(&g, t->trans_a != 0) };
	if ((a.dtype != DS_F32 && a.dtype != DS_F64) || in[0]->q || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of type %s", n->op_name, ds_dtype_name(a.dtype));
	ds_pool_run(env->pool, (int)(g.batch * g.m), a.dtype == DS_F64 ? ref_f64 : ref_f32, &j);
	return DS_OK;
}

/* ---- gradients of products ------------------------------------------------------------------------------------------------------------ */
ds_value *ds_matmult_emit(ds_emit *e, ds_value *a, bool trans_a, ds_value *b, bool trans_b)
{
	ds_value *v = ds_emit2(e, "ds.MatMulT", a, b);
	ds_emit_i(e, v, "trans_a", trans_a);
	ds_emit_i(e, v, "trans_b", trans_b);
	return v;
}

/* v with its batch axes summed to those of `to`, where it has the two matrix axes (rows, cols) behind those of `y`. */
static ds_value *reduced(ds_emit *e, ds_value *v, const ds_type *y, const ds_type *to)
{
	ds_type from = *y;
	from.dim[from.rank - 2] = to->dim[to->rank - 2];
	from.dim[from.rank - 1] = to->dim[to->rank - 1];
	return ds_emit_reduce_to(e, v, &from, to);
}

static bool flat(const ds_type *b) { return b->rank == 2; }

void ds_matmul_grad_emit(ds_emit *e, ds_value *dy, const ds_type *ty, ds_value *a, const ds_type *ta, bool trans_a, ds_value *b, const ds_type *tb, bool trans_b,
	ds_value **da, ds_value **db)
{
	*da = trans_a ? ds_matmult_emit(e, b, trans_b, dy, true) : ds_matmult_emit(e, dy, false, b, !trans_b);
	*da = reduced(e, *da, ty, ta);
	if (flat(tb) && !trans_a && ty->rank > 2) {
		/* one matrix for all samples: one long sum instead of products to be added */
		int64_t k = ta->dim[ta->rank - 1], n = ty->dim[ty->rank - 1], m = 1;
		for (int i = 0; i < ty->rank - 1; i++)
			m *= ty->dim[i];
		ds_value *a2 = ds_emit_reshape(e, a, &(ds_type){ .rank = 2, .dim = { m, k } }), *dy2 = ds_emit_reshape(e, dy, &(ds_type){ .rank = 2, .dim = { m, n } });
		*db = trans_b ? ds_matmult_emit(e, dy2, true, a2, false) : ds_matmult_emit(e, a2, true, dy2, false);
		return;
	}
	*db = trans_b ? ds_matmult_emit(e, dy, true, a, trans_a) : ds_matmult_emit(e, a, !trans_a, dy, false);
	*db = reduced(e, *db, ty, tb);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ds_matmult_attr *t = n->a;
	ds_emit e = ds_emit_begin(g, err);
	ds_matmul_grad_emit(&e, dout[0], &n->out[0]->type, n->in[0], &n->in[0]->type, t->trans_a != 0, n->in[1], &n->in[1]->type, t->trans_b != 0, &din[0], &din[1]);
	return ds_emit_end(&e);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	const ds_matmult_attr *t = n->a;
	return ds_mm_links(&in[0].type, &in[1].type, &out[0], t->trans_a != 0, t->trans_b != 0, 1, link, cap);
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	const ds_type *a = &in[0].type;
	double size = (double)ds_dtype_size(out->dtype);
	*c = (ds_cost){ .macs = (double)a->dim[a->rank - (DS_A(ds_matmult_attr, n)->trans_a ? 2 : 1)] * (double)ds_type_count(out),
		.act_bytes = size * (double)(ds_type_count(a) + ds_type_count(&in[1].type) + ds_type_count(out)) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F64, DS_F32 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = ds_draw_dtype(&s, types, 4);
	bool ta = seed / 2 % 2, tb = seed % 2, longer = seed % 8 == 6;
	int64_t m = ds_draw_in(&s, 1, 20), k = longer ? ds_draw_in(&s, 2000, 2300) : ds_draw_in(&s, 1, 40), c = ds_draw_in(&s, 1, 70), bt = ds_draw_in(&s, 2, 3);
	int64_t a[4] = { bt, 2, ta ? k : m, ta ? m : k }, b[4] = { bt, seed % 3 ? 2 : 1, tb ? c : k, tb ? k : c };
	int ra = longer || seed % 4 == 0 ? 2 : seed % 5 == 4 ? 3 : 4, rb = longer || seed % 5 == 1 ? 2 : seed % 7 == 3 ? 3 : 4;
	ds_value *in[2] = { ds_draw_input(&s, t, ra, a + 4 - ra), ds_draw_input(&s, t, rb, b + 4 - rb) };
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "MatMulT", "", 2, in, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "trans_a", ta);
	ds_draw_i(&s, n, "trans_b", tb);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_ATTR_FLAG(ds_matmult_attr, trans_a, "0", "A is given transposed"),
	DS_ATTR_FLAG(ds_matmult_attr, trans_b, "0", "B is given transposed"),
	DS_BF16_ATTR(ds_matmult_attr, bf16),
	DS_ATTR_END
};

const ds_op ds_op_MatMulT = {
	.name = "MatMulT", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_matmult_attr), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = ds_matmult_variants, .gradient = gradient, .cost = cost, .channels = channels, .sample = sample,
};
