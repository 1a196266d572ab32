/* qdq.h - what QuantizeLinear, DequantizeLinear and the operators on quantised activations share
 *
 * Quantising rounds half to even: q = clamp(rint(x / scale) + zero).  It is computed as rint(clamp(x / scale, lo - zero, hi - zero)) + zero, which is
 * the same because the bounds are whole, with rint as an addition and subtraction of 1.5 * 2^23 (exact below 2^22): no call, same bits everywhere. */
#ifndef DS_OP_QDQ_H
#define DS_OP_QDQ_H

#include "nn.h"

typedef struct ds_qdq_attr { int64_t axis, block_size, saturate, output_dtype; } ds_qdq_attr;

static inline float ds_rint_small(float v)      /* |v| < 2^22 */
{
	return (v + 12582912.0f) - 12582912.0f;
}

/* The scale of each element: rows of a split [outer][extent][inner] of the tensor as it lies in memory. */
typedef struct ds_qdq_split {
	int64_t outer, extent, inner;
	int64_t block;          /* > 0: blocks along the axis, scale [outer][ceil(extent / block)][inner] */
	bool    tensor;         /* one scale for everything */
	const ds_tensor *x, *scale;     /* blocks in a channels-last tensor: element by element; else NULL */
	int     axis;
} ds_qdq_split;
ds_status ds_qdq_make(const ds_node *n, const ds_tensor *x, const ds_tensor *scale, ds_qdq_split *s, ds_err *err);
/* Call fn for every run of elements with scales `scale[i * step]`, i counted from s0: [at, at + len) of the tensor. */
typedef void ds_qdq_fn(void *arg, int64_t at, int64_t len, int64_t s0, int step);
void ds_qdq_each(ds_pool *pool, const ds_qdq_split *s, ds_qdq_fn *fn, void *arg);
/* Shapes of scale and zero point against x; DS_E_INPUT. */
ds_status ds_qdq_check(const ds_node *n, const ds_arg *in, ds_err *err);
int       ds_qdq_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
/* Let rows of codes run together where padding each to 64 bytes would add more than a sixteenth: form->joined.  Its other fields are filled; widths that are split
 * into two planes stay in rows. */
ds_status ds_q_join(ds_qform *form, int rank, const int64_t *dim, ds_err *err);
/* Smallest and largest value of an integer type of 16 bits or less; false for others. */
bool      ds_qdq_range(ds_dtype d, int32_t *lo, int32_t *hi);

#endif
