/* matmult.h - ds.MatMulT, and the gradients of matrix products made of it */
#ifndef DS_OP_MATMULT_H
#define DS_OP_MATMULT_H

#include "grad.h"
#include "mm_ref.h"

typedef struct ds_matmult_attr { int64_t trans_a, trans_b, bf16; } ds_matmult_attr;
typedef struct ds_matmul_attr { int64_t bf16; } ds_matmul_attr;         /* MatMul */

/* Pieces of the sum over k: piece i is [k*i/parts, k*(i+1)/parts). */
int64_t   ds_mm_parts(const ds_mm_geo *g, bool trans_a);
ds_value *ds_matmult_emit(ds_emit *e, ds_value *a, bool trans_a, ds_value *b, bool trans_b);
/* Gradients of Y = op(a) op(b), ranks of 2 or more; ta, tb, ty: types of a, b, Y. */
void      ds_matmul_grad_emit(ds_emit *e, ds_value *dy, const ds_type *ty, ds_value *a, const ds_type *ta, bool trans_a, ds_value *b, const ds_type *tb, bool trans_b,
	ds_value **da, ds_value **db);

extern const ds_variant ds_matmult_variants[];
/* Columns of the variants of MatMul and Gemm for computed right operands (mm_train.c). */
bool      ds_mm_train_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
size_t    ds_mm_train_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
ds_status ds_mm_train_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
bool      ds_gemm_train_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
size_t    ds_gemm_train_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
ds_status ds_gemm_train_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);

#endif
