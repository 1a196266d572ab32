/* hardsigmoid.c - HardSigmoid: max(0, min(1, alpha x + beta)) */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

struct attr { double alpha; double beta; };
static const ds_opt attrs[] = {
	DS_ATTR_FLOAT(struct attr, alpha, "0.2", "slope"),
	DS_ATTR_FLOAT(struct attr, beta, "0.5", "value at zero"),
	DS_ATTR_END
};

#define AT ((const struct attr *)arg)
DS_EW_ACT_ROW(hardsigmoid_f32, DS_ACT_HARDSIGMOID, AT->alpha, AT->beta)
DS_EW1_ROW(hardsigmoid_f64, double, double, double, const double t0 = (float)AT->beta; const double t1 = (float)AT->alpha,
	fmax(0.0, fmin(1.0, t1 * x + t0)))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(hardsigmoid) }, .same = 1 };

DS_EW_GRAD(HardSigmoid, in, const float t0 = (float)AT->beta; const float t1 = (float)AT->alpha,
	t1 * x + t0 > 0.0f && t1 * x + t0 < 1.0f ? y * t1 : 0.0f,
	(double)t1 * x + (double)t0 > 0.0 && (double)t1 * x + (double)t0 < 1.0 ? y * (double)t1 : 0.0, .attr_size = sizeof(struct attr), .attrs = attrs)
DS_EW_OP(HardSigmoid, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
