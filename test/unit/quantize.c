/* quantize.c - unit tests of quantize/: rounding, streaming of weights, ranges, observers */
#include "../../lib/quantize/quantize.h"
#include "../../lib/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok %s\n" : "not ok %s: " #cond "\n", name); \
} while (0)

typedef struct sink { ds_buf b; } sink;

static ds_status take(void *arg, const void *p, size_t n, ds_err *err)
{
	sink *s = arg;
	(void)err;
	ds_buf_add(&s->b, p, n);
	return s->b.oom ? DS_E_NOMEM : DS_OK;
}

static void fill(float *x, int64_t n, uint64_t seed)
{
	ds_rng r = ds_rng_init(seed, 1);
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(ds_rng_normal(&r) * 0.1);
}

/* Stream x in pieces of `piece` bytes; returns the planes. */
static ds_status stream(const ds_qw_opts *o, int rank, const int64_t *dim, const float *x, int64_t n, size_t piece, sink *s, ds_qw_stat *stat, ds_err *err)
{
	ds_qw *q;
	ds_status rc = ds_qw_new(&q, o, DS_F32, rank, dim, take, s, err);
	if (rc != DS_OK)
		return rc;
	size_t all = (size_t)n * 4;
	for (size_t at = 0; rc == DS_OK && at < all; at += piece)
		rc = ds_qw_push(q, (const char *)x + at, DS_MIN(piece, all - at), err);
	if (rc == DS_OK)
		rc = ds_qw_end(q, stat, err);
	ds_qw_free(q);
	return rc;
}

/* Every width and granularity: the stream's length is what the form says, pieces and threads change nothing, decoding is within half a step. */
static void test_stream(int bits, int group, int64_t rows, int64_t cols, ds_qrange range)
{
	char name[96];
	snprintf(name, sizeof(name), "stream w%d group %d [%d, %d] %s", bits, group, (int)rows, (int)cols, ds_qrange_names[range]);
	int64_t dim[2] = { rows, cols }, n = rows * cols;
	float *x = ds_malloc((size_t)n * 4), *y = ds_malloc((size_t)n * 4);
	ds_pool *pool = ds_pool_new(2);
	ds_qw_opts o = { .bits = bits, .group = group, .range = range };
	ds_err err = { 0 };
	sink a = { 0 }, b = { 0 };
	ds_qw_stat st = { 0 }, st2 = { 0 };
	ds_qform form;
	ds_qsize size;
	fill(x, n, (uint64_t)(bits * 1000 + group));
	bool ok = ds_qw_form(&o, 2, dim, &form, &size, &err) == DS_OK && stream(&o, 2, dim, x, n, (size_t)n * 4, &a, &st, &err) == DS_OK;
	CHECK(name, ok && a.b.len == size.total);
	o.pool = pool;
	ok = ok && stream(&o, 2, dim, x, n, 1021, &b, &st2, &err) == DS_OK;
	CHECK("  same bytes in pieces and on two threads", ok && a.b.len == b.b.len && memcmp(a.b.data, b.b.data, a.b.len) == 0 &&
		memcmp(&st, &st2, sizeof(st)) == 0);
	ok = ok && ds_q_decode_rows(&form, &size, a.b.data, 0, size.rows, y) == DS_OK;
	double err_sq = 0, worst = 0;
	for (int64_t i = 0; ok && i < n; i++) {
		double d = fabs((double)x[i] - (double)y[i]);
		worst = fmax(worst, d);
		err_sq += d * d;
	}
	CHECK("  decodes to what was counted", ok && fabs(err_sq - st.err_sq) <= 1e-9 * st.sum_sq);
	if (range == DS_RANGE_MINMAX)
		CHECK("  within half a step", worst <= 0.51 * 0.6 / ((1 << (bits - 1)) - 1));
	ds_pool_free(pool);
	ds_buf_done(&a.b);
	ds_buf_done(&b.b);
	ds_free(x);
	ds_free(y);
}

static void test_unit(void)
{
	float x[20];
	uint8_t code[20];
	ds_qunit u;
	int64_t bad;
	for (int i = 0; i < 20; i++)
		x[i] = (float)(i - 10);
	CHECK("minmax codes", ds_q_unit(x, 20, 8, DS_RANGE_MINMAX, false, code, &u, &bad) && u.scale == 10.0f / 127 && (int8_t)code[0] == -127 &&
		(int8_t)code[10] == 0 && (int8_t)code[19] == 114);
	CHECK("mse is never worse", ds_q_unit(x, 20, 3, DS_RANGE_MINMAX, false, code, &u, &bad));
	double plain = u.err_sq;
	CHECK("  ", ds_q_unit(x, 20, 3, DS_RANGE_MSE, false, code, &u, &bad) && u.err_sq < plain);
	memset(x, 0, sizeof(x));
	CHECK("zeros have scale 1", ds_q_unit(x, 20, 4, DS_RANGE_MSE, true, code, &u, &bad) && u.scale == 1 && u.err_sq == 0 && code[5] == 8);
	x[7] = NAN;
	CHECK("not finite is found", !ds_q_unit(x, 20, 8, DS_RANGE_MINMAX, false, code, &u, &bad) && bad == 7);
	x[7] = 1e-42f;
	CHECK("tiny values", ds_q_unit(x, 20, 8, DS_RANGE_MINMAX, false, code, &u, &bad) && code[7] == 0);
}

static void test_form(void)
{
	ds_qw_opts o = { .bits = 8 };
	ds_qform f;
	ds_qsize s;
	ds_err err = { 0 };
	CHECK("form of a depthwise weight is joined", ds_qw_form(&o, 4, (int64_t[]){ 96, 1, 3, 3 }, &f, &s, &err) == DS_OK && f.joined && s.scales == 96 &&
		s.total == ds_pad64(96 * 9) + ds_pad64(96 * 4));
	CHECK("a row of a gigabyte has groups", ds_qw_form(&o, 2, (int64_t[]){ 1, INT64_C(1) << 28 }, &f, &s, &err) == DS_OK && f.group == 1024 && f.gran == DS_Q_GROUP);
	CHECK("millions of short rows run together", ds_qw_form(&o, 2, (int64_t[]){ INT64_C(1) << 27, 2 }, &f, &s, &err) == DS_OK && f.row_dims == 0 && f.group == 1024);
	CHECK("no empty tensors", ds_qw_form(&o, 2, (int64_t[]){ 4, 0 }, &f, &s, &err) == DS_E_INPUT);
	o.group = 24;
	CHECK("group must be a power of two", ds_qw_form(&o, 2, (int64_t[]){ 4, 64 }, &f, &s, &err) == DS_E_USAGE);
}

static void test_tensor(void)
{
	ds_tensor t, q;
	ds_qform form;
	ds_qw_stat st;
	ds_err err = { 0 };
	bool ok = ds_tensor_new(&t, DS_F32, 4, (int64_t[]){ 8, 3, 3, 3 }, &err) == DS_OK;
	fill(t.data, ds_tensor_count(&t), 3);
	ok = ok && ds_qw_tensor(&t, &(ds_qw_opts){ .bits = 8 }, &q, &form, &st, &err) == DS_OK;
	CHECK("tensor in memory", ok && q.q == &form && q.dtype == DS_F32 && st.count == 216 && ds_qw_sqnr(&st) > 40);
	ds_tensor_done(&q);
	((float *)t.data)[200] = INFINITY;
	CHECK("infinite weight is refused by index", ds_qw_tensor(&t, &(ds_qw_opts){ .bits = 8 }, &q, &form, &st, &err) == DS_E_INPUT &&
		strstr(err.text, "200") && !q.data);
	ds_tensor_done(&t);
}

static ds_status observe(ds_observer *o, float *x, int64_t n, ds_err *err)
{
	ds_tensor t;
	ds_tensor_borrow(&t, DS_F32, 2, (int64_t[]){ 1, n }, x);
	return ds_observer_add(o, &t, err);
}

static void test_observer(void)
{
	enum { N = 20000 };
	static ds_observer a, b, c;
	static float x[N];
	ds_err err = { 0 };
	uint64_t total = 0, joined = 0;
	fill(x, N, 9);
	for (int i = 0; i < N; i++)
		x[i] = i % 4 == 0 ? 0 : fabsf(x[i]);
	bool ok = observe(&a, x, N, &err) == DS_OK;
	CHECK("observer counts", ok && a.count == N && a.zeros >= N / 4 && a.min == 0 && a.max < a.limit && a.max * 2 >= a.limit);
	x[1] = 900;
	ok = ok && observe(&b, x, N, &err) == DS_OK && observe(&b, x, N, &err) == DS_OK && b.limit == 1024;
	ds_observer_merge(&c, &a);
	ds_observer_merge(&c, &b);
	for (int i = 0; i < DS_Q_BINS; i++)
		total += b.bin[i], joined += c.bin[i];
	CHECK("observer widens and loses nothing", ok && total + b.zeros == 2 * N && joined + c.zeros == 3 * N && c.limit == 1024);
	ds_qparam mm = ds_qrange_fit(&a, &(ds_qrule){ DS_RANGE_MINMAX, 0 }), ms = ds_qrange_fit(&a, &(ds_qrule){ DS_RANGE_MSE, 0 });
	CHECK("minmax covers", mm.zero == 0 && fabsf(mm.scale * 255 - a.max) < 1e-4f && ds_qrange_clipped(&a, &mm) == 0);
	CHECK("mse clips little", ms.zero == 0 && ms.scale <= mm.scale && ds_qrange_clipped(&a, &ms) < 0.01);
	ds_qparam p = ds_qrange_fit(&b, &(ds_qrule){ DS_RANGE_PERCENTILE, 99.9 }), kl = ds_qrange_fit(&a, &(ds_qrule){ DS_RANGE_KL, 0 });
	CHECK("percentile leaves the outlier out", p.scale * 255 < 2 && p.scale * 255 > 0.2f);
	CHECK("kl keeps most of the range", kl.zero == 0 && kl.scale > mm.scale / 4);
	x[0] = -0.5f;
	ds_observer d = { 0 };
	ok = observe(&d, x, N, &err) == DS_OK;
	ds_qparam z = ds_qrange_fit(&d, &(ds_qrule){ DS_RANGE_MINMAX, 0 });
	CHECK("zero is on the grid", ok && z.zero >= 0 && z.zero <= 255);
	x[5] = NAN;
	CHECK("not finite activations", observe(&d, x, N, &err) == DS_E_INPUT);
	ds_observer_done(&a);
	ds_observer_done(&b);
	ds_observer_done(&c);
	ds_observer_done(&d);
}

static void test_rules(void)
{
	ds_qrule r;
	ds_err err = { 0 };
	CHECK("rules", ds_qrule_parse("percentile:99.9", &r, &err) == DS_OK && r.range == DS_RANGE_PERCENTILE && r.percentile == 99.9 &&
		ds_qrule_parse("kl", &r, &err) == DS_OK && r.range == DS_RANGE_KL);
	CHECK("bad rules", ds_qrule_parse("percentile", &r, &err) == DS_E_USAGE && ds_qrule_parse("percentile:101", &r, &err) == DS_E_USAGE &&
		ds_qrule_parse("", &r, &err) == DS_E_USAGE);
}

int main(void)
{
	static const int bits[] = { 8, 6, 5, 4, 3, 2 };
	for (size_t i = 0; i < DS_COUNTOF(bits); i++)
		for (int group = 0; group <= 64; group += 32) {
			test_stream(bits[i], group, 13, 300, DS_RANGE_MINMAX);
			test_stream(bits[i], group, 7, 27, DS_RANGE_MSE);
			test_stream(bits[i], group, 700, 577, DS_RANGE_MINMAX);
		}
	test_stream(3, 128, 2, 600001, DS_RANGE_MINMAX);
	test_stream(8, 16, 1, 700000, DS_RANGE_MINMAX);
	test_unit();
	test_form();
	test_tensor();
	test_observer();
	test_rules();
	return failures != 0;
}
