/* fitting.h - what filters that train share on the command line: the table of --stage, and what a run says */
#ifndef DS_CMD_FITTING_H
#define DS_CMD_FITTING_H

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "fit/fit.h"
#include "format/dsm.h"
#include "format/history.h"

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

static ds_status read_table(const ds_common *c, const char *path, stages *t, ds_err *err)
{
	ds_source *src = NULL;
	void *owner = NULL;
	const void *p;
	size_t n;
	ds_status rc;
	DS_GOTO(ds_open_file(&src, c, path, err));
	DS_GOTO(ds_source_all(src, 1 << 20, &p, &n, &owner, err));
	DS_GOTO(ds_stages_parse(&t->table, p, n, err));
	ds_buf_str(&t->effective, "stages:\n");
	ds_buf_add(&t->effective, p, n);
out:
	ds_source_drop(owner);
	ds_source_close(src);
	return rc;
}

/* One stage, or those of --stage.  rows: the filter's table, which has the words *w at offset `at` of its settings. */
static ds_status plan_stages(const ds_common *c, const ds_fit_words *w, const ds_opt *rows, size_t at, stages *t, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_buf_str(&t->effective, c->effective);
	if (w->stage)
		rc = read_table(c, w->stage, t, err);
	if (rc == DS_OK)
		rc = ds_fit_stages(&t->stage, &t->n, w->stage ? &t->table : NULL, &(ds_fit_stage){ *w, c->data }, rows, at, ds_set_option, err);
	if (rc != DS_OK && w->stage)
		ds_err_in(err, w->stage);
	return rc == DS_OK && t->effective.oom ? ds_fail_nomem(err, 0) : rc;
}

/* The table's text, for the history; NULL: there is none. */
static const char *stages_text(const stages *t, const ds_common *c)
{
	return t->table.n_row ? t->effective.data + strlen(c->effective) : NULL;
}

/* ---- what the run says ------------------------------------------------------------------------------------------------------------- */
enum { BAD_LINES = 5, BAD_CAUSES = 16 };
typedef struct voice {
	const ds_common *c;
	ds_progress *bar;
	int64_t      total;
	struct { char text[200]; int64_t n; } cause[BAD_CAUSES];        /* why samples were left out; the last one: all other causes */
	int          n_cause;
} voice;

/* When a whole set is of the wrong kind, the first lines of a cause say it all. */
static void say_bad(void *arg, const ds_item *item, const ds_err *err)
{
	voice *v = arg;
	int i = 0;
	while (i < v->n_cause && i < BAD_CAUSES - 1 && strncmp(v->cause[i].text, err->text, sizeof v->cause[i].text - 1) != 0)
		i++;
	if (i == v->n_cause) {
		snprintf(v->cause[i].text, sizeof v->cause[i].text, "%.199s", i == BAD_CAUSES - 1 ? "other causes" : err->text);
		v->n_cause++;
	}
	if (v->cause[i].n++ < BAD_LINES || v->c->verbose)
		ds_complain(err);
}

static void say_bad_sum(const voice *v)
{
	for (int i = 0; i < v->n_cause && !v->c->verbose; i++) {
		int64_t more = v->cause[i].n - BAD_LINES;
		if (more > 0)
			ds_warn("%lld more sample%s left out (-v names %s): %s", (long long)more, more > 1 ? "s" : "", more > 1 ? "them" : "it", v->cause[i].text);
	}
}

static void say_note(void *arg, const char *text) { ds_note("%s", text); }
static void say_warn(void *arg, const char *text) { ds_warn("%s", text); }

static void say_progress(void *arg, int64_t step, int64_t total, const char *text)
{
	voice *v = arg;
	if (v->total != total) {
		ds_progress_free(v->bar);
		v->bar = ds_progress_new(v->c, "step", total);
		v->total = total;
	}
	ds_progress_at(v->bar, step, text);
}

static void say_result(const ds_fit_result *r)
{
	const ds_fit_score *v = &r->last;
	char loss[60] = "", accuracy[60] = "";
	if (v->has_loss)
		snprintf(loss, sizeof loss, ", validation loss %.4f", v->loss);
	if (v->has_accuracy)
		snprintf(accuracy, sizeof accuracy, ", validation accuracy %.2f %%", 100 * v->accuracy);
	ds_note("%lld steps in %lld epochs: loss %.4f%s%s", (long long)r->steps, (long long)r->epochs, r->loss, loss, accuracy);
}

/* ---- the result ------------------------------------------------------------------------------------------------------------------------ */
/* Write the trained model with what was done to it: `teacher` (NULL: none) and the training data stand among the external sources, `plan` is the table of stages. */
static ds_status write_trained(const ds_common *c, ds_model *m, const char *teacher, const ds_fit_result *r, const char *plan, ds_sink *out, ds_err *err)
{
	ds_status rc = DS_OK;
	const char **external = NULL;
	int n = 0;
	for (int i = 0; c->no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (c->no_history) {
		m->n_history = 0;
	} else {
		if (!(external = ds_calloc((size_t)r->n_external + 1, sizeof *external)))
			return ds_fail_nomem(err, 0);
		if (teacher)
			external[n++] = teacher;
		for (int i = 0; i < r->n_external; i++)
			external[n++] = r->external[i];
		DS_GOTO(ds_history_add(m, c->filter->name, c->effective, external, n, plan, err));
	}
	rc = ds_model_save(m, out, &(ds_dsm_wopts){ .compress = c->compress, .memory_limit = c->memory_limit }, err);
out:
	ds_free(external);
	return rc;
}

#endif
