/* train_step.c - the time of training steps: train_step MODEL.dsm BATCH THREADS [profile]
 *
 * Prints "ready" after the first step; then reads a number n per line and answers with the milliseconds of n steps.  With `profile`: times by operator of one step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../lib/base/rng.h"
#include "../../lib/train/train.h"

enum { ROWS = 256 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

typedef struct profile { double last, ms[ROWS]; int n[ROWS], rows; const char *op[ROWS]; } profile;

static ds_status tap(void *arg, const ds_node *n, int out, const ds_tensor *t, ds_err *err)
{
	profile *p = arg;
	int i = 0;
	(void)t;
	(void)err;
	while (i < p->rows && strcmp(p->op[i], n->op_name) != 0)
		i++;
	if (i == p->rows && p->rows < ROWS)
		p->op[p->rows++] = n->op_name;
	if (out == 0 && i < ROWS) {
		p->ms[i] += now() - p->last;
		p->n[i]++;
	}
	p->last = now();
	return DS_OK;
}

static void fill(ds_tensor *t, int64_t classes)
{
	ds_rng r = ds_rng_init(1, (uint64_t)t->dtype);
	for (int64_t i = 0; i < ds_tensor_count(t); i++) {
		if (t->dtype == DS_F32)
			((float *)t->data)[i] = (float)ds_rng_normal(&r);
		else
			((int64_t *)t->data)[i] = (int64_t)ds_rng_below(&r, (uint64_t)classes);
	}
}

static ds_status step(ds_trainer *t, const ds_tensor *x, const ds_tensor *y, ds_err *err)
{
	ds_train_stat stat;
	DS_TRY(ds_trainer_batch(t, x, 1, y, NULL, 1, &stat, err));
	return ds_trainer_update(t, 1e-4, NULL, err);
}

int main(int argc, char **argv)
{
	ds_model *m;
	ds_trainer *t;
	ds_tensor x, y;
	ds_err err = { 0 };
	char line[64];
	if (argc < 4 || ds_model_read(&m, argv[1], &err) != DS_OK) {
		fprintf(stderr, "train_step MODEL BATCH THREADS [profile]: %s\n", err.text);
		return 1;
	}
	ds_type in = m->graph->input[0]->type;
	in.dim[0] = strtol(argv[2], NULL, 10);
	bool text = in.dtype == DS_I64;
	ds_train_opts o = { .loss = ds_loss_find("cross-entropy"), .optimizer = ds_optimizer_find(text ? "adamw" : "sgd"), .decay = 5e-4,
		.optim = { .momentum = .9, .nesterov = true, .beta1 = .9, .beta2 = .999, .eps = 1e-8 }, .threads = (int)strtol(argv[3], NULL, 10) };
	if (ds_tensor_new(&x, in.dtype, in.rank, in.dim, &err) != DS_OK || ds_tensor_new(&y, DS_I64, text ? 2 : 1, in.dim, &err) != DS_OK ||
		ds_trainer_new(&t, m, &o, &err) != DS_OK)
		goto fail;
	fill(&x, 64);
	fill(&y, 10);
	if (step(t, &x, &y, &err) != DS_OK)
		goto fail;
	if (argc > 4) {
		profile p = { 0 };
		ds_plan_info info;
		ds_session_tap(ds_trainer_session(t), tap, &p);
		p.last = now();
		double from = p.last;
		if (step(t, &x, &y, &err) != DS_OK)
			goto fail;
		ds_session_info(ds_trainer_session(t), &info);
		printf("%8.1f ms, %.0f MB\n", now() - from, (double)info.arena_bytes * 1e-6);
		for (int k = 0; k < p.rows; k++) {
			int best = 0;
			for (int i = 1; i < p.rows; i++)
				if (p.ms[i] > p.ms[best])
					best = i;
			printf("%8.2f ms %4d %s\n", p.ms[best], p.n[best], p.op[best]);
			p.ms[best] = -1;
		}
		return 0;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		for (long n = strtol(line, NULL, 10); n > 0; n--) {
			double from = now();
			if (step(t, &x, &y, &err) != DS_OK)
				goto fail;
			printf("%.3f ", now() - from);
		}
		printf("\n");
		fflush(stdout);
	}
	return 0;
fail:
	fprintf(stderr, "%s\n", err.text);
	return 1;
}
