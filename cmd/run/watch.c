/* watch.c - figures that somebody waits for: --assert judges them, --metrics hands them to Prometheus */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/metrics.h"
#include "profile/assert.h"
#include "profile/time.h"
#include "job.h"

enum { FIGURE, FAILED };                /* of a row of --eval; counted here */

#define SURE_KEYS(prefix) \
	{ prefix "nll", DS_UNIT_PLAIN, false, FIGURE, "" }, { prefix "brier", DS_UNIT_PLAIN, false, FIGURE, "" }, { prefix "ece", DS_UNIT_SHARE, false, FIGURE, "" }, \
	{ prefix "adaptive_ece", DS_UNIT_SHARE, false, FIGURE, "" }

static const ds_assert_key keys[] = {
	{ "top1", DS_UNIT_SHARE, true, FIGURE, "" }, { "top5", DS_UNIT_SHARE, true, FIGURE, "" }, { "mse", DS_UNIT_PLAIN, false, FIGURE, "" },
	{ "mae", DS_UNIT_PLAIN, false, FIGURE, "" }, { "auc", DS_UNIT_SHARE, true, FIGURE, "" }, { "bits_per_token", DS_UNIT_PLAIN, false, FIGURE, "" },
	{ "perplexity", DS_UNIT_PLAIN, false, FIGURE, "" }, { "token_accuracy", DS_UNIT_SHARE, true, FIGURE, "" }, { "agreement", DS_UNIT_SHARE, true, FIGURE, "" },
	{ "drop", DS_UNIT_SHARE, false, FIGURE, "" }, { "coverage", DS_UNIT_SHARE, true, FIGURE, "" }, { "set_size", DS_UNIT_PLAIN, false, FIGURE, "" },
	{ "failed", DS_UNIT_SHARE, false, FAILED, "" }, SURE_KEYS(""), SURE_KEYS("temperature_"), SURE_KEYS("mc_"), SURE_KEYS("ensemble_"), { 0 }
};

ds_status run_watch_check(const settings *s, ds_err *err)
{
	ds_assertion a;
	for (int i = 0; i < s->assert_.n; i++)
		DS_TRY(ds_assert_parse(&a, s->assert_.v[i], keys, err));
	if (s->assert_.n && !s->eval && !s->compare)
		return ds_fail(err, DS_E_USAGE, "--assert needs --eval or --compare, which measure the figures");
	if (s->metrics && !strcmp(s->metrics, "-"))
		return ds_fail(err, DS_E_USAGE, "--metrics writes a file: the results go to standard output");
	return DS_OK;
}

void run_watch_begin(job *j)
{
	j->watch.begun = ds_time_now();
}

ds_status run_watch_figure(job *j, const char *name, double v, double lo, double hi, ds_err *err)
{
	watch *w = &j->watch;
	if (!j->s->assert_.n && !j->s->metrics)
		return DS_OK;
	if (!ds_grow((void **)&w->seen, w->n, &w->cap, sizeof *w->seen))
		return ds_fail_nomem(err, 0);
	run_figure *f = &w->seen[w->n++];
	snprintf(f->name, sizeof f->name, "%s", name);
	f->v[0] = v;
	f->v[1] = lo;
	f->v[2] = hi;
	return DS_OK;
}

void run_watch_done(job *j)
{
	ds_free(j->watch.seen);
	j->watch.seen = NULL;
}

/* ---- conditions ------------------------------------------------------------------------------------------------------------------ */

static void judge(const job *j, ds_assertion *a)
{
	if (a->key->needs == FAILED) {
		ds_assert_judge(a, j->n ? (double)j->failed / (double)j->n : NAN, NAN, NAN);       /* counted, not sampled */
		return;
	}
	for (size_t i = 0; i < j->watch.n; i++)
		if (!strcmp(j->watch.seen[i].name, a->key->name)) {
			const double *v = j->watch.seen[i].v;
			ds_assert_judge(a, v[0], v[1], v[2]);
			return;
		}
}

static void number(ds_rows *rows, double v)
{
	if (isnan(v))
		ds_rows_null(rows);
	else
		ds_rows_f64(rows, v);
}

static ds_status print(job *j, const ds_assertion *a, ds_err *err)
{
	const char *verdict = a->met ? "met" : "not met";
	ds_rows_str(j->rows, a->key->name, strlen(a->key->name));
	ds_rows_str(j->rows, a->op, strlen(a->op));
	number(j->rows, a->want);
	number(j->rows, a->value);
	number(j->rows, a->lo);
	number(j->rows, a->hi);
	ds_rows_str(j->rows, verdict, strlen(verdict));
	return ds_rows_end(j->rows, err);
}

/* A table of its own behind the figures. */
ds_status run_watch_assert(job *j, ds_err *err)
{
	static const char *const columns[] = { "figure", "must_be", "bound", "value", "low", "high", "verdict", NULL };
	ds_buf unmet = { 0 };
	int n = j->s->assert_.n, bad = 0;
	ds_status rc = DS_OK;
	if (!n)
		return DS_OK;
	ds_rows_close(j->rows);
	j->rows = NULL;
	if (!j->s->c.json)
		DS_TRY(ds_sink_write(j->out, "\n", 1, err));
	DS_TRY(ds_rows_open(&j->rows, j->out, j->s->c.json, columns, err));
	for (int i = 0; i < n && rc == DS_OK; i++) {
		ds_assertion a;
		rc = ds_assert_parse(&a, j->s->assert_.v[i], keys, err);
		if (rc != DS_OK)
			break;
		judge(j, &a);
		rc = print(j, &a, err);
		if (a.met)
			continue;
		ds_buf_str(&unmet, bad++ ? "; " : "");
		ds_assert_say(&a, &unmet);
	}
	if (rc == DS_OK && bad)
		rc = ds_fail(err, DS_E_CHECK, "%s", unmet.data && !unmet.oom ? unmet.data : "a condition is not met");
	ds_buf_done(&unmet);
	return rc;
}

/* ---- metrics --------------------------------------------------------------------------------------------------------------------- */

ds_status run_watch_metrics(job *j, ds_err *err)
{
	static const ds_metric samples = { "ds_run_samples", DS_METRIC_GAUGE, "Samples of the last run." },
		failed = { "ds_run_failed_samples", DS_METRIC_GAUGE, "Samples of the last run that failed." },
		seconds = { "ds_run_duration_seconds", DS_METRIC_GAUGE, "Time that the last run took." },
		figure = { "ds_run_figure", DS_METRIC_GAUGE, "Figures of --eval and --compare by their names." },
		low = { "ds_run_figure_low", DS_METRIC_GAUGE, "Lower end of the figure's 95 % interval." },
		high = { "ds_run_figure_high", DS_METRIC_GAUGE, "Upper end of the figure's 95 % interval." };
	const ds_metric *ends[] = { &figure, &low, &high };
	ds_metrics m;
	if (!j->s->metrics)
		return DS_OK;
	ds_metrics_begin(&m, "ds-run", j->s->c.model && strcmp(j->s->c.model, "-") ? j->s->c.model : "stdin");
	ds_metrics_add(&m, &samples, NULL, NULL, (double)j->n);
	ds_metrics_add(&m, &failed, NULL, NULL, (double)j->failed);
	ds_metrics_add(&m, &seconds, NULL, NULL, ds_time_now() - j->watch.begun);
	for (int e = 0; e < 3; e++)
		for (size_t i = 0; i < j->watch.n; i++)
			ds_metrics_add(&m, ends[e], "figure", j->watch.seen[i].name, j->watch.seen[i].v[e]);
	ds_metrics_process(&m);
	return ds_metrics_end(&m, j->s->metrics, err);
}
