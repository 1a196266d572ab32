/* avx512bf16_gemm.c - matrix product of f32 rows with bf16 panels by vdpbf16ps: the rows are rounded to bf16 on the way */
#include "../kernel.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define FIRST(n) ((__mmask16)((1u << (n)) - 1))

enum { ROWS = 6, PART = 128 };          /* elements of a tap that are rounded at once */

/* One tap's part of the sum: rows in a (bf16, PART apart), n elements (even). */
INLINE void part_sum(__m512 s[ROWS][4], const uint16_t *a, const uint16_t *b, int n, const int mr, const int nv)
{
	for (int k = 0; k < n; k += 2, b += nv * 32) {
		__m512bh v[4];
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			v[j] = (__m512bh)_mm512_loadu_si512(b + j * 32);
		#pragma GCC unroll 6
		for (int i = 0; i < mr; i++) {
			__m512bh x = (__m512bh)_mm512_set1_epi32(*(const int32_t *)(const void *)(a + i * PART + k));
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				s[i][j] = _mm512_dpbf16_ps(s[i][j], x, v[j]);
		}
	}
}

INLINE void micro(const ds_k_gemm *g, size_t r0, const int mr, const int nv)
{
	__m512 s[ROWS][4];
	uint16_t a[ROWS * PART] __attribute__((aligned(64)));
	const uint16_t *b = g->b;
	float *acc = (float *)g->acc + r0 * g->ld_acc;
	#pragma GCC unroll 6
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = !g->first ? _mm512_loadu_ps(acc + (size_t)i * g->ld_acc + j * 16) : g->bias ? _mm512_loadu_ps(g->bias + j * 16) : _mm512_setzero_ps();
	for (int t = 0; t < g->taps; t++)
		for (int k = 0; k < g->kc; k += PART) {
			int n = DS_MIN(g->kc - k, PART);
			for (int i = 0; i < mr; i++) {
				const float *from = (const float *)g->a[(size_t)t * g->a_rows + r0 + (size_t)i] + g->a_off + k;
				for (int e = 0; e < n; e += 16)
					_mm256_store_si256((__m256i *)(void *)(a + i * PART + e),
						(__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(n - e < 16 ? FIRST(n - e) : 0xffff, from + e)));
			}
			part_sum(s, a, b, n, mr, nv);
			b += n * nv * 16;
		}
	if (!g->last) {
		#pragma GCC unroll 6
		for (int i = 0; i < mr; i++)
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				_mm512_storeu_ps(acc + (size_t)i * g->ld_acc + j * 16, s[i][j]);
		return;
	}
	const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
	#pragma GCC unroll 6
	for (int i = 0; i < mr; i++) {
		size_t r = r0 + (size_t)i;
		float *c = g->c_rows ? (float *)g->c_rows[r] + g->c_off : (float *)g->c + r * g->ldc;
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++) {
			__mmask16 m = g->cols - j * 16 >= 16 ? 0xffff : FIRST(g->cols - j * 16);
			__m512 y = s[i][j];
			if (g->res)
				y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(m, (const float *)g->res + r * g->ldr + j * 16));
			_mm512_mask_storeu_ps(c + j * 16, m, _mm512_min_ps(_mm512_max_ps(y, lo), hi));
		}
	}
}

#define STEPS(nv) \
static __attribute__((noinline)) void rows_##nv(const ds_k_gemm *g) \
{ \
	int steps = (g->rows + ROWS - 1) / ROWS; \
	for (int i = 0, r = 0; i < steps; i++) { \
		int next = (int)((int64_t)g->rows * (i + 1) / steps); \
		switch (next - r) { \
		case 1: micro(g, (size_t)r, 1, nv); break; \
		case 2: micro(g, (size_t)r, 2, nv); break; \
		case 3: micro(g, (size_t)r, 3, nv); break; \
		case 4: micro(g, (size_t)r, 4, nv); break; \
		case 5: micro(g, (size_t)r, 5, nv); break; \
		case 6: micro(g, (size_t)r, 6, nv); break; \
		} \
		r = next; \
	} \
}
STEPS(1)
STEPS(2)
STEPS(3)
STEPS(4)

void ds_k_gemm_bf16_avx512(const ds_k_gemm *g)
{
	switch (g->width) {
	case 16: rows_1(g); break;
	case 32: rows_2(g); break;
	case 48: rows_3(g); break;
	default: rows_4(g); break;
	}
}
