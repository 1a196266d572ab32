/* acosh.c - Acosh: inverse hyperbolic cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, acosh, SAME, (void)arg, acoshf(x), acosh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(acosh) }, .same = 1 };

DS_EW_GRAD(Acosh, in, (void)arg, y / sqrtf(x * x - 1.0f), y / sqrt(x * x - 1.0))
DS_EW_OP(Acosh, 1, .gradient = gradient)
