/* avx512_train.c - kernels of training with 512-bit vectors: weight gradients 8 rows x 3 vectors (24 sums) at a time */
#include "../kernel.h"

#include <immintrin.h>

#define V __m512
#define VL 16
#define MR 8
#define NORM_NV 4
#define LANES(n) ((__mmask16)((1u << (n)) - 1))
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SET1(x) _mm512_set1_ps(x)
#define ZERO _mm512_setzero_ps()
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define LOADN(p, n) _mm512_maskz_loadu_ps(LANES(n), p)
#define STOREN(p, v, n) _mm512_mask_storeu_ps(p, LANES(n), v)
#define ABOVE(y) _mm512_cmp_ps_mask(y, ZERO, _CMP_NLE_UQ)
#define RELU(y) _mm512_maskz_mov_ps(ABOVE(y), y)
#define KEEP(g, y) _mm512_maskz_mov_ps(ABOVE(y), g)
#define D __m512d
#define DLO(v) _mm512_cvtps_pd(_mm512_castps512_ps256(v))
#define DHI(v) _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))
#define DADD(a, b) _mm512_add_pd(a, b)
#define DMUL(a, b) _mm512_mul_pd(a, b)
#define DLOAD(p) _mm512_loadu_pd(p)
#define DSTORE(p, v) _mm512_storeu_pd(p, v)
#include "train_tmpl.h"

void ds_k_gemm_tn_f32_avx512(const ds_k_tn *g) { tn_run(g); }
void ds_k_dwg_f32_avx512(const ds_k_dwg *g) { dwg_run(g); }
void ds_k_norm_f32_avx512(const ds_k_norm *n) { norm_run(n); }
void ds_k_blocks_f32_avx512(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans)
{
	blocks_run(y, block, width, x, ld, pixels, chans);
}

void ds_k_half_avx512(void *y, const void *x, size_t n, bool to_bf16)
{
	const __m512i one = _mm512_set1_epi32(1), most = _mm512_set1_epi32(0x7FFF), quiet = _mm512_set1_epi32(0x40);
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 m = n - i < 16 ? LANES(n - i) : 0xffff;
		if (!to_bf16) {
			__m256i h = _mm256_maskz_loadu_epi16(m, (const char *)x + 2 * i);
			_mm512_mask_storeu_epi32((char *)y + 4 * i, m, _mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
			continue;
		}
		__m512i u = _mm512_maskz_loadu_epi32(m, (const char *)x + 4 * i), top = _mm512_srli_epi32(u, 16);
		__mmask16 nan = _mm512_cmp_ps_mask(_mm512_castsi512_ps(u), _mm512_castsi512_ps(u), _CMP_UNORD_Q);
		__m512i r = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, most), _mm512_and_si512(top, one)), 16);
		r = _mm512_mask_or_epi32(r, nan, top, quiet);
		_mm256_mask_storeu_epi16((char *)y + 2 * i, m, _mm512_cvtepi32_epi16(r));
	}
}
