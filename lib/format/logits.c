/* logits.c - streams of kind `logits`: written sample by sample, read into memory */
#include "logits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */
struct ds_logits_writer {
	ds_dsm_writer *w;
	const ds_model *m;
	int64_t  top, classes;          /* classes 0: META is not written yet */
	uint32_t items, waiting;        /* waiting: failed samples before META, which has to say the classes */
	ds_buf   names;                 /* of the waiting ones, each with its length before it */
	float   *best, *rest;
	int32_t *index;
	size_t   cap;                   /* positions that best, rest and index have room for */
};

ds_status ds_logits_create(ds_logits_writer **out, ds_sink *sink, const ds_model *m, int64_t top, const ds_dsm_wopts *o, ds_err *err)
{
	ds_logits_writer *w = ds_calloc(1, sizeof *w);
	*out = w;
	if (!w)
		return ds_fail_nomem(err, sizeof *w);
	w->m = m;
	w->top = top;
	return ds_dsm_create(&w->w, sink, o, err);
}

void ds_logits_writer_free(ds_logits_writer *w)
{
	if (!w)
		return;
	ds_dsm_writer_free(w->w);
	ds_buf_done(&w->names);
	ds_free(w->best);
	ds_free(w->rest);
	ds_free(w->index);
	ds_free(w);
}

static ds_status put_missing(ds_logits_writer *w, const char *name, size_t n, ds_err *err)
{
	ds_tensor none;
	ds_tensor_borrow(&none, DS_F32, 1, (int64_t[]){ 0 }, w);
	return ds_dsm_put_tensor(w->w, &none, "logits", w->items++, name, n, err);
}

static ds_status begin(ds_logits_writer *w, int64_t classes, ds_err *err)
{
	ds_meta m = { 0 };
	char model[32];
	bool whole = w->top <= 0 || w->top >= classes;
	snprintf(model, sizeof model, "%08x:%llu", (unsigned)w->m->id_crc, (unsigned long long)w->m->id_len);
	w->classes = classes;
	w->top = whole ? 0 : w->top;
	ds_status rc = ds_meta_set_str(&m, "kind", "logits");
	if (rc == DS_OK)
		rc = ds_meta_set_i64(&m, "logits.classes", 1, &classes);
	if (rc == DS_OK && !whole)
		rc = ds_meta_set_i64(&m, "logits.top", 1, &w->top);
	if (rc == DS_OK)
		rc = ds_meta_set_str(&m, "logits.model", model);
	if (rc == DS_OK)
		rc = ds_dsm_put_meta(w->w, &m, err);
	ds_meta_done(&m);
	const char *p = w->names.data;
	for (; rc == DS_OK && w->waiting; w->waiting--) {
		size_t n;
		memcpy(&n, p, sizeof n);
		rc = put_missing(w, p + sizeof n, n, err);
		p += sizeof n + n;
	}
	ds_buf_done(&w->names);
	return rc;
}

/* The axis of classes becomes the last one: positions and classes of one sample's output; false: it has no such dims. */
static bool rows_of(const ds_tensor *t, int64_t *positions, int64_t *classes)
{
	int64_t large = 0, n = 1;
	if (t->rank < 1 || (t->rank > 1 && t->dim[0] != 1))
		return false;
	for (int i = 0; i < t->rank; i++) {
		large += t->dim[i] > 1;
		n *= t->dim[i];
	}
	*classes = large <= 1 ? n : t->dim[t->rank - 1];
	*positions = large <= 1 ? 1 : n / DS_MAX(*classes, (int64_t)1);
	return *classes > 1 && (large <= 1 || t->rank == 3);
}

/* The k largest of n values, the largest first and of equals the first one first, in index; a heap would pay for many classes only. */
static void best_of(const float *x, int64_t n, int64_t k, int32_t *index)
{
	int64_t have = 0;
	for (int64_t i = 0; i < n; i++) {
		if (have == k && !(x[i] > x[index[k - 1]]))
			continue;
		int64_t at = have < k ? have++ : k - 1;
		for (; at > 0 && x[i] > x[index[at - 1]]; at--)
			index[at] = index[at - 1];
		index[at] = (int32_t)i;
	}
}

static bool among(int32_t i, const int32_t *index, int64_t k)
{
	while (k-- > 0) {
		if (index[k] == i)
			return true;
	}
	return false;
}

/* Log of the sum of exp of the values that are not among the k best, less log of their number.  Only equals of the last of the best need a search. */
static float share(const float *x, int64_t n, const int32_t *index, int64_t k)
{
	float last = x[index[k - 1]];
	double sum = 0, top = -INFINITY;
	for (int64_t i = 0; i < n; i++) {
		if ((double)x[i] > top && (x[i] < last || !among((int32_t)i, index, k)))
			top = (double)x[i];
	}
	for (int64_t i = 0; i < n; i++) {
		if (x[i] < last || (x[i] == last && !among((int32_t)i, index, k)))
			sum += exp((double)x[i] - top);
	}
	return (float)(top + log(sum / (double)(n - k)));
}

static ds_status shrink(ds_logits_writer *w, const float *x, int64_t positions, ds_err *err)
{
	size_t k = (size_t)w->top;
	if ((size_t)positions > w->cap) {
		float *best = ds_realloc(w->best, (size_t)positions * k, sizeof *best);
		w->best = best ? best : w->best;
		float *rest = ds_realloc(w->rest, (size_t)positions, sizeof *rest);
		w->rest = rest ? rest : w->rest;
		int32_t *index = ds_realloc(w->index, (size_t)positions * k, sizeof *index);
		w->index = index ? index : w->index;
		if (!best || !rest || !index)
			return ds_fail_nomem(err, (size_t)positions * k * sizeof *best);
		w->cap = (size_t)positions;
	}
	for (int64_t p = 0; p < positions; p++, x += w->classes) {
		int32_t *index = w->index + (size_t)p * k;
		best_of(x, w->classes, w->top, index);
		for (size_t i = 0; i < k; i++)
			w->best[(size_t)p * k + i] = x[index[i]];
		w->rest[p] = share(x, w->classes, index, w->top);
	}
	return DS_OK;
}

static ds_status put_rows(ds_logits_writer *w, const float *x, int64_t positions, bool many, const char *name, size_t n, ds_err *err)
{
	int64_t dim[2] = { positions, w->top ? w->top : w->classes };
	const int64_t *d = many ? dim : dim + 1;
	ds_tensor t;
	uint32_t item = w->items;
	if (!w->top) {
		ds_tensor_borrow(&t, DS_F32, many + 1, d, (void *)x);
		w->items++;
		return ds_dsm_put_tensor(w->w, &t, "logits", item, name, n, err);
	}
	DS_TRY(shrink(w, x, positions, err));
	w->items++;
	ds_tensor_borrow(&t, DS_I32, many + 1, d, w->index);
	DS_TRY(ds_dsm_put_tensor(w->w, &t, "classes", item, name, n, err));
	ds_tensor_borrow(&t, DS_F32, many + 1, d, w->best);
	DS_TRY(ds_dsm_put_tensor(w->w, &t, "logits", item, name, n, err));
	ds_tensor_borrow(&t, DS_F32, many, dim, w->rest);
	return ds_dsm_put_tensor(w->w, &t, "rest", item, name, n, err);
}

ds_status ds_logits_put(ds_logits_writer *w, const ds_tensor *t, const char *name, size_t name_len, ds_err *err)
{
	int64_t positions, classes;
	ds_tensor f;
	if (!t && w->classes)
		return put_missing(w, name, name_len, err);
	if (!t) {
		ds_buf_add(&w->names, &name_len, sizeof name_len);
		ds_buf_add(&w->names, name, name_len);
		w->waiting++;
		return w->names.oom ? ds_fail_nomem(err, name_len) : DS_OK;
	}
	if (!rows_of(t, &positions, &classes))
		return ds_fail(err, DS_E_UNSUPPORTED, "--logits of a model whose first output is neither classes [N, C] nor classes of positions [N, T, C]");
	if (w->classes && classes != w->classes)
		return ds_fail(err, DS_E_INPUT, "%lld classes where there were %lld before", (long long)classes, (long long)w->classes);
	if (!w->classes)
		DS_TRY(begin(w, classes, err));
	DS_TRY(ds_tensor_to_f32(t, &f, err));
	ds_status rc = put_rows(w, f.data, positions, t->rank == 3 && positions > 1, name, name_len, err);
	ds_tensor_done(&f);
	return rc;
}

ds_status ds_logits_finish(ds_logits_writer *w, ds_err *err)
{
	if (!w->classes)
		return ds_fail(err, DS_E_INPUT, "no sample could be computed: there are no logits");
	return ds_dsm_finish(w->w, err);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */
typedef struct loader {
	ds_logits *l;
	uint64_t   limit;
	size_t     cap_value, cap_index, cap_rest, cap_there;
	int64_t    item;                /* of the last tensor, -1: none */
	int        part;                /* what is due next of that item; 3: nothing */
} loader;
enum { CLASSES, LOGITS, REST, NOTHING };
static const char *const part_name[] = { "classes", "logits", "rest" };

void ds_logits_free(ds_logits *l)
{
	if (!l)
		return;
	ds_free(l->value);
	ds_free(l->index);
	ds_free(l->rest);
	ds_free(l->there);
	ds_free(l);
}

static bool one_i64(const ds_meta *m, const char *key, int64_t *v)
{
	const ds_kv *k = ds_meta_find(m, key);
	if (!k || k->type != DS_KV_I64 || k->n != 1)
		return false;
	*v = k->u.i[0];
	return true;
}

static ds_status read_meta(ds_logits *l, ds_dsm_reader *r, ds_err *err)
{
	ds_meta m = { 0 };
	DS_TRY(ds_dsm_meta(r, &m, err));
	const char *kind = ds_meta_str(&m, "kind"), *model = ds_meta_str(&m, "logits.model");
	ds_status rc = DS_OK;
	if (!kind || strcmp(kind, "logits"))
		rc = ds_fail(err, DS_E_INPUT, "a DSM stream of kind '%s' where logits were expected (ds-run --logits writes them)", kind ? kind : "?");
	else if (!one_i64(&m, "logits.classes", &l->classes) || l->classes < 2 || l->classes > INT32_MAX)
		rc = ds_fail(err, DS_E_INPUT, "logits.classes is missing or no number of classes");
	else if (ds_meta_find(&m, "logits.top") && (!one_i64(&m, "logits.top", &l->top) || l->top < 1 || l->top >= l->classes))
		rc = ds_fail(err, DS_E_INPUT, "logits.top is not below logits.classes");
	snprintf(l->model, sizeof l->model, "%.31s", model ? model : "");
	ds_meta_done(&m);
	return rc;
}

/* Room for one more item. */
static ds_status grow(loader *a, ds_err *err)
{
	ds_logits *l = a->l;
	size_t n = (size_t)l->items, p = (size_t)l->positions, width = p * (size_t)(l->top ? l->top : l->classes);
	uint64_t bytes = (n + 1) * ((uint64_t)width * (l->top ? 8 : 4) + (l->top ? p * 4 : 0) + 1);
	if (a->limit && bytes > a->limit)
		return ds_fail(err, DS_E_LIMIT, "the logits take more memory than --memory-limit allows");
	if (!ds_grow((void **)&l->value, n, &a->cap_value, width * sizeof *l->value) || !ds_grow((void **)&l->there, n, &a->cap_there, sizeof *l->there) ||
		(l->top && (!ds_grow((void **)&l->index, n, &a->cap_index, width * sizeof *l->index) || !ds_grow((void **)&l->rest, n, &a->cap_rest, p * sizeof *l->rest))))
		return ds_fail_nomem(err, bytes);
	memset(l->value + n * width, 0, width * sizeof *l->value);
	l->there[n] = false;
	l->items++;
	return DS_OK;
}

/* Dims of a part, of which the first tensor that is not empty tells the positions. */
static ds_status check_dims(loader *a, const ds_tnsr *t, int part, ds_err *err)
{
	ds_logits *l = a->l;
	int64_t width = l->top ? l->top : l->classes;
	bool row = part != REST, many = t->rank == 1 + row;
	if (t->form.scheme != DS_Q_PLAIN || t->form.code != (part == CLASSES ? DS_I32 : DS_F32) || (t->rank != row && !many) || (row && t->dim[t->rank - 1] != width))
		return ds_fail(err, DS_E_INPUT, "the type or dims of '%s' are not those of %lld classes", part_name[part], (long long)width);
	int64_t positions = many ? t->dim[0] : 1;
	if (positions < 1 || positions > INT32_MAX / width)
		return ds_fail(err, DS_E_INPUT, "%lld positions", (long long)positions);
	if (!l->positions)
		l->positions = positions;
	return positions == l->positions ? DS_OK : ds_fail(err, DS_E_INPUT, "%lld positions where the samples before have %lld", (long long)positions, (long long)l->positions);
}

static ds_status read_all(ds_dsm_reader *r, void *p, size_t n, ds_err *err)
{
	size_t at = 0, got = 1;
	while (got && at < n) {
		DS_TRY(ds_dsm_payload(r, (char *)p + at, n - at, &got, err));
		at += got;
	}
	return at == n ? DS_OK : ds_fail(err, DS_E_INPUT, "a tensor is shorter than its dims say");
}

static ds_status check_numbers(const ds_logits *l, int part, size_t at, size_t n, ds_err *err)
{
	const float *x = part == REST ? l->rest + at : l->value + at;
	for (size_t i = 0; part != CLASSES && i < n; i++) {
		if (!isfinite(x[i]))
			return ds_fail(err, DS_E_INPUT, "a logit that is not finite");
	}
	for (size_t i = 0; part == CLASSES && i < n; i++) {
		if (l->index[at + i] < 0 || l->index[at + i] >= l->classes)
			return ds_fail(err, DS_E_INPUT, "class %ld where there are 0 to %lld", (long)l->index[at + i], (long long)l->classes - 1);
	}
	return DS_OK;
}

/* A tensor that begins an item: what is due now, and is it the empty one? */
static ds_status next_item(loader *a, const ds_tnsr *t, bool *missing, ds_err *err)
{
	ds_logits *l = a->l;
	if (a->part != NOTHING)
		return ds_fail(err, DS_E_INPUT, "item %lld has no '%s'", (long long)a->item, part_name[a->part]);
	*missing = t->name && !strcmp(t->name, "logits") && t->rank == 1 && t->dim[0] == 0;
	a->item = (int64_t)t->item;
	a->part = *missing ? NOTHING : l->top ? CLASSES : LOGITS;
	l->missing += *missing;
	if (l->positions)
		return grow(a, err);
	l->items++;                     /* the first answer tells how much room it takes */
	return DS_OK;
}

static ds_status add_part(loader *a, ds_dsm_reader *r, const ds_tnsr *t, ds_err *err)
{
	ds_logits *l = a->l;
	bool missing = false, known = l->positions > 0;
	int part;
	if ((int64_t)t->item != a->item)
		DS_TRY(next_item(a, t, &missing, err));
	if (missing)
		return DS_OK;
	part = a->part;
	if (part == NOTHING || strcmp(t->name ? t->name : "", part_name[part]))
		return ds_fail(err, DS_E_INPUT, "item %u has '%.100s' where %s%s is due", t->item, t->name ? t->name : "", part == NOTHING ? "" : "the tensor ",
			part == NOTHING ? "the next item" : part_name[part]);
	DS_TRY(check_dims(a, t, part, err));
	if (!known) {
		int64_t n = l->items;
		for (l->items = 0; l->items < n;)
			DS_TRY(grow(a, err));
	}
	size_t p = (size_t)l->positions, n = part == REST ? p : p * (size_t)(l->top ? l->top : l->classes), at = (size_t)(l->items - 1) * n;
	void *dst = part == CLASSES ? (void *)(l->index + at) : part == REST ? (void *)(l->rest + at) : (void *)(l->value + at);
	DS_TRY(read_all(r, dst, n * 4, err));
	DS_TRY(check_numbers(l, part, at, n, err));
	bool last = part == (l->top ? REST : LOGITS);
	l->there[l->items - 1] = last;
	a->part = last ? NOTHING : part + 1;
	return DS_OK;
}

ds_status ds_logits_load(ds_logits **out, ds_source *src, const ds_dsm_opts *o, ds_err *err)
{
	ds_dsm_reader *r;
	ds_rec rec;
	ds_status rc;
	loader a = { .limit = o->memory_limit, .item = -1, .part = NOTHING };
	*out = NULL;
	DS_TRY(ds_dsm_open(&r, src, o, err));
	if (!(a.l = ds_calloc(1, sizeof *a.l))) {
		ds_dsm_close(r);
		return ds_fail_nomem(err, sizeof *a.l);
	}
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		if (rec.type == DS_REC_META)
			DS_GOTO(read_meta(a.l, r, err));
		else if (rec.type == DS_REC_TENSOR)
			DS_GOTO(add_part(&a, r, &rec.tensor, err));
	}
	if (rc != DS_END)
		goto out;
	rc = DS_OK;
	if (a.part != NOTHING)
		rc = ds_fail(err, DS_E_INPUT, "item %lld has no '%s'", (long long)a.item, part_name[a.part]);
	else if (!a.l->positions)
		rc = ds_fail(err, DS_E_INPUT, "no sample has an answer");
	ds_dsm_identity(r, &a.l->id_crc, &a.l->id_len);
out:
	ds_dsm_close(r);
	if (rc == DS_OK)
		*out = a.l;
	else
		ds_logits_free(a.l);
	return rc;
}

ds_status ds_logits_get(const ds_logits *l, int64_t item, float *dst, ds_err *err)
{
	int64_t width = l->top ? l->top : l->classes;
	if (item < 0 || item >= l->items || !l->there[item])
		return ds_fail(err, DS_E_INPUT, "the logits have no answer to sample %lld", (long long)item);
	if (!l->top) {
		memcpy(dst, l->value + item * l->positions * width, (size_t)(l->positions * width) * sizeof *dst);
		return DS_OK;
	}
	for (int64_t p = item * l->positions; p < (item + 1) * l->positions; p++, dst += l->classes) {
		for (int64_t c = 0; c < l->classes; c++)
			dst[c] = l->rest[p];
		for (int64_t i = p * width; i < (p + 1) * width; i++)
			dst[l->index[i]] = l->value[i];
	}
	return DS_OK;
}
