/* softsign.c - Softsign: x / (1 + |x|) */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, softsign, SAME, (void)arg, x / (1.0f + fabsf(x)), x / (1.0 + fabs(x)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(softsign) }, .same = 1 };

DS_EW_GRAD(Softsign, in, (void)arg, y / ((1.0f + fabsf(x)) * (1.0f + fabsf(x))), y / ((1.0 + fabs(x)) * (1.0 + fabs(x))))
DS_EW_OP(Softsign, 1, .gradient = gradient)
