/* atanh.c - Atanh: inverse hyperbolic tangent */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, atanh, SAME, (void)arg, atanhf(x), atanh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(atanh) }, .same = 1 };

DS_EW_GRAD(Atanh, in, (void)arg, y / (1.0f - x * x), y / (1.0 - x * x))
DS_EW_OP(Atanh, 1, .gradient = gradient)
