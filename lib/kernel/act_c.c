/* act_c.c - activations in plain C, with an exponential of our own so that every machine gives the same bits */
#include "kernel.h"

#include <math.h>
#include <string.h>

const char *const ds_act_names[DS_ACT_COUNT + 1] = {
	"none", "relu", "clip", "leakyrelu", "sigmoid", "silu", "hardsigmoid", "hardswish", "tanh", "elu", NULL
};

/* exp(x) for finite x: x = n ln 2 + r with |r| <= ln 2 / 2, a Taylor-like polynomial in r, scaling by 2^n in two halves so that the
 * ends of the range (subnormal, overflow) come out right.  Within 1 ulp of the true value in the normal range. */
static float exp_poly(float x)
{
	x = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
	float n = rintf(x * 1.44269504f), r = fmaf(n, -0.693145752f, x);
	r = fmaf(n, -1.42860677e-6f, r);
	float p = 1.38888889e-3f;
	p = fmaf(p, r, 8.33333377e-3f);
	p = fmaf(p, r, 4.16666679e-2f);
	p = fmaf(p, r, 1.66666672e-1f);
	p = fmaf(p, r, 0.5f);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	int32_t i = (int32_t)n, h = i >> 1;
	uint32_t a = (uint32_t)(h + 127) << 23, b = (uint32_t)(i - h + 127) << 23;
	float fa, fb;
	memcpy(&fa, &a, 4);
	memcpy(&fb, &b, 4);
	return p * fa * fb;
}

static float sigmoid(float x) { return 1.0f / (1.0f + exp_poly(-x)); }

/* Near zero an odd polynomial (relative accuracy), elsewhere through exp. */
static float tanh_poly(float x)
{
	float z = x < 0 ? -x : x;
	if (z < 0.625f) {
		float s = x * x, p = -5.70498872e-3f;
		p = fmaf(p, s, 2.06390887e-2f);
		p = fmaf(p, s, -5.37397155e-2f);
		p = fmaf(p, s, 1.33314422e-1f);
		p = fmaf(p, s, -3.33332819e-1f);
		return fmaf(p * s, x, x);
	}
	float y = 1.0f - 2.0f / (exp_poly(2.0f * z) + 1.0f);
	return x < 0 ? -y : y;
}

void ds_k_act_f32_c(float *y, const float *x, size_t n, int act, float a, float b)
{
#define EACH(expr) for (size_t i = 0; i < n; i++) { float v = x[i]; y[i] = v != v ? v : (expr); } break
	switch ((ds_act)act) {
	case DS_ACT_RELU:        EACH(v > 0 ? v : 0.0f);
	case DS_ACT_CLIP:        EACH(v < a ? a : v > b ? b : v);
	case DS_ACT_LEAKYRELU:   EACH(v < 0 ? v * a : v);
	case DS_ACT_SIGMOID:     EACH(sigmoid(v));
	case DS_ACT_SILU:        EACH(v * sigmoid(v));
	case DS_ACT_HARDSIGMOID: EACH(fminf(fmaxf(fmaf(a, v, b), 0.0f), 1.0f));
	case DS_ACT_HARDSWISH:   EACH(v * fminf(fmaxf(fmaf(1.0f / 6.0f, v, 0.5f), 0.0f), 1.0f));
	case DS_ACT_TANH:        EACH(tanh_poly(v));
	case DS_ACT_ELU:         EACH(v < 0 ? a * (exp_poly(v) - 1.0f) : v);
	case DS_ACT_NONE:
	case DS_ACT_COUNT:
		if (y != x)
			memmove(y, x, n * sizeof *y);
		break;
	}
#undef EACH
}
