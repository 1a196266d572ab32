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
