/* vmath.h - exp, log, tanh, sigmoid, erf and the activations made of them, on f32: inline functions that a compiler turns into vector code
 *
 * No calls, no branches, no fused multiply-add: plain IEEE operations, so the bits are the same on every CPU and for every vector width (the build
 * forbids contraction).  The polynomials are minimax fits of our own.  test/kernel/vmath.c measures the errors against double.
 * Infinities and NaN behave as in C.  Results below the normal range may lose bits, never sign or order of magnitude. */
#ifndef DS_KERNEL_VMATH_H
#define DS_KERNEL_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float ds_vm_float(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

static inline uint32_t ds_vm_bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

static inline float ds_vm_abs(float x)
{
	return ds_vm_float(ds_vm_bits(x) & 0x7FFFFFFFu);
}

/* |x| with the sign of s. */
static inline float ds_vm_sign(float x, float s)
{
	return ds_vm_float((ds_vm_bits(x) & 0x7FFFFFFFu) | (ds_vm_bits(s) & 0x80000000u));
}

/* x = k ln 2 + r with |r| <= ln 2 / 2: returns k (0 for NaN), r in *r.  |x| below 2^16. */
static inline float ds_vm_reduce(float x, float *r)
{
	const float shift = 0x1.8p23f;          /* adding it rounds to an integer */
	float k = (x * 0x1.715476p+0f + shift) - shift;

	*r = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f;      /* the first product is exact */
	return k == k ? k : 0.0f;
}

/* e^r - 1 for a reduced r. */
static inline float ds_vm_expm1r(float r)
{
	float p = 0x1.6d7c4cp-10f;

	p = p * r + 0x1.121070p-7f;
	p = p * r + 0x1.5554b2p-5f;
	p = p * r + 0x1.5554d8p-3f;
	p = p * r + 0x1p-1f;
	return p * (r * r) + r;
}

/* 2^k for integers -126 <= k <= 127 */
static inline float ds_vm_pow2(float k)
{
	return ds_vm_float((uint32_t)((int32_t)k + 127) << 23);
}

static inline float ds_vm_exp(float x)
{
	float r, k, half;

	x = x > 89.0f ? 89.0f : x;              /* NaN passes through both */
	x = x < -104.0f ? -104.0f : x;
	k = ds_vm_reduce(x, &r);
	half = (float)((int32_t)k >> 1);        /* in two steps, as 2^k itself may be out of range */
	return (ds_vm_expm1r(r) + 1.0f) * ds_vm_pow2(half) * ds_vm_pow2(k - half);
}

static inline float ds_vm_log(float x)
{
	/* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt 2; subnormals are scaled up first */
	float up = x < 0x1p-126f ? 0x1p25f : 1.0f, f, z, p, y, e;
	uint32_t u = ds_vm_bits(x * up) - 0x3F3504F3u;

	e = (float)((int32_t)u >> 23) - (x < 0x1p-126f ? 25.0f : 0.0f);
	f = ds_vm_float((u & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
	z = f * f;
	p = -0x1.41e58cp-4f;
	p = p * f + 0x1.07d174p-3f;
	p = p * f + -0x1.0ce260p-3f;
	p = p * f + 0x1.226e4ap-3f;
	p = p * f + -0x1.547854p-3f;
	p = p * f + 0x1.99a596p-3f;
	p = p * f + -0x1.000220p-2f;
	p = p * f + 0x1.55554ap-2f;
	y = f * (z * p) + e * 0x1.7f7d1cp-20f;
	y = (y - 0.5f * z) + f;
	y = y + e * 0x1.62e4p-1f;
	y = x < INFINITY ? y : x;               /* infinity and NaN stay */
	y = x == 0.0f ? -INFINITY : y;
	return x < 0.0f ? NAN : y;
}

/* 1 / (1 + e^-x), from e^-|x| <= 1 so that neither side loses digits. */
static inline float ds_vm_sigmoid(float x)
{
	float e = ds_vm_exp(-ds_vm_abs(x)), q = 1.0f / (1.0f + e);

	return x < 0.0f ? e * q : q;
}

/* t / (t + 2) with t = e^2|x| - 1, which keeps its digits near 0 where 1 - 2 / (e^2|x| + 1) does not. */
static inline float ds_vm_tanh(float x)
{
	float a = ds_vm_abs(x), r, s, t;

	a = a > 10.0f ? 10.0f : a;
	s = ds_vm_pow2(ds_vm_reduce(a + a, &r));
	t = ds_vm_expm1r(r) * s + (s - 1.0f);
	return ds_vm_sign(t / (t + 2.0f), x);
}

/* Below 1: x + x P(x^2); above: 1 - e^(-x^2) R(x) with R a fit of e^(x^2) erfc(x) on [1, 4]; *e is e^(-x^2). */
static inline float ds_vm_erf_exp(float x, float *e)
{
	float a = ds_vm_abs(x), z, p, q, u, small, large;

	z = a * a;
	a = a > 4.0f ? 4.0f : a;                /* beyond it 1 - e R is 1 */
	p = 0x1.4ae4d4p-14f;
	p = p * z + -0x1.a485eep-11f;
	p = p * z + 0x1.5419f6p-8f;
	p = p * z + -0x1.b7fbb4p-6f;
	p = p * z + 0x1.ce2d20p-4f;
	p = p * z + -0x1.81273ep-2f;
	p = p * z + 0x1.06eba8p-3f;
	small = x * p + x;
	u = a - 2.5f;
	q = 0x1.c021f8p-14f;
	q = q * u + 0x1.d7fd56p-13f;
	q = q * u + 0x1.1cdadcp-11f;
	q = q * u + -0x1.5a9e9ep-11f;
	q = q * u + 0x1.2dcb18p-9f;
	q = q * u + -0x1.0a7a46p-7f;
	q = q * u + 0x1.983384p-6f;
	q = q * u + -0x1.30816ep-4f;
	q = q * u + 0x1.afbbe6p-3f;
	*e = ds_vm_exp(-z);
	large = ds_vm_sign(1.0f - *e * q, x);
	return z < 1.0f ? small : large;
}

static inline float ds_vm_erf(float x)
{
	float e;

	return ds_vm_erf_exp(x, &e);
}

/* e^x - 1 with all digits near 0. */
static inline float ds_vm_expm1(float x)
{
	float r, k, half, a, b;

	x = x > 89.0f ? 89.0f : x;
	x = x < -26.0f ? -26.0f : x;
	k = ds_vm_reduce(x, &r);
	half = (float)((int32_t)k >> 1);
	a = ds_vm_pow2(half);
	b = ds_vm_pow2(k - half);
	return ds_vm_expm1r(r) * a * b + (a * b - 1.0f);
}

/* ---- activations, as the operators of these names; NaN stays ------------------------------------------------------------------- */
static inline float ds_vm_silu(float x)
{
	return x * ds_vm_sigmoid(x);
}

static inline float ds_vm_hardsigmoid(float x, float alpha, float beta)
{
	float t = alpha * x + beta;

	t = t < 0.0f ? 0.0f : t;
	return t > 1.0f ? 1.0f : t;
}

static inline float ds_vm_hardswish(float x)
{
	return x * ds_vm_hardsigmoid(x, 1.0f / 6.0f, 0.5f);
}

static inline float ds_vm_elu(float x, float alpha)
{
	return x < 0.0f ? alpha * ds_vm_expm1(x) : x;
}

static inline float ds_vm_gelu(float x)
{
	return 0.5f * x * (1.0f + ds_vm_erf(x * 0x1.6a09e6p-1f));
}

static inline float ds_vm_gelu_tanh(float x)
{
	return 0.5f * x * (1.0f + ds_vm_tanh(0x1.988454p-1f * (x + 0x1.6e4e26p-5f * x * x * x)));
}

/* Slopes: P(x) + x P'(x) with the distribution function P; with tanh, t = tanh(v): (1 + t + x (1 - t^2) v') / 2. */
static inline float ds_vm_gelu_slope(float x)
{
	float e, t = ds_vm_erf_exp(x * 0x1.6a09e6p-1f, &e);

	return 0.5f * (1.0f + t + x * (0x1.988454p-1f * e));
}

static inline float ds_vm_gelu_tanh_slope(float x)
{
	float z = x * x, t = ds_vm_tanh(0x1.988454p-1f * (x + 0x1.6e4e26p-5f * x * x * x));

	return 0.5f * (1.0f + t + x * (1.0f - t * t) * (0x1.988454p-1f * (1.0f + 0x1.12ba9ep-3f * z)));
}

/* x tanh(log(1 + e^x)) = x t / (t + 2) with t = e^x (e^x + 2); 1 beyond 20. */
static inline float ds_vm_mish(float x)
{
	float e = ds_vm_exp(x > 20.0f ? 20.0f : x), t = e * (e + 2.0f);

	return x * (t / (t + 2.0f));
}

#endif
