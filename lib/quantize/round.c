/* round.c - rounding one row or group of weights: its scale, its codes, what that cost
 *
 * Symmetric codes -m..m with m = 2^(bits-1) - 1 and one scale s: q = clamp(rint(x / s)), rounded half to even.  "minmax" takes s = max|x| / m, so that nothing is
 * clipped.  "mse" tries DS_QW_TRIES smaller ones as well and takes the least sum of (x - s*q)^2, the larger scale when two are equal.  All sums run in eight fixed
 * lanes (element i in lane i mod 8) in f64, so that they are the same on every CPU and can still be computed side by side. */
#include "quantize.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

/* rint for |v| < 2^22, without a call: half to even under the default rounding mode. */
static inline float rint_small(float v)
{
	return (v + 12582912.0f) - 12582912.0f;
}

static inline float quantise(float x, float s, float m)
{
	float v = x / s;
	v = v > m ? m : v;
	return rint_small(v < -m ? -m : v);
}

static double lanes_sum(const double lane[LANES])
{
	return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

static double error_of(const float *x, int64_t n, float s, float m)
{
	double lane[LANES] = { 0 };
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++) {
			double d = (double)x[i + l] - (double)(s * quantise(x[i + l], s, m));
			lane[l] += d * d;
		}
	for (int l = 0; i < n; i++, l++) {
		double d = (double)x[i] - (double)(s * quantise(x[i], s, m));
		lane[l] += d * d;
	}
	return lanes_sum(lane);
}

/* Up to the next bf16, so that the largest value is not clipped. */
static float bf16_up(float v)
{
	uint32_t u;
	memcpy(&u, &v, sizeof(u));
	if (u & 0xFFFF)
		u = (u & 0xFFFF0000u) + 0x10000u;
	memcpy(&v, &u, sizeof(v));
	return v;
}

/* A scale must be a normal number, so that x / s is finite; rows of zeros (or nearly) get 1. */
static float usable(float s, bool bf16)
{
	if (bf16)
		s = bf16_up(s);
	return s >= 0x1p-126f && isfinite(s) ? s : 1.0f;
}

static float largest(const float *x, int64_t n)
{
	float lane[LANES] = { 0 }, a = 0;
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] = fabsf(x[i + l]) > lane[l] ? fabsf(x[i + l]) : lane[l];
	for (; i < n; i++)
		lane[0] = fabsf(x[i]) > lane[0] ? fabsf(x[i]) : lane[0];
	for (int l = 0; l < LANES; l++)
		a = lane[l] > a ? lane[l] : a;
	return a;
}

/* Sum of squares; also finds values that are not finite (their square is not either, nor is the sum). */
static double squares(const float *x, int64_t n)
{
	double lane[LANES] = { 0 };
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] += (double)x[i + l] * (double)x[i + l];
	for (int l = 0; i < n; i++, l++)
		lane[l] += (double)x[i] * (double)x[i];
	return lanes_sum(lane);
}

/* Factors on the largest scale that are tried: down to a half for wide codes, to a quarter for narrow ones, where clipping pays more. */
static float search(const float *x, int64_t n, int bits, float top, float m, bool bf16)
{
	float best = usable(top, bf16), step = (bits >= 6 ? 0.5f : 0.75f) / DS_QW_TRIES;
	double least = error_of(x, n, best, m);
	for (int k = 1; k < DS_QW_TRIES; k++) {
		float s = usable(top * (1.0f - step * (float)k), bf16);
		double e = error_of(x, n, s, m);
		if (e < least) {
			least = e;
			best = s;
		}
	}
	return best;
}

bool ds_q_unit(const float *x, int64_t n, int bits, ds_qrange range, bool bf16, uint8_t *code, ds_qunit *u, int64_t *bad)
{
	float m = (float)((1 << (bits - 1)) - 1);
	u->sum_sq = squares(x, n);
	if (!isfinite(u->sum_sq)) {
		for (*bad = 0; *bad < n && isfinite(x[*bad]); )
			++*bad;
		return false;
	}
	float top = largest(x, n) / m;
	u->scale = usable(top, bf16);
	if (range == DS_RANGE_MSE && top >= 0x1p-120f)
		u->scale = search(x, n, bits, top, m, bf16);
	u->err_sq = error_of(x, n, u->scale, m);
	u->clipped = 0;
	float s = u->scale, edge = s * (m + 0.5f);
	int offset = bits == 8 ? 0 : 1 << (bits - 1);
	for (int64_t i = 0; i < n; i++)
		code[i] = (uint8_t)((int)quantise(x[i], s, m) + offset);
	for (int64_t i = 0; i < n; i++)
		u->clipped += fabsf(x[i]) > edge;
	return true;
}
