/* avx2_i8.c - int8 kernels with 256-bit vectors: bytes are widened to 16 bit, so that no partial sum can saturate */
#include "../kernel.h"
#include "i8_256.h"

/* Even and odd bytes of each 32-bit lane as 16-bit numbers: sums of two products fit, four do not. */
typedef struct halves { __m256i even, odd; } halves;
#define W halves
#define MR(nv) 4
#define LEFT(v) left(v)
#define RIGHT(v) right(v)
#define DOT(s, a, b) ADD(s, ADD(MADD((a).even, (b).even), MADD((a).odd, (b).odd)))

static inline __attribute__((always_inline)) halves left(__m256i v)
{
	return (halves){ _mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(v, 8) };
}

static inline __attribute__((always_inline)) halves right(__m256i v)
{
	return (halves){ _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8) };
}

#include "gemm_i8_tmpl.h"
#include "dw_i8_tmpl.h"
ROWS(1)
ROWS(2)

void ds_k_gemm_i8_avx2(const ds_k_gemm *g)
{
	if (g->width == 8)
		rows_1(g);
	else
		rows_2(g);
}

void ds_k_dw_i8_avx2(const ds_k_dw *d) { dw_from(d, 0); }
