/* csv.c - comma-separated text into fields: RFC 4180, with the separator found out, LF or CRLF, a byte order mark passed over */
#include "local.h"
#include "../base/str.h"

#include <string.h>

/* The separator that the first line has most of, quoted parts not counted. */
static char find_separator(const char *p, const char *end)
{
	static const char sep[] = ",;\t";
	size_t n[sizeof sep] = { 0 };
	bool quoted = false;
	for (; p < end && (quoted || *p != '\n'); p++) {
		const char *at = memchr(sep, *p, sizeof sep - 1);
		if (*p == '"')
			quoted = !quoted;
		else if (at && !quoted)
			n[at - sep]++;
	}
	size_t best = 0;
	for (size_t i = 1; i < sizeof sep - 1; i++)
		best = n[i] > n[best] ? i : best;
	return sep[best];
}

void ds_csv_open(ds_csv *c, const void *p, size_t n)
{
	*c = (ds_csv){ .p = p, .end = (const char *)p + n, .next_line = 1 };
	if (n >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3))
		c->p += 3;
	c->sep = find_separator(c->p, c->end);
}

void ds_csv_close(ds_csv *c)
{
	ds_free(c->field);
	*c = (ds_csv){ 0 };
}

/* A quoted field that begins at c->p; stops behind its closing quote. */
static ds_status quoted_field(ds_csv *c, ds_csv_field *f, ds_err *err)
{
	const char *start = ++c->p;
	*f = (ds_csv_field){ .p = start };
	for (;;) {
		const char *q = memchr(c->p, '"', (size_t)(c->end - c->p));
		if (!q)
			return ds_fail(err, DS_E_INPUT, "line %lld: a quote that is never closed", (long long)c->line);
		for (const char *s = c->p; (s = memchr(s, '\n', (size_t)(q - s))); s++)
			c->next_line++;
		c->p = q + 1;
		if (c->p == c->end || *c->p != '"') {
			f->n = (size_t)(q - start);
			return DS_OK;
		}
		f->doubled = true;
		c->p++;
	}
}

static void plain_field(ds_csv *c, ds_csv_field *f)
{
	const char *start = c->p;
	while (c->p < c->end && *c->p != c->sep && *c->p != '\n')
		c->p++;
	*f = (ds_csv_field){ .p = start, .n = (size_t)(c->p - start) };
}

static bool blank(const ds_csv_field *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->p[i] != ' ' && f->p[i] != '\t')
			return false;
	}
	return true;
}

ds_status ds_csv_next(ds_csv *c, ds_err *err)
{
	bool quoted, more;
	do {
		if (c->p == c->end)
			return DS_END;
		c->n = 0;
		c->line = c->next_line;
		do {
			if (!ds_grow((void **)&c->field, c->n, &c->cap, sizeof *c->field))
				return ds_fail_nomem(err, sizeof *c->field);
			ds_csv_field *f = &c->field[c->n++];
			quoted = c->p < c->end && *c->p == '"';
			if (quoted) {
				DS_TRY(quoted_field(c, f, err));
				ds_csv_field rest;
				plain_field(c, &rest);
				if (rest.n && !(rest.n == 1 && *rest.p == '\r'))
					return ds_fail(err, DS_E_INPUT, "line %lld: text behind a closing quote", (long long)c->line);
			} else {
				plain_field(c, f);
			}
			more = c->p < c->end && *c->p == c->sep;
			if (c->p < c->end)
				c->p++;
		} while (more);
		c->next_line++;
		ds_csv_field *last = &c->field[c->n - 1];
		if (!quoted && last->n && last->p[last->n - 1] == '\r')
			last->n--;
	} while (c->n == 1 && !quoted && blank(&c->field[0]));
	return DS_OK;
}

/* Without the spaces around it. */
static ds_csv_field trimmed(const ds_csv_field *f)
{
	ds_csv_field t = *f;
	while (t.n && (*t.p == ' ' || *t.p == '\t')) {
		t.p++;
		t.n--;
	}
	while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return t;
}

bool ds_csv_number(const ds_csv_field *f, double *v)
{
	char buf[64];
	ds_csv_field t = trimmed(f);
	if (!t.n || t.n >= sizeof buf || memchr(t.p, 0, t.n))
		return false;
	memcpy(buf, t.p, t.n);
	buf[t.n] = 0;
	return ds_parse_f64(buf, v);
}

void ds_csv_text(const ds_csv_field *f, ds_buf *b)
{
	ds_csv_field t = trimmed(f);
	for (size_t i = 0; f->doubled && i < t.n; i += 1 + (t.p[i] == '"'))
		ds_buf_add(b, &t.p[i], 1);
	if (!f->doubled)
		ds_buf_add(b, t.p, t.n);
}
