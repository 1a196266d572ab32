/* sigmoid.c - Sigmoid: 1 / (1 + e^-x) */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, sigmoid, SAME, (void)arg, ds_vm_sigmoid(x), 1.0 / (1.0 + exp(-x)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sigmoid) }, .same = 1 };

DS_EW_OP(Sigmoid, 1)
