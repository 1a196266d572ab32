/* alloc.c - every failure of an allocation is handled: alloc [-a] [PATH ...]
 *
 * The N-th allocation of a path through the library fails, for N = 1, 2, 3 ... until the path needs fewer: once (transient), and from there on (persistent).
 * The path must answer DS_E_NOMEM, or succeed with the very result that it has without failures; nothing may stay allocated, no file may be left.
 * All N with -a; else every k-th of a path with more than 200, other ones in the two modes.  The program is linked with --wrap (Makefile), so that only the
 * allocations of our own code are counted (libpng allocates through it): those of zlib and zstd are theirs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failing.h"

#include "data/data.h"
#include "exec/exec.h"
#include "fit/fit.h"
#include "format/dsm_pass.h"
#include "format/format.h"
#include "format/history.h"
#include "prune/prune.h"
#include "quantize/quantize.h"

extern const ds_format ds_format_safetensors;

/* ---- what the paths work on: made before anything fails --------------------------------------------------------------------------- */
typedef struct bytes { uint8_t *p; size_t n; } bytes;
static ds_model *model;                 /* the one that paths read */
static bytes onnx, dsm, picture;        /* files */
static const char *file_path;
static char out_path[64];

static bytes slurp(const char *path)
{
	bytes b = { ds_aligned(1 << 20), 0 };
	FILE *f = fopen(path, "rb");
	if (f && b.p) {
		b.n = fread(b.p, 1, 1 << 20, f);
		fclose(f);
	}
	return b;
}

static ds_status import(ds_model **m, ds_err *err)
{
	ds_source *src;
	ds_buf missing = { 0 }, notes = { 0 };
	*m = NULL;
	const ds_format *f = ds_format_probe(onnx.p, onnx.n, (int64_t)onnx.n);
	ds_status rc = ds_source_memory(&src, onnx.p, onnx.n, "onnx", err);
	if (rc == DS_OK)
		rc = f->read(m, src, &(ds_import){ .missing = &missing, .notes = &notes }, err);
	ds_buf_done(&missing);
	ds_buf_done(&notes);
	return rc;
}

static ds_status save(const ds_model *m, ds_buf *out, ds_err *err)
{
	ds_sink *s;
	DS_TRY(ds_sink_memory(&s, out, err));
	ds_status rc = ds_model_save(m, s, NULL, err);
	if (rc == DS_OK)
		return ds_sink_commit(s, err);
	ds_sink_abort(s);
	return rc;
}

static ds_status load(ds_model **m, const ds_dsm_opts *o, ds_err *err)
{
	ds_source *src;
	*m = NULL;
	DS_TRY(ds_source_memory(&src, dsm.p, dsm.n, "dsm", err));
	return ds_model_load(m, src, o, err);
}

/* What a path made, once nothing fails any more. */
static void result(const ds_model *m, ds_buf *out)
{
	atomic_store(&armed, false);
	if (m && save(m, out, NULL) != DS_OK)
		ds_buf_str(out, "result cannot be saved");
}

/* ---- the paths ---------------------------------------------------------------------------------------------------------------------- */
static ds_status path_import(ds_buf *out, ds_err *err)
{
	ds_model *m;
	ds_status rc = import(&m, err);
	result(m, out);
	ds_model_free(m);
	return rc;
}

static ds_status path_load(ds_buf *out, ds_err *err)
{
	ds_model *m;
	ds_status rc = load(&m, NULL, err);
	result(m, out);
	ds_model_free(m);
	return rc;
}

static ds_status path_save(ds_buf *out, ds_err *err)
{
	ds_sink *s;
	ds_status rc = ds_sink_open(&s, out_path, err);
	if (rc == DS_OK) {
		rc = ds_model_save(model, s, &(ds_dsm_wopts){ .compress = true }, err);
		if (rc == DS_OK)
			rc = ds_sink_commit(s, err);
		else
			ds_sink_abort(s);
	}
	atomic_store(&armed, false);
	bytes b = { NULL, 0 };
	if (access(out_path, F_OK) == 0) {
		b = slurp(out_path);
		unlink(out_path);
		ds_buf_add(out, b.p, b.n);
	}
	ds_free(b.p);
	return rc;
}

static ds_status edit(void *arg, const ds_graph *g, ds_meta *meta, ds_err *err)
{
	(void)arg, (void)g;
	return ds_meta_set_str(meta, "model.license", "none") == DS_OK ? DS_OK : ds_fail_nomem(err, 0);
}

static ds_status entry(void *arg, uint32_t crc, uint64_t len, ds_meta *e, ds_err *err)
{
	(void)arg;
	return ds_history_make(e, "ds-test", "a = 1\nb = 2\n", crc, len, NULL, 0, NULL, err);
}

static ds_status path_pass(ds_buf *out, ds_err *err)
{
	ds_source *src;
	ds_sink *sink = NULL;
	ds_dsm_reader *r = NULL;
	ds_dsm_writer *w = NULL;
	ds_status rc;
	DS_GOTO(ds_source_memory(&src, dsm.p, dsm.n, "dsm", err));
	DS_GOTO(ds_dsm_open(&r, src, NULL, err));
	DS_GOTO(ds_sink_memory(&sink, out, err));
	DS_GOTO(ds_dsm_create(&w, sink, NULL, err));
	rc = ds_dsm_pass(r, w, &(ds_dsm_pass_opts){ .edit = edit, .history = entry }, err);
out:
	ds_dsm_writer_free(w);
	if (rc == DS_OK)
		rc = ds_sink_commit(sink, err);
	else
		ds_sink_abort(sink);
	ds_dsm_close(r);
	return rc;
}

/* A sample for the model's only input: open extents are 1. */
static ds_status sample(ds_tensor *t, const ds_model *m, int k, ds_err *err)
{
	ds_dtype dtype;
	int64_t dim[DS_MAX_RANK];
	int rank = ds_model_input_type(m, 0, &dtype, dim);
	for (int i = 0; i < rank; i++)
		dim[i] = dim[i] < 0 ? 1 : dim[i];
	DS_TRY(ds_tensor_new(t, dtype, rank, dim, err));
	for (int64_t i = 0; dtype == DS_F32 && i < ds_tensor_count(t); i++)
		((float *)t->data)[i] = (float)((i * 37 + k * 11) % 64) / 64.0f;
	return DS_OK;
}

static ds_status path_run(ds_buf *out, ds_err *err)
{
	ds_session *s = NULL;
	ds_tensor in = { 0 }, res = { 0 };
	ds_status rc;
	DS_GOTO(ds_session_new_opts(&s, model->graph, &(ds_session_opts){ .threads = 2 }, err));
	DS_GOTO(sample(&in, model, 0, err));
	DS_GOTO(ds_session_run(s, &in, 1, &res, 1, err));
	atomic_store(&armed, false);
	ds_buf_add(out, res.data, ds_tensor_bytes(&res));
out:
	ds_tensor_done(&in);
	ds_tensor_done(&res);
	ds_session_free(s);
	return rc;
}

/* A session that lived through a failure still gives the right answer. */
static ds_status path_run_again(ds_buf *out, ds_err *err)
{
	ds_session *s = NULL;
	ds_tensor in = { 0 }, res = { 0 };
	ds_status rc, first = DS_OK;
	atomic_store(&armed, false);
	DS_GOTO(ds_session_new_opts(&s, model->graph, &(ds_session_opts){ .threads = 1 }, err));
	DS_GOTO(sample(&in, model, 0, err));
	atomic_store(&armed, true);
	first = ds_session_run(s, &in, 1, &res, 1, err);
	atomic_store(&armed, false);
	if (first != DS_OK) {
		ds_buf want = { 0 };
		fail_at = 0;
		if (path_run(&want, NULL) != DS_OK || ds_session_run(s, &in, 1, &res, 1, NULL) != DS_OK ||
			want.len != ds_tensor_bytes(&res) || memcmp(want.data, res.data, want.len) != 0)
			first = DS_E_INTERNAL;
		ds_buf_done(&want);
	}
	rc = first;
	if (rc == DS_OK)
		ds_buf_add(out, res.data, ds_tensor_bytes(&res));
out:
	ds_tensor_done(&in);
	ds_tensor_done(&res);
	ds_session_free(s);
	return rc;
}

static ds_status path_prune(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_structure *s = NULL;
	ds_prune_row *rows = NULL;
	ds_buf text = { 0 };
	int n = 0;
	ds_status rc;
	atomic_store(&armed, false);
	DS_GOTO(load(&m, NULL, err));
	atomic_store(&armed, true);
	DS_GOTO(ds_structure_new(&s, m, NULL, err));
	DS_GOTO(ds_criterion_find("l1")->score(s, m, &(ds_criterion_opts){ .seed = 1 }, err));
	DS_GOTO(ds_prune_choose(s, &(ds_prune_opts){ .ratio = 0.25, .min_keep = 1 }, err));
	ds_prune_mark(s);
	ds_prune_plan_write(s, &(ds_prune_plan_head){ "l1", 1, m->id_crc, m->id_len }, &text);
	if (text.oom) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(ds_prune_plan_apply(s, text.data, text.len, m, false, err));
	ds_prune_mark(s);
	DS_GOTO(ds_prune_cut(m->graph, s, err));
	DS_GOTO(ds_prune_table(model, m, NULL, &rows, &n, err));
	result(m, out);
	ds_buf_add(out, text.data, text.len);
out:
	ds_free(rows);
	ds_buf_done(&text);
	ds_structure_free(s);
	ds_model_free(m);
	return rc;
}

static ds_status path_recal(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_recal *r = NULL;
	ds_tensor in = { 0 };
	ds_status rc;
	atomic_store(&armed, false);
	DS_GOTO(load(&m, NULL, err));
	DS_GOTO(sample(&in, m, 0, err));
	atomic_store(&armed, true);
	DS_GOTO(ds_recal_new(&r, m, 1, err));
	DS_GOTO(ds_recal_batch(r, &in, 1, err));
	DS_GOTO(ds_recal_finish(r, m, err));
	result(m, out);
out:
	ds_tensor_done(&in);
	ds_recal_free(r);
	ds_model_free(m);
	return rc;
}

/* Weights only, as in a filter: the pieces go to a buffer. */
static ds_status emit(void *arg, const void *p, size_t n, ds_err *err)
{
	ds_buf *b = arg;
	ds_buf_add(b, p, n);
	return b->oom ? ds_fail_nomem(err, n) : DS_OK;
}

static ds_status path_w8(ds_buf *out, ds_err *err)
{
	uint8_t *mark = NULL;
	ds_qw *q = NULL;
	ds_status rc;
	DS_GOTO(ds_q_weights(model->graph, &mark, err));
	for (int i = 0; i < model->graph->n_weight; i++) {
		const ds_value *v = model->graph->weight[i];
		const ds_qw_opts o = { .bits = i % 2 ? 8 : 4, .group = i % 3 ? 0 : 16, .range = i % 2 ? DS_RANGE_MINMAX : DS_RANGE_MSE };
		ds_qw_stat st;
		if (!mark[v->id] || v->data.q)
			continue;
		DS_GOTO(ds_qw_new(&q, &o, v->data.dtype, v->data.rank, v->data.dim, emit, out, err));
		DS_GOTO(ds_qw_push(q, v->data.data, ds_tensor_bytes(&v->data), err));
		DS_GOTO(ds_qw_end(q, &st, err));
		ds_qw_free(q);
		q = NULL;
	}
out:
	ds_qw_free(q);
	ds_free(mark);
	return rc;
}

typedef struct feed { int at; ds_tensor t; const ds_tensor *p; } feed;

static ds_status feed_next(void *arg, const ds_tensor **in, int *n_in, ds_err *err)
{
	feed *f = arg;
	ds_tensor_done(&f->t);
	if (f->at == 2)
		return DS_END;
	DS_TRY(sample(&f->t, model, f->at++, err));
	*in = &f->t;
	*n_in = 1;
	return DS_OK;
}

static ds_status feed_rewind(void *arg, ds_err *err)
{
	(void)err;
	((feed *)arg)->at = 0;
	return DS_OK;
}

static ds_status path_w8a8(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_qlayer *layer = NULL;
	ds_buf log = { 0 };
	feed f = { 0 };
	int n = 0;
	ds_status rc;
	const ds_q8_opts o = { .range = { DS_RANGE_MSE, 100 }, .weight_range = DS_RANGE_MSE, .equalize = true, .bias_correct = true, .threads = 1, .log = &log,
		.local_error = true };
	atomic_store(&armed, false);
	DS_GOTO(load(&m, NULL, err));
	atomic_store(&armed, true);
	DS_GOTO(ds_q_calibrated(m->graph, &o, &(ds_qsamples){ feed_next, feed_rewind, &f }, &layer, &n, err));
	result(m, out);
out:
	ds_tensor_done(&f.t);
	ds_free(layer);
	ds_buf_done(&log);
	ds_model_free(m);
	return rc;
}

static ds_qbits four(void *arg, const char *node, const char *weight, bool edge)
{
	(void)arg, (void)node, (void)weight;
	return edge ? (ds_qbits){ 8, 8 } : (ds_qbits){ 4, 4 };
}

/* Fake quantisation, and integers of it. */
static ds_status path_qat(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_qlayer *layer = NULL;
	ds_buf log = { 0 };
	feed f = { 0 };
	int n = 0;
	ds_status rc;
	const ds_q8_opts o = { .range = { DS_RANGE_MSE, 100, 0 }, .bits = four, .fake = true, .threads = 1, .log = &log };
	atomic_store(&armed, false);
	DS_GOTO(load(&m, NULL, err));
	atomic_store(&armed, true);
	DS_GOTO(ds_q_calibrated(m->graph, &o, &(ds_qsamples){ feed_next, feed_rewind, &f }, &layer, &n, err));
	DS_GOTO(ds_q_export(m->graph, &n, &log, err));
	result(m, out);
out:
	ds_tensor_done(&f.t);
	ds_free(layer);
	ds_buf_done(&log);
	ds_model_free(m);
	return rc;
}

/* A training run of two stages with everything on, then the same again from its checkpoint. */
static ds_status path_training(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_fit_result r = { 0 };
	ds_fit_words w = { .epochs = 1, .batch = 8, .accumulate = 2, .augment = "crop:2,mixup:.2", .optimizer = "adamw", .beta1 = 0.9, .beta2 = 0.99, .ema = 0.9,
		.schedule = "cosine", .holdout = 0.2, .keep = DS_FIT_KEEP_BEST, .checkpoint = out_path, .resume = true };
	ds_fit_stage stage[2] = { { w, file_path }, { w, file_path } };
	ds_fit_opts o = { .stage = stage, .n_stage = 2, .effective = "", .threads = 1 };
	ds_status rc;
	unlink(out_path);
	for (int i = 0; i < 2; i++) {
		atomic_store(&armed, false);
		DS_GOTO(load(&m, NULL, err));
		atomic_store(&armed, true);
		DS_GOTO(ds_fit_run(m, &o, &r, err));
		result(m, out);
		ds_fit_result_done(&r);
		ds_model_free(m);
		m = NULL;
	}
out:
	atomic_store(&armed, false);
	unlink(out_path);
	ds_fit_result_done(&r);
	ds_model_free(m);
	return rc;
}

static ds_status path_picture(ds_buf *out, ds_err *err)
{
	ds_image im = { 0 };
	ds_prep_spec spec = ds_preset_find("imagenet")->spec;
	ds_status rc = ds_image_decode(&im, picture.p, picture.n, 0, err);
	float *dst = __real_calloc(3 * 32 * 32, sizeof *dst);
	spec.h = spec.w = 32;
	spec.resize_to = 40;
	if (rc == DS_OK && dst)
		rc = ds_prep_image(&spec, &im, dst, err);
	atomic_store(&armed, false);
	if (rc == DS_OK)
		ds_buf_add(out, dst, 3 * 32 * 32 * sizeof *dst);
	__real_free(dst);
	ds_image_done(&im);
	return rc;
}

/* All samples of a source of data. */
static ds_status path_data(ds_buf *out, ds_err *err)
{
	ds_samples *s = NULL;
	ds_item item;
	bool bad = false;
	ds_status rc = ds_data_open(&s, &(ds_data_opts){ .model = model, .n_path = 1, .path = &file_path,
		.want_labels = ds_meta_find(&model->meta, "output.0.columns") != NULL, .threads = 1 }, err);
	for (int i = 0; rc == DS_OK && i < 5; i++) {
		bad = false;
		rc = s->next(s, &item, &bad, err);
		if (rc == DS_OK)
			emit(out, item.in[0].data, ds_tensor_bytes(&item.in[0]), NULL);
	}
	if (s)
		s->free(s);
	atomic_store(&armed, false);
	if ((rc == DS_OK || rc == DS_END) && out->oom)
		rc = ds_fail_nomem(err, 0);
	return rc == DS_END ? DS_OK : rc;
}

/* What a model takes from a file before it is trained. */
static ds_status path_fit(ds_buf *out, ds_err *err)
{
	ds_model *m = NULL;
	ds_status rc;
	atomic_store(&armed, false);
	DS_GOTO(load(&m, NULL, err));
	atomic_store(&armed, true);
	rc = ds_data_fit(m, &(ds_data_opts){ .model = m, .n_path = 1, .path = &file_path, .want_labels = true, .threads = 1 }, err);
	atomic_store(&armed, false);
	if (rc == DS_OK)
		rc = save(m, out, err);
out:
	ds_model_free(m);
	return rc;
}

static ds_status path_array(ds_buf *out, ds_err *err)
{
	ds_source *src;
	ds_tensor t = { 0 };
	ds_status rc = ds_source_open(&src, file_path, &(ds_source_opts){ .no_map = true }, err);
	if (rc != DS_OK)
		return rc;
	rc = (strstr(file_path, ".npy") ? ds_npy_read : ds_idx_read)(&t, src, 1 << 26, err);
	ds_source_close(src);
	atomic_store(&armed, false);
	if (rc == DS_OK)
		ds_buf_add(out, t.data, ds_tensor_bytes(&t));
	ds_tensor_done(&t);
	return rc;
}

/* Odd addresses count as a pipe. */
static const _Alignas(64) char bag[] = " \x88\0\0\0\0\0\0\0"
	"{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
	"\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}12345678a";

static ds_status path_bag(ds_buf *out, ds_err *err)
{
	ds_source *src = NULL;
	ds_sink *sink = NULL;
	ds_dsm_writer *w = NULL;
	ds_status rc;
	DS_GOTO(ds_source_memory(&src, bag + 1, sizeof bag - 2, "bag", err));
	DS_GOTO(ds_sink_memory(&sink, out, err));
	DS_GOTO(ds_dsm_create(&w, sink, NULL, err));
	DS_GOTO(ds_format_safetensors.stream(src, w, &(ds_import){ 0 }, err));
	rc = ds_dsm_finish(w, err);
out:
	ds_dsm_writer_free(w);
	if (rc == DS_OK)
		rc = ds_sink_commit(sink, err);
	else
		ds_sink_abort(sink);
	ds_source_close(src);
	return rc;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------------------- */
#define SAMPLE "test/corpus/onnx/digits.onnx"
static const struct { const char *name; ds_status (*run)(ds_buf *, ds_err *); const char *model, *file; } paths[] = {
	{ "import", path_import, SAMPLE },
	{ "import-spec", path_import, "test/corpus/spec/language.spec" },
	{ "import-functions", path_import, "test/corpus/onnx/functions.onnx" },
	{ "import-names", path_import, "test/corpus/onnx/names.onnx" },
	{ "import-old", path_import, "test/corpus/onnx/old.onnx" },
	{ "import-types", path_import, "test/corpus/onnx/types.onnx" },
	{ "import-integers", path_import, "test/corpus/onnx/qdq.onnx" },
	{ "load", path_load, SAMPLE },
	{ "load-integers", path_load, "test/corpus/onnx/qdq.onnx" },
	{ "save", path_save, SAMPLE },
	{ "pass", path_pass, SAMPLE },
	{ "run", path_run, SAMPLE },
	{ "run-again", path_run_again, SAMPLE },
	{ "run-integers", path_run, "test/corpus/onnx/qdq.onnx" },
	{ "prune", path_prune, SAMPLE },
	{ "recalibrate", path_recal, SAMPLE },
	{ "w8", path_w8, SAMPLE },
	{ "w8a8", path_w8a8, SAMPLE },
	{ "qat", path_qat, SAMPLE },
	{ "training", path_training, "test/corpus/spec/tiny.spec", "test/sample/calib-images-idx3-ubyte.gz[0:40]" },
	{ "png", path_picture, SAMPLE, "test/corpus/png/interlaced.png" },
	{ "png-exif", path_picture, SAMPLE, "test/corpus/png/exif6.png" },
	{ "data-pictures", path_data, SAMPLE, "test/sample/pictures" },
	{ "data-idx", path_data, SAMPLE, "test/sample/calib-images-idx3-ubyte.gz" },
	{ "data-table", path_data, "test/corpus/spec/table.spec", "test/corpus/csv/plain.csv" },
	{ "data-text", path_data, "test/corpus/spec/lines.spec", "test/corpus/csv/quoted.csv" },
	{ "data-sound", path_data, "test/corpus/spec/sound.spec", "test/corpus/sound/stereo.wav" },
	{ "fit-table", path_fit, "test/corpus/spec/table.spec", "test/corpus/csv/plain.csv" },
	{ "fit-series", path_fit, "test/corpus/spec/series.spec", "test/corpus/csv/bare.csv" },
	{ "fit-text", path_fit, "test/corpus/spec/text.spec", "test/corpus/csv/plain.csv" },
	{ "idx", path_array, SAMPLE, "test/sample/calib-labels-idx1-ubyte.gz" },
	{ "npy", path_array, SAMPLE, "test/corpus/npy/fortran.npy" },
	{ "safetensors", path_bag, SAMPLE },
};

static const char *now = "";

static void on_crash(int sig)
{
	char line[160];
	int n = snprintf(line, sizeof line, "not ok alloc/%s: signal %d at allocation %ld (%s)\n", now, sig, fail_at, persistent ? "persistent" : "transient");
	(void)!write(STDOUT_FILENO, line, (size_t)n);
	_exit(1);
}

/* One run with the present settings; why it is wrong, or NULL. */
static const char *once(size_t i, const ds_buf *want, ds_buf *got, ds_status *rc, ds_err *err)
{
	long before = atomic_load(&live);
	const char *why = NULL;
	*err = (ds_err){ 0 };
	atomic_store(&calls, 0);
	atomic_store(&armed, true);
	*rc = paths[i].run(got, err);
	atomic_store(&armed, false);
	if (*rc != DS_OK && *rc != DS_E_NOMEM)
		why = "another status";
	else if (*rc == DS_E_NOMEM && (err->code != *rc || !err->text[0]))
		why = "no message";
	else if (*rc == DS_OK && want && (want->len != got->len || (got->len && memcmp(want->data, got->data, got->len) != 0)))
		why = "success with another result";
	else if (access(out_path, F_OK) == 0)
		why = "a file is left";
	unlink(out_path);
	if (!want)
		return why;
	ds_buf_done(got);
	if (!why && atomic_load(&live) != before)
		why = "memory is left";
	return why;
}

static bool prepare(size_t i)
{
	ds_err err = { 0 };
	ds_buf out = { 0 };
	onnx = slurp(paths[i].model);
	if (import(&model, &err) != DS_OK || (!ds_meta_find(&model->meta, "input.0.kind") &&
		ds_prep_to_meta(&ds_preset_find("mnist")->spec, &model->meta, 0) != DS_OK) || save(model, &out, &err) != DS_OK) {
		printf("not ok alloc/%s: %s\n", paths[i].name, err.text);
		return false;
	}
	dsm = (bytes){ ds_aligned(out.len), out.len };
	memcpy(dsm.p, out.data, out.len);
	ds_buf_done(&out);
	ds_model_free(model);
	file_path = paths[i].file;
	picture = slurp(file_path ? file_path : "/dev/null");
	return load(&model, NULL, &err) == DS_OK;
}

static int path(size_t i, bool all)
{
	ds_buf want = { 0 }, got = { 0 };
	ds_status rc;
	ds_err err;
	const char *why;
	int bad = 0;
	long total, runs = 0;
	now = paths[i].name;
	fail_at = 0;
	if (!prepare(i))
		return 1;
	why = once(i, NULL, &want, &rc, &err);
	total = atomic_load(&calls);
	if (why || rc != DS_OK) {
		printf("not ok alloc/%s: without failures: %s\n", now, err.text);
		bad = 1;
	}
	const long step = all ? 1 : DS_MAX(1, total / 200);
	for (int mode = 0; mode < 2 && !bad; mode++) {
		persistent = mode;
		for (long n = 1 + mode * step / 2; n <= total && bad < 5; n += step) {
			fail_at = n;
			why = once(i, &want, &got, &rc, &err);
			runs++;
			if (why) {
				printf("not ok alloc/%s: %s, allocation %ld of %ld (%s), status %d: %s\n", now, why, n, total, mode ? "persistent" : "transient", rc, err.text);
				bad++;
			}
		}
	}
	if (!bad)
		printf("ok alloc/%s (%ld failures of %ld allocations)\n", now, runs, total);
	fflush(stdout);
	ds_buf_done(&want);
	ds_model_free(model);
	ds_free(onnx.p);
	ds_free(dsm.p);
	ds_free(picture.p);
	return bad != 0;
}

int main(int argc, char **argv)
{
	const bool all = argc > 1 && strcmp(argv[1], "-a") == 0;
	const int first = all ? 2 : 1;
	int bad = 0;
#ifndef __SANITIZE_ADDRESS__
	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
#endif
	(void)on_crash;
	snprintf(out_path, sizeof out_path, "/tmp/ds-alloc-%ld.dsm", (long)getpid());
	for (size_t i = 0; i < DS_COUNTOF(paths); i++) {
		bool chosen = first >= argc;
		for (int k = first; k < argc; k++)
			chosen |= strcmp(argv[k], paths[i].name) == 0;
		if (chosen)
			bad |= path(i, all);
	}
	return bad;
}
