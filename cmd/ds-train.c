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
	settings     *of;               /* of each stage */
	ds_fit_stage *stage;
	int           n;
	ds_buf        effective;        /* the settings, and behind them the table */
} stages;

static void stages_done(stages *t)
{
	for (int i = 0; t->of && t->table.n_row && i < t->n; i++)
		ds_free((void *)t->of[i].fit.freeze.v);
	ds_free(t->of);
	ds_free(t->stage);
	ds_buf_done(&t->effective);
	ds_stages_done(&t->table);
}

/* "a,b": the list anew. */
static ds_status set_list(ds_strs *l, char *text, ds_err *err)
{
	int n = 1;
	for (const char *s = text; *s; s++)
		n += *s == ',';
	const char **v = ds_calloc((size_t)n, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, 0);
	*l = (ds_strs){ v, 0 };
	for (char *s = text; s;) {
		char *comma = strchr(s, ',');
		if (comma)
			*comma++ = 0;
		if (*s)
			v[l->n++] = s;
		s = comma;
	}
	return DS_OK;
}

static const ds_opt *row_of(const char *name)
{
	static const char *const not[] = { "", "stage", "checkpoint", "checkpoint-every", "resume" };
	for (size_t i = 0; i < DS_COUNTOF(not); i++) {
		if (!strcmp(name, not[i]))
			return NULL;
	}
	for (const ds_opt *o = opts; o->name; o++) {
		if (!strcmp(o->name, name))
			return o;
	}
	return NULL;
}

/* One cell: empty changes nothing, "-" is the option's default. */
static ds_status set_cell(settings *s, const char *name, char *value, ds_err *err)
{
	const ds_opt *o = row_of(name);
	if (!*value)
		return DS_OK;
	if (!strcmp(name, "data")) {
		s->c.data = value;
		return DS_OK;
	}
	if (!o)
		return ds_fail(err, DS_E_INPUT, "no stage can set '%s'", name);
	char *at = (char *)s + o->offset;
	bool reset = !strcmp(value, "-");
	if (!strcmp(name, "epochs"))
		s->fit.steps = 0;
	switch (o->type) {
	case DS_T_FLAG:
		if (strcmp(value, "yes") && strcmp(value, "no") && !reset)
			return ds_fail(err, DS_E_INPUT, "%s: '%s' is not yes or no", name, value);
		*(bool *)at = !strcmp(value, "yes");
		return DS_OK;
	case DS_T_LIST:
		ds_free((void *)((ds_strs *)(void *)at)->v);
		*(ds_strs *)(void *)at = (ds_strs){ 0 };
		return reset ? DS_OK : set_list((ds_strs *)(void *)at, value, err);
	default:
		break;
	}
	if (!reset || o->def)
		return ds_set_option(s, o, reset ? o->def : value, err);
	if (o->type == DS_T_STR)
		*(const char **)(void *)at = NULL;
	else if (o->type == DS_T_INT)
		*(int64_t *)(void *)at = 0;
	else
		*(double *)(void *)at = 0;
	return DS_OK;
}

/* The settings of every stage from the command line and the table. */
static ds_status apply_table(settings *s, stages *t, ds_err *err)
{
	const ds_stages *c = &t->table;
	for (int i = 0; i < t->n; i++) {
		settings *own = &t->of[i];
		*own = *s;
		own->fit.freeze.v = ds_calloc((size_t)s->fit.freeze.n + 1, sizeof *own->fit.freeze.v);
		if (!own->fit.freeze.v)
			return ds_fail_nomem(err, 0);
		if (s->fit.freeze.n)
			memcpy((void *)own->fit.freeze.v, (const void *)s->fit.freeze.v, (size_t)s->fit.freeze.n * sizeof *own->fit.freeze.v);
		ds_status rc = DS_OK;
		for (int k = 0; rc == DS_OK && k < c->n_col; k++)
			rc = set_cell(own, c->cell[k], c->cell[(i + 1) * c->n_col + k], err);
		if (rc == DS_OK && !own->c.data)
			rc = ds_fail(err, DS_E_INPUT, "neither a column 'data' nor --data says what to train with");
		if (rc == DS_OK)
			rc = ds_fit_check(&own->fit, err);
		if (rc != DS_OK) {
			ds_err_prefix(err, "stage %d", i + 1);
			return rc == DS_E_USAGE ? DS_E_INPUT : rc;
		}
		t->stage[i] = (ds_fit_stage){ own->fit, own->c.data };
	}
	return DS_OK;
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
	t->n = t->table.n_row;
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
	t->n = 1;
	if (s->fit.stage && (rc = read_table(s, t, err)) != DS_OK) {
		ds_err_in(err, s->fit.stage);
		return rc;
	}
	t->of = ds_calloc((size_t)t->n, sizeof *t->of);
	t->stage = ds_calloc((size_t)t->n, sizeof *t->stage);
	if (!t->of || !t->stage || t->effective.oom)
		return ds_fail_nomem(err, 0);
	if (s->fit.stage)
		rc = apply_table(s, t, err);
	else
		t->stage[0] = (ds_fit_stage){ s->fit, s->c.data };
	if (rc != DS_OK)
		ds_err_in(err, s->fit.stage);
	return rc;
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
