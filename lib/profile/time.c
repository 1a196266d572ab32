/* time.c - the steps of a session over many runs with the clock, in turns with runs without it */
#include "ceiling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

const char *const ds_number_names[DS_NUM_COUNT + 1] = { "f32", "bf16", "i8", NULL };

double ds_time_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- spread ---------------------------------------------------------------------------------------------------------------------- */
static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Between the neighbours of position q (n - 1), as most programs have it (Hyndman and Fan, 1996, definition 7). */
static double quantile(const double *v, int n, double q)
{
	double at = q * (n - 1);
	int i = (int)at;
	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

ds_spread ds_spread_of(double *v, int n)
{
	if (n < 1)
		return (ds_spread){ NAN, NAN, NAN };
	qsort(v, (size_t)n, sizeof *v, by_value);
	return (ds_spread){ quantile(v, n, .25), quantile(v, n, .5), quantile(v, n, .75) };
}

/* ---- one run after another --------------------------------------------------------------------------------------------------------- */
/* Samples of all runs: seconds of every step, run by run. */
typedef struct watch {
	int     n_step;                 /* steps that run: the rows */
	const int *row_of;              /* by step of the plan, -1: a view */
	double *took, *begin;           /* [cap][n_step]; begin counts from the start of the run */
	char   *hit;                    /* [cap][n_step]: the processor was taken away during the step (looked for on crowded machines only) */
	double *wall, *plain;           /* [cap] */
	int     run;                    /* the one that is being made, -1: not kept */
	int     cap;
	double  start;
	bool    crowded;
	long    interrupted;            /* as often as this so far */
} watch;

/* How often the system has taken a processor away from this process so far. */
static long interruptions(void)
{
	struct rusage u;
	return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_nivcsw : 0;
}

static void tick(void *arg, int step, const ds_node *n, double begin, double seconds)
{
	watch *w = arg;
	(void)n;
	int row = w->row_of[step];
	if (w->run < 0 || row < 0)
		return;
	size_t at = (size_t)w->run * (size_t)w->n_step + (size_t)row;
	w->took[at] = seconds;
	w->begin[at] = begin - w->start;
	if (w->crowded) {
		long now = interruptions();
		w->hit[at] = now != w->interrupted;
		w->interrupted = now;
	}
}

static ds_status timed(watch *w, ds_time_run_fn fn, void *arg, int64_t i, double *wall, ds_err *err)
{
	w->start = ds_time_now();
	DS_TRY(fn(arg, i, err));
	*wall = ds_time_now() - w->start;
	return DS_OK;
}

static ds_status warm(watch *w, const ds_time_opts *o, ds_time_run_fn fn, void *arg, int *done, double *least, ds_err *err)
{
	double t, from = ds_time_now();
	int want = o->warmup < 0 ? 3 : o->warmup;
	*least = INFINITY;
	for (*done = 0; *done < want || (o->warmup < 0 && ds_time_now() - from < .1); (*done)++) {
		DS_TRY(timed(w, fn, arg, *done, &t, err));
		*least = fmin(*least, t);
	}
	return DS_OK;
}

/* Runs that take about a second with as many without the clock; an odd number of each keeps the median one of them.  Of nets with many steps fewer are kept. */
static int chosen_runs(double least, int rows)
{
	enum { MOST = 10000, CELLS = 500000 };
	double n = isfinite(least) && least > 0 ? .5 / least : 100;
	return (int)fmin(fmax(n, 10), fmax(fmin(MOST, CELLS / (rows + 1)), 10)) | 1;
}

/* Pairs until enough were undisturbed; when that takes too long (a crowded machine), the disturbed ones count as well, without the steps that were hit. */
static ds_status all_runs(watch *w, ds_timing *t, ds_session *s, ds_time_run_fn fn, void *arg, ds_err *err)
{
	enum { PATIENCE = 4 };
	int want = t->runs, made = 0;
	for (int i = 0; i < want; made++) {
		long before = interruptions();
		for (int k = 0; k < 2; k++) {           /* which of the pair comes first changes each time */
			bool clock = (k ^ made) & 1;
			w->run = clock ? i : -1;
			w->interrupted = w->crowded ? interruptions() : 0;
			ds_session_clock(s, clock ? tick : NULL, w);
			DS_TRY(timed(w, fn, arg, made, clock ? &w->wall[i] : &w->plain[i], err));
		}
		if (!w->crowded && interruptions() != before)
			t->disturbed++;
		else
			i++;
		if (w->crowded || made + 1 < PATIENCE * want)
			continue;
		if (i >= DS_MIN(want, 10)) {
			t->runs = want = i;
		} else {
			w->crowded = true;
			t->disturbed = -1;
		}
	}
	return DS_OK;
}

/* ---- from samples to rows -------------------------------------------------------------------------------------------------------- */
static int by_seconds(const void *a, const void *b)
{
	const ds_time_op *x = a, *y = b;
	return x->time.median != y->time.median ? (x->time.median < y->time.median) - (x->time.median > y->time.median) : strcmp(x->op, y->op);
}

static void add_cost(ds_cost *to, const ds_cost *c)
{
	to->macs += c->macs;
	to->flops += c->flops;
	to->weight_bytes += c->weight_bytes;
	to->act_bytes += c->act_bytes;
}

static ds_status operators(ds_timing *t, const watch *w, double *v, ds_err *err)
{
	int *op_of = ds_calloc((size_t)t->n_row + 1, sizeof *op_of);
	t->op = ds_calloc((size_t)t->n_row + 1, sizeof *t->op);
	if (!op_of || !t->op) {
		ds_free(op_of);
		return ds_fail_nomem(err, 0);
	}
	for (int i = 0; i < t->n_row; i++) {
		int k = 0;
		while (k < t->n_op && strcmp(t->op[k].op, t->row[i].op) != 0)
			k++;
		t->n_op = DS_MAX(t->n_op, k + 1);
		t->op[k].op = t->row[i].op;
		t->op[k].n++;
		add_cost(&t->op[k].cost, &t->row[i].cost);
		op_of[i] = k;
	}
	for (int k = 0; k < t->n_op; k++) {
		int n = 0;
		for (int r = 0; r < t->runs; r++) {
			bool hit = false;
			v[n] = 0;
			for (int i = 0; i < t->n_row; i++) {
				size_t at = (size_t)r * (size_t)w->n_step + (size_t)i;
				v[n] += op_of[i] == k ? w->took[at] : 0;
				hit |= op_of[i] == k && w->hit[at];
			}
			n += !hit;
		}
		v[0] = n ? v[0] : 0;
		for (int i = 0; !n && i < t->n_row; i++)        /* hit in every run: as its nodes have it */
			v[0] += op_of[i] == k ? t->row[i].time.median : 0;
		t->op[k].time = ds_spread_of(v, DS_MAX(n, 1));
	}
	qsort(t->op, (size_t)t->n_op, sizeof *t->op, by_seconds);
	ds_free(op_of);
	return DS_OK;
}

/* The clocked run whose wall time is nearest to the median: the one that is shown. */
static int typical(const double *wall, int n, double median)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (fabs(wall[i] - median) < fabs(wall[best] - median))
			best = i;
	return best;
}

static ds_spread spread_of_copy(const double *from, double *room, int n)
{
	memcpy(room, from, (size_t)n * sizeof *room);
	return ds_spread_of(room, n);
}

static ds_status settle(ds_timing *t, const watch *w, ds_err *err)
{
	int n = t->runs;
	size_t rows = (size_t)t->n_row;
	double *v = ds_calloc((size_t)n + 1, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, 0);
	t->wall = spread_of_copy(w->wall, v, n);
	t->plain = spread_of_copy(w->plain, v, n);
	for (int r = 0; r < n; r++)
		v[r] = w->wall[r] - w->plain[r];
	t->cost = ds_spread_of(v, n);
	int shown = typical(w->wall, n, t->wall.median);
	t->shown = w->wall[shown];
	for (size_t i = 0; i < rows; i++) {
		int count = 0;
		for (int r = 0; r < n; r++)
			if (!w->hit[(size_t)r * rows + i])
				v[count++] = w->took[(size_t)r * rows + i];
		for (int r = 0; !count && r < n; r++)   /* hit in every run */
			v[r] = w->took[(size_t)r * rows + i];
		t->row[i].time = ds_spread_of(v, count ? count : n);
		t->row[i].begin = w->begin[(size_t)shown * rows + i];
		t->row[i].took = w->took[(size_t)shown * rows + i];
	}
	for (int r = 0; r < n; r++) {
		v[r] = w->wall[r];
		for (size_t i = 0; i < rows; i++)
			v[r] -= w->took[(size_t)r * rows + i];
	}
	t->overhead = ds_spread_of(v, n);
	t->variation = t->wall.median - t->overhead.median;
	for (size_t i = 0; i < rows; i++)
		t->variation -= t->row[i].time.median;
	ds_status rc = operators(t, w, v, err);
	ds_free(v);
	return rc;
}

/* ---- what is known of the steps without running --------------------------------------------------------------------------------------- */
/* The arithmetic of a step by what it reads: bytes are multiplied as bytes. */
static ds_number number_of(const ds_node *n, const char *kernel)
{
	if (strstr(kernel, "bf16"))
		return DS_NUM_BF16;
	if (strstr(kernel, ".i8") || strstr(kernel, ".u8"))
		return DS_NUM_I8;
	ds_dtype d = n->n_in && n->in[0] ? n->in[0]->type.dtype : DS_F32;
	return d == DS_I8 || d == DS_U8 ? DS_NUM_I8 : DS_NUM_F32;
}

static ds_status describe(ds_timing *t, ds_time_row *r, const ds_step_info *i, ds_err *err)
{
	ds_buf b = { 0 };
	ds_type type = ds_type_of(i->out);
	ds_type_print(&b, &type, NULL);
	r->out = b.oom ? NULL : ds_arena_strdup(&t->arena, b.data);
	ds_buf_done(&b);
	r->node = ds_arena_strdup(&t->arena, ds_node_label(i->node));
	r->op = ds_arena_strdup(&t->arena, i->node->op_name);
	r->kernel = ds_arena_strdup(&t->arena, i->kernel);
	if (!r->out || !r->node || !r->op || !r->kernel)
		return ds_fail_nomem(err, 0);
	r->number = number_of(i->node, i->kernel);
	r->cost = i->cost;
	r->bound = "";
	return DS_OK;
}

static ds_status describe_all(ds_timing *t, const ds_session *s, int *row_of, ds_err *err)
{
	int n = ds_session_steps(s);
	for (int i = 0; i < n; i++) {
		ds_step_info info;
		DS_TRY(ds_session_step(s, i, &info, err));
		row_of[i] = -1;
		if (info.view)
			continue;
		row_of[i] = t->n_row;
		t->row[t->n_row].step = i;
		DS_TRY(describe(t, &t->row[t->n_row++], &info, err));
	}
	n = ds_session_storages(s);
	for (int i = 0; i < n; i++) {
		ds_storage_info m;
		ds_session_storage(s, i, &m);
		t->arena_bytes = DS_MAX(t->arena_bytes, m.offset + m.room);
		for (int k = 0; k < t->n_row; k++)
			t->row[k].live += t->row[k].step >= m.first && t->row[k].step <= m.last ? m.room : 0;
	}
	return DS_OK;
}

/* ---- together ---------------------------------------------------------------------------------------------------------------------- */
static ds_status watch_new(watch *w, int runs, int rows, const int *row_of, uint64_t limit, ds_err *err)
{
	size_t cells, bytes;
	if (ds_mul_over((size_t)runs, (size_t)rows + 1, &cells) || ds_mul_over(cells, 2 * sizeof(double), &bytes))
		return ds_fail_nomem(err, SIZE_MAX);
	if (limit && bytes > limit)
		return ds_fail(err, DS_E_LIMIT, "%d runs of %d steps need %zu bytes, --memory-limit allows %llu", runs, rows, bytes, (unsigned long long)limit);
	*w = (watch){ .n_step = rows, .row_of = row_of, .cap = runs, .run = -1, .took = ds_calloc(cells + 1, sizeof *w->took),
		.begin = ds_calloc(cells + 1, sizeof *w->begin), .hit = ds_calloc(cells + 1, 1), .wall = ds_calloc((size_t)runs + 1, sizeof *w->wall),
		.plain = ds_calloc((size_t)runs + 1, sizeof *w->plain) };
	return w->took && w->begin && w->hit && w->wall && w->plain ? DS_OK : ds_fail_nomem(err, cells);
}

static void watch_done(watch *w)
{
	ds_free(w->took);
	ds_free(w->begin);
	ds_free(w->hit);
	ds_free(w->wall);
	ds_free(w->plain);
}

ds_status ds_time_measure(ds_timing *t, ds_session *s, const ds_time_opts *o, ds_time_run_fn fn, void *arg, ds_err *err)
{
	watch w = { .run = -1 };
	int *row_of = NULL;
	double least, first;
	ds_status rc;
	*t = (ds_timing){ 0 };
	ds_arena_init(&t->arena);
	DS_GOTO(timed(&w, fn, arg, 0, &first, err));   /* makes the plan */
	DS_GOTO(warm(&w, o, fn, arg, &t->warmup, &least, err));
	int steps = ds_session_steps(s);
	row_of = ds_calloc((size_t)steps + 1, sizeof *row_of);
	t->row = ds_calloc((size_t)steps + 1, sizeof *t->row);
	if (!row_of || !t->row) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(describe_all(t, s, row_of, err));
	t->runs = o->runs > 0 ? o->runs : chosen_runs(fmin(least, first), t->n_row);
	DS_GOTO(watch_new(&w, t->runs, t->n_row, row_of, o->memory_limit, err));
	DS_GOTO(all_runs(&w, t, s, fn, arg, err));
	rc = settle(t, &w, err);
out:
	ds_session_clock(s, NULL, NULL);
	watch_done(&w);
	ds_free(row_of);
	if (rc != DS_OK)
		ds_time_done(t);
	return rc;
}

void ds_time_done(ds_timing *t)
{
	ds_free(t->row);
	ds_free(t->op);
	ds_arena_done(&t->arena);
	*t = (ds_timing){ 0 };
}

void ds_time_ceilings(ds_timing *t, const ds_ceilings *c)
{
	for (int k = 0; k < t->n_op; k++)
		t->op[k].least = 0;
	for (int i = 0; i < t->n_row; i++) {
		ds_time_row *r = &t->row[i];
		r->least = ds_ceilings_least(c, r->number, 2 * r->cost.macs + r->cost.flops, r->cost.weight_bytes + r->cost.act_bytes, &r->bound);
		for (int k = 0; k < t->n_op; k++)
			if (strcmp(t->op[k].op, r->op) == 0)
				t->op[k].least += r->least;
	}
}
