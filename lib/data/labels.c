/* labels.c - the names of classes */
#include "local.h"
#include "../base/str.h"

#include <string.h>

void ds_labels_done(ds_labels *l)
{
	for (int i = 0; i < l->n; i++) {
		ds_free(l->name[i]);
		if (l->id)
			ds_free(l->id[i]);
	}
	ds_free(l->name);
	ds_free(l->id);
	*l = (ds_labels){ 0 };
}

static char *copy(const char *p, size_t n)
{
	char *s = ds_malloc(n + 1);
	if (s) {
		memcpy(s, p, n);
		s[n] = 0;
	}
	return s;
}

static ds_status add(ds_labels *l, size_t *cap, const char *line, size_t n)
{
	if (!ds_grow((void **)&l->name, l->n, cap, sizeof *l->name))
		return DS_E_NOMEM;
	l->name[l->n] = copy(line, n);
	return l->name[l->n++] ? DS_OK : DS_E_NOMEM;
}

/* Length of a WordNet id ("n01440764 ") at the start of a line, 0: there is none. */
static size_t id_length(const char *s)
{
	size_t n = 1;
	if (*s < 'a' || *s > 'z')
		return 0;
	while (s[n] >= '0' && s[n] <= '9')
		n++;
	return n >= 6 && (s[n] == ' ' || s[n] == '\t') && s[n + 1] ? n : 0;
}

static ds_status split_ids(ds_labels *l)
{
	for (int i = 0; i < l->n; i++) {
		if (!id_length(l->name[i]))
			return DS_OK;
	}
	l->id = ds_calloc(l->n, sizeof *l->id);
	if (!l->id)
		return DS_E_NOMEM;
	for (int i = 0; i < l->n; i++) {
		size_t k = id_length(l->name[i]), n = strlen(l->name[i]);
		l->id[i] = copy(l->name[i], k);
		if (!l->id[i])
			return DS_E_NOMEM;
		memmove(l->name[i], l->name[i] + k + 1, n - k);
	}
	return DS_OK;
}

ds_status ds_labels_parse(ds_labels *l, const char *text, size_t n, ds_err *err)
{
	size_t cap = 0, line = 1;
	ds_status rc = DS_OK;
	*l = (ds_labels){ 0 };
	for (size_t at = 0; at < n; line++) {
		const char *nl = memchr(text + at, '\n', n - at);
		size_t len = nl ? (size_t)(nl - text) - at : n - at, skip = len + 1;
		if (len && text[at + len - 1] == '\r')
			len--;
		if (!ds_text_ok(text + at, len, true)) {
			rc = ds_fail_at(err, DS_E_INPUT, (int64_t)at, "labels: line %zu is not text", line);
			goto out;
		}
		if (l->n == 1 << 24) {
			rc = ds_fail(err, DS_E_LIMIT, "labels: more than %d lines", 1 << 24);
			goto out;
		}
		rc = add(l, &cap, text + at, len);
		if (rc != DS_OK)
			goto memory;
		at += skip;
	}
	rc = l->n ? split_ids(l) : ds_fail(err, DS_E_INPUT, "labels: no lines");
memory:
	if (rc == DS_E_NOMEM)
		rc = ds_fail_nomem(err, n);
out:
	if (rc != DS_OK)
		ds_labels_done(l);
	return rc;
}

static bool same(const char *a, size_t na, const char *b)
{
	for (size_t i = 0; i < na; i++) {
		char x = a[i] == '_' ? ' ' : a[i], y = b[i] == '_' ? ' ' : b[i];
		if (x != y)
			return false;
	}
	return !b[na];
}

static bool synonym(const char *names, const char *text)
{
	while (*names) {
		size_t n = strcspn(names, ",");
		if (same(names, n, text))
			return true;
		names += n;
		names += strspn(names, ", ");
	}
	return false;
}

int ds_labels_find(const ds_labels *l, const char *text)
{
	for (int i = 0; i < l->n; i++) {
		if (same(l->name[i], strlen(l->name[i]), text))
			return i;
	}
	for (int i = 0; l->id && i < l->n; i++) {
		if (!strcmp(l->id[i], text))
			return i;
	}
	for (int i = 0; i < l->n; i++) {
		if (synonym(l->name[i], text))
			return i;
	}
	return -1;
}
