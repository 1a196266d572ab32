/* elu.c - Elu: x, below zero alpha (e^x - 1) */
#include "elementwise.h"
#include "../kernel/vmath.h"
#include "../kernel/kernel.h"

#include <math.h>

struct attr { double alpha; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "1", "limit towards minus infinity, negated"),
	DS_ATTR_END
};

DS_EW_ACT_ROW(elu_f32, DS_ACT_ELU, ((const struct attr *)arg)->alpha, 0)
DS_EW1_ROW(elu_f64, double, double, double, const float alpha = (float)((const struct attr *)arg)->alpha, x < 0 ? (double)alpha * expm1(x) : x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(elu) }, .same = 1 };

DS_EW_GRAD(Elu, in, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x < 0 ? y * (alpha * ds_vm_exp(x)) : y,
	x < 0 ? y * ((double)alpha * exp(x)) : y, .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(Elu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
