/* or.c - Or: logical or */
#include "elementwise.h"

DS_EW2_ROW(or_bool, uint8_t, uint8_t, uint8_t, (void)arg, x || y)

static const ds_ew ew = { .fn = { [DS_BOOL] = or_bool }, .same = 1 };

DS_EW_OP(Or, 2)
