/* relu.c - Relu: max(x, 0), NaN stays */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW1_ROW, relu, SAME, (void)arg, x < 0 ? 0.0f : x, x < 0 ? 0.0 : x)
DS_EW_SIGNED(DS_EW1_ROW, relu, SAME, (void)arg, x < 0 ? 0 : x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(relu), DS_EW_FN_SIGNED(relu) }, .same = 1 };

DS_EW_OP(Relu, 1)
