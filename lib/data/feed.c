/* feed.c - what META says of inputs that are fed by rows (tables, text, sound) and of what output 0 answers to */
#include "local.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX ((int64_t)1 << 31)
#define COLUMNS_MAX 65536

const char *const ds_kind_names[] = { "tensor", "image", "table", "text", "sound", NULL };
const char *const ds_axes_names[] = { "NT", "TN", "NTC", "NCT", "TNC", NULL };
const char *const ds_tokens_names[] = { "chars", "bytes", NULL };
const char *const ds_items_names[] = { "windows", "lines", NULL };
static const char *const value_names[] = { "logits", "probabilities", "numbers", "input", NULL };
enum { VALUES_NUMBERS = 2, VALUES_INPUT };

/* ---- keys ---------------------------------------------------------------------------------------------------------------------- */

static const ds_kv *find(const ds_model *m, const char *slot, int i, const char *key, char full[64])
{
	snprintf(full, 64, "%s.%d.%s", slot, i, key);
	return ds_meta_find(&m->meta, full);
}

static ds_status get_word(int *v, const ds_model *m, const char *slot, int i, const char *key, const char *const *words, ds_err *err)
{
	char full[64];
	const ds_kv *kv = find(m, slot, i, key, full);
	if (!kv)
		return DS_OK;
	for (int w = 0; kv->type == DS_KV_STR && words[w]; w++) {
		if (!strcmp(kv->u.s, words[w])) {
			*v = w;
			return DS_OK;
		}
	}
	return ds_fail(err, kv->type == DS_KV_STR ? DS_E_UNSUPPORTED : DS_E_INPUT, "metadata %s: value not understood", full);
}

static ds_status get_count(int64_t *v, const ds_model *m, const char *slot, int i, const char *key, ds_err *err)
{
	char full[64];
	const ds_kv *kv = find(m, slot, i, key, full);
	if (kv && (kv->type != DS_KV_I64 || kv->n != 1 || kv->u.i[0] < 0 || kv->u.i[0] > ROWS_MAX))
		return ds_fail(err, DS_E_INPUT, "metadata %s: not a number from 0 to %lld", full, (long long)ROWS_MAX);
	if (kv)
		*v = kv->u.i[0];
	return DS_OK;
}

static ds_status get_reals(double **v, int n, const ds_model *m, const char *slot, int i, const char *key, bool positive, ds_err *err)
{
	char full[64];
	const ds_kv *kv = find(m, slot, i, key, full);
	if (!kv)
		return DS_OK;
	if (kv->type != DS_KV_F64 || (kv->n != n && kv->n != 1))
		return ds_fail(err, DS_E_INPUT, "metadata %s: not one number for each of %d columns", full, n);
	*v = ds_calloc((size_t)n, sizeof **v);
	if (!*v)
		return ds_fail_nomem(err, (size_t)n * sizeof **v);
	for (int c = 0; c < n; c++) {
		(*v)[c] = kv->u.f[kv->n == n ? c : 0];
		if (!isfinite((*v)[c]) || (positive && !((*v)[c] > 0)))
			return ds_fail(err, DS_E_INPUT, "metadata %s: a number that cannot be used", full);
	}
	return DS_OK;
}

static void columns_done(ds_columns *c)
{
	for (int i = 0; i < c->n && c->name; i++)
		ds_free(c->name[i]);
	ds_free(c->name);
	ds_free(c->mean);
	ds_free(c->std);
	*c = (ds_columns){ 0 };
}

static ds_status get_columns(ds_columns *c, const ds_model *m, const char *slot, int i, ds_err *err)
{
	char full[64];
	const ds_kv *kv = find(m, slot, i, "columns", full);
	if (kv) {
		if (kv->type != DS_KV_LIST || kv->n < 1 || kv->n > COLUMNS_MAX)
			return ds_fail(err, DS_E_INPUT, "metadata %s: not a list of 1 to %d names", full, COLUMNS_MAX);
		c->name = ds_calloc((size_t)kv->n, sizeof *c->name);
		if (!c->name)
			return ds_fail_nomem(err, (size_t)kv->n * sizeof *c->name);
		for (c->n = 0; c->n < kv->n; c->n++) {
			if (!(c->name[c->n] = ds_strdup(kv->u.l[c->n])))
				return ds_fail_nomem(err, strlen(kv->u.l[c->n]));
		}
	}
	if (!c->n)      /* means without columns cannot be told whose they are */
		return DS_OK;
	DS_TRY(get_reals(&c->mean, c->n, m, slot, i, "mean", false, err));
	return get_reals(&c->std, c->n, m, slot, i, "std", true, err);
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------------- */

bool ds_feed_rows(const ds_feed *f)
{
	return f->kind == DS_KIND_TABLE || f->kind == DS_KIND_TEXT || f->kind == DS_KIND_SOUND;
}

void ds_feed_done(ds_feed *f)
{
	columns_done(&f->col);
	ds_vocab_done(&f->vocab);
	*f = (ds_feed){ 0 };
}

static ds_status get_vocab(ds_feed *f, const ds_model *m, int input, ds_err *err)
{
	char full[64];
	const ds_kv *kv = find(m, "input", input, "tokenizer", full);
	if (!kv)
		return DS_OK;
	const ds_asset *a = kv->type == DS_KV_STR ? ds_model_asset(m, kv->u.s) : NULL;
	if (!a)
		return ds_fail(err, DS_E_INPUT, "metadata %s: the model holds no such asset", full);
	ds_status rc = ds_vocab_parse(&f->vocab, ds_buffer_data(a->data), ds_buffer_size(a->data), err);
	if (rc != DS_OK)
		ds_err_prefix(err, "asset %s: ", a->name);
	return rc;
}

/* A kind that this version does not know is fed as plain arrays. */
static int kind_of(const ds_model *m, int input)
{
	char full[64];
	const ds_kv *kv = find(m, "input", input, "kind", full);
	for (int w = 0; kv && kv->type == DS_KV_STR && ds_kind_names[w]; w++) {
		if (!strcmp(kv->u.s, ds_kind_names[w]))
			return w;
	}
	return DS_KIND_TENSOR;
}

static ds_status read_feed(ds_feed *f, const ds_model *m, int input, ds_err *err)
{
	f->kind = kind_of(m, input);
	if (!ds_feed_rows(f))
		return DS_OK;
	DS_TRY(get_word(&f->axes, m, "input", input, "layout", ds_axes_names, err));
	DS_TRY(get_count(&f->window, m, "input", input, "window", err));
	DS_TRY(get_count(&f->context, m, "input", input, "context", err));
	f->hop = -1;
	DS_TRY(get_count(&f->hop, m, "input", input, "hop", err));
	if (f->kind == DS_KIND_TABLE)
		return get_columns(&f->col, m, "input", input, err);
	if (f->kind == DS_KIND_SOUND)
		return get_count(&f->rate, m, "input", input, "rate", err);
	DS_TRY(get_word(&f->tokens, m, "input", input, "tokens", ds_tokens_names, err));
	DS_TRY(get_word(&f->items, m, "input", input, "items", ds_items_names, err));
	return f->tokens == DS_TOKENS_CHARS ? get_vocab(f, m, input, err) : DS_OK;
}

ds_status ds_feed_from_meta(ds_feed *f, const ds_model *m, int input, ds_err *err)
{
	*f = (ds_feed){ .axes = -1 };
	ds_status rc = read_feed(f, m, input, err);
	if (rc != DS_OK)
		ds_feed_done(f);
	return rc;
}

/* ---- how rows become the tensor ------------------------------------------------------------------------------------------------ */

/* The dims of an item of t rows and c columns by the axes; false: not with this rank. */
static bool item_dims(int64_t *dim, int axes, int rank, int64_t t, int64_t c)
{
	bool three = axes >= DS_AXES_NTC;
	if ((rank == 2 && three) || (rank != 2 && !three) || rank < 2 || rank > 4)
		return false;
	if (rank == 2) {
		dim[0] = axes == DS_AXES_NT ? 1 : t;
		dim[1] = axes == DS_AXES_NT ? t * c : c;
		return axes == DS_AXES_NT || c == 1;
	}
	if (rank == 4 && axes == DS_AXES_TNC)
		return false;
	dim[0] = axes == DS_AXES_TNC ? t : 1;
	dim[1] = axes == DS_AXES_NTC ? t : axes == DS_AXES_NCT ? c : 1;
	dim[2] = axes == DS_AXES_NCT ? t : c;
	if (rank == 4) {        /* [N, 1, T, C] and [N, C, 1, T]: a picture of one channel, a line of many */
		dim[3] = dim[2];
		dim[2] = axes == DS_AXES_NTC ? t : 1;
		dim[1] = axes == DS_AXES_NTC ? 1 : c;
	}
	return true;
}

static bool fits(const int64_t *have, const int64_t *want, int rank)
{
	for (int i = 0; i < rank; i++) {
		if (want[i] >= 0 && have[i] != want[i])
			return false;
	}
	return true;
}

/* The rows that the input's dims leave room for: the dim of the rows, or what a flat one holds; 0: not known. */
static int64_t rows_of(const ds_feed *f, int axes, int rank, const int64_t *dim, int64_t c)
{
	if (rank == 2)
		return axes == DS_AXES_TN ? DS_MAX(dim[0], 0) : dim[1] > 0 && c && dim[1] % c == 0 ? dim[1] / c : 0;
	int at = axes == DS_AXES_TNC ? 0 : axes == DS_AXES_NTC ? rank - 2 : rank - 1;
	return DS_MAX(dim[at], 0);
}

/* The text of dims for a message. */
static void print_dims(ds_buf *b, const int64_t *dim, int rank)
{
	for (int i = 0; i < rank; i++)
		ds_buf_printf(b, dim[i] < 0 ? "%s?" : "%s%lld", i ? ", " : "", (long long)dim[i]);
}

static ds_status no_fit(const ds_feed *f, const char *name, int rank, const int64_t *dim, int64_t c, ds_err *err)
{
	ds_buf b = { 0 };
	char rows[32] = "";
	print_dims(&b, dim, DS_MAX(rank, 0));
	if (f->window)
		snprintf(rows, sizeof rows, "%lld ", (long long)(f->window + f->context));
	ds_status rc = ds_fail(err, DS_E_INPUT, "the model's input '%s' [%s] does not take %srows of %lld columns (metadata: %s%s%s)", name, b.data ? b.data : "",
		rows, (long long)c, ds_kind_names[f->kind], f->axes >= 0 ? ", " : "", f->axes >= 0 ? ds_axes_names[f->axes] : "");
	ds_buf_done(&b);
	return rc;
}

bool ds_feed_dims(const ds_feed *f, int64_t t, int64_t c, int64_t *dim)
{
	return item_dims(dim, f->axes, f->rank, t, c);
}

static bool try_axes(ds_feed *f, int axes, int rank, const int64_t *dim, int64_t c)
{
	int64_t t = f->window ? f->window + f->context : 0;
	if (!t && f->kind == DS_KIND_TABLE && rank == 2 && axes == DS_AXES_NT && dim[1] == c)
		t = 1;
	if (!t)
		t = rows_of(f, axes, rank, dim, c);
	if (t < 1 && ((f->kind == DS_KIND_TABLE && rank == 2) || (f->kind == DS_KIND_SOUND && f->hop <= 0)))
		t = 1 + f->context;
	if (t <= f->context || !item_dims(f->dim, axes, rank, t, c) || !fits(f->dim, dim, rank))
		return false;
	f->axes = axes;
	if (f->kind != DS_KIND_SOUND || rows_of(f, axes, rank, dim, c) > 0)     /* a sound may be as long as it is */
		f->window = t - f->context;
	return true;
}

ds_status ds_feed_settle(ds_feed *f, const char *name, ds_dtype dtype, int rank, const int64_t *dim, ds_err *err)
{
	static const int order[] = { DS_AXES_NT, DS_AXES_NTC, DS_AXES_NCT, DS_AXES_TN, DS_AXES_TNC };
	const ds_dtype_row *row = ds_dtype_of(dtype);
	int64_t c = f->kind == DS_KIND_TABLE ? f->col.n : 1;
	bool done = false;
	if (row && row->is_float == (f->kind == DS_KIND_TEXT))
		return ds_fail(err, DS_E_INPUT, "the model's input '%s' of %s cannot take %s", name, row->name, ds_kind_names[f->kind]);
	if (f->axes >= 0)
		done = try_axes(f, f->axes, rank, dim, c);
	for (size_t i = 0; f->axes < 0 && !done && i < DS_COUNTOF(order); i++)
		done = try_axes(f, order[i], rank, dim, c);
	if (!done && !f->window && c == 1)
		return ds_fail(err, DS_E_INPUT, "how many rows the model's input '%s' takes is not known (metadata input.N.window)", name);
	if (!done)
		return no_fit(f, name, rank, dim, c, err);
	f->rank = rank;
	if (f->hop < 0)         /* a row of a table is an item; windows slide over a series and cut a text; a sound is one item */
		f->hop = f->kind == DS_KIND_TABLE ? 1 : f->kind == DS_KIND_TEXT ? f->window : 0;
	if (f->hop == 0 && f->kind != DS_KIND_SOUND)
		return ds_fail(err, DS_E_INPUT, "metadata: input.N.hop is 0 for %s", ds_kind_names[f->kind]);
	return DS_OK;
}

/* ---- output 0 ------------------------------------------------------------------------------------------------------------------ */

void ds_aim_done(ds_aim *a)
{
	columns_done(&a->col);
	*a = (ds_aim){ 0 };
}

/* The dims of output 0, as far as the graph tells. */
static ds_status output_dims(ds_aim *a, const ds_model *m, ds_err *err)
{
	a->rank = -1;
	if (!m->graph->n_output)
		return DS_OK;
	ds_graph *g = ds_graph_clone(m->graph);
	ds_status rc = g ? ds_graph_infer(g, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK) {
		const ds_type *t = &g->output[0]->type;
		a->rank = t->rank;
		for (int i = 0; i < t->rank; i++)
			a->dim[i] = t->dim[i] < 0 ? -1 : t->dim[i];
	}
	ds_graph_free(g);
	return rc;
}

static ds_status read_aim(ds_aim *a, const ds_model *m, ds_err *err)
{
	int values = -1, k = 0;
	ds_feed f = { .axes = -1 };
	DS_TRY(get_word(&values, m, "output", 0, "values", value_names, err));
	DS_TRY(get_columns(&a->col, m, "output", 0, err));
	DS_TRY(get_count(&a->horizon, m, "output", 0, "horizon", err));
	for (; k < m->graph->n_input && !ds_feed_rows(&f); k++)
		f.kind = kind_of(m, k);
	if (f.kind == DS_KIND_TEXT)
		DS_TRY(get_word(&f.items, m, "input", k - 1, "items", ds_items_names, err));
	if (values == VALUES_INPUT)
		a->what = DS_AIM_INPUT;
	else if (values == VALUES_NUMBERS)
		a->what = f.kind == DS_KIND_TABLE && a->col.n ? DS_AIM_VALUES : DS_AIM_NONE;
	else if (f.kind == DS_KIND_TEXT && f.items == DS_ITEMS_WINDOWS)
		a->what = DS_AIM_NEXT;
	else if (f.kind == DS_KIND_TABLE && a->col.n)
		a->what = DS_AIM_CLASS;
	if ((a->what == DS_AIM_CLASS || a->what == DS_AIM_INPUT) && a->col.n > 1)
		return ds_fail(err, DS_E_INPUT, "metadata output.0.columns: %d columns where one holds the class", a->col.n);
	return a->what == DS_AIM_VALUES || a->what == DS_AIM_NEXT ? output_dims(a, m, err) : DS_OK;
}

ds_status ds_aim_from_meta(ds_aim *a, const ds_model *m, ds_err *err)
{
	*a = (ds_aim){ .rank = -1 };
	ds_status rc = read_aim(a, m, err);
	if (rc != DS_OK)
		ds_aim_done(a);
	return rc;
}

ds_status ds_aim_dims(const ds_aim *a, int64_t h, int64_t c, int *rank, int64_t dim[3], bool *swap, ds_err *err)
{
	bool three = a->rank == 3, turn = three && a->dim[1] == c && a->dim[2] == h && c != h;
	if (a->rank >= 0 && a->rank != 2 && !three)
		return ds_fail(err, DS_E_INPUT, "metadata output.0.columns: an output of rank %d answers to no columns", a->rank);
	*swap = turn;
	*rank = three ? 3 : 2;
	dim[0] = 1;
	dim[1] = !three ? h * c : turn ? c : h;
	dim[2] = turn ? h : c;
	for (int i = 1; i < *rank; i++) {
		if (a->rank > 0 && a->dim[i] >= 0 && a->dim[i] != dim[i])
			return ds_fail(err, DS_E_INPUT, "metadata output.0.columns and .horizon: %lld rows of %lld columns, which do not fit the model's output",
				(long long)h, (long long)c);
	}
	return DS_OK;
}

const char *ds_data_position(const ds_model *m, double *unit)
{
	for (int i = 0; i < m->graph->n_input; i++) {
		int64_t hop = 0, rate = 0;
		int items = 0, kind = kind_of(m, i);
		*unit = 1;
		if (kind == DS_KIND_TABLE)
			return "row";
		if (kind == DS_KIND_TEXT)
			return get_word(&items, m, "input", i, "items", ds_items_names, NULL) == DS_OK && items == DS_ITEMS_LINES ? NULL : "row";
		if (kind != DS_KIND_SOUND)
			continue;
		if (get_count(&hop, m, "input", i, "hop", NULL) != DS_OK || get_count(&rate, m, "input", i, "rate", NULL) != DS_OK || !hop)
			return NULL;
		*unit = rate ? (double)rate : 1;
		return rate ? "time" : "row";
	}
	return NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------- */

static ds_status put_word(ds_meta *m, int input, const char *key, int v, const char *const *words)
{
	char full[64];
	snprintf(full, sizeof full, "input.%d.%s", input, key);
	return v < 0 ? DS_OK : ds_meta_set_str(m, full, words[v]);
}

static ds_status put_count(ds_meta *m, const char *slot, int i, const char *key, int64_t v, bool said)
{
	char full[64];
	snprintf(full, sizeof full, "%s.%d.%s", slot, i, key);
	return said ? ds_meta_set_i64(m, full, 1, &v) : DS_OK;
}

/* Numbers that belonged to other columns go. */
static ds_status put_columns(ds_meta *m, const char *slot, int i, int n, const char *const *name)
{
	char full[64];
	if (!n)
		return DS_OK;
	snprintf(full, sizeof full, "%s.%d.mean", slot, i);
	ds_meta_del(m, full);
	snprintf(full, sizeof full, "%s.%d.std", slot, i);
	ds_meta_del(m, full);
	snprintf(full, sizeof full, "%s.%d.columns", slot, i);
	return ds_meta_set_list(m, full, n, name);
}

ds_status ds_rows_to_meta(const ds_rows_spec *s, ds_meta *m, int input, ds_err *err)
{
	const ds_status all[] = {
		put_word(m, input, "kind", s->kind, ds_kind_names), put_word(m, input, "layout", s->axes, ds_axes_names),
		put_word(m, input, "tokens", s->tokens, ds_tokens_names), put_word(m, input, "items", s->items, ds_items_names),
		put_count(m, "input", input, "window", s->window, s->window > 0), put_count(m, "input", input, "hop", s->hop, s->hop >= 0),
		put_count(m, "input", input, "context", s->context, s->context > 0), put_count(m, "input", input, "rate", s->rate, s->rate > 0),
		put_columns(m, "input", input, s->n_column, s->column), put_columns(m, "output", 0, s->n_target, s->target),
		put_count(m, "output", 0, "horizon", s->horizon, s->horizon >= 0),
	};
	for (size_t i = 0; i < DS_COUNTOF(all); i++) {
		if (all[i] != DS_OK)
			return ds_fail(err, all[i], "the description of the input cannot be stored: names must be UTF-8");
	}
	return DS_OK;
}
