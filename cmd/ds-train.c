/* ds-train.c - train a model on samples */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "fit/fit.h"
#include "format/dsm.h"
#include "format/history.h"

typedef struct settings {
	ds_common    c;
	ds_fit_words fit;
} settings;

#define FIT(member) offsetof(settings, fit.member)
static const ds_opt opts[] = {
#include "fit/options.def"
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	if (!s->c.data && !s->fit.stage)
		return ds_fail(err, DS_E_USAGE, "--data is missing: what is the model to be trained with?");
	return ds_fit_check(&s->fit, err);
}

/* ---- stages --------------------------------------------------------------------------------------------------------------------------- */
typedef struct stages {
	ds_stages     table;
	ds_fit_stage *stage;
	int           n;
	ds_buf        effective;        /* the settings, and behind them the table */
} stages;

static void stages_done(stages *t)
{
	ds_fit_stages_done(t->stage, t->n);
	ds_buf_done(&t->effective);
	ds_stages_done(&t->table);
}

static ds_status read_table(settings *s, stages *t, ds_err *err)
{
	ds_source *src = NULL;
	void *owner = NULL;
	const void *p;
	size_t n;
	ds_status rc;
	DS_GOTO(ds_open_file(&src, &s->c, s->fit.stage, err));
	DS_GOTO(ds_source_all(src, 1 << 20, &p, &n, &owner, err));
	DS_GOTO(ds_stages_parse(&t->table, p, n, err));
	ds_buf_str(&t->effective, "stages:\n");
	ds_buf_add(&t->effective, p, n);
out:
	ds_source_drop(owner);
	ds_source_close(src);
	return rc;
}

/* One stage, or those of --stage. */
static ds_status plan_stages(settings *s, stages *t, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_buf_str(&t->effective, s->c.effective);
	if (s->fit.stage)
		rc = read_table(s, t, err);
	if (rc == DS_OK)
		rc = ds_fit_stages(&t->stage, &t->n, s->fit.stage ? &t->table : NULL, &(ds_fit_stage){ s->fit, s->c.data }, opts, offsetof(settings, fit), ds_set_option, err);
	if (rc != DS_OK && s->fit.stage)
		ds_err_in(err, s->fit.stage);
	return rc == DS_OK && t->effective.oom ? ds_fail_nomem(err, 0) : rc;
}

/* ---- what the run says ------------------------------------------------------------------------------------------------------------- */
typedef struct voice { settings *s; ds_progress *bar; int64_t total, bad; } voice;

/* When a whole set is of the wrong kind, the first lines say it all. */
#define BAD_LINES 20

static void bad(void *arg, const ds_item *item, const ds_err *err)
{
	voice *v = arg;
	if (v->bad++ < BAD_LINES || v->s->c.verbose)
		ds_complain(err);
}

static void tell_bad(const voice *v)
{
	if (v->bad > BAD_LINES && !v->s->c.verbose)
		ds_warn("%lld more samples cannot be used (-v names them)", (long long)(v->bad - BAD_LINES));
}

static void note(void *arg, const char *text)
{
	ds_note("%s", text);
}

static void warn(void *arg, const char *text)
{
	ds_warn("%s", text);
}

static void progress(void *arg, int64_t step, int64_t total, const char *text)
{
	voice *v = arg;
	if (v->total != total) {
		ds_progress_free(v->bar);
		v->bar = ds_progress_new(&v->s->c, "step", total);
		v->total = total;
	}
	ds_progress_at(v->bar, step, text);
}

/* ---- the work ------------------------------------------------------------------------------------------------------------------------ */
static ds_status write_model(settings *s, ds_model *m, const ds_fit_result *r, const char *plan, ds_sink *out, ds_err *err)
{
	for (int i = 0; s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (s->c.no_history)
		m->n_history = 0;
	else
		DS_TRY(ds_history_add(m, s->c.filter->name, s->c.effective, (const char *const *)r->external, r->n_external, plan, err));
	return ds_model_save(m, out, &(ds_dsm_wopts){ .compress = s->c.compress, .memory_limit = s->c.memory_limit }, err);
}

static void summary(const ds_fit_result *r)
{
	const ds_fit_score *v = &r->last;
	char loss[60] = "", accuracy[60] = "";
	if (v->has_loss)
		snprintf(loss, sizeof loss, ", validation loss %.4f", v->loss);
	if (v->has_accuracy)
		snprintf(accuracy, sizeof accuracy, ", validation accuracy %.2f %%", 100 * v->accuracy);
	ds_note("%lld steps in %lld epochs: loss %.4f%s%s", (long long)r->steps, (long long)r->epochs, r->loss, loss, accuracy);
}

static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	voice v = { s, NULL, -1, 0 };
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_model *m = NULL;
	ds_fit_result r = { 0 };
	ds_status rc;
	stages t = { 0 };
	DS_GOTO(ds_open_output(&out, &s->c, true, err));
	DS_GOTO(plan_stages(s, &t, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = ds_model_load(&m, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	in = NULL;
	if (rc != DS_OK)
		goto out;
	ds_fit_opts o = { .stage = t.stage, .n_stage = t.n, .report = s->c.report, .effective = t.effective.data, .seed = (uint64_t)s->c.seed, .threads = (int)s->c.threads,
		.memory_limit = s->c.memory_limit, .hook = { .arg = &v, .bad = bad, .note = note, .warn = warn, .progress = progress } };
	DS_GOTO(ds_fit_run(m, &o, &r, err));
	summary(&r);
	DS_GOTO(write_model(s, m, &r, s->fit.stage ? t.effective.data + strlen(s->c.effective) : NULL, out, err));
	rc = ds_sink_commit(out, err);
	out = NULL;
	if (r.bad)
		ds_items_failed(r.bad, r.items);
out:
	ds_progress_free(v.bar);
	tell_bad(&v);
	ds_fit_result_done(&r);
	stages_done(&t);
	ds_sink_abort(out);
	ds_source_close(in);
	ds_model_free(m);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-train",
	.summary = "train a model on samples",
	.usage = "[option ...] -d PATH [MODEL]",
	.examples = "$ ds-train -d train/ --epochs 20 model.dsm -o trained.dsm\n"
		"$ ds-train -d train/ --holdout .1 --augment crop:2 < model.dsm > t.dsm\n"
		"$ ds-train -d train/ --checkpoint run.dsm --resume model.dsm -o trained.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_HISTORY | DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
