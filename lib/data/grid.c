/* grid.c - the cells of a table as numbers: header, columns by name, cells that are none */
#include "table.h"
#include "../base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 65536
#define CLASSES_MAX 65536

/* ---- flaws --------------------------------------------------------------------------------------------------------------------- */

ds_status ds_flaw_add(ds_flaws *f, int64_t row, int64_t line, const char *what, ds_err *err)
{
	ds_flaw *last = f->n ? &f->f[f->n - 1] : NULL;
	if (last && last->row + last->n >= row) {       /* one after another: the first says why */
		last->n = DS_MAX(last->n, row + 1 - last->row);
		return DS_OK;
	}
	if (!ds_grow((void **)&f->f, f->n, &f->cap, sizeof *f->f))
		return ds_fail_nomem(err, sizeof *f->f);
	f->f[f->n] = (ds_flaw){ .row = row, .n = 1, .line = line };
	snprintf(f->f[f->n++].what, sizeof f->f->what, "%s", what);
	return DS_OK;
}

const ds_flaw *ds_flaw_in(const ds_flaws *f, int64_t from, int64_t to)
{
	size_t lo = 0, hi = f->n;       /* the first that ends behind `from` */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (f->f[mid].row + f->f[mid].n > from)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo < f->n && f->f[lo].row < to ? &f->f[lo] : NULL;
}

void ds_flaws_done(ds_flaws *f)
{
	ds_free(f->f);
	*f = (ds_flaws){ 0 };
}

/* ---- columns ------------------------------------------------------------------------------------------------------------------- */

/* What has been found out about the columns of a file. */
typedef struct head {
	ds_csv csv;                     /* before the first row of data */
	char **name;                    /* of every column; of a table without header their numbers */
	int    n;
	int   *at;                      /* where the wanted ones are */
	int    n_at;
} head;

static void head_done(head *h)
{
	for (int i = 0; i < h->n && h->name; i++)
		ds_free(h->name[i]);
	ds_free(h->name);
	ds_free(h->at);
	ds_csv_close(&h->csv);
}

static ds_status has_field(const ds_csv *c, const char *name, ds_buf *b, bool *has, ds_err *err)
{
	*has = false;
	for (size_t i = 0; i < c->n && !*has; i++) {
		ds_buf_reset(b);
		ds_csv_text(&c->field[i], b);
		if (b->oom)
			return ds_fail_nomem(err, c->field[i].n);
		*has = !strcmp(b->data ? b->data : "", name);
	}
	return DS_OK;
}

/* A first line is a header when it names all that is wanted by a name that is no number, or else when none of its cells is a number. */
static ds_status is_header(const ds_csv *c, const ds_table_opts *o, bool *header, ds_err *err)
{
	ds_buf b = { 0 };
	bool named = false;
	int64_t v;
	double d;
	ds_status rc = DS_OK;
	for (int i = 0; i < o->n && rc == DS_OK; i++) {
		if (ds_parse_i64(o->want[i].name, &v))
			continue;
		rc = has_field(c, o->want[i].name, &b, &named, err);
		if (!named)
			break;
	}
	ds_buf_done(&b);
	*header = true;
	for (size_t i = 0; i < c->n && !named && *header; i++)
		*header = !ds_csv_number(&c->field[i], &d);
	return rc;
}

static ds_status read_names(head *h, bool header, ds_err *err)
{
	if (h->csv.n > COLUMNS_MAX)
		return ds_fail(err, DS_E_LIMIT, "a table of %zu columns; %d are the limit", h->csv.n, COLUMNS_MAX);
	h->name = ds_calloc(h->csv.n, sizeof *h->name);
	if (!h->name)
		return ds_fail_nomem(err, h->csv.n * sizeof *h->name);
	for (; h->n < (int)h->csv.n; h->n++) {
		ds_buf b = { 0 };
		if (header)
			ds_csv_text(&h->csv.field[h->n], &b);
		if (!header || !b.len)
			ds_buf_printf(&b, "%d", h->n + 1);
		h->name[h->n] = b.oom ? NULL : b.data;
		if (b.oom) {
			ds_buf_done(&b);
			return ds_fail_nomem(err, 16);
		}
	}
	return DS_OK;
}

static int find_column(const head *h, const char *name)
{
	int64_t v;
	for (int i = 0; i < h->n; i++) {
		if (!strcmp(h->name[i], name))
			return i;
	}
	return ds_parse_i64(name, &v) && v >= 1 && v <= h->n ? (int)v - 1 : -1;
}

static bool is_one_of(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(list[i], name))
			return true;
	}
	return false;
}

static ds_status find_wanted(head *h, const ds_table_opts *o, ds_err *err)
{
	double d;
	h->at = ds_calloc((size_t)DS_MAX(o->n, h->n), sizeof *h->at);
	if (!h->at)
		return ds_fail_nomem(err, sizeof *h->at);
	for (int i = 0; i < o->n; i++) {
		h->at[h->n_at] = find_column(h, o->want[i].name);
		if (h->at[h->n_at++] < 0)
			return ds_fail(err, DS_E_INPUT, "no column '%s' in the table; the first of its %d is '%s'", o->want[i].name, h->n, h->name[0]);
	}
	for (int i = 0; !o->want && i < h->n && i < (int)h->csv.n; i++) {
		if (ds_csv_number(&h->csv.field[i], &d) && !is_one_of(h->name[i], o->but, o->n_but))
			h->at[h->n_at++] = i;
	}
	if (!h->n_at)
		return ds_fail(err, DS_E_INPUT, "no column of numbers in the table");
	return DS_OK;
}

/* Read the header if there is one, find the columns; then h->csv stands behind it, or has the first row of data (*row). */
static ds_status open_head(head *h, const void *p, size_t n, const ds_table_opts *o, bool *row, ds_err *err)
{
	*h = (head){ 0 };
	ds_csv_open(&h->csv, p, n);
	ds_status rc = ds_csv_next(&h->csv, err);
	if (rc == DS_END)
		return ds_fail(err, DS_E_INPUT, "an empty table");
	DS_TRY(rc);
	bool header;
	DS_TRY(is_header(&h->csv, o, &header, err));
	DS_TRY(read_names(h, header, err));
	*row = true;
	if (header) {
		rc = ds_csv_next(&h->csv, err);
		*row = rc == DS_OK;
		if (rc != DS_OK && rc != DS_END)
			return rc;
		if (rc == DS_END)
			h->csv.n = 0;
	}
	if (!*row && !o->want)
		return ds_fail(err, DS_E_INPUT, "a table of a header and no rows");
	return find_wanted(h, o, err);
}

/* ---- cells --------------------------------------------------------------------------------------------------------------------- */

void ds_grid_done(ds_grid *g)
{
	for (int i = 0; i < g->cols && g->name; i++)
		ds_free(g->name[i]);
	ds_free(g->name);
	ds_free(g->v);
	ds_flaws_done(&g->flaws);
	*g = (ds_grid){ 0 };
}

/* The number of a class: by name first, as names may look like numbers. */
static ds_status class_of(const ds_csv_field *f, const ds_labels *names, double *v, bool *good, ds_err *err)
{
	ds_buf b = { 0 };
	int64_t i = -1;
	ds_csv_text(f, &b);
	if (b.oom) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, f->n);
	}
	const char *text = b.data ? b.data : "";
	if (names)
		i = ds_labels_find(names, text);
	if (i < 0 && !ds_parse_i64(text, &i))
		i = -1;
	ds_buf_done(&b);
	*v = (double)i;
	*good = i >= 0 && i <= INT32_MAX;
	return DS_OK;
}

static ds_status bad_cell(ds_grid *g, const head *h, int col, const ds_csv_field *f, bool is_class, ds_err *err)
{
	char what[96];
	ds_buf b = { 0 };
	ds_csv_text(f, &b);
	if (b.oom) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, f->n);
	}
	snprintf(what, sizeof what, "column '%.16s' holds '%.20s', no %s", h->name[col], b.data ? b.data : "", is_class ? "class of the model" : "number");
	ds_buf_done(&b);
	return ds_flaw_add(&g->flaws, g->rows, h->csv.line, what, err);
}

static ds_status read_row(ds_grid *g, const head *h, const ds_table_opts *o, ds_err *err)
{
	double *v = g->v + (size_t)g->rows * (size_t)g->cols;
	for (int i = 0; i < g->cols; i++) {
		bool is_class = o->want && o->want[i].is_class, good;
		v[i] = 0;
		if (h->at[i] >= (int)h->csv.n) {
			char what[96];
			snprintf(what, sizeof what, "%zu cells, the first line has %d", h->csv.n, h->n);
			return ds_flaw_add(&g->flaws, g->rows, h->csv.line, what, err);
		}
		const ds_csv_field *f = &h->csv.field[h->at[i]];
		if (is_class)
			DS_TRY(class_of(f, o->names, &v[i], &good, err));
		else
			good = ds_csv_number(f, &v[i]);
		if (!good)
			return bad_cell(g, h, h->at[i], f, is_class, err);
	}
	return DS_OK;
}

ds_status ds_grid_read(ds_grid *g, const void *p, size_t n, const ds_table_opts *o, ds_err *err)
{
	head h;
	bool row;
	size_t line;
	*g = (ds_grid){ 0 };
	ds_status rc = open_head(&h, p, n, o, &row, err);
	if (rc != DS_OK)
		goto out;
	g->name = ds_calloc((size_t)h.n_at, sizeof *g->name);
	if (!g->name)
		DS_GOTO(ds_fail_nomem(err, sizeof *g->name));
	for (; g->cols < h.n_at; g->cols++) {
		if (!(g->name[g->cols] = ds_strdup(h.name[h.at[g->cols]])))
			DS_GOTO(ds_fail_nomem(err, 64));
	}
	line = sizeof *g->v * (size_t)g->cols;
	while (row) {
		if (!ds_grow((void **)&g->v, (size_t)g->rows, &g->cap, line))
			DS_GOTO(ds_fail_nomem(err, line));
		DS_GOTO(read_row(g, &h, o, err));
		g->rows++;
		rc = ds_csv_next(&h.csv, err);
		if (rc != DS_OK && rc != DS_END)
			goto out;
		row = rc == DS_OK;
	}
	rc = DS_OK;
out:
	head_done(&h);
	if (rc != DS_OK)
		ds_grid_done(g);
	return rc;
}

/* ---- classes ------------------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Put the text of a field among the sorted names, unless it is there. */
static ds_status add_class(char ***name, size_t *n, size_t *cap, const ds_csv_field *f, ds_err *err)
{
	ds_buf b = { 0 };
	ds_csv_text(f, &b);
	if (b.oom)
		return ds_fail_nomem(err, f->n);
	char *text = b.data ? b.data : ds_strdup("");
	if (!text)
		return ds_fail_nomem(err, 1);
	if (*n && bsearch(&text, *name, *n, sizeof **name, by_text)) {
		ds_free(text);
		return DS_OK;
	}
	if (*n >= CLASSES_MAX || !ds_grow((void **)name, *n, cap, sizeof **name)) {
		ds_free(text);
		return *n >= CLASSES_MAX ? ds_fail(err, DS_E_INPUT, "more than %d classes", CLASSES_MAX) : ds_fail_nomem(err, sizeof **name);
	}
	size_t at = (*n)++;
	for (; at > 0 && strcmp((*name)[at - 1], text) > 0; at--)
		(*name)[at] = (*name)[at - 1];
	(*name)[at] = text;
	return DS_OK;
}

ds_status ds_table_classes(const void *p, size_t n, const char *column, char ***name, int *count, bool *numeric, ds_err *err)
{
	const ds_table_want want = { column, true };
	const ds_table_opts o = { .want = &want, .n = 1 };
	head h;
	bool row;
	size_t found = 0, cap = 0;
	int64_t v;
	*name = NULL;
	*count = 0;
	ds_status rc = open_head(&h, p, n, &o, &row, err);
	while (rc == DS_OK && row) {
		if (h.at[0] < (int)h.csv.n)
			rc = add_class(name, &found, &cap, &h.csv.field[h.at[0]], err);
		if (rc == DS_OK)
			rc = ds_csv_next(&h.csv, err);
	}
	rc = rc == DS_END ? DS_OK : rc;
	head_done(&h);
	*numeric = true;
	for (size_t i = 0; i < found; i++)
		*numeric = *numeric && ds_parse_i64((*name)[i], &v) && v >= 0;
	*count = (int)found;
	if (rc == DS_OK)
		return rc;
	for (size_t i = 0; i < found; i++)
		ds_free((*name)[i]);
	ds_free(*name);
	*name = NULL;
	*count = 0;
	return rc;
}
