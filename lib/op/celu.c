/* celu.c - Celu: max(0, x) + min(0, alpha (e^(x / alpha) - 1)) */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

struct attr { double alpha; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "1", "scale of the curve"),
	DS_ATTR_END
};

DS_EW_FLOATS(DS_EW1_ROW, celu, SAME, const struct attr *at = arg; const float alpha = (float)at->alpha,
	fmaxf(0.0f, x) + fminf(0.0f, alpha * expm1f(x / alpha)),
	fmax(0.0, x) + fmin(0.0, (double)alpha * expm1(x / (double)alpha)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(celu) }, .same = 1 };

DS_EW_GRAD(Celu, in, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x > 0 ? y : y * ds_vm_exp(x / alpha),
	x > 0 ? y : y * exp(x / (double)alpha), .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(Celu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
