/* log.c - Log: natural logarithm */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, log, SAME, (void)arg, ds_vm_log(x), log(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(log) }, .same = 1 };

DS_EW_OP(Log, 1)
