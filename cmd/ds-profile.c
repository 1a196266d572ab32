/* ds-profile.c - where time, memory and error of a model go: options, the table of modes, the one way through */
#include <string.h>
#include <unistd.h>

#include "format/dsm.h"
#include "profile/profile.h"

#define AT(member) offsetof(settings, member)

static const char *const sensitivity_names[] = { "quantize", "prune", NULL };
static const char *const equalize_names[] = { "auto", "yes", "no", NULL };

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What is measured" },
	{ .name = "time", .letter = 't', .type = DS_T_FLAG, .offset = AT(time),
		.help = "time by node and by operator, against what this machine can do; this is what happens when nothing else is asked for" },
	{ .name = "memory", .type = DS_T_FLAG, .offset = AT(memory), .help = "memory over the steps of a run: planned peak, who holds it, what the process took" },
	{ .name = "macs", .type = DS_T_FLAG, .offset = AT(macs), .help = "parameters, multiply-adds, bytes and bits per weight, counted by layer" },
	{ .name = "trace", .type = DS_T_STR, .offset = AT(trace), .metavar = "FILE",
		.help = "write one run as trace events for the Perfetto UI or chrome://tracing" },
	{ .name = "html", .type = DS_T_STR, .offset = AT(html), .metavar = "FILE",
		.help = "write a page for a browser: the graph, bars of time, the roofline, memory over time; it loads nothing" },
	{ .name = "", .type = DS_T_GROUP, .help = "Where error goes" },
	{ .name = "stats", .type = DS_T_FLAG, .offset = AT(stats),
		.help = "write what calibration sees of the samples, as a file for ds-quantize -c (binary; nothing else is printed)" },
	{ .name = "merge", .type = DS_T_FLAG, .offset = AT(merge), .help = "with --stats: add up files of statistics, which are the operands; no model is read" },
	{ .name = "equalize", .type = DS_T_CHOICE, .offset = AT(equalize), .def = "auto", .choices = equalize_names,
		.help = "with --stats: look once more after equalisation, as ds-quantize of the same option wants it" },
	{ .name = "against", .type = DS_T_STR, .offset = AT(against), .metavar = "MODEL",
		.help = "compare with the model before it was changed: error of each layer alone, and as it arrives, worst first" },
	{ .name = "sensitivity", .type = DS_T_CHOICE, .offset = AT(sensitivity), .choices = sensitivity_names,
		.help = "how far the answers move when each layer alone is quantised, or each group of channels pruned: KL for classes, else noise" },
	{ .name = "bits", .letter = 'B', .type = DS_T_STR, .offset = AT(bits), .metavar = "LIST",
		.help = "with --sensitivity quantize: what to try, as in w8,w4,w3 or w8a8,w4a8,f32; default w8,w6,w5,w4,w3,w2" },
	{ .name = "group", .letter = 'g', .type = DS_T_INT, .offset = AT(group), .metavar = "N", .min = 16, .max = 1024,
		.help = "with --sensitivity quantize: one scale for N columns, as ds-quantize does it" },
	{ .name = "range", .letter = 'r', .type = DS_T_STR, .offset = AT(range), .metavar = "RULE",
		.help = "with --sensitivity quantize: minmax, mse, percentile:P or kl, as ds-quantize does it" },
	{ .name = "ratio", .type = DS_T_STR, .offset = AT(ratio), .metavar = "LIST",
		.help = "with --sensitivity prune: shares of the channels to cut; default 0.125,0.25,0.375,0.5,0.625,0.75" },
	{ .name = "criterion", .type = DS_T_STR, .offset = AT(criterion), .metavar = "NAME", .def = "l1",
		.help = "with --sensitivity prune: which channels go first, as ds-prune has it: l1, l2, random" },
	{ .name = "budget", .type = DS_T_STR, .offset = AT(budget), .metavar = "B",
		.help = "with --sensitivity: write the plan of least damage that fits bits per weight (3.5bpw), a size (300K) or a share of the file (40%)" },
	{ .name = "max-samples", .type = DS_T_INT, .offset = AT(max_samples), .metavar = "N", .def = "1024", .min = 1, .max = 1e9,
		.help = "look at N samples for error, evenly spaced" },
	{ .name = "", .type = DS_T_GROUP, .help = "Load, conditions, cost" },
	{ .name = "load", .type = DS_T_STR, .offset = AT(load), .metavar = "SHAPE",
		.help = "poisson:RATE or constant:RATE: requests arrive by themselves, RATE a second, and wait while the model is busy; closed: one after another" },
	{ .name = "seconds", .type = DS_T_FLOAT, .offset = AT(seconds), .metavar = "S", .def = "0", .max = 1e6,
		.help = "for so long requests arrive; 0: by --requests, else 10 s; without --load what the conditions need" },
	{ .name = "requests", .type = DS_T_INT, .offset = AT(requests), .metavar = "N", .def = "0", .max = 1e12, .help = "so many requests arrive; 0: by --seconds" },
	{ .name = "assert", .type = DS_T_LIST, .offset = AT(assert_), .metavar = "CONDITION",
		.help = "exit 6 unless it holds, by the worse end of the interval: p99=20ms, qps>=500, rss=200M; may be given again" },
	{ .name = "cost", .type = DS_T_FLOAT, .offset = AT(cost), .metavar = "PRICE", .def = "0", .max = 1e9,
		.help = "price of 1000 requests when an hour of this machine costs PRICE; joules where the machine counts them" },
	{ .name = "metrics", .type = DS_T_STR, .offset = AT(metrics), .metavar = "FILE",
		.help = "write figures of model, load, process and machine as Prometheus text for node_exporter" },
	{ .name = "", .type = DS_T_GROUP, .help = "How" },
	{ .name = "runs", .letter = 'n', .type = DS_T_INT, .offset = AT(runs), .metavar = "N", .def = "0", .max = 1000000,
		.help = "timed runs, and as many without the clock; 0: for about a second, at least 10" },
	{ .name = "warmup", .type = DS_T_INT, .offset = AT(warmup), .metavar = "N", .def = "-1", .min = -1, .max = 1000000,
		.help = "runs before anything is timed; -1: 3, and at least 0.1 s" },
	{ .name = "top", .letter = 'k', .type = DS_T_INT, .offset = AT(top), .metavar = "N", .def = "0", .max = 1000000,
		.help = "print the N most expensive nodes and the rest as one row; 0: all" },
	{ .name = "ceilings", .type = DS_T_FLAG, .offset = AT(ceilings), .help = "measure the machine's ceilings again instead of taking them from the cache" },
	{ .name = "", .type = DS_T_GROUP, .help = "What goes in" },
	{ .name = "input", .letter = 'i', .type = DS_T_LIST, .offset = AT(input), .metavar = "NAME=FILE",
		.help = "samples for the model's input NAME; for models with several inputs, give it once for each" },
	{ .name = "max-pixels", .type = DS_T_SIZE, .offset = AT(max_pixels), .metavar = "N", .def = "64M", .help = "refuse pictures of more pixels" },
	{ 0 }
};

/* One row per mode, in the order of their sections.  A flag or a text of the settings asks for it. */
static const struct mode {
	size_t      flag, text;         /* offset of the member, 0: none */
	ds_status (*run)(job *j, ds_err *err);
} modes[] = {
	{ AT(is_assert), 0, mode_prepare },
	{ AT(time), 0, mode_time },
	{ AT(memory), 0, mode_memory },
	{ AT(macs), 0, mode_macs },
	{ 0, AT(trace), mode_trace },
	{ 0, AT(html), mode_html },
	{ 0, AT(load), mode_load },
	{ AT(is_cost), 0, mode_cost },
	{ 0, AT(metrics), mode_metrics },
	{ AT(stats), 0, mode_stats },
	{ AT(is_sensitivity), 0, mode_sensitivity },
	{ 0, AT(against), mode_against },
	{ AT(is_assert), 0, mode_assert },
};

static bool wanted(const settings *s, const struct mode *m)
{
	const char *p = (const char *)s;
	return (m->flag && *(const bool *)(p + m->flag)) || (m->text && *(const char *const *)(p + m->text));
}

/* --stats writes a file of its own kind: it is alone. */
static ds_status check_stats(const settings *s, ds_err *err)
{
	int others = 0;
	if (!s->stats) {
		if (s->merge || ds_given("equalize"))
			return ds_fail(err, DS_E_USAGE, "--%s has a meaning with --stats only", s->merge ? "merge" : "equalize");
		return DS_OK;
	}
	for (size_t i = 0; i < DS_COUNTOF(modes); i++)
		others += wanted(s, &modes[i]);
	if (others > 1 || s->c.json || s->c.tsv)
		return ds_fail(err, DS_E_USAGE, "--stats writes a file of statistics and no report: nothing else can be asked for with it");
	if (s->merge && (s->c.model || s->c.data || s->c.files_from || s->input.n || ds_given("equalize") || ds_given("max-samples")))
		return ds_fail(err, DS_E_USAGE, "--merge takes files of statistics and nothing else");
	if (s->merge && !s->c.operand.n)
		return ds_fail(err, DS_E_USAGE, "--merge: name the files of statistics");
	return DS_OK;
}

static ds_status check_load(settings *s, ds_err *err)
{
	ds_load_kind kind;
	double rate;
	s->is_cost = ds_given("cost");
	s->is_assert = s->assert_.n > 0;
	if (s->load)
		DS_TRY(ds_load_parse(s->load, &kind, &rate, err));
	if (!s->load && !s->is_cost && !s->is_assert && !s->metrics && (ds_given("seconds") || ds_given("requests")))
		return ds_fail(err, DS_E_USAGE, "--seconds and --requests have a meaning with --load, --assert, --cost and --metrics");
	return check_assert(s, err);
}

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	const ds_common *c = &s->c;
	bool any = false;
	int streams = s->merge ? 0 : !c->model || !strcmp(c->model, "-");
	for (int i = 0; i < c->operand.n; i++)
		streams += !strcmp(c->operand.v[i], "-");
	streams += s->against && !strcmp(s->against, "-");
	streams += c->files_from && !strcmp(c->files_from, "-");
	if (streams > 1)
		return ds_fail(err, DS_E_USAGE, "standard input can be only one thing: the model (give it with -m), a sample or the list of names");
	const struct { const char *option, *file; } files[] = { { "trace", s->trace }, { "html", s->html }, { "metrics", s->metrics } };
	for (size_t i = 0; i < DS_COUNTOF(files); i++)
		if (files[i].file && !strcmp(files[i].file, "-"))
			return ds_fail(err, DS_E_USAGE, "--%s writes a file: the report goes to standard output", files[i].option);
	s->is_sensitivity = s->sensitivity >= 0;
	DS_TRY(check_stats(s, err));
	DS_TRY(check_sensitivity(s, err));
	DS_TRY(check_load(s, err));
	for (size_t i = 0; i < DS_COUNTOF(modes); i++)
		any |= wanted(s, &modes[i]);
	for (size_t i = 0; i < DS_COUNTOF(modes) && s->budget; i++)
		if (wanted(s, &modes[i]) && modes[i].flag != AT(is_sensitivity))
			return ds_fail(err, DS_E_USAGE, "--budget writes a plan and no report: nothing else can be asked for with it");
	s->time |= !any;
	return DS_OK;
}

ds_status job_open_samples(job *j, const ds_model *m, ds_samples **samples, ds_err *err)
{
	const settings *s = j->s;
	const ds_common *c = &s->c;
	const char **path;
	int n = 0;
	if (!c->operand.n && !c->files_from && !c->data && !s->input.n)
		return DS_OK;
	if (!(path = ds_calloc((size_t)c->operand.n + 1, sizeof *path)))
		return ds_fail_nomem(err, 0);
	if (c->data)
		path[n++] = c->data;
	for (int i = 0; i < c->operand.n; i++)
		path[n++] = c->operand.v[i];
	ds_data_opts o = { .model = m, .n_path = n, .path = path, .files_from = c->files_from, .null_sep = c->null_sep, .want_labels = c->data != NULL,
		.names = &j->names, .recursive = true, .threads = (int)c->threads, .max_pixels = s->max_pixels, .n_named = s->input.n, .named = s->input.v,
		.spread = s->stats || s->is_sensitivity || s->against ? s->max_samples : 0 };
	ds_status rc = ds_data_open(samples, &o, err);
	ds_free(path);
	return rc;
}

static ds_status load(job *j, ds_err *err)
{
	const ds_common *c = &j->s->c;
	ds_source *src;
	ds_dsm_opts o = { .memory_limit = c->memory_limit, .no_verify = c->no_verify };
	DS_TRY(ds_open_input(&src, c, err));
	DS_TRY(ds_model_load(&j->m, src, &o, err));
	const char *name = ds_meta_str(&j->m->meta, "output.0.labels");
	const ds_asset *a = name ? ds_model_asset(j->m, name) : NULL;
	return a ? ds_labels_parse(&j->names, ds_buffer_data(a->data), ds_buffer_size(a->data), err) : DS_OK;
}

static void job_done(job *j)
{
	for (int i = 0; i < j->n_set; i++) {
		for (int k = 0; k < j->n_in; k++)
			ds_tensor_done(&j->set[i][k]);
		ds_free(j->set[i]);
	}
	ds_free(j->set);
	ds_time_done(&j->timing);
	ds_load_result_done(&j->load);
	ds_versus_done(&j->versus);
	ds_session_free(j->session);
	if (j->samples)
		j->samples->free(j->samples);
	ds_labels_done(&j->names);
	ds_model_free(j->m);
	ds_sink_abort(j->out);
}

static ds_status run(void *p, ds_err *err)
{
	job j = { .s = p };
	ds_err late = { 0 };
	const ds_common *c = &j.s->c;
	ds_status rc, checked = DS_OK;
	j.pretty = !c->json && !c->tsv && (!c->output || !strcmp(c->output, "-")) && (c->fake_tty || isatty(1));
	j.ascii = !locale_utf8();
	DS_GOTO(ds_open_output(&j.out, c, j.s->stats, err));
	if (j.s->merge) {
		DS_GOTO(merge_stats(&j, err));
		rc = ds_sink_commit(j.out, err);
		j.out = NULL;
		goto out;
	}
	DS_GOTO(load(&j, err));
	DS_GOTO(job_open_samples(&j, j.m, &j.samples, err));
	for (size_t i = 0; i < DS_COUNTOF(modes); i++) {
		if (!wanted(j.s, &modes[i]))
			continue;
		ds_err why = { 0 };
		rc = modes[i].run(&j, &why);
		if (rc == DS_END)               /* no sample could be read, which has been said */
			break;
		if (rc == DS_E_CHECK && checked == DS_OK) {
			checked = rc;
			late = why;
		} else if (rc != DS_OK && rc != DS_E_CHECK) {
			*err = why;
			goto out;
		}
	}
	rc = ds_sink_commit(j.out, err);
	j.out = NULL;
	if (rc == DS_OK && checked != DS_OK) {
		rc = checked;
		*err = late;
	}
	ds_items_failed(j.failed, j.read);
out:
	job_done(&j);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-profile",
	.summary = "measure where a model's time, memory and error go",
	.usage = "[option ...] [-m MODEL] [INPUT ...]",
	.examples = "$ ds-profile -m model.dsm photo.png\n"
		"$ ds-profile --macs < model.dsm\n"
		"$ ds-profile --time --top 5 -j 1 -m model.dsm photo.png\n"
		"$ ds-profile --stats -o stats.dsm -m model.dsm photos/\n"
		"$ ds-profile --sensitivity quantize --budget 4bpw -m model.dsm photos/ > plan\n"
		"$ ds-profile --against model.dsm -m int8.dsm photos/\n"
		"$ ds-profile --memory --trace run.json -m model.dsm photo.png\n",
	.opts = opts,
	.common = DS_C_INPUTS | DS_C_MODEL | DS_C_OUTPUT | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_BATCH | DS_C_FILES | DS_C_DATA
		| DS_C_SEED | DS_C_FORCE | DS_C_COMPRESS,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng libjpeg libsndfile zlib zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
