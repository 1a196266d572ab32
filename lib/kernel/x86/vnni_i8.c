/* vnni_i8.c - int8 kernels with the 512-bit dot product instruction: panels of 64 columns, 6 rows (24 sums) at a time */
#include "../kernel.h"

#include <immintrin.h>
#include <string.h>

#define FIRST(n) ((__mmask16)((1u << (n)) - 1))
#define V __m512i
#define VF __m512
#define VL 16
#define MR(nv) ((nv) <= 3 ? 8 : 6)
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define ADD(a, b) _mm512_add_epi32(a, b)
#define SUB(a, b) _mm512_sub_epi32(a, b)
#define SET1(x) _mm512_set1_epi32(x)
#define ZERO _mm512_setzero_si512()
#define FLOAT(v) _mm512_cvtepi32_ps(v)
#define ROUND(f) _mm512_cvtps_epi32(f)
#define FLOAD(p) _mm512_loadu_ps(p)
#define FSET1(x) _mm512_set1_ps(x)
#define FZERO _mm512_setzero_ps()
#define FADD(a, b) _mm512_add_ps(a, b)
#define FMUL(a, b) _mm512_mul_ps(a, b)
#define FMIN(a, b) _mm512_min_ps(a, b)
#define FMAX(a, b) _mm512_max_ps(a, b)
#define FSTORE(p, f, n) _mm512_mask_storeu_ps(p, FIRST(n), f)
#define PUT8(p, v, n) ((n) < VL ? _mm512_mask_cvtepi32_storeu_epi8(p, FIRST(n), v) : _mm_storeu_si128((__m128i *)(void *)(p), _mm512_cvtepi32_epi8(v)))
#define GET8(p, n) _mm512_cvtepu8_epi32(bytes(p, n))
#define QUAD(p) quad(p)
#define W __m512i
#define LEFT(v) (v)
#define RIGHT(v) (v)
#define DOT(s, a, b) _mm512_dpbusd_epi32(s, a, b)
#define MADD(a, b) _mm512_madd_epi16(a, b)
#define PAIR(p, q, n) pair(_mm256_cvtepu8_epi16(bytes(p, n)), (q) ? _mm256_cvtepu8_epi16(bytes(q, n)) : _mm256_setzero_si256())
#define SPAIR(p, q, n) pair(_mm256_cvtepi8_epi16(bytes(p, n)), (q) ? _mm256_cvtepi8_epi16(bytes(q, n)) : _mm256_setzero_si256())

static inline __attribute__((always_inline)) __m512i quad(const uint8_t *p)
{
	int32_t x;
	memcpy(&x, p, 4);
	return _mm512_set1_epi32(x);
}

/* n <= 16 bytes; the others are zero and not read. */
static inline __attribute__((always_inline)) __m128i bytes(const void *p, int n)
{
	return n < 16 ? _mm_maskz_loadu_epi8(FIRST(n), p) : _mm_loadu_si128((const __m128i *)p);
}

/* 16-bit pairs (a[i], b[i]) in 32-bit lanes */
static inline __attribute__((always_inline)) __m512i pair(__m256i a, __m256i b)
{
	return _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16));
}

#include "gemm_i8_tmpl.h"
#include "dw_i8_tmpl.h"
ROWS(1)
ROWS(2)
ROWS(3)
ROWS(4)

void ds_k_gemm_i8_vnni(const ds_k_gemm *g)
{
	switch (g->width) {
	case 16: rows_1(g); break;
	case 32: rows_2(g); break;
	case 48: rows_3(g); break;
	default: rows_4(g); break;
	}
}

/* Four taps side by side as bytes: 64 channels at a time, transposed within 128-bit lanes.  The order of channels that this leaves (quad j of lane l is
 * channels 16 l + 4 j ...) is undone by the packing of the results, and the vectors over channels are brought into it once. */
static inline __attribute__((always_inline)) void four(const void *p0, const void *p1, const void *p2, const void *p3, size_t c, __m512i out[4])
{
	const __m512i z = _mm512_setzero_si512();
	__m512i a = _mm512_loadu_si512((const char *)p0 + c), b = p1 ? _mm512_loadu_si512((const char *)p1 + c) : z;
	__m512i d = p2 ? _mm512_loadu_si512((const char *)p2 + c) : z, e = p3 ? _mm512_loadu_si512((const char *)p3 + c) : z;
	__m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b), de_lo = _mm512_unpacklo_epi8(d, e), de_hi = _mm512_unpackhi_epi8(d, e);
	out[0] = _mm512_unpacklo_epi16(ab_lo, de_lo);
	out[1] = _mm512_unpackhi_epi16(ab_lo, de_lo);
	out[2] = _mm512_unpacklo_epi16(ab_hi, de_hi);
	out[3] = _mm512_unpackhi_epi16(ab_hi, de_hi);
}

/* 64 32-bit values in natural order -> the order of four(): lane l of out[j] is values 16 l + 4 j ... */
static inline __attribute__((always_inline)) void spread(const void *p, __m512i out[4])
{
	__m512i x[4];
	for (int i = 0; i < 4; i++)
		x[i] = p ? _mm512_loadu_si512((const char *)p + 64 * i) : _mm512_setzero_si512();
	__m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44), b = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
	__m512i d = _mm512_shuffle_i32x4(x[2], x[3], 0x44), e = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
	out[0] = _mm512_shuffle_i32x4(a, d, 0x88);
	out[1] = _mm512_shuffle_i32x4(a, d, 0xdd);
	out[2] = _mm512_shuffle_i32x4(b, e, 0x88);
	out[3] = _mm512_shuffle_i32x4(b, e, 0xdd);
}

/* 9 taps, 64 channels, u8 results. */
static void dw_nine(const ds_k_dw *d, size_t c)
{
	const int8_t *w = d->w;
	const size_t ld = d->ldw;
	__m512i w0[4], w1[4], w2[4], init[4], mult[4], bias[4];
	four(w, w + ld, w + 2 * ld, w + 3 * ld, c, w0);
	four(w + 4 * ld, w + 5 * ld, w + 6 * ld, w + 7 * ld, c, w1);
	four(w + 8 * ld, NULL, NULL, NULL, c, w2);
	spread(d->init ? d->init + c : NULL, init);
	spread(d->mult + c, mult);
	spread(d->bias ? d->bias + c : NULL, bias);
	const VF lo = FSET1(d->lo), hi = FSET1(d->hi);
	const V zp = SET1(d->zp);
	const void *const *a = d->a;
	for (int i = 0; i < d->n; i++, a += 9) {
		__m512i x0[4], x1[4], x2[4], y[4];
		four(a[0], a[1], a[2], a[3], c, x0);
		four(a[4], a[5], a[6], a[7], c, x1);
		four(a[8], NULL, NULL, NULL, c, x2);
		#pragma GCC unroll 4
		for (int j = 0; j < 4; j++) {
			__m512i s = _mm512_dpbusd_epi32(init[j], x0[j], w0[j]);
			s = _mm512_dpbusd_epi32(s, x1[j], w1[j]);
			s = _mm512_dpbusd_epi32(s, x2[j], w2[j]);
			VF f = FADD(FMUL(FLOAT(s), _mm512_castsi512_ps(mult[j])), _mm512_castsi512_ps(bias[j]));
			y[j] = ADD(ROUND(FMIN(FMAX(f, lo), hi)), zp);
		}
		_mm512_storeu_si512((char *)d->c + (size_t)i * d->ldc + c,
			_mm512_packus_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3])));
	}
}

void ds_k_dw_i8_vnni(const ds_k_dw *d)
{
	size_t c = 0;
	if (d->taps == 9 && !d->f32_out && !d->res)
		for (; c + 64 <= (size_t)d->chans; c += 64)
			dw_nine(d, c);
	dw_from(d, c);
}
