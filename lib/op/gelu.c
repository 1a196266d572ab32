/* gelu.c - Gelu: x times the normal distribution function, exact or with the tanh approximation */
#include "elementwise.h"
#include "../kernel/vmath.h"

#include <math.h>

struct attr { int approximate; };
static const char *const kinds[] = { "none", "tanh", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_CHOICE(struct attr, approximate, "none", kinds, "how the distribution function is computed"),
	DS_ATTR_END
};

/* Both are cheap against memory traffic; the choice is the same for a whole run. */
static inline float gelu32(float x, int kind)
{
	float t = kind ? ds_vm_tanh(0x1.988454p-1f * (x + 0x1.6e4e26p-5f * x * x * x)) : ds_vm_erf(x * 0x1.6a09e6p-1f);

	return 0.5f * x * (1.0f + t);
}

static inline double gelu64(double x, int kind)
{
	double t = kind ? tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)) : erf(x * 0.70710678118654752440);

	return 0.5 * x * (1.0 + t);
}

DS_EW_FLOATS(DS_EW1_ROW, gelu, SAME, const int kind = ((const struct attr *)arg)->approximate, gelu32(x, kind), gelu64(x, kind))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(gelu) }, .same = 1 };

DS_EW_OP(Gelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs)
