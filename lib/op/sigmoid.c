/* sigmoid.c - Sigmoid: 1 / (1 + e^-x) */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(sigmoid_f32, DS_ACT_SIGMOID, 0, 0)
DS_EW1_ROW(sigmoid_f64, double, double, double, (void)arg, 1.0 / (1.0 + exp(-x)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sigmoid) }, .same = 1 };

DS_EW_GRAD(Sigmoid, out, (void)arg, y * (x * (1.0f - x)), y * (x * (1.0 - x)))
DS_EW_OP(Sigmoid, 1, .gradient = gradient)
