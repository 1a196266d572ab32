/* predict.c - rows of classes, of values, of outputs */
#include <math.h>
#include <string.h>

#include "job.h"

static ds_status print_classes(job *j, const ds_result *r, ds_err *err);
static ds_status print_summary(job *j, const ds_result *r, ds_err *err);
static ds_status print_values(job *j, const ds_result *r, ds_err *err);
static ds_status print_error(job *j, const ds_result *r, ds_err *err);
static ds_status print_tokens(job *j, const ds_result *r, ds_err *err);
static ds_status print_score(job *j, const ds_result *r, ds_err *err);

/* By run_kind: "@" stands for the position, where samples are windows, "*" for the columns of values, "#" for the errors of columns. */
static const struct row_kind {
	const char *column[8];
	ds_status (*print)(job *j, const ds_result *r, ds_err *err);
} row_kinds[] = {
	{ { "input", "@", "rank", "index", "label", "probability" }, print_classes },
	{ { "input", "output", "dtype", "shape", "min", "max", "mean" }, print_summary },
	{ { "input", "@", "*" }, print_values },
	{ { "input", "@", "error", "#" }, print_error },
	{ { "input", "@", "tokens", "nll", "bits" }, print_tokens },
	{ { "input", "@", "score" }, print_score },
};

#define MORE_COLUMNS 8          /* of uncertainty */
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
int run_find_kind(job *j, const ds_result *r)
{
	ds_type t = ds_runner_output(j->here.run, 0);
	bool outputs = j->here.m->graph->n_output > 0;
	if (r && outputs)
		t = ds_type_of(&r->out[0]);
	int64_t n = r && outputs ? ds_tensor_count(&r->out[0]) : 0;
	j->classes = t.rank >= 0 && r ? ds_class_count(t.rank, t.dim) : 0;
	if (j->s->summary || (r && !outputs))
		return RUN_SUMMARY;
	if (j->aim.what == DS_AIM_INPUT)
		return RUN_ERROR;
	if (j->aim.what == DS_AIM_NEXT)
		return RUN_TOKENS;
	bool values = values_are(j, "numbers") || (j->position && n == 1);
	if (values && n <= VALUES_MAX && real_outputs(j->here.m->graph) <= 1)
		return RUN_VALUES;
	if (values || (r && (!j->classes || real_outputs(j->here.m->graph) > 1)) || (!r && t.rank > 2))
		return RUN_SUMMARY;
	return j->s->score > SCORE_RECONSTRUCTION ? RUN_SCORES : RUN_CLASSES;
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

/* What stands behind the name of each value. */
static ds_status name_more(job *j, ds_err *err)
{
	const char *const *suffix = j->sure ? run_sure_value_columns(j) : NULL;
	int64_t each = 0;
	while (suffix && suffix[each])
		each++;
	if (!each)
		return DS_OK;
	j->more = ds_calloc((size_t)(j->n_column * each), sizeof *j->more);
	if (!j->more)
		return ds_fail_nomem(err, sizeof *j->more);
	for (; j->n_more < j->n_column * each; j->n_more++) {
		ds_buf b = { 0 };
		ds_buf_printf(&b, "%s_%s", j->column[j->n_more / each], suffix[j->n_more % each]);
		if (b.oom) {
			ds_buf_done(&b);
			return ds_fail_nomem(err, 64);
		}
		j->more[j->n_more] = b.data;
	}
	return DS_OK;
}

/* The errors of the single columns of a table. */
static ds_status name_errors(job *j, ds_err *err)
{
	char *const *name;
	int n = run_score_columns(j, &name);
	if (n && !(j->more = ds_calloc((size_t)n, sizeof *j->more)))
		return ds_fail_nomem(err, sizeof *j->more);
	for (; j->n_more < n; j->n_more++) {
		ds_buf b = { 0 };
		ds_buf_printf(&b, "error_%s", name[j->n_more]);
		if (b.oom) {
			ds_buf_done(&b);
			return ds_fail_nomem(err, 64);
		}
		j->more[j->n_more] = b.data;
	}
	return DS_OK;
}

static size_t put_value_names(job *j, size_t n, int64_t i)
{
	int64_t each = j->n_more / j->n_column;
	j->columns[n++] = j->column[i];
	for (int64_t k = 0; k < each; k++)
		j->columns[n++] = j->more[i * each + k];
	return n;
}

static ds_status open_rows(job *j, const ds_result *r, ds_err *err)
{
	if (j->rows)
		return DS_OK;
	const char *const *from;
	size_t n = 0;
	int kind = run_find_kind(j, r);
	j->kind = &row_kinds[kind];
	if (kind == RUN_VALUES)
		DS_TRY(name_values(j, r, err));
	if (kind == RUN_VALUES)
		DS_TRY(name_more(j, err));
	if (kind == RUN_ERROR)
		DS_TRY(name_errors(j, err));
	if (r && kind == RUN_CLASSES && j->names.n && j->names.n != j->classes)
		ds_warn("%d labels for %lld classes", j->names.n, (long long)j->classes);
	j->columns = ds_calloc((size_t)(j->n_column + j->n_more) + DS_COUNTOF(j->kind->column) + MORE_COLUMNS + 1, sizeof *j->columns);
	if (!j->columns)
		return ds_fail_nomem(err, sizeof *j->columns);
	for (from = j->kind->column; *from; from++) {
		if (**from == '@' && j->position)
			j->columns[n++] = j->position;
		else if (**from != '@' && **from != '*' && **from != '#')
			j->columns[n++] = *from;
		for (int64_t i = 0; **from == '#' && i < j->n_more; i++)
			j->columns[n++] = j->more[i];
		for (int64_t i = 0; **from == '*' && i < j->n_column; i++)
			n = put_value_names(j, n, i);
	}
	const char *const *more = kind == RUN_CLASSES && j->sure ? run_sure_columns(j) : NULL;
	for (int i = 0; more && more[i] && i < MORE_COLUMNS; i++)
		j->columns[n++] = more[i];
	return ds_rows_open(&j->rows, j->out, j->s->c.json, j->columns, err);
}

/* The name of the item; of a window that of its file, and where it is. */
void run_put_input(job *j, const ds_result *r)
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

void run_put_label(job *j, ds_rows *rows, int64_t i)
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
		run_put_input(j, r);
		ds_rows_i64(j->rows, i + 1);
		ds_rows_i64(j->rows, best[i]);
		run_put_label(j, j->rows, best[i]);
		ds_rows_f32(j->rows, v[best[i]]);
		if (j->sure)
			run_sure_put(j, j->rows);
		rc = ds_rows_end(j->rows, err);
	}
	if (rc == DS_OK)
		rc = run_report_item(j, r, best[0], v[best[0]], err);
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
	return run_report_item(j, r, -1, 0, err);
}

/* Values in the unit of their columns. */
static ds_status print_values(job *j, const ds_result *r, ds_err *err)
{
	const ds_columns *c = &j->aim.col;
	bool named = j->aim.what == DS_AIM_VALUES && j->n_column == c->n * j->horizon;
	if (ds_tensor_count(&r->out[0]) != j->n_column)
		return ds_fail(err, DS_E_INPUT, "%lld values where there were %lld before", (long long)ds_tensor_count(&r->out[0]), (long long)j->n_column);
	run_put_input(j, r);
	for (int64_t i = 0; i < j->n_column; i++) {
		double v = ds_tensor_f64(&r->out[0], i);
		int64_t k = !named ? 0 : j->swap ? i / j->horizon : i % c->n;
		double scale = named && c->std ? c->std[k] : 1, offset = named && c->mean ? c->mean[k] : 0;
		ds_rows_f32(j->rows, (float)(v * scale + offset));
		if (j->sure)
			run_sure_put_value(j, j->rows, i, scale, offset);
	}
	DS_TRY(ds_rows_end(j->rows, err));
	return run_report_item(j, r, -1, 0, err);
}

/* How far output 0 is from the input: the mean of the squares. */
static ds_status print_error(job *j, const ds_result *r, ds_err *err)
{
	double error, *each = NULL;
	char *const *name;
	int n = run_score_columns(j, &name);
	if (n && !(each = ds_calloc((size_t)n, sizeof *each)))
		return ds_fail_nomem(err, (size_t)n * sizeof *each);
	ds_status rc = run_score_error(j, r, &error, each, err);
	if (rc == DS_OK) {
		run_put_input(j, r);
		ds_rows_f64(j->rows, error);
		for (int i = 0; i < n; i++)
			ds_rows_f64(j->rows, each[i]);
		rc = ds_rows_end(j->rows, err);
	}
	ds_free(each);
	return rc == DS_OK ? run_report_item(j, r, -1, 0, err) : rc;
}

/* How odd an item is by what is said of its class. */
static ds_status print_score(job *j, const ds_result *r, ds_err *err)
{
	run_put_input(j, r);
	ds_rows_f64(j->rows, run_sure_score(j));
	DS_TRY(ds_rows_end(j->rows, err));
	return run_report_item(j, r, -1, 0, err);
}

static ds_status print_tokens(job *j, const ds_result *r, ds_err *err)
{
	ds_tokens k = { 0 };
	DS_TRY(ds_tokens_add(&k, &r->out[0], r->target, j->here.logits, err));
	run_put_input(j, r);
	ds_rows_i64(j->rows, (int64_t)k.n);
	ds_rows_f64(j->rows, k.n ? k.nll / (double)k.n : NAN);
	ds_rows_f64(j->rows, k.n ? k.nll / (double)k.n / log(2) : NAN);
	DS_TRY(ds_rows_end(j->rows, err));
	return run_report_item(j, r, -1, 0, err);
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

static bool asked(const settings *s)
{
	return true;
}

const run_mode run_predict = { asked, predict_start, predict_item, predict_end, NULL };
