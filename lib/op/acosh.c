/* acosh.c - Acosh: inverse hyperbolic cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, acosh, SAME, (void)arg, acoshf(x), acosh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(acosh) }, .same = 1 };

DS_EW_OP(Acosh, 1)
