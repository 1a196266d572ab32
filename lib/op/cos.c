/* cos.c - Cos: cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, cos, SAME, (void)arg, cosf(x), cos(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(cos) }, .same = 1 };

DS_EW_GRAD(Cos, in, (void)arg, -y * sinf(x), -y * sin(x))
DS_EW_OP(Cos, 1, .gradient = gradient)
