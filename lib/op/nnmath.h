/* nnmath.h - exponentials over rows of f32, the one place that says where the neural-network operators take them from; y may be x */
#ifndef DS_OP_NNMATH_H
#define DS_OP_NNMATH_H

#include <math.h>
#include <stddef.h>

static inline void ds_nn_exp(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = expf(x[i]);
}

static inline void ds_nn_sigmoid(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = 1.0f / (1.0f + expf(-x[i]));
}

static inline void ds_nn_tanh(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = tanhf(x[i]);
}

#endif
