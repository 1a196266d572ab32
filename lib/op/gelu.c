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

/* ---- gradient: with the distribution function P, P(x) + x P'(x); with tanh, t = tanh(u): (1 + t + x (1 - t^2) u') / 2 -------------- */
static inline double slope64(double x, int kind)
{
	double c = 0.79788456080286535588, t = tanh(c * (x + 0.044715 * x * x * x));

	if (kind)
		return 0.5 * (1.0 + t + x * (1.0 - t * t) * c * (1.0 + 3 * 0.044715 * x * x));
	return 0.5 * (1.0 + erf(x * 0.70710678118654752440)) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
}

static void grad_f32(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg)
{
	ds_k_slope_fn *fn = ds_kernel_pick(DS_K_slope_f32, ds_cpu_allowed())->fn.slope;
	const float *x = in[0], *dy = in[1];
	int act = KIND ? DS_ACT_GELU_TANH : DS_ACT_GELU;

	if (stride[0] == 1 && stride[1] == 1) {
		fn(out, x, dy, (size_t)n, act);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		fn((float *)out + i, x + i * stride[0], dy + i * stride[1], 1, act);
}
DS_EW2_ROW(grad_f64, double, double, double, const int kind = KIND, y * slope64(x, kind))
DS_EW_GRAD_OP(Gelu, in, .attr_size = sizeof(struct attr), .attrs = attrs)

DS_EW_OP(Gelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
