/* sin.c - Sin: sine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, sin, SAME, (void)arg, sinf(x), sin(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sin) }, .same = 1 };

DS_EW_GRAD(Sin, in, (void)arg, y * cosf(x), y * cos(x))
DS_EW_OP(Sin, 1, .gradient = gradient)
