/* mm_ref.h - geometry of matrix products with numpy broadcasting, and their plain loops */
#ifndef DS_OP_MM_REF_H
#define DS_OP_MM_REF_H

#include "fused.h"

/* Y[i] = A[a_at] B[b_at] for each of `batch` products, which ds_mm_at locates (in elements). */
typedef struct ds_mm_geo {
	int64_t m, n, k, batch;
	int64_t sam, sak, sbk, sbn;                     /* strides of A and B within one product */
	int     rank;                                   /* of the batch */
	int64_t dim[DS_MAX_RANK], sa[DS_MAX_RANK], sb[DS_MAX_RANK];
} ds_mm_geo;

/* Output dims of MatMul; out->dtype is set to a's. */
ds_status ds_mm_infer(const ds_type *a, const ds_type *b, ds_type *out, ds_err *err);
/* Of concrete types; transposes apply to the last two axes. */
ds_mm_geo ds_mm_geometry(const ds_type *a, const ds_type *b, bool trans_a, bool trans_b);
void      ds_mm_at(const ds_mm_geo *g, int64_t batch, int64_t *a_at, int64_t *b_at);

/* y = a b, dense rows.  f32 and f64: one chain of fused multiply-adds in ascending k that starts at init[i*s_im + j*s_in] (NULL: 0); integers wrap.
 * DS_E_UNSUPPORTED for other types.  Tasks are rows. */
ds_status ds_mm_ref(ds_pool *pool, const ds_mm_geo *g, ds_dtype t, const void *a, const void *b, void *y, const void *init, int64_t s_im, int64_t s_in,
	ds_err *err);
/* Sums of (a - a_zp[row]) * (b - b_zp[col]) for i8 and u8, zero points NULL or with stride 0 or 1. */
typedef struct ds_mm_ints {
	const void *a, *b;
	bool        a_signed, b_signed;
	const void *a_zp, *b_zp;        /* same types as a and b */
	int         a_zp_step, b_zp_step;
} ds_mm_ints;
void      ds_mm_ref_int(ds_pool *pool, const ds_mm_geo *g, const ds_mm_ints *p, int32_t *y);
/* Links of A (slot 0) with B (slot 1); Gemm's C in slot 2 (rank c_rank, -1: none). */
int       ds_mm_links(const ds_type *a, const ds_type *b, const ds_type *out, bool trans_a, bool trans_b, int b_slot, ds_link *link, int cap);
void      ds_mm_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);

#endif
