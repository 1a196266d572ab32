/* hardswish.c - HardSwish: x max(0, min(1, x / 6 + 1/2)) */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, hardswish, SAME, (void)arg, x * fmaxf(0.0f, fminf(1.0f, x * (1.0f / 6.0f) + 0.5f)), x * fmax(0.0, fmin(1.0, x * (1.0 / 6.0) + 0.5)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(hardswish) }, .same = 1 };

DS_EW_OP(HardSwish, 1)
