/* greaterorequal.c - GreaterOrEqual: x >= y */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, greaterorequal, BOOL, (void)arg, x >= y, x >= y)
DS_EW_INTS(DS_EW2_ROW, greaterorequal, BOOL, (void)arg, x >= y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(greaterorequal), DS_EW_FN_INTS(greaterorequal) }, .same = 1, .out = DS_BOOL };

DS_EW_OP(GreaterOrEqual, 2)
