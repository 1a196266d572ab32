/* avx512_row.c - pooling rows with 512-bit vectors */
#include "../kernel.h"

#include <math.h>

#include <immintrin.h>

#define NAME(x) ds_k_##x##_avx512
#define F __m512
#define FL 16
#define FLOAD(p) _mm512_loadu_ps(p)
#define FSTORE(p, v) _mm512_storeu_ps(p, v)
#define FADD(a, b) _mm512_add_ps(a, b)
#define FMAX(a, b) _mm512_max_ps(a, b)
#define FSET(x) _mm512_set1_ps(x)
#define U __m512i
#define UL 64
#define ULOAD(p) _mm512_loadu_si512((const void *)(p))
#define USTORE(p, v) _mm512_storeu_si512((void *)(p), v)
#define UMAX(a, b) _mm512_max_epu8(a, b)
#define UZERO _mm512_setzero_si512()
#include "pool_tmpl.h"
