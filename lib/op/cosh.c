/* cosh.c - Cosh: hyperbolic cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, cosh, SAME, (void)arg, coshf(x), cosh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(cosh) }, .same = 1 };

DS_EW_GRAD(Cosh, in, (void)arg, y * sinhf(x), y * sinh(x))
DS_EW_OP(Cosh, 1, .gradient = gradient)
