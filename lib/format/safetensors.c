/* safetensors.c - a bag of tensors: u64 length of a JSON header, the header, the data
 *
 * Read in one pass in constant memory beside the header.  The header must describe the data exactly: offsets without holes and overlaps, lengths that follow
 * from type and shape, nothing after the last tensor.  The JSON reader below knows only what this header may hold and counts every byte. */
#include "format.h"
#include "../base/str.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER  (UINT64_C(100) << 20)
#define BLOCK       (256u << 10)
#define MAX_NAME    255
#define MAX_KEY     127

typedef struct entry {
	char    *name;
	ds_dtype dtype;
	int      rank;
	int64_t  dim[DS_MAX_RANK];
	uint64_t from, to;
} entry;

typedef struct json {
	const uint8_t *p;
	size_t         n, at;
	ds_arena       arena;
	entry         *entry;
	size_t         n_entry, cap;
	ds_meta       *meta;
	ds_buf        *notes;
	ds_err        *err;
} json;

#define BAD(j, ...) ds_fail_at((j)->err, DS_E_INPUT, (int64_t)(8 + (j)->at), __VA_ARGS__)

static const struct { const char *name; ds_dtype dtype; } types[] = {
	{ "F64", DS_F64 }, { "F32", DS_F32 }, { "F16", DS_F16 }, { "BF16", DS_BF16 }, { "I64", DS_I64 }, { "I32", DS_I32 }, { "I16", DS_I16 }, { "I8", DS_I8 },
	{ "U64", DS_U64 }, { "U32", DS_U32 }, { "U16", DS_U16 }, { "U8", DS_U8 }, { "BOOL", DS_BOOL },
};

/* ---- JSON: just enough ----------------------------------------------------------------------------------------------------------------------------- */
static void spaces(json *j)
{
	while (j->at < j->n && (j->p[j->at] == ' ' || j->p[j->at] == '\t' || j->p[j->at] == '\n' || j->p[j->at] == '\r'))
		j->at++;
}

/* Past the character c (after spaces)? */
static bool eat(json *j, char c)
{
	spaces(j);
	if (j->at >= j->n || j->p[j->at] != (uint8_t)c)
		return false;
	j->at++;
	return true;
}

static ds_status want(json *j, char c)
{
	return eat(j, c) ? DS_OK : BAD(j, "header: '%c' expected", c);
}

static bool hex4(json *j, uint32_t *v)
{
	*v = 0;
	if (j->n - j->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		uint8_t c = j->p[j->at++];
		int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (d < 0)
			return false;
		*v = *v << 4 | (uint32_t)d;
	}
	return true;
}

/* \uXXXX, with its second half where it has one, as UTF-8; false: not a character. */
static bool unicode(json *j, char **to)
{
	uint32_t c, low;
	if (!hex4(j, &c) || c == 0 || (c >= 0xDC00 && c < 0xE000))
		return false;
	if (c >= 0xD800 && c < 0xDC00) {
		if (j->n - j->at < 6 || j->p[j->at] != '\\' || j->p[j->at + 1] != 'u')
			return false;
		j->at += 2;
		if (!hex4(j, &low) || low < 0xDC00 || low >= 0xE000)
			return false;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
	}
	char *o = *to;
	if (c < 0x80) {
		*o++ = (char)c;
	} else {
		int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
		*o++ = (char)((0xF00 >> more & 0xFF) | c >> (6 * more));
		while (more--)
			*o++ = (char)(0x80 | (c >> (6 * more) & 0x3F));
	}
	*to = o;
	return true;
}

/* A string, decoded into the arena; a text never grows by decoding. */
static ds_status string(json *j, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	DS_TRY(want(j, '"'));
	size_t end = j->at;
	while (end < j->n && j->p[end] != '"')
		end += j->p[end] == '\\' ? 2 : 1;
	if (end >= j->n)
		return BAD(j, "header: string without an end");
	char *o = *out = ds_arena_alloc(&j->arena, end - j->at + 1, 1);
	if (!o)
		return ds_fail_nomem(j->err, end - j->at);
	while (j->p[j->at] != '"') {
		uint8_t c = j->p[j->at++];
		if (c < 0x20)
			return BAD(j, "header: control character in a string");
		if (c != '\\') {
			*o++ = (char)c;
			continue;
		}
		c = j->p[j->at++];
		const char *k = c ? strchr(from, c) : NULL;
		if (k)
			*o++ = to[k - from];
		else if (c != 'u' || !unicode(j, &o))
			return BAD(j, "header: escape that does not exist");
	}
	j->at++;
	*o = 0;
	return ds_text_ok(*out, (size_t)(o - *out), true) ? DS_OK : BAD(j, "header: string is not clean UTF-8 text");
}

/* A whole number below 2^53. */
static ds_status number(json *j, uint64_t *v)
{
	spaces(j);
	size_t first = j->at;
	for (*v = 0; j->at < j->n && j->p[j->at] >= '0' && j->p[j->at] <= '9' && *v < UINT64_C(1) << 53; j->at++)
		*v = *v * 10 + (uint64_t)(j->p[j->at] - '0');
	if (j->at == first || *v >= UINT64_C(1) << 53 || (j->p[first] == '0' && j->at > first + 1))
		return BAD(j, "header: whole number expected");
	return DS_OK;
}

/* ---- the header -------------------------------------------------------------------------------------------------------------------------------------- */
static ds_status numbers(json *j, uint64_t *v, int max, int *n)
{
	*n = 0;
	DS_TRY(want(j, '['));
	if (eat(j, ']'))
		return DS_OK;
	do {
		if (*n == max)
			return BAD(j, "header: more than %d numbers", max);
		DS_TRY(number(j, &v[(*n)++]));
	} while (eat(j, ','));
	return want(j, ']');
}

static ds_status check_entry(json *j, entry *e, const char *dtype, const uint64_t *shape)
{
	uint64_t bytes = 1;
	for (size_t i = 0; i < DS_COUNTOF(types); i++)
		if (strcmp(types[i].name, dtype) == 0)
			e->dtype = types[i].dtype;
	if (!e->dtype)
		return ds_fail(j->err, DS_E_UNSUPPORTED, "tensor \"%.200s\": elements of type %.20s are not supported", e->name, dtype);
	uint64_t guard = ds_dtype_size(e->dtype);
	bytes = guard;
	for (int i = 0; i < e->rank; i++) {
		if (shape[i] > 0x7FFFFFFF || ds_mul_over(guard, DS_MAX(shape[i], UINT64_C(1)), &guard) || guard > UINT64_C(1) << 43)
			return BAD(j, "tensor \"%.200s\" is over the limits", e->name);
		bytes *= shape[i];
		e->dim[i] = (int64_t)shape[i];
	}
	if (e->from > e->to || e->to - e->from != bytes)
		return BAD(j, "tensor \"%.200s\": type and shape make %llu bytes, its offsets %lld", e->name, (unsigned long long)bytes,
			(long long)(e->to - e->from));
	return DS_OK;
}

/* {"dtype": "F32", "shape": [..], "data_offsets": [from, to]} in any order, each once. */
static ds_status tensor(json *j, char *name)
{
	entry e = { .name = name };
	char *dtype = NULL, *key;
	uint64_t shape[DS_MAX_RANK], offset[2];
	int n_offset = 0;
	unsigned seen = 0;
	size_t len = strlen(name);
	if (len > MAX_NAME || !ds_text_ok(name, len, false))
		return BAD(j, "tensor name \"%.100s\" is longer than %d bytes or not clean text", name, MAX_NAME);
	DS_TRY(want(j, '{'));
	do {
		DS_TRY(string(j, &key));
		DS_TRY(want(j, ':'));
		unsigned bit = strcmp(key, "dtype") == 0 ? 1 : strcmp(key, "shape") == 0 ? 2 : strcmp(key, "data_offsets") == 0 ? 4 : 0;
		if (!bit || seen & bit)
			return BAD(j, "tensor \"%.100s\": key \"%.50s\" is not known or appears twice", name, key);
		seen |= bit;
		DS_TRY(bit == 1 ? string(j, &dtype) : bit == 2 ? numbers(j, shape, DS_MAX_RANK, &e.rank) : numbers(j, offset, 2, &n_offset));
	} while (eat(j, ','));
	DS_TRY(want(j, '}'));
	if (seen != 7 || n_offset != 2)
		return BAD(j, "tensor \"%.200s\": type, shape or offsets are missing", name);
	e.from = offset[0];
	e.to = offset[1];
	DS_TRY(check_entry(j, &e, dtype, shape));
	if (!ds_grow((void **)&j->entry, j->n_entry, &j->cap, sizeof *j->entry))
		return ds_fail_nomem(j->err, j->n_entry * sizeof *j->entry);
	j->entry[j->n_entry++] = e;
	return DS_OK;
}

/* "__metadata__": strings by string; kept as metadata.KEY where the container's rules allow it. */
static ds_status metadata(json *j)
{
	char *key, *value;
	DS_TRY(want(j, '{'));
	if (eat(j, '}'))
		return DS_OK;
	do {
		DS_TRY(string(j, &key));
		DS_TRY(want(j, ':'));
		DS_TRY(string(j, &value));
		const char *full = ds_arena_printf(&j->arena, "metadata.%s", key);
		if (!full)
			return ds_fail_nomem(j->err, 0);
		ds_status rc = strlen(full) <= MAX_KEY && j->meta->n < 4000 ? ds_meta_set_str(j->meta, full, value) : DS_E_INPUT;
		if (rc == DS_E_NOMEM)
			return ds_fail_nomem(j->err, 0);
		if (rc != DS_OK && j->notes)
			ds_buf_printf(j->notes, "metadata \"%.100s\" is left out\n", key);
	} while (eat(j, ','));
	return want(j, '}');
}

static ds_status header(json *j)
{
	char *name;
	bool had_metadata = false;
	DS_TRY(want(j, '{'));
	if (!eat(j, '}')) {
		do {
			DS_TRY(string(j, &name));
			DS_TRY(want(j, ':'));
			if (strcmp(name, "__metadata__") != 0)
				DS_TRY(tensor(j, name));
			else if (had_metadata)
				return BAD(j, "header: __metadata__ twice");
			else
				DS_TRY(metadata(j));
			had_metadata |= strcmp(name, "__metadata__") == 0;
		} while (eat(j, ','));
		DS_TRY(want(j, '}'));
	}
	spaces(j);
	return j->at == j->n ? DS_OK : BAD(j, "header: bytes after its end");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

/* By place in the file; empty tensors at one place by name. */
static int by_offset(const void *a, const void *b)
{
	const entry *x = a, *y = b;
	int c = (x->from > y->from) - (x->from < y->from);
	if (!c)
		c = (x->to > y->to) - (x->to < y->to);
	return c ? c : strcmp(x->name, y->name);
}

static ds_status check_layout(json *j)
{
	uint64_t at = 0;
	if (j->n_entry)
		qsort(j->entry, j->n_entry, sizeof *j->entry, by_name);
	for (size_t i = 1; i < j->n_entry; i++)
		if (strcmp(j->entry[i - 1].name, j->entry[i].name) == 0)
			return ds_fail(j->err, DS_E_INPUT, "tensor \"%.200s\" appears twice", j->entry[i].name);
	if (j->n_entry)
		qsort(j->entry, j->n_entry, sizeof *j->entry, by_offset);
	for (size_t i = 0; i < j->n_entry; i++) {
		const entry *e = &j->entry[i];
		if (e->from != at)
			return ds_fail(j->err, DS_E_INPUT, "tensor \"%.200s\" %s", e->name, e->from > at ? "leaves a hole before it" : "overlaps another");
		at = e->to;
	}
	return DS_OK;
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------------------------------- */
static ds_status copy_tensor(ds_source *src, ds_dsm_writer *w, const entry *e, uint8_t *block, ds_err *err)
{
	ds_tnsr t = { .form.code = e->dtype, .rank = e->rank, .name = e->name };
	memcpy(t.dim, e->dim, sizeof t.dim);
	DS_TRY(ds_dsm_tensor_begin(w, &t, err));
	for (uint64_t left = e->to - e->from; left;) {
		size_t got;
		DS_TRY(ds_source_some(src, block, (size_t)DS_MIN(left, (uint64_t)BLOCK), &got, err));
		if (got == 0)
			return ds_fail_at(err, DS_E_INPUT, ds_source_offset(src), "truncated in tensor \"%.200s\"", e->name);
		for (size_t i = 0; e->dtype == DS_BOOL && i < got; i++)
			block[i] = block[i] != 0;
		DS_TRY(ds_dsm_tensor_data(w, block, got, err));
		left -= got;
	}
	return ds_dsm_tensor_end(w, err);
}

/* The header's bytes: the block doubles as they arrive. */
static ds_status read_header(ds_source *src, ds_buf *b, ds_err *err)
{
	uint8_t len[8], *block = ds_malloc(BLOCK);
	ds_status rc = block ? ds_source_read(src, len, 8, err) : ds_fail_nomem(err, BLOCK);
	uint64_t n = 0;
	if (rc == DS_END)
		rc = ds_fail(err, DS_E_INPUT, "empty input - did the previous command fail?");
	for (int i = 7; rc == DS_OK && i >= 0; i--)
		n = n << 8 | len[i];
	if (rc == DS_OK && (n < 2 || n > MAX_HEADER))
		rc = ds_fail_at(err, DS_E_INPUT, 0, "header of %llu bytes; the limit is 100 MiB", (unsigned long long)n);
	while (rc == DS_OK && b->len < n) {
		size_t got;
		rc = ds_source_some(src, block, (size_t)DS_MIN((uint64_t)BLOCK, n - b->len), &got, err);
		if (rc == DS_OK && got == 0)
			rc = ds_fail_at(err, DS_E_INPUT, ds_source_offset(src), "truncated in the header");
		if (rc == DS_OK)
			ds_buf_add(b, block, got);
		if (b->oom)
			rc = ds_fail_nomem(err, b->len);
	}
	ds_free(block);
	return rc;
}

static ds_status stream(ds_source *src, ds_dsm_writer *w, const ds_import *o, ds_err *err)
{
	ds_buf text = { 0 };
	ds_meta meta = { 0 };
	uint8_t *block = ds_malloc(BLOCK);
	json j = { .meta = &meta, .notes = o ? o->notes : NULL, .err = err };
	const void *p;
	size_t got;
	ds_status rc = block ? DS_OK : ds_fail_nomem(err, BLOCK);
	ds_arena_init(&j.arena);
	if (rc != DS_OK)
		goto out;
	DS_GOTO(read_header(src, &text, err));
	j.p = (const uint8_t *)text.data;
	j.n = text.len;
	if (ds_meta_set_str(&meta, "kind", "tensors") != DS_OK)
		DS_GOTO(ds_fail_nomem(err, 0));
	DS_GOTO(header(&j));
	DS_GOTO(check_layout(&j));
	int64_t size = ds_source_size(src), data = ds_source_offset(src);
	if (size >= 0 && (uint64_t)(size - data) < (j.n_entry ? j.entry[j.n_entry - 1].to : 0))
		DS_GOTO(ds_fail_at(err, DS_E_INPUT, size, "truncated"));
	DS_GOTO(ds_dsm_put_meta(w, &meta, err));
	for (size_t i = 0; i < j.n_entry; i++)
		DS_GOTO(copy_tensor(src, w, &j.entry[i], block, err));
	DS_GOTO(ds_source_peek(src, 1, &p, &got, err));
	if (got)
		rc = ds_fail_at(err, DS_E_INPUT, ds_source_offset(src), "data after the last tensor");
out:
	if (rc != DS_OK)
		ds_err_in(err, ds_source_name(src));
	ds_arena_done(&j.arena);
	ds_free(j.entry);
	ds_meta_done(&meta);
	ds_buf_done(&text);
	ds_free(block);
	return rc;
}

static bool probe(const uint8_t *p, size_t n, int64_t size)
{
	uint64_t len = 0;
	if (n < 10)
		return false;
	for (int i = 7; i >= 0; i--)
		len = len << 8 | p[i];
	return p[8] == '{' && len >= 2 && len <= MAX_HEADER && (size < 0 || len + 8 <= (uint64_t)size);
}

const ds_format ds_format_safetensors = { .name = "safetensors", .help = "a bag of named tensors", .probe = probe, .stream = stream };
