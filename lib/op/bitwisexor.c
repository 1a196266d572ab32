/* bitwisexor.c - BitwiseXor: bits set in one only */
#include "elementwise.h"

DS_EW_WRAP(DS_EW2_ROW, bitwisexor, (void)arg, x ^ y)

static const ds_ew ew = { .fn = { DS_EW_FN_INTS(bitwisexor) }, .same = 1 };

DS_EW_OP(BitwiseXor, 2)
