/* and.c - And: logical and */
#include "elementwise.h"

DS_EW2_ROW(and_bool, uint8_t, uint8_t, uint8_t, (void)arg, x && y)

static const ds_ew ew = { .fn = { [DS_BOOL] = and_bool }, .same = 1 };

DS_EW_OP(And, 2)
