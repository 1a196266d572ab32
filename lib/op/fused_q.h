/* fused_q.h - operators on quantised activations (domain "ds"): u8 codes in, u8 codes out, with the scales as attributes
 *
 * A code q stands for (q - zero point) * scale.  Rewrites make these operators of DequantizeLinear, an ONNX operator and QuantizeLinear when a model is
 * loaded; they are never written to a model.  All of them end in
 *     y = clamp(rint(v) + y_zp, q_min, q_max)         q_min, q_max default 0, 255: a fused Relu or Clip narrows them
 * with v in f32, one rounding per operation and no fused multiply-add, so every instruction set gives the same bytes.  Ratios of scales are made in
 * double and rounded to f32 once.
 *
 * QAdd               A, B (u8, broadcast)    v = (A - a_zp) * (a_scale / y_scale) + (B - b_zp) * (b_scale / y_scale)
 * QMul               A, B (u8, broadcast)    v = (A - a_zp) * (B - b_zp) * (a_scale * b_scale / y_scale); the first product is exact
 * QConcat            X0, X1, ... (u8)        each input requantised: v = (X - x_zps[i]) * (x_scales[i] / y_scale); copied when scale and zero point are y's
 * QLut               X (u8), T (u8 [256])    y = T[X]: any function of one code (Sigmoid, SiLU, HardSwish, requantisation, ...)
 * QAveragePool       X (u8)                  attributes of AveragePool; v = (sum of (X - x_zp) / count) * (x_scale / y_scale), the sum exact in int32
 * QGlobalAveragePool X (u8)                  the same over all spatial axes
 *
 * MaxPool, Relayout, Reshape, Transpose, nearest Resize and the like work on codes as they are. */
#ifndef DS_OP_FUSED_Q_H
#define DS_OP_FUSED_Q_H

#include "window.h"

/* QAdd, QMul */
typedef struct ds_q2_attr {
	double  a_scale, b_scale, y_scale;
	int64_t a_zp, b_zp, y_zp, q_min, q_max;
} ds_q2_attr;

/* QConcat */
typedef struct ds_qconcat_attr {
	int64_t   axis, y_zp;
	double    y_scale;
	ds_floats x_scales;
	ds_ints   x_zps;
} ds_qconcat_attr;

/* QAveragePool (with the window), QGlobalAveragePool */
typedef struct ds_qpool_attr {
	ds_pool_attr pool;              /* first: the geometry functions of window.h read it */
	double       x_scale, y_scale;
	int64_t      x_zp, y_zp, q_min, q_max;
} ds_qpool_attr;

/* The 256 entries of a table that takes codes (x_scale, x_zp) to codes (y_scale, y_zp) through fn (NULL: the identity), computed in double. */
void ds_q_table(uint8_t table[256], double (*fn)(double v, const void *arg), const void *arg, double x_scale, int64_t x_zp, double y_scale, int64_t y_zp);

#endif
