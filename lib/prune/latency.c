/* latency.c - the time of every layer at some numbers of channels: measured in whole runs of cut models, written, read, interpolated
 *
 * Steps are timed where they stand, with the caches as the network leaves them.  The plans that are run form an orthogonal array: a group of colour c keeps level i + j * c of
 * plan (i, j), levels being modulo a prime, so that two groups of different colours meet at every pair of levels.  Groups that share a layer get different colours. */
#include "search.h"
#include "../base/rng.h"
#include "../base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_SEEN = 500 };

typedef struct seen { int64_t ci, co; double s; } seen;
typedef struct entry {
	const char *name;
	seen   *v;     int n;  size_t cap;
	int64_t *ci, *co;               /* where the grid has lines, rising */
	int     n_ci, n_co;
	double *t;                      /* [n_ci, n_co] */
} entry;
struct ds_latency { ds_arena arena; entry *e; int n; size_t cap; double rest; int threads; };

void ds_latency_free(ds_latency *t)
{
	for (int i = 0; t && i < t->n; i++) {
		ds_free(t->e[i].v);
		ds_free(t->e[i].ci);
		ds_free(t->e[i].co);
		ds_free(t->e[i].t);
	}
	if (t) {
		ds_free(t->e);
		ds_arena_done(&t->arena);
	}
	ds_free(t);
}

int ds_latency_find(const ds_latency *t, const char *node)
{
	for (int i = 0; i < t->n; i++)
		if (strcmp(t->e[i].name, node) == 0)
			return i;
	return -1;
}

double ds_latency_rest(const ds_latency *t) { return t->rest; }

static ds_status add(ds_latency *t, const char *node, int64_t ci, int64_t co, double s, ds_err *err)
{
	int i = ds_latency_find(t, node);
	if (i < 0) {
		if (!ds_grow((void **)&t->e, (size_t)t->n, &t->cap, sizeof *t->e))
			return ds_fail_nomem(err, 0);
		i = t->n;
		t->e[i] = (entry){ .name = ds_arena_strdup(&t->arena, node) };
		if (!t->e[i].name)
			return ds_fail_nomem(err, 0);
		t->n++;
	}
	entry *e = &t->e[i];
	for (int k = 0; k < e->n; k++)
		if (e->v[k].ci == ci && e->v[k].co == co) {
			e->v[k].s = DS_MIN(e->v[k].s, s);
			return DS_OK;
		}
	if (e->n == MOST_SEEN)          /* a grid has up to the square of them */
		return ds_fail(err, DS_E_INPUT, "more than %d times of node \"%.60s\"", MOST_SEEN, node);
	if (!ds_grow((void **)&e->v, (size_t)e->n, &e->cap, sizeof *e->v))
		return ds_fail_nomem(err, 0);
	e->v[e->n++] = (seen){ ci, co, s };
	return DS_OK;
}

/* ---- interpolation ---------------------------------------------------------------------------------------------------------------------- */
static int by_channels(const void *a, const void *b)
{
	const seen *x = a, *y = b;
	return x->ci != y->ci ? (x->ci > y->ci) - (x->ci < y->ci) : (x->co > y->co) - (x->co < y->co);
}

static int line_of(int64_t *line, int n, int64_t v)
{
	int i = 0;
	while (i < n && line[i] < v)
		i++;
	return i;
}

static int add_line(int64_t *line, int n, int64_t v)
{
	int i = line_of(line, n, v);
	if (i < n && line[i] == v)
		return n;
	memmove(line + i + 1, line + i, sizeof *line * (size_t)(n - i));
	line[i] = v;
	return n + 1;
}

/* Least squares of s = x[0] + x[1] ci + x[2] co + x[3] ci co by normal equations (with a little weight on small numbers), for cells that were not seen. */
static void fit_plane(const entry *e, double x[4])
{
	double a[4][5] = { { 0 } };
	for (int k = 0; k < e->n; k++) {
		double f[5] = { 1, (double)e->v[k].ci / 64, (double)e->v[k].co / 64, (double)e->v[k].ci * (double)e->v[k].co / 4096, e->v[k].s };
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 5; j++)
				a[i][j] += f[i] * f[j];
	}
	for (int i = 0; i < 4; i++)
		a[i][i] += 1e-9 * (1 + a[i][i]);
	for (int i = 0; i < 4; i++)             /* Gauss-Jordan; the matrix is positive definite */
		for (int r = 0; r < 4; r++)
			for (int j = 4; r != i && j >= i; j--)
				a[r][j] -= a[r][i] / a[i][i] * a[i][j];
	for (int i = 0; i < 4; i++)
		x[i] = a[i][4] / a[i][i];
	x[1] /= 64;
	x[2] /= 64;
	x[3] /= 4096;
}

static ds_status make_grid(entry *e, ds_err *err)
{
	qsort(e->v, (size_t)e->n, sizeof *e->v, by_channels);
	e->ci = ds_calloc((size_t)e->n + 1, sizeof *e->ci);
	e->co = ds_calloc((size_t)e->n + 1, sizeof *e->co);
	if (!e->ci || !e->co)
		return ds_fail_nomem(err, 0);
	for (int k = 0; k < e->n; k++) {
		e->n_ci = add_line(e->ci, e->n_ci, e->v[k].ci);
		e->n_co = add_line(e->co, e->n_co, e->v[k].co);
	}
	if (e->n_ci == e->n)                    /* one number follows from the other (elementwise, depthwise): a line is enough */
		e->n_co = 1;
	else if (e->n_co == e->n)
		e->n_ci = 1;
	if (!(e->t = ds_calloc((size_t)e->n_ci * (size_t)e->n_co + 1, sizeof *e->t)))
		return ds_fail_nomem(err, 0);
	double x[4];
	fit_plane(e, x);
	for (int i = 0; i < e->n_ci; i++)
		for (int j = 0; j < e->n_co; j++)
			e->t[i * e->n_co + j] = DS_MAX(0, x[0] + x[1] * (double)e->ci[i] + x[2] * (double)e->co[j] + x[3] * (double)e->ci[i] * (double)e->co[j]);
	for (int k = 0; k < e->n; k++) {
		int i = e->n_ci > 1 ? line_of(e->ci, e->n_ci, e->v[k].ci) : 0, j = e->n_co > 1 ? line_of(e->co, e->n_co, e->v[k].co) : 0;
		e->t[i * e->n_co + j] = e->v[k].s;
	}
	return DS_OK;
}

/* The interval that v is in, and how far; outside, the nearest line. */
static int between(const int64_t *line, int n, int64_t v, double *share)
{
	int i = 0;
	*share = 0;
	if (n < 2 || v <= line[0])
		return 0;
	if (v >= line[n - 1]) {
		*share = 1;
		return n - 2;
	}
	while (line[i + 1] <= v)
		i++;
	*share = (double)(v - line[i]) / (double)(line[i + 1] - line[i]);
	return i;
}

double ds_latency_at(const ds_latency *t, int node, int64_t ci, int64_t co)
{
	const entry *e = &t->e[node];
	double a, b;
	int i = between(e->ci, e->n_ci, ci, &a), j = between(e->co, e->n_co, co, &b);
	const double *p = e->t + i * e->n_co + j;
	double low = b > 0 ? (1 - b) * p[0] + b * p[1] : p[0];
	if (a <= 0)
		return low;
	p += e->n_co;
	return (1 - a) * low + a * (b > 0 ? (1 - b) * p[0] + b * p[1] : p[0]);
}

/* ---- measuring -------------------------------------------------------------------------------------------------------------------------- */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A graph in a session with inputs to run it on. */
typedef struct runs { ds_session *s; ds_tensor *in, *out; int n_in, n_out; } runs;

static void runs_done(runs *r)
{
	for (int i = 0; r->in && i < r->n_in; i++)
		ds_tensor_done(&r->in[i]);
	ds_free(r->in);
	ds_free(r->out);
	ds_session_free(r->s);
	*r = (runs){ 0 };
}

static ds_status runs_new(runs *r, const ds_graph *g, const ds_type *in, int threads, uint64_t limit, ds_err *err)
{
	ds_rng rng = ds_rng_init(1, 1);
	*r = (runs){ .in = ds_calloc((size_t)g->n_input + 1, sizeof *r->in), .out = ds_calloc((size_t)g->n_output + 1, sizeof *r->out), .n_out = g->n_output };
	if (!r->in || !r->out)
		return ds_fail_nomem(err, 0);
	for (; r->n_in < g->n_input; r->n_in++) {
		ds_tensor *t = &r->in[r->n_in];
		DS_TRY(ds_tensor_new(t, in[r->n_in].dtype, in[r->n_in].rank, in[r->n_in].dim, err));
		for (int64_t k = 0; t->dtype == DS_F32 && k < ds_tensor_count(t); k++)
			((float *)t->data)[k] = (float)ds_rng_normal(&rng);
	}
	return ds_session_new_opts(&r->s, g, &(ds_session_opts){ .threads = threads, .memory_limit = limit }, err);
}

static ds_status run(runs *r, double *seconds, ds_err *err)
{
	double t = now();
	DS_TRY(ds_session_run_view(r->s, r->in, r->n_in, r->out, r->n_out, err));
	*seconds = now() - t;
	return DS_OK;
}

/* The least time of each step; what has no name of its own (a conversion of layout) counts with the node after it. */
typedef struct clocked { const char *name; int64_t ci, co; double best, now; } clocked;
typedef struct stopwatch { clocked *c; int n, at; size_t cap; double pending; bool oom; ds_arena *arena; } stopwatch;

static void tick(void *arg, int step, const ds_node *n, double begin, double seconds)
{
	(void)step;
	(void)begin;
	stopwatch *w = arg;
	if (strcmp(n->op_name, "Relayout") == 0 && strcmp(n->domain, "ds") == 0) {
		w->pending += seconds;
		return;
	}
	seconds += w->pending;
	w->pending = 0;
	if (w->at == w->n) {
		if (!ds_grow((void **)&w->c, (size_t)w->n, &w->cap, sizeof *w->c)) {
			w->oom = true;
			return;
		}
		w->c[w->n] = (clocked){ .name = ds_arena_strdup(w->arena, n->name), .best = HUGE_VAL };
		w->oom |= !w->c[w->n].name;
		ds_node_channels(n, n->n_in && n->in[0] ? &n->in[0]->type : NULL, &n->out[0]->type, &w->c[w->n].ci, &w->c[w->n].co);
		w->n++;
	}
	clocked *c = &w->c[w->at++];
	c->best = DS_MIN(c->best, seconds);
}

/* Run one graph for about `budget` seconds. */
static ds_status time_graph(ds_latency *t, const ds_graph *g, const ds_type *in, const ds_latency_opts *o, double budget, double *rest, ds_err *err)
{
	enum { WARM = 2, LEAST = 6, MOST = 1500 };
	runs r = { 0 };
	ds_arena arena;
	stopwatch w = { .arena = &arena };
	double best = HUGE_VAL, s, sum = 0, end;
	ds_arena_init(&arena);
	ds_status rc = runs_new(&r, g, in, o->threads, o->memory_limit, err);
	for (int i = 0; rc == DS_OK && i < WARM; i++)
		rc = run(&r, &s, err);
	if (rc == DS_OK)
		ds_session_clock(r.s, tick, &w);
	end = now() + budget;
	for (int i = 0; rc == DS_OK && !w.oom && i < MOST && (i < LEAST || now() < end); i++) {
		w.at = 0;
		rc = run(&r, &s, err);
		best = DS_MIN(best, s);
	}
	if (rc == DS_OK && w.oom)
		rc = ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < w.n; i++) {
		rc = add(t, w.c[i].name, w.c[i].ci, w.c[i].co, w.c[i].best, err);
		sum += w.c[i].best;
	}
	*rest = DS_MAX(0, best - sum);
	ds_free(w.c);
	ds_arena_done(&arena);
	runs_done(&r);
	return rc;
}

/* Colours 0, 1, ... so that neighbours differ; a group with more neighbours than colours gets the last. */
static ds_status colour(const ds_structure *s, int colours, int *of, ds_err *err)
{
	ds_costs *c;
	int n = s->n_group;
	char *pair = ds_calloc((size_t)n * (size_t)n + 1, 1);
	if (!pair)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_costs_new(&c, s, DS_COST_MACS, NULL, err);
	if (rc == DS_OK)
		ds_costs_neighbours(c, pair);
	ds_costs_free(c);
	for (int a = 0; rc == DS_OK && a < n; a++)
		for (of[a] = 0; of[a] < colours - 1; of[a]++) {
			bool taken = false;
			for (int b = 0; b < a; b++)
				taken |= pair[(size_t)a * (size_t)n + (size_t)b] && of[b] == of[a];
			if (!taken)
				break;
		}
	ds_free(pair);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

enum { LEVELS = 5 };

typedef struct array { int keep[LEVELS], n; } array;    /* a group's numbers; fewer than LEVELS where there are no more */

/* All plans of the array, one after another.  DS_END: a group turned out to be impossible to cut and was frozen; begin again. */
static ds_status time_array(ds_latency *t, ds_structure *s, const ds_model *m, const ds_latency_opts *o, const array *level, const int *of, int prime, const ds_type *in,
	ds_err *err)
{
	double rest[LEVELS * LEVELS];
	ds_status rc = DS_OK;
	for (int p = 0; p < prime * prime && rc == DS_OK; p++) {
		for (int g = 0; g < s->n_group; g++)
			s->group[g].keep = s->frozen[g] ? s->group[g].classes : level[g].keep[(p / prime + p % prime * of[g]) % prime * level[g].n / prime];
		ds_prune_mark(s);
		ds_graph *cut = ds_graph_clone(m->graph);
		if (!cut || ds_graph_name_all(cut) != DS_OK)
			rc = ds_fail_nomem(err, 0);
		if (rc == DS_OK && (rc = ds_prune_cut(cut, s, err)) != DS_OK && ds_prune_freeze_bad(s))
			rc = DS_END;
		if (rc == DS_OK)
			rc = time_graph(t, cut, in, o, o->budget / (prime * prime), &rest[p], err);
		ds_graph_free(cut);
		if (o->progress)
			o->progress(o->arg, p + 1, prime * prime);
	}
	if (rc != DS_OK)
		return rc;
	qsort(rest, (size_t)(prime * prime), sizeof *rest, by_value);
	t->rest = rest[prime * prime / 2];
	return DS_OK;
}

static ds_latency *fresh(void)
{
	ds_latency *t = ds_calloc(1, sizeof *t);
	if (t)
		ds_arena_init(&t->arena);
	return t;
}

static ds_status finish(ds_latency *t, ds_err *err)
{
	for (int i = 0; i < t->n; i++)
		DS_TRY(make_grid(&t->e[i], err));
	return DS_OK;
}

ds_status ds_latency_measure(ds_latency **out, ds_structure *s, const ds_model *m, const ds_latency_opts *o, ds_err *err)
{
	array *level = ds_calloc((size_t)s->n_group + 1, sizeof *level);
	int *of = ds_calloc((size_t)s->n_group + 1, sizeof *of), *was = ds_calloc((size_t)s->n_group + 1, sizeof *was);
	ds_type *in = ds_calloc((size_t)s->g->n_input + 1, sizeof *in);
	ds_latency *t = NULL;
	ds_status rc = DS_OK;
	ds_prune_opts po = { .round = o->round, .min_keep = o->min_keep };
	*out = NULL;
	if (!level || !of || !was || !in) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < s->g->n_input; i++)
		in[i] = s->g->input[i]->type;
	for (int g = 0; g < s->n_group; g++)
		was[g] = s->group[g].keep;
	do {
		int most = 2;
		ds_latency_free(t);
		if (!(t = fresh())) {
			rc = ds_fail_nomem(err, 0);
			break;
		}
		t->threads = o->threads;
		for (int g = 0; g < s->n_group; g++)
			if (!s->frozen[g]) {
				level[g].n = ds_prune_keeps(s, &po, g, level[g].keep, LEVELS);
				most = DS_MAX(most, level[g].n);
			}
		int prime = most <= 3 ? most : LEVELS;
		rc = colour(s, prime, of, err);
		if (rc == DS_OK)
			rc = time_array(t, s, m, o, level, of, prime, in, err);
	} while (rc == DS_END);
	for (int g = 0; g < s->n_group; g++)
		s->group[g].keep = was[g];
	if (rc == DS_OK)
		rc = finish(t, err);
out:
	ds_free(level);
	ds_free(of);
	ds_free(was);
	ds_free(in);
	if (rc != DS_OK) {
		ds_latency_free(t);
		return rc;
	}
	*out = t;
	return DS_OK;
}

ds_status ds_latency_compare(const ds_graph *a, const ds_graph *b, const ds_type *in, int threads, double *seconds_a, double *seconds_b, ds_err *err)
{
	enum { ROUNDS = 9, RUNS = 40 };
	runs r[2] = { { 0 } };
	double best[2][ROUNDS], s;
	ds_status rc = DS_OK;
	DS_GOTO(runs_new(&r[0], a, in, threads, 0, err));
	DS_GOTO(runs_new(&r[1], b, in, threads, 0, err));
	for (int round = -1; round < ROUNDS; round++)           /* the first one warms up */
		for (int k = 0; k < 2; k++) {
			double least = HUGE_VAL, end = now() + .1;
			for (int i = 0; i < RUNS && (i < 3 || now() < end); i++) {
				DS_GOTO(run(&r[k], &s, err));
				least = DS_MIN(least, s);
			}
			if (round >= 0)
				best[k][round] = least;
		}
	for (int k = 0; k < 2; k++)
		qsort(best[k], ROUNDS, sizeof best[k][0], by_value);
	*seconds_a = best[0][ROUNDS / 2];
	*seconds_b = best[1][ROUNDS / 2];
out:
	runs_done(&r[0]);
	runs_done(&r[1]);
	return rc;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------------- */
static const char first_line[] = "# ds-prune latency 1";

void ds_latency_write(const ds_latency *t, const ds_model *m, ds_buf *b)
{
	ds_buf_printf(b, "%s\n# model\t%08x:%" PRIu64 "\n# threads\t%d\n# rest\t%.0f\n", first_line, m->id_crc, m->id_len, t->threads, t->rest * 1e9);
	ds_buf_str(b, "node\tin\tout\tnanoseconds\n");
	for (int i = 0; i < t->n; i++)
		for (int k = 0; k < t->e[i].n; k++) {
			ds_text_quote(b, t->e[i].name, strlen(t->e[i].name));
			ds_buf_printf(b, "\t%" PRId64 "\t%" PRId64 "\t%.0f\n", t->e[i].v[k].ci, t->e[i].v[k].co, t->e[i].v[k].s * 1e9);
		}
}

/* A line's fields, ended by zero bytes; how many there are (at most cap, the last one with the rest). */
static int fields(char *line, char **field, int cap)
{
	int n = 0;
	for (char *q = line; q && n < cap; n++) {
		field[n] = q;
		q = n + 1 < cap ? strchr(q, '\t') : NULL;
		if (q)
			*q++ = 0;
	}
	return n;
}

/* Names are written with `\\` for `\`. */
static void unquote(char *s)
{
	char *to = s;
	for (; *s; s++) {
		s += s[0] == '\\' && s[1] == '\\';
		*to++ = *s;
	}
	*to = 0;
}

static ds_status read_row(ds_latency *t, char *line, int number, const ds_model *m, bool force, ds_err *err)
{
	char *f[4];
	int n = fields(line, f, 4);
	int64_t ci, co, ns;
	uint32_t crc;
	uint64_t len;
	if (line[0] == '#') {
		if (n == 2 && strcmp(f[0], "# model") == 0 && !force &&
			(sscanf(f[1], "%8" SCNx32 ":%" SCNu64, &crc, &len) != 2 || crc != m->id_crc || len != m->id_len))
			return ds_fail(err, DS_E_INPUT, "the table of latencies was made for another model (%.60s); --force obeys it all the same", f[1]);
		if (n == 2 && strcmp(f[0], "# rest") == 0 && ds_parse_i64(f[1], &ns) && ns >= 0)
			t->rest = 1e-9 * (double)ns;
		return DS_OK;
	}
	if (strcmp(f[0], "node") == 0)
		return DS_OK;
	if (n != 4 || !ds_parse_i64(f[1], &ci) || !ds_parse_i64(f[2], &co) || !ds_parse_i64(f[3], &ns) || ci < 0 || co < 0 || ns < 0 || ci > INT32_MAX || co > INT32_MAX)
		return ds_fail(err, DS_E_INPUT, "line %d of the table of latencies does not have the columns node, in, out, nanoseconds", number);
	unquote(f[0]);
	return add(t, f[0], ci, co, 1e-9 * (double)ns, err);
}

ds_status ds_latency_read(ds_latency **out, const char *text, size_t n, const ds_model *m, bool force, ds_err *err)
{
	ds_latency *t = fresh();
	ds_buf line = { 0 };
	ds_status rc = t ? DS_OK : ds_fail_nomem(err, 0);
	*out = NULL;
	if (rc == DS_OK && (n < sizeof first_line - 1 || memcmp(text, first_line, sizeof first_line - 1) != 0))
		rc = ds_fail(err, DS_E_INPUT, "not a table of latencies (its first line is \"%s\")", first_line);
	for (int number = 1; rc == DS_OK && n; number++) {
		const char *nl = memchr(text, '\n', n);
		size_t len = nl ? (size_t)(nl - text) : n, skip = nl ? len + 1 : len;
		ds_buf_reset(&line);
		ds_buf_add(&line, text, len);
		if (line.oom)
			rc = ds_fail_nomem(err, len);
		else if (len)
			rc = read_row(t, line.data, number, m, force, err);
		text += skip;
		n -= skip;
	}
	if (rc == DS_OK && !t->n)
		rc = ds_fail(err, DS_E_INPUT, "the table of latencies has no row");
	if (rc == DS_OK)
		rc = finish(t, err);
	ds_buf_done(&line);
	if (rc != DS_OK) {
		ds_latency_free(t);
		return rc;
	}
	*out = t;
	return DS_OK;
}
