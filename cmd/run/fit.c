/* fit.c - --fit-uncertainty: a temperature and conformal quantiles from held-out samples, kept in the model */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/dsm.h"
#include "format/history.h"
#include "job.h"

/* Samples on their way to the model are summed up for the history. */
typedef struct summed {
	ds_samples  base;
	ds_samples *inner;
	ds_sha256  *sum;
	uint64_t   *n;
} summed;

struct fitted {
	int        kind;                /* RUN_CLASSES, RUN_VALUES */
	int64_t    n;                   /* classes, values */
	float     *z;                   /* of each item n logits, or n distances */
	int64_t   *label;
	size_t     items, cap, cap_label;
	ds_sha256  sum;
	uint64_t   bytes;
};

static ds_status summed_next(ds_samples *s, ds_item *item, bool *bad, ds_err *err)
{
	summed *t = (summed *)s;
	*bad = false;
	ds_status rc = t->inner->next(t->inner, item, bad, err);
	if (rc != DS_OK || *bad)
		return rc;
	for (int i = 0; i < item->n_in; i++) {
		size_t n = ds_tensor_bytes(&item->in[i]);
		ds_sha256_add(t->sum, item->in[i].data, n);
		*t->n += n;
	}
	return DS_OK;
}

static ds_status summed_rewind(ds_samples *s, ds_err *err)
{
	return ((summed *)s)->inner->rewind(((summed *)s)->inner, err);
}

static int64_t summed_count(ds_samples *s)
{
	return ((summed *)s)->inner->count(((summed *)s)->inner);
}

static void summed_free(ds_samples *s)
{
	((summed *)s)->inner->free(((summed *)s)->inner);
	ds_free(s);
}

ds_status run_sum_samples(job *j, side *d, ds_err *err)
{
	summed *t = ds_calloc(1, sizeof *t);
	j->fitted = ds_calloc(1, sizeof *j->fitted);
	if (!t || !j->fitted) {
		ds_free(t);
		return ds_fail_nomem(err, sizeof *t);
	}
	ds_sha256_init(&j->fitted->sum);
	*t = (summed){ .base = { summed_next, summed_rewind, summed_count, summed_free, NULL }, .inner = d->samples, .sum = &j->fitted->sum,
		.n = &j->fitted->bytes };
	d->samples = &t->base;
	return DS_OK;
}

void run_fitted_free(job *j)
{
	if (!j->fitted)
		return;
	ds_free(j->fitted->z);
	ds_free(j->fitted->label);
	ds_free(j->fitted);
	j->fitted = NULL;
}

static ds_status fit_start(job *j, ds_err *err)
{
	return DS_OK;
}

/* Room for one more row, n numbers wide. */
static ds_status more_room(job *j, ds_err *err)
{
	struct fitted *f = j->fitted;
	if (f->items == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 256, row = (size_t)f->n * sizeof *f->z;
		if (j->s->c.memory_limit && cap > j->s->c.memory_limit / row)
			return ds_fail(err, DS_E_LIMIT, "more samples than --memory-limit has room for");
		float *z = ds_realloc(f->z, cap, row);
		if (!z)
			return ds_fail_nomem(err, cap * row);
		f->z = z;
		f->cap = cap;
	}
	return ds_grow((void **)&f->label, f->items, &f->cap_label, sizeof *f->label) ? DS_OK : ds_fail_nomem(err, f->items * sizeof *f->label);
}

/* The first result says what there is to be fitted. */
static ds_status meet(job *j, const ds_result *r, ds_err *err)
{
	struct fitted *f = j->fitted;
	f->kind = r->n_out ? run_find_kind(j, r) : RUN_SUMMARY;
	if (f->kind != RUN_CLASSES && !(f->kind == RUN_VALUES && j->aim.what == DS_AIM_VALUES))
		return ds_fail(err, DS_E_UNSUPPORTED, "--fit-uncertainty is for a model whose output is one row of classes, or values of columns of a table");
	f->n = ds_tensor_count(&r->out[0]);
	return DS_OK;
}

static ds_status fit_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	struct fitted *f = j->fitted;
	if (!f->n)
		DS_TRY(meet(j, r, err));
	if (ds_tensor_count(&r->out[0]) != f->n)
		return ds_fail(err, DS_E_INPUT, "%lld numbers where there were %lld before", (long long)ds_tensor_count(&r->out[0]), (long long)f->n);
	bool values = f->kind == RUN_VALUES;
	if (values && ds_tensor_count(r->target) != f->n)
		return ds_fail(err, DS_E_INPUT, "no outcome is known");
	if (!values && r->label < 0)
		return ds_fail(err, DS_E_INPUT, "no label");
	if (!values && r->label >= f->n)
		return ds_fail(err, DS_E_INPUT, "label %lld where the model has %lld classes", (long long)r->label, (long long)f->n);
	DS_TRY(more_room(j, err));
	float *z = f->z + f->items * (size_t)f->n;
	for (int64_t i = 0; i < f->n; i++) {
		double v = ds_tensor_f64(&r->out[0], i);
		z[i] = (float)(values ? fabs(v - ds_tensor_f64(r->target, i)) : v);
		if (!isfinite(z[i]))
			return ds_fail(err, DS_E_INPUT, "the output is not finite");
	}
	if (!values && !j->here.logits)
		ds_log_p(z, f->n, z);
	f->label[f->items++] = r->label;
	return run_report_item(j, r, -1, 0, err);
}

static ds_status fit_classes(const struct fitted *f, ds_certainty *c, ds_err *err)
{
	double *score = ds_calloc(f->items + (size_t)f->n, sizeof *score), *all = score + f->items;
	float *p = ds_calloc((size_t)f->n, sizeof *p);
	int64_t *order = ds_calloc((size_t)f->n, sizeof *order);
	ds_status rc = score && p && order ? ds_temperature_fit(f->z, f->label, (int64_t)f->items, f->n, &c->temperature, err) :
		ds_fail_nomem(err, f->items * sizeof *score);
	c->classes = true;
	for (int s = 0; s < DS_SET_SCORES && rc == DS_OK; s++) {
		ds_set_rule rule = ds_set_rule_for((ds_set_score)s, f->n);
		c->lambda = rule.lambda;
		c->k = rule.k;
		for (size_t i = 0; i < f->items; i++) {
			ds_softmax_at(f->z + i * (size_t)f->n, f->n, 1, p);
			ds_set_scores(&rule, p, f->n, order, all);
			score[i] = all[f->label[i]];
		}
		ds_conformal_table(score, (int64_t)f->items, c->set[s]);
	}
	ds_free(score);
	ds_free(p);
	ds_free(order);
	return rc;
}

static ds_status fit_values(const struct fitted *f, ds_certainty *c, ds_err *err)
{
	double *score = ds_calloc(f->items, sizeof *score);
	c->residual = ds_calloc((size_t)f->n * DS_ALPHAS, sizeof *c->residual);
	c->values = true;
	c->n_value = f->n;
	if (!score || !c->residual) {
		ds_free(score);
		return ds_fail_nomem(err, (size_t)f->n * DS_ALPHAS * sizeof *c->residual);
	}
	for (int64_t k = 0; k < f->n; k++) {
		for (size_t i = 0; i < f->items; i++)
			score[i] = f->z[i * (size_t)f->n + (size_t)k];
		ds_conformal_table(score, (int64_t)f->items, c->residual + k * DS_ALPHAS);
	}
	ds_free(score);
	return DS_OK;
}

static void tell(const struct fitted *f, const ds_certainty *c)
{
	if (c->classes)
		ds_note("temperature %.4f from %zu samples", c->temperature, f->items);
	if (c->classes && (c->temperature <= DS_TEMPERATURE_MIN * 1.01 || c->temperature >= DS_TEMPERATURE_MAX * 0.99))
		ds_warn("the temperature is at the end of its range: all samples are %s", c->temperature < 1 ? "right" : "as good as guessed");
	if (f->items < 100)
		ds_warn("%zu samples: the smallest alpha with a quantile is %.3g", f->items, 1.0 / (double)(f->items + 1));
}

static ds_status save(job *j, ds_err *err)
{
	ds_model *m = j->here.m;
	const ds_common *c = &j->s->c;
	char hex[65], *external = NULL;
	ds_status rc = DS_OK;
	for (int i = 0; c->no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (c->no_history) {
		m->n_history = 0;
	} else {
		ds_sha256_hex(&j->fitted->sum, hex);
		external = ds_history_external_sum("held-out", hex, j->fitted->bytes);
		rc = external ? ds_history_add(m, c->filter->name, c->effective, (const char *const[]){ external }, 1, NULL, err) : ds_fail_nomem(err, 0);
	}
	if (rc == DS_OK)
		rc = ds_model_save(m, j->out, &(ds_dsm_wopts){ .compress = c->compress, .memory_limit = c->memory_limit }, err);
	ds_free(external);
	return rc;
}

static ds_status fit_end(job *j, ds_err *err)
{
	const struct fitted *f = j->fitted;
	ds_certainty c = { .n = (int64_t)f->items };
	if (!f->items)
		return ds_fail(err, DS_E_INPUT, "no sample with a label: there is nothing to fit to");
	ds_status rc = f->kind == RUN_VALUES ? fit_values(f, &c, err) : fit_classes(f, &c, err);
	if (rc == DS_OK)
		rc = ds_certainty_to_meta(&c, j->here.m, err);
	if (rc == DS_OK)
		tell(f, &c);
	ds_certainty_done(&c);
	return rc == DS_OK ? save(j, err) : rc;
}

static bool asked(const settings *s)
{
	return s->fit_uncertainty;
}

const run_mode run_fit = { asked, fit_start, fit_item, fit_end, NULL };
