/* measure.c - loss and accuracy of predictions, summed in f64 in the order of the items */
#include "fit_int.h"
#include "../run/run.h"

#include <math.h>
#include <string.h>

ds_fit_rule ds_fit_rule_of(const ds_loss *l)
{
	static const struct { const char *name; ds_fit_rule rule; } table[] = {
		{ "cross-entropy", DS_RULE_CLASS }, { "mse", DS_RULE_SQUARE }, { "l1", DS_RULE_ABS }, { "huber", DS_RULE_HUBER }, { "bce", DS_RULE_BINARY },
	};
	for (size_t i = 0; l && i < DS_COUNTOF(table); i++) {
		if (!strcmp(l->name, table[i].name))
			return table[i].rule;
	}
	return DS_RULE_NONE;
}

/* -log of the probability of class y among n values `step` apart, and whether it is the (first) largest. */
static double class_loss(const float *x, int64_t n, int64_t step, int64_t y, bool logits, bool *hit)
{
	double max = -INFINITY, sum = 0;
	int64_t best = 0;
	for (int64_t c = 0; c < n; c++) {
		if ((double)x[c * step] > max) {
			max = (double)x[c * step];
			best = c;
		}
	}
	*hit = best == y;
	if (!logits)
		return -log(DS_MAX((double)x[y * step], 1e-30));
	for (int64_t c = 0; c < n; c++)
		sum += exp((double)x[c * step] - max);
	return max + log(sum) - (double)x[y * step];
}

static ds_status classes(ds_fit_tally *t, const ds_tensor *pred, const ds_minibatch *b, bool loss, ds_err *err)
{
	int axis = pred->rank <= 3 ? pred->rank - 1 : 1;
	int64_t inner = 1, outer = 1, n = pred->rank >= 2 ? pred->dim[axis] : 0;
	for (int i = 0; i < pred->rank; i++) {
		if (i < axis)
			outer *= pred->dim[i];
		if (i > axis)
			inner *= pred->dim[i];
	}
	bool places = b->target.dtype == DS_I64;
	if (n < 1 || (places ? ds_tensor_count(&b->target) != outer * inner : outer * inner != b->n))
		return ds_fail(err, DS_E_INPUT, "the model's output does not fit the labels");
	const float *x = pred->data;
	const int64_t *label = places ? b->target.data : b->label;
	for (int64_t o = 0; o < outer; o++) {
		for (int64_t i = 0; i < inner; i++) {
			int64_t y = label[o * inner + i];
			bool hit;
			if (y < 0 || y >= n)
				continue;
			double l = class_loss(x + o * n * inner + i, n, inner, y, t->logits || !loss, &hit);
			t->loss += l;
			t->hits += hit;
			t->places++;
		}
	}
	return DS_OK;
}

static double value_loss(const ds_fit_tally *t, double x, double y)
{
	double d = x - y, a = fabs(d);
	switch (t->rule) {
	case DS_RULE_SQUARE: return d * d;
	case DS_RULE_ABS:    return a;
	case DS_RULE_HUBER:  return a <= t->delta ? 0.5 * d * d : t->delta * (a - 0.5 * t->delta);
	default:
		if (t->logits)
			return DS_MAX(x, 0.0) - x * y + log1p(exp(-fabs(x)));
		return -(y * log(DS_MAX(x, 1e-30)) + (1 - y) * log(DS_MAX(1 - x, 1e-30)));
	}
}

static ds_status values(ds_fit_tally *t, const ds_tensor *pred, const ds_minibatch *b, ds_err *err)
{
	int64_t n = ds_tensor_count(pred);
	const float *x = pred->data, *y = b->target.data;
	if (b->target.dtype != DS_F32 || ds_tensor_count(&b->target) != n)
		return ds_fail(err, DS_E_INPUT, "the model's output does not fit the targets");
	for (int64_t i = 0; i < n; i++) {
		t->loss += value_loss(t, (double)x[i], (double)y[i]);
		t->hits += t->rule == DS_RULE_BINARY && (x[i] > (t->logits ? 0.0f : 0.5f)) == (y[i] > 0.5f);
	}
	t->places += n;
	return DS_OK;
}

ds_status ds_fit_tally_add(ds_fit_tally *t, const ds_tensor *pred, const ds_minibatch *b, bool loss, ds_err *err)
{
	ds_tensor f = { 0 };
	ds_status rc = DS_OK;
	t->items += b->n;
	if (t->rule == DS_RULE_NONE || (!loss && t->rule != DS_RULE_CLASS && t->rule != DS_RULE_BINARY))
		return DS_OK;
	if (pred->dtype != DS_F32 || pred->layout != DS_PLAIN || pred->q) {
		DS_TRY(ds_tensor_to_f32(pred, &f, err));
		pred = &f;
	}
	rc = t->rule == DS_RULE_CLASS ? classes(t, pred, b, loss, err) : values(t, pred, b, err);
	ds_tensor_done(&f);
	return rc;
}

void ds_fit_tally_score(const ds_fit_tally *t, ds_fit_score *s)
{
	bool any = t->rule != DS_RULE_NONE && t->places;
	*s = (ds_fit_score){ .n = t->items, .has_loss = any, .has_accuracy = any && (t->rule == DS_RULE_CLASS || t->rule == DS_RULE_BINARY) };
	s->loss = any ? t->loss / (double)t->places : 0;
	s->accuracy = s->has_accuracy ? (double)t->hits / (double)t->places : 0;
}

ds_status ds_fit_measure(const ds_model *m, const ds_loss *loss, double delta, ds_trainset *set, int64_t batch, int threads, uint64_t memory_limit, ds_fit_score *score,
	ds_err *err)
{
	ds_fit_tally tally = { .rule = loss ? ds_fit_rule_of(loss) : DS_RULE_CLASS, .logits = ds_output_is_logits(m, 0), .delta = delta };
	ds_minibatch b = { 0 };
	ds_session *s = NULL;
	ds_tensor *out = ds_calloc((size_t)m->graph->n_output + 1, sizeof *out);
	ds_status rc = out ? DS_OK : ds_fail_nomem(err, 0);
	if (rc == DS_OK)
		rc = ds_session_new_opts(&s, m->graph, &(ds_session_opts){ .threads = threads, .memory_limit = memory_limit }, err);
	for (int64_t at = 0; rc == DS_OK; at += b.n) {
		rc = ds_trainset_gather_held(set, at, batch, &b, err);
		if (rc != DS_OK)
			break;
		rc = ds_session_run(s, b.in, b.n_in, out, m->graph->n_output, err);
		if (rc == DS_OK)
			rc = ds_fit_tally_add(&tally, &out[0], &b, true, err);
		for (int i = 0; i < m->graph->n_output; i++)
			ds_tensor_done(&out[i]);
	}
	ds_fit_tally_score(&tally, score);
	ds_minibatch_done(&b);
	ds_session_free(s);
	ds_free(out);
	return rc == DS_END ? DS_OK : rc;
}
