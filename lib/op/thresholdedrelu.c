/* thresholdedrelu.c - ThresholdedRelu: x above alpha, else 0 */
#include "elementwise.h"

struct attr { double alpha; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "1", "threshold"),
	DS_ATTR_END
};

DS_EW_FLOATS(DS_EW1_ROW, thresholdedrelu, SAME, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x > alpha ? x : 0.0f,
	x > (double)alpha ? x : 0.0)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(thresholdedrelu) }, .same = 1 };

DS_EW_GRAD(ThresholdedRelu, in, const struct attr *at = arg; const float alpha = (float)at->alpha,
	x > alpha ? y : 0.0f,
	x > (double)alpha ? y : 0.0, .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(ThresholdedRelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
