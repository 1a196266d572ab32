/* mish.c - Mish: x tanh(log(1 + e^x)), as x t / (t + 2) with t = e^x (e^x + 2) */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

static inline double mish64(double x)
{
	double e = exp(x > 40.0 ? 40.0 : x), t = e * (e + 2.0);

	return x * (t / (t + 2.0));
}

DS_EW_ACT_ROW(mish_f32, DS_ACT_MISH, 0, 0)
DS_EW1_ROW(mish_f64, double, double, double, (void)arg, mish64(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mish) }, .same = 1 };

DS_EW_OP(Mish, 1)
