/* tan.c - Tan: tangent */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, tan, SAME, (void)arg, tanf(x), tan(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(tan) }, .same = 1 };

DS_EW_GRAD(Tan, out, (void)arg, y * (1.0f + x * x), y * (1.0 + x * x))
DS_EW_OP(Tan, 1, .gradient = gradient)
