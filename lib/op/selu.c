/* selu.c - Selu: gamma x, below zero gamma alpha (e^x - 1) */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

struct attr { double alpha; double gamma; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "1.67326319217681884765625", "scale below zero"),
	DS_ATTR_FLOAT(struct attr, gamma, "1.05070102214813232421875", "scale of everything"),
	DS_ATTR_END
};

DS_EW_FLOATS(DS_EW1_ROW, selu, SAME, const struct attr *at = arg; const float alpha = (float)at->alpha; const float gamma = (float)at->gamma,
	gamma * (x <= 0 ? alpha * expm1f(x) : x),
	(double)gamma * (x <= 0 ? (double)alpha * expm1(x) : x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(selu) }, .same = 1 };

DS_EW_GRAD(Selu, in, const struct attr *at = arg; const float alpha = (float)at->alpha; const float gamma = (float)at->gamma,
	y * (x <= 0 ? gamma * alpha * ds_vm_exp(x) : gamma),
	y * (x <= 0 ? (double)gamma * (double)alpha * exp(x) : (double)gamma), .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(Selu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
