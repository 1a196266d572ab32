/* ds-run.c - run a model on pictures, sounds, tables, texts, arrays: classes, values, tensors, accuracy, comparison with another model */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run/job.h"

#define AT(member) offsetof(settings, member)

static const char *const scores[] = { "reconstruction", "confidence", "entropy", "energy", "mutual-information", NULL };

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What goes in" },
	{ .name = "input", .letter = 'i', .type = DS_T_LIST, .offset = AT(input), .metavar = "NAME=FILE",
		.help = "samples for the model's input NAME: npy, IDX, DSM, raw, a picture; for models with several inputs, give it once for each" },
	{ .name = "max-pixels", .type = DS_T_SIZE, .offset = AT(max_pixels), .metavar = "N", .def = "64M",
		.help = "refuse pictures of more pixels" },
	{ .name = "", .type = DS_T_GROUP, .help = "What comes out" },
	{ .name = "top", .letter = 'k', .type = DS_T_INT, .offset = AT(top), .metavar = "K", .def = "1", .min = 1, .max = 1000000,
		.help = "print the K most probable classes of each sample" },
	{ .name = "labels", .type = DS_T_STR, .offset = AT(labels), .metavar = "FILE",
		.help = "names of the classes, one per line, instead of those in the model" },
	{ .name = "summary", .type = DS_T_FLAG, .offset = AT(summary),
		.help = "print one row per output with its shape and range; models that are no classifiers do so by themselves" },
	{ .name = "tensors", .type = DS_T_STR, .offset = AT(tensors), .metavar = "[GLOB]",
		.help = "write the outputs as a DSM tensor stream, or every value of the graph whose name matches GLOB" },
	{ .name = "logits", .type = DS_T_FLAG, .offset = AT(logits),
		.help = "write the logits of every sample as a DSM stream for ds-distill: all of them, or with --top the K best of each" },
	{ .name = "", .type = DS_T_GROUP, .help = "How sure it is" },
	{ .name = "uncertainty", .letter = 'u', .type = DS_T_STR, .offset = AT(uncertainty), .metavar = "HOW",
		.help = "softmax, temperature, mc:N (Monte-Carlo dropout, N passes), ensemble:MODEL,... or conformal:ALPHA[:lac|aps|raps]; adds columns to the rows and figures "
			"to --eval" },
	{ .name = "fit-uncertainty", .type = DS_T_FLAG, .offset = AT(fit_uncertainty),
		.help = "write the model with a temperature and conformal quantiles fitted to the samples, which it has not been trained with" },
	{ .name = "score", .letter = 's', .type = DS_T_CHOICE, .offset = AT(score), .choices = scores,
		.help = "how odd each sample is: the error of a model that gives its input again (reconstruction), or a figure of --uncertainty; with --eval the area "
			"under the curve for labels other than 0" },
	{ .name = "reliability", .type = DS_T_STR, .offset = AT(reliability), .metavar = "FILE",
		.help = "with --eval: write the bins of the calibration errors to FILE as TSV" },
	{ .name = "", .type = DS_T_GROUP, .help = "Measuring" },
	{ .name = "eval", .letter = 'e', .type = DS_T_FLAG, .offset = AT(eval),
		.help = "print accuracy with its 95 % interval instead of classes, or errors of values, or the loss per token; the samples need labels (-d, --truth)" },
	{ .name = "truth", .type = DS_T_STR, .offset = AT(truth), .metavar = "FILE",
		.help = "labels of the samples: lines `path TAB label`, an IDX or an npy file" },
	{ .name = "confusion", .type = DS_T_FLAG, .offset = AT(confusion), .help = "with --eval: also how often each class was taken for which" },
	{ .name = "failures", .type = DS_T_STR, .offset = AT(failures), .metavar = "FILE",
		.help = "with --eval: write the samples with a wrong answer as a table for --files-from; with - the figures go where -o says or nowhere" },
	{ .name = "compare", .type = DS_T_STR, .offset = AT(compare), .metavar = "MODEL",
		.help = "run MODEL on the same samples and print agreement and largest differences, with labels also McNemar's test" },
	{ .name = "max-drop", .type = DS_T_FLOAT, .offset = AT(max_drop), .metavar = "X", .def = "1", .min = 0, .max = 1,
		.help = "with --compare: exit 6 if accuracy (agreement, when there are no labels) may have fallen, or the error of values or tokens has grown, by more than X" },
	{ .name = "assert", .type = DS_T_LIST, .offset = AT(assert_), .metavar = "CONDITION",
		.help = "with --eval or --compare: exit 6 unless it holds, by the worse end of the interval, as top1>=.9; may be given again" },
	{ .name = "metrics", .type = DS_T_STR, .offset = AT(metrics), .metavar = "FILE",
		.help = "write counts, time and figures as Prometheus text for node_exporter" },
	{ .name = "max-errors", .type = DS_T_INT, .offset = AT(max_errors), .metavar = "N", .def = "-1", .min = -1, .max = 1e15,
		.help = "stop when more than N samples have failed, -1: never" },
	{ 0 }
};

static ds_status check_uncertainty(settings *s, ds_err *err)
{
	const ds_common *c = &s->c;
	bool other = s->tensors || s->logits || s->summary || s->compare;
	if (s->fit_uncertainty && (other || s->eval || s->uncertainty || c->json))
		return ds_fail(err, DS_E_USAGE, "--fit-uncertainty writes a model: not together with --eval, --compare, --uncertainty, --tensors, --logits, --summary, --json");
	if (s->uncertainty && other)
		return ds_fail(err, DS_E_USAGE, "--uncertainty cannot be combined with --compare, --tensors, --logits, --summary");
	if (s->reliability && !s->eval)
		return ds_fail(err, DS_E_USAGE, "--reliability needs --eval");
	if (s->reliability && s->compare)
		return ds_fail(err, DS_E_USAGE, "--reliability cannot be combined with --compare");
	if (ds_given("seed") && !(s->uncertainty && !strncmp(s->uncertainty, "mc:", 3)))
		return ds_fail(err, DS_E_USAGE, "--seed has a meaning with --uncertainty mc:N only");
	if (s->score >= 0 && (other || s->fit_uncertainty))
		return ds_fail(err, DS_E_USAGE, "--score cannot be combined with --compare, --tensors, --logits, --summary, --fit-uncertainty");
	if (s->score == SCORE_RECONSTRUCTION && s->uncertainty)
		return ds_fail(err, DS_E_USAGE, "--score reconstruction is for a model that gives its input again: no --uncertainty");
	if (s->score > SCORE_RECONSTRUCTION && (s->reliability || s->confusion || s->failures))
		return ds_fail(err, DS_E_USAGE, "labels tell with --score what is odd, not the classes: no --reliability, --confusion, --failures");
	if (s->score > SCORE_RECONSTRUCTION && !s->uncertainty)
		s->sure.how = SURE_SOFTMAX;
	if (s->uncertainty)
		DS_TRY(run_sure_parse(&s->sure, s->uncertainty, err));
	bool many = s->sure.how == SURE_MC || s->sure.how == SURE_ENSEMBLE;
	if (s->score == SCORE_MUTUAL && !many)
		return ds_fail(err, DS_E_USAGE, "--score mutual-information needs --uncertainty mc:N or ensemble:MODEL,...");
	if (s->score == SCORE_ENERGY && many)
		return ds_fail(err, DS_E_USAGE, "--score energy is of one model: not with --uncertainty mc:N or ensemble:MODEL,...");
	return DS_OK;
}

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	const ds_common *c = &s->c;
	if (!c->operand.n && !c->files_from && !c->data && !s->input.n && c->dump < 0)
		return ds_fail(err, DS_E_USAGE, "nothing to run on: give files, directories, -d DATA, --files-from FILE or --input NAME=FILE");
	if (s->tensors && (s->eval || s->compare || s->summary || c->json))
		return ds_fail(err, DS_E_USAGE, "--tensors writes a tensor stream: not together with --eval, --compare, --summary, --json");
	if (s->logits && (s->tensors || s->eval || s->compare || s->summary || c->json || c->dump >= 0))
		return ds_fail(err, DS_E_USAGE, "--logits writes a stream of logits: not together with --tensors, --eval, --compare, --summary, --json, --dump");
	if (s->summary && (s->eval || s->compare))
		return ds_fail(err, DS_E_USAGE, "--summary cannot be combined with --eval or --compare");
	if (s->confusion && !s->eval)
		return ds_fail(err, DS_E_USAGE, "--confusion needs --eval");
	if (s->failures && !s->eval)
		return ds_fail(err, DS_E_USAGE, "--failures needs --eval");
	if (s->failures && !strcmp(s->failures, "-") && c->output && !strcmp(c->output, "-"))
		return ds_fail(err, DS_E_USAGE, "--failures and --output cannot both be standard output");
	if (ds_given("max-drop") && !s->compare)
		return ds_fail(err, DS_E_USAGE, "--max-drop needs --compare MODEL, the reference that accuracy may not drop against");
	if (s->truth && !s->eval && !s->compare && !s->fit_uncertainty)
		return ds_fail(err, DS_E_USAGE, "--truth needs --eval, --compare or --fit-uncertainty");
	DS_TRY(check_uncertainty(s, err));
	DS_TRY(run_watch_check(s, err));
	int streams = !c->model || !strcmp(c->model, "-");
	for (int i = 0; i < c->operand.n; i++)
		streams += !strcmp(c->operand.v[i], "-");
	streams += c->files_from && !strcmp(c->files_from, "-");
	streams += s->compare && !strcmp(s->compare, "-");
	for (int i = 0; i < s->sure.n_member; i++)
		streams += !strcmp(s->sure.member[i], "-");
	if (streams > 1)
		return ds_fail(err, DS_E_USAGE, "standard input can be only one thing: the model (give it with -m), the other model, a sample or the list of names");
	return DS_OK;
}

/* ---- one run ------------------------------------------------------------------------------------------------------------------ */

ds_status run_load_model(ds_model **m, const ds_common *c, const char *path, ds_err *err)
{
	ds_source *src;
	ds_dsm_opts o = { .memory_limit = c->memory_limit, .no_verify = c->no_verify };
	DS_TRY(path ? ds_open_file(&src, c, path, err) : ds_open_input(&src, c, err));
	return ds_model_load(m, src, &o, err);
}

static ds_status load_names(job *j, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	if (j->s->labels) {
		ds_source *src;
		DS_TRY(ds_open_file(&src, &j->s->c, j->s->labels, err));
		ds_status rc = ds_source_all(src, 64 << 20, &p, &n, &owner, err);
		ds_source_close(src);
		if (rc != DS_OK)
			return rc;
		rc = ds_labels_parse(&j->names, p, n, err);
		ds_source_drop(owner);
		if (rc != DS_OK)
			ds_err_in(err, j->s->labels);
		return rc;
	}
	const char *name = ds_meta_str(&j->here.m->meta, "output.0.labels");
	const ds_asset *a = name ? ds_model_asset(j->here.m, name) : NULL;
	return a ? ds_labels_parse(&j->names, ds_buffer_data(a->data), ds_buffer_size(a->data), err) : DS_OK;
}

/* What the model's first output answers to, and where its windows are. */
static ds_status find_aim(job *j, ds_err *err)
{
	int rank;
	int64_t dim[3];
	DS_TRY(run_score_open(j, err));
	DS_TRY(ds_aim_from_meta(&j->aim, j->here.m, err));
	j->position = ds_data_position(j->here.m, &j->unit);
	j->horizon = DS_MAX(j->aim.horizon, 1);
	return j->aim.what == DS_AIM_VALUES ? ds_aim_dims(&j->aim, j->horizon, j->aim.col.n, &rank, dim, &j->swap, err) : DS_OK;
}

ds_status run_open_side(job *j, side *d, ds_tap_fn tap, side_wrap wrap, ds_err *err)
{
	const settings *s = j->s;
	const char *path[2048];
	const char *const *paths = s->c.operand.v;
	int n = s->c.operand.n;
	if (s->c.data) {
		if (n >= (int)DS_COUNTOF(path))
			return ds_fail(err, DS_E_USAGE, "with -d at most %zu operands; use --files-from", DS_COUNTOF(path) - 1);
		path[0] = s->c.data;
		for (int i = 0; i < n; i++)
			path[i + 1] = s->c.operand.v[i];
		paths = path;
		n++;
	}
	ds_data_opts o = { .model = d->m, .n_path = n, .path = paths, .files_from = s->c.files_from, .null_sep = s->c.null_sep, .labels = s->truth,
		.want_labels = s->eval || s->fit_uncertainty || s->c.data, .names = &j->names, .recursive = true, .threads = (int)s->c.threads, .max_pixels = s->max_pixels,
		.n_named = s->input.n, .named = s->input.v };
	ds_runner_opts r = { .threads = (int)s->c.threads, .batch = (int)s->c.batch, .memory_limit = s->c.memory_limit, .tap = tap, .tap_arg = j };
	DS_TRY(ds_data_open(&d->samples, &o, err));
	if (!r.batch && d->samples->count(d->samples) < 0)      /* a sound that is still being made: each row at once */
		r.batch = 1;
	d->logits = d->m->graph->n_output && ds_output_is_logits(d->m, 0);
	if (wrap)
		DS_TRY(wrap(j, d, err));
	return ds_runner_new(&d->run, d->runs ? d->runs : d->m, d->samples, &r, err);
}

void run_close_side(side *d)
{
	ds_runner_free(d->run);
	if (d->samples)
		d->samples->free(d->samples);
	ds_score_done(&d->score);
	if (!d->borrowed)
		ds_model_free(d->m);
	*d = (side){ 0 };
}

/* ---- all together ------------------------------------------------------------------------------------------------------------- */

/* The first that the options ask for. */
static const run_mode *mode_of(const settings *s)
{
	static const run_mode *const modes[] = { &run_fit, &run_logits, &run_tensors, &run_measure, &run_predict };
	const run_mode *const *m = modes;
	while (!(*m)->asked(s))
		m++;
	return *m;
}

static ds_status item_failed(job *j, const run_mode *mode, const ds_result *r, const ds_err *why, ds_err *err)
{
	ds_result bad = *r;
	bad.bad = why;
	j->failed++;
	ds_complain(why);
	run_forget_taps(j);
	if (mode->bad)
		DS_TRY(mode->bad(j, r, err));
	return run_report_item(j, &bad, -1, 0, err);
}

/* Next item of both sides; DS_END at the end of the first. */
static ds_status next_pair(job *j, ds_result *r, ds_result *ref, ds_err *err)
{
	DS_TRY(j->sure ? run_sure_next(j, r, err) : ds_runner_next(j->here.run, r, err));
	if (!j->s->compare)
		return DS_OK;
	ds_status rc = ds_runner_next(j->ref.run, ref, err);
	return rc == DS_END ? ds_fail(err, DS_E_INPUT, "%s takes fewer samples from the same files", j->s->compare) : rc;
}

static ds_status run_items(job *j, const run_mode *mode, ds_err *err)
{
	ds_progress *progress = ds_progress_new(&j->s->c, "samples", j->here.samples->count(j->here.samples));
	ds_result r, ref = { 0 };
	ds_status rc;
	while ((rc = next_pair(j, &r, &ref, err)) == DS_OK) {
		ds_err why = { 0 };
		const ds_err *bad = r.bad ? r.bad : ref.bad;
		j->n++;
		if (!bad) {
			rc = mode->item(j, &r, j->s->compare ? &ref : NULL, &why);
			if (rc == DS_E_INPUT) {
				ds_err_in(&why, r.name);
				bad = &why;
			} else if (rc != DS_OK) {
				*err = why;
				break;
			}
			run_forget_taps(j);
		}
		rc = bad ? item_failed(j, mode, &r, bad, err) : DS_OK;
		if (rc != DS_OK)
			break;
		ds_progress_at(progress, (int64_t)j->n, NULL);
		if (j->s->max_errors >= 0 && j->failed > (uint64_t)j->s->max_errors) {
			ds_warn("stopped after %llu failed samples", (unsigned long long)j->failed);
			rc = DS_END;
			break;
		}
	}
	ds_progress_free(progress);
	return rc == DS_END ? DS_OK : rc;
}

/* --dump: what the planner made of the model, instead of results. */
static ds_status dump(job *j, ds_err *err)
{
	static const char *const what[] = { "graph", "plan", "alloc", "rewrite", "kernels" };
	ds_buf b = { 0 };
	ds_result r;
	ds_status rc = DS_OK;
	if (j->s->c.operand.n || j->s->c.files_from || j->s->c.data || j->s->input.n)
		rc = ds_runner_next(j->here.run, &r, err);
	if (rc == DS_OK && r.bad)
		ds_complain(r.bad);
	if (rc == DS_OK || rc == DS_END)
		rc = ds_session_dump(ds_runner_session(j->here.run), what[j->s->c.dump], &b, err);
	if (rc == DS_OK)
		rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(j->out, b.data ? b.data : "", b.len, err);
	ds_buf_done(&b);
	return rc;
}

static ds_status open_all(job *j, ds_err *err)
{
	settings *s = j->s;
	if (s->failures && !strcmp(s->failures, "-") && !s->c.output)
		DS_TRY(ds_sink_memory(&j->out, &j->unseen, err));
	else
		DS_TRY(ds_open_output(&j->out, &s->c, (s->tensors || s->logits || s->fit_uncertainty) && s->c.dump < 0, err));
	DS_TRY(run_load_model(&j->here.m, &s->c, NULL, err));
	if (s->compare)
		DS_TRY(run_load_model(&j->ref.m, &s->c, s->compare, err));
	DS_TRY(load_names(j, err));
	DS_TRY(find_aim(j, err));
	if (s->tensors)
		DS_TRY(run_find_taps(j, err));
	if (s->logits)
		DS_TRY(run_uncover_logits(j, err));
	DS_TRY(run_sure_open(j, j->taps ? run_on_tap : NULL, err));
	if (s->compare)
		DS_TRY(run_open_side(j, &j->ref, NULL, NULL, err));
	DS_TRY(run_failures_open(j, err));
	return s->c.report ? ds_sink_open(&j->report, s->c.report, err) : DS_OK;
}

static ds_status run(void *p, ds_err *err)
{
	job j = { .s = p };
	ds_err late = { 0 };
	ds_status rc, checked;
	const run_mode *mode = mode_of(p);
	run_watch_begin(&j);
	DS_GOTO(open_all(&j, err));
	if (j.s->c.dump >= 0) {
		DS_GOTO(dump(&j, err));
		rc = ds_sink_commit(j.out, err);
		j.out = NULL;
		goto out;
	}
	DS_GOTO(mode->start(&j, err));
	DS_GOTO(run_items(&j, mode, err));
	checked = mode->end(&j, &late);
	rc = checked == DS_E_CHECK ? DS_OK : checked;
	if (rc == DS_OK)
		rc = run_report_end(&j, &late);
	if (rc == DS_OK)
		rc = run_failures_end(&j, &late);
	if (rc == DS_OK)
		rc = run_watch_metrics(&j, &late);
	if (rc == DS_OK) {
		rc = ds_sink_commit(j.out, &late);
		j.out = NULL;
	}
	if (rc == DS_OK)
		rc = checked;
	if (rc != DS_OK)
		*err = late;
	ds_items_failed(j.failed, j.n);
out:
	ds_rows_close(j.rows);
	ds_dsm_writer_free(j.w);
	ds_logits_writer_free(j.logits);
	ds_sink_abort(j.report);
	run_failures_drop(&j);
	ds_sink_abort(j.out);
	run_forget_taps(&j);
	run_watch_done(&j);
	for (int64_t i = 0; i < j.n_column; i++)
		ds_free(j.column[i]);
	ds_free(j.column);
	for (int64_t i = 0; i < j.n_more; i++)
		ds_free(j.more[i]);
	ds_free(j.more);
	ds_free(j.columns);
	ds_free(j.each);
	ds_free(j.alarm);
	ds_free(j.alarming);
	ds_aim_done(&j.aim);
	ds_free(j.tap);
	ds_versus_done(&j.versus);
	run_sure_close(&j);
	run_close_side(&j.here);
	run_fitted_free(&j);
	run_close_side(&j.ref);
	ds_labels_done(&j.names);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-run",
	.summary = "run a model on pictures, sounds, tables, texts or arrays",
	.usage = "[option ...] [-m MODEL] INPUT ...",
	.examples = "$ ds-run -m model.dsm photo.png\n"
		"$ ds-convert model.onnx --input-preset imagenet | ds-run --top 5 photos/\n"
		"$ ds-run -m model.dsm --eval -d test/\n"
		"$ ds-run -m model.dsm --eval --failures wrong.tsv -d test/\n"
		"$ ds-run -m small.dsm --compare model.dsm -d test/ --max-drop 0.01\n"
		"$ ds-run -m model.dsm --tensors photo.png > outputs.dsm\n"
		"$ ds-run -m model.dsm --fit-uncertainty -d heldout/ -o sure.dsm\n"
		"$ ds-run -m sure.dsm --uncertainty conformal:0.1 photo.png\n"
		"$ ds-run -m teacher.dsm --logits --top 5 -d train/ > logits.dsm\n",
	.opts = opts,
	.common = DS_C_INPUTS | DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_BATCH | DS_C_FILES
		| DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS | DS_C_DUMP | DS_C_SEED | DS_C_HISTORY,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng libjpeg libsndfile zlib zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
