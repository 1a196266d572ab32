/* text.c - text as tokens: characters of the model's vocabulary, or bytes; windows with the token that follows each, or lines with a class */
#include "table.h"
#include "../base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- UTF-8 --------------------------------------------------------------------------------------------------------------------- */

#define NO_CHAR 0xFFFFFFFFu

/* The character at s and its length; NO_CHAR (length 1) where there is no well-formed one. */
static uint32_t next_char(const uint8_t *s, size_t n, size_t *len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t k = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
	*len = 1;
	if (k == 1)
		return c;
	if (!k || k > n)
		return NO_CHAR;
	c &= 0xFFu >> (k + 1);
	for (size_t i = 1; i < k; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return NO_CHAR;
		c = c << 6 | (s[i] & 0x3F);
	}
	if (c < least[k] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return NO_CHAR;
	*len = k;
	return c;
}

static void add_char(ds_buf *b, uint32_t c)
{
	uint8_t s[4] = { (uint8_t)c };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
		s[i] = (uint8_t)(0x80 | (c & 0x3F));
	if (n > 1)
		s[0] |= (uint8_t)(0xF00 >> n);
	ds_buf_add(b, s, n);
}

/* ---- the characters of a model ------------------------------------------------------------------------------------------------- */

void ds_vocab_done(ds_vocab *v)
{
	ds_free(v->code);
	ds_free(v->order);
	*v = (ds_vocab){ 0 };
}

typedef struct coded { uint32_t code; uint16_t number; } coded;

static int by_code(const void *a, const void *b)
{
	uint32_t x = ((const coded *)a)->code, y = ((const coded *)b)->code;
	return (x > y) - (x < y);
}

static ds_status sort_vocab(ds_vocab *v, ds_err *err)
{
	coded *c = ds_calloc((size_t)v->n, sizeof *c);
	ds_status rc = c ? DS_OK : ds_fail_nomem(err, (size_t)v->n * sizeof *c);
	for (int i = 0; rc == DS_OK && i < v->n; i++)
		c[i] = (coded){ v->code[i], (uint16_t)i };
	if (rc == DS_OK)
		qsort(c, (size_t)v->n, sizeof *c, by_code);
	for (int i = 0; rc == DS_OK && i < v->n; i++) {
		v->order[i] = c[i].number;
		if (i && c[i].code == c[i - 1].code)
			rc = ds_fail(err, DS_E_INPUT, "the character U+%04X twice in a vocabulary", (unsigned)c[i].code);
	}
	ds_free(c);
	return rc;
}

ds_status ds_vocab_parse(ds_vocab *v, const void *asset, size_t n, ds_err *err)
{
	const uint8_t *s = asset;
	ds_status rc = DS_OK;
	*v = (ds_vocab){ 0 };
	if (!n || n > 4u * DS_VOCAB_MAX)
		return ds_fail(err, DS_E_INPUT, "a vocabulary of %zu bytes", n);
	v->code = ds_calloc(n, sizeof *v->code);
	v->order = ds_calloc(n, sizeof *v->order);
	if (!v->code || !v->order)
		DS_GOTO(ds_fail_nomem(err, n * sizeof *v->code));
	for (size_t at = 0, len; at < n; at += len) {
		uint32_t c = next_char(s + at, n - at, &len);
		if (c == NO_CHAR || v->n == DS_VOCAB_MAX)
			DS_GOTO(ds_fail_at(err, DS_E_INPUT, (int64_t)at, c == NO_CHAR ? "a vocabulary that is not UTF-8" : "a vocabulary of too many characters"));
		v->code[v->n++] = c;
	}
	rc = sort_vocab(v, err);
out:
	if (rc != DS_OK)
		ds_vocab_done(v);
	return rc;
}

int ds_vocab_find(const ds_vocab *v, uint32_t code)
{
	int lo = 0, hi = v->n;
	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		if (v->code[v->order[mid]] < code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->n && v->code[v->order[lo]] == code ? v->order[lo] : -1;
}

ds_status ds_vocab_build(ds_buf *asset, const void *text, size_t n, ds_err *err)
{
	const uint8_t *s = text;
	enum { CODES = 0x110000 };
	int found = 0;
	uint32_t end = 0;               /* behind the last one seen */
	uint8_t *seen = ds_calloc(CODES / 8, 1);
	if (!seen)
		return ds_fail_nomem(err, CODES / 8);
	ds_status rc = DS_OK;
	for (size_t at = 0, len; rc == DS_OK && at < n; at += len) {
		uint32_t c = next_char(s + at, n - at, &len);
		if (c == NO_CHAR)
			rc = ds_fail_at(err, DS_E_INPUT, (int64_t)at, "not UTF-8 (bytes as tokens need no vocabulary: --tokens bytes)");
		else
			seen[c / 8] |= (uint8_t)(1u << c % 8);
		end = c != NO_CHAR && c >= end ? c + 1 : end;
	}
	for (uint32_t c = 0; rc == DS_OK && c < end; c++) {
		if (!(seen[c / 8] & 1u << c % 8))
			continue;
		if (++found > DS_VOCAB_MAX)
			rc = ds_fail(err, DS_E_LIMIT, "more than %d different characters", DS_VOCAB_MAX);
		add_char(asset, c);
	}
	ds_free(seen);
	if (rc == DS_OK && !found)
		rc = ds_fail(err, DS_E_INPUT, "an empty text");
	return rc == DS_OK && asset->oom ? ds_fail_nomem(err, asset->len) : rc;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------------------- */

typedef struct tokens { uint16_t *v; int64_t n; ds_flaws flaws; } tokens;

static ds_status unknown_char(tokens *t, uint32_t c, size_t at, ds_err *err)
{
	char what[96];
	if (c == NO_CHAR)
		snprintf(what, sizeof what, "the byte at %zu is not UTF-8", at);
	else
		snprintf(what, sizeof what, "the character U+%04X at byte %zu is none of the model's", (unsigned)c, at);
	return ds_flaw_add(&t->flaws, t->n, 0, what, err);
}

/* What cannot be told becomes token 0 and a flaw. */
static ds_status tokenize(tokens *t, const ds_feed *f, const uint8_t *s, size_t n, ds_err *err)
{
	int16_t ascii[128];
	*t = (tokens){ .v = ds_calloc(n, sizeof *t->v) };
	if (!t->v)
		return ds_fail_nomem(err, n * sizeof *t->v);
	for (uint32_t c = 0; c < 128; c++) {
		int i = ds_vocab_find(&f->vocab, c);
		ascii[c] = (int16_t)(i <= INT16_MAX ? i : -2);
	}
	for (size_t at = 0, len = 1; at < n; at += len) {
		if (f->tokens == DS_TOKENS_BYTES) {
			t->v[t->n++] = s[at];
			continue;
		}
		uint32_t c = next_char(s + at, n - at, &len);
		int i = c < 128 && ascii[c] > -2 ? ascii[c] : c == NO_CHAR ? -1 : ds_vocab_find(&f->vocab, c);
		if (i < 0)
			DS_TRY(unknown_char(t, c, at, err));
		t->v[t->n++] = (uint16_t)DS_MAX(i, 0);
	}
	return DS_OK;
}

/* Tokens [from, to) as [n, 1], or [n, window] once they are lines. */
static ds_status token_tensor(ds_tensor *t, const uint16_t *v, int64_t n, int64_t cols, ds_err *err)
{
	const int64_t dim[] = { n, cols };
	DS_TRY(ds_tensor_new(t, DS_U16, 2, dim, err));
	memcpy(t->data, v, ds_tensor_bytes(t));
	return DS_OK;
}

static ds_status make_windows(ds_loaded *l, const ds_loader *ld, tokens *t, const ds_range *r, ds_err *err)
{
	const ds_feed *f = &ld->in[ld->main].feed;
	int64_t from, to, after = ld->want && ld->aim.what == DS_AIM_NEXT;
	ds_tensor x;
	ds_range_apply(r, t->n, &from, &to);
	l->hop = ld->hop ? ld->hop : f->hop;
	l->n = ds_window_count(to - from, f->window, l->hop, after);
	l->row0 = from;
	l->span = f->window + after;
	l->streams = l->hop == f->window;
	if (!l->n)
		return ds_fail(err, DS_E_INPUT, "%lld tokens where a window%s takes %lld", (long long)(to - from), after ? " with the one that follows" : "",
			(long long)(f->window + after));
	DS_TRY(token_tensor(&x, t->v + from, to - from, 1, err));
	if (after) {
		l->target = (ds_part){ .t = ds_tensor_ref(&x), .n = l->n, .rank = 2, .windows = true, .hop = l->hop, .first = 1, .len = f->window };
		l->target.dim[0] = f->dim[0];
		l->target.dim[1] = f->dim[1];
	}
	ds_part_windows(&l->part[ld->main], &x, f, l->hop);
	l->part[ld->main].n = l->n;
	l->flaws = t->flaws;
	t->flaws = (ds_flaws){ 0 };
	for (size_t i = 0; i < l->flaws.n; i++)
		l->flaws.f[i].row -= from;
	return DS_OK;
}

/* ---- lines --------------------------------------------------------------------------------------------------------------------- */

typedef struct lines { uint16_t *v; int64_t *label; ds_flaws flaws; size_t n, cap_v, cap_label; } lines;

/* The text before the last tab, and the class behind it. */
static ds_status add_line(lines *s, const ds_loader *ld, const char *p, size_t n, int64_t line, ds_err *err)
{
	const ds_feed *f = &ld->in[ld->main].feed;
	const char *tab = memrchr(p, '\t', n);
	tokens t = { 0 };
	int64_t label = -1;
	ds_status rc = tokenize(&t, f, (const uint8_t *)p, tab ? (size_t)(tab - p) : n, err);
	if (rc == DS_OK && (!ds_grow((void **)&s->v, s->n, &s->cap_v, sizeof *s->v * (size_t)f->window) ||
		!ds_grow((void **)&s->label, s->n, &s->cap_label, sizeof *s->label)))
		rc = ds_fail_nomem(err, sizeof *s->v * (size_t)f->window);
	if (rc == DS_OK) {
		uint16_t *d = s->v + s->n * (size_t)f->window;
		int64_t k = DS_MIN(t.n, f->window);
		memset(d, 0, sizeof *d * (size_t)f->window);
		memcpy(d, t.v, sizeof *d * (size_t)k);
		const ds_flaw *bad = ds_flaw_in(&t.flaws, 0, k);
		if (bad)
			rc = ds_flaw_add(&s->flaws, (int64_t)s->n, line, bad->what, err);
	}
	if (rc == DS_OK && tab && ld->want) {
		ds_buf b = { 0 };
		ds_buf_add(&b, tab + 1, n - (size_t)(tab + 1 - p));
		if (b.oom)
			rc = ds_fail_nomem(err, n);
		if (ld->names && b.data)
			label = ds_labels_find(ld->names, b.data);
		if (label < 0 && (!b.data || !ds_parse_i64(b.data, &label)))
			label = -1;
		ds_buf_done(&b);
		if (rc == DS_OK && label < 0)
			rc = ds_flaw_add(&s->flaws, (int64_t)s->n, line, "behind the tab stands no class of the model", err);
	}
	if (rc == DS_OK)
		s->label[s->n++] = label;
	ds_free(t.v);
	ds_flaws_done(&t.flaws);
	return rc;
}

static ds_status make_lines(ds_loaded *l, const ds_loader *ld, const char *p, size_t n, const ds_range *r, ds_err *err)
{
	const ds_feed *f = &ld->in[ld->main].feed;
	lines s = { 0 };
	ds_tensor x;
	int64_t from, to, line = 0;
	ds_status rc = DS_OK;
	ds_part *part = &l->part[ld->main];
	for (const char *end = p + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p), skip = nl ? len + 1 : len;
		line++;
		if (len && p[len - 1] == '\r')
			len--;
		if (len)
			DS_GOTO(add_line(&s, ld, p, len, line, err));
		p += skip;
	}
	ds_range_apply(r, (int64_t)s.n, &from, &to);
	l->n = to - from;
	if (!l->n)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "a text without lines"));
	DS_GOTO(token_tensor(&x, s.v + from * f->window, l->n, f->window, err));
	*part = (ds_part){ .t = x, .n = l->n, .rank = 2 };
	memcpy(part->dim, f->dim, sizeof part->dim);
	l->label = s.label;
	memmove(l->label, l->label + from, sizeof *l->label * (size_t)l->n);
	l->span = 1;
	l->flaws = s.flaws;
	s = (lines){ .v = s.v };
	for (size_t i = 0; i < l->flaws.n; i++)
		l->flaws.f[i].row -= from;
out:
	ds_free(s.v);
	ds_free(s.label);
	ds_flaws_done(&s.flaws);
	return rc;
}

ds_status ds_load_text(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err)
{
	const ds_feed *f = &ld->in[ld->main].feed;
	if (f->tokens == DS_TOKENS_CHARS && !f->vocab.n) {
		l->fatal = true;
		return ds_fail(err, DS_E_USAGE, "a text, and the model holds no characters; ds-convert --vocabulary puts them into the model");
	}
	if (f->items == DS_ITEMS_LINES)
		return make_lines(l, ld, p, n, r, err);
	tokens t;
	ds_status rc = tokenize(&t, f, p, n, err);
	if (rc == DS_OK)
		rc = make_windows(l, ld, &t, r, err);
	ds_free(t.v);
	ds_flaws_done(&t.flaws);
	return rc;
}
