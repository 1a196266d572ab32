/* nnmath.h - exponentials over rows of f32, the one place that says where the neural-network operators take them from; y may be x */
#ifndef DS_OP_NNMATH_H
#define DS_OP_NNMATH_H

#include "../kernel/kernel.h"

static inline void ds_nn_map(float *y, const float *x, size_t n, ds_map map)
{
	ds_kernel_pick(DS_K_map_f32, ds_cpu_allowed())->fn.map(y, x, n, map);
}

static inline void ds_nn_exp(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_MAP_EXP); }
static inline void ds_nn_sigmoid(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_MAP_SIGMOID); }
static inline void ds_nn_tanh(float *y, const float *x, size_t n) { ds_nn_map(y, x, n, DS_MAP_TANH); }

#endif
