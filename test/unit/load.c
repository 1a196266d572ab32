/* load.c - the load generator against queueing theory (M/D/1), a stall that closed loops do not feel, overload, failures; percentiles and their intervals */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "profile/load.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

/* A server in a time of its own: `service` seconds per request, request `stalls` takes `stall` instead, every `bad`-th fails. */
typedef struct fake {
	double  t, service, per_batch, stall;
	int64_t stalls, bad, calls, most;
	double  hash;
} fake;

static double fake_now(void *arg) { return ((fake *)arg)->t; }
static void fake_until(void *arg, double t)
{
	fake *f = arg;
	f->t = fmax(f->t, t);
}

static ds_status serve(void *arg, int64_t first, int n, ds_err *err)
{
	fake *f = arg;
	f->calls++;
	f->most = n > f->most ? n : f->most;
	f->hash = f->hash * 1.000001 + f->t;
	f->t += first <= f->stalls && f->stalls < first + n ? f->stall : f->per_batch + f->service * n;
	return f->bad && first % f->bad == 0 ? ds_fail(err, DS_E_INPUT, "a bad request") : DS_OK;
}

static ds_load_result go(fake *f, ds_load_opts o)
{
	ds_load_result r;
	ds_err err = { 0 };
	ds_load_clock clock = { fake_now, fake_until, f };
	o.serve = serve;
	o.arg = f;
	o.clock = &clock;
	if (ds_load_run(&r, &o, &err) != DS_OK) {
		printf("not ok load: %s\n", err.text);
		failed = 1;
	}
	return r;
}

static double quantile(const ds_load_result *r, double p)
{
	ds_quantile q = { .p = p };
	return ds_dist_quantiles(&r->latency, &q, 1, NULL) == DS_OK ? q.value : NAN;
}

/* P(wait <= t) of M/D/1 with service 1 (Crommelin 1932); good up to t of about 15. */
static double crommelin(double rho, double t)
{
	long double sum = 0;
	for (int k = 0; k <= (int)t; k++) {
		long double x = (long double)rho * (k - (long double)t), term = expl(-x);
		for (int i = 1; i <= k; i++)
			term *= x / i;
		sum += term;
	}
	return (double)((1 - rho) * sum);
}

static double wait_quantile(double rho, double p)
{
	double lo = 0, hi = 15;
	for (int i = 0; i < 60; i++) {
		double mid = (lo + hi) / 2;
		*(crommelin(rho, mid) < p ? &lo : &hi) = mid;
	}
	return lo;
}

static void theory(void)
{
	static const double rhos[] = { 0.3, 0.5, 0.7 };
	char name[40];
	for (size_t i = 0; i < DS_COUNTOF(rhos); i++) {
		double rho = rhos[i], s = 0.01, want = s + s * rho / (2 * (1 - rho));
		fake f = { .service = s, .stalls = -1 };
		ds_load_result r = go(&f, (ds_load_opts){ .kind = DS_LOAD_POISSON, .rate = rho / s, .requests = 800000, .seed = 7, .drain = 1e9 });
		double mean = r.latency.sum / (double)r.latency.n, p90 = quantile(&r, 0.9), p99 = quantile(&r, 0.99);
		double w90 = s * (1 + wait_quantile(rho, 0.9)), w99 = s * (1 + wait_quantile(rho, 0.99));
		snprintf(name, sizeof name, "M/D/1 at %g", rho);
		CHECK(name, fabs(mean / want - 1) < 0.02 && fabs(p90 / w90 - 1) < 0.02 && fabs(p99 / w99 - 1) < 0.02,
			"mean %g of %g, P90 %g of %g, P99 %g of %g", mean, want, p90, w90, p99, w99);
		snprintf(name, sizeof name, "utilisation at %g", rho);
		CHECK(name, fabs(r.busy - rho) < 0.01 && fabs(r.rate * s / rho - 1) < 0.01 && r.rate_lo < rho / s && r.rate_hi > rho / s && r.done == 800000 && !r.left,
			"busy %g, rate %g [%g, %g]", r.busy, r.rate, r.rate_lo, r.rate_hi);
		ds_load_result_done(&r);
	}
}

/* How often the interval has the true percentile in it, of values that queue. */
static void coverage(void)
{
	double rho = 0.5, s = 1, truth = s * (1 + wait_quantile(rho, 0.9));
	int in = 0, naive = 0, runs = 200;
	for (int i = 0; i < runs; i++) {
		fake f = { .service = s, .stalls = -1 };
		ds_load_result r = go(&f, (ds_load_opts){ .kind = DS_LOAD_POISSON, .rate = rho / s, .requests = 4000, .seed = (uint64_t)i, .drain = 1e9 });
		ds_quantile q = { .p = 0.9 };
		in += ds_dist_quantiles(&r.latency, &q, 1, NULL) == DS_OK && q.lo <= truth && truth <= q.hi;
		naive += q.inflation > 1;
		ds_load_result_done(&r);
	}
	CHECK("intervals hold in a queue", in >= 0.90 * runs, "%d of %d", in, runs);
	CHECK("values of a queue are not independent", naive > 0.9 * runs, "%d of %d", naive, runs);
}

static void stall(void)
{
	fake f = { .service = 0.001, .stalls = 500, .stall = 1 };
	ds_load_result r = go(&f, (ds_load_opts){ .kind = DS_LOAD_CONSTANT, .rate = 100, .requests = 1000, .drain = 10 });
	double p99 = quantile(&r, 0.99), p50 = quantile(&r, 0.5);
	CHECK("a stall is felt by those who came meanwhile", p99 > 0.85 && p99 <= 1 && p50 < 0.002 && r.queue_max > 90, "P99 %g, P50 %g, queue %lld", p99, p50,
		(long long)r.queue_max);
	ds_load_result_done(&r);
	f = (fake){ .service = 0.001, .stalls = 500, .stall = 1 };
	r = go(&f, (ds_load_opts){ .kind = DS_LOAD_CLOSED, .requests = 1000 });
	p99 = quantile(&r, 0.99);
	CHECK("a closed loop does not notice", p99 < 0.002 && r.latency.max >= 1, "P99 %g", p99);
	CHECK("rate of a closed loop", fabs(r.rate - 1000 / 1.999) < 0.01, "%g", r.rate);
	ds_load_result_done(&r);
}

static void limits(void)
{
	fake f = { .service = 0.1, .stalls = -1 };
	ds_load_result r = go(&f, (ds_load_opts){ .kind = DS_LOAD_CONSTANT, .rate = 100, .seconds = 5, .drain = 2 });
	CHECK("overload", r.arrived == 500 && r.done + r.left == 500 && r.done >= 69 && r.done <= 72 && fabs(r.rate - 10) < 0.2 && r.busy > 0.99, "%llu %llu %llu %g %g",
		(unsigned long long)r.arrived, (unsigned long long)r.done, (unsigned long long)r.left, r.rate, r.busy);
	CHECK("those left count with their age", quantile(&r, 0.5) > 2 && r.latency.n == 500, "%g of %llu", quantile(&r, 0.5), (unsigned long long)r.latency.n);
	ds_load_result_done(&r);
	f = (fake){ .service = 0.001, .stalls = -1, .bad = 4 };
	r = go(&f, (ds_load_opts){ .kind = DS_LOAD_POISSON, .rate = 100, .requests = 100, .drain = 2 });
	CHECK("failures are counted", r.failed == 25 && r.done == 75 && r.latency.n == 75, "%llu failed", (unsigned long long)r.failed);
	ds_load_result_done(&r);
	const int sizes[] = { 1, 4, 16 };
	f = (fake){ .service = 0.0001, .per_batch = 0.01, .stalls = -1 };
	r = go(&f, (ds_load_opts){ .kind = DS_LOAD_POISSON, .rate = 500, .requests = 5000, .drain = 2, .batch = sizes, .n_batch = 3 });
	CHECK("requests that wait go together", r.done == 5000 && r.rate > 480 && f.most == 16 && f.calls < 1500 && quantile(&r, 0.99) < 0.1, "%g/s in %lld calls, P99 %g",
		r.rate, (long long)f.calls, quantile(&r, 0.99));
	ds_load_result_done(&r);
	double hash[3];
	for (int i = 0; i < 3; i++) {
		f = (fake){ .service = 0.001, .stalls = -1 };
		r = go(&f, (ds_load_opts){ .kind = DS_LOAD_POISSON, .rate = 100, .requests = 1000, .seed = i == 2, .drain = 2 });
		hash[i] = f.hash;
		ds_load_result_done(&r);
	}
	CHECK("the seed decides when they arrive", hash[0] == hash[1] && hash[0] != hash[2], "%g %g %g", hash[0], hash[1], hash[2]);
}

static void words(void)
{
	static const struct { const char *text; int kind; double rate; } good[] = {
		{ "closed", DS_LOAD_CLOSED, 0 }, { "poisson:50", DS_LOAD_POISSON, 50 }, { "constant:0.5", DS_LOAD_CONSTANT, 0.5 }, { "poisson:1e3", DS_LOAD_POISSON, 1000 },
	};
	static const char *const bad[] = { "", "poisson", "poisson:", "poisson:0", "poisson:-1", "poisson:nan", "poisson:1e999", "poisson:5x", "closed:5", "burst:5", "constant: 5" };
	ds_load_kind kind;
	double rate;
	for (size_t i = 0; i < DS_COUNTOF(good); i++)
		CHECK(good[i].text, ds_load_parse(good[i].text, &kind, &rate, NULL) == DS_OK && (int)kind == good[i].kind && rate == good[i].rate, "%d %g", (int)kind, rate);
	for (size_t i = 0; i < DS_COUNTOF(bad); i++)
		CHECK("refused", ds_load_parse(bad[i], &kind, &rate, NULL) == DS_E_USAGE, "%s", bad[i]);
}

static void distributions(void)
{
	uint64_t lo, hi;
	ds_dist_ranks(100, 0.5, &lo, &hi);
	CHECK("ranks around a median", lo == 40 && hi == 61, "%llu %llu", (unsigned long long)lo, (unsigned long long)hi);
	ds_dist_ranks((uint64_t)ds_dist_needed(0.99) - 1, 0.99, &lo, &hi);
	CHECK("too few for P99", hi == (uint64_t)ds_dist_needed(0.99), "%llu", (unsigned long long)hi);
	ds_dist_ranks((uint64_t)ds_dist_needed(0.99), 0.99, &lo, &hi);
	CHECK("just enough for P99", hi == (uint64_t)ds_dist_needed(0.99), "%llu", (unsigned long long)hi);
	ds_dist_ranks(1, 0.5, &lo, &hi);
	CHECK("one value bounds nothing", lo == 0 && hi == 2, "%llu %llu", (unsigned long long)lo, (unsigned long long)hi);
	/* more than are kept: a heavy tail over four decades */
	ds_dist d = { 0 };
	size_t n = DS_DIST_RAW + 500000;
	double *all = ds_malloc(n * sizeof *all), worst = 0;
	ds_rng r = ds_rng_init(3, 3);
	bool good = all != NULL;
	for (size_t i = 0; good && i < n; i++) {
		all[i] = 1e-5 * pow(1 - ds_rng_f64(&r), -1.0 / 1.5);
		good = ds_dist_add(&d, all[i], NULL) == DS_OK;
	}
	static const double p[] = { 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999 };
	for (size_t i = 0; good && i < DS_COUNTOF(p); i++) {
		ds_quantile q = { .p = p[i] };
		good = ds_dist_quantiles(&d, &q, 1, NULL) == DS_OK && q.lo <= q.value && q.value <= q.hi;
		double exact = 1e-5 * pow(1 - p[i], -1.0 / 1.5);
		good = good && q.lo * 0.99 < exact && exact < q.hi * 1.01;
		size_t below = 0;
		for (size_t k = 0; k < n; k++)
			below += all[k] <= q.value * 0.995;
		good = good && (double)below < p[i] * (double)n;
		below = 0;
		for (size_t k = 0; k < n; k++)
			below += all[k] <= q.value * 1.005;
		good = good && (double)below >= p[i] * (double)n;
		worst = fmax(worst, fabs(q.value / exact - 1));
	}
	CHECK("a histogram is within half a percent", good, "worst against the law %g", worst);
	ds_dist_done(&d);
	ds_free(all);
	double mean, l, h;
	int in = 0;
	for (int k = 0; k < 300; k++) {
		ds_rng g = ds_rng_init(9, (uint64_t)k);
		for (int i = 0; i < 500; i++)
			if (ds_dist_add(&d, -log1p(-ds_rng_f64(&g)), NULL) != DS_OK)
				good = false;
		ds_dist_mean(&d, &mean, &l, &h);
		in += l <= 1 && 1 <= h;
		ds_dist_done(&d);
	}
	CHECK("interval of a mean", in >= 270 && in <= 298, "%d of 300", in);
	CHECK("no negative durations", ds_dist_add(&d, -1, NULL) == DS_E_INTERNAL && ds_dist_add(&d, NAN, NULL) == DS_E_INTERNAL && d.n == 0, "taken");
	ds_quantile q = { .p = 0.5 };
	CHECK("nothing has no median", ds_dist_quantiles(&d, &q, 1, NULL) == DS_OK && isnan(q.value), "%g", q.value);
}

/* The real clock: a short load on a server that takes a millisecond of it. */
static ds_status sleeper(void *arg, int64_t first, int n, ds_err *err)
{
	(void)arg; (void)first; (void)n; (void)err;
	return DS_OK;
}

static void real(void)
{
	ds_load_result r;
	ds_load_opts o = { .kind = DS_LOAD_CONSTANT, .rate = 200, .requests = 20, .drain = 5, .serve = sleeper };
	ds_status rc = ds_load_run(&r, &o, NULL);
	CHECK("real time", rc == DS_OK && r.done == 20 && r.seconds > 0.094 && r.seconds < 5, "%g s", r.seconds);
	ds_load_result_done(&r);
}

int main(void)
{
	words();
	distributions();
	theory();
	coverage();
	stall();
	limits();
	real();
	return failed;
}
