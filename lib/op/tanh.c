/* tanh.c - Tanh: hyperbolic tangent */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, tanh, SAME, (void)arg, ds_vm_tanh(x), tanh(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(tanh) }, .same = 1 };

DS_EW_OP(Tanh, 1)
