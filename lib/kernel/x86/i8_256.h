/* i8_256.h - what the 256-bit int8 kernels share: the macros of gemm_i8_tmpl.h for eight lanes */
#include <immintrin.h>
#include <string.h>

static const int32_t lanes[16] = { -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0 };
#define MASK(n) _mm256_loadu_si256((const __m256i *)(lanes + 8 - (n)))
#define V __m256i
#define VF __m256
#define VL 8
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define ADD(a, b) _mm256_add_epi32(a, b)
#define SUB(a, b) _mm256_sub_epi32(a, b)
#define SET1(x) _mm256_set1_epi32(x)
#define ZERO _mm256_setzero_si256()
#define FLOAT(v) _mm256_cvtepi32_ps(v)
#define ROUND(f) _mm256_cvtps_epi32(f)
#define FLOAD(p) _mm256_loadu_ps(p)
#define FSET1(x) _mm256_set1_ps(x)
#define FZERO _mm256_setzero_ps()
#define FADD(a, b) _mm256_add_ps(a, b)
#define FMUL(a, b) _mm256_mul_ps(a, b)
#define FMIN(a, b) _mm256_min_ps(a, b)
#define FMAX(a, b) _mm256_max_ps(a, b)
#define QUAD(p) quad(p)
#define FSTORE(p, f, n) ((n) < VL ? _mm256_maskstore_ps(p, MASK(n), f) : _mm256_storeu_ps(p, f))
#define PUT8(p, v, n) put8(p, v, n)
#define GET8(p, n) _mm256_cvtepu8_epi32(bytes(p, n))
#define MADD(a, b) _mm256_madd_epi16(a, b)
#define PAIR(p, q, n) pair(_mm_cvtepu8_epi16(bytes(p, n)), (q) ? _mm_cvtepu8_epi16(bytes(q, n)) : _mm_setzero_si128())
#define SPAIR(p, q, n) pair(_mm_cvtepi8_epi16(bytes(p, n)), (q) ? _mm_cvtepi8_epi16(bytes(q, n)) : _mm_setzero_si128())

static inline __attribute__((always_inline)) __m256i quad(const uint8_t *p)
{
	int32_t x;
	memcpy(&x, p, 4);
	return _mm256_set1_epi32(x);
}

/* n <= 8 bytes, never reading beyond them. */
static inline __attribute__((always_inline)) __m128i bytes(const void *p, int n)
{
	if (n >= 8)
		return _mm_loadl_epi64((const __m128i *)p);
	uint64_t x = 0;
	memcpy(&x, p, (size_t)n);
	return _mm_cvtsi64_si128((long long)x);
}

static inline __attribute__((always_inline)) void put8(uint8_t *p, __m256i v, int n)
{
	const __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
		-1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1);
	__m256i x = _mm256_shuffle_epi8(v, low);
	__m128i y = _mm_or_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
	if (n >= 8) {
		_mm_storel_epi64((__m128i *)p, y);
		return;
	}
	uint64_t all = (uint64_t)_mm_cvtsi128_si64(y);
	memcpy(p, &all, (size_t)n);
}

__attribute__((unused)) static inline __m256i pair(__m128i a, __m128i b)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(a, b)), _mm_unpackhi_epi16(a, b), 1);
}
