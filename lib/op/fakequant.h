/* fakequant.h - fake quantisation: values on the grid of integer codes, kept as floats so that they can be trained (FakeQuantize and its gradient)
 *
 *     step = max(scale, 2^-64)        code = rint(clamp(x / step, q_min, q_max)), half to even        y = code * step
 * in f32, one rounding per operation, so y is the f32 nearest to code * step.  A grid with a zero point z of codes [a, b] is q_min = a - z, q_max =
 * b - z.  The rewrite lower-fake-quantize makes integers of it with the same functions. */
#ifndef DS_OP_FAKEQUANT_H
#define DS_OP_FAKEQUANT_H

#include "qdq.h"

#define DS_FQ_LEAST 0x1p-64f
#define DS_FQ_CODES 65536               /* limit of |q_min| and q_max */

typedef struct ds_fq_attr {
	ds_qdq_attr grid;               /* first, for ds_qdq_make: axis; the rest of it is 0 */
	int64_t     q_min, q_max, per_sample;
	double      factor;             /* FakeQuantizeGrad */
} ds_fq_attr;

/* A scale that training drove to zero or below counts as the least step; NaN stays. */
static inline float ds_fq_step(float scale) { return scale < DS_FQ_LEAST ? DS_FQ_LEAST : scale; }

/* x / step in codes, not rounded; ds_fq_code is whole.  NaN stays. */
static inline float ds_fq_clamp(float u, float lo, float hi)
{
	u = u < lo ? lo : u;
	return u > hi ? hi : u;
}
static inline float ds_fq_code(float x, float step, float lo, float hi) { return ds_rint_small(ds_fq_clamp(x / step, lo, hi)); }

/* Limits: q_min <= 0 <= q_max, not both 0, within DS_FQ_CODES; scale is one value or one per index of axis.  DS_E_INPUT. */
ds_status ds_fq_check(const ds_node *n, const ds_arg *x, const ds_arg *scale, ds_err *err);

#endif
