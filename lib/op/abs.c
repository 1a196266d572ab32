/* abs.c - Abs: |x|; the smallest integer of a type stays */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, abs, SAME, (void)arg, fabsf(x), fabs(x))
DS_EW_SIGNED(DS_EW1_ROW, abs, SAME, (void)arg, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
DS_EW_UNSIGNED(DS_EW1_ROW, abs, SAME, (void)arg, x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(abs), DS_EW_FN_INTS(abs) }, .same = 1 };

DS_EW_GRAD(Abs, in, (void)arg, x > 0 ? y : x < 0 ? -y : 0.0f, x > 0 ? y : x < 0 ? -y : 0.0)
DS_EW_OP(Abs, 1, .gradient = gradient)
