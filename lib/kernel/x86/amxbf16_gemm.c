/* amxbf16_gemm.c - matrix product of f32 rows with bf16 panels in tile registers: 16 rows x 64 columns x 32 elements of the sum per step
 *
 * Tiles 0-3 hold the sums of 16 columns each, 4 and 5 a step of both operands, 6 and 7 the half step that may be left.  The rows are rounded to bf16 on the way to tile 4; a
 * step may span two taps, because their panels touch.  Taps that are no multiple of 16 elements go to the vector kernel. */
#include "../kernel.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define FIRST(n) ((__mmask16)((1u << (n)) - 1))

enum { ROWS_MIN = 4 };

typedef struct config {
	uint8_t  palette, start, reserved[14];
	uint16_t row_bytes[16];
	uint8_t  rows[16];
} config;

static void configure(int rows)
{
	config c = { .palette = 1 };
	for (int t = 0; t < 8; t++) {
		c.rows[t] = (uint8_t)rows;
		c.row_bytes[t] = 64;
	}
	c.rows[5] = 16;
	c.row_bytes[6] = 32;
	c.rows[7] = 8;
	__asm__ volatile("" : : "r"(&c) : "memory");   /* the intrinsic names the first bytes of c only (gcc 12): all of it is in memory before */
	_tile_loadconfig(&c);
}

#define STEP(a, b_tile, nv, bp, ldb) do { \
	_tile_loadd(b_tile, bp, ldb); \
	_tile_dpbf16ps(0, a, b_tile); \
	if (nv > 1) { _tile_loadd(b_tile, (bp) + 32, ldb); _tile_dpbf16ps(1, a, b_tile); } \
	if (nv > 2) { _tile_loadd(b_tile, (bp) + 64, ldb); _tile_dpbf16ps(2, a, b_tile); } \
	if (nv > 3) { _tile_loadd(b_tile, (bp) + 96, ldb); _tile_dpbf16ps(3, a, b_tile); } \
} while (0)

#define EACH_SUM(op, base, ld, nv) do { \
	op(0, (base), ld); \
	if (nv > 1) op(1, (base) + 16, ld); \
	if (nv > 2) op(2, (base) + 32, ld); \
	if (nv > 3) op(3, (base) + 48, ld); \
} while (0)

INLINE void sums(const ds_k_gemm *g, size_t r0, int rows, const int nv, float *out, size_t ld_out)
{
	uint16_t a[2][16 * 32] __attribute__((aligned(64)));
	const uint16_t *b = g->b;
	const size_t ldb = (size_t)nv * 64;
	if (!g->first) {
		const float *acc = (const float *)g->acc + r0 * g->ld_acc;
		EACH_SUM(_tile_loadd, acc, g->ld_acc * 4, nv);
	} else if (g->bias) {
		EACH_SUM(_tile_loadd, g->bias, (size_t)0, nv);         /* the same row sixteen times */
	} else {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	}
	const int halves = g->taps * (g->kc / 16);
	const float *const *p = (const float *const *)g->a + r0;
	size_t k = g->a_off;
	const size_t end = g->a_off + (size_t)g->kc;
	for (int h = 0; h < halves; h += 2) {
		uint16_t *to = a[h / 2 % 2];
		const float *const *q = p;
		const size_t k0 = k;
		if ((k += 16) == end) {
			k = g->a_off;
			p += g->a_rows;
		}
		if (h + 1 == halves) {
			for (int i = 0; i < rows; i++)
				_mm256_store_si256((__m256i *)(void *)(to + 16 * i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(q[i] + k0)));
			__asm__ volatile("" : : : "memory");
			_tile_loadd(6, to, 32);
			STEP(6, 7, nv, b, ldb);
			break;
		}
		for (int i = 0; i < rows; i++)
			_mm512_store_si512(to + 32 * i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p[i] + k), _mm512_loadu_ps(q[i] + k0)));
		if ((k += 16) == end) {
			k = g->a_off;
			p += g->a_rows;
		}
		__asm__ volatile("" : : : "memory");
		_tile_loadd(4, to, 64);
		STEP(4, 5, nv, b, ldb);
		b += 16 * (size_t)nv * 32;
	}
	EACH_SUM(_tile_stored, out, ld_out * 4, nv);
	__asm__ volatile("" : : : "memory");
}

static void finish(const ds_k_gemm *g, const float *sum, size_t r0, int rows)
{
	const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
	for (int i = 0; i < rows; i++, sum += 64) {
		size_t r = r0 + (size_t)i;
		float *c = g->c_rows ? (float *)g->c_rows[r] + g->c_off : (float *)g->c + r * g->ldc;
		for (int j = 0; j < g->cols; j += 16) {
			__mmask16 m = g->cols - j < 16 ? FIRST(g->cols - j) : 0xffff;
			__m512 y = _mm512_loadu_ps(sum + j);
			if (g->res)
				y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(m, (const float *)g->res + r * g->ldr + j));
			_mm512_mask_storeu_ps(c + j, m, _mm512_min_ps(_mm512_max_ps(y, lo), hi));
		}
	}
}

INLINE void blocks(const ds_k_gemm *g, const int nv)
{
	float sum[16 * 64] __attribute__((aligned(64)));
	int shape = 0;
	for (int r = 0; r < g->rows; r += 16) {
		int rows = DS_MIN(16, g->rows - r);
		if (rows != shape)
			configure(shape = rows);
		if (!g->last) {
			sums(g, (size_t)r, rows, nv, (float *)g->acc + (size_t)r * g->ld_acc, g->ld_acc);
			continue;
		}
		sums(g, (size_t)r, rows, nv, sum, 64);
		finish(g, sum, (size_t)r, rows);
	}
	_tile_release();
}

static __attribute__((noinline)) void blocks_1(const ds_k_gemm *g) { blocks(g, 1); }
static __attribute__((noinline)) void blocks_2(const ds_k_gemm *g) { blocks(g, 2); }
static __attribute__((noinline)) void blocks_3(const ds_k_gemm *g) { blocks(g, 3); }
static __attribute__((noinline)) void blocks_4(const ds_k_gemm *g) { blocks(g, 4); }

void ds_k_gemm_bf16_amx(const ds_k_gemm *g)
{
	if (g->rows < ROWS_MIN || g->kc % 16) {
		ds_k_gemm_bf16_avx512(g);
		return;
	}
	switch (g->width) {
	case 16: blocks_1(g); break;
	case 32: blocks_2(g); break;
	case 48: blocks_3(g); break;
	default: blocks_4(g); break;
	}
}
