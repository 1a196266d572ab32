/* amx_i8.c - int8 matrix product in tile registers: 16 rows x 64 columns x 64 elements of the sum per step
 *
 * Tiles 0-3 hold the sums of 16 columns each, 4 and 5 a step of both operands, 6 and 7 the rest of the sum that fills no step.  Rows of the left operand
 * that lie at equal distances are loaded as they are, others are gathered first.  Small products go to the vector kernel, whose results are the same. */
#include "../kernel.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define FIRST(n) ((__mmask16)((1u << (n)) - 1))

enum { ROWS_MIN = 8, KC_MIN = 48 };     /* below: the vector kernel is faster */

typedef struct config {
	uint8_t  palette, start, reserved[14];
	uint16_t row_bytes[16];
	uint8_t  rows[16];
} config;

static void configure(int rows, int rest)
{
	config c = { .palette = 1 };
	for (int t = 0; t < 4; t++) {
		c.rows[t] = (uint8_t)rows;
		c.row_bytes[t] = 64;
	}
	c.rows[4] = (uint8_t)rows;
	c.rows[5] = 16;
	c.row_bytes[4] = c.row_bytes[5] = c.row_bytes[7] = 64;
	c.rows[6] = (uint8_t)rows;
	c.row_bytes[6] = (uint16_t)(rest ? rest : 4);
	c.rows[7] = (uint8_t)(rest ? rest / 4 : 1);
	__asm__ volatile("" : : "r"(&c) : "memory");   /* the intrinsic names the first bytes of c only (gcc 12): all of it is in memory before */
	_tile_loadconfig(&c);
}

/* Distance of rows that are equally spaced, 0 if they are not. */
INLINE ptrdiff_t spacing(const uint8_t *const *p, int rows)
{
	ptrdiff_t d = rows > 1 ? p[1] - p[0] : 64;
	for (int i = 2; i < rows; i++)
		if (p[i] - p[i - 1] != d)
			return 0;
	return d;
}

#define STEP(a, b_tile, nv, bp, ldb) do { \
	_tile_loadd(b_tile, bp, ldb); \
	_tile_dpbusd(0, a, b_tile); \
	if (nv > 1) { _tile_loadd(b_tile, bp + 64, ldb); _tile_dpbusd(1, a, b_tile); } \
	if (nv > 2) { _tile_loadd(b_tile, bp + 128, ldb); _tile_dpbusd(2, a, b_tile); } \
	if (nv > 3) { _tile_loadd(b_tile, bp + 192, ldb); _tile_dpbusd(3, a, b_tile); } \
} while (0)

#define EACH_SUM(op, base, ld, nv) do { \
	op(0, (base), ld); \
	if (nv > 1) op(1, (base) + 16, ld); \
	if (nv > 2) op(2, (base) + 32, ld); \
	if (nv > 3) op(3, (base) + 48, ld); \
} while (0)

INLINE void sums(const ds_k_gemm *g, size_t r0, int rows, const int nv, int32_t *out, size_t ld_out)
{
	uint8_t gather[16 * 64] __attribute__((aligned(64)));
	const int8_t *b = g->b;
	const size_t ldb = (size_t)nv * 64;
	const int full = g->kc / 64, rest = g->kc % 64;
	if (!g->first) {
		const int32_t *acc = (const int32_t *)g->acc + r0 * g->ld_acc;
		EACH_SUM(_tile_loadd, acc, g->ld_acc * 4, nv);
	} else if (g->init) {
		EACH_SUM(_tile_loadd, g->init, (size_t)0, nv);         /* the same row sixteen times */
	} else {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	}
	for (int t = 0; t < g->taps; t++) {
		const uint8_t *p[16];
		for (int i = 0; i < rows; i++)
			p[i] = (const uint8_t *)g->a[(size_t)t * g->a_rows + r0 + (size_t)i] + g->a_off;
		ptrdiff_t d = spacing(p, rows);
		for (int s = 0; s < full; s++, b += 16 * ldb) {
			if (d) {
				_tile_loadd(4, p[0] + 64 * s, d);
			} else {
				for (int i = 0; i < rows; i++)
					_mm512_store_si512(gather + 64 * i, _mm512_loadu_si512(p[i] + 64 * s));
				_tile_loadd(4, gather, 64);
			}
			STEP(4, 5, nv, b, ldb);
		}
		if (!rest)
			continue;
		if (d) {
			_tile_loadd(6, p[0] + 64 * full, d);
		} else {
			for (int i = 0; i < rows; i++)
				memcpy(gather + 64 * i, p[i] + 64 * full, (size_t)rest);
			_tile_loadd(6, gather, 64);
		}
		STEP(6, 7, nv, b, ldb);
		b += (size_t)(rest / 4) * ldb;
	}
	EACH_SUM(_tile_stored, out, ld_out * 4, nv);
}

/* One vector of results before the zero point, as kernel.h states the steps. */
INLINE __m512i scaled(__m512i s, __m512 mult, __m512 bias, __m512 lo, __m512 hi)
{
	__m512 y = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(s), mult), bias);
	return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(y, lo), hi));
}

/* 64 columns of codes without residual: the order of packing within 128-bit lanes is undone at the end. */
static void finish_codes(const ds_k_gemm *g, const int32_t *sum, size_t r0, int rows)
{
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), zp = _mm512_set1_epi32(g->zp);
	const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
	__m512 mult[4], bias[4];
	for (int j = 0; j < 4; j++) {
		mult[j] = _mm512_loadu_ps(g->mult + 16 * j);
		bias[j] = g->bias ? _mm512_loadu_ps(g->bias + 16 * j) : _mm512_setzero_ps();
	}
	for (int i = 0; i < rows; i++, sum += 64) {
		__m512i y[4];
		#pragma GCC unroll 4
		for (int j = 0; j < 4; j++)
			y[j] = _mm512_add_epi32(scaled(_mm512_loadu_si512(sum + 16 * j), mult[j], bias[j], lo, hi), zp);
		__m512i all = _mm512_packus_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
		_mm512_storeu_si512((uint8_t *)g->c + (r0 + (size_t)i) * g->ldc, _mm512_permutexvar_epi32(order, all));
	}
}

static void finish_any(const ds_k_gemm *g, const int32_t *sum, size_t r0, int rows)
{
	const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi), rm = _mm512_set1_ps(g->res_mult);
	for (int j = 0; j < g->cols; j += 16) {
		__mmask16 m = g->cols - j < 16 ? FIRST(g->cols - j) : 0xffff;
		__m512 mult = _mm512_loadu_ps(g->mult + j), bias = g->bias ? _mm512_loadu_ps(g->bias + j) : _mm512_setzero_ps();
		for (int i = 0; i < rows; i++) {
			size_t r = r0 + (size_t)i;
			__m512 y = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sum + i * 64 + j)), mult), bias);
			if (g->res) {
				__m512i q = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, (const uint8_t *)g->res + r * g->ldr + j));
				y = _mm512_add_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(q, _mm512_set1_epi32(g->res_zp))), rm));
			}
			y = _mm512_min_ps(_mm512_max_ps(y, lo), hi);
			if (g->f32_out)
				_mm512_mask_storeu_ps((float *)g->c + r * g->ldc + j, m, y);
			else
				_mm512_mask_cvtepi32_storeu_epi8((uint8_t *)g->c + r * g->ldc + j, m, _mm512_add_epi32(_mm512_cvtps_epi32(y), _mm512_set1_epi32(g->zp)));
		}
	}
}

INLINE void blocks(const ds_k_gemm *g, const int nv)
{
	int32_t sum[16 * 64] __attribute__((aligned(64)));
	int shape = 0;
	for (int r = 0; r < g->rows; r += 16) {
		int rows = DS_MIN(16, g->rows - r);
		if (rows != shape)
			configure(shape = rows, g->kc % 64);
		if (!g->last) {
			sums(g, (size_t)r, rows, nv, (int32_t *)g->acc + (size_t)r * g->ld_acc, g->ld_acc);
			continue;
		}
		sums(g, (size_t)r, rows, nv, sum, 64);
		if (nv == 4 && g->cols == 64 && !g->res && !g->f32_out)
			finish_codes(g, sum, (size_t)r, rows);
		else
			finish_any(g, sum, (size_t)r, rows);
	}
	_tile_release();
}

static __attribute__((noinline)) void blocks_1(const ds_k_gemm *g) { blocks(g, 1); }
static __attribute__((noinline)) void blocks_2(const ds_k_gemm *g) { blocks(g, 2); }
static __attribute__((noinline)) void blocks_3(const ds_k_gemm *g) { blocks(g, 3); }
static __attribute__((noinline)) void blocks_4(const ds_k_gemm *g) { blocks(g, 4); }

void ds_k_gemm_i8_amx(const ds_k_gemm *g)
{
	if (g->rows < ROWS_MIN || g->kc < KC_MIN) {
		ds_k_gemm_i8_vnni(g);
		return;
	}
	switch (g->width) {
	case 16: blocks_1(g); break;
	case 32: blocks_2(g); break;
	case 48: blocks_3(g); break;
	default: blocks_4(g); break;
	}
}
