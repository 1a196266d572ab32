/* losses.c - every loss and every distillation method: gradients against finite differences, known values, limits */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/base/rng.h"
#include "../../lib/train/distill.h"

enum { N = 4, C = 5, T = 6 };

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

/* A graph of one loss: inputs student (pred 0), second (pred 1), target, teacher. */
typedef struct bench {
	ds_session *s;
	ds_tensor   in[4];
	int         n_in;
	ds_tensor   out[2];             /* loss, d loss / d student */
} bench;

static ds_tensor random_tensor(ds_dtype dtype, int rank, const int64_t *dim, uint64_t seed)
{
	ds_tensor t;
	ds_rng r = ds_rng_init(seed, 1);
	if (ds_tensor_new(&t, dtype, rank, dim, NULL) != DS_OK)
		exit(2);
	for (int64_t i = 0, n = ds_tensor_count(&t); i < n; i++) {
		if (dtype == DS_I64)
			((int64_t *)t.data)[i] = (int64_t)ds_rng_below(&r, C);
		else
			((float *)t.data)[i] = (float)(ds_rng_normal(&r) * 1.5);
	}
	return t;
}

static bool make(bench *b, const ds_loss *loss, const ds_loss_opts *lo, const ds_distill_opts *d, int rank, const int64_t *dim)
{
	ds_err err = { 0 };
	ds_graph *g = ds_graph_new();
	ds_emit e = ds_emit_begin(g, &err);
	ds_value *v[4], *pred[2], *extra[1], *target, *l = NULL, *grad = NULL;
	ds_target kind = loss ? loss->target : d->loss ? d->loss->target : DS_TARGET_NONE;
	ds_type pt = ds_type_make(DS_F32, rank, dim);
	*b = (bench){ .n_in = 4 };
	b->in[0] = random_tensor(DS_F32, rank, dim, 1);
	b->in[1] = random_tensor(DS_F32, rank, dim, 2);
	if (kind == DS_TARGET_SEQUENCE) {
		b->in[2] = random_tensor(DS_I64, 2, (int64_t[]){ dim[0], 2 }, 3);
		for (int i = 0; i < 2 * dim[0]; i++)
			((int64_t *)b->in[2].data)[i] = 1 + i % (C - 1);
	} else if (kind == DS_TARGET_CLASS) {
		b->in[2] = random_tensor(DS_I64, rank - 1, dim, 3);
	} else {
		b->in[2] = random_tensor(DS_F32, rank, dim, 3);
		for (int64_t i = 0; i < ds_tensor_count(&b->in[2]); i++)        /* between 0 and 1, for bce */
			((float *)b->in[2].data)[i] = 1 / (1 + expf(-((float *)b->in[2].data)[i]));
	}
	b->in[3] = random_tensor(DS_F32, rank, dim, 4);
	static const char *const names[] = { "student", "second", "target", "teacher" };
	for (int i = 0; i < 4; i++) {
		ds_type t = ds_type_of(&b->in[i]);
		v[i] = ds_graph_input(g, names[i], &t);
	}
	/* through a node, as a model's outputs come */
	pred[0] = ds_emit1(&e, "Identity", v[0]);
	pred[1] = ds_emit1(&e, "Identity", v[1]);
	target = v[2];
	extra[0] = v[3];
	pred[0]->type = pred[1]->type = pt;
	ds_head h = { &e, g, pred, 2, target, extra, 1 };
	ds_status rc = loss ? loss->build(&h, lo, &l, &err) : ds_distill_head((void *)(uintptr_t)d, &h, &l, &err);
	if (rc == DS_OK && ds_graph_output(g, l) != DS_OK)
		rc = DS_E_NOMEM;
	if (rc == DS_OK)
		rc = ds_graph_verify(g, NULL, &err);
	if (rc == DS_OK)
		rc = ds_graph_infer(g, &err);
	if (rc == DS_OK)
		rc = ds_train_backward(g, l, v, 1, &grad, &err);
	if (rc == DS_OK && (!grad || ds_graph_output(g, grad) != DS_OK))
		rc = ds_fail(&err, DS_E_INTERNAL, "no gradient");
	if (rc == DS_OK)
		rc = ds_session_new_opts(&b->s, g, &(ds_session_opts){ .threads = 1 }, &err);
	if (rc != DS_OK)
		printf("# %s\n", err.text);
	ds_graph_free(g);
	return rc == DS_OK;
}

static void done(bench *b)
{
	ds_session_free(b->s);
	for (int i = 0; i < b->n_in; i++)
		ds_tensor_done(&b->in[i]);
}

static double run(bench *b)
{
	ds_err err = { 0 };
	if (!b->s || ds_session_run_view(b->s, b->in, b->n_in, b->out, 2, &err) != DS_OK) {
		printf("# %s\n", err.text);
		return NAN;
	}
	return *(const float *)b->out[0].data;
}

/* The largest difference of the gradient from central differences (extrapolated), relative to the largest gradient. */
static double worst(bench *b)
{
	int64_t n = ds_tensor_count(&b->in[0]);
	float *x = b->in[0].data, *g = malloc((size_t)n * sizeof *g);
	double most = 0, size = 0;
	if (!g || !isfinite(run(b)))
		return INFINITY;
	memcpy(g, b->out[1].data, (size_t)n * sizeof *g);
	for (int64_t i = 0; i < n; i++) {
		float keep = x[i];
		double d[2];
		for (int k = 0; k < 2; k++) {
			float h = k ? .02f : .04f;
			x[i] = keep + h;
			double up = run(b), span = (double)x[i];
			x[i] = keep - h;
			d[k] = (up - run(b)) / (span - (double)x[i]);
		}
		x[i] = keep;
		most = fmax(most, fabs((4 * d[1] - d[0]) / 3 - (double)g[i]));
		size = fmax(size, fabs((double)g[i]));
	}
	free(g);
	return size > 0 ? most / size : INFINITY;
}

static void gradients(void)
{
	static const int64_t pair[2] = { N, C }, seq[3] = { N, T, C };
	ds_loss_opts lo = { .smoothing = .1, .delta = .7, .temperature = .5 };
	char name[64];
	int n;
	const ds_loss *const *loss = ds_loss_all(&n);
	for (int i = 0; i < n; i++) {
		bool sequence = loss[i]->target == DS_TARGET_SEQUENCE;
		bench b;
		double w = make(&b, loss[i], &lo, NULL, sequence ? 3 : 2, sequence ? seq : pair) ? worst(&b) : INFINITY;
		snprintf(name, sizeof name, "gradient of %s", loss[i]->name);
		check(w < 2e-3 || (strcmp(loss[i]->name, "l1") == 0 && w < .2), name, "relative difference %g", w);
		done(&b);
	}
	const ds_distill *const *method = ds_distill_all(&n);
	for (int i = 0; i < n; i++) {
		bench b;
		ds_distill_opts d = { .method = method[i], .temperature = 3, .alpha = .9, .beta = 2, .loss = ds_loss_find("cross-entropy"), .loss_opts = lo };
		double w = make(&b, NULL, NULL, &d, 2, pair) ? worst(&b) : INFINITY;
		snprintf(name, sizeof name, "gradient of distillation by %s", method[i]->name);
		check(w < 2e-3, name, "relative difference %g", w);
		done(&b);
	}
}

static void values(void)
{
	static const int64_t pair[2] = { N, C };
	ds_loss_opts lo = { 0 };
	bench b;
	/* cross-entropy by hand */
	double sum = 0, got = NAN;
	if (make(&b, ds_loss_find("cross-entropy"), &lo, NULL, 2, pair)) {
		const float *z = b.in[0].data;
		for (int i = 0; i < N; i++) {
			double s = 0;
			for (int c = 0; c < C; c++)
				s += exp((double)z[i * C + c]);
			sum += log(s) - (double)z[i * C + ((const int64_t *)b.in[2].data)[i]];
		}
		got = run(&b);
	}
	check(fabs(got - sum / N) < 1e-5, "cross-entropy is what it is by hand", "%g, not %g", got, sum / N);
	done(&b);
	/* far above the logits' range, T^2 KL goes to the squared difference of centred logits over 2 C (Hinton et al., section 2.1) */
	ds_distill_opts d = { .method = ds_distill_find("kd"), .temperature = 100, .alpha = 1 };
	sum = 0;
	got = NAN;
	if (make(&b, NULL, NULL, &d, 2, pair)) {
		const float *s = b.in[0].data, *t = b.in[3].data;
		for (int i = 0; i < N; i++) {
			double m = 0;
			for (int c = 0; c < C; c++)
				m += ((double)s[i * C + c] - (double)t[i * C + c]) / C;
			for (int c = 0; c < C; c++)
				sum += pow((double)s[i * C + c] - (double)t[i * C + c] - m, 2) / (2 * C);
		}
		got = run(&b);
	}
	check(fabs(got - sum / N) < .02 * sum / N, "kd at a high temperature compares centred logits", "%g, not %g", got, sum / N);
	/* a student that says what its teacher says has nothing to learn */
	memcpy(b.in[0].data, b.in[3].data, ds_tensor_bytes(&b.in[0]));
	check(fabs(run(&b)) < 1e-4, "kd of equals is zero", "%g", run(&b));
	done(&b);
}

int main(void)
{
	gradients();
	values();
	return failed;
}
