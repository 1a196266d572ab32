/* avx512_f32.c - f32 kernels with 512-bit vectors: panels of 64 columns, 6 rows (24 sums) at a time */
#include "../kernel.h"

#include <immintrin.h>

#define V __m512
#define VL 16
#define MR(nv) ((nv) == 1 ? 12 : (nv) <= 3 ? 8 : 6)
#define MR_MAX 12
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SET1(x) _mm512_set1_ps(x)
#define ZERO _mm512_setzero_ps()
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b) _mm512_add_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define MIN(a, b) _mm512_min_ps(a, b)
#define LOADN(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define STOREN(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), v)
#define UNROLL 8
#include "gemm_f32_tmpl.h"
ROWS(1)
ROWS(2)
ROWS(3)
ROWS(4)

void ds_k_gemm_f32_avx512(const ds_k_gemm *g)
{
	switch (g->width) {
	case 16: rows_1(g); break;
	case 32: rows_2(g); break;
	case 48: rows_3(g); break;
	default: rows_4(g); break;
	}
}

#define DW_TWO 1        /* 18 weight registers fit */
#include "dw_f32_tmpl.h"

void ds_k_dw_f32_avx512(const ds_k_dw *d) { dw_rows(d); }
