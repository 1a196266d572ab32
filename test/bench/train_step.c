/* train_step.c - time of whole training steps (forward, backward, update) of a DSM model on random data
 *
 * train_step MODEL.dsm BATCH THREADS SECONDS [STEPS [bf16]]    one line: milliseconds per step (median and fastest; of processor time with one thread), steps,
 * memory of the plan.  Classes are drawn from the last axis of the first output; integer inputs are drawn below 32.  With STEPS exactly so many steps are made.
 * `turns` in place of SECONDS: steps when asked for, by versus_pytorch.py.  `clock` in its place: the fastest of STEPS (default 5) for each kind of node and shape of its output,
 * milliseconds per step and how many there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "exec/exec.h"
#include "train/train.h"

enum { MAX_IN = 8 };

static int one_thread;

/* One thread: time on the processor, so that a busy machine can be measured too. */
static double now(void)
{
	struct timespec t;
	clock_gettime(one_thread ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(const ds_err *err)
{
	char line[1024];
	ds_err_line(err, line, sizeof line);
	fprintf(stderr, "train_step: %s\n", line);
	return 1;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The model's inputs for a batch, and a class per item (per position of a sequence). */
static ds_status draw(const ds_model *m, int64_t batch, ds_tensor *in, ds_tensor *target, ds_err *err)
{
	const ds_graph *g = m->graph;
	ds_rng r = ds_rng_init(1, 1);
	ds_graph *bound = ds_graph_clone(g);
	ds_type type[MAX_IN], y;
	if (!bound || g->n_input > MAX_IN)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_input; i++) {
		type[i] = g->input[i]->type;
		type[i].dim[0] = batch;
		DS_TRY(ds_tensor_new(&in[i], type[i].dtype, type[i].rank, type[i].dim, err));
		for (int64_t k = 0; k < ds_tensor_count(&in[i]); k++) {
			double v = ds_dtype_of(type[i].dtype)->is_float ? ds_rng_f64(&r) : (double)ds_rng_below(&r, 32);
			DS_TRY(ds_convert((char *)in[i].data + (size_t)k * ds_dtype_size(type[i].dtype), type[i].dtype, &v, DS_F64, 1, err));
		}
	}
	DS_TRY(ds_graph_bind(bound, type, g->n_input, NULL, err));
	y = bound->output[0]->type;
	DS_TRY(ds_tensor_new(target, DS_I64, y.rank - 1, y.dim, err));
	for (int64_t k = 0; k < ds_tensor_count(target); k++)
		((int64_t *)target->data)[k] = (int64_t)ds_rng_below(&r, (uint64_t)y.dim[y.rank - 1]);
	ds_graph_free(bound);
	return DS_OK;
}

static ds_status step(ds_trainer *t, const ds_model *m, const ds_tensor *in, const ds_tensor *target, double *took, ds_err *err)
{
	ds_train_stat stat;
	double from = now();
	DS_TRY(ds_trainer_batch(t, in, m->graph->n_input, target, NULL, 1, &stat, err));
	DS_TRY(ds_trainer_update(t, 1e-3, NULL, err));
	*took = (now() - from) * 1e3;
	return DS_OK;
}
#define DS_STEP(took) do { if (step(t, m, in, &target, &(took), &err) != DS_OK) return fail(&err); } while (0)

/* ---- time by kind of node ------------------------------------------------------------------------------------------------------------------ */
enum { KINDS = 1000 };
typedef struct kind { char what[200]; double now, best; int count; } kind;
typedef struct clock_all { kind k[KINDS]; int n; double last; } clock_all;

static void tick(void *arg, int step_of, const ds_node *n, double begin, double s)
{
	clock_all *c = arg;
	char what[200];
	double t = now();
	if (one_thread)         /* time on the processor, as everywhere here: nothing happens between two nodes */
		s = t - c->last;
	int at = snprintf(what, sizeof what, "%s", n->op_name), i = 0;
	for (int a = 0; a < 3 && a <= n->n_in; a++) {
		const ds_value *v = a == 2 || a == n->n_in ? n->out[0] : n->in[a];
		for (int d = 0; v && d < v->type.rank && at < (int)sizeof what - 30; d++)
			at += snprintf(what + at, sizeof what - (size_t)at, "%s%lld", d ? "x" : " ", (long long)v->type.dim[d]);
	}
	while (i < c->n && strcmp(c->k[i].what, what) != 0)
		i++;
	if (i == KINDS)
		return;
	if (i == c->n)
		memcpy(c->k[c->n++].what, what, sizeof what);
	c->k[i].now += s * 1e3;
	c->k[i].count++;
	c->last = now();
}

static int by_time(const void *a, const void *b)
{
	double x = ((const kind *)a)->best, y = ((const kind *)b)->best;
	return (x < y) - (x > y);
}

static void tick_done(clock_all *c)
{
	double all = 0;
	qsort(c->k, (size_t)c->n, sizeof *c->k, by_time);
	for (int i = 0; i < c->n; i++) {
		all += c->k[i].best;
		printf("%9.3f ms %4d %s\n", c->k[i].best, c->k[i].count, c->k[i].what);
	}
	printf("%9.3f ms in all\n", all);
}

int main(int argc, char **argv)
{
	ds_err err = { 0 };
	ds_model *m;
	ds_trainer *t;
	ds_tensor in[MAX_IN] = { 0 }, target = { 0 };
	static double ms[100000];
	int n = 0, steps = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
	if (argc < 5) {
		fprintf(stderr, "usage: train_step MODEL.dsm BATCH THREADS SECONDS|turns [STEPS [bf16]]\n");
		return 2;
	}
	one_thread = strcmp(argv[3], "1") == 0;
	ds_train_opts o = { .loss = ds_loss_find("cross-entropy"), .optimizer = ds_optimizer_find("sgd"), .optim = { .momentum = .9, .nesterov = true },
		.threads = (int)strtol(argv[3], NULL, 10), .decay = 1e-4, .bf16 = argc > 6 };
	if (ds_model_read(&m, argv[1], &err) != DS_OK || draw(m, strtol(argv[2], NULL, 10), in, &target, &err) != DS_OK || ds_trainer_new(&t, m, &o, &err) != DS_OK)
		return fail(&err);
	if (strcmp(argv[4], "turns") == 0) {            /* a number of steps on each line of standard input, their milliseconds as answer */
		char line[64];
		double took;
		DS_STEP(took);
		puts("ready");
		while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
			for (long k = strtol(line, NULL, 10); k > 0; k--) {
				DS_STEP(took);
				printf("%.3f ", took);
			}
			puts("");
		}
		return 0;
	}
	if (strcmp(argv[4], "clock") == 0) {
		static clock_all c;
		double took;
		DS_STEP(took);
		for (int k = 0; k < (steps ? steps : 5); k++) {
			ds_session_clock(ds_trainer_session(t), tick, &c);
			for (int i = 0; i < c.n; i++) {
				c.k[i].now = 0;
				c.k[i].count = 0;
			}
			c.last = now();
			DS_STEP(took);
			for (int i = 0; i < c.n; i++)
				c.k[i].best = k == 0 || c.k[i].now < c.k[i].best ? c.k[i].now : c.k[i].best;
		}
		tick_done(&c);
		return 0;
	}
	for (double end = 0; n < 100000 && (steps ? n < steps : n < 3 || now() < end); n++) {
		DS_STEP(ms[n]);
		if (n == 0)     /* the first step makes the plan */
			end = now() + strtod(argv[4], NULL);
	}
	ds_plan_info info;
	ds_session_info(ds_trainer_session(t), &info);
	qsort(ms, (size_t)n, sizeof *ms, by_value);
	printf("%s batch %s threads %s: %.2f ms per step (fastest %.2f) over %d steps, %.1f MB of plan\n", argv[1], argv[2], argv[3], ms[n / 2], ms[0], n,
		(double)info.arena_bytes * 1e-6);
	ds_trainer_free(t);
	ds_model_free(m);
	ds_tensor_done(&target);
	for (int i = 0; i < MAX_IN; i++)
		ds_tensor_done(&in[i]);
	return 0;
}
