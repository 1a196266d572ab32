/* avxvnni_i8.c - int8 matrix product with the 256-bit dot product instruction */
#include "../kernel.h"
#include "i8_256.h"

#define W __m256i
#define MR(nv) 6
#define LEFT(v) (v)
#define RIGHT(v) (v)
#define DOT(s, a, b) _mm256_dpbusd_avx_epi32(s, a, b)
#include "gemm_i8_tmpl.h"
ROWS(1)
ROWS(2)

void ds_k_gemm_i8_avxvnni(const ds_k_gemm *g)
{
	if (g->width == 8)
		rows_1(g);
	else
		rows_2(g);
}
