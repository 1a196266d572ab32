/* xor.c - Xor: logical exclusive or */
#include "elementwise.h"

DS_EW2_ROW(xor_bool, uint8_t, uint8_t, uint8_t, (void)arg, !x != !y)

static const ds_ew ew = { .fn = { [DS_BOOL] = xor_bool }, .same = 1 };

DS_EW_OP(Xor, 2)
