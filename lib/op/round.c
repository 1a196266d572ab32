/* round.c - Round: nearest integer, halves to even */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, round, SAME, (void)arg, rintf(x), rint(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(round) }, .same = 1 };

DS_EW_OP(Round, 1, .gradient = ds_ew_gradient_none)
