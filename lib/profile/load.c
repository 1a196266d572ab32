/* load.c - the load generator: one server, a queue, arrivals that do not wait for it */
#include "load.h"
#include "../base/rng.h"
#include "../base/str.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define SPIN 100e-6             /* seconds before an arrival in which waiting spins: sleeping wakes up late by about half of that */

ds_status ds_load_parse(const char *text, ds_load_kind *kind, double *rate, ds_err *err)
{
	static const struct { const char *word; ds_load_kind kind; } words[] = { { "poisson:", DS_LOAD_POISSON }, { "constant:", DS_LOAD_CONSTANT } };
	*rate = 0;
	*kind = DS_LOAD_CLOSED;
	if (strcmp(text, "closed") == 0)
		return DS_OK;
	for (size_t i = 0; i < DS_COUNTOF(words); i++) {
		size_t n = strlen(words[i].word);
		if (strncmp(text, words[i].word, n) != 0)
			continue;
		if (!ds_parse_f64(text + n, rate) || !(*rate >= 1e-3 && *rate <= 1e6))
			return ds_fail(err, DS_E_USAGE, "load \"%.80s\": the rate is requests per second, 0.001 to 1000000", text);
		*kind = words[i].kind;
		return DS_OK;
	}
	return ds_fail(err, DS_E_USAGE, "load \"%.80s\": poisson:RATE, constant:RATE or closed", text);
}

/* ---- the real clock -------------------------------------------------------------------------------------------------------------------- */

static double real_now(void *arg)
{
	struct timespec t;
	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void real_until(void *arg, double t)
{
	double sleep = t - SPIN, now = real_now(arg);
	if (now < sleep) {
		struct timespec to = { (time_t)sleep, (long)((sleep - floor(sleep)) * 1e9) };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &to, NULL) == EINTR)
			;
	}
	while (real_now(arg) < t)
		;
}

static const ds_load_clock real_clock = { real_now, real_until, NULL };

/* ---- arrivals -------------------------------------------------------------------------------------------------------------------------- */

/* Times of arrival from the start, one after another; the n-th gap depends on seed and n alone. */
typedef struct arrivals { const ds_load_opts *o; ds_rng rng; double t; int64_t n; bool end; } arrivals;

/* Go on to the next arrival; after the last one `end` is set. */
static void next_arrival(arrivals *a)
{
	const ds_load_opts *o = a->o;
	if (o->kind == DS_LOAD_CONSTANT)
		a->t = (double)a->n / o->rate;
	else
		a->t += -log1p(-ds_rng_f64(&a->rng)) / o->rate;
	a->n++;
	a->end = (o->requests && a->n > o->requests) || (o->seconds > 0 && a->t >= o->seconds);
}

/* ---- the run --------------------------------------------------------------------------------------------------------------------------- */

/* Requests that wait are known by two walks over the same times: `head` is at the one that is served next, `tail` at the first that has not arrived. */
typedef struct run {
	const ds_load_opts  *o;
	const ds_load_clock *clock;
	ds_load_result      *r;
	arrivals             head, tail;
	double               start, end, busy, told;
	int64_t              served;
} run;

static double now(const run *u)
{
	return u->clock->now(u->clock->arg) - u->start;
}

/* Compute n requests from the head of the queue. */
static ds_status serve(run *u, int n, const double *arrived, ds_err *err)
{
	double t0 = now(u);
	ds_status rc = u->o->serve(u->o->arg, u->served, n, err);
	double t1 = now(u);
	bool failed = rc == DS_E_INPUT;
	if (rc != DS_OK && !failed)
		return rc;
	u->served += n;
	u->busy += t1 - t0;
	u->end = t1;
	*(failed ? &u->r->failed : &u->r->done) += (uint64_t)n;
	for (int i = 0; i < n && !failed; i++) {
		DS_TRY(ds_dist_add(&u->r->latency, fmax(t1 - (arrived ? arrived[i] : t0), 0), err));
		DS_TRY(ds_dist_add(&u->r->service, fmax(t1 - t0, 0) / n, err));
	}
	if (u->o->progress && t1 - u->told >= 0.1) {
		u->told = t1;
		u->o->progress(u->o->arg, u->served);
	}
	return DS_OK;
}

static ds_status closed(run *u, ds_err *err)
{
	const ds_load_opts *o = u->o;
	int n = o->n_batch ? o->batch[o->n_batch - 1] : 1;
	while ((!o->requests || u->served < o->requests) && (o->seconds <= 0 || now(u) < o->seconds)) {
		if (o->requests && o->requests - u->served < n)
			n = 1;                          /* the rest one by one: no shape that was not run before */
		DS_TRY(serve(u, n, NULL, err));
	}
	u->r->arrived = (uint64_t)u->served;
	return DS_OK;
}

/* How many of `waiting` requests go together. */
static int batch_of(const ds_load_opts *o, int64_t waiting)
{
	int n = 1;
	for (int i = 0; i < o->n_batch && o->batch[i] <= waiting; i++)
		n = o->batch[i];
	return n;
}

enum { BATCH_MOST = 4096 };

static ds_status open_loop(run *u, ds_err *err)
{
	double arrived[BATCH_MOST];
	const ds_load_opts *o = u->o;
	u->head = u->tail = (arrivals){ .o = o, .rng = ds_rng_init(o->seed, 0x10adULL) };
	next_arrival(&u->head);
	next_arrival(&u->tail);
	double last = 0;
	while (!u->head.end) {
		double t = now(u);
		if (t < u->head.t) {
			u->clock->until(u->clock->arg, u->start + u->head.t);
			t = fmax(now(u), u->head.t);
		}
		for (; !u->tail.end && u->tail.t <= t; next_arrival(&u->tail)) {
			last = u->tail.t;
			u->r->arrived++;
		}
		if (u->tail.end && t > last + o->drain)
			break;
		int64_t waiting = (int64_t)u->r->arrived - u->served;
		int n = batch_of(o, waiting);
		u->r->queue_max = DS_MAX(u->r->queue_max, waiting - n);
		for (int i = 0; i < n; i++) {
			arrived[i] = u->head.t;
			next_arrival(&u->head);
		}
		DS_TRY(serve(u, n, arrived, err));
	}
	/* who is still there has waited at least until now */
	for (double t = now(u); !u->head.end; next_arrival(&u->head)) {
		u->r->left++;
		DS_TRY(ds_dist_add(&u->r->latency, fmax(t - u->head.t, 0), err));
	}
	return DS_OK;
}

/* Offered and reached rate, and its interval: closed, from the times of computing; Poisson, from the number (Anscombe's root of a count); else it is what it is. */
static void rates(run *u)
{
	ds_load_result *r = u->r;
	double n = (double)r->done, mean, lo, hi;
	r->seconds = u->end;
	r->busy = u->end > 0 ? u->busy / u->end : NAN;
	r->rate = u->end > 0 ? n / u->end : NAN;
	r->offered = u->o->kind == DS_LOAD_CLOSED ? r->rate : u->o->rate;
	r->rate_lo = r->rate_hi = NAN;
	if (u->o->kind == DS_LOAD_CLOSED) {
		ds_dist_mean(&r->service, &mean, &lo, &hi);
		double rest = n > 0 ? (u->end - u->busy) / n : 0;       /* between requests */
		if (lo > 0) {
			r->rate_lo = 1 / (hi + rest);
			r->rate_hi = 1 / (lo + rest);
		}
	} else if (u->o->kind == DS_LOAD_POISSON && n >= 1) {
		r->rate_lo = pow(fmax(sqrt(n) - 0.98, 0), 2) / u->end;
		r->rate_hi = pow(sqrt(n + 1) + 0.98, 2) / u->end;
	} else {
		r->rate_lo = r->rate_hi = r->rate;
	}
}

ds_status ds_load_run(ds_load_result *r, const ds_load_opts *o, ds_err *err)
{
	run u = { .o = o, .clock = o->clock ? o->clock : &real_clock, .r = r };
	*r = (ds_load_result){ 0 };
	if ((o->seconds <= 0 && !o->requests) || (o->kind != DS_LOAD_CLOSED && !(o->rate > 0)))
		return ds_fail(err, DS_E_INTERNAL, "a load without end or rate");
	if (o->n_batch && (o->batch[0] != 1 || o->batch[o->n_batch - 1] > BATCH_MOST))
		return ds_fail(err, DS_E_USAGE, "at most %d requests are computed together", BATCH_MOST);
	u.start = u.clock->now(u.clock->arg);
	ds_status rc = o->kind == DS_LOAD_CLOSED ? closed(&u, err) : open_loop(&u, err);
	rates(&u);
	if (rc != DS_OK)
		ds_load_result_done(r);
	return rc;
}

void ds_load_result_done(ds_load_result *r)
{
	ds_dist_done(&r->latency);
	ds_dist_done(&r->service);
}
