/* bitwiseor.c - BitwiseOr: bits set in either */
#include "elementwise.h"

DS_EW_WRAP(DS_EW2_ROW, bitwiseor, (void)arg, x | y)

static const ds_ew ew = { .fn = { DS_EW_FN_INTS(bitwiseor) }, .same = 1 };

DS_EW_OP(BitwiseOr, 2)
