/* softplus.c - Softplus: log(1 + e^x), as max(x, 0) + log(1 + e^-|x|) so that nothing overflows */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

DS_EW_FLOATS(DS_EW1_ROW, softplus, SAME, (void)arg, (x > 0 ? x : 0.0f) + log1pf(expf(-fabsf(x))), (x > 0 ? x : 0.0) + log1p(exp(-fabs(x))))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(softplus) }, .same = 1 };

DS_EW_GRAD(Softplus, in, (void)arg, y * ds_vm_sigmoid(x), y / (1.0 + exp(-x)))
DS_EW_OP(Softplus, 1, .gradient = gradient)
