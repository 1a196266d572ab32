/* check.c - every row of the kernel table against the C row of its slot: all tails, guard zones, unaligned operands, adversarial values
 *
 * Each case puts its operands at odd offsets inside guarded memory, runs the C row and the row under test on equal inputs, and compares every byte, also those
 * around the results.  The rows are those that DS_CPU allows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernel/kernel.h"

enum { GUARD = 192, MAX_TAPS = 27, MAX_ROWS = 19 };

static ds_rng rng;
static int failures;

static int below(int n) { return (int)ds_rng_below(&rng, (uint64_t)n); }

/* Memory whose end is exact, so that reading past it is seen by the address sanitizer; front is GUARD bytes before p. */
typedef struct mem { unsigned char *block, *p; size_t bytes; } mem;

static mem take(size_t bytes, int shift)
{
	mem m = { malloc(GUARD + (size_t)shift + bytes), NULL, bytes };
	if (!m.block)
		exit(1);
	m.p = m.block + GUARD + shift;
	memset(m.block, 0xA5, GUARD + (size_t)shift + bytes);
	return m;
}

/* Values: 0 random, 1 extremes, 2 zeros and signs. */
static void fill_f32(mem m, int how)
{
	static const float hard[] = { 0.0f, -0.0f, 1.0f, -1.0f, 3.4e37f, -3.4e37f, 1e-38f, -1e-38f, 16777216.0f, 0.333333343f };
	for (size_t i = 0; i < m.bytes / 4; i++) {
		float v = how == 1 ? hard[below(8)] : how == 2 ? hard[below(4)] : (float)(ds_rng_f64(&rng) * 4 - 2);
		memcpy(m.p + 4 * i, &v, 4);
	}
}

static void fill_u8(mem m, int how)
{
	for (size_t i = 0; i < m.bytes; i++)
		m.p[i] = how == 1 ? 255 : how == 2 ? (unsigned char)(below(2) * 255) : (unsigned char)below(256);
}

static void fill_i8(mem m, int how)
{
	for (size_t i = 0; i < m.bytes; i++)
		m.p[i] = (unsigned char)(how == 1 ? 127 : how == 2 ? (below(2) ? 127 : -128) : below(256) - 128);
}

static void check(const char *what, const ds_kernel *kn, const char *shape, mem a, mem b)
{
	if (memcmp(a.block, b.block, (size_t)(a.p - a.block) + a.bytes) == 0)
		return;
	size_t at = 0;
	while (a.block[at] == b.block[at])
		at++;
	printf("not ok %s: %s %s differs at byte %lld\n", kn->name, what, shape, (long long)at - (long long)(a.p - a.block));
	failures++;
}

/* The same logical panel for two rows of the table may have different widths: the C row takes any. */
static void gemm_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	bool i8 = kn->slot == DS_K_gemm_i8;
	rng = ds_rng_init(seed, (uint64_t)kn->slot);
	int how = below(3), rows = 1 + below(MAX_ROWS), cols = 1 + below(kn->nr), taps = below(3) ? 1 : 1 + below(9), kc = 1 + below(below(4) ? 40 : 200);
	int width = (cols + kn->step - 1) / kn->step * kn->step, a_off = i8 ? 4 * below(3) : below(5), split = below(2), with_res = below(2), f32 = i8 && below(4) == 0;
	kc = i8 ? (kc + 3) / 4 * 4 : kc;
	size_t e = i8 ? 1 : 4, ce = i8 && !f32 ? 1 : 4, ldc = (size_t)(cols + below(7)), k = (size_t)(taps * kc);
	char shape[160];
	snprintf(shape, sizeof shape, "rows %d cols %d taps %d kc %d off %d%s%s%s values %d (seed %llu)", rows, cols, taps, kc, a_off, split ? " split" : "",
		with_res ? " residual" : "", f32 ? " f32" : "", how, (unsigned long long)seed);
	mem b = take(k * (size_t)width * e, i8 ? below(64) : 4 * below(16)), bias = take((size_t)width * 4, 4), mult = take((size_t)width * 4, 8);
	mem init = take((size_t)width * 4, 12), res = take((size_t)rows * ldc * e, (int)e * below(5)), row[MAX_TAPS * MAX_ROWS];
	const void *p[MAX_TAPS * MAX_ROWS];
	for (int i = 0; i < taps * rows; i++) {
		row[i] = take((size_t)(a_off + kc) * e, (int)e * below(16));
		i8 ? fill_u8(row[i], how) : fill_f32(row[i], how);
		p[i] = row[i].p;
	}
	i8 ? fill_i8(b, how) : fill_f32(b, how);
	fill_f32(bias, 0);
	fill_f32(mult, 0);
	fill_u8(init, 0);
	for (int j = 0; j < width; j++) {
		int32_t v = below(200000) - 100000;
		memcpy(init.p + 4 * j, &v, 4);
	}
	i8 ? fill_u8(res, 0) : fill_f32(res, 0);
	mem c[2], acc[2];
	bool scattered = !i8 && seed % 4 == 1;
	for (int i = 0; i < 2; i++) {
		c[i] = take((size_t)rows * ldc * ce, (int)ce * 3);
		acc[i] = take((size_t)rows * (size_t)width * 4, 4);
	}
	for (int i = 0; i < 2; i++) {
		ds_k_gemm g = {
			.a = p, .a_rows = (size_t)rows, .a_off = (size_t)a_off, .taps = taps, .kc = kc, .b = b.p, .rows = rows, .cols = cols, .width = width,
			.first = true, .last = !split, .acc = acc[i].p, .ld_acc = (size_t)width, .c = c[i].p, .ldc = ldc, .bias = seed % 5 ? (float *)(void *)bias.p : NULL,
			.mult = i8 ? (float *)(void *)mult.p : NULL, .init = i8 && seed % 3 ? (int32_t *)(void *)init.p : NULL, .res = with_res ? res.p : NULL, .ldr = ldc,
			.lo = i8 ? -17 : seed % 2 ? -1e30f : 0, .hi = i8 ? 200 : 6e30f, .res_mult = 0.37f, .res_zp = 113, .zp = 17, .f32_out = f32,
		};
		const ds_kernel *use = i ? kn : ref;
		void *at[MAX_ROWS];
		for (int r = 0; scattered && r < rows; r++)
			at[r] = c[i].p + (size_t)(rows - 1 - r) * ldc * 4;
		g.c_rows = scattered ? at : NULL;
		use->fn.gemm(&g);
		if (split) {    /* the second half: the same operands again */
			g.first = false;
			g.last = true;
			use->fn.gemm(&g);
		}
	}
	if (split)
		check("partial sums", kn, shape, acc[0], acc[1]);
	check("result", kn, shape, c[0], c[1]);
	for (int i = 0; i < taps * rows; i++)
		free(row[i].block);
	mem all[] = { b, bias, mult, init, res, c[0], c[1], acc[0], acc[1] };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		free(all[i].block);
}

/* Products of bf16: rows of the table may sum in other orders. */
static void bf16_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	rng = ds_rng_init(seed, (uint64_t)kn->slot);
	int rows = 1 + below(below(2) ? MAX_ROWS : 40), cols = 1 + below(64), taps = below(2) ? 1 : 1 + below(9), kc = below(2) ? 16 * (1 + below(5)) : 2 * (1 + below(90));
	int off = below(5), split = below(2), k = taps * kc;
	float *a = malloc((size_t)rows * (size_t)(k + off) * 4), *b = malloc((size_t)k * (size_t)cols * 4), bias[64], *res = malloc((size_t)rows * 64 * 4), *c[2], *acc[2];
	const void **p = malloc((size_t)rows * (size_t)taps * sizeof *p);
	uint16_t *panel[2];
	void *at[40];
	char shape[160];
	snprintf(shape, sizeof shape, "rows %d cols %d taps %d kc %d%s (seed %llu)", rows, cols, taps, kc, split ? " split" : "", (unsigned long long)seed);
	for (int i = 0; i < rows * (k + off); i++)
		a[i] = (float)(ds_rng_f64(&rng) * 4 - 2);
	for (int i = 0; i < k * cols; i++)
		b[i] = (float)(ds_rng_f64(&rng) * 4 - 2);
	for (int i = 0; i < 64; i++)
		bias[i] = (float)(ds_rng_f64(&rng) * 4 - 2);
	for (int i = 0; i < rows * 64; i++)
		res[i] = (float)(ds_rng_f64(&rng) * 4 - 2);
	/* row r of tap t: a run of its own */
	for (int t = 0; t < taps; t++)
		for (int r = 0; r < rows; r++)
			p[t * rows + r] = a + (size_t)r * (size_t)(k + off) + (size_t)(t * kc);
	for (int i = 0; i < 2; i++) {
		const ds_kernel *use = i ? kn : ref;
		c[i] = calloc((size_t)rows * 64, 4);
		acc[i] = calloc((size_t)rows * 64, 4);
		panel[i] = ds_aligned(ds_k_panels_size(use, k, 64) * 2 + 64);
		for (int panels = 0; panels < (cols + use->nr - 1) / use->nr; panels++) {
			int width = ds_k_panel_width(use, cols, panels), from = panels * use->nr;
			ds_k_pack_bf16(use, panel[i], b, k, cols, panels, cols, 1);
			ds_k_gemm g = { .a = p, .a_rows = (size_t)rows, .a_off = (size_t)off, .taps = taps, .kc = kc, .b = panel[i], .rows = rows, .cols = DS_MIN(width, cols - from),
				.width = width, .first = true, .last = !split, .acc = acc[i], .ld_acc = 64, .c = c[i] + from, .ldc = 64, .res = seed % 3 ? res + from : NULL, .ldr = 64,
				.lo = -1e30f, .hi = 1e30f };
			float start[64] = { 0 };
			memcpy(start, bias + from, (size_t)g.cols * 4);
			g.bias = seed % 5 ? start : NULL;
			for (int r = 0; r < rows; r++)
				at[r] = c[i] + r * 64;
			if (seed % 4 == 1) {
				g.c_rows = at;
				g.c_off = (size_t)from;
			}
			use->fn.gemm(&g);
			if (split) {
				g.first = false;
				g.last = true;
				use->fn.gemm(&g);
			}
		}
	}
	for (int r = 0, bad = 0; r < rows && !bad; r++)
		for (int j = 0; j < cols && !bad; j++) {
			double size = 2;
			for (int e = 0; e < k; e++)
				size += (double)fabsf(a[(size_t)r * (size_t)(k + off) + (size_t)(e + off)] * b[e * cols + j]) * (split ? 2 : 1);
			bad = !(fabs((double)c[0][r * 64 + j] - (double)c[1][r * 64 + j]) <= 1e-5 * size);
			if (bad) {
				printf("not ok %s: %s row %d column %d is %g, %g expected\n", kn->name, shape, r, j, (double)c[1][r * 64 + j], (double)c[0][r * 64 + j]);
				failures++;
			}
		}
	for (int i = 0; i < 2; i++) {
		free(c[i]);
		free(acc[i]);
		ds_free(panel[i]);
	}
	free(a);
	free(b);
	free(res);
	free(p);
}

static void dw_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	static const int sizes[] = { 9, 9, 9, 25, 1, 3, 4, 27 };
	bool i8 = kn->slot == DS_K_dw_i8;
	rng = ds_rng_init(seed, (uint64_t)kn->slot);
	int how = below(3), n = 1 + below(9), chans = 1 + below(below(2) ? 70 : 200), taps = sizes[below(8)], with_res = below(2), f32 = i8 && below(4) == 0;
	size_t e = i8 ? 1 : 4, ce = i8 && !f32 ? 1 : 4, ldw = (size_t)(chans + 63) / 64 * 64, ldc = (size_t)(chans + below(7));
	char shape[160];
	snprintf(shape, sizeof shape, "n %d chans %d taps %d%s%s values %d (seed %llu)", n, chans, taps, with_res ? " residual" : "", f32 ? " f32" : "", how,
		(unsigned long long)seed);
	mem w = take((size_t)taps * ldw * e, 0), bias = take(ldw * 4, 0), mult = take(ldw * 4, 0), init = take(ldw * 4, 0);
	mem res = take((size_t)n * ldc * e, (int)e * below(5)), px[9 * MAX_TAPS], c[2];
	const void *p[9 * MAX_TAPS];
	for (int i = 0; i < n * taps; i++) {
		px[i] = take((size_t)chans * e, (int)e * below(16));
		i8 ? fill_u8(px[i], how) : fill_f32(px[i], how);
		p[i] = px[i].p;
	}
	i8 ? fill_i8(w, how) : fill_f32(w, how);
	fill_f32(bias, 0);
	fill_f32(mult, 0);
	memset(init.p, 0, init.bytes);
	for (int j = 0; j < chans; j++) {
		int32_t v = below(20000) - 10000;
		memcpy(init.p + 4 * j, &v, 4);
	}
	i8 ? fill_u8(res, 0) : fill_f32(res, 0);
	for (int i = 0; i < 2; i++) {
		c[i] = take((size_t)n * ldc * ce, (int)ce * 3);
		ds_k_dw d = {
			.a = p, .n = n, .taps = taps, .chans = chans, .w = w.p, .ldw = ldw, .c = c[i].p, .ldc = ldc, .bias = seed % 5 ? (float *)(void *)bias.p : NULL,
			.mult = i8 ? (float *)(void *)mult.p : NULL, .init = i8 && seed % 3 ? (int32_t *)(void *)init.p : NULL, .res = with_res ? res.p : NULL, .ldr = ldc,
			.lo = i8 ? -17 : seed % 2 ? -1e30f : 0, .hi = i8 ? 200 : 6e30f, .res_mult = 0.37f, .res_zp = 113, .zp = 17, .f32_out = f32,
		};
		(i ? kn : ref)->fn.dw(&d);
	}
	check("result", kn, shape, c[0], c[1]);
	for (int i = 0; i < n * taps; i++)
		free(px[i].block);
	mem all[] = { w, bias, mult, init, res, c[0], c[1] };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		free(all[i].block);
}

static void act_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	static const float hard[] = { 0, -0.0f, 1e-40f, -1e-40f, 88.8f, -88.8f, 104, -104, 1e30f, -1e30f, __builtin_inff(), -__builtin_inff(), 0.625f, -0.6249f };
	rng = ds_rng_init(seed, 99);
	size_t n = 1 + (size_t)below(200);
	mem x = take(n * 4, 4 * below(16)), dy = take(n * 4, 4 * below(16)), y[2];
	int act = kn->slot == DS_K_act_f32 ? (int)(seed % DS_ACT_COUNT) : seed % 2 ? DS_ACT_GELU : DS_ACT_GELU_TANH;
	fill_f32(x, 0);
	fill_f32(dy, 0);
	for (size_t i = 0; i < n; i++) {
		float v = below(3) ? (float)(ds_rng_f64(&rng) * 40 - 20) : hard[below(DS_COUNTOF(hard))];
		memcpy(x.p + 4 * i, &v, 4);
	}
	for (int i = 0; i < 2; i++) {
		y[i] = take(n * 4, 4);
		if (kn->slot == DS_K_act_f32)
			(i ? kn : ref)->fn.act((float *)(void *)y[i].p, (float *)(void *)x.p, n, act, -0.5f, 0.75f);
		else
			(i ? kn : ref)->fn.slope((float *)(void *)y[i].p, (float *)(void *)x.p, (float *)(void *)dy.p, n, act);
	}
	char shape[64];
	snprintf(shape, sizeof shape, "%s n %zu (seed %llu)", ds_act_names[act], n, (unsigned long long)seed);
	check("result", kn, shape, y[0], y[1]);
	free(x.block);
	free(dy.block);
	free(y[0].block);
	free(y[1].block);
}

/* Rows of pooling. */
static void row_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	rng = ds_rng_init(seed, 7);
	bool u8 = kn->slot == DS_K_pool_u8;
	size_t n = 1 + (size_t)below(200), size = u8 ? 1 : 4;
	int taps = below(MAX_TAPS + 1), kind = (int)(seed % 2);
	mem x[MAX_TAPS], y[2];
	const void *a[MAX_TAPS];
	for (int t = 0; t < taps; t++) {
		x[t] = take(n * size, (int)size * below(16));
		if (u8)
			fill_u8(x[t], (int)(seed % 3));
		else
			fill_f32(x[t], (int)(seed % 3));
		a[t] = x[t].p;
	}
	for (int i = 0; i < 2; i++) {
		const ds_kernel *k = i ? kn : ref;
		y[i] = take(n * size, (int)size);
		if (u8)
			k->fn.pool_u8(y[i].p, (const uint8_t *const *)a, taps, n);
		else
			k->fn.pool((float *)(void *)y[i].p, (const float *const *)a, taps, n, kind);
	}
	char shape[64];
	snprintf(shape, sizeof shape, "n %zu, %d taps, kind %d (seed %llu)", n, taps, kind, (unsigned long long)seed);
	check("result", kn, shape, y[0], y[1]);
	for (int t = 0; t < taps; t++)
		free(x[t].block);
	free(y[0].block);
	free(y[1].block);
}

/* Products of weight gradients: gemm_tn and depthwise. */
static void tn_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	bool dw = kn->slot == DS_K_dwg_f32;
	rng = ds_rng_init(seed, (uint64_t)kn->slot);
	int how = below(3), pixels = below(40), rows = seed % 4 == 1 ? 8 * (1 + below(3)) : 1 + below(MAX_ROWS), taps = below(3) ? 1 + below(4) : 1 + below(9), kc = 1 + below(below(2) ? 20 : 70), off = dw ? 0 : below(3);
	size_t lda = (size_t)((dw ? kc : rows) + below(3)), ldb = (size_t)(pixels + below(3)), ldc = (size_t)((dw ? 1 : taps) * kc + below(5)), lines = (size_t)(dw ? taps : rows);
	char shape[160];
	snprintf(shape, sizeof shape, "pixels %d rows %d taps %d kc %d values %d (seed %llu)", pixels, rows, taps, kc, how, (unsigned long long)seed);
	mem a = take(lda * (size_t)pixels * 4, 4 * below(16)), b = take((size_t)(off + kc + 40) * 4, 4 * below(16)), c[2];
	const void **p = malloc(((size_t)taps * ldb + 1) * sizeof *p);
	if (!p)
		exit(1);
	fill_f32(a, how);
	fill_f32(b, how);
	for (size_t i = 0; i < (size_t)taps * ldb; i++)
		p[i] = b.p + 4 * below(41);
	for (int i = 0; i < 2; i++) {
		c[i] = take(lines * ldc * 4, 4 * 3);
		for (int k = 0; k < 2; k++) {   /* the chain goes on */
			ds_k_tn g = { .a = (float *)(void *)a.p, .lda = lda, .b = p, .ldb = ldb, .b_off = (size_t)off, .pixels = pixels, .rows = rows, .taps = taps, .kc = kc, .first = k == 0,
				.c = (float *)(void *)c[i].p, .ldc = ldc };
			ds_k_dwg d = { .a = g.a, .lda = lda, .b = p, .ldb = ldb, .pixels = pixels, .taps = taps, .chans = kc, .first = k == 0, .c = g.c, .ldc = ldc };
			if (dw)
				(i ? kn : ref)->fn.dwg(&d);
			else
				(i ? kn : ref)->fn.tn(&g);
		}
	}
	check("result", kn, shape, c[0], c[1]);
	free(p);
	mem all[] = { a, b, c[0], c[1] };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		free(all[i].block);
}

/* Blocks, alone and as the columns of a product: what the product reads through them is what it reads from the rows. */
static void blocks_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	rng = ds_rng_init(seed, 9);
	const ds_kernel *tn = ds_kernel_pick(DS_K_gemm_tn_f32, kn->needs);
	size_t chans = 1 + (size_t)below(70), pixels = (size_t)below(12), ld = chans + (size_t)below(4), width = seed % 4 ? (size_t)tn->nr : 4, n = (chans + width - 1) / width;
	size_t block = pixels * width + (size_t)below(3) * width;
	char shape[96];
	snprintf(shape, sizeof shape, "pixels %zu chans %zu width %zu (seed %llu)", pixels, chans, width, (unsigned long long)seed);
	mem x = take(pixels * ld * 4, 4 * below(16)), y[2], c[3];
	const void *p[2][12];
	int rows = 1 + below(20);
	mem a = take(pixels * (size_t)rows * 4, 4);
	fill_f32(x, 0);
	fill_f32(a, 0);
	for (int i = 0; i < 2; i++) {
		y[i] = take(n * block * 4, 4 * 16);
		(i ? kn : ref)->fn.blocks((float *)(void *)y[i].p, block, width, (float *)(void *)x.p, ld, pixels, chans);
	}
	for (int i = 0; i < 3; i++)
		c[i] = take((size_t)rows * chans * 4, 0);
	check("blocks", kn, shape, y[0], y[1]);
	for (size_t i = 0; i < pixels; i++) {
		p[0][i] = x.p + 4 * i * ld;
		p[1][i] = y[1].p + 4 * i * width;
	}
	for (int i = 0; i < 2 && width == (size_t)tn->nr; i++)
		tn->fn.tn(&(ds_k_tn){ .a = (float *)(void *)a.p, .lda = (size_t)rows, .b = p[i], .ldb = pixels, .b_block = i ? block : 0, .pixels = (int)pixels, .rows = rows, .taps = 1,
			.kc = (int)chans, .first = true, .c = (float *)(void *)c[i].p, .ldc = chans });
	check("product of blocks", kn, shape, c[0], c[1]);
	/* both operands packed, in two calls */
	size_t left = DS_TN_ROWS * (pixels + (size_t)below(2));
	mem l = take(((size_t)rows + DS_TN_ROWS) / DS_TN_ROWS * left * 4, 4 * below(16));
	for (size_t i = 0; i < pixels * (size_t)rows; i++) {
		size_t at = i / (size_t)rows, r = i % (size_t)rows;
		memcpy(l.p + 4 * (r / DS_TN_ROWS * left + at * DS_TN_ROWS + r % DS_TN_ROWS), a.p + 4 * i, 4);
	}
	for (size_t from = 0, half = pixels / 2, k = 0; k < 2 && width == (size_t)tn->nr; k++, from += half, half = pixels - half)
		tn->fn.tn(&(ds_k_tn){ .a = (float *)(void *)(l.p + 4 * from * DS_TN_ROWS), .lda = left, .packed = (float *)(void *)(y[1].p + 4 * from * width), .b_block = block,
			.pixels = (int)half, .rows = rows, .taps = 1, .kc = (int)chans, .first = k == 0, .c = (float *)(void *)c[2].p, .ldc = chans });
	if (width == (size_t)tn->nr)
		check("packed product", kn, shape, c[0], c[2]);
	mem all[] = { x, a, y[0], y[1], c[0], c[1], c[2], l };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		free(all[i].block);
}

static void half_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	rng = ds_rng_init(seed, 10);
	bool down = seed % 2;
	size_t n = (size_t)below(80);
	char shape[64];
	snprintf(shape, sizeof shape, "%s n %zu (seed %llu)", down ? "down" : "up", n, (unsigned long long)seed);
	mem x = take(n * (down ? 4 : 2), 4 * below(16)), y[2];
	for (size_t i = 0; i < x.bytes; i++)
		x.p[i] = (unsigned char)below(256);
	for (size_t i = 0; down && i < n; i++)          /* infinities, NaNs, largest, ties */
		if (below(3) == 0) {
			static const uint32_t hard[] = { 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7F7FFFFF, 0x3F808000, 0x3F818000, 0x00000001, 0x80000000 };
			memcpy(x.p + 4 * i, &hard[below(DS_COUNTOF(hard))], 4);
		}
	for (int i = 0; i < 2; i++) {
		y[i] = take(n * (down ? 2 : 4), 4);
		(i ? kn : ref)->fn.half(y[i].p, x.p, n, down);
	}
	check("result", kn, shape, y[0], y[1]);
	free(x.block);
	free(y[0].block);
	free(y[1].block);
}

static void norm_case(const ds_kernel *ref, const ds_kernel *kn, uint64_t seed)
{
	rng = ds_rng_init(seed, 8);
	size_t chans = 1 + (size_t)below(below(2) ? 20 : 150), pixels = (size_t)below(12), ld = chans + (size_t)below(4);
	char shape[96];
	snprintf(shape, sizeof shape, "what %d pixels %zu chans %zu (seed %llu)", (int)(seed % 5), pixels, chans, (unsigned long long)seed);
	mem x = take(pixels * ld * 4, 4 * below(16)), dy = take(pixels * ld * 4, 4 * below(16)), v[6], y[2], sum[2], sum2[2];
	fill_f32(x, seed % 3 == 2 ? 2 : 0);
	fill_f32(dy, seed % 3 == 2 ? 2 : 0);
	float *f[6];
	for (int i = 0; i < 6; i++) {
		v[i] = take(chans * 4, 4 * below(16));
		fill_f32(v[i], seed % 3 == 2 ? 2 : 0);
		f[i] = (float *)(void *)v[i].p;
	}
	for (int i = 0; i < 2; i++) {
		y[i] = take(pixels * ld * 4, 4);
		sum[i] = take(chans * 8, 0);
		sum2[i] = take(chans * 8, 0);
		memset(sum[i].p, 0, sum[i].bytes);
		memset(sum2[i].p, 0, sum2[i].bytes);
		for (int k = 0; k < 2; k++)
			(i ? kn : ref)->fn.norm(&(ds_k_norm){ .what = (ds_norm_what)(seed % 5), .relu = seed % 2, .x = (float *)(void *)x.p, .dy = (float *)(void *)dy.p,
				.y = (float *)(void *)y[i].p, .ld = ld, .pixels = pixels, .chans = chans, .mean = f[0], .a = f[1], .b = f[2], .k1 = f[3], .k2 = f[4], .k3 = f[5],
				.sum = (double *)(void *)sum[i].p, .sum2 = (double *)(void *)sum2[i].p });
	}
	check("result", kn, shape, y[0], y[1]);
	check("sums", kn, shape, sum[0], sum[1]);
	check("sums of squares", kn, shape, sum2[0], sum2[1]);
	mem all[] = { x, dy, v[0], v[1], v[2], v[3], v[4], v[5], y[0], y[1], sum[0], sum[1], sum2[0], sum2[1] };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		free(all[i].block);
}

int main(void)
{
	int n;
	const ds_kernel *row = ds_kernel_all(&n);
	for (int i = 0; i < n; i++) {
		const ds_kernel *kn = &row[i], *ref = ds_kernel_pick(kn->slot, DS_ISA_C);
		if ((kn->needs & ds_cpu_allowed()) != kn->needs) {
			printf("skip %s: not on this machine, or masked by DS_CPU\n", kn->name);
			continue;
		}
		int before = failures;
		for (uint64_t seed = 0; seed < 700 && failures < before + 3; seed++) {
			if (kn->slot == DS_K_gemm_f32 || kn->slot == DS_K_gemm_i8)
				gemm_case(ref, kn, seed);
			else if (kn->slot == DS_K_gemm_bf16)
				bf16_case(ref, kn, seed);
			else if (kn->slot == DS_K_dw_f32 || kn->slot == DS_K_dw_i8)
				dw_case(ref, kn, seed);
			else if (kn->slot == DS_K_act_f32 || kn->slot == DS_K_slope_f32)
				act_case(ref, kn, seed);
			else if (kn->slot == DS_K_gemm_tn_f32 || kn->slot == DS_K_dwg_f32)
				tn_case(ref, kn, seed);
			else if (kn->slot == DS_K_norm_f32)
				norm_case(ref, kn, seed);
			else if (kn->slot == DS_K_half)
				half_case(ref, kn, seed);
			else if (kn->slot == DS_K_blocks_f32)
				blocks_case(ref, kn, seed);
			else
				row_case(ref, kn, seed);
		}
		if (failures == before)
			printf("ok %s\n", kn->name);
	}
	return failures != 0;
}
