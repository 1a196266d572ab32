/* lessorequal.c - LessOrEqual: x <= y */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, lessorequal, BOOL, (void)arg, x <= y, x <= y)
DS_EW_INTS(DS_EW2_ROW, lessorequal, BOOL, (void)arg, x <= y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(lessorequal), DS_EW_FN_INTS(lessorequal) }, .same = 1, .out = DS_BOOL };

DS_EW_OP(LessOrEqual, 2)
