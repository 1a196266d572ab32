/* attention.h - what Attention and its gradient share: attributes, extents, the way from scores to probabilities; samples */
#ifndef DS_OP_ATTENTION_H
#define DS_OP_ATTENTION_H

#include "../kernel/kernel.h"
#include "nn.h"

typedef struct ds_attention_attr { int64_t is_causal, kv_num_heads, q_num_heads, output_mode, precision, left, right; double scale, softcap; } ds_attention_attr;
extern const ds_opt ds_attention_attrs[];

/* Extents, and where a row of Q, K, V or Y lies: item * at[0] + head * at[1] + position * at[2]. */
typedef struct ds_attention_shape { int64_t batch, heads, kv_heads, q_len, new_len, past, kv_len, d, dv, q_at[3], k_at[3], v_at[3], y_at[3]; } ds_attention_shape;

typedef struct ds_attention_job {
	const ds_attention_attr *a;
	ds_attention_shape s;
	float        scale, cap;
	const float *q, *k, *v, *past_k, *past_v;
	const ds_tensor *mask, *lengths;
	int64_t      mask_at[4], mask_len;
	float       *y, *present_k, *present_v, *qk;
	bool         packed;            /* by the matrix kernels, not one by one: the same bits */
	const ds_kernel *kn, *tn, *act; /* products, sums over queries, exponentials */
	char        *work;
	size_t       per_worker;
} ds_attention_job;

/* The extents from the types of q, k, v and past keys (NULL: none). */
ds_status ds_attention_extents(const ds_node *n, const ds_type *q, const ds_type *k, const ds_type *v, const ds_type *past, ds_attention_shape *s, ds_err *err);
/* What follows from the first seven inputs of the operator: everything of the job but its outputs and memory. */
ds_status ds_attention_begin(const ds_node *n, const ds_tensor *const *in, int n_in, ds_attention_job *j, ds_err *err);
/* Rows of the cache and the new ones of one head, one after the other, `step` elements apart in x; present (may be NULL) gets a copy. */
void      ds_attention_gather(float *dst, float *present, const float *past, const float *x, int64_t n_past, int64_t n_new, int64_t step, int64_t d);
/* A right operand [k, n]: as it lies, element (i, j) at b[i*sk + j*sn], and room for its panels when the job is packed. */
typedef struct ds_attention_operand { const float *b; int64_t k, n, sk, sn; float *panels; } ds_attention_operand;
void      ds_attention_pack(const ds_attention_job *j, const ds_attention_operand *o);
/* c[rows][ldc] = the first n columns (all, or whole panels) of rows times the first kc rows of an operand; sum: added to what is in c, whose rows are padded. */
void      ds_attention_product(const ds_attention_job *j, const float *const *rows, int64_t n_rows, int64_t kc, const ds_attention_operand *o, int64_t n, float *c,
	size_t ldc, bool sum);
/* Keys up to the last that the queries [pos, pos + n) see, rounded up to whole panels. */
int64_t   ds_attention_keys(const ds_attention_job *j, int64_t pos, int64_t n, int64_t offset, int64_t valid);
/* Keys that may be seen by a query: [*lo, *hi); offset: position of query 0 among the keys, valid: keys of this item. */
void      ds_attention_seen(const ds_attention_job *j, int64_t row, int64_t offset, int64_t valid, int64_t *lo, int64_t *hi);
/* The scores of one row become probabilities, in place; qk (may be NULL) gets what output 3 holds, capped (may be NULL) the scores after the cap.  Scores of keys that
 * are not seen may be anything, and capped gets none for them, unless `all` are asked for (as they are for qk). */
void      ds_attention_row(const ds_attention_job *j, float *s, int64_t b, int64_t h, int64_t row, int64_t offset, int64_t valid, bool all, float *qk,
	float *capped);

/* The gradient column (attentiongrad.c). */
ds_status ds_attention_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
ds_status ds_attention_sample(ds_graph *g, uint64_t seed, ds_err *err);

/* Columns of a row of `n` floats that kernels may write to. */
static inline size_t ds_attention_cols(int64_t n) { return ((size_t)n + 63) / 64 * 64 + 64; }

#endif
