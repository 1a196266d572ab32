/* ceiling.c - the roofline of this machine, measured with the kernels of the library */
#include "ceiling.h"
#include "machine.h"
#include "read.h"
#include "../base/rng.h"
#include "../base/str.h"
#include "../io/io.h"
#include "../kernel/kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <math.h>
#include <string.h>

const char *const ds_level_names[DS_LEVEL_COUNT + 1] = { "L1", "L2", "L3", "DRAM", NULL };

/* ---- measuring -------------------------------------------------------------------------------------------------------------------- */
enum { ROUNDS = 30, ROUNDS_LEAST = 5, ROWS = 48 };
#define ROUND_SECONDS 1.5e-3
#define RATE_SECONDS .12

/* One thread's share of a measurement. */
typedef struct lane {
	const ds_kernel *kn;
	ds_k_gemm        g;             /* arithmetic */
	const void      *row[ROWS];
	void            *memory;        /* operands, or what is read */
	size_t           bytes, at;     /* how many, and where reading goes on */
} lane;

enum { PART = 4 << 20 };                /* read at once: short enough that other programs seldom come between */

typedef struct field { lane *lane; void (*one)(lane *l); int calls; } field;

static void share(void *arg, int task, int worker)
{
	field *f = arg;
	(void)task;
	for (int i = 0; i < f->calls; i++)
		f->one(&f->lane[worker]);
}

static void multiply(lane *l) { l->kn->fn.gemm(&l->g); }

static size_t part_of(const lane *l) { return DS_MIN(l->bytes, PART); }

static void read_part(lane *l)
{
	ds_read_memory((const char *)l->memory + l->at, part_of(l));
	l->at += part_of(l);
	l->at = l->at + part_of(l) <= l->bytes ? l->at : 0;
}

/* The best of some rounds: calls per second of all lanes together. */
static double round_of(field *f, ds_pool *pool)
{
	double t = ds_time_now();
	ds_pool_run(pool, ds_pool_threads(pool), share, f);
	return ds_time_now() - t;
}

static double rate(field *f, ds_pool *pool)
{
	double best = INFINITY;
	f->calls = 1;
	while (f->calls < 1 << 24 && fmin(round_of(f, pool), round_of(f, pool)) < ROUND_SECONDS)
		f->calls *= 2;
	double end = ds_time_now() + RATE_SECONDS;
	for (int i = 0; i < ROUNDS && (i < ROUNDS_LEAST || ds_time_now() < end); i++)
		best = fmin(best, round_of(f, pool));
	return (double)ds_pool_threads(pool) * f->calls / best;
}

static void fill(void *p, size_t bytes, bool f32)
{
	float *v = p;
	if (!f32)
		memset(p, 3, bytes);
	for (size_t i = 0; f32 && i < bytes / sizeof *v; i++)
		v[i] = (float)(i % 61) / 61 - .5f;
}

/* Operands of a product that stay in the nearest cache: ROWS rows of k elements on the left, a panel of k rows on the right. */
static ds_status product(lane *l, const ds_kernel *kn, ds_number number, int k, ds_err *err)
{
	size_t width = (size_t)kn->nr, a = (size_t)k * ROWS * (number == DS_NUM_I8 ? 1 : 4), b = (size_t)k * width * (number == DS_NUM_I8 ? 1 : number == DS_NUM_BF16 ? 2 : 4);
	size_t c = ROWS * width * 4, m = width * 4;
	l->kn = kn;
	if (!(l->memory = ds_aligned(ds_pad64(a) + ds_pad64(b) + ds_pad64(c) + ds_pad64(m) + 256)))
		return ds_fail_nomem(err, a + b);
	char *p = l->memory, *pb = p + ds_pad64(a), *pc = pb + ds_pad64(b), *pm = pc + ds_pad64(c);
	fill(p, a, number != DS_NUM_I8);
	memset(pb, 0, b);                       /* bf16 and f32 zeros: speed does not depend on normal values */
	fill(pb, b, number == DS_NUM_F32);
	fill(pm, m, true);
	if (number == DS_NUM_BF16)
		memset(pb, 0x3f, b);            /* 0.747 */
	for (int r = 0; r < ROWS; r++)
		l->row[r] = p + a / ROWS * (size_t)r;
	l->g = (ds_k_gemm){ .a = l->row, .a_rows = ROWS, .taps = 1, .kc = k, .b = pb, .rows = ROWS, .cols = (int)width, .width = (int)width, .first = true,
		.last = true, .c = pc, .ldc = width, .mult = (float *)(void *)pm, .lo = -128, .hi = 127, .zp = 128 };
	return DS_OK;
}

static void lanes_drop(lane *l, int n)
{
	for (int i = 0; i < n; i++) {
		ds_free(l[i].memory);
		l[i].memory = NULL;
	}
}

static ds_status measure_ops(ds_ceilings *c, lane *l, ds_pool *pool, ds_err *err)
{
	static const struct { ds_kslot slot; ds_number number; int k[3]; } what[] = {
		{ DS_K_gemm_f32, DS_NUM_F32, { 64, 128, 256 } },
		{ DS_K_gemm_bf16, DS_NUM_BF16, { 128, 256, 512 } },
		{ DS_K_gemm_i8, DS_NUM_I8, { 256, 512, 1024 } },
	};
	field f = { .lane = l, .one = multiply };
	ds_status rc = DS_OK;
	for (size_t i = 0; i < DS_COUNTOF(what); i++)
		for (int s = 0; s < 3; s++) {
			const ds_kernel *kn = ds_kernel_pick(what[i].slot, ds_cpu_allowed());
			for (int t = 0; rc == DS_OK && t < c->threads; t++)
				rc = product(&l[t], kn, what[i].number, what[i].k[s], err);
			double ops = rc == DS_OK ? rate(&f, pool) * 2 * ROWS * kn->nr * what[i].k[s] : 0;
			lanes_drop(l, c->threads);
			DS_TRY(rc);
			c->ops[what[i].number] = fmax(c->ops[what[i].number], ops);
		}
	return DS_OK;
}

/* Bytes that a lane reads to be served by a level: half of it, and more than the level before it holds; DRAM: several times the last cache. */
static size_t reach(const ds_ceilings *c, ds_level level)
{
	enum { LEAST = 4096 };
	double all = c->size[level] / 2;
	if (level == DS_LEVEL_L3)               /* of virtual machines it is said to be as large as the host's: take what is surely there */
		all = fmin(all, 4 * c->size[DS_LEVEL_L2]);
	if (level == DS_LEVEL_DRAM)
		all = fmin(fmax(4 * fmax(c->size[DS_LEVEL_L3], c->size[DS_LEVEL_L2]), 64e6), 256e6);
	return DS_MAX((size_t)(all / c->threads) / LEAST * LEAST, LEAST);
}

static ds_status measure_reading(ds_ceilings *c, lane *l, ds_pool *pool, ds_err *err)
{
	field f = { .lane = l, .one = read_part };
	for (int level = 0; level < DS_LEVEL_COUNT; level++) {
		size_t n = reach(c, (ds_level)level);
		if (c->size[level] <= 0 || (level && level < DS_LEVEL_DRAM && (double)n * c->threads <= c->size[level - 1]))
			continue;
		ds_status rc = DS_OK;
		for (int t = 0; t < c->threads && rc == DS_OK; t++) {
			l[t].bytes = n;
			l[t].at = 0;
			if (!(l[t].memory = ds_aligned(n)))
				rc = ds_fail_nomem(err, n);
			else
				memset(l[t].memory, 0, n);
		}
		if (rc == DS_OK)
			c->bytes[level] = rate(&f, pool) * (double)part_of(l);
		lanes_drop(l, c->threads);
		DS_TRY(rc);
	}
	double far = 0;
	for (int level = DS_LEVEL_DRAM; level >= 0; level--)    /* nearer memory is not slower: what says so was disturbed */
		if (c->bytes[level] > 0)
			far = c->bytes[level] = fmax(c->bytes[level], far);
	return DS_OK;
}

ds_status ds_ceilings_measure(ds_ceilings *c, ds_pool *pool, ds_err *err)
{
	*c = (ds_ceilings){ .threads = ds_pool_threads(pool) };
	lane *l = ds_calloc((size_t)c->threads, sizeof *l);
	if (!l)
		return ds_fail_nomem(err, 0);
	ds_machine_caches(c->size);
	c->size[DS_LEVEL_L1] *= c->threads;
	c->size[DS_LEVEL_L2] *= c->threads;
	c->size[DS_LEVEL_DRAM] = INFINITY;
	ds_status rc = measure_ops(c, l, pool, err);
	if (rc == DS_OK)
		rc = measure_reading(c, l, pool, err);
	ds_free(l);
	return rc;
}

double ds_ceilings_least(const ds_ceilings *c, ds_number number, double ops, double bytes, const char **bound)
{
	int level = 0;
	*bound = "";
	while (level < DS_LEVEL_DRAM && (c->bytes[level] <= 0 || bytes > c->size[level]))
		level++;
	double compute = c->ops[number] > 0 ? ops / c->ops[number] : 0, memory = c->bytes[level] > 0 ? bytes / c->bytes[level] : 0;
	if (compute > 0 || memory > 0)
		*bound = compute > memory ? ds_number_names[number] : ds_level_names[level];
	return fmax(compute, memory);
}

/* ---- text --------------------------------------------------------------------------------------------------------------------------- */
static const char first_line[] = "# ds ceilings 1\n";

ds_status ds_ceilings_key(ds_buf *key, int threads, ds_err *err)
{
	char model[128], isa[64];
	ds_cpu_model(model, sizeof model);
	ds_text_quote(key, model, strlen(model));
	ds_buf_printf(key, "; %s; %d threads; %s", ds_cpu_text(ds_cpu_allowed(), isa), threads, DS_VERSION);
	return key->oom ? ds_fail_nomem(err, 0) : DS_OK;
}

ds_status ds_ceilings_write(const ds_ceilings *c, const char *key, ds_buf *out, ds_err *err)
{
	char a[32], b[32];
	size_t from = out->len;
	ds_buf_printf(out, "%skey\t%s\nthreads\t%d\n", first_line, key, c->threads);
	for (int i = 0; i < DS_NUM_COUNT; i++)
		ds_buf_printf(out, "%s\t%s\n", ds_number_names[i], ds_fmt_f64(a, c->ops[i]));
	for (int i = 0; i < DS_LEVEL_COUNT; i++)
		ds_buf_printf(out, "%s\t%s\t%s\n", ds_level_names[i], ds_fmt_f64(a, c->bytes[i]), ds_fmt_f64(b, i == DS_LEVEL_DRAM ? 0 : c->size[i]));
	if (!out->oom)
		ds_buf_printf(out, "sum\t%08" PRIx32 "\n", ds_crc32c(0, out->data + from, out->len - from));
	return out->oom ? ds_fail_nomem(err, out->len) : DS_OK;
}

/* The next line's fields after its name, into v: `n` numbers that are finite and not negative. */
static bool numbers(const char **at, const char *end, const char *name, int n, double *v)
{
	char text[40];
	size_t len = strlen(name);
	if ((size_t)(end - *at) < len || memcmp(*at, name, len) != 0)
		return false;
	*at += len;
	for (int i = 0; i < n; i++) {
		if (*at == end || *(*at)++ != '\t')
			return false;
		size_t k = 0;
		while (*at < end && **at != '\t' && **at != '\n' && k + 1 < sizeof text)
			text[k++] = *(*at)++;
		text[k] = 0;
		if (!ds_parse_f64(text, &v[i]) || v[i] < 0)
			return false;
	}
	return *at < end && *(*at)++ == '\n';
}

ds_status ds_ceilings_read(ds_ceilings *c, const char *key, const char *text, size_t n, ds_err *err)
{
	enum { SUM = 4 + 8 + 1 };
	const char *at = text, *end = text + n;
	size_t head = sizeof first_line - 1, len = strlen(key);
	double v[2];
	char sum[16];
	*c = (ds_ceilings){ 0 };
	if (n < head + SUM || memcmp(text, first_line, head) != 0)
		return ds_fail(err, DS_E_INPUT, "not a file of ceilings");
	snprintf(sum, sizeof sum, "sum\t%08" PRIx32 "\n", ds_crc32c(0, text, n - SUM));
	if (memcmp(end - SUM, sum, SUM) != 0)
		return ds_fail(err, DS_E_INPUT, "the file of ceilings is damaged");
	end -= SUM;
	at += head;
	if ((size_t)(end - at) < 4 + len + 1 || memcmp(at, "key\t", 4) != 0 || memcmp(at + 4, key, len) != 0 || at[4 + len] != '\n')
		return ds_fail(err, DS_E_INPUT, "the ceilings are those of another machine");
	at += 4 + len + 1;
	if (!numbers(&at, end, "threads", 1, v) || v[0] < 1 || v[0] > 1024)
		return ds_fail(err, DS_E_INPUT, "the ceilings have no number of threads");
	c->threads = (int)v[0];
	for (int i = 0; i < DS_NUM_COUNT; i++)
		if (!numbers(&at, end, ds_number_names[i], 1, &c->ops[i]))
			return ds_fail(err, DS_E_INPUT, "the ceilings lack %s", ds_number_names[i]);
	for (int i = 0; i < DS_LEVEL_COUNT; i++) {
		if (!numbers(&at, end, ds_level_names[i], 2, v))
			return ds_fail(err, DS_E_INPUT, "the ceilings lack %s", ds_level_names[i]);
		c->bytes[i] = v[0];
		c->size[i] = i == DS_LEVEL_DRAM ? INFINITY : v[1];
	}
	return at == end ? DS_OK : ds_fail(err, DS_E_INPUT, "the ceilings go on after their end");
}
