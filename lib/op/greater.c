/* greater.c - Greater: x > y */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, greater, BOOL, (void)arg, x > y, x > y)
DS_EW_INTS(DS_EW2_ROW, greater, BOOL, (void)arg, x > y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(greater), DS_EW_FN_INTS(greater) }, .same = 1, .out = DS_BOOL };

DS_EW_OP(Greater, 2)
