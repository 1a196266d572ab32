/* ds-run.c - run a model on pictures, sounds, tables, texts, arrays: classes, values, tensors, accuracy, comparison with another model */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "format/logits.h"
#include "run/run.h"
#include "train/train.h"

typedef struct settings {
	ds_common   c;
	ds_strs     input;
	const char *labels, *truth, *tensors, *compare;
	int64_t     top, max_errors;
	double      max_drop;
	uint64_t    max_pixels;
	bool        summary, eval, confusion, logits;
} settings;

#define AT(member) offsetof(settings, member)

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
	{ .name = "", .type = DS_T_GROUP, .help = "Measuring" },
	{ .name = "eval", .letter = 'e', .type = DS_T_FLAG, .offset = AT(eval),
		.help = "print accuracy with its 95 % interval instead of classes, or errors of values, or the loss per token; the samples need labels (-d, --truth)" },
	{ .name = "truth", .type = DS_T_STR, .offset = AT(truth), .metavar = "FILE",
		.help = "labels of the samples: lines `path TAB label`, an IDX or an npy file" },
	{ .name = "confusion", .type = DS_T_FLAG, .offset = AT(confusion), .help = "with --eval: also how often each class was taken for which" },
	{ .name = "compare", .type = DS_T_STR, .offset = AT(compare), .metavar = "MODEL",
		.help = "run MODEL on the same samples and print agreement and largest differences, with labels also McNemar's test" },
	{ .name = "max-drop", .type = DS_T_FLOAT, .offset = AT(max_drop), .metavar = "X", .def = "1", .min = 0, .max = 1,
		.help = "with --compare: exit 6 if accuracy (agreement, when there are no labels) may have fallen, or the error of values or tokens has grown, by more than X" },
	{ .name = "max-errors", .type = DS_T_INT, .offset = AT(max_errors), .metavar = "N", .def = "-1", .min = -1, .max = 1e15,
		.help = "stop when more than N samples have failed, -1: never" },
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	const settings *s = p;
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
	if (ds_given("max-drop") && !s->compare)
		return ds_fail(err, DS_E_USAGE, "--max-drop needs --compare MODEL, the reference that accuracy may not drop against");
	if (s->truth && !s->eval && !s->compare)
		return ds_fail(err, DS_E_USAGE, "--truth needs --eval or --compare");
	int streams = !c->model || !strcmp(c->model, "-");
	for (int i = 0; i < c->operand.n; i++)
		streams += !strcmp(c->operand.v[i], "-");
	streams += c->files_from && !strcmp(c->files_from, "-");
	streams += s->compare && !strcmp(s->compare, "-");
	if (streams > 1)
		return ds_fail(err, DS_E_USAGE, "standard input can be only one thing: the model (give it with -m), the other model, a sample or the list of names");
	return DS_OK;
}

/* ---- one run ------------------------------------------------------------------------------------------------------------------ */

/* One of the two models, with its own samples: each prepares the inputs as it wants them. */
typedef struct side {
	ds_model   *m;
	ds_samples *samples;
	ds_runner  *run;
	ds_score    score;
	ds_fit      fit;                /* values against targets */
	ds_tokens   tokens;
	bool        logits;
} side;

/* A tensor that a tap has seen, until its item is done. */
typedef struct tapped { const char *name; ds_tensor t; } tapped;

typedef struct job {
	settings      *s;
	side           here, ref;
	ds_labels      names;
	ds_sink       *out, *report;
	ds_rows       *rows;
	ds_dsm_writer *w;
	ds_logits_writer *logits;
	ds_versus      versus;
	tapped        *tap;
	size_t         n_tap, cap_tap;
	bool           taps;            /* inner values are wanted */
	uint64_t       n, failed, written;
	int64_t        classes;         /* 0: not known yet, or no classifier */
	const struct row_kind *kind;    /* of the rows that are printed */
	ds_aim         aim;             /* what output 0 answers to */
	int64_t        horizon;         /* ... in how many rows, 1 or more */
	bool           swap;            /* ... columns before rows */
	const char    *position;        /* the column that says where a window is, NULL: none */
	double         unit;            /* ... rows in one of it */
	char         **column;          /* of rows of values, n_column of them */
	int64_t        n_column;
	const char   **columns;         /* all of them, as the rows want them */
	ds_fit         naive, *each;    /* the last row as forecast; of each column of the target */
	double        *alarm;           /* of items with a class: the error, and whether it is not class 0 */
	bool          *alarming;
	size_t         n_alarm, cap_alarm, cap_alarming;
} job;

static ds_status load_model(ds_model **m, const ds_common *c, const char *path, ds_err *err)
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
	DS_TRY(ds_aim_from_meta(&j->aim, j->here.m, err));
	j->position = ds_data_position(j->here.m, &j->unit);
	j->horizon = DS_MAX(j->aim.horizon, 1);
	return j->aim.what == DS_AIM_VALUES ? ds_aim_dims(&j->aim, j->horizon, j->aim.col.n, &rank, dim, &j->swap, err) : DS_OK;
}

static ds_status open_side(job *j, side *d, ds_tap_fn tap, ds_err *err)
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
		.want_labels = s->eval || s->c.data, .names = &j->names, .recursive = true, .threads = (int)s->c.threads, .max_pixels = s->max_pixels,
		.n_named = s->input.n, .named = s->input.v };
	ds_runner_opts r = { .threads = (int)s->c.threads, .batch = (int)s->c.batch, .memory_limit = s->c.memory_limit, .tap = tap, .tap_arg = j };
	DS_TRY(ds_data_open(&d->samples, &o, err));
	if (!r.batch && d->samples->count(d->samples) < 0)      /* a sound that is still being made: each row at once */
		r.batch = 1;
	d->logits = d->m->graph->n_output && ds_output_is_logits(d->m, 0);
	return ds_runner_new(&d->run, d->m, d->samples, &r, err);
}

static void close_side(side *d)
{
	ds_runner_free(d->run);
	if (d->samples)
		d->samples->free(d->samples);
	ds_score_done(&d->score);
	ds_model_free(d->m);
}

/* ---- the report --------------------------------------------------------------------------------------------------------------- */

static void report_key(ds_buf *b, const char *key, const char *text, size_t n)
{
	ds_buf_printf(b, ",\"%s\":", key);
	ds_text_json(b, text, n);
}

static ds_status report_write(job *j, ds_buf *b, ds_err *err)
{
	ds_buf_str(b, "}\n");
	ds_status rc = b->oom ? ds_fail_nomem(err, b->len) : ds_sink_write(j->report, b->data, b->len, err);
	ds_buf_done(b);
	return rc;
}

/* {"event":"item"|"error", ...}: one line per sample. */
static ds_status report_item(job *j, const ds_result *r, int64_t best, float p, ds_err *err)
{
	ds_buf b = { 0 };
	char text[32];
	if (!j->report)
		return DS_OK;
	ds_buf_printf(&b, "{\"event\":\"%s\"", r->bad ? "error" : "item");
	report_key(&b, "input", r->name, r->name_len);
	ds_buf_printf(&b, ",\"index\":%llu", (unsigned long long)r->index);
	if (r->bad)
		report_key(&b, "error", r->bad->text, strlen(r->bad->text));
	if (r->label >= 0)
		ds_buf_printf(&b, ",\"label\":%lld", (long long)r->label);
	if (best >= 0)
		ds_buf_printf(&b, ",\"predicted\":%lld,\"probability\":%s", (long long)best, isfinite(p) ? ds_fmt_f32(text, p) : "null");
	return report_write(j, &b, err);
}

static ds_status report_end(job *j, ds_err *err)
{
	ds_buf b = { 0 };
	if (!j->report)
		return DS_OK;
	ds_buf_printf(&b, "{\"event\":\"end\",\"items\":%llu,\"failed\":%llu", (unsigned long long)j->n, (unsigned long long)j->failed);
	if (j->s->eval && j->here.score.n)
		ds_buf_printf(&b, ",\"labelled\":%llu,\"top1\":%llu,\"top5\":%llu", (unsigned long long)j->here.score.n,
			(unsigned long long)j->here.score.top1, (unsigned long long)j->here.score.top5);
	DS_TRY(report_write(j, &b, err));
	ds_status rc = ds_sink_commit(j->report, err);
	j->report = NULL;
	return rc;
}

/* ---- rows of classes, of values, of outputs ------------------------------------------------------------------------------------ */

static ds_status print_classes(job *j, const ds_result *r, ds_err *err);
static ds_status print_summary(job *j, const ds_result *r, ds_err *err);
static ds_status print_values(job *j, const ds_result *r, ds_err *err);
static ds_status print_error(job *j, const ds_result *r, ds_err *err);
static ds_status print_tokens(job *j, const ds_result *r, ds_err *err);

/* What a row is; "@" stands for the position, where samples are windows, "*" for the columns of values. */
enum { CLASSES, SUMMARY, VALUES, ERROR, TOKENS };
static const struct row_kind {
	const char *column[8];
	ds_status (*print)(job *j, const ds_result *r, ds_err *err);
} row_kinds[] = {
	{ { "input", "@", "rank", "index", "label", "probability" }, print_classes },
	{ { "input", "output", "dtype", "shape", "min", "max", "mean" }, print_summary },
	{ { "input", "@", "*" }, print_values },
	{ { "input", "@", "error" }, print_error },
	{ { "input", "@", "tokens", "nll", "bits" }, print_tokens },
};

#define VALUES_MAX 4096         /* columns of a row; models that give more have their outputs summed up */

static bool values_are(const job *j, const char *word)
{
	const char *say = ds_meta_str(&j->here.m->meta, "output.0.values");
	return say && !strcmp(say, word);
}

/* Outputs that are no states. */
static int real_outputs(const ds_graph *g)
{
	int n = g->n_output;
	for (int i = 0; i < g->n_state; i++)
		n -= g->state[i].axis == DS_NO_SYMBOL;
	return n;
}

/* Only the first result tells for sure what kind of rows there will be; the header of an empty run is that of a classifier. */
static int find_kind(job *j, const ds_result *r)
{
	ds_type t = ds_runner_output(j->here.run, 0);
	bool outputs = j->here.m->graph->n_output > 0;
	if (r && outputs)
		t = ds_type_of(&r->out[0]);
	int64_t n = r && outputs ? ds_tensor_count(&r->out[0]) : 0;
	j->classes = t.rank >= 0 && r ? ds_class_count(t.rank, t.dim) : 0;
	if (j->s->summary || (r && !outputs))
		return SUMMARY;
	if (j->aim.what == DS_AIM_INPUT)
		return ERROR;
	if (j->aim.what == DS_AIM_NEXT)
		return TOKENS;
	bool values = values_are(j, "numbers") || (j->position && n == 1);
	if (values && n <= VALUES_MAX && real_outputs(j->here.m->graph) <= 1)
		return VALUES;
	return values || (r && (!j->classes || real_outputs(j->here.m->graph) > 1)) || (!r && t.rank > 2) ? SUMMARY : CLASSES;
}

/* The columns of rows of values: those of the table, with the steps of the forecast, else the output's name. */
static ds_status name_values(job *j, const ds_result *r, ds_err *err)
{
	int64_t n = r ? ds_tensor_count(&r->out[0]) : j->aim.what == DS_AIM_VALUES ? j->aim.col.n * j->horizon : 1, c = j->aim.col.n;
	bool named = j->aim.what == DS_AIM_VALUES && n == c * j->horizon;
	const char *output = values_are(j, "probabilities") ? "probability" : ds_model_output_name(j->here.m, 0);
	j->column = ds_calloc((size_t)n, sizeof *j->column);
	if (!j->column)
		return ds_fail_nomem(err, (size_t)n * sizeof *j->column);
	for (; j->n_column < n; j->n_column++) {
		int64_t i = j->n_column;
		ds_buf b = { 0 };
		ds_buf_str(&b, named ? j->aim.col.name[j->swap ? i / j->horizon : i % c] : output);
		if (named && j->horizon > 1)
			ds_buf_printf(&b, "+%lld", (long long)(j->swap ? i % j->horizon : i / c) + 1);
		else if (!named && n > 1)
			ds_buf_printf(&b, "[%lld]", (long long)i);
		if (b.oom || !b.data) {
			ds_buf_done(&b);
			return ds_fail_nomem(err, 64);
		}
		j->column[i] = b.data;
	}
	return DS_OK;
}

static ds_status open_rows(job *j, const ds_result *r, ds_err *err)
{
	if (j->rows)
		return DS_OK;
	const char *const *from;
	size_t n = 0;
	int kind = find_kind(j, r);
	j->kind = &row_kinds[kind];
	if (kind == VALUES)
		DS_TRY(name_values(j, r, err));
	if (r && kind == CLASSES && j->names.n && j->names.n != j->classes)
		ds_warn("%d labels for %lld classes", j->names.n, (long long)j->classes);
	j->columns = ds_calloc((size_t)j->n_column + DS_COUNTOF(j->kind->column) + 1, sizeof *j->columns);
	if (!j->columns)
		return ds_fail_nomem(err, sizeof *j->columns);
	for (from = j->kind->column; *from; from++) {
		if (**from == '@' && j->position)
			j->columns[n++] = j->position;
		else if (**from != '@' && **from != '*')
			j->columns[n++] = *from;
		for (int64_t i = 0; **from == '*' && i < j->n_column; i++)
			j->columns[n++] = j->column[i];
	}
	return ds_rows_open(&j->rows, j->out, j->s->c.json, j->columns, err);
}

/* The name of the item; of a window that of its file, and where it is. */
static void put_input(job *j, const ds_result *r)
{
	ds_rows_str(j->rows, r->name, j->position && r->row >= 0 ? r->path_len : r->name_len);
	if (!j->position)
		return;
	if (r->row < 0)
		ds_rows_null(j->rows);
	else if (j->unit == 1)
		ds_rows_i64(j->rows, r->row);
	else
		ds_rows_f64(j->rows, (double)r->row / j->unit);
}

static void put_label(job *j, ds_rows *rows, int64_t i)
{
	if (i < j->names.n)
		ds_rows_str(rows, j->names.name[i], strlen(j->names.name[i]));
	else
		ds_rows_null(rows);
}

static ds_status print_classes(job *j, const ds_result *r, ds_err *err)
{
	float *v = NULL;
	int64_t n, *best = NULL;
	ds_status rc = ds_class_values(&r->out[0], &v, &n, err);
	int k = (int)DS_MIN(j->s->top, n);
	best = ds_calloc(k, sizeof *best);
	if (rc == DS_OK && !best)
		rc = ds_fail_nomem(err, k * sizeof *best);
	if (rc != DS_OK)
		goto out;
	ds_top_k(v, n, k, best);
	if (j->here.logits)
		ds_softmax(v, n, v);
	for (int i = 0; i < k && rc == DS_OK; i++) {
		put_input(j, r);
		ds_rows_i64(j->rows, i + 1);
		ds_rows_i64(j->rows, best[i]);
		put_label(j, j->rows, best[i]);
		ds_rows_f32(j->rows, v[best[i]]);
		rc = ds_rows_end(j->rows, err);
	}
	if (rc == DS_OK)
		rc = report_item(j, r, best[0], v[best[0]], err);
out:
	ds_free(v);
	ds_free(best);
	return rc;
}

static ds_status print_output(job *j, const ds_result *r, int i, ds_err *err)
{
	const ds_tensor *t = &r->out[i];
	ds_type type = ds_type_of(t);
	ds_buf shape = { 0 };
	int64_t n = ds_tensor_count(t);
	double min = NAN, max = NAN, sum = 0;
	for (int64_t e = 0; e < n; e++) {
		double v = ds_tensor_f64(t, e);
		min = fmin(min, v);
		max = fmax(max, v);
		sum += v;
	}
	ds_type_print(&shape, &type, NULL);
	const char *dims = shape.data ? strchr(shape.data, '[') : NULL;         /* the type has a column of its own */
	const char *name = ds_model_output_name(j->here.m, i);
	ds_rows_str(j->rows, r->name, r->name_len);
	ds_rows_str(j->rows, name, strlen(name));
	ds_rows_str(j->rows, ds_dtype_name(t->dtype), strlen(ds_dtype_name(t->dtype)));
	ds_rows_str(j->rows, dims ? dims : "", dims ? strlen(dims) : 0);
	ds_buf_done(&shape);
	const double stat[] = { min, max, n ? sum / (double)n : NAN };
	for (size_t k = 0; k < DS_COUNTOF(stat); k++) {
		if (isnan(stat[k]))
			ds_rows_null(j->rows);
		else
			ds_rows_f64(j->rows, stat[k]);
	}
	return ds_rows_end(j->rows, err);
}

static ds_status print_summary(job *j, const ds_result *r, ds_err *err)
{
	for (int i = 0; i < r->n_out; i++)
		DS_TRY(print_output(j, r, i, err));
	return report_item(j, r, -1, 0, err);
}

/* Values in the unit of their columns. */
static ds_status print_values(job *j, const ds_result *r, ds_err *err)
{
	const ds_columns *c = &j->aim.col;
	bool named = j->aim.what == DS_AIM_VALUES && j->n_column == c->n * j->horizon;
	if (ds_tensor_count(&r->out[0]) != j->n_column)
		return ds_fail(err, DS_E_INPUT, "%lld values where there were %lld before", (long long)ds_tensor_count(&r->out[0]), (long long)j->n_column);
	put_input(j, r);
	for (int64_t i = 0; i < j->n_column; i++) {
		double v = ds_tensor_f64(&r->out[0], i);
		int64_t k = !named ? 0 : j->swap ? i / j->horizon : i % c->n;
		if (named && (c->mean || c->std))
			ds_rows_f32(j->rows, (float)(v * (c->std ? c->std[k] : 1) + (c->mean ? c->mean[k] : 0)));
		else
			ds_rows_f32(j->rows, (float)v);
	}
	DS_TRY(ds_rows_end(j->rows, err));
	return report_item(j, r, -1, 0, err);
}

/* How far output 0 is from the input: the mean of the squares. */
static ds_status print_error(job *j, const ds_result *r, ds_err *err)
{
	ds_fit f = { 0 };
	DS_TRY(ds_fit_add(&f, &r->out[0], r->target, err));
	put_input(j, r);
	ds_rows_f64(j->rows, f.n ? f.square / (double)f.n : NAN);
	DS_TRY(ds_rows_end(j->rows, err));
	return report_item(j, r, -1, 0, err);
}

static ds_status print_tokens(job *j, const ds_result *r, ds_err *err)
{
	ds_tokens k = { 0 };
	DS_TRY(ds_tokens_add(&k, &r->out[0], r->target, j->here.logits, err));
	put_input(j, r);
	ds_rows_i64(j->rows, (int64_t)k.n);
	ds_rows_f64(j->rows, k.n ? k.nll / (double)k.n : NAN);
	ds_rows_f64(j->rows, k.n ? k.nll / (double)k.n / log(2) : NAN);
	DS_TRY(ds_rows_end(j->rows, err));
	return report_item(j, r, -1, 0, err);
}

static ds_status predict_start(job *j, ds_err *err)
{
	return DS_OK;
}

static ds_status predict_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	DS_TRY(open_rows(j, r, err));
	return j->kind->print(j, r, err);
}

static ds_status predict_end(job *j, ds_err *err)
{
	return open_rows(j, NULL, err);
}

/* ---- tensor streams ----------------------------------------------------------------------------------------------------------- */

static bool wanted(const job *j, const char *name)
{
	return !*j->s->tensors || ds_glob(j->s->tensors, name);
}

/* Does the pattern name values that are no outputs?  One that names nothing at all is a mistake. */
static ds_status find_taps(job *j, ds_err *err)
{
	const ds_graph *g = j->here.m->graph;
	int hits = 0;
	for (int i = 0; i < g->n_output; i++)
		hits += wanted(j, g->output[i]->name);
	for (int i = 0; i < g->n_node && *j->s->tensors; i++) {
		for (int k = 0; k < g->node[i]->n_out; k++) {
			const ds_value *v = g->node[i]->out[k];
			bool output = false;
			for (int o = 0; o < g->n_output; o++)
				output = output || g->output[o] == v;
			if (*v->name && !output && wanted(j, v->name)) {
				j->taps = true;
				hits++;
			}
		}
	}
	return hits ? DS_OK : ds_fail(err, DS_E_USAGE, "--tensors=%s: no value of the graph has such a name", j->s->tensors);
}

static ds_status on_tap(void *arg, const ds_node *n, int i, const ds_tensor *t, ds_err *err)
{
	job *j = arg;
	const char *name = n->out[i]->name;
	if (!*name || !wanted(j, name))
		return DS_OK;
	if (!ds_grow((void **)&j->tap, j->n_tap, &j->cap_tap, sizeof *j->tap))
		return ds_fail_nomem(err, sizeof *j->tap);
	/* the tensor may be a window into memory that is used again, in any layout: keep plain bytes of our own */
	ds_tensor *keep = &j->tap[j->n_tap].t;
	DS_TRY(ds_tensor_new(keep, t->dtype, t->rank, t->dim, err));
	j->tap[j->n_tap++].name = name;
	return ds_tensor_relayout(t, keep, err);
}

static void forget_taps(job *j)
{
	while (j->n_tap)
		ds_tensor_done(&j->tap[--j->n_tap].t);
}

static ds_status tensors_start(job *j, ds_err *err)
{
	ds_dsm_wopts o = { .compress = j->s->c.compress, .memory_limit = j->s->c.memory_limit };
	ds_meta m = { 0 };
	DS_TRY(ds_dsm_create(&j->w, j->out, &o, err));
	ds_status rc = ds_meta_set_str(&m, "kind", "tensors");
	if (rc == DS_OK)
		rc = ds_dsm_put_meta(j->w, &m, err);
	ds_meta_done(&m);
	return rc;
}

static ds_status tensors_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	uint32_t item = (uint32_t)j->written++;
	for (size_t i = 0; i < j->n_tap; i++)
		DS_TRY(ds_dsm_put_tensor(j->w, &j->tap[i].t, j->tap[i].name, item, r->name, r->name_len, err));
	for (int i = 0; i < r->n_out && !j->taps; i++) {
		const char *name = ds_model_output_name(j->here.m, i);
		if (wanted(j, name))
			DS_TRY(ds_dsm_put_tensor(j->w, &r->out[i], name, item, r->name, r->name_len, err));
	}
	return report_item(j, r, -1, 0, err);
}

static ds_status tensors_end(job *j, ds_err *err)
{
	return ds_dsm_finish(j->w, err);
}

/* ---- logits ------------------------------------------------------------------------------------------------------------------- */

/* A softmax at the end is left out: before the model is made ready to run. */
static ds_status uncover_logits(job *j, ds_err *err)
{
	ds_graph *g = j->here.m->graph;
	if (!g->n_output)
		return ds_fail(err, DS_E_UNSUPPORTED, "--logits of a model without outputs");
	g->output[0] = ds_train_logits(g->output[0]);
	return DS_OK;
}

static ds_status logits_start(job *j, ds_err *err)
{
	ds_dsm_wopts o = { .compress = j->s->c.compress, .memory_limit = j->s->c.memory_limit };
	return ds_logits_create(&j->logits, j->out, j->here.m, ds_given("top") ? j->s->top : 0, &o, err);
}

static ds_status logits_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	DS_TRY(ds_logits_put(j->logits, &r->out[0], r->name, r->name_len, err));
	return report_item(j, r, -1, 0, err);
}

/* The numbers of the samples behind it stay what they are. */
static ds_status logits_bad(job *j, const ds_result *r, ds_err *err)
{
	return ds_logits_put(j->logits, NULL, r->name, r->name_len, err);
}

static ds_status logits_end(job *j, ds_err *err)
{
	return ds_logits_finish(j->logits, err);
}

/* ---- accuracy and comparison -------------------------------------------------------------------------------------------------- */

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

/* The error as an alarm, for items that say whether it would be right. */
static ds_status keep_alarm(job *j, const ds_result *r, ds_err *err)
{
	ds_fit f = { 0 };
	if (r->label < 0)
		return DS_OK;
	DS_TRY(ds_fit_add(&f, &r->out[0], r->target, err));
	if (!ds_grow((void **)&j->alarm, j->n_alarm, &j->cap_alarm, sizeof *j->alarm) ||
		!ds_grow((void **)&j->alarming, j->n_alarm, &j->cap_alarming, sizeof *j->alarming))
		return ds_fail_nomem(err, sizeof *j->alarm);
	j->alarm[j->n_alarm] = f.n ? f.square / (double)f.n : 0;
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
	if (j->aim.what == DS_AIM_INPUT)
		return keep_alarm(j, r, err);
	add_columns(j, &r->out[0], r->target);
	return DS_OK;
}

static ds_status measure_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	int64_t best = -1, ignore;
	float p = 0, p2;
	bool target = r->target->data != NULL;
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
	return report_item(j, r, best, p, err);
}

/* A row of figures; negative totals and NULL texts are left empty. */
static ds_status metric(job *j, const char *name, double value, double lo, double hi, int64_t count, int64_t total, const char *output,
	const char *input, ds_err *err)
{
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

static ds_status share(job *j, const char *name, uint64_t k, uint64_t n, ds_err *err)
{
	double lo, hi;
	ds_wilson(k, n, &lo, &hi);
	return metric(j, name, n ? (double)k / (double)n : NAN, lo, hi, (int64_t)k, (int64_t)n, NULL, NULL, err);
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
		put_label(j, j->rows, i / s->classes);
		put_label(j, j->rows, i % s->classes);
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
	return metric(j, "drop", *drop, NAN, NAN, -1, (int64_t)(a->tokens.n ? a->tokens.n : a->fit.n), NULL, NULL, err);
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
		DS_TRY(share(j, "agreement", v->agree, v->n, err));
	}
	if (v->labelled) {
		ds_paired_diff(v->lost, v->gained, v->labelled, &lo, &hi);
		*drop = hi;
		double d = ((double)v->lost - (double)v->gained) / (double)v->labelled;
		DS_TRY(share(j, "reference_top1", j->ref.score.top1, j->ref.score.n, err));
		DS_TRY(share(j, "reference_top5", j->ref.score.top5, j->ref.score.n, err));
		DS_TRY(metric(j, "drop", d, lo, hi, -1, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(metric(j, "mcnemar_gained", NAN, NAN, NAN, (int64_t)v->gained, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(metric(j, "mcnemar_lost", NAN, NAN, NAN, (int64_t)v->lost, (int64_t)v->labelled, NULL, NULL, err));
		DS_TRY(metric(j, "mcnemar_p", ds_mcnemar(v->gained, v->lost), NAN, NAN, -1, -1, NULL, NULL, err));
	}
	for (int i = 0; i < v->n_out; i++) {
		const ds_difference *d = &v->out[i];
		const char *name = ds_model_output_name(j->here.m, i);
		DS_TRY(metric(j, "max_difference", d->item ? d->max : NAN, NAN, NAN, -1, -1, name, d->item, err));
		DS_TRY(metric(j, "mean_difference", d->n ? d->sum / (double)d->n : NAN, NAN, NAN, -1, -1, name, NULL, err));
	}
	return DS_OK;
}

/* One figure of n things, without an interval. */
static ds_status mean(job *j, const char *prefix, const char *name, double sum, uint64_t n, const char *output, ds_err *err)
{
	char full[64];
	snprintf(full, sizeof full, "%s%s", prefix, name);
	return metric(j, full, n ? sum / (double)n : NAN, NAN, NAN, -1, (int64_t)n, output, NULL, err);
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
	DS_TRY(metric(j, *prefix ? "reference_perplexity" : "perplexity", exp(nll), NAN, NAN, -1, (int64_t)k->n, NULL, NULL, err));
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
		DS_TRY(metric(j, "column_rmse", f->n ? sqrt(f->square / (double)f->n) : NAN, NAN, NAN, -1, (int64_t)f->n, j->aim.col.name[i], NULL, err));
		DS_TRY(mean(j, "column_", "mae", f->absolute, f->n, j->aim.col.name[i], err));
	}
	if (j->ref.fit.n)
		DS_TRY(print_fit(j, "reference_", &j->ref.fit, err));
	if (j->n_alarm) {
		int64_t yes = 0;
		for (size_t i = 0; i < j->n_alarm; i++)
			yes += j->alarming[i];
		DS_TRY(metric(j, "auc", ds_auc(j->alarm, j->alarming, (int64_t)j->n_alarm), NAN, NAN, yes, (int64_t)j->n_alarm, NULL, NULL, err));
	}
	return DS_OK;
}

static ds_status measure_end(job *j, ds_err *err)
{
	double drop = 0;
	bool targets = j->here.fit.n || j->here.tokens.n || j->aim.what > DS_AIM_CLASS;
	DS_TRY(ds_rows_open(&j->rows, j->out, j->s->c.json, metric_columns, err));
	DS_TRY(print_targets(j, err));
	if (!targets && (j->here.score.n || j->s->eval)) {
		DS_TRY(share(j, "top1", j->here.score.top1, j->here.score.n, err));
		DS_TRY(share(j, "top5", j->here.score.top5, j->here.score.n, err));
	}
	if (j->s->compare)
		DS_TRY(print_versus(j, &drop, err));
	if (j->s->confusion)
		DS_TRY(print_confusion(j, err));
	if (drop > j->s->max_drop && ds_given("max-drop")) {
		bool labels = j->versus.labelled != 0;
		if (j->aim.what > DS_AIM_CLASS)
			return ds_fail(err, DS_E_CHECK, "the error has grown by %.4f of the reference's, more than %.4f", drop, j->s->max_drop);
		return ds_fail(err, DS_E_CHECK, "%s may have dropped by %.4f (95 %% interval), more than %.4f", labels ? "accuracy" : "agreement", drop,
			j->s->max_drop);
	}
	return DS_OK;
}

/* ---- all together ------------------------------------------------------------------------------------------------------------- */

static const struct mode {
	ds_status (*start)(job *j, ds_err *err);
	ds_status (*item)(job *j, const ds_result *r, const ds_result *ref, ds_err *err);      /* DS_E_INPUT: this item has failed */
	ds_status (*end)(job *j, ds_err *err);          /* DS_E_CHECK: all is written, the check failed */
	ds_status (*bad)(job *j, const ds_result *r, ds_err *err);      /* an item that has failed; NULL: nothing to do */
} modes[] = {
	{ predict_start, predict_item, predict_end, NULL },
	{ tensors_start, tensors_item, tensors_end, NULL },
	{ measure_start, measure_item, measure_end, NULL },
	{ logits_start, logits_item, logits_end, logits_bad },
};

static const struct mode *mode_of(const settings *s)
{
	return &modes[s->logits ? 3 : s->tensors ? 1 : s->eval || s->compare ? 2 : 0];
}

static ds_status item_failed(job *j, const struct mode *mode, const ds_result *r, const ds_err *why, ds_err *err)
{
	ds_result bad = *r;
	bad.bad = why;
	j->failed++;
	ds_complain(why);
	forget_taps(j);
	if (mode->bad)
		DS_TRY(mode->bad(j, r, err));
	return report_item(j, &bad, -1, 0, err);
}

/* Next item of both sides; DS_END at the end of the first. */
static ds_status next_pair(job *j, ds_result *r, ds_result *ref, ds_err *err)
{
	DS_TRY(ds_runner_next(j->here.run, r, err));
	if (!j->s->compare)
		return DS_OK;
	ds_status rc = ds_runner_next(j->ref.run, ref, err);
	return rc == DS_END ? ds_fail(err, DS_E_INPUT, "%s takes fewer samples from the same files", j->s->compare) : rc;
}

static ds_status run_items(job *j, const struct mode *mode, ds_err *err)
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
			forget_taps(j);
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
	DS_TRY(ds_open_output(&j->out, &s->c, (s->tensors || s->logits) && s->c.dump < 0, err));
	DS_TRY(load_model(&j->here.m, &s->c, NULL, err));
	if (s->compare)
		DS_TRY(load_model(&j->ref.m, &s->c, s->compare, err));
	DS_TRY(load_names(j, err));
	DS_TRY(find_aim(j, err));
	if (s->tensors)
		DS_TRY(find_taps(j, err));
	if (s->logits)
		DS_TRY(uncover_logits(j, err));
	DS_TRY(open_side(j, &j->here, j->taps ? on_tap : NULL, err));
	if (s->compare)
		DS_TRY(open_side(j, &j->ref, NULL, err));
	return s->c.report ? ds_sink_open(&j->report, s->c.report, err) : DS_OK;
}

static ds_status run(void *p, ds_err *err)
{
	job j = { .s = p };
	ds_err late = { 0 };
	ds_status rc, checked;
	const struct mode *mode = mode_of(p);
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
		rc = report_end(&j, &late);
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
	ds_sink_abort(j.out);
	forget_taps(&j);
	for (int64_t i = 0; i < j.n_column; i++)
		ds_free(j.column[i]);
	ds_free(j.column);
	ds_free(j.columns);
	ds_free(j.each);
	ds_free(j.alarm);
	ds_free(j.alarming);
	ds_aim_done(&j.aim);
	ds_free(j.tap);
	ds_versus_done(&j.versus);
	close_side(&j.here);
	close_side(&j.ref);
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
		"$ ds-run -m small.dsm --compare model.dsm -d test/ --max-drop 0.01\n"
		"$ ds-run -m model.dsm --tensors photo.png > outputs.dsm\n"
		"$ ds-run -m teacher.dsm --logits --top 5 -d train/ > logits.dsm\n",
	.opts = opts,
	.common = DS_C_INPUTS | DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_BATCH | DS_C_FILES
		| DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS | DS_C_DUMP,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng libjpeg libsndfile zlib zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
