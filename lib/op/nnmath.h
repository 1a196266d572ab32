/* nnmath.h - exponentials over rows of f32, the one place that says where the neural-network operators take them from; y may be x */
#ifndef DS_OP_NNMATH_H
#define DS_OP_NNMATH_H

#include "../kernel/kernel.h"

static inline void ds_nn_map(float *y, const float *x, size_t n, ds_act act)
{
	ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed())->fn.act(y, x, n, act, 0, 0);
}

static inline void ds_nn_exp(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_ACT_EXP); }
static inline void ds_nn_sigmoid(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_ACT_SIGMOID); }
static inline void ds_nn_tanh(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_ACT_TANH); }

#endif
