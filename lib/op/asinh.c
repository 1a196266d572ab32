/* asinh.c - Asinh: inverse hyperbolic sine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, asinh, SAME, (void)arg, asinhf(x), asinh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(asinh) }, .same = 1 };

DS_EW_GRAD(Asinh, in, (void)arg, y / sqrtf(1.0f + x * x), y / sqrt(1.0 + x * x))
DS_EW_OP(Asinh, 1, .gradient = gradient)
