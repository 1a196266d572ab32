/* matmult.h - ds.MatMulT, and the gradients of matrix products made of it */
#ifndef DS_OP_MATMULT_H
#define DS_OP_MATMULT_H

#include "grad.h"
#include "mm_ref.h"

typedef struct ds_matmult_attr { int64_t trans_a, trans_b; } ds_matmult_attr;

/* Pieces of the sum over k: piece i is [k*i/parts, k*(i+1)/parts). */
int64_t   ds_mm_parts(const ds_mm_geo *g, bool trans_a);
ds_value *ds_matmult_emit(ds_emit *e, ds_value *a, bool trans_a, ds_value *b, bool trans_b);
/* Gradients of Y = op(a) op(b), ranks of 2 or more; ta, tb, ty: types of a, b, Y. */
void      ds_matmul_grad_emit(ds_emit *e, ds_value *dy, const ds_type *ty, ds_value *a, const ds_type *ta, bool trans_a, ds_value *b, const ds_type *tb, bool trans_b,
	ds_value **da, ds_value **db);

extern const ds_variant ds_matmult_variants[];

#endif
