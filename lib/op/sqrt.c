/* sqrt.c - Sqrt: square root */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, sqrt, SAME, (void)arg, sqrtf(x), sqrt(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sqrt) }, .same = 1 };

DS_EW_GRAD(Sqrt, out, (void)arg, y / (x + x), y / (x + x))
DS_EW_OP(Sqrt, 1, .gradient = gradient)
