/* mish.c - Mish: x tanh(log(1 + e^x)), as x t / (t + 2) with t = e^x (e^x + 2) */
#include "elementwise.h"
#include "../kernel/kernel.h"
#include "../kernel/vmath.h"

#include <math.h>

static inline double mish64(double x)
{
	double e = exp(x > 40.0 ? 40.0 : x), t = e * (e + 2.0);

	return x * (t / (t + 2.0));
}

DS_EW_ACT_ROW(mish_f32, DS_ACT_MISH, 0, 0)
DS_EW1_ROW(mish_f64, double, double, double, (void)arg, mish64(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mish) }, .same = 1 };

/* tanh(s) + x (1 - tanh(s)^2) sigmoid(x), s = log(1 + e^x) */
static inline float slope32(float x)
{
	float e = ds_vm_exp(x > 20.0f ? 20.0f : x), t = e * (e + 2.0f), w = t / (t + 2.0f);

	return w + x * (1.0f - w * w) * ds_vm_sigmoid(x);
}

static inline double slope64(double x)
{
	double e = exp(x > 40.0 ? 40.0 : x), t = e * (e + 2.0), w = t / (t + 2.0);

	return w + x * (1.0 - w * w) / (1.0 + exp(-x));
}

DS_EW_GRAD(Mish, in, (void)arg, y * slope32(x), y * slope64(x))
DS_EW_OP(Mish, 1, .gradient = gradient)
