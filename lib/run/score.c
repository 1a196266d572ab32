/* score.c - what a classifier's output says, how often it is right, how two models differ */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFUSION_MAX 4096      /* classes that a confusion table may have */

int64_t ds_class_count(int rank, const int64_t *dim)
{
	int64_t n = 0;
	for (int i = 0; i < rank; i++) {
		if (dim[i] == 1)
			continue;
		if (dim[i] < 2 || n || (i == 0 && rank > 1))    /* one axis of classes, and not the batch's */
			return 0;
		n = dim[i];
	}
	return n;
}

/* Operators that only rearrange what they get. */
static bool rearranges(const char *op)
{
	static const char *const names[] = { "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "DequantizeLinear", "QuantizeLinear" };
	for (size_t i = 0; i < DS_COUNTOF(names); i++) {
		if (!strcmp(op, names[i]))
			return true;
	}
	return false;
}

bool ds_output_is_logits(const ds_model *m, int i)
{
	char key[48];
	snprintf(key, sizeof key, "output.%d.values", i);
	const char *say = ds_meta_str(&m->meta, key);
	if (say)
		return !strcmp(say, "logits");
	const ds_value *v = m->graph->output[i];
	while (v && v->kind == DS_V_NODE && v->node->n_in && rearranges(v->node->op_name))
		v = v->node->in[0];
	const char *op = v && v->kind == DS_V_NODE ? v->node->op_name : "";
	return strcmp(op, "Softmax") && strcmp(op, "Sigmoid");
}

ds_status ds_class_values(const ds_tensor *t, float **v, int64_t *n, ds_err *err)
{
	ds_tensor f;
	*v = NULL;
	DS_TRY(ds_tensor_to_f32(t, &f, err));
	*n = ds_tensor_count(&f);
	*v = ds_calloc(*n, sizeof **v);
	if (*v && *n)
		memcpy(*v, f.data, (size_t)*n * sizeof **v);
	ds_tensor_done(&f);
	return *v ? DS_OK : ds_fail_nomem(err, (size_t)*n * sizeof **v);
}

ds_status ds_score_init(ds_score *s, int64_t classes, bool confusion, ds_err *err)
{
	*s = (ds_score){ .classes = classes };
	if (!confusion)
		return DS_OK;
	if (classes > CONFUSION_MAX)
		return ds_fail(err, DS_E_LIMIT, "a confusion table of more than %d classes", CONFUSION_MAX);
	s->confusion = ds_calloc((size_t)classes * classes, sizeof *s->confusion);
	return s->confusion ? DS_OK : ds_fail_nomem(err, (size_t)classes * classes * sizeof *s->confusion);
}

ds_status ds_score_add(ds_score *s, const float *v, int64_t label, bool *hit, ds_err *err)
{
	int64_t best[5];
	int k = (int)DS_MIN((int64_t)5, s->classes);
	if (label < 0)
		return ds_fail(err, DS_E_INPUT, "no label");
	if (label >= s->classes)
		return ds_fail(err, DS_E_INPUT, "label %lld where the model has %lld classes", (long long)label, (long long)s->classes);
	ds_top_k(v, s->classes, k, best);
	s->n++;
	s->top1 += best[0] == label;
	for (int i = 0; i < k; i++)
		s->top5 += best[i] == label;
	if (s->confusion)
		s->confusion[label * s->classes + best[0]]++;
	if (hit)
		*hit = best[0] == label;
	return DS_OK;
}

void ds_score_done(ds_score *s)
{
	ds_free(s->confusion);
	*s = (ds_score){ 0 };
}

/* ---- values, tokens, alarms ----------------------------------------------------------------------------------------------------- */

ds_status ds_fit_add(ds_fit *f, const ds_tensor *v, const ds_tensor *t, ds_err *err)
{
	int64_t n = ds_tensor_count(t);
	if (ds_tensor_count(v) != n)
		return ds_fail(err, DS_E_INPUT, "%lld values where the target has %lld", (long long)ds_tensor_count(v), (long long)n);
	for (int64_t i = 0; i < n; i++) {
		double d = ds_tensor_f64(v, i) - ds_tensor_f64(t, i);
		f->square += d * d;
		f->absolute += fabs(d);
	}
	f->n += (uint64_t)n;
	return DS_OK;
}

ds_status ds_fit_last(ds_fit *f, const ds_tensor *last, const ds_tensor *target, int64_t h, bool swap, ds_err *err)
{
	int64_t c = ds_tensor_count(last), n = ds_tensor_count(target);
	if (h < 1 || n != c * h)
		return ds_fail(err, DS_E_INPUT, "%lld target values for %lld rows of %lld columns", (long long)n, (long long)h, (long long)c);
	for (int64_t i = 0; i < n; i++) {
		double d = ds_tensor_f64(last, swap ? i / h : i % c) - ds_tensor_f64(target, i);
		f->square += d * d;
		f->absolute += fabs(d);
	}
	f->n += (uint64_t)n;
	return DS_OK;
}

ds_status ds_tokens_add(ds_tokens *k, const ds_tensor *v, const ds_tensor *target, bool logits, ds_err *err)
{
	int64_t n = ds_tensor_count(target), classes = v->rank ? v->dim[v->rank - 1] : 0;
	if (v->rank < 2 || classes < 1 || ds_tensor_count(v) != n * classes)
		return ds_fail(err, DS_E_INPUT, "the first output has not a row of scores for each of %lld tokens", (long long)n);
	float *x = NULL;
	int64_t all;
	DS_TRY(ds_class_values(v, &x, &all, err));
	ds_status rc = DS_OK;
	for (int64_t i = 0; i < n; i++) {
		const float *row = x + i * classes;
		int64_t want = ds_tensor_i64(target, i), best = 0;
		if (want < 0 || want >= classes) {
			rc = ds_fail(err, DS_E_INPUT, "token %lld where the model has %lld", (long long)want, (long long)classes);
			break;
		}
		double max = row[0], sum = 0;
		for (int64_t c = 1; c < classes; c++) {
			if (row[c] > row[best])
				best = c;
			max = fmax(max, row[c]);
		}
		for (int64_t c = 0; logits && c < classes; c++)
			sum += exp(row[c] - max);
		k->nll += logits ? log(sum) + max - row[want] : -log(row[want]);
		k->top1 += best == want;
	}
	k->n += (uint64_t)n;
	ds_free(x);
	return rc;
}

typedef struct alarm { double score; bool positive; } alarm;

static int by_score(const void *a, const void *b)
{
	double x = ((const alarm *)a)->score, y = ((const alarm *)b)->score;
	return (x > y) - (x < y);
}

double ds_auc(const double *score, const bool *positive, int64_t n)
{
	alarm *a = ds_calloc((size_t)n, sizeof *a);
	double ranks = 0, yes = 0;
	if (!a)
		return NAN;
	for (int64_t i = 0; i < n; i++)
		a[i] = (alarm){ isnan(score[i]) ? INFINITY : score[i], positive[i] };
	qsort(a, (size_t)n, sizeof *a, by_score);
	for (int64_t i = 0, end; i < n; i = end) {      /* equal scores share the mean of their ranks */
		double hits = 0;
		for (end = i; end < n && a[end].score == a[i].score; end++)
			hits += a[end].positive;
		ranks += hits * (double)(i + 1 + end) / 2;
		yes += hits;
	}
	ds_free(a);
	double no = (double)n - yes;
	return yes > 0 && no > 0 ? (ranks - yes * (yes + 1) / 2) / (yes * no) : NAN;
}

void ds_auc_interval(double auc, int64_t positive, int64_t negative, double *lo, double *hi)
{
	double a = auc, p = (double)positive, n = (double)negative, q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
	double half = 1.959963984540054 * sqrt(fmax(0, a * (1 - a) + (p - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (p * n));
	*lo = fmax(0, a - half);
	*hi = fmin(1, a + half);
	if (isnan(a) || isnan(half))
		*lo = *hi = NAN;
}

ds_status ds_versus_init(ds_versus *v, int n_out, ds_err *err)
{
	*v = (ds_versus){ .n_out = n_out };
	v->out = ds_calloc(n_out, sizeof *v->out);
	return v->out ? DS_OK : ds_fail_nomem(err, n_out * sizeof *v->out);
}

void ds_versus_done(ds_versus *v)
{
	for (int i = 0; v->out && i < v->n_out; i++)
		ds_free(v->out[i].item);
	ds_free(v->out);
	*v = (ds_versus){ 0 };
}

static ds_status differ(ds_difference *d, const ds_tensor *a, const ds_tensor *b, const char *item, ds_err *err)
{
	if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim))
		return DS_OK;
	int64_t n = ds_tensor_count(a);
	double max = 0;
	for (int64_t i = 0; i < n; i++) {
		double x = ds_tensor_f64(a, i), y = ds_tensor_f64(b, i), e = fabs(x - y);
		if (x == y || (isnan(x) && isnan(y)))
			e = 0;
		else if (isnan(e))
			e = INFINITY;
		max = fmax(max, e);
		d->sum += e;
	}
	d->n += (uint64_t)n;
	if (max > d->max || !d->item) {
		ds_free(d->item);
		d->max = max;
		d->item = ds_strdup(item);
		if (!d->item)
			return ds_fail_nomem(err, strlen(item));
	}
	return DS_OK;
}

static ds_status best_of(const ds_tensor *t, int64_t *best, ds_err *err)
{
	float *v;
	int64_t n;
	*best = -1;
	if (!ds_class_count(t->rank, t->dim))
		return DS_OK;
	DS_TRY(ds_class_values(t, &v, &n, err));
	ds_top_k(v, n, 1, best);
	ds_free(v);
	return DS_OK;
}

ds_status ds_versus_add(ds_versus *v, const ds_result *a, const ds_result *b, ds_err *err)
{
	int64_t here = -1, there = -1;
	for (int i = 0; i < v->n_out && i < a->n_out && i < b->n_out; i++)
		DS_TRY(differ(&v->out[i], &a->out[i], &b->out[i], a->name, err));
	if (a->n_out && b->n_out) {
		DS_TRY(best_of(&a->out[0], &here, err));
		DS_TRY(best_of(&b->out[0], &there, err));
	}
	v->n++;
	v->agree += here >= 0 && here == there;
	if (a->label >= 0 && here >= 0 && there >= 0) {
		v->labelled++;
		v->gained += here == a->label && there != a->label;
		v->lost += here != a->label && there == a->label;
	}
	return DS_OK;
}
