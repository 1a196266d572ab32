/* truth.c - what class each sample is: lists of paths and labels, IDX and npy files of labels */
#include "local.h"
#include "../base/str.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LABELS_LIMIT ((uint64_t)1 << 30)

ds_status ds_read_whole(const char *path, const void **p, size_t *n, void **owner, ds_err *err)
{
	ds_source *s;
	ds_source_opts o = { .no_map = true };
	DS_TRY(ds_source_open(&s, path, &o, err));
	ds_status rc = ds_source_all(s, LABELS_LIMIT, p, n, owner, err);
	ds_source_close(s);
	return rc;
}

int64_t ds_label_of(const char *s, const ds_labels *names)
{
	int64_t v;
	if (ds_parse_i64(s, &v))
		return v >= 0 ? v : -1;
	return names ? ds_labels_find(names, s) : -1;
}

ds_status ds_read_pairs(const char *file, const char *p, size_t n, const ds_labels *names, ds_pair_fn fn, void *arg, ds_err *err)
{
	ds_buf path = { 0 }, label = { 0 };
	ds_status rc = DS_OK;
	size_t line = 0;
	bool first = true;
	while (n && rc == DS_OK) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) : n, skip = nl ? len + 1 : len;
		line++;
		if (len && p[len - 1] == '\r')
			len--;
		const char *tab = memchr(p, '\t', len);
		if (len && *p != '#') {
			const char *rest = tab ? tab + 1 : p + len, *tab2 = tab ? memchr(rest, '\t', (size_t)(p + len - rest)) : NULL;
			ds_buf_reset(&path);
			ds_buf_reset(&label);
			ds_buf_add(&path, p, tab ? (size_t)(tab - p) : len);
			ds_buf_add(&label, rest, (size_t)((tab2 ? tab2 : p + len) - rest));
			if (path.oom || label.oom) {
				rc = ds_fail_nomem(err, len);
				break;
			}
			int64_t v = tab && label.len ? ds_label_of(label.data, names) : -1;
			if (v >= 0)
				rc = fn(arg, path.data, v, err);
			else if (!first || !tab)
				rc = ds_fail(err, DS_E_INPUT, tab ? "line %zu: the label is neither a number nor the name of a class" : "line %zu: no tab", line);
			first = false;
		}
		p += skip;
		n -= skip;
	}
	if (rc == DS_E_INPUT)
		ds_err_in(err, file);
	ds_buf_done(&path);
	ds_buf_done(&label);
	return rc;
}

/* ---- labels in a file of their own -------------------------------------------------------------------------------------------- */

static ds_status read_label_array(const uint8_t *p, size_t n, int64_t **out, int64_t *count, ds_err *err)
{
	ds_tensor t;
	uint8_t *plain = NULL;
	bool kept = false;
	ds_status rc = DS_OK;
	if (ds_is_gzip(p, n)) {
		DS_TRY(ds_gunzip(&plain, &n, p, n, LABELS_LIMIT, err));
		p = plain;
	}
	rc = ds_is_npy(p, n) ? ds_npy_parse(&t, p, n, LABELS_LIMIT, NULL, &kept, err) : ds_idx_parse(&t, p, n, LABELS_LIMIT, err);
	ds_free(plain);
	if (rc != DS_OK)
		return rc;
	const ds_dtype_row *row = ds_dtype_of(t.dtype);
	*count = ds_tensor_count(&t);
	*out = ds_calloc(*count, sizeof **out);
	if (!*out)
		rc = ds_fail_nomem(err, *count * sizeof **out);
	else if (!row || row->is_float || t.rank != 1)
		rc = ds_fail(err, DS_E_INPUT, "labels: not a list of whole numbers");
	for (int64_t i = 0; rc == DS_OK && i < *count; i++)
		(*out)[i] = ds_tensor_i64(&t, i);
	ds_tensor_done(&t);
	if (rc != DS_OK) {
		ds_free(*out);
		*out = NULL;
	}
	return rc;
}

/* The name of the labels that lie beside "...images-idx3-ubyte...": NULL if the name is not of this kind. */
static ds_status labels_beside(const char *path, char **out, ds_err *err)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	const char *at = strstr(base, "images");
	char *s = *out = at ? ds_strdup(path) : NULL;
	if (!s)
		return at ? ds_fail_nomem(err, strlen(path)) : DS_OK;
	memcpy(s + (at - path), "labels", 6);
	char *idx = strstr(s + (at - path), "idx");
	if (idx && idx[3] >= '2' && idx[3] <= '9')
		idx[3] = '1';
	return DS_OK;
}

ds_status ds_labels_for_images(ds_entry *e, ds_err *err)
{
	char *s, *gz = NULL;
	struct stat st;
	ds_status rc = labels_beside(e->path, &s, err);
	if (!s)
		return rc;
	if (stat(s, &st)) {     /* one of the two may be compressed */
		size_t n = strlen(s);
		if (n > 3 && !strcmp(s + n - 3, ".gz"))
			s[n - 3] = 0;
		else if ((gz = ds_malloc(n + 4))) {
			memcpy(gz, s, n);
			memcpy(gz + n, ".gz", 4);
		} else {
			rc = ds_fail_nomem(err, n);
		}
	}
	const char *name = gz ? gz : s;
	if (rc == DS_OK && !stat(name, &st) && S_ISREG(st.st_mode)) {
		const void *p;
		size_t n;
		void *owner;
		rc = ds_read_whole(name, &p, &n, &owner, err);
		if (rc == DS_OK) {
			rc = read_label_array(p, n, &e->labels, &e->n_labels, err);
			ds_source_drop(owner);
			if (rc != DS_OK)
				ds_err_in(err, name);
		}
	}
	ds_free(gz);
	ds_free(s);
	return rc;
}

/* Paths with their labels, sorted, to look entries up by whole path or last component. */
typedef struct pair { char *path; int64_t label; } pair;
typedef struct pairs { pair *p; size_t n, cap; } pairs;

static ds_status keep_pair(void *arg, const char *path, int64_t label, ds_err *err)
{
	pairs *ps = arg;
	if (!ds_grow((void **)&ps->p, ps->n, &ps->cap, sizeof *ps->p) || !(ps->p[ps->n].path = ds_strdup(path)))
		return ds_fail_nomem(err, strlen(path));
	ps->p[ps->n++].label = label;
	return DS_OK;
}

static int pair_cmp(const void *a, const void *b)
{
	return strcmp(((const pair *)a)->path, ((const pair *)b)->path);
}

ds_status ds_apply_labels(ds_list *l, const char *file, const ds_labels *names, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	pairs ps = { 0 };
	DS_TRY(ds_read_whole(file, &p, &n, &owner, err));
	ds_status rc;
	if (ds_is_gzip(p, n) || ds_is_idx(p, n) || ds_is_npy(p, n)) {
		rc = read_label_array(p, n, &l->label, &l->n_label, err);
		if (rc != DS_OK)
			ds_err_in(err, file);
	} else {
		rc = ds_read_pairs(file, p, n, names, keep_pair, &ps, err);
	}
	ds_source_drop(owner);
	if (rc == DS_OK && ps.n) {
		qsort(ps.p, ps.n, sizeof *ps.p, pair_cmp);
		for (size_t i = 0; i < l->n; i++) {
			/* the whole path, else what follows one of its slashes, the longest first */
			const pair *hit = NULL;
			for (char *at = l->e[i].path; at && !hit; at = strchr(at, '/'), at = at ? at + 1 : NULL) {
				pair key = { .path = at };
				hit = bsearch(&key, ps.p, ps.n, sizeof *ps.p, pair_cmp);
			}
			l->e[i].label = hit ? hit->label : -1;
		}
	}
	for (size_t i = 0; i < ps.n; i++)
		ds_free(ps.p[i].path);
	ds_free(ps.p);
	return rc;
}
