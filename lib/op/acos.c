/* acos.c - Acos: arc cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, acos, SAME, (void)arg, acosf(x), acos(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(acos) }, .same = 1 };

DS_EW_GRAD(Acos, in, (void)arg, -y / sqrtf(1.0f - x * x), -y / sqrt(1.0 - x * x))
DS_EW_OP(Acos, 1, .gradient = gradient)
