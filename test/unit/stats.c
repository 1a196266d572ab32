/* stats.c - unit tests of statistics: sums in any order, observers joined, files of them written, read, merged, refused */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "profile/stats.h"

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok %s\n" : "not ok %s: " #cond "\n", name); \
} while (0)

static void test_sums(void)
{
	enum { N = 2000 };
	static double x[N];
	ds_rng r = ds_rng_init(7, 1);
	ds_qsum up = { { 0 } }, down = { { 0 } }, part[2] = { { { 0 } } };
	double naive = 0;
	for (int i = 0; i < N; i++) {
		int e = (int)ds_rng_below(&r, 60) - 30;
		x[i] = (double)(float)ldexp(ds_rng_normal(&r), e);
		naive += x[i];
	}
	for (int i = 0; i < N; i++) {
		ds_qsum_add(&up, x[i]);
		ds_qsum_add(&down, x[N - 1 - i]);
		ds_qsum_add(&part[i % 3 == 0], x[i]);
	}
	ds_qsum_merge(&part[0], &part[1]);
	CHECK("a sum does not depend on the order", memcmp(&up, &down, sizeof up) == 0);
	CHECK("nor on the parts", memcmp(&up, &part[0], sizeof up) == 0);
	CHECK("it is the sum", fabs(ds_qsum_value(&up) - naive) <= 1e-12 * fabs(naive));
	for (int i = 0; i < N; i++)
		ds_qsum_add(&up, -x[i]);
	CHECK("taking away all that was added leaves zero", ds_qsum_value(&up) == 0 && up.limb[0] == 0 && up.limb[5] == 0);
	ds_qsum s = { { 0 } };
	const double edge[] = { ldexp(1, -149), -ldexp(3, -149), (double)3.4028234663852886e38f, -(double)3.4028234663852886e38f };
	for (int i = 0; i < 4; i++)
		ds_qsum_add(&s, edge[i]);
	CHECK("the smallest f32 is kept beside the largest", ds_qsum_value(&s) == -ldexp(2, -149));
}

static bool same(const ds_observer *a, const ds_observer *b)
{
	bool ok = a->min == b->min && a->max == b->max && a->count == b->count && a->zeros == b->zeros && a->limit == b->limit && a->channels == b->channels &&
		a->per_channel == b->per_channel && memcmp(a->bin, b->bin, sizeof a->bin) == 0 && !a->sum == !b->sum;
	return ok && (!a->sum || (memcmp(a->sum, b->sum, (size_t)a->channels * sizeof(ds_qsum)) == 0 && memcmp(a->peak, b->peak, (size_t)a->channels * sizeof(float)) == 0));
}

/* Items whose sizes differ by 2^100: the histograms' limits lie far apart. */
static void test_join(void)
{
	enum { ITEMS = 12, C = 3, N = C * 10 };
	static float x[ITEMS][N];
	ds_rng r = ds_rng_init(3, 9);
	ds_observer all = { 0 }, back = { 0 }, part[2] = { { 0 } }, joined = { 0 };
	bool ok = true;
	for (int i = 0; i < ITEMS; i++)
		for (int k = 0; k < N; k++)
			x[i][k] = k % 7 == 0 ? 0 : (float)ldexp(ds_rng_normal(&r), i % 3 == 0 ? -50 : i == 5 ? 50 : 0);
	for (int i = 0; i < ITEMS; i++) {
		ds_tensor t, u;
		int64_t dim[3] = { 1, C, 10 };
		ds_tensor_borrow(&t, DS_F32, 3, dim, x[i]);
		ds_tensor_borrow(&u, DS_F32, 3, dim, x[ITEMS - 1 - i]);
		ok = ok && ds_observer_add(&all, &t, NULL) == DS_OK && ds_observer_add(&back, &u, NULL) == DS_OK && ds_observer_add(&part[i % 3 == 0], &t, NULL) == DS_OK;
	}
	CHECK("an observer does not depend on the order of samples", ok && same(&all, &back));
	ok = ds_observer_join(&joined, &part[0], NULL) == DS_OK && ds_observer_join(&joined, &part[1], NULL) == DS_OK;
	CHECK("two observers joined are one that saw all", ok && same(&all, &joined));
	ds_observer_done(&joined);
	ok = ds_observer_join(&joined, &part[1], NULL) == DS_OK && ds_observer_join(&joined, &part[0], NULL) == DS_OK;
	CHECK("whichever comes first", ok && same(&all, &joined));
	ds_tensor odd;
	ds_tensor_borrow(&odd, DS_F32, 3, (int64_t[]){ 1, 5, 6 }, x[0]);
	CHECK("other channels: no sums", ds_observer_add(&all, &odd, NULL) == DS_OK && all.channels == -1 && !all.sum && ds_observer_join(&all, &part[0], NULL) == DS_OK &&
		all.channels == -1);
	ds_observer_done(&all);
	ds_observer_done(&back);
	ds_observer_done(&part[0]);
	ds_observer_done(&part[1]);
	ds_observer_done(&joined);
}

static ds_status make(ds_statistics *s, uint64_t seed, ds_buf *b)
{
	ds_rng r = ds_rng_init(seed, 1);
	float x[24];
	ds_sink *sink;
	static const char *const name[] = { "b", "a", "a/x" };
	*s = (ds_statistics){ .crc = 5, .len = 77, .q.samples = 1 };
	for (int i = 0; i < 3; i++) {
		ds_tensor t;
		for (int k = 0; k < 24; k++)
			x[k] = i == 2 ? 0 : (float)ds_rng_normal(&r);
		ds_tensor_borrow(&t, DS_F32, 2, (int64_t[]){ 4, 6 }, x);
		ds_observer *o = ds_qstats_add(&s->q, DS_QSET_PLAIN, name[i]);
		if (!o || ds_observer_add(o, &t, NULL) != DS_OK)
			return DS_E_NOMEM;
		ds_digest_add(&s->of, &t, 1);
	}
	ds_qstats_sort(&s->q);
	DS_TRY(ds_sink_memory(&sink, b, NULL));
	DS_TRY(ds_statistics_write(s, sink, &(ds_dsm_wopts){ 0 }, NULL));
	return ds_sink_commit(sink, NULL);
}

static ds_status read_back(ds_statistics *s, const ds_buf *b)
{
	ds_source *src;
	DS_TRY(ds_source_memory(&src, b->data, b->len, "test", NULL));
	return ds_statistics_read(s, src, &(ds_dsm_opts){ 0 }, NULL);
}

static void test_files(void)
{
	ds_statistics s, t, u;
	ds_buf b = { 0 }, c = { 0 }, d = { 0 }, e = { 0 };
	ds_sink *sink = NULL;
	CHECK("written", make(&s, 1, &b) == DS_OK && make(&t, 2, &c) == DS_OK);
	CHECK("read", read_back(&u, &b) == DS_OK && u.crc == 5 && u.len == 77 && u.q.set[0].n == 3 && memcmp(&u.of, &s.of, sizeof u.of) == 0);
	for (int i = 0; i < u.q.set[0].n; i++)
		CHECK(u.q.set[0].value[i].name, same(&u.q.set[0].value[i].seen, &s.q.set[0].value[i].seen));
	bool ok = ds_statistics_merge(&u, &t, NULL) == DS_OK && ds_sink_memory(&sink, &d, NULL) == DS_OK && ds_statistics_write(&u, sink, &(ds_dsm_wopts){ 0 }, NULL) == DS_OK &&
		ds_sink_commit(sink, NULL) == DS_OK;
	ok = ok && ds_statistics_merge(&t, &s, NULL) == DS_OK && ds_sink_memory(&sink, &e, NULL) == DS_OK && ds_statistics_write(&t, sink, &(ds_dsm_wopts){ 0 }, NULL) == DS_OK &&
		ds_sink_commit(sink, NULL) == DS_OK;
	CHECK("merged either way: the same bytes", ok && d.len == e.len && memcmp(d.data, e.data, d.len) == 0 && u.q.samples == 2);
	t.crc = 6;
	CHECK("statistics of another model are not merged", ds_statistics_merge(&u, &t, NULL) == DS_E_INPUT);
	int refused = 0, all = 0;
	for (size_t i = 0; i < b.len; i += 61, all++) {
		ds_statistics x;
		b.data[i] ^= 0x55;
		refused += read_back(&x, &b) != DS_OK;
		b.data[i] ^= 0x55;
	}
	CHECK("damage is refused wherever it is", refused == all);
	ds_statistics_done(&s);
	ds_statistics_done(&t);
	ds_statistics_done(&u);
	ds_buf_done(&b);
	ds_buf_done(&c);
	ds_buf_done(&d);
	ds_buf_done(&e);
}

int main(void)
{
	test_sums();
	test_join();
	test_files();
	return failures != 0;
}
