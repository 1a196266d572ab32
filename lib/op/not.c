/* not.c - Not: logical not */
#include "elementwise.h"

DS_EW1_ROW(not_bool, uint8_t, uint8_t, uint8_t, (void)arg, !x)

static const ds_ew ew = { .fn = { [DS_BOOL] = not_bool }, .same = 1 };

DS_EW_OP(Not, 1)
