/* tanh.c - Tanh: hyperbolic tangent */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(tanh_f32, DS_ACT_TANH, 0, 0)
DS_EW1_ROW(tanh_f64, double, double, double, (void)arg, tanh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(tanh) }, .same = 1 };

DS_EW_GRAD(Tanh, out, (void)arg, y * (1.0f - x * x), y * (1.0 - x * x))
DS_EW_OP(Tanh, 1, .gradient = gradient)
