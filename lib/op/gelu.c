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

/* Stretches that stay in the first-level cache, so that the kernels' functions can be used. */
static void grad_f32(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg)
{
	enum { STRETCH = 256 };
	const float *a = in[0], *b = in[1], c = 0.797884561f;
	float *r = out, x[STRETCH], t[STRETCH], u[STRETCH];
	int kind = KIND;

	for (int64_t i = 0; i < n; i += STRETCH) {
		int64_t m = DS_MIN(STRETCH, n - i);

		for (int64_t k = 0; k < m; k++)
			x[k] = a[(i + k) * stride[0]];
		for (int64_t k = 0; k < m; k++)
			t[k] = kind ? c * (x[k] + 0.044715f * x[k] * x[k] * x[k]) : x[k] * 0.707106781f;
		ds_ew_act(t, t, 1, m, kind ? DS_ACT_TANH : DS_ACT_ERF, 0, 0);
		if (kind) {
			for (int64_t k = 0; k < m; k++)
				u[k] = x[k] * (1.0f - t[k] * t[k]) * (c * (1.0f + 0.134145f * x[k] * x[k]));
		} else {
			for (int64_t k = 0; k < m; k++)
				u[k] = -0.5f * x[k] * x[k];
			ds_ew_act(u, u, 1, m, DS_ACT_EXP, 0, 0);
			for (int64_t k = 0; k < m; k++)
				u[k] = x[k] * (0.797884561f * u[k]);
		}
		for (int64_t k = 0; k < m; k++)
			x[k] = b[(i + k) * stride[1]];
		for (int64_t k = 0; k < m; k++)
			r[i + k] = x[k] * (0.5f * (1.0f + t[k] + u[k]));
	}
}
DS_EW2_ROW(grad_f64, double, double, double, const int kind = KIND, y * slope64(x, kind))
DS_EW_GRAD_OP(Gelu, in, .attr_size = sizeof(struct attr), .attrs = attrs)

DS_EW_OP(Gelu, 1, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
