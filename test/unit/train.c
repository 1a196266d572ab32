/* train.c - the trainer on small problems: it learns, its steps do not depend on threads or on how a batch is cut, its tables do what they say */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/base/rng.h"
#include "../../lib/train/train.h"

static int failed;

DS_PRINTF(3, 4) static void check(bool ok, const char *name, const char *fmt, ...)
{
	va_list ap;
	printf(ok ? "ok %s\n" : "not ok %s: ", name);
	if (ok)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	failed = 1;
}

/* ---- a model: x [N, 8] -> Gemm 16 -> Tanh -> Gemm 3 -> Softmax ---------------------------------------------------------------------- */
enum { IN = 8, HIDDEN = 16, CLASSES = 3, ITEMS = 64 };

static ds_value *weight(ds_graph *g, const char *name, int64_t r, int64_t c, uint64_t seed)
{
	ds_tensor t;
	ds_rng rng = ds_rng_init(seed, 0);
	if (ds_tensor_new(&t, DS_F32, c ? 2 : 1, (int64_t[]){ r, c }, NULL) != DS_OK)
		exit(2);
	for (int64_t i = 0; c && i < r * c; i++)
		((float *)t.data)[i] = (float)(ds_rng_normal(&rng) * .4);
	return ds_graph_weight(g, DS_V_PARAM, name, &t);
}

/* With `deep` more hidden layers of 16. */
static ds_model *model(int deep)
{
	ds_model *m = ds_model_new();
	ds_graph *g = m->graph;
	int n = ds_graph_symbol(g, "N");
	ds_type t = ds_type_make(DS_F32, 2, (int64_t[]){ -1 - n, IN });
	ds_emit e = ds_emit_begin(g, NULL);
	ds_value *x = ds_graph_input(g, "x", &t);
	ds_value *h = ds_emit1(&e, "Tanh", ds_emit3(&e, "Gemm", x, weight(g, "w1", IN, HIDDEN, 1), weight(g, "b1", HIDDEN, 0, 0)));
	for (int i = 0; i < deep; i++) {
		char name[16];
		snprintf(name, sizeof name, "d%d", i);
		h = ds_emit1(&e, "Tanh", ds_emit2(&e, "Gemm", h, weight(g, name, HIDDEN, HIDDEN, 10 + (uint64_t)i)));
	}
	ds_value *y = ds_emit1(&e, "Softmax", ds_emit3(&e, "Gemm", h, weight(g, "w2", HIDDEN, CLASSES, 2), weight(g, "b2", CLASSES, 0, 0)));
	ds_emit_i(&e, y, "axis", 1);
	if (ds_emit_end(&e) != DS_OK || ds_graph_output(g, y) != DS_OK)
		exit(2);
	return m;
}

/* Points around three centres. */
static void data(ds_tensor *x, ds_tensor *label)
{
	ds_rng r = ds_rng_init(7, 7);
	if (ds_tensor_new(x, DS_F32, 2, (int64_t[]){ ITEMS, IN }, NULL) != DS_OK || ds_tensor_new(label, DS_I64, 1, (int64_t[]){ ITEMS }, NULL) != DS_OK)
		exit(2);
	for (int i = 0; i < ITEMS; i++) {
		((int64_t *)label->data)[i] = i % CLASSES;
		for (int k = 0; k < IN; k++)
			((float *)x->data)[i * IN + k] = (float)(ds_rng_normal(&r) + (k % CLASSES == i % CLASSES ? 1.5 : 0));
	}
}

static ds_train_opts opts(const char *optimizer, int threads)
{
	return (ds_train_opts){ .loss = ds_loss_find("cross-entropy"), .optimizer = ds_optimizer_find(optimizer), .optim = { .momentum = .9, .nesterov = true, .beta1 = .9,
		.beta2 = .999, .eps = 1e-8 }, .decay = 1e-4, .threads = threads };
}

static ds_tensor part(const ds_tensor *t, int64_t from, int64_t n)
{
	ds_tensor r = *t;
	size_t row = ds_tensor_bytes(t) / (size_t)t->dim[0];
	r.dim[0] = n;
	r.data = (char *)t->data + (size_t)from * row;
	return r;
}

/* `steps` updates with the batch cut into `cuts` parts; the last loss, and the parameters at the end in out (NULL: not wanted). */
static double train(const ds_train_opts *o, int steps, int cuts, double lr, float *out, ds_err *err)
{
	ds_model *m = model(0);
	ds_trainer *t;
	ds_tensor x, label;
	double last = NAN;
	data(&x, &label);
	if (ds_trainer_new(&t, m, o, err) != DS_OK)
		return NAN;
	for (int s = 0; s < steps; s++) {
		double loss = 0;
		for (int c = 0; c < cuts; c++) {
			ds_tensor xs = part(&x, c * ITEMS / cuts, ITEMS / cuts), ls = part(&label, c * ITEMS / cuts, ITEMS / cuts);
			ds_train_stat stat;
			if (ds_trainer_batch(t, &xs, 1, &ls, NULL, 1.0 / cuts, &stat, err) != DS_OK)
				goto out;
			loss += stat.loss / cuts;
		}
		if (ds_trainer_update(t, lr, NULL, err) != DS_OK)
			goto out;
		last = loss;
	}
	ds_param *p;
	int n = ds_trainer_params(t, &p), at = 0;
	for (int i = 0; out && i < n; i++)
		for (int64_t k = 0; k < ds_tensor_count(&p[i].value); k++)
			out[at++] = ((const float *)p[i].value.data)[k];
out:
	ds_trainer_free(t);
	ds_model_free(m);
	ds_tensor_done(&x);
	ds_tensor_done(&label);
	return last;
}

enum { PARAMS = IN * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES };

static void learns(void)
{
	static const struct { const char *name; double lr; } rows[] = { { "sgd", .2 }, { "adamw", .01 }, { "muon", .05 } };
	for (size_t i = 0; i < DS_COUNTOF(rows); i++) {
		ds_err err = { 0 };
		char name[64], line[600];
		ds_train_opts o = opts(rows[i].name, 1);
		double first = train(&o, 1, 1, rows[i].lr, NULL, &err), last = train(&o, 150, 1, rows[i].lr, NULL, &err);
		snprintf(name, sizeof name, "%s learns", rows[i].name);
		if (err.code) {
			ds_err_line(&err, line, sizeof line);
			printf("# %s\n", line);
		}
		check(last < .1 && first > .5, name, "loss %g after %g", last, first);
	}
}

static void threads_and_cuts(void)
{
	ds_err err = { 0 };
	static float a[PARAMS], b[PARAMS], c[PARAMS];
	double most = 0, size = 0;
	ds_train_opts one = opts("adamw", 1), three = opts("adamw", 3);
	one.average = three.average = .9;
	one.clip = three.clip = .5;
	train(&one, 20, 1, .01, a, &err);
	train(&three, 20, 1, .01, b, &err);
	check(memcmp(a, b, sizeof a) == 0 && a[0] != 0, "threads change no bit of a parameter", "%g %g", (double)a[0], (double)b[0]);
	ds_train_opts sgd = opts("sgd", 1);
	train(&sgd, 20, 1, .1, a, &err);
	train(&sgd, 20, 4, .1, c, &err);
	for (int i = 0; i < PARAMS; i++) {
		most = fmax(most, fabs((double)a[i] - (double)c[i]));
		size = fmax(size, fabs((double)a[i]));
	}
	check(most <= 2e-6 * size && size > 0, "four micro-batches are one batch", "%g of %g", most, size);
}

/* bf16: what waits for the backward pass takes half the room, threads change no bit, and it learns what f32 learns. */
static void half_precision(void)
{
	enum { DEEP = 16, MANY = 512, STEPS = 12 };
	static float w[3][DEEP * HIDDEN * HIDDEN + PARAMS];
	size_t bytes[3] = { 0 };
	double loss[3] = { 0 };
	ds_tensor x, label;
	ds_rng r = ds_rng_init(5, 5);
	if (ds_tensor_new(&x, DS_F32, 2, (int64_t[]){ MANY, IN }, NULL) != DS_OK || ds_tensor_new(&label, DS_I64, 1, (int64_t[]){ MANY }, NULL) != DS_OK)
		exit(2);
	for (int i = 0; i < MANY; i++) {
		((int64_t *)label.data)[i] = i % CLASSES;
		for (int k = 0; k < IN; k++)
			((float *)x.data)[i * IN + k] = (float)(ds_rng_normal(&r) + (k % CLASSES == i % CLASSES ? 1.5 : 0));
	}
	for (int k = 0; k < 3; k++) {
		ds_err err = { 0 };
		ds_model *m = model(DEEP);
		ds_trainer *t;
		ds_train_opts o = opts("adamw", k == 2 ? 3 : 1);
		ds_train_stat stat = { 0 };
		ds_plan_info info;
		ds_param *p;
		o.bf16 = k > 0;
		if (ds_trainer_new(&t, m, &o, &err) != DS_OK)
			exit(2);
		for (int s = 0; s < STEPS; s++)
			if (ds_trainer_batch(t, &x, 1, &label, NULL, 1, &stat, &err) != DS_OK || ds_trainer_update(t, .01, NULL, &err) != DS_OK)
				exit(2);
		loss[k] = stat.loss;
		ds_session_info(ds_trainer_session(t), &info);
		bytes[k] = info.arena_bytes;
		for (int i = 0, at = 0, n = ds_trainer_params(t, &p); i < n; i++)
			for (int64_t e = 0; e < ds_tensor_count(&p[i].value); e++)
				w[k][at++] = ((const float *)p[i].value.data)[e];
		ds_trainer_free(t);
		ds_model_free(m);
	}
	check(bytes[1] > 0 && (double)bytes[1] <= .7 * (double)bytes[0], "bf16 takes at most 0.7 of the memory", "%zu of %zu bytes", bytes[1], bytes[0]);
	check(fabs(loss[1] - loss[0]) <= .1 * loss[0] && loss[1] < .5, "bf16 learns as f32 does", "loss %g, %g", loss[1], loss[0]);
	check(memcmp(w[1], w[2], sizeof w[1]) == 0 && memcmp(w[0], w[1], sizeof w[0]) != 0, "threads change no bit of bf16", "%g %g", (double)w[1][0], (double)w[2][0]);
	ds_tensor_done(&x);
	ds_tensor_done(&label);
}

/* Half the memory, the same bits. */
static void recomputation(void)
{
	enum { DEEP = 16 };
	static float w[2][DEEP * HIDDEN * HIDDEN + PARAMS];
	size_t bytes[2] = { 0 };
	for (int k = 0; k < 2; k++) {
		ds_model *m = model(DEEP);
		ds_trainer *t;
		ds_tensor x, label;
		ds_err err = { 0 };
		ds_train_opts o = opts("sgd", 1);
		o.memory_limit = k ? bytes[0] * 2 / 3 : 0;
		data(&x, &label);
		if (ds_trainer_new(&t, m, &o, NULL) != DS_OK)
			exit(2);
		for (int i = 0; i < 5; i++) {
			ds_train_stat stat;
			if (ds_trainer_batch(t, &x, 1, &label, NULL, 1, &stat, &err) != DS_OK || ds_trainer_update(t, .1, NULL, &err) != DS_OK) {
				printf("# %s\n", err.text);
				break;
			}
		}
		ds_param *p;
		ds_plan_info info = { 0 };
		int n = ds_trainer_params(t, &p), at = 0;
		for (int i = 0; i < n; i++) {
			memcpy(w[k] + at, p[i].value.data, ds_tensor_bytes(&p[i].value));
			at += (int)ds_tensor_count(&p[i].value);
		}
		if (ds_trainer_session(t))
			ds_session_info(ds_trainer_session(t), &info);
		bytes[k] = info.arena_bytes;
		ds_trainer_free(t);
		ds_model_free(m);
		ds_tensor_done(&x);
		ds_tensor_done(&label);
	}
	check(bytes[1] > 0 && bytes[1] <= bytes[0] * 2 / 3, "recomputation stays within the memory limit", "%zu of %zu bytes", bytes[1], bytes[0]);
	check(memcmp(w[0], w[1], sizeof w[0]) == 0 && w[0][0] != 0, "recomputation changes no bit", "%g %g", (double)w[0][0], (double)w[1][0]);
}

static void refusals(void)
{
	ds_model *m = model(0);
	ds_trainer *t;
	ds_tensor x, label;
	ds_train_stat stat;
	ds_err err = { 0 };
	ds_train_opts o = opts("sgd", 1);
	data(&x, &label);
	if (ds_trainer_new(&t, m, &o, NULL) != DS_OK)
		exit(2);
	((int64_t *)label.data)[5] = CLASSES;
	ds_status rc = ds_trainer_batch(t, &x, 1, &label, NULL, 1, &stat, &err);
	check(rc == DS_E_INPUT && strstr(err.text, "sample 5") && strstr(err.text, "label 3"), "a label outside the range is named", "status %d", rc);
	((int64_t *)label.data)[5] = 0;
	((float *)x.data)[3] = NAN;
	rc = ds_trainer_batch(t, &x, 1, &label, NULL, 1, &stat, &err);
	check(rc == DS_E_LIMIT && strstr(err.text, "not finite"), "a loss that is not finite stops", "status %d", rc);
	ds_trainer_free(t);
	ds_model_free(m);
	ds_tensor_done(&x);
	ds_tensor_done(&label);
}

static void schedules(void)
{
	ds_schedule_opts o = { .lr = 1, .final = 0, .warmup = 10, .steps = 110, .drop = .1, .every = 50 };
	int n;
	const ds_schedule *const *all = ds_schedule_all(&n);
	for (int i = 0; i < n; i++) {
		char name[64];
		bool ok = true;
		double most = 0;
		for (int64_t s = 0; s < 110; s++) {
			double r = all[i]->rate(&o, s);
			ok &= isfinite(r) && r >= 0 && r <= 1 + 1e-12;
			most = fmax(most, r);
		}
		snprintf(name, sizeof name, "schedule %s stays within the peak and reaches it", all[i]->name);
		check(ok && fabs(most - 1) < 1e-9, name, "most %g", most);
	}
	check(fabs(ds_schedule_find("cosine")->rate(&o, 109)) < 1e-12, "cosine ends at 0", "%g", ds_schedule_find("cosine")->rate(&o, 109));
	check(fabs(ds_schedule_find("step")->rate(&o, 60) - .1) < 1e-12, "step drops", "%g", ds_schedule_find("step")->rate(&o, 60));
}

int main(void)
{
	learns();
	threads_and_cuts();
	half_precision();
	recomputation();
	refusals();
	schedules();
	return failed;
}
