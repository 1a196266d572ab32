/* measure.c - accuracy, errors, and the comparison of two models */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "job.h"

static const char *const metric_columns[] = { "metric", "value", "low", "high", "count", "total", "output", "input", NULL };
static const char *const confusion_columns[] = { "true", "predicted", "true_label", "predicted_label", "count", NULL };

static ds_status measure_start(job *j, ds_err *err)
{
	if (j->aim.what == DS_AIM_VALUES) {
		j->each = ds_calloc((size_t)j->aim.col.n, sizeof *j->each);
		if (!j->each)
			return ds_fail_nomem(err, (size_t)j->aim.col.n * sizeof *j->each);
	}
	return j->s->compare ? ds_versus_init(&j->versus, j->here.m->graph->n_output, err) : DS_OK;
}

/* Score one side's classes.  An item without a usable label is a failed item in --eval and just not counted in --compare. */
static ds_status score_classes(job *j, side *d, const ds_result *r, int64_t *best, float *p, ds_err *err)
{
	float *v = NULL;
	int64_t n;
	*best = -1;
	if (!r->n_out || !ds_class_count(r->out[0].rank, r->out[0].dim))
		return ds_fail(err, DS_E_UNSUPPORTED, "accuracy of a model whose first output is not one row of classes");
	DS_TRY(ds_class_values(&r->out[0], &v, &n, err));
	ds_status rc = DS_OK;
	if (!d->score.classes)
		rc = ds_score_init(&d->score, n, j->s->confusion && d == &j->here, err);
	if (rc == DS_OK && n != d->score.classes)
		rc = ds_fail(err, DS_E_INPUT, "%lld classes where there were %lld before", (long long)n, (long long)d->score.classes);
	if (rc == DS_OK)
		rc = ds_score_add(&d->score, v, r->label, NULL, err);
	if (rc == DS_OK) {
		ds_top_k(v, n, 1, best);
		if (d->logits)
			ds_softmax(v, n, v);
		*p = v[*best];
	}
	ds_free(v);
	return rc;
}

ds_status run_alarm(job *j, const ds_result *r, double value, ds_err *err)
{
	if (r->label < 0)
		return DS_OK;
	if (!ds_grow((void **)&j->alarm, j->n_alarm, &j->cap_alarm, sizeof *j->alarm) ||
		!ds_grow((void **)&j->alarming, j->n_alarm, &j->cap_alarming, sizeof *j->alarming))
		return ds_fail_nomem(err, sizeof *j->alarm);
	j->alarm[j->n_alarm] = value;
	j->alarming[j->n_alarm++] = r->label > 0;
	return DS_OK;
}

/* Each column of the target by itself, in its own unit. */
static void add_columns(job *j, const ds_tensor *v, const ds_tensor *t)
{
	const ds_columns *c = &j->aim.col;
	int64_t n = ds_tensor_count(t);
	for (int64_t i = 0; j->each && i < n; i++) {
		int64_t k = j->swap ? i / j->horizon : i % c->n;
		double d = (ds_tensor_f64(v, i) - ds_tensor_f64(t, i)) * (c->std ? c->std[k] : 1);
		j->each[k].n++;
		j->each[k].square += d * d;
		j->each[k].absolute += fabs(d);
	}
}

/* Score one side against the item's target. */
static ds_status score_target(job *j, side *d, const ds_result *r, ds_err *err)
{
	if (!r->n_out)
		return ds_fail(err, DS_E_UNSUPPORTED, "a model without outputs answers to nothing");
	if (j->aim.what == DS_AIM_NEXT)
		return ds_tokens_add(&d->tokens, &r->out[0], r->target, d->logits, err);
	DS_TRY(ds_fit_add(&d->fit, &r->out[0], r->target, err));
	if (d != &j->here)
		return DS_OK;
	if (r->last->data)
		DS_TRY(ds_fit_last(&j->naive, r->last, r->target, j->horizon, j->swap, err));
	if (j->aim.what == DS_AIM_INPUT) {
		double error;
		DS_TRY(run_score_error(j, r, &error, NULL, err));
		return run_alarm(j, r, error, err);
	}
	add_columns(j, &r->out[0], r->target);
	return DS_OK;
}

static ds_status measure_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	int64_t best = -1, ignore;
	float p = 0, p2;
	bool target = r->target->data != NULL;
	if (j->s->score > SCORE_RECONSTRUCTION) {
		if (r->label < 0)
			return ds_fail(err, DS_E_INPUT, "no label");
		DS_TRY(run_alarm(j, r, run_sure_score(j), err));
		return run_report_item(j, r, -1, 0, err);
	}
	if (target) {
		DS_TRY(score_target(j, &j->here, r, err));
		if (ref && ref->target->data)
			DS_TRY(score_target(j, &j->ref, ref, err));
	} else if (j->s->eval || r->label >= 0) {
		DS_TRY(score_classes(j, &j->here, r, &best, &p, err));
	}
	if (ref) {
		if (!target && r->label >= 0)
			DS_TRY(score_classes(j, &j->ref, ref, &ignore, &p2, err));
		DS_TRY(ds_versus_add(&j->versus, r, ref, err));
	}
	if (j->sure)
		DS_TRY(run_sure_measure(j, r, err));
	DS_TRY(run_failures_item(j, r, best, p, err));
	return run_report_item(j, r, best, p, err);
}

ds_status run_metric(job *j, const char *name, double value, double lo, double hi, int64_t count, int64_t total, const char *output,
	const char *input, ds_err *err)
{
	if (!output)
		DS_TRY(run_watch_figure(j, name, value, lo, hi, err));
	ds_rows_str(j->rows, name, strlen(name));
	const double v[] = { value, lo, hi };
	const int64_t k[] = { count, total };
	const char *t[] = { output, input };
	for (int i = 0; i < 3; i++) {
		if (isnan(v[i]))
			ds_rows_null(j->rows);
		else
			ds_rows_f64(j->rows, v[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (k[i] < 0)
			ds_rows_null(j->rows);
		else
			ds_rows_i64(j->rows, k[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (t[i])
			ds_rows_str(j->rows, t[i], strlen(t[i]));
		else
			ds_rows_null(j->rows);
	}
	return ds_rows_end(j->rows, err);
}

ds_status run_share(job *j, const char *name, uint64_t k, uint64_t n, ds_err *err)
{
	double lo, hi;
	ds_wilson(k, n, &lo, &hi);
	return run_metric(j, name, n ? (double)k / (double)n : NAN, lo, hi, (int64_t)k, (int64_t)n, NULL, NULL, err);
}

static ds_status print_confusion(job *j, ds_err *err)
{
	const ds_score *s = &j->here.score;
	ds_rows_close(j->rows);
	j->rows = NULL;
	if (!j->s->c.json)
		DS_TRY(ds_sink_write(j->out, "\n", 1, err));
	DS_TRY(ds_rows_open(&j->rows, j->out, j->s->c.json, confusion_columns, err));
	for (int64_t i = 0; s->confusion && i < s->classes * s->classes; i++) {
		if (!s->confusion[i])
			continue;
		ds_rows_i64(j->rows, i / s->classes);
		ds_rows_i64(j->rows, i % s->classes);
		run_put_label(j, j->rows, i / s->classes);
		run_put_label(j, j->rows, i % s->classes);
		ds_rows_i64(j->rows, s->confusion[i]);
		DS_TRY(ds_rows_end(j->rows, err));
	}
	return DS_OK;
}

/* By what share the error of values or tokens is larger than the reference's. */
static ds_status print_growth(job *j, double *drop, ds_err *err)
{
	const side *a = &j->here, *b = &j->ref;
	double here = a->tokens.n ? a->tokens.nll / (double)a->tokens.n : a->fit.square / (double)a->fit.n;
	double there = b->tokens.n ? b->tokens.nll / (double)b->tokens.n : b->fit.square / (double)b->fit.n;
	*drop = there > 0 ? here / there - 1 : here > 0 ? INFINITY : 0;
	if ((!a->tokens.n && !a->fit.n) || (!b->tokens.n && !b->fit.n)) {      /* nothing to compare with: values without targets */
		*drop = 0;
		return DS_OK;
	}
	return run_metric(j, "drop", *drop, NAN, NAN, -1, (int64_t)(a->tokens.n ? a->tokens.n : a->fit.n), NULL, NULL, err);
}

/* The figures of the comparison; *drop is the upper end of the interval of what was lost. */
static ds_status print_versus(job *j, double *drop, ds_err *err)
{
	const ds_versus *v = &j->versus;
	double lo, hi;
	if (j->aim.what > DS_AIM_CLASS) {
		DS_TRY(print_growth(j, drop, err));
	} else {
		ds_wilson(v->agree, v->n, &lo, &hi);
		*drop = 1 - lo;
		DS_TRY(run_share(j, "agreement", v->agree, v->n, err));
	}
	if (v->labelled) {
		ds_paired_diff(v->lost, v->gained, v->labelled, &lo, &hi);
		*drop = hi;
		double d = ((double)v->lost - (double)v->gained) / (double)v->labelled;
		DS_TRY(run_share(j, "reference_top1", j->ref.score.top1, j->ref.score.n, err));
		DS_TRY(run_share(j, "reference_top5", j->ref.score.top5, j->ref.score.n, err));
		DS_TRY(run_metric(j, "drop", d, lo, hi, -1, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(run_metric(j, "mcnemar_gained", NAN, NAN, NAN, (int64_t)v->gained, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(run_metric(j, "mcnemar_lost", NAN, NAN, NAN, (int64_t)v->lost, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(run_metric(j, "mcnemar_p", ds_mcnemar(v->gained, v->lost), NAN, NAN, -1, -1, NULL, NULL, err));
	}
	for (int i = 0; i < v->n_out; i++) {
		const ds_difference *d = &v->out[i];
		const char *name = ds_model_output_name(j->here.m, i);
		DS_TRY(run_metric(j, "max_difference", d->item ? d->max : NAN, NAN, NAN, -1, -1, name, d->item, err));
		DS_TRY(run_metric(j, "mean_difference", d->n ? d->sum / (double)d->n : NAN, NAN, NAN, -1, -1, name, NULL, err));
	}
	return DS_OK;
}

/* One figure of n things, without an interval. */
static ds_status mean(job *j, const char *prefix, const char *name, double sum, uint64_t n, const char *output, ds_err *err)
{
	char full[64];
	snprintf(full, sizeof full, "%s%s", prefix, name);
	return run_metric(j, full, n ? sum / (double)n : NAN, NAN, NAN, -1, (int64_t)n, output, NULL, err);
}

static ds_status print_fit(job *j, const char *prefix, const ds_fit *f, ds_err *err)
{
	DS_TRY(mean(j, prefix, "mse", f->square, f->n, NULL, err));
	return mean(j, prefix, "mae", f->absolute, f->n, NULL, err);
}

static ds_status print_token_score(job *j, const char *prefix, const ds_tokens *k, ds_err *err)
{
	double nll = k->n ? k->nll / (double)k->n : NAN;
	DS_TRY(mean(j, prefix, "nll", k->nll, k->n, NULL, err));
	DS_TRY(mean(j, prefix, "bits_per_token", k->nll / log(2), k->n, NULL, err));
	DS_TRY(run_metric(j, *prefix ? "reference_perplexity" : "perplexity", exp(nll), NAN, NAN, -1, (int64_t)k->n, NULL, NULL, err));
	return mean(j, prefix, "token_accuracy", (double)k->top1, k->n, NULL, err);
}

/* What was measured against targets: values or tokens. */
static ds_status print_targets(job *j, ds_err *err)
{
	if (j->here.tokens.n || j->aim.what == DS_AIM_NEXT)
		DS_TRY(print_token_score(j, "", &j->here.tokens, err));
	if (j->ref.tokens.n)
		DS_TRY(print_token_score(j, "reference_", &j->ref.tokens, err));
	if (j->here.fit.n || j->aim.what == DS_AIM_VALUES || j->aim.what == DS_AIM_INPUT)
		DS_TRY(print_fit(j, "", &j->here.fit, err));
	if (j->naive.n)
		DS_TRY(print_fit(j, "naive_", &j->naive, err));
	for (int i = 0; j->each && j->here.fit.n && i < j->aim.col.n; i++) {
		const ds_fit *f = &j->each[i];
		DS_TRY(run_metric(j, "column_rmse", f->n ? sqrt(f->square / (double)f->n) : NAN, NAN, NAN, -1, (int64_t)f->n, j->aim.col.name[i], NULL, err));
		DS_TRY(mean(j, "column_", "mae", f->absolute, f->n, j->aim.col.name[i], err));
	}
	if (j->ref.fit.n)
		DS_TRY(print_fit(j, "reference_", &j->ref.fit, err));
	if (j->n_alarm) {
		int64_t yes = 0, n = (int64_t)j->n_alarm;
		double lo, hi, auc = ds_auc(j->alarm, j->alarming, n);
		for (int64_t i = 0; i < n; i++)
			yes += j->alarming[i];
		ds_auc_interval(auc, yes, n - yes, &lo, &hi);
		DS_TRY(run_metric(j, "auc", auc, lo, hi, yes, n, NULL, NULL, err));
	}
	return DS_OK;
}

static ds_status measure_end(job *j, ds_err *err)
{
	double drop = 0;
	bool targets = j->here.fit.n || j->here.tokens.n || j->aim.what > DS_AIM_CLASS;
	DS_TRY(ds_rows_open(&j->rows, j->out, j->s->c.json, metric_columns, err));
	DS_TRY(print_targets(j, err));
	bool classes = !targets && j->s->score <= SCORE_RECONSTRUCTION;
	if (classes && (j->here.score.n || j->s->eval)) {
		DS_TRY(run_share(j, "top1", j->here.score.top1, j->here.score.n, err));
		DS_TRY(run_share(j, "top5", j->here.score.top5, j->here.score.n, err));
	}
	if (j->sure && j->s->score < 0)
		DS_TRY(run_sure_print(j, err));
	if (j->s->compare)
		DS_TRY(print_versus(j, &drop, err));
	if (j->s->confusion)
		DS_TRY(print_confusion(j, err));
	DS_TRY(run_watch_assert(j, err));
	if (drop > j->s->max_drop && ds_given("max-drop")) {
		bool labels = j->versus.labelled != 0;
		if (j->aim.what > DS_AIM_CLASS)
			return ds_fail(err, DS_E_CHECK, "the error has grown by %.4f of the reference's, more than %.4f", drop, j->s->max_drop);
		return ds_fail(err, DS_E_CHECK, "%s may have dropped by %.4f (95 %% interval), more than %.4f", labels ? "accuracy" : "agreement", drop,
			j->s->max_drop);
	}
	return DS_OK;
}

static bool asked(const settings *s)
{
	return s->eval || s->compare;
}

const run_mode run_measure = { asked, measure_start, measure_item, measure_end, NULL };
