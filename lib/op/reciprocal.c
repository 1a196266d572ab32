/* reciprocal.c - Reciprocal: 1 / x */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW1_ROW, reciprocal, SAME, (void)arg, 1.0f / x, 1.0 / x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(reciprocal) }, .same = 1 };

DS_EW_GRAD(Reciprocal, out, (void)arg, -y * (x * x), -y * (x * x))
DS_EW_OP(Reciprocal, 1, .gradient = gradient)
