/* atan.c - Atan: arc tangent */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, atan, SAME, (void)arg, atanf(x), atan(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(atan) }, .same = 1 };

DS_EW_GRAD(Atan, in, (void)arg, y / (1.0f + x * x), y / (1.0 + x * x))
DS_EW_OP(Atan, 1, .gradient = gradient)
