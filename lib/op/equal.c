/* equal.c - Equal: x == y */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, equal, BOOL, (void)arg, x == y, x == y)
DS_EW_INTS(DS_EW2_ROW, equal, BOOL, (void)arg, x == y)
DS_EW2_ROW(equal_bool, uint8_t, uint8_t, uint8_t, (void)arg, !x == !y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(equal), DS_EW_FN_INTS(equal), [DS_BOOL] = equal_bool }, .same = 1, .out = DS_BOOL };

DS_EW_OP(Equal, 2)
