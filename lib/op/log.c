/* log.c - Log: natural logarithm */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

DS_EW_ACT_ROW(log_f32, DS_ACT_LOG, 0, 0)
DS_EW1_ROW(log_f64, double, double, double, (void)arg, log(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(log) }, .same = 1 };

DS_EW_GRAD(Log, in, (void)arg, y / x, y / x)
DS_EW_OP(Log, 1, .gradient = gradient)
