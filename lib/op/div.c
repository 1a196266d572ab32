/* div.c - Div: x / y; integers truncate towards zero, and division by zero gives zero */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, div, SAME, (void)arg, x / y, x / y)
DS_EW_SIGNED(DS_EW2_ROW, div, SAME, (void)arg, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y)
DS_EW_UNSIGNED(DS_EW2_ROW, div, SAME, (void)arg, y == 0 ? 0 : x / y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(div), DS_EW_FN_INTS(div) }, .same = 1 };

DS_EW_OP(Div, 2)
