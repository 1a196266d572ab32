/* ceil.c - Ceil: smallest integer not below x */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, ceil, SAME, (void)arg, ceilf(x), ceil(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(ceil) }, .same = 1 };

DS_EW_OP(Ceil, 1, .gradient = ds_ew_gradient_none)
