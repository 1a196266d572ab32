/* prelu.c - PRelu: x, below zero slope x; the slope is broadcast to x */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, prelu, SAME, (void)arg, x < 0 ? x * y : x, x < 0 ? x * y : x)
DS_EW_SIGNED(DS_EW2_ROW, prelu, SAME, (void)arg, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)
DS_EW_UNSIGNED(DS_EW2_ROW, prelu, SAME, (void)arg, ((void)y, x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(prelu), DS_EW_FN_INTS(prelu) }, .same = 1 };

DS_EW_OP(PRelu, 2)
