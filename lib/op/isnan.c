/* isnan.c - IsNaN: is x not a number */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW1_ROW, isnan, BOOL, (void)arg, x != x, x != x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(isnan) }, .same = 1, .out = DS_BOOL };

DS_EW_OP(IsNaN, 1)
