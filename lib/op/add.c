/* add.c - Add: x + y; integers wrap */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, add, SAME, (void)arg, x + y, x + y)
DS_EW_WRAP(DS_EW2_ROW, add, (void)arg, x + y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(add), DS_EW_FN_INTS(add) }, .same = 1 };

DS_EW_OP(Add, 2, .gradient = ds_ew_gradient_sum)
