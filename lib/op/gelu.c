/* gelu.c - Gelu: x times the normal distribution function, exact or with the tanh approximation */
#include "elementwise.h"
#include "../kernel/kernel.h"

#include <math.h>

struct attr { int approximate; };
static const char *const kinds[] = { "none", "tanh", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_CHOICE(struct attr, approximate, "none", kinds, "how the distribution function is computed"),
	DS_ATTR_END
};

static inline double gelu64(double x, int kind)
{
	double t = kind ? tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)) : erf(x * 0.70710678118654752440);

	return 0.5 * x * (1.0 + t);
}

#define KIND ((const struct attr *)arg)->approximate
DS_EW_ACT_ROW(gelu_f32, KIND ? DS_ACT_GELU_TANH : DS_ACT_GELU, 0, 0)
DS_EW1_ROW(gelu_f64, double, double, double, const int kind = KIND, gelu64(x, kind))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(gelu) }, .same = 1 };

DS_EW_OP(Gelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs)
