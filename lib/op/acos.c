/* acos.c - Acos: arc cosine */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, acos, SAME, (void)arg, acosf(x), acos(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(acos) }, .same = 1 };

DS_EW_OP(Acos, 1)
