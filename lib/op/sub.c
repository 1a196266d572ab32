/* sub.c - Sub: x - y; integers wrap */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, sub, SAME, (void)arg, x - y, x - y)
DS_EW_WRAP(DS_EW2_ROW, sub, (void)arg, x - y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sub), DS_EW_FN_INTS(sub) }, .same = 1 };

DS_EW_OP(Sub, 2)
