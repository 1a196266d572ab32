/* floor.c - Floor: largest integer not above x */
#include "elementwise.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, floor, SAME, (void)arg, floorf(x), floor(x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(floor) }, .same = 1 };

DS_EW_OP(Floor, 1, .gradient = ds_ew_gradient_none)
