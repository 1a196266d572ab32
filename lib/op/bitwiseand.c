/* bitwiseand.c - BitwiseAnd: bits set in both */
#include "elementwise.h"

DS_EW_WRAP(DS_EW2_ROW, bitwiseand, (void)arg, x & y)

static const ds_ew ew = { .fn = { DS_EW_FN_INTS(bitwiseand) }, .same = 1 };

DS_EW_OP(BitwiseAnd, 2)
