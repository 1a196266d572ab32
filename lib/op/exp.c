/* exp.c - Exp: e to the x */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(exp_f32, DS_ACT_EXP, 0, 0)
DS_EW1_ROW(exp_f64, double, double, double, (void)arg, exp(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(exp) }, .same = 1 };

DS_EW_GRAD(Exp, out, (void)arg, y * x, y * x)
DS_EW_OP(Exp, 1, .gradient = gradient)
