/* ds-prune.c - take whole channels out of a model, together with everything that depends on them */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "data/batch.h"
#include "format/dsm.h"
#include "format/history.h"
#include "prune/prune.h"

typedef struct settings {
	ds_common   c;
	int         unit, scope;
	const char *criterion, *loss;
	double      ratio;
	int64_t     min_keep, round, samples;
} settings;

static const char *const units[] = { "channel", NULL };
static const char *const scopes[] = { "local", "global", NULL };

#define AT(member) offsetof(settings, member)

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What goes" },
	{ .name = "ratio", .letter = 'r', .type = DS_T_FLOAT, .offset = AT(ratio), .metavar = "R", .def = "0.2", .min = 0, .max = 0.99,
		.help = "share of the channels that goes" },
	{ .name = "criterion", .type = DS_T_STR, .offset = AT(criterion), .metavar = "NAME", .def = "l1",
		.help = "what a channel is worth: l1, l2, taylor, fisher, snip, random" },
	{ .name = "loss", .type = DS_T_STR, .offset = AT(loss), .metavar = "NAME", .def = "cross-entropy",
		.help = "what taylor, fisher and snip take the gradient of" },
	{ .name = "scope", .type = DS_T_CHOICE, .offset = AT(scope), .def = "local", .choices = scopes,
		.help = "the ratio holds in every group, or over all of them" },
	{ .name = "unit", .type = DS_T_CHOICE, .offset = AT(unit), .def = "channel", .choices = units, .help = "what is cut" },
	{ .name = "min-keep", .type = DS_T_INT, .offset = AT(min_keep), .metavar = "N", .def = "1", .min = 1, .max = 1e9,
		.help = "channels that stay in every group" },
	{ .name = "round", .type = DS_T_INT, .offset = AT(round), .metavar = "N", .def = "1", .min = 1, .max = 4096,
		.help = "round what stays up to a multiple of N" },
	{ .name = "", .type = DS_T_GROUP, .help = "Repair" },
	{ .name = "samples", .type = DS_T_INT, .offset = AT(samples), .metavar = "N", .def = "2048", .min = 1, .max = 1e9,
		.help = "samples of --calibrate and of --data to use, evenly spaced" },
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	if (!ds_criterion_find(s->criterion)) {
		int n;
		const ds_criterion *const *all = ds_criterion_all(&n);
		char list[200] = "";
		for (int i = 0; i < n; i++)
			snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", all[i]->name);
		return ds_fail(err, DS_E_USAGE, "--criterion '%s' is none of %s", s->criterion, list);
	}
	const ds_criterion *criterion = ds_criterion_find(s->criterion);
	if (!s->c.plan && criterion->data && !s->c.data)
		return ds_fail(err, DS_E_USAGE, "--criterion %s takes gradients: it wants samples with labels (--data)", s->criterion);
	if (!s->c.plan && s->c.data && !criterion->data)
		return ds_fail(err, DS_E_USAGE, "--data has no meaning with --criterion %s", s->criterion);
	if (!ds_loss_find(s->loss))
		return ds_fail(err, DS_E_USAGE, "--loss '%s' is not known", s->loss);
	if (s->c.plan && (ds_given("ratio") || ds_given("criterion") || ds_given("scope") || ds_given("min-keep") || ds_given("round") || ds_given("seed")))
		return ds_fail(err, DS_E_USAGE, "--plan says what goes: no --ratio, --criterion, --scope, --min-keep, --round, --seed beside it");
	if (s->c.plan && s->c.dry_run)
		return ds_fail(err, DS_E_USAGE, "--plan and --dry-run exclude each other");
	if (ds_given("samples") && !s->c.calibrate && !s->c.data)
		return ds_fail(err, DS_E_USAGE, "--samples has a meaning with --calibrate or --data only");
	return DS_OK;
}

static void bad_sample(void *arg, const ds_item *item, const ds_err *err)
{
	(void)item;
	++*(uint64_t *)arg;
	ds_complain(err);
}

/* ---- samples with labels ---------------------------------------------------------------------------------------------------------- */
typedef struct labelled {
	ds_samples *data;
	int64_t     every, seen, used, most, items;
	ds_tensor  *in, target;
	int         n_in;
	uint64_t    bad;
	ds_progress *bar;
} labelled;

static void labelled_done(labelled *l)
{
	for (int i = 0; i < l->n_in; i++)
		ds_tensor_done(&l->in[i]);
	ds_free(l->in);
	ds_tensor_done(&l->target);
	ds_progress_free(l->bar);
	if (l->data)
		l->data->free(l->data);
}

static ds_status labelled_next(void *arg, const ds_tensor **in, int *n_in, const ds_tensor **target, ds_err *err)
{
	labelled *l = arg;
	for (int64_t n = 0; n < l->items;) {
		ds_item item;
		bool bad = false;
		if (l->used >= l->most)
			return DS_END;
		ds_status rc = l->data->next(l->data, &item, &bad, err);
		if (rc != DS_OK && bad) {
			bad_sample(&l->bad, &item, err);
			continue;
		}
		DS_TRY(rc);
		if (l->seen++ % l->every)
			continue;
		if (item.label < 0)
			return ds_fail(err, DS_E_INPUT, "sample %lld has no label", (long long)item.index);
		if (!l->in) {
			if (!(l->in = ds_calloc((size_t)item.n_in + 1, sizeof *l->in)))
				return ds_fail_nomem(err, 0);
			for (; l->n_in < item.n_in; l->n_in++) {
				int64_t dim[DS_MAX_RANK];
				memcpy(dim, item.in[l->n_in].dim, sizeof dim);
				if (l->items > 1)
					dim[0] = l->items;
				DS_TRY(ds_tensor_new(&l->in[l->n_in], item.in[l->n_in].dtype, item.in[l->n_in].rank, dim, err));
			}
			DS_TRY(ds_tensor_new(&l->target, DS_I64, 1, &l->items, err));
		}
		for (int i = 0; i < l->n_in; i++) {
			size_t bytes = ds_tensor_bytes(&item.in[i]);
			memcpy((char *)l->in[i].data + (size_t)n * bytes, item.in[i].data, bytes);
		}
		((int64_t *)l->target.data)[n++] = item.label;
		ds_progress_at(l->bar, ++l->used, NULL);
	}
	*in = l->in;
	*n_in = l->n_in;
	*target = &l->target;
	return DS_OK;
}

/* What every channel is worth. */
static ds_status score(settings *s, ds_structure *st, const ds_model *m, const char *criterion, uint64_t seed, ds_err *err)
{
	const ds_criterion *c = ds_criterion_find(criterion);
	labelled l = { .most = s->samples };
	ds_psamples samples = { labelled_next, &l };
	ds_criterion_opts o = { .seed = seed, .samples = &samples, .loss = ds_loss_find(s->loss), .threads = (int)s->c.threads, .memory_limit = s->c.memory_limit };
	ds_status rc = DS_OK;
	if (c->data && !s->c.data)
		return ds_fail(err, DS_E_USAGE, "criterion %s takes gradients: it wants samples with labels (--data)", criterion);
	if (c->data) {
		const char *path[1] = { s->c.data };
		DS_GOTO(ds_criterion_batch(st, m, &l.items, err));
		DS_GOTO(ds_data_open(&l.data, &(ds_data_opts){ .model = m, .n_path = 1, .path = path, .recursive = true, .want_labels = true,
			.threads = (int)s->c.threads }, err));
		int64_t n = l.data->count(l.data);
		l.every = n > s->samples ? n / s->samples : 1;
		l.bar = ds_progress_new(&s->c, "scored", s->samples);
	}
	rc = c->score(st, m, &o, err);
	if (rc == DS_OK && c->data)
		ds_note("scored %d channels of %d groups by %s with %" PRId64 " samples in batches of %" PRId64, st->n_cls, st->n_group, criterion, l.used, l.items);
out:
	labelled_done(&l);
	return rc;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------------ */
typedef struct only_arg { ds_filterset set; } only_arg;

static bool allowed(void *arg, const char *weight)
{
	return ds_only_match(&((only_arg *)arg)->set, weight);
}

static ds_status read_text(const char *path, const ds_common *c, ds_source **src, const void **p, size_t *n, void **owner, ds_err *err)
{
	DS_TRY(ds_open_file(src, c, path, err));
	return ds_source_all(*src, c->memory_limit, p, n, owner, err);
}

/* Cut a clone of m's graph; groups that turn out to be impossible are left alone, unless a plan asks for them.  *cut is the new graph. */
static ds_status cut_what_goes(settings *s, ds_structure *st, const ds_model *m, const ds_prune_opts *o, ds_graph **cut, ds_err *err)
{
	for (;;) {
		ds_prune_mark(st);
		if (!(*cut = ds_graph_clone(m->graph)))
			return ds_fail_nomem(err, 0);
		ds_status rc = ds_prune_cut(*cut, st, err);
		if (rc == DS_OK)
			return DS_OK;
		ds_graph_free(*cut);
		*cut = NULL;
		if (s->c.plan || !ds_prune_freeze_bad(st))
			return rc;
		ds_note("%s: what passes through it stays whole", err->text);
		DS_TRY(ds_prune_choose(st, o, err));
	}
}

/* Set keep of every group, mark and cut what goes; plan_text gets the plan that was followed. */
static ds_status choose(settings *s, ds_structure *st, const ds_model *m, ds_buf *plan_text, ds_graph **cut, ds_err *err)
{
	ds_prune_plan_head h = { .seed = (uint64_t)s->c.seed, .crc = m->id_crc, .len = m->id_len };
	ds_source *src = NULL;
	void *owner = NULL;
	const void *text = NULL;
	size_t n = 0;
	ds_status rc = DS_OK;
	snprintf(h.criterion, sizeof h.criterion, "%s", s->criterion);
	if (s->c.plan) {
		DS_GOTO(read_text(s->c.plan, &s->c, &src, &text, &n, &owner, err));
		rc = ds_prune_plan_head_read(text, n, &h, err);
		if (rc == DS_OK && !ds_criterion_find(h.criterion))
			rc = ds_fail(err, DS_E_INPUT, "the plan's criterion \"%s\" is not known", h.criterion);
		if (rc != DS_OK) {
			ds_err_in(err, s->c.plan);
			goto out;
		}
	}
	DS_GOTO(score(s, st, m, h.criterion, h.seed, err));
	only_arg only = { { 0 } };
	DS_GOTO(ds_only_init(&only.set, &s->c, err));
	ds_prune_opts o = { .ratio = s->ratio, .global = s->scope == 1, .min_keep = s->min_keep, .round = s->round, .allowed = allowed, .arg = &only };
	if (s->c.plan)
		o.ratio = 0;
	rc = ds_prune_choose(st, &o, err);
	ds_status used = ds_only_done(&only.set, rc == DS_OK ? err : NULL);
	rc = rc == DS_OK ? used : rc;
	if (rc == DS_OK && s->c.plan) {
		rc = ds_prune_plan_apply(st, text, n, m, s->c.force, err);
		if (rc != DS_OK)
			ds_err_in(err, s->c.plan);
	}
	if (rc != DS_OK)
		goto out;
	o.allowed = NULL;                       /* what --only and --except leave out is frozen by now */
	DS_GOTO(cut_what_goes(s, st, m, &o, cut, err));
	ds_prune_plan_write(st, &h, plan_text);
out:
	ds_source_drop(owner);
	ds_source_close(src);
	return rc;
}

/* ---- recalibration ------------------------------------------------------------------------------------------------------------- */
/* Samples that make one set of batch statistics.  Part of what is computed, so nobody may choose it to save time or memory. */
#define RECAL_BATCH 256

static ds_status recalibrate(settings *s, ds_model *m, ds_err *err)
{
	ds_recal *r = NULL;
	ds_samples *data = NULL;
	ds_batch batch = { 0 };
	ds_progress *bar = NULL;
	uint64_t bad = 0;
	int64_t done = 0, size = RECAL_BATCH;
	ds_status rc = DS_OK;
	DS_GOTO(ds_recal_new(&r, m, (int)s->c.threads, err));
	if (!ds_recal_norms(r)) {
		ds_warn("the model has no batch normalisation: nothing to recalibrate with --calibrate");
		goto out;
	}
	const char *path[1] = { s->c.calibrate };
	DS_GOTO(ds_data_open(&data, &(ds_data_opts){ .model = m, .n_path = 1, .path = path, .recursive = true, .spread = s->samples,
		.threads = (int)s->c.threads }, err));
	if (!ds_batch_possible(m))
		size = 1;
	bar = ds_progress_new(&s->c, "samples", s->samples);
	while (done < s->samples) {
		rc = ds_batch_next(&batch, data, DS_MIN(size, s->samples - done), bad_sample, &bad, err);
		if (rc == DS_END)
			break;
		DS_GOTO(rc);
		DS_GOTO(ds_recal_batch(r, batch.in, batch.n_in, err));
		done += batch.items;
		ds_progress_at(bar, done, NULL);
	}
	rc = ds_recal_finish(r, m, err);
	if (rc == DS_OK)
		ds_note("recalibrated %d batch norms with %" PRId64 " samples", ds_recal_norms(r), done);
	if (bad)
		ds_items_failed(bad, bad + (uint64_t)done);
out:
	ds_progress_free(bar);
	ds_batch_done(&batch);
	if (data)
		data->free(data);
	ds_recal_free(r);
	return rc;
}

/* ---- what changed -------------------------------------------------------------------------------------------------------------- */
static void sum_rows(const ds_prune_row *r, int n, ds_prune_row *sum)
{
	*sum = (ds_prune_row){ .name = "total" };
	for (int i = 0; i < n; i++) {
		sum->params_before += r[i].params_before;
		sum->params_after += r[i].params_after;
		sum->macs_before += r[i].macs_before;
		sum->macs_after += r[i].macs_after;
	}
}

static ds_status show_table(settings *s, const ds_model *before, const ds_model *after, ds_err *err)
{
	static const char *const columns[] = { "layer", ">in", ">out", ">parameters", ">MACs", NULL };
	static const char *const keys[] = { "layer", "in_before", "in_after", "out_before", "out_after", "parameters_before", "parameters_after", "macs_before",
		"macs_after", NULL };
	ds_prune_row *rows = NULL, sum;
	int n = 0;
	ds_sink *sink = NULL;
	ds_rows *out = NULL;
	ds_buf text = { 0 };
	ds_table t;
	ds_status rc = DS_OK;
	DS_GOTO(ds_prune_table(before, after, NULL, &rows, &n, err));
	sum_rows(rows, n, &sum);
	if (s->c.report) {
		DS_GOTO(ds_sink_open(&sink, s->c.report, err));
		DS_GOTO(ds_rows_open(&out, sink, true, keys, err));
		for (int i = 0; i < n; i++) {
			ds_rows_str(out, rows[i].name, strlen(rows[i].name));
			ds_rows_i64(out, rows[i].in_before);
			ds_rows_i64(out, rows[i].in_after);
			ds_rows_i64(out, rows[i].out_before);
			ds_rows_i64(out, rows[i].out_after);
			ds_rows_f64(out, rows[i].params_before);
			ds_rows_f64(out, rows[i].params_after);
			ds_rows_f64(out, rows[i].macs_before);
			ds_rows_f64(out, rows[i].macs_after);
			DS_GOTO(ds_rows_end(out, err));
		}
		rc = ds_sink_commit(sink, err);
		sink = NULL;
		if (rc != DS_OK)
			goto out;
	}
	if (s->c.verbose) {
		ds_table_init(&t, columns);
		for (int i = 0; i < n; i++) {
			ds_table_cell(&t, "%s", rows[i].name);
			ds_table_cell(&t, rows[i].in_before == rows[i].in_after ? "%" PRId64 : "%" PRId64 " > %" PRId64, rows[i].in_before, rows[i].in_after);
			ds_table_cell(&t, rows[i].out_before == rows[i].out_after ? "%" PRId64 : "%" PRId64 " > %" PRId64, rows[i].out_before, rows[i].out_after);
			ds_table_cell(&t, "%.0f > %.0f", rows[i].params_before, rows[i].params_after);
			ds_table_cell(&t, "%.3gM > %.3gM", rows[i].macs_before / 1e6, rows[i].macs_after / 1e6);
		}
		DS_GOTO(ds_sink_memory(&sink, &text, err));
		DS_GOTO(ds_table_write(&t, sink, err));
		rc = ds_sink_commit(sink, err);
		sink = NULL;
		for (const char *line = text.data; rc == DS_OK && line && *line;) {
			const char *nl = strchr(line, '\n');
			size_t len = nl ? (size_t)(nl - line) : strlen(line);
			ds_note("%.*s", (int)len, line);
			line = nl ? nl + 1 : NULL;
		}
	}
	ds_note("parameters %.0f > %.0f (%.1f %%), MACs %.4gM > %.4gM (%.1f %%)", sum.params_before, sum.params_after, 100 * sum.params_after /
		DS_MAX(sum.params_before, 1), sum.macs_before / 1e6, sum.macs_after / 1e6, 100 * sum.macs_after / DS_MAX(sum.macs_before, 1));
out:
	ds_rows_close(out);
	ds_sink_abort(sink);
	ds_buf_done(&text);
	ds_free(rows);
	return rc;
}

/* ---- the work ------------------------------------------------------------------------------------------------------------------ */
static ds_status write_model(settings *s, ds_model *m, const ds_buf *plan, ds_sink *out, ds_err *err)
{
	for (int i = 0; s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (s->c.no_history)
		m->n_history = 0;
	else
		DS_TRY(ds_history_add(m, s->c.filter->name, s->c.effective, NULL, 0, plan->data, err));
	return ds_model_save(m, out, &(ds_dsm_wopts){ .compress = s->c.compress, .memory_limit = s->c.memory_limit }, err);
}

static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_model *m = NULL;
	ds_model before = { 0 };
	ds_graph *cut = NULL;
	ds_structure *st = NULL;
	ds_buf plan = { 0 };
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, !s->c.dry_run, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = ds_model_load(&m, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	in = NULL;
	if (rc != DS_OK)
		goto out;
	DS_GOTO(ds_structure_new(&st, m, NULL, err));
	if (!st->n_group) {
		rc = ds_fail(err, DS_E_INPUT, "the model has no channels that can be cut");
		goto out;
	}
	DS_GOTO(choose(s, st, m, &plan, &cut, err));
	if (plan.oom) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	if (s->c.dry_run) {
		DS_GOTO(ds_sink_write(out, plan.data, plan.len, err));
	} else {
		before.graph = m->graph;
		m->graph = cut;
		cut = NULL;
		if (s->c.calibrate)
			DS_GOTO(recalibrate(s, m, err));
		DS_GOTO(show_table(s, &before, m, err));
		DS_GOTO(write_model(s, m, &plan, out, err));
	}
	rc = ds_sink_commit(out, err);
	out = NULL;
out:
	ds_sink_abort(out);
	ds_source_close(in);
	ds_structure_free(st);
	ds_graph_free(before.graph);
	ds_graph_free(cut);
	ds_model_free(m);
	ds_buf_done(&plan);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-prune",
	.summary = "remove channels of a network",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-prune --ratio .2 -c calib/ model.dsm -o small.dsm\n"
		"$ ds-prune --ratio .3 --only 'block*' --dry-run model.dsm > plan.tsv\n"
		"$ ds-prune --plan plan.tsv < model.dsm > small.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_ONLY | DS_C_HISTORY | DS_C_CALIBRATE |
		DS_C_PLAN | DS_C_REPORT | DS_C_COMPRESS | DS_C_DATA,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
