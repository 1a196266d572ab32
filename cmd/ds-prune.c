/* ds-prune.c - take whole channels out of a model, together with everything that depends on them */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "prune/prune.h"

static const char *const units[] = { "channel", NULL };
static const char *const scopes[] = { "local", "global", NULL };
static const char *const schedules[] = { "linear", "cubic", NULL };

#define AT(member) offsetof(settings, member)

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What goes" },
	{ .name = "ratio", .letter = 'r', .type = DS_T_FLOAT, .offset = AT(ratio), .metavar = "R", .def = "0.2", .min = 0, .max = 0.99,
		.help = "share of the channels that goes" },
	{ .name = "criterion", .type = DS_T_STR, .offset = AT(criterion), .metavar = "NAME", .def = "l1",
		.help = "what a channel is worth: l1, l2, taylor, fisher, snip, random" },
	{ .name = "loss", .type = DS_T_STR, .offset = AT(loss), .metavar = "NAME",
		.help = "what taylor, fisher and snip take the gradient of; default: by what --data say of each sample" },
	{ .name = "scope", .type = DS_T_CHOICE, .offset = AT(scope), .def = "local", .choices = scopes,
		.help = "the ratio holds in every group, or over all of them" },
	{ .name = "unit", .type = DS_T_CHOICE, .offset = AT(unit), .def = "channel", .choices = units, .help = "what is cut" },
	{ .name = "min-keep", .type = DS_T_INT, .offset = AT(min_keep), .metavar = "N", .def = "1", .min = 1, .max = 1e9,
		.help = "channels that stay in every group" },
	{ .name = "round", .type = DS_T_INT, .offset = AT(round), .metavar = "N", .def = "1", .min = 1, .max = 4096,
		.help = "round what stays up to a multiple of N" },
	{ .name = "", .type = DS_T_GROUP, .help = "Targets instead of a ratio: how much of each group goes is searched for" },
	{ .name = "target-params", .type = DS_T_STR, .offset = AT(target_params), .metavar = "N|P%", .help = "parameters of all weights, or a percentage of what they are" },
	{ .name = "target-macs", .type = DS_T_STR, .offset = AT(target_macs), .metavar = "N|P%", .help = "multiply-adds for one sample" },
	{ .name = "target-size", .type = DS_T_STR, .offset = AT(target_size), .metavar = "SIZE|P%", .help = "bytes of the model file" },
	{ .name = "target-latency", .type = DS_T_STR, .offset = AT(target_latency), .metavar = "MS|P%",
		.help = "milliseconds for one sample on this machine, with as many --threads, by a table of measured layers" },
	{ .name = "max-drop", .type = DS_T_FLOAT, .offset = AT(max_drop), .metavar = "X", .min = 0, .max = 100,
		.help = "the smallest model whose accuracy is at most X points lower; no smaller than a target that is given" },
	{ .name = "latency-table", .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(latency_table), .metavar = "FILE",
		.help = "times of layers: read from FILE, or measured and written there if it does not exist" },
	{ .name = "front", .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(front), .metavar = "FILE",
		.help = "write the plans that the search went through (TSV): cost, score lost, channels of each group" },
	{ .name = "", .type = DS_T_GROUP, .help = "Stages and repair" },
	{ .name = "steps", .type = DS_T_INT, .offset = AT(steps), .metavar = "N", .def = "1", .min = 1, .max = 1000,
		.help = "cut in N stages, each scored anew" },
	{ .name = "schedule", .type = DS_T_CHOICE, .offset = AT(schedule), .def = "cubic", .choices = schedules,
		.help = "how much of the whole has gone after each stage: cubic takes most at first" },
	{ .name = "finetune", .type = DS_T_STR, .offset = AT(finetune), .metavar = "WORDS",
		.help = "train with --data after each stage: options of ds-train without dashes, as in 'epochs=1 lr=0.01 augment=flip,crop:4'" },
	{ .name = "control", .type = DS_T_STR, .offset = AT(control), .metavar = "NAME",
		.help = "do the same with another criterion at the same numbers and tell how it fares; the model written is that of --criterion" },
	{ .name = "samples", .type = DS_T_INT, .offset = AT(samples), .metavar = "N", .def = "2048", .min = 1, .max = 1e9,
		.help = "samples of --calibrate and of --data to score and to recalibrate with, evenly spaced" },
	{ .name = "holdout", .type = DS_T_FLOAT, .offset = AT(holdout), .metavar = "R", .def = "0", .min = 0, .max = 0.9,
		.help = "keep this share of --data apart to measure accuracy with; with --max-drop and --control 0.2 where nothing is said" },
	{ 0 }
};

/* ---- what is heard -------------------------------------------------------------------------------------------------------------- */
static void hear_bad(void *arg, const ds_item *item, const ds_err *err)
{
	(void)arg, (void)item;
	ds_complain(err);
}

static void hear_progress(void *arg, const char *what, int64_t done, int64_t total)
{
	voice *v = arg;
	if (!v->bar || strcmp(v->what, what) != 0 || v->total != total) {
		ds_progress_free(v->bar);
		snprintf(v->what, sizeof v->what, "%s", what);
		v->total = total;
		v->bar = ds_progress_new(&v->s->c, v->what, total);
	}
	ds_progress_at(v->bar, done, NULL);
}

static void hear_measuring(void *arg, int done, int all)
{
	hear_progress(arg, "layers timed", done, all);
}

static void hear_note(void *arg, const char *text)
{
	(void)arg;
	ds_note("%s", text);
}

/* ---- settings of the work --------------------------------------------------------------------------------------------------------- */
static bool allowed(void *arg, const char *weight)
{
	return ds_only_match(&((only_arg *)arg)->set, weight);
}

static ds_status read_text(const char *path, const ds_common *c, ds_source **src, const void **p, size_t *n, void **owner, ds_err *err)
{
	DS_TRY(ds_open_file(src, c, path, err));
	return ds_source_all(*src, c->memory_limit, p, n, owner, err);
}

static ds_status write_text(const char *path, const ds_buf *b, ds_err *err)
{
	ds_sink *sink;
	if (b->oom)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_sink_open(&sink, path, err));
	ds_status rc = ds_sink_write(sink, b->data, b->len, err);
	if (rc == DS_OK)
		return ds_sink_commit(sink, err);
	ds_sink_abort(sink);
	return rc;
}

static void work_done(work *w)
{
	ds_progress_free(w->v.bar);
	ds_slim_result_done(&w->r);
	ds_slim_result_done(&w->control);
	ds_slim_free(w->slim);
	ds_latency_free(w->table);
	ds_structure_free(w->st);
	ds_graph_free(w->before);
	ds_source_drop(w->plan_owner);
	ds_source_close(w->plan_src);
	ds_free(w->s->words_text);
}

/* The structure of the whole model, to see early what is wrong with words and model. */
static ds_status look(work *w, ds_err *err)
{
	DS_TRY(ds_structure_new(&w->st, w->m, NULL, err));
	if (!w->st->n_group)
		return ds_fail(err, DS_E_INPUT, "the model has no channels that can be cut");
	DS_TRY(ds_only_init(&w->only.set, &w->s->c, err));
	ds_status rc = ds_prune_choose(w->st, &(ds_prune_opts){ .allowed = allowed, .arg = &w->only, .min_keep = 1 }, err);
	if (rc == DS_OK)
		rc = ds_only_done(&w->only.set, err);
	if (rc == DS_OK)
		rc = ds_only_init(&w->only.set, &w->s->c, err);         /* weights are asked for again at every stage */
	return rc;
}

static ds_status read_plan(work *w, ds_err *err)
{
	settings *s = w->s;
	ds_prune_plan_head h;
	const void *text;
	if (!s->c.plan)
		return DS_OK;
	DS_TRY(read_text(s->c.plan, &s->c, &w->plan_src, &text, &w->p.text_len, &w->plan_owner, err));
	w->p.text = text;
	w->p.force = s->c.force;
	ds_status rc = ds_prune_plan_head_read(text, w->p.text_len, &h, err);
	if (rc == DS_OK && !(w->p.criterion = ds_criterion_find(h.criterion)))
		rc = ds_fail(err, DS_E_INPUT, "the plan's criterion \"%s\" is not known", h.criterion);
	if (rc == DS_OK)        /* what it asks of the model, before data are read */
		rc = ds_prune_plan_apply(w->st, text, w->p.text_len, w->m, s->c.force, err);
	w->p.seed = h.seed;
	if (rc != DS_OK)
		ds_err_in(err, s->c.plan);
	return rc;
}

/* The table of latencies: read, or measured (and written). */
static ds_status get_table(work *w, ds_err *err)
{
	settings *s = w->s;
	ds_source *src = NULL;
	void *owner = NULL;
	const void *text;
	size_t n;
	ds_buf b = { 0 };
	ds_status rc;
	if (s->latency_table && access(s->latency_table, F_OK) == 0) {
		rc = read_text(s->latency_table, &s->c, &src, &text, &n, &owner, err);
		if (rc == DS_OK)
			rc = ds_latency_read(&w->table, text, n, w->m, s->c.force, err);
		if (rc != DS_OK)
			ds_err_in(err, s->latency_table);
		ds_source_drop(owner);
		ds_source_close(src);
		return rc;
	}
	ds_latency_opts o = { .threads = (int)s->c.threads, .round = s->round, .min_keep = s->min_keep, .budget = 8, .memory_limit = s->c.memory_limit,
		.progress = hear_measuring, .arg = &w->v };
	DS_TRY(ds_latency_measure(&w->table, w->st, w->m, &o, err));
	if (!s->latency_table)
		return DS_OK;
	ds_latency_write(w->table, w->m, &b);
	rc = write_text(s->latency_table, &b, err);
	ds_buf_done(&b);
	return rc;
}

static ds_status size_of(void *arg, ds_model *m, const ds_buf *plan, uint64_t *bytes, ds_err *err);

/* What is aimed at, in absolute numbers. */
static ds_status set_target(work *w, ds_err *err)
{
	settings *s = w->s;
	target t = { .kind = DS_COST_PARAMS };
	bool share = false;
	double v = 0, whole;
	int n = prune_targets(s, &t);
	w->p.by_cost = n || s->hold;
	if (!w->p.by_cost)
		return DS_OK;
	if (n)
		DS_TRY(prune_parse_amount(&t, &v, &share, err));
	w->p.kind = t.kind;
	if (t.kind == DS_COST_LATENCY) {
		DS_TRY(get_table(w, err));
		w->p.table = w->table;
	}
	if (t.kind == DS_COST_BYTES) {
		uint64_t bytes = w->m->id_len;  /* of the stream that was read */
		ds_buf none = { 0 };
		if (!bytes)
			DS_TRY(size_of(w, w->m, &none, &bytes, err));
		whole = (double)bytes;
		w->p.size_of = size_of;
	} else {
		DS_TRY(ds_prune_choose(w->st, &(ds_prune_opts){ .min_keep = 1 }, err));
		DS_TRY(ds_prune_cost(w->st, t.kind, w->p.table, &whole, err));
	}
	w->p.target = share ? v * whole : v;
	return DS_OK;
}

static ds_status write_front(work *w, ds_err *err)
{
	settings *s = w->s;
	static const char *const what[] = { "parameters", "bytes", "macs", "milliseconds" };
	ds_front f;
	ds_buf b = { 0 };
	int64_t used;
	if (!s->front && !(s->c.verbose && w->p.by_cost))
		return DS_OK;
	DS_TRY(ds_slim_score(w->slim, w->st, w->m, w->p.criterion, w->p.seed, &used, err));
	DS_TRY(ds_prune_search(w->st, &w->p.choose, w->p.kind, w->p.table, &f, err));
	ds_buf_printf(&b, "plan\t%s\tshare\tlost", what[w->p.kind]);
	for (int g = 0; g < w->st->n_group; g++) {
		ds_buf_str(&b, "\t");
		ds_text_quote(&b, w->st->group[g].name, strlen(w->st->group[g].name));
	}
	for (int i = 0; i < f.n; i++) {
		double scale = w->p.kind == DS_COST_LATENCY ? 1e3 : 1;
		ds_buf_printf(&b, "\n%d\t%.6g\t%.4f\t%.6g", i, f.row[i].cost * scale, f.row[i].cost / f.row[0].cost, f.row[i].lost);
		for (int g = 0; g < w->st->n_group; g++)
			ds_buf_printf(&b, "\t%d", f.row[i].keep[g]);
		if (i % DS_MAX(f.n / 12, 1) == 0)
			ds_note("front: %.4g %s (%.1f %%), score lost %.4g", f.row[i].cost * scale, what[w->p.kind], 100 * f.row[i].cost / f.row[0].cost, f.row[i].lost);
	}
	ds_buf_str(&b, "\n");
	ds_status rc = s->front ? write_text(s->front, &b, err) : DS_OK;
	ds_front_done(&f);
	ds_buf_done(&b);
	return rc;
}

/* ---- the work ------------------------------------------------------------------------------------------------------------------ */
/* trial: samples may not have been read yet, so the longest lines that they can have stand for them. */
static ds_status save(const work *w, ds_model *m, const ds_buf *plan, bool trial, ds_sink *out, ds_err *err)
{
	const settings *s = w->s;
	char *line[3] = { NULL, NULL, NULL };
	int n = 0;
	ds_status rc = DS_OK;
	if (w->p.text && !s->c.no_history && !(line[n++] = ds_history_external("plan", w->p.text, w->p.text_len)))
		rc = ds_fail_nomem(err, 0);
	for (int i = 0; i < 2 && rc == DS_OK && !s->c.no_history; i++) {
		const char *role = i ? "training" : "calibration";
		char hex[65] = "0000000000000000000000000000000000000000000000000000000000000000";
		uint64_t len = UINT64_MAX;
		if (trial ? !(i ? s->c.data : s->c.calibrate) : !ds_slim_sum(w->slim, i, &role, hex, &len))
			continue;
		if (!(line[n++] = ds_history_external_sum(role, hex, len)))
			rc = ds_fail_nomem(err, 0);
	}
	if (rc == DS_OK && !s->c.no_history)
		rc = ds_history_add(m, s->c.filter->name, s->c.effective, (const char *const *)line, n, plan->data, err);
	for (int i = 0; i < n; i++)
		ds_free(line[i]);
	return rc == DS_OK ? ds_model_save(m, out, &(ds_dsm_wopts){ .compress = s->c.compress, .memory_limit = s->c.memory_limit }, err) : rc;
}

/* What the file would have, history and all. */
static ds_status size_of(void *arg, ds_model *m, const ds_buf *plan, uint64_t *bytes, ds_err *err)
{
	const work *w = arg;
	ds_buf b = { 0 };
	ds_sink *sink;
	ds_model trial = *m;            /* its own list of history, one longer */
	trial.history = NULL;
	trial.n_history = 0;
	trial.cap_history = 0;
	ds_status rc = ds_sink_memory(&sink, &b, err);
	for (int i = 0; rc == DS_OK && !w->s->c.no_history && i < m->n_history; i++) {
		ds_meta copy = { 0 };
		rc = ds_meta_copy(&copy, &m->history[i]);
		if (rc == DS_OK)
			rc = ds_model_history_add(&trial, &copy);
		ds_meta_done(&copy);
		if (rc != DS_OK)
			rc = ds_fail_nomem(err, 0);
	}
	if (rc == DS_OK)
		rc = save(w, &trial, plan, true, sink, err);
	if (rc == DS_OK)
		rc = ds_sink_commit(sink, err);
	else
		ds_sink_abort(sink);
	*bytes = b.len;
	for (int i = 0; i < trial.n_history; i++)
		ds_meta_done(&trial.history[i]);
	ds_free(trial.history);
	ds_buf_done(&b);
	return rc;
}

/* The same numbers with another criterion, on a copy. */
static ds_status run_control(work *w, ds_err *err)
{
	ds_slim_plan p = w->p;
	ds_graph *done = w->m->graph;
	p.criterion = ds_criterion_find(w->s->control);
	p.by_cost = false;
	if (!(w->m->graph = ds_graph_clone(w->before))) {
		w->m->graph = done;
		return ds_fail_nomem(err, 0);
	}
	ds_note("control: %s at the same numbers", w->s->control);
	ds_status rc = ds_slim_run(w->slim, w->m, &p, &w->r, false, &w->control, err);
	ds_graph_free(w->m->graph);
	w->m->graph = done;
	return rc;
}

static const ds_fit_score *last_score(const ds_slim_result *r)
{
	const ds_slim_stage *g = &r->stage[r->n_stage - 1];
	return g->tuned ? &g->after : &g->cut;
}

static void tell_control(const work *w)
{
	const ds_fit_score *a = last_score(&w->r), *b = last_score(&w->control);
	if (a->has_accuracy && b->has_accuracy)
		ds_note("%s %.2f %%, control %s %.2f %%: %+.2f points (%" PRId64 " samples kept apart)", w->p.criterion->name, 100 * a->accuracy, w->s->control, 100 * b->accuracy,
			100 * (a->accuracy - b->accuracy), a->n);
	else
		ds_note("%s loss %.4f, control %s %.4f (%" PRId64 " samples kept apart)", w->p.criterion->name, a->loss, w->s->control, b->loss, a->n);
}

/* Time of the model that was read and of the one that is written, in turns. */
static ds_status tell_latency(work *w, ds_err *err)
{
	ds_type *in = ds_calloc((size_t)w->st->g->n_input + 1, sizeof *in);
	double a, b;
	if (!in)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < w->st->g->n_input; i++)
		in[i] = w->st->g->input[i]->type;
	ds_status rc = ds_latency_compare(w->before, w->m->graph, in, (int)w->s->c.threads, &a, &b, err);
	ds_free(in);
	if (rc == DS_OK)
		ds_note("measured latency %.4g > %.4g ms (%.1f %%), by the table %.4g ms were wanted", a * 1e3, b * 1e3, 100 * b / a, w->p.target * 1e3);
	return rc;
}

/* Everything between reading and writing the model. */
static ds_status prune(work *w, ds_err *err)
{
	settings *s = w->s;
	uint64_t bad, all;
	int tried;
	DS_TRY(look(w, err));
	w->p = (ds_slim_plan){ .criterion = ds_criterion_find(s->criterion), .seed = (uint64_t)s->c.seed, .choose = { .ratio = s->ratio, .global = s->scope == 1,
		.min_keep = s->min_keep, .round = s->round, .allowed = allowed, .arg = &w->only }, .steps = (int)s->steps, .cubic = s->schedule == 1,
		.recalibrate = s->c.calibrate || s->c.data, .measure = s->holdout > 0, .finetune = s->finetune ? &s->words : NULL, .note = hear_note, .arg = w };
	DS_TRY(read_plan(w, err));
	DS_TRY(ds_slim_new(&w->slim, w->m, &(ds_slim_opts){ .data = s->c.data, .calibrate = s->c.calibrate, .samples = s->samples, .holdout = s->holdout, .loss = s->loss,
		.seed = (uint64_t)s->c.seed, .threads = (int)s->c.threads, .memory_limit = s->c.memory_limit, .bad = hear_bad, .progress = hear_progress, .arg = &w->v }, err));
	DS_TRY(set_target(w, err));
	if (w->p.by_cost)
		DS_TRY(write_front(w, err));
	if (s->hold) {
		DS_TRY(ds_slim_smallest(w->slim, w->m, &w->p, s->max_drop / 100, &w->r, &w->accuracy_before, &w->accuracy_after, &tried, err));
		ds_note("accuracy %.2f > %.2f %% after %d plans, at most %.4g points were to go", 100 * w->accuracy_before, 100 * w->accuracy_after, tried, s->max_drop);
	} else {
		DS_TRY(ds_slim_run(w->slim, w->m, &w->p, NULL, s->c.dry_run, &w->r, err));
	}
	if (s->c.dry_run)
		return DS_OK;
	if (w->r.scored)
		ds_note("scored by %s with %" PRId64 " samples", w->p.criterion->name, w->r.scored);
	if (w->p.recalibrate && w->r.norms)
		ds_note("recalibrated %d batch norms with %" PRId64 " samples", w->r.norms, w->r.recalibrated);
	if (s->c.calibrate && !w->r.norms)
		ds_warn("the model has no batch normalisation: nothing to recalibrate with --calibrate");
	if (s->control) {
		DS_TRY(run_control(w, err));
		tell_control(w);
	}
	if (s->target_latency)
		DS_TRY(tell_latency(w, err));
	ds_slim_counts(w->slim, &bad, &all);
	if (bad)
		ds_items_failed(bad, all);
	return DS_OK;
}

static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	work w = { .s = s, .v = { .s = s } };
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_model before = { 0 };
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, !s->c.dry_run, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = ds_model_load(&w.m, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	in = NULL;
	if (rc != DS_OK)
		goto out;
	if (!(w.before = ds_graph_clone(w.m->graph))) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(prune(&w, err));
	if (s->c.dry_run) {
		DS_GOTO(ds_sink_write(out, w.r.plan.data, w.r.plan.len, err));
	} else {
		before.graph = w.before;
		DS_GOTO(prune_show_table(&w, &before, w.m, err));
		for (int i = 0; s->c.no_history && i < w.m->n_history; i++)
			ds_meta_done(&w.m->history[i]);
		if (s->c.no_history)
			w.m->n_history = 0;
		DS_GOTO(save(&w, w.m, &w.r.plan, false, out, err));
	}
	rc = ds_sink_commit(out, err);
	out = NULL;
out:
	ds_sink_abort(out);
	ds_source_close(in);
	work_done(&w);
	ds_model_free(w.m);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-prune",
	.summary = "remove channels of a network",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-prune --ratio .2 -c calib/ model.dsm -o small.dsm\n"
		"$ ds-prune --target-latency 70% --criterion l1 model.dsm -o fast.dsm\n"
		"$ ds-prune --ratio .3 --only 'block*' --dry-run model.dsm > plan.tsv\n"
		"$ ds-prune --plan plan.tsv < model.dsm > small.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_ONLY | DS_C_HISTORY | DS_C_CALIBRATE |
		DS_C_PLAN | DS_C_REPORT | DS_C_COMPRESS | DS_C_DATA,
	.settings_size = sizeof(settings),
	.check = prune_check,
	.run = run,
	.libraries = "libpng zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
