/* avx2_train.c - kernels of training with 256-bit vectors: weight gradients 4 rows x 3 vectors (12 sums) at a time */
#include "../kernel.h"

#include <immintrin.h>

/* Masks of the first n lanes are read from here at 8 - n. */
static const int32_t lanes[16] = { -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0 };
#define MASK(n) _mm256_loadu_si256((const __m256i *)(lanes + 8 - (n)))

#define V __m256
#define VL 8
#define MR 4
#define NORM_NV 2
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SET1(x) _mm256_set1_ps(x)
#define ZERO _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define LOADN(p, n) _mm256_maskload_ps(p, MASK(n))
#define STOREN(p, v, n) _mm256_maskstore_ps(p, MASK(n), v)
#define ABOVE(y) _mm256_cmp_ps(y, ZERO, _CMP_NLE_UQ)
#define RELU(y) _mm256_and_ps(ABOVE(y), y)
#define KEEP(g, y) _mm256_and_ps(ABOVE(y), g)
#define D __m256d
#define DLO(v) _mm256_cvtps_pd(_mm256_castps256_ps128(v))
#define DHI(v) _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))
#define DADD(a, b) _mm256_add_pd(a, b)
#define DMUL(a, b) _mm256_mul_pd(a, b)
#define DLOAD(p) _mm256_loadu_pd(p)
#define DSTORE(p, v) _mm256_storeu_pd(p, v)
#include "train_tmpl.h"

void ds_k_gemm_tn_f32_avx2(const ds_k_tn *g) { tn_run(g); }
void ds_k_dwg_f32_avx2(const ds_k_dwg *g) { dwg_run(g); }
void ds_k_norm_f32_avx2(const ds_k_norm *n) { norm_run(n); }
void ds_k_blocks_f32_avx2(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans)
{
	blocks_run(y, block, width, x, ld, pixels, chans);
}

void ds_k_half_avx2(void *y, const void *x, size_t n, bool to_bf16)
{
	const __m256i one = _mm256_set1_epi32(1), most = _mm256_set1_epi32(0x7FFF), quiet = _mm256_set1_epi32(0x40);
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		if (!to_bf16) {
			__m128i h = _mm_loadu_si128((const __m128i *)(const void *)((const char *)x + 2 * i));
			_mm256_storeu_si256((__m256i *)(void *)((char *)y + 4 * i), _mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
			continue;
		}
		__m256i u = _mm256_loadu_si256((const __m256i *)(const void *)((const char *)x + 4 * i)), top = _mm256_srli_epi32(u, 16);
		__m256 nan = _mm256_cmp_ps(_mm256_castsi256_ps(u), _mm256_castsi256_ps(u), _CMP_UNORD_Q);
		__m256i r = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, most), _mm256_and_si256(top, one)), 16);
		r = _mm256_blendv_epi8(r, _mm256_or_si256(top, quiet), _mm256_castps_si256(nan));
		r = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
		_mm_storeu_si128((__m128i *)(void *)((char *)y + 2 * i), _mm256_castsi256_si128(r));
	}
	ds_k_half_c((char *)y + (to_bf16 ? 2 : 4) * i, (const char *)x + (to_bf16 ? 4 : 2) * i, n - i, to_bf16);
}
