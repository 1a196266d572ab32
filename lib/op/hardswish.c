/* hardswish.c - HardSwish: x max(0, min(1, x / 6 + 1/2)) */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(hardswish_f32, DS_ACT_HARDSWISH, 0, 0)
DS_EW1_ROW(hardswish_f64, double, double, double, (void)arg, x * fmax(0.0, fmin(1.0, x * (1.0 / 6.0) + 0.5)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(hardswish) }, .same = 1 };

DS_EW_GRAD(HardSwish, in, (void)arg,
	x <= -3.0f ? 0.0f : x >= 3.0f ? y : y * (x * (1.0f / 3.0f) + 0.5f),
	x <= -3.0 ? 0.0 : x >= 3.0 ? y : y * (x * (1.0 / 3.0) + 0.5))
DS_EW_OP(HardSwish, 1, .gradient = gradient)
