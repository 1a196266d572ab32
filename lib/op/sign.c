/* sign.c - Sign: -1, 0 or 1; NaN stays */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW1_ROW, sign, SAME, (void)arg, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x, x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x)
DS_EW_SIGNED(DS_EW1_ROW, sign, SAME, (void)arg, (x > 0) - (x < 0))
DS_EW_UNSIGNED(DS_EW1_ROW, sign, SAME, (void)arg, x > 0)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sign), DS_EW_FN_INTS(sign) }, .same = 1 };

DS_EW_OP(Sign, 1, .gradient = ds_ew_gradient_none)
