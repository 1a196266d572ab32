/* exp.c - Exp: e to the x */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, exp, SAME, (void)arg, ds_vm_exp(x), exp(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(exp) }, .same = 1 };

DS_EW_OP(Exp, 1)
