/* fused.h - our fused operators (domain "ds"): what rewrite/ makes of the ONNX graph when a model is loaded; never written to a model
 *
 * ConvAct X, W, B?, R?      attributes of ONNX Conv, act (ds_act_names), act_a, act_b
 *         Y = act(conv(X, W) + B + R); R has exactly the type of Y.  "" (empty) inputs as in ONNX.
 * GemmAct A, B, C?          transB; act, act_a, act_b.  A [M, K] or [..., K] (leading dims are kept: also serves MatMul with a
 *         constant 2-D right operand); B constant [K, N] or [N, K] with transB; C absent or [N].  Y = act(A B + C)
 * QConv   X, W, B?, R?      X u8; W quantised parameter (signed codes of 2 to 8 bits, per tensor or per row) with the f32 dims
 *         [O, C/g, kh, kw]; B f32 [O]; R u8, dims of Y.
 *         attributes of Conv; x_scale, x_zp; y_scale, y_zp; r_scale, r_zp; q_min, q_max (in codes; the fused relu or clip, default 0..255).
 *         y_scale > 0: Y u8 = clamp(rint(acc*m + b + (R - r_zp)*mr) + y_zp, q_min, q_max), m[o] = x_scale*sw[o]/y_scale, b = B/y_scale,
 *         mr = r_scale/y_scale, all computed in double and rounded to f32 once; acc exact.
 *         y_scale == 0: Y f32 = act(acc*x_scale*sw[o] + B), act, act_a, act_b; no R.
 * QGemm   A, B, C?          the same for A [..., K] u8 and B [K, N], or [N, K] with transB.  The scales of a B with quantised rows belong to
 *         outputs only when transB = 1; a [K, N] B must be per tensor.
 *
 * W and B of the quantised operators must be constant.  The rest are described in the files of their operators (QAdd, QConcat, ...). */
#ifndef DS_OP_FUSED_H
#define DS_OP_FUSED_H

#include "../graph/op.h"
#include "../kernel/kernel.h"

/* Own attribute of operators that multiply matrices, for training at lower precision: operands that are computed (not constant) are rounded to bf16 where the processor has
 * products of these, sums stay f32.  0 in every model. */
#define DS_BF16_ATTR(s, m) { "bf16", .type = DS_T_INT, .offset = offsetof(s, m), .def = "0", .max = 1, .help = "operands may be rounded to bf16" }

/* Attributes of Conv, ConvInteger, QLinearConv; also the first part of the fused ones */
typedef struct ds_conv_attr {
	int     auto_pad;               /* 0 NOTSET, 1 SAME_UPPER, 2 SAME_LOWER, 3 VALID */
	ds_ints dilations, kernel_shape, pads, strides;
	int64_t group;
} ds_conv_attr;

typedef struct ds_gemm_attr { double alpha, beta; int64_t transA, transB, bf16; } ds_gemm_attr;                 /* Gemm */

typedef struct ds_act_attr { int act; double a, b; } ds_act_attr;
typedef struct ds_q_attr { double x_scale, y_scale, r_scale; int64_t x_zp, y_zp, r_zp, q_min, q_max; } ds_q_attr;

typedef struct ds_conv_full { ds_conv_attr conv; ds_act_attr act; ds_q_attr q; int64_t bf16; } ds_conv_full;         /* ConvAct, QConv */
typedef struct ds_gemm_full { int64_t transB; ds_act_attr act; ds_q_attr q; } ds_gemm_full;           /* GemmAct, QGemm */

/* Dims of A [..., K] times a matrix B, perhaps transposed: GemmAct, QGemm. */
ds_status ds_gemm_act_infer(const ds_type *a, const ds_type *b, bool trans_b, ds_type *out, ds_err *err);

#endif
