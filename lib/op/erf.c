/* erf.c - Erf: error function */
#include "elementwise.h"
#include "../kernel/vmath.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(erf_f32, DS_ACT_ERF, 0, 0)
DS_EW1_ROW(erf_f64, double, double, double, (void)arg, erf(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(erf) }, .same = 1 };

DS_EW_GRAD(Erf, in, (void)arg, y * (1.12837917f * ds_vm_exp(-x * x)), y * (1.12837916709551257390 * exp(-x * x)))
DS_EW_OP(Erf, 1, .gradient = gradient)
