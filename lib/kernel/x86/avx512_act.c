/* avx512_act.c - activations for AVX-512: the exponential and those of the error function several vectors at a time, the others as the compiler makes them
 *
 * A polynomial is one long chain; four vectors side by side keep the pipelines full.  Operations and their order are those of vmath.h, so are the bits: a product by a
 * power of two is exact, or rounded once, in one step as in two. */
#include "../kernel.h"

#include <immintrin.h>

static void others(float *y, const float *x, size_t n, int act, float a, float b);
static void other_slopes(float *y, const float *x, const float *dy, size_t n, int act);
#define DS_ACT_FN others
#define DS_SLOPE_FN other_slopes
#include "../act_tmpl.h"

#define INLINE static inline __attribute__((always_inline))
#define V __m512
#define EACH _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)
#define SET(c) _mm512_set1_ps(c)

enum { VL = 16, WIDE = 4 };

/* p = p x + c */
INLINE void step(V *p, const V *x, float c, const int n)
{
	EACH p[i] = _mm512_add_ps(_mm512_mul_ps(p[i], x[i]), SET(c));
}

INLINE void start(V *p, float c, const int n) { EACH p[i] = SET(c); }

/* y = e^x; y may be x */
INLINE void wide_exp(V *y, const V *x, const int n)
{
	V k[WIDE], r[WIDE], p[WIDE];
	EACH {
		V v = _mm512_max_ps(SET(-104.0f), _mm512_min_ps(SET(89.0f), x[i]));      /* NaN, the second operand, stays */
		k[i] = _mm512_sub_ps(_mm512_add_ps(_mm512_mul_ps(v, SET(0x1.715476p+0f)), SET(0x1.8p23f)), SET(0x1.8p23f));
		r[i] = _mm512_sub_ps(_mm512_sub_ps(v, _mm512_mul_ps(k[i], SET(0x1.62e4p-1f))), _mm512_mul_ps(k[i], SET(0x1.7f7d1cp-20f)));
	}
	start(p, 0x1.6d7c4cp-10f, n);
	step(p, r, 0x1.121070p-7f, n);
	step(p, r, 0x1.5554b2p-5f, n);
	step(p, r, 0x1.5554d8p-3f, n);
	step(p, r, 0x1p-1f, n);
	EACH {
		V e = _mm512_add_ps(_mm512_mul_ps(p[i], _mm512_mul_ps(r[i], r[i])), r[i]);
		y[i] = _mm512_scalef_ps(_mm512_add_ps(e, SET(1.0f)), k[i]);
	}
}

/* y = erf(x), e = e^(-x^2) */
INLINE void wide_erf(V *y, V *e, const V *x, const int n)
{
	const V top = _mm512_castsi512_ps(_mm512_set1_epi32((int)0x80000000));
	V z[WIDE], p[WIDE], q[WIDE], u[WIDE];
	EACH {
		V a = _mm512_andnot_ps(top, x[i]);
		z[i] = _mm512_mul_ps(a, a);
		u[i] = _mm512_sub_ps(_mm512_min_ps(SET(4.0f), a), SET(2.5f));
		e[i] = _mm512_xor_ps(z[i], top);
	}
	wide_exp(e, e, n);
	start(q, 0x1.c021f8p-14f, n);
	step(q, u, 0x1.d7fd56p-13f, n);
	step(q, u, 0x1.1cdadcp-11f, n);
	step(q, u, -0x1.5a9e9ep-11f, n);
	step(q, u, 0x1.2dcb18p-9f, n);
	step(q, u, -0x1.0a7a46p-7f, n);
	step(q, u, 0x1.983384p-6f, n);
	step(q, u, -0x1.30816ep-4f, n);
	step(q, u, 0x1.afbbe6p-3f, n);
	start(p, 0x1.4ae4d4p-14f, n);
	step(p, z, -0x1.a485eep-11f, n);
	step(p, z, 0x1.5419f6p-8f, n);
	step(p, z, -0x1.b7fbb4p-6f, n);
	step(p, z, 0x1.ce2d20p-4f, n);
	step(p, z, -0x1.81273ep-2f, n);
	step(p, z, 0x1.06eba8p-3f, n);
	EACH {
		V large = _mm512_sub_ps(SET(1.0f), _mm512_mul_ps(e[i], q[i])), small = _mm512_add_ps(_mm512_mul_ps(x[i], p[i]), x[i]);
		large = _mm512_or_ps(_mm512_andnot_ps(top, large), _mm512_and_ps(top, x[i]));
		y[i] = _mm512_mask_mov_ps(large, _mm512_cmp_ps_mask(z[i], SET(1.0f), _CMP_LT_OQ), small);
	}
}

INLINE void wide(float *y, const float *x, const float *dy, const int act, const bool slope, __mmask16 last, const int n)
{
	V v[WIDE], e[WIDE], t[WIDE], s[WIDE];
	EACH v[i] = _mm512_maskz_loadu_ps(i == n - 1 ? last : 0xffff, x + i * VL);
	if (act == DS_ACT_EXP) {
		wide_exp(t, v, n);
	} else if (act == DS_ACT_ERF) {
		wide_erf(t, e, v, n);
	} else {
		EACH s[i] = _mm512_mul_ps(v[i], SET(0x1.6a09e6p-1f));
		wide_erf(t, e, s, n);
	}
	EACH {
		V r = t[i];
		if (slope) {
			r = _mm512_add_ps(_mm512_add_ps(SET(1.0f), r), _mm512_mul_ps(v[i], _mm512_mul_ps(SET(0x1.988454p-1f), e[i])));
			r = _mm512_mul_ps(_mm512_maskz_loadu_ps(i == n - 1 ? last : 0xffff, dy + i * VL), _mm512_mul_ps(SET(0.5f), r));
		} else if (act == DS_ACT_GELU) {
			r = _mm512_mul_ps(_mm512_mul_ps(SET(0.5f), v[i]), _mm512_add_ps(SET(1.0f), r));
		}
		_mm512_mask_storeu_ps(y + i * VL, i == n - 1 ? last : 0xffff, r);
	}
}

INLINE void rows(float *y, const float *x, const float *dy, size_t n, const int act, const bool slope)
{
	for (; n >= WIDE * VL; n -= WIDE * VL, x += WIDE * VL, y += WIDE * VL, dy += slope ? WIDE * VL : 0)
		wide(y, x, dy, act, slope, 0xffff, WIDE);
	for (size_t i = 0; i < n; i += VL)
		wide(y + i, x + i, slope ? dy + i : dy, act, slope, n - i < VL ? (__mmask16)((1u << (n - i)) - 1) : 0xffff, 1);
}

static __attribute__((noinline)) void row_exp(float *y, const float *x, size_t n) { rows(y, x, NULL, n, DS_ACT_EXP, false); }
static __attribute__((noinline)) void row_erf(float *y, const float *x, size_t n) { rows(y, x, NULL, n, DS_ACT_ERF, false); }
static __attribute__((noinline)) void row_gelu(float *y, const float *x, size_t n) { rows(y, x, NULL, n, DS_ACT_GELU, false); }
static __attribute__((noinline)) void row_slope(float *y, const float *x, const float *dy, size_t n) { rows(y, x, dy, n, DS_ACT_GELU, true); }

void ds_k_act_f32_avx512(float *y, const float *x, size_t n, int act, float a, float b)
{
	switch (act) {
	case DS_ACT_EXP: row_exp(y, x, n); break;
	case DS_ACT_ERF: row_erf(y, x, n); break;
	case DS_ACT_GELU: row_gelu(y, x, n); break;
	default: others(y, x, n, act, a, b); break;
	}
}

void ds_k_slope_f32_avx512(float *y, const float *x, const float *dy, size_t n, int act)
{
	if (act == DS_ACT_GELU)
		row_slope(y, x, dy, n);
	else
		other_slopes(y, x, dy, n, act);
}
