/* bitwisenot.c - BitwiseNot: every bit turned */
#include "elementwise.h"

DS_EW_WRAP(DS_EW1_ROW, bitwisenot, (void)arg, ~x)

static const ds_ew ew = { .fn = { DS_EW_FN_INTS(bitwisenot) }, .same = 1 };

DS_EW_OP(BitwiseNot, 1)
