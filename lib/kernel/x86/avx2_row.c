/* avx2_row.c - pooling rows with 256-bit vectors */
#include "../kernel.h"

#include <math.h>

#include <immintrin.h>

#define NAME(x) ds_k_##x##_avx2
#define F __m256
#define FL 8
#define FLOAD(p) _mm256_loadu_ps(p)
#define FSTORE(p, v) _mm256_storeu_ps(p, v)
#define FADD(a, b) _mm256_add_ps(a, b)
#define FMAX(a, b) _mm256_max_ps(a, b)
#define FSET(x) _mm256_set1_ps(x)
#define U __m256i
#define UL 32
#define ULOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define USTORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define UMAX(a, b) _mm256_max_epu8(a, b)
#define UZERO _mm256_setzero_si256()
#include "pool_tmpl.h"
