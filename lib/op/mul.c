/* mul.c - Mul: x y; integers wrap */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, mul, SAME, (void)arg, x * y, x * y)
DS_EW_WRAP(DS_EW2_ROW, mul, (void)arg, x * y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mul), DS_EW_FN_INTS(mul) }, .same = 1 };

DS_EW_OP(Mul, 2)
