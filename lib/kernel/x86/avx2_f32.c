/* avx2_f32.c - f32 kernels with 256-bit vectors: panels of 16 columns, 6 rows (12 sums) at a time */
#include "../kernel.h"

#include <immintrin.h>

/* Masks of the first n lanes are read from here at 8 - n. */
static const int32_t lanes[16] = { -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0 };
#define MASK(n) _mm256_loadu_si256((const __m256i *)(lanes + 8 - (n)))

#define V __m256
#define VL 8
#define MR(nv) 6
#define MR_MAX 6
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SET1(x) _mm256_set1_ps(x)
#define ZERO _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define MIN(a, b) _mm256_min_ps(a, b)
#define LOADN(p, n) _mm256_maskload_ps(p, MASK(n))
#define STOREN(p, v, n) _mm256_maskstore_ps(p, MASK(n), v)
#define UNROLL 4
#include "gemm_f32_tmpl.h"
ROWS(1)
ROWS(2)

void ds_k_gemm_f32_avx2(const ds_k_gemm *g)
{
	if (g->width == 8)
		rows_1(g);
	else
		rows_2(g);
}

#define DW_TWO 0        /* 16 registers hold the weights of one vector */
#include "dw_f32_tmpl.h"

void ds_k_dw_f32_avx2(const ds_k_dw *d) { dw_rows(d); }
