/* asin.c - Asin: arc sine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, asin, SAME, (void)arg, asinf(x), asin(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(asin) }, .same = 1 };

DS_EW_GRAD(Asin, in, (void)arg, y / sqrtf(1.0f - x * x), y / sqrt(1.0 - x * x))
DS_EW_OP(Asin, 1, .gradient = gradient)
