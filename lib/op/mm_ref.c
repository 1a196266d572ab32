/* mm_ref.c - geometry of matrix products with numpy broadcasting, and their plain loops */
#include "mm_ref.h"
#include "infer.h"

#include <math.h>

ds_status ds_mm_infer(const ds_type *a, const ds_type *b, ds_type *out, ds_err *err)
{
	*out = (ds_type){ .dtype = a->dtype, .rank = -1 };
	if (a->rank < 0 || b->rank < 0)
		return DS_OK;
	if (a->rank == 0 || b->rank == 0)
		return ds_fail(err, DS_E_INPUT, "matrix product of a scalar");
	int ab = DS_MAX(a->rank - 2, 0), bb = DS_MAX(b->rank - 2, 0), rank = DS_MAX(ab, bb);
	int64_t ka = a->dim[a->rank - 1], kb = b->dim[b->rank == 1 ? 0 : b->rank - 2];
	if (ka >= 0 && kb >= 0 && ka != kb)
		return ds_fail(err, DS_E_INPUT, "matrix product: %lld columns against %lld rows", (long long)ka, (long long)kb);
	out->rank = (int8_t)rank;
	for (int i = 0; i < rank; i++) {
		int ia = i - (rank - ab), ib = i - (rank - bb);
		if (!ds_infer_dim(ia < 0 ? 1 : a->dim[ia], ib < 0 ? 1 : b->dim[ib], &out->dim[i]))
			return ds_fail(err, DS_E_INPUT, "matrix product: axis %d does not broadcast", i);
	}
	if (a->rank > 1)
		out->dim[out->rank++] = a->dim[a->rank - 2];
	if (b->rank > 1)
		out->dim[out->rank++] = b->dim[b->rank - 1];
	return DS_OK;
}

ds_mm_geo ds_mm_geometry(const ds_type *a, const ds_type *b, bool trans_a, bool trans_b)
{
	int64_t ra = a->rank > 1 ? a->dim[a->rank - 2] : 1, ca = a->dim[a->rank - 1];
	int64_t rb = b->rank > 1 ? b->dim[b->rank - 2] : b->dim[0], cb = b->rank > 1 ? b->dim[b->rank - 1] : 1;
	ds_mm_geo g = { .m = trans_a ? ca : ra, .k = trans_a ? ra : ca, .n = trans_b ? rb : cb, .batch = 1,
		.sam = trans_a ? 1 : ca, .sak = trans_a ? ca : 1, .sbk = trans_b ? 1 : cb, .sbn = trans_b ? cb : 1 };
	int ab = DS_MAX(a->rank - 2, 0), bb = DS_MAX(b->rank - 2, 0);
	int64_t sa = ra * ca, sb = rb * cb;
	g.rank = DS_MAX(ab, bb);
	for (int i = g.rank - 1; i >= 0; i--) {
		int ia = i - (g.rank - ab), ib = i - (g.rank - bb);
		int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
		g.dim[i] = da == 1 ? db : da;
		g.sa[i] = da == 1 ? 0 : sa;
		g.sb[i] = db == 1 ? 0 : sb;
		sa *= da;
		sb *= db;
		g.batch *= g.dim[i];
	}
	return g;
}

void ds_mm_at(const ds_mm_geo *g, int64_t batch, int64_t *a_at, int64_t *b_at)
{
	*a_at = *b_at = 0;
	for (int i = g->rank - 1; i >= 0; i--) {
		*a_at += batch % g->dim[i] * g->sa[i];
		*b_at += batch % g->dim[i] * g->sb[i];
		batch /= g->dim[i];
	}
}

typedef struct job {
	const ds_mm_geo  *g;
	const void       *a, *b, *init;
	int64_t           s_im, s_in;
	void             *y;
	const ds_mm_ints *ints;
} job;

#define MM_TASK(name, T, ADD) \
static void name(void *arg, int task, int worker) \
{ \
	const job *j = arg; \
	const ds_mm_geo *g = j->g; \
	int64_t a_at, b_at, row = task % g->m; \
	ds_mm_at(g, task / g->m, &a_at, &b_at); \
	T *y = (T *)j->y + (int64_t)task * g->n; \
	for (int64_t c = 0; c < g->n; c++) { \
		const T *a = (const T *)j->a + a_at + row * g->sam, *b = (const T *)j->b + b_at + c * g->sbn; \
		T s = j->init ? ((const T *)j->init)[row * j->s_im + c * j->s_in] : 0; \
		for (int64_t k = 0; k < g->k; k++, a += g->sak, b += g->sbk) \
			s = ADD; \
		y[c] = s; \
	} \
}
MM_TASK(task_f32, float, fmaf(*a, *b, s))
MM_TASK(task_f64, double, fma(*a, *b, s))
MM_TASK(task_u32, uint32_t, *a * *b + s)
MM_TASK(task_u64, uint64_t, *a * *b + s)

ds_status ds_mm_ref(ds_pool *pool, const ds_mm_geo *g, ds_dtype t, const void *a, const void *b, void *y, const void *init, int64_t s_im, int64_t s_in,
	ds_err *err)
{
	/* signed and unsigned integers wrap alike */
	static void (*const fn[])(void *, int, int) = {
		[DS_F32] = task_f32, [DS_F64] = task_f64, [DS_I32] = task_u32, [DS_U32] = task_u32, [DS_I64] = task_u64, [DS_U64] = task_u64,
	};
	job j = { .g = g, .a = a, .b = b, .y = y, .init = init, .s_im = s_im, .s_in = s_in };
	if ((size_t)t >= DS_COUNTOF(fn) || !fn[t])
		return ds_fail(err, DS_E_UNSUPPORTED, "matrix product of type %s", ds_dtype_name(t));
	ds_pool_run(pool, (int)(g->batch * g->m), fn[t], &j);
	return DS_OK;
}

static inline int32_t code(const void *p, int64_t i, bool sign) { return sign ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i]; }

static void task_int(void *arg, int task, int worker)
{
	const job *j = arg;
	const ds_mm_geo *g = j->g;
	const ds_mm_ints *p = j->ints;
	int64_t a_at, b_at, row = task % g->m;
	ds_mm_at(g, task / g->m, &a_at, &b_at);
	int32_t az = p->a_zp ? code(p->a_zp, row * p->a_zp_step, p->a_signed) : 0;
	for (int64_t c = 0; c < g->n; c++) {
		int32_t bz = p->b_zp ? code(p->b_zp, c * p->b_zp_step, p->b_signed) : 0;
		uint32_t s = 0;
		for (int64_t k = 0; k < g->k; k++)
			s += (uint32_t)((code(p->a, a_at + row * g->sam + k * g->sak, p->a_signed) - az) *
				(code(p->b, b_at + c * g->sbn + k * g->sbk, p->b_signed) - bz));
		((int32_t *)j->y)[(int64_t)task * g->n + c] = (int32_t)s;
	}
}

void ds_mm_ref_int(ds_pool *pool, const ds_mm_geo *g, const ds_mm_ints *p, int32_t *y)
{
	ds_pool_run(pool, (int)(g->batch * g->m), task_int, &(job){ .g = g, .y = y, .ints = p });
}

/* Batch axes and rows go straight through where they do not broadcast; the inner axis joins A and B; columns come from B. */
int ds_mm_links(const ds_type *a, const ds_type *b, const ds_type *out, bool trans_a, bool trans_b, int b_slot, ds_link *link, int cap)
{
	int n = 0;
	if (a->rank < 2 || b->rank < 2)
		return 0;
	int am = a->rank - 2 + trans_a, ak = a->rank - 1 - trans_a, bk = b->rank - 2 + trans_b, bn = b->rank - 1 - trans_b;
	n = ds_link_add(link, n, cap, DS_LINK_SAME, 0, ak, b_slot, bk, 0);
	n = ds_link_add(link, n, cap, DS_LINK_SAME, 0, am, DS_SLOT_OUT, out->rank - 2, 0);
	n = ds_link_add(link, n, cap, DS_LINK_SAME, b_slot, bn, DS_SLOT_OUT, out->rank - 1, 0);
	if (b->rank == 2)
		n = ds_link_add(link, n, cap, DS_LINK_FREE, b_slot, bn, b_slot, bn, 0);
	for (int i = 0; i < out->rank - 2; i++) {
		int ia = i - (out->rank - a->rank), ib = i - (out->rank - b->rank);
		if (ia >= 0 && a->dim[ia] == out->dim[i] && out->dim[i] > 1)
			n = ds_link_add(link, n, cap, DS_LINK_SAME, 0, ia, DS_SLOT_OUT, i, 0);
		if (ib >= 0 && b->dim[ib] == out->dim[i] && out->dim[i] > 1)
			n = ds_link_add(link, n, cap, DS_LINK_SAME, b_slot, ib, DS_SLOT_OUT, i, 0);
	}
	return n;
}

void ds_mm_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	const ds_type *a = &in[0].type, *b = &in[1].type;
	double bytes_b = (double)ds_type_count(b) * (double)ds_dtype_size(b->dtype);
	bool trans_a = a->rank == 2 && out->rank == 2 && a->dim[0] != out->dim[0];
	double k = a->rank ? (double)a->dim[trans_a ? 0 : a->rank - 1] : 1;
	*cost = (ds_cost){ .macs = k * (double)ds_type_count(out), .weight_bytes = in[1].value ? bytes_b : 0,
		.act_bytes = (double)ds_type_count(a) * (double)ds_dtype_size(a->dtype) + (double)ds_type_count(out) * (double)ds_dtype_size(out->dtype) +
			(in[1].value ? 0 : bytes_b) };
}
