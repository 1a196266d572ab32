/* kernels.c - GFLOP/s of every row of the kernel table on one thread, and of the product driver on all threads against OpenBLAS if it is installed
 *
 * kernels [--threads N] [--seconds S] [PATTERN]    text columns: what, shape, milliseconds (median), G operations per second.  PATTERN chooses rows. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/str.h"
#include "kernel/kernel.h"
#include "op/conv_fast.h"

static double seconds = 0.3;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Median seconds of one call. */
static double median(void (*fn)(void *), void *arg)
{
	static double t[20000];
	int n = 0;
	fn(arg);
	for (double end = now() + seconds; n < 20000 && (n < 5 || now() < end); n++) {
		double t0 = now();
		fn(arg);
		t[n] = now() - t0;
	}
	qsort(t, (size_t)n, sizeof *t, by_value);
	return t[n / 2];
}

static void *filled(size_t bytes, uint64_t seed, bool f32)
{
	void *p = ds_aligned(bytes + 64);
	if (!p)
		exit(1);
	ds_rng r = ds_rng_init(seed, 7);
	for (size_t i = 0; f32 && i < bytes / 4; i++)
		((float *)p)[i] = (float)ds_rng_f64(&r) - 0.5f;
	for (size_t i = 0; !f32 && i < bytes; i++)
		((uint8_t *)p)[i] = (uint8_t)ds_rng_u64(&r);
	return p;
}

static void line(const char *what, const char *shape, double t, double ops)
{
	printf("%-24s %-34s %9.4f %9.1f\n", what, shape, t * 1e3, ops / t * 1e-9);
	fflush(stdout);
}

/* ---- rows of the table --------------------------------------------------------------------------------------------------------------- */
typedef struct call { const ds_kernel *kn; ds_k_gemm g; ds_k_dw d; float *y; size_t n; } call;
static void call_gemm(void *arg) { call *c = arg; c->kn->fn.gemm(&c->g); }
static void call_dw(void *arg) { call *c = arg; c->kn->fn.dw(&c->d); }

static void row_gemm(const ds_kernel *kn, int rows, int k)
{
	bool i8 = kn->slot == DS_K_gemm_i8;
	size_t e = i8 ? 1 : 4;
	int w = kn->nr;
	char *a = filled((size_t)rows * (size_t)k * e, 1, !i8), *b = filled((size_t)k * (size_t)w * e, 2, !i8), *c = filled((size_t)rows * (size_t)w * 4, 3, true);
	float *mult = filled((size_t)w * 4, 4, true);
	const void **p = malloc((size_t)rows * sizeof *p);
	for (int r = 0; p && r < rows; r++)
		p[r] = a + (size_t)r * (size_t)k * e;
	call cl = { .kn = kn, .g = { .a = p, .a_rows = (size_t)rows, .taps = 1, .kc = k, .b = b, .rows = rows, .cols = w, .width = w, .first = true,
		.last = true, .c = c, .ldc = (size_t)w, .mult = mult, .lo = -128, .hi = 127, .zp = 128 } };
	char shape[64];
	snprintf(shape, sizeof shape, "%d x %d x %d", rows, w, k);
	line(kn->name, shape, median(call_gemm, &cl), 2.0 * rows * w * k);
	ds_free(a);
	ds_free(b);
	ds_free(c);
	ds_free(mult);
	free(p);
}

static void row_dw(const ds_kernel *kn, int n, int chans, int taps)
{
	bool i8 = kn->slot == DS_K_dw_i8;
	size_t e = i8 ? 1 : 4, ldw = (size_t)(chans + 63) / 64 * 64;
	char *x = filled((size_t)(n + 8) * (size_t)chans * e * 9, 1, !i8), *w = filled(ldw * (size_t)taps * e, 2, !i8), *c = filled((size_t)n * (size_t)chans * 4, 3, true);
	float *mult = filled(ldw * 4, 4, true);
	const void **p = malloc((size_t)n * (size_t)taps * sizeof *p);
	for (int i = 0; p && i < n * taps; i++)
		p[i] = x + ((size_t)(i % taps / 3 * (n + 8)) + (size_t)(i / taps + i % 3)) * (size_t)chans * e;
	call cl = { .kn = kn, .d = { .a = p, .n = n, .taps = taps, .chans = chans, .w = w, .ldw = ldw, .c = c, .ldc = (size_t)chans, .bias = mult,
		.mult = mult, .lo = -128, .hi = 127, .zp = 128 } };
	char shape[64];
	snprintf(shape, sizeof shape, "%d px x %d ch x %d taps", n, chans, taps);
	line(kn->name, shape, median(call_dw, &cl), 2.0 * n * chans * taps);
	ds_free(x);
	ds_free(w);
	ds_free(c);
	ds_free(mult);
	free(p);
}

/* ---- whole products -------------------------------------------------------------------------------------------------------------------- */
typedef void sgemm_fn(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef struct prod { ds_pool *pool; ds_igemm_run r; sgemm_fn *sgemm; const float *a, *w; int m, n, k; } prod;
static void call_prod(void *arg) { prod *p = arg; ds_igemm_go(p->pool, &p->r); }
static void call_blas(void *arg)
{
	prod *p = arg;
	p->sgemm(101, 111, 112, p->m, p->n, p->k, 1, p->a, p->k, p->w, p->k, 0, p->r.c, p->n);
}

static void product(ds_pool *pool, sgemm_fn *sgemm, bool i8, int m, int n, int k)
{
	ds_igemm g;
	size_t e = i8 ? 1 : 4;
	char *a = filled((size_t)m * (size_t)k * e, 1, !i8), *w = filled((size_t)n * (size_t)k * e, 2, !i8), *c = filled((size_t)m * (size_t)n * 4, 3, true);
	if (ds_igemm_new(&g, i8, 1, n, 1, k, NULL) != DS_OK)
		exit(1);
	if (i8)
		ds_igemm_pack_i8(&g, 0, (int8_t *)w, 1, k);
	else
		ds_igemm_pack_f32(&g, 0, (float *)w, 1, k);
	if (i8) {
		g.lo = -128;
		g.hi = 127;
		g.y_zp = 128;
	}
	void *scratch = ds_aligned(ds_igemm_scratch(&g, m, ds_pool_threads(pool)) + 64);
	ds_igemm_dense d = { a, (size_t)k * e };
	prod p = { pool, { .g = &g, .m = m, .rows = ds_igemm_dense_rows, .rows_arg = &d, .c = c, .scratch = scratch }, sgemm, (float *)a, (float *)w, m, n, k };
	char shape[64];
	snprintf(shape, sizeof shape, "%d x %d x %d", m, n, k);
	line(i8 ? "product i8" : "product f32", shape, median(call_prod, &p), 2.0 * m * n * k);
	if (sgemm && !i8)
		line("openblas sgemm", shape, median(call_blas, &p), 2.0 * m * n * k);
	ds_igemm_done(&g);
	ds_free(scratch);
	ds_free(a);
	ds_free(w);
	ds_free(c);
}

int main(int argc, char **argv)
{
	int threads = 0;
	const char *pattern = "*";
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
			threads = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = strtod(argv[++i], NULL);
		else
			pattern = argv[i];
	}
	char text[64], cpu[64];
	ds_pool *pool = ds_pool_new(threads);
	printf("# %s, %s allowed, %d threads for products\n", ds_cpu_model(cpu, sizeof cpu), ds_cpu_text(ds_cpu_allowed(), text), ds_pool_threads(pool));
	int n;
	const ds_kernel *row = ds_kernel_all(&n);
	for (int i = 0; i < n; i++) {
		if ((row[i].needs & ds_cpu_allowed()) != row[i].needs || !ds_glob(pattern, row[i].name))
			continue;
		if (row[i].slot == DS_K_gemm_f32 || row[i].slot == DS_K_gemm_i8) {
			row_gemm(&row[i], 96, 128);
			row_gemm(&row[i], 96, 512);
			row_gemm(&row[i], 7, 512);
		} else if (row[i].slot == DS_K_dw_f32 || row[i].slot == DS_K_dw_i8) {
			row_dw(&row[i], 56, 144, 9);
			row_dw(&row[i], 14, 576, 9);
			row_dw(&row[i], 14, 576, 25);
		}
	}
	setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
	char count[16];
	snprintf(count, sizeof count, "%d", ds_pool_threads(pool));
	setenv("OPENBLAS_NUM_THREADS", count, 1);
	void *so = dlopen("libopenblas.so.0", RTLD_NOW);
	sgemm_fn *sgemm = NULL;
	if (so)
		*(void **)&sgemm = dlsym(so, "cblas_sgemm");
	static const int shape[][3] = { { 1024, 1024, 1024 }, { 3136, 64, 576 }, { 3136, 256, 64 }, { 784, 128, 1152 }, { 196, 256, 2304 }, { 196, 1024, 256 },
		{ 49, 512, 4608 }, { 49, 2048, 512 }, { 1, 1000, 2048 }, { 1, 4096, 4096 } };
	for (size_t i = 0; i < DS_COUNTOF(shape); i++)
		for (int q = 0; q < 2; q++)
			if (ds_glob(pattern, q ? "product i8" : "product f32"))
				product(pool, sgemm, q, shape[i][0], shape[i][1], shape[i][2]);
	ds_pool_free(pool);
	return 0;
}
