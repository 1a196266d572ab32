/* erf.c - Erf: error function */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, erf, SAME, (void)arg, ds_vm_erf(x), erf(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(erf) }, .same = 1 };

DS_EW_OP(Erf, 1)
