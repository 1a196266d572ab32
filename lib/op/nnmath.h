/* nnmath.h - exponentials over rows of f32 (kernel/vmath.h), in blocks of constant length so that compilers vectorise them; y may be x */
#ifndef DS_OP_NNMATH_H
#define DS_OP_NNMATH_H

#include "../kernel/vmath.h"
#include <stddef.h>

enum { DS_NN_BLOCK = 16 };

#define DS_NN_ROW_FN(name, fn) \
	static inline void name(float *y, const float *x, size_t n) \
	{ \
		float v[DS_NN_BLOCK]; \
		size_t i = 0; \
		for (; i + DS_NN_BLOCK <= n; i += DS_NN_BLOCK) { \
			for (int k = 0; k < DS_NN_BLOCK; k++) \
				v[k] = fn(x[i + (size_t)k]); \
			memcpy(y + i, v, sizeof v); \
		} \
		for (; i < n; i++) \
			y[i] = fn(x[i]); \
	}
DS_NN_ROW_FN(ds_nn_exp, ds_vm_exp)
DS_NN_ROW_FN(ds_nn_sigmoid, ds_vm_sigmoid)
DS_NN_ROW_FN(ds_nn_tanh, ds_vm_tanh)

#endif
