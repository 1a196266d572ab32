/* mish.c - Mish: x tanh(log(1 + e^x)), as x t / (t + 2) with t = e^x (e^x + 2) */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

static inline float mish32(float x)
{
	float e = ds_vm_exp(x > 20.0f ? 20.0f : x), t = e * (e + 2.0f);

	return x * (t / (t + 2.0f));
}

static inline double mish64(double x)
{
	double e = exp(x > 40.0 ? 40.0 : x), t = e * (e + 2.0);

	return x * (t / (t + 2.0));
}

DS_EW_FLOATS(DS_EW1_ROW, mish, SAME, (void)arg, mish32(x), mish64(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mish) }, .same = 1 };

DS_EW_OP(Mish, 1)
