/* sinh.c - Sinh: hyperbolic sine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, sinh, SAME, (void)arg, sinhf(x), sinh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sinh) }, .same = 1 };

DS_EW_GRAD(Sinh, in, (void)arg, y * coshf(x), y * cosh(x))
DS_EW_OP(Sinh, 1, .gradient = gradient)
