/* load.c - --load: requests at a rate, their latency and how many are done; --cost: what a thousand of them cost */
#include <math.h>
#include <string.h>

#include "data/batch.h"
#include "profile/host.h"
#include "profile.h"

/* Requests are samples.  Those that wait are computed together, up to -b of them, in at most four sizes, for which a session keeps its plans. */
enum { SIZES = DS_LOAD_SIZES, VARIANTS = 4 };
static const double points[] = { 0.5, 0.9, 0.99, 0.999 };
static const char *const point_names[] = { "p50", "p90", "p99", "p99.9" };
#define LEAST_SECONDS 1.0       /* of a closed loop that nobody limited, and at most */
#define MOST_SECONDS 30.0

typedef struct loader {
	job        *j;
	ds_session *s;
	ds_tensor  *in[SIZES][VARIANTS];
	int         size[SIZES], n_size, n_variant;
	ds_energy   energy;
	ds_progress *progress;
} loader;

/* ---- inputs in all sizes ------------------------------------------------------------------------------------------------------------- */

/* 1 and `most`, and up to two sizes between them by equal ratios. */
static int sizes(int most, int *size)
{
	int n = 0;
	for (int i = 0; i < SIZES; i++) {
		int v = (int)lround(pow(most, (double)i / (SIZES - 1)));
		if (!n || v > size[n - 1])
			size[n++] = v;
	}
	return n;
}

/* k items one after another from item `first` on, of input i. */
static ds_status gather(const job *j, int i, int first, int k, ds_tensor *out, ds_err *err)
{
	const ds_tensor *t = &j->set[0][i];
	int64_t dim[DS_MAX_RANK];
	memcpy(dim, t->dim, sizeof dim);
	dim[0] = k;
	DS_TRY(ds_tensor_new(out, t->dtype, t->rank, dim, err));
	size_t each = ds_tensor_bytes(out) / (size_t)k;
	for (int m = 0; m < k; m++) {
		int item = (first + m) % (j->n_set * j->items);
		const ds_tensor *from = &j->set[item / j->items][i];
		memcpy((char *)out->data + (size_t)m * each, (const char *)from->data + (size_t)(item % j->items) * each, each);
	}
	return DS_OK;
}

static ds_status make_inputs(loader *l, ds_err *err)
{
	const job *j = l->j;
	bool apart = ds_batch_possible(j->m);
	l->n_size = apart ? sizes(j->items, l->size) : 1;
	l->n_variant = DS_MIN(VARIANTS, j->n_set);
	if (!apart)
		l->size[0] = 1;
	for (int k = 0; k < l->n_size; k++)
		for (int v = 0; v < l->n_variant; v++) {
			ds_tensor *in = l->in[k][v] = ds_calloc((size_t)j->n_in + 1, sizeof *in);
			if (!in)
				return ds_fail_nomem(err, 0);
			for (int i = 0; i < j->n_in; i++) {
				if (!apart)
					in[i] = ds_tensor_ref(&j->set[v][i]);
				else
					DS_TRY(gather(j, i, v * l->size[k], l->size[k], &in[i], err));
			}
		}
	return DS_OK;
}

static void loader_done(loader *l)
{
	for (int k = 0; k < SIZES; k++)
		for (int v = 0; v < VARIANTS; v++) {
			for (int i = 0; l->in[k][v] && i < l->j->n_in; i++)
				ds_tensor_done(&l->in[k][v][i]);
			ds_free(l->in[k][v]);
		}
	ds_progress_free(l->progress);
}

/* ---- the run --------------------------------------------------------------------------------------------------------------------------- */

static ds_status serve(void *arg, int64_t first, int n, ds_err *err)
{
	loader *l = arg;
	ds_tensor out[1];
	int k = 0;
	while (l->size[k] != n)
		k++;
	return ds_session_run_view(l->s, l->in[k][first / n % l->n_variant], l->j->n_in, out, 0, err);
}

static void progress(void *arg, int64_t done)
{
	loader *l = arg;
	ds_energy_read(&l->energy);             /* its counters wrap */
	ds_progress_at(l->progress, done, NULL);
}

/* Each size a few times, so that plans, pages and caches are there; seconds of a request in the largest size. */
static ds_status warm_up(loader *l, double *each, ds_err *err)
{
	int most = l->size[l->n_size - 1], runs = 0;
	double start, took;
	for (int k = 0; k < l->n_size; k++)
		DS_TRY(serve(l, 0, l->size[k], err));
	start = ds_time_now();
	do {
		DS_TRY(serve(l, (int64_t)runs * most, most, err));
		took = ds_time_now() - start;
		runs++;
	} while (runs < 3 || took < 0.1);
	*each = took / runs / most;
	return DS_OK;
}

/* How long.  A closed loop without a limit takes what the percentiles in question need, times four, for values that follow each other. */
static void limits(const job *j, double each, ds_load_opts *o)
{
	const settings *s = j->s;
	o->seconds = s->seconds;
	o->requests = s->requests;
	if (s->seconds > 0 || s->requests)
		return;
	if (s->load) {
		o->seconds = 10;
		return;
	}
	double want = fmax(fmax(4.0 * (double)ds_dist_needed(j->percentile > 0 ? j->percentile : 0.5), 64), LEAST_SECONDS / each);
	o->requests = (int64_t)fmax(fmin(want, MOST_SECONDS / each), 10);
}

static ds_status go(loader *l, ds_err *err)
{
	job *j = l->j;
	ds_load_opts o = { .kind = DS_LOAD_CLOSED, .seed = (uint64_t)j->s->c.seed, .batch = l->size, .serve = serve, .progress = progress, .arg = l };
	double each;
	DS_TRY(make_inputs(l, err));
	o.n_batch = l->n_size;
	DS_TRY(warm_up(l, &each, err));
	if (j->s->load)
		DS_TRY(ds_load_parse(j->s->load, &o.kind, &o.rate, err));
	limits(j, each, &o);
	o.drain = fmax(1, o.seconds > 0 ? o.seconds : o.kind == DS_LOAD_CLOSED ? 0 : (double)o.requests / o.rate);
	l->progress = ds_progress_new(&j->s->c, "requests", o.requests ? o.requests : -1);
	ds_energy_open(&l->energy, "");
	j->load_items = l->size[l->n_size - 1];
	DS_TRY(ds_load_run(&j->load, &o, err));
	ds_energy_read(&l->energy);
	j->joules = l->energy.n ? l->energy.joules : NAN;
	j->load_kind = o.kind;
	j->loaded = true;
	return DS_OK;
}

ds_status job_load(job *j, const ds_load_result **r, ds_err *err)
{
	loader l = { .j = j };
	*r = &j->load;
	if (j->loaded)
		return DS_OK;
	DS_TRY(job_session(j, &l.s, err));
	ds_status rc = go(&l, err);
	loader_done(&l);
	if (rc == DS_OK && j->load.left)
		ds_warn("%llu of %llu requests were still waiting at the end: the model does not keep up", (unsigned long long)j->load.left, (unsigned long long)j->load.arrived);
	return rc;
}

/* ---- sections -------------------------------------------------------------------------------------------------------------------------- */

static const char *const columns[] = { "what", ">value", ">low", ">high", "note", NULL };

static ds_status row(section *o, const char *what, double v, double lo, double hi, char unit, const char *note, ds_err *err)
{
	cell_text(o, what);
	cell_num(o, v, unit);
	cell_num(o, lo, unit);
	cell_num(o, hi, unit);
	cell_text(o, note);
	return section_row(o, err);
}

static ds_status latencies(section *o, const ds_load_result *r, ds_err *err)
{
	ds_quantile q[DS_COUNTOF(points)];
	char note[96];
	for (size_t i = 0; i < DS_COUNTOF(points); i++)
		q[i] = (ds_quantile){ .p = points[i] };
	DS_TRY(ds_dist_quantiles(&r->latency, q, (int)DS_COUNTOF(points), err));
	for (size_t i = 0; i < DS_COUNTOF(points); i++) {
		note[0] = 0;
		if (isinf(q[i].hi))
			snprintf(note, sizeof note, "too few for an upper bound: at least %lld independent requests", (long long)ds_dist_needed(points[i]));
		else if (q[i].inflation > 1.5)
			snprintf(note, sizeof note, "interval for values that follow each other: worth %.0f independent ones", (double)r->latency.n / q[i].inflation);
		DS_TRY(row(o, point_names[i], q[i].value, q[i].lo, q[i].hi, 's', note, err));
	}
	return row(o, "max", r->latency.n ? r->latency.max : NAN, NAN, NAN, 's', r->left ? "a lower bound: requests were left" : "", err);
}

ds_status mode_load(job *j, ds_err *err)
{
	static const char *const kinds[] = { "closed", "poisson", "constant" };
	const ds_load_result *r;
	section o;
	char note[96];
	DS_TRY(job_load(j, &r, err));
	ds_quantile service = { .p = 0.5 };
	DS_TRY(ds_dist_quantiles(&r->service, &service, 1, err));
	DS_TRY(section_begin(&o, j, "load", columns, err));
	ds_status rc;
	snprintf(note, sizeof note, "requests per second, %s", kinds[j->load_kind]);
	DS_GOTO(row(&o, "offered", j->load_kind == DS_LOAD_CLOSED ? NAN : r->offered, NAN, NAN, 0, note, err));
	DS_GOTO(row(&o, "throughput", r->rate, r->rate_lo, r->rate_hi, 0, "requests per second that were done", err));
	DS_GOTO(row(&o, "requests", (double)r->arrived, NAN, NAN, 0, "", err));
	DS_GOTO(row(&o, "failed", (double)r->failed, NAN, NAN, 0, "", err));
	DS_GOTO(row(&o, "left", (double)r->left, NAN, NAN, 0, "not served before the end", err));
	DS_GOTO(row(&o, "seconds", r->seconds, NAN, NAN, 's', "", err));
	DS_GOTO(latencies(&o, r, err));
	snprintf(note, sizeof note, "computing, per request, median; up to %d together", j->load_items);
	DS_GOTO(row(&o, "service", service.value, service.lo, service.hi, 's', note, err));
	DS_GOTO(row(&o, "busy", r->busy, NAN, NAN, '%', "share of the time in which the model computed", err));
	DS_GOTO(row(&o, "queue_max", (double)r->queue_max, NAN, NAN, 0, "requests that waited", err));
	rc = section_end(&o, err);
out:
	section_drop(&o);
	return rc;
}

void job_price(const job *j, double v[3])
{
	const ds_load_result *r = &j->load;
	double hour = j->s->cost * 1000 / 3600;
	v[0] = hour / r->rate;
	v[1] = hour / r->rate_hi;
	v[2] = hour / r->rate_lo;
}

ds_status mode_cost(job *j, ds_err *err)
{
	const ds_load_result *r;
	section o;
	char note[128];
	double price[3];
	DS_TRY(job_load(j, &r, err));
	job_price(j, price);
	DS_TRY(section_begin(&o, j, "cost", columns, err));
	ds_status rc;
	snprintf(note, sizeof note, "at %.10g per hour and %.5g requests per second, %d together, %d threads", j->s->cost, r->rate, j->load_items,
		ds_pool_threads(ds_session_pool(j->session)));
	DS_GOTO(row(&o, "price_per_1000", price[0], price[1], price[2], 0, note, err));
	snprintf(note, sizeof note, "%s", isnan(j->joules) ? "not measured: no energy counters (RAPL) that this user may read" : "of all processor packages, idle power and other programs included");
	DS_GOTO(row(&o, "joules_per_request", r->done ? j->joules / (double)r->done : NAN, NAN, NAN, 0, note, err));
	rc = section_end(&o, err);
out:
	section_drop(&o);
	return rc;
}
