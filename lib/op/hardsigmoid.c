/* hardsigmoid.c - HardSigmoid: max(0, min(1, alpha x + beta)) */
#include "elementwise.h"

#include <math.h>

struct attr { double alpha; double beta; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "0.2", "slope"),
	DS_ATTR_FLOAT(struct attr, beta, "0.5", "value at zero"),
	DS_ATTR_END
};

DS_EW_FLOATS(DS_EW1_ROW, hardsigmoid, SAME, const struct attr *at = arg; const float alpha = (float)at->alpha; const float beta = (float)at->beta,
	fmaxf(0.0f, fminf(1.0f, alpha * x + beta)),
	fmax(0.0, fmin(1.0, (double)alpha * x + (double)beta)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(hardsigmoid) }, .same = 1 };

DS_EW_OP(HardSigmoid, 1, .attr_size = sizeof(struct attr), .attrs = attrs)
