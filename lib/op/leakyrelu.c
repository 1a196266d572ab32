/* leakyrelu.c - LeakyRelu: x, below zero alpha x */
#include "elementwise.h"

struct attr { double alpha; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "0.01", "slope below zero"),
	DS_ATTR_END
};

DS_EW_FLOATS(DS_EW1_ROW, leakyrelu, SAME, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x < 0 ? alpha * x : x,
	x < 0 ? (double)alpha * x : x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(leakyrelu) }, .same = 1 };

DS_EW_GRAD(LeakyRelu, in, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x < 0 ? alpha * y : y,
	x < 0 ? (double)alpha * y : y, .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(LeakyRelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
