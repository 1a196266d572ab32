/* list.c - which files are to be read, in which order, and what class they belong to
 *
 * Directories are walked recursively and their files come sorted by the bytes of their path, so that the order does not depend on the file system or
 * the locale.  Names that begin with a dot, and files that obviously describe data instead of being some (text[] below), are passed over there. */
#include "local.h"
#include "../base/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const text[] = { ".txt", ".tsv", ".csv", ".json", ".jsonl", ".md", ".xml", ".html", ".htm", ".yaml", ".yml", ".log", ".sha256" };

static bool passed_over(const ds_list *l, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; !l->text && i < DS_COUNTOF(text); i++) {
		size_t k = strlen(text[i]);
		if (n > k && !strcasecmp(name + n - k, text[i]))
			return true;
	}
	return name[0] == '.';
}

static char *join(const char *dir, size_t n, const char *name)
{
	size_t m = strlen(name);
	bool slash = n && dir[n - 1] != '/';
	char *s = ds_malloc(n + slash + m + 1);
	if (!s)
		return NULL;
	memcpy(s, dir, n);
	if (slash)
		s[n] = '/';
	memcpy(s + n + slash, name, m + 1);
	return s;
}

/* Item `number` of the entry's file, too. */
static ds_status pick(ds_entry *e, int64_t number, int64_t label, ds_err *err)
{
	if (!ds_grow((void **)&e->pick, e->n_pick, &e->cap_pick, sizeof *e->pick))
		return ds_fail_nomem(err, e->n_pick * sizeof *e->pick);
	e->pick[e->n_pick++] = (struct ds_pick){ number, label };
	return DS_OK;
}

/* FILE[A:B] and FILE[N], unless a file is called so: what is in the brackets goes from the name to the entry. */
static ds_status take_range(ds_entry *e, ds_err *err)
{
	struct stat st;
	ds_range r;
	int64_t number;
	size_t n = ds_range_parse(&r, e->path), m = n ? 0 : ds_item_parse(&number, e->path);
	if ((!n && !m) || !lstat(e->path, &st))
		return DS_OK;
	e->path[n ? n : m] = 0;
	e->range = r;
	return m ? pick(e, number, -1, err) : DS_OK;
}

/* Takes path. */
static ds_status add(ds_list *l, char *path, ds_err *err)
{
	if (!path || !ds_grow((void **)&l->e, l->n, &l->cap, sizeof *l->e)) {
		ds_free(path);
		return ds_fail_nomem(err, sizeof *l->e);
	}
	l->e[l->n] = (ds_entry){ .path = path, .label = -1 };
	return take_range(&l->e[l->n++], err);
}

void ds_entry_done(ds_entry *e)
{
	ds_free(e->path);
	ds_free(e->labels);
	ds_free(e->pick);
}

void ds_list_done(ds_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ds_entry_done(&l->e[i]);
	for (int i = 0; i < l->n_class; i++)
		ds_free(l->class_name[i]);
	ds_free(l->class_name);
	ds_free(l->label);
	ds_free(l->e);
	*l = (ds_list){ 0 };
}

/* ---- directories -------------------------------------------------------------------------------------------------------------- */

/* The directories we are in, innermost first: a link back to one of them is not followed. */
typedef struct level { const struct level *up; dev_t dev; ino_t ino; int depth; } level;
#define MAX_DEPTH 64

static bool inside(const level *v, const struct stat *st)
{
	for (; v; v = v->up) {
		if (v->dev == st->st_dev && v->ino == st->st_ino)
			return true;
	}
	return false;
}

static ds_status walk(ds_list *l, const char *dir, const level *up, bool recursive, ds_err *err);

static ds_status walk_name(ds_list *l, const char *dir, const char *name, const level *here, bool recursive, ds_err *err)
{
	struct stat st;
	char *path = join(dir, strlen(dir), name);
	if (!path)
		return ds_fail_nomem(err, strlen(dir));
	bool known = stat(path, &st) == 0;
	int sys = known ? 0 : errno;
	if (known && S_ISDIR(st.st_mode)) {
		ds_status rc = DS_OK;
		if (recursive && here->depth < MAX_DEPTH && !inside(here, &st)) {
			level v = { here, st.st_dev, st.st_ino, here->depth + 1 };
			rc = walk(l, path, &v, recursive, err);
		}
		ds_free(path);
		return rc;
	}
	DS_TRY(add(l, path, err));
	l->e[l->n - 1].listed = true;
	l->e[l->n - 1].sys = sys;
	return DS_OK;
}

static ds_status walk(ds_list *l, const char *dir, const level *here, bool recursive, ds_err *err)
{
	DIR *d = opendir(dir);
	if (!d) {
		int sys = errno;
		DS_TRY(add(l, ds_strdup(dir), err));
		l->e[l->n - 1].sys = sys;
		return DS_OK;
	}
	ds_status rc = DS_OK;
	for (struct dirent *e; rc == DS_OK && (e = readdir(d));) {
		if (!passed_over(l, e->d_name))
			rc = walk_name(l, dir, e->d_name, here, recursive, err);
	}
	closedir(d);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const ds_entry *)a)->path, ((const ds_entry *)b)->path);
}

static ds_status add_directory(ds_list *l, const char *path, const struct stat *st, bool recursive, ds_err *err)
{
	size_t first = l->n;
	level v = { NULL, st->st_dev, st->st_ino, 0 };
	DS_TRY(walk(l, path, &v, recursive, err));
	if (l->n == first) {
		DS_TRY(add(l, ds_strdup(path), err));
		l->e[first].why = "a directory without samples";
	}
	qsort(l->e + first, l->n - first, sizeof *l->e, by_path);
	return DS_OK;
}

/* ---- a directory per class ---------------------------------------------------------------------------------------------------- */

/* First component of the path below the directory of `skip` bytes, if it is not the file itself; *n its length. */
static const char *class_part(const char *path, size_t skip, size_t *n)
{
	const char *p = path + skip;
	p += strspn(p, "/");
	const char *slash = strchr(p, '/');
	*n = slash ? (size_t)(slash - p) : 0;
	return slash ? p : NULL;
}

static int find_class(const ds_list *l, const char *p, size_t n)
{
	for (int i = 0; i < l->n_class; i++) {
		if (!strncmp(l->class_name[i], p, n) && !l->class_name[i][n])
			return i;
	}
	return -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Collect the names of the class directories of the entries from `first` on, which lie below a directory of `skip` bytes. */
static ds_status collect_classes(ds_list *l, size_t first, size_t skip, ds_err *err)
{
	for (size_t i = first; i < l->n; i++) {
		size_t n;
		const char *p = class_part(l->e[i].path, skip, &n);
		/* sorted paths: the same class comes in a row, so looking at the last one first keeps this linear */
		if (!p || (l->n_class && !strncmp(l->class_name[l->n_class - 1], p, n) && !l->class_name[l->n_class - 1][n]) || find_class(l, p, n) >= 0)
			continue;
		if (!ds_grow((void **)&l->class_name, l->n_class, &l->cap_class, sizeof *l->class_name))
			return ds_fail_nomem(err, n);
		char *s = ds_malloc(n + 1);
		if (!s)
			return ds_fail_nomem(err, n);
		memcpy(s, p, n);
		s[n] = 0;
		l->class_name[l->n_class++] = s;
	}
	return DS_OK;
}

/* The class number of each directory name: that of the model's class of the same name if every directory has one; the number that they spell if every
 * one is a number; else the position among the sorted names. */
static ds_status number_classes(const ds_list *l, const ds_labels *names, int64_t *number, ds_err *err)
{
	bool named = names && names->n, numeric = true;
	for (int i = 0; i < l->n_class; i++) {
		int64_t v;
		named = named && ds_labels_find(names, l->class_name[i]) >= 0;
		numeric = numeric && ds_parse_i64(l->class_name[i], &v) && v >= 0;
	}
	for (int i = 0; i < l->n_class; i++) {
		number[i] = i;
		if (named)
			number[i] = ds_labels_find(names, l->class_name[i]);
		else if (numeric && !ds_parse_i64(l->class_name[i], &number[i]))
			return ds_fail(err, DS_E_INTERNAL, "class number");
	}
	return DS_OK;
}

/* skip[i]: length of the directory that entry i was found in, 0: none. */
static ds_status label_by_directory(ds_list *l, const size_t *skip, const ds_labels *names, ds_err *err)
{
	if (!l->n_class)
		return DS_OK;
	qsort(l->class_name, l->n_class, sizeof *l->class_name, by_name);
	int64_t *number = ds_calloc(l->n_class, sizeof *number);
	if (!number)
		return ds_fail_nomem(err, l->n_class * sizeof *number);
	ds_status rc = number_classes(l, names, number, err);
	int last = 0;
	for (size_t i = 0; rc == DS_OK && i < l->n; i++) {
		size_t n;
		const char *p = skip[i] ? class_part(l->e[i].path, skip[i], &n) : NULL;
		if (!p)
			continue;
		if (strncmp(l->class_name[last], p, n) || l->class_name[last][n])
			last = DS_MAX(find_class(l, p, n), 0);
		l->e[i].label = number[last];
	}
	ds_free(number);
	return rc;
}

/* ---- lists -------------------------------------------------------------------------------------------------------------------- */

/* What ds_text_quote made of a name. */
static void unquote(ds_buf *b, const char *s, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	ds_buf_reset(b);
	for (size_t i = 0; i < n; i++) {
		const char *hi = i + 3 < n && s[i] == '\\' && s[i + 1] == 'x' ? memchr(digits, s[i + 2], 16) : NULL;
		const char *lo = hi ? memchr(digits, s[i + 3], 16) : NULL;
		char c = s[i];
		if (lo) {
			c = (char)(16 * (hi - digits) + (lo - digits));
			i += 3;
		} else if (s[i] == '\\' && i + 1 < n) {
			i++;
			c = s[i] == 't' ? '\t' : s[i] == 'n' ? '\n' : s[i];
		}
		ds_buf_add(b, &c, 1);
	}
}

/* The k-th field of a line of tab-separated ones; NULL: it has fewer. */
static const char *field(const char *s, size_t n, int k, size_t *len)
{
	for (; k > 0; k--) {
		const char *tab = memchr(s, '\t', n);
		if (!tab)
			return NULL;
		n -= (size_t)(tab + 1 - s);
		s = tab + 1;
	}
	const char *tab = memchr(s, '\t', n);
	*len = tab ? (size_t)(tab - s) : n;
	return s;
}

static bool is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

/* A list of names, one in a line; or a table as ds-run --failures writes it: a heading that begins with `path`, quoted names, and a column `label`. */
typedef struct names { ds_list *l; const ds_labels *classes; bool table; int label; ds_buf path, text; } listing;

static bool read_heading(listing *t, const char *s, size_t n)
{
	size_t len;
	const char *f = field(s, n, 0, &len);
	if (!is(f, len, "path") || len == n)
		return false;
	for (int k = 1; (f = field(s, n, k, &len)); k++) {
		if (is(f, len, "label"))
			t->label = k;
	}
	return true;
}

static ds_status add_name(listing *t, const char *s, size_t n, ds_err *err)
{
	ds_list *l = t->l;
	size_t len = n;
	const char *f = t->label ? field(s, n, t->label, &len) : NULL;
	int64_t label = -1;
	if (f && len) {
		unquote(&t->text, f, len);
		label = t->text.oom ? -1 : ds_label_of(t->text.data, t->classes);
	}
	ds_buf_reset(&t->path);
	if (t->table) {
		f = field(s, n, 0, &len);
		unquote(&t->path, f, len);
	} else {
		ds_buf_add(&t->path, s, n);
	}
	if (t->path.oom || t->text.oom)
		return ds_fail_nomem(err, n);
	if (!t->path.len)
		return DS_OK;
	DS_TRY(add(l, ds_strdup(t->path.data), err));
	ds_entry *e = &l->e[l->n - 1], *before = l->n > 1 ? e - 1 : NULL;
	e->listed = true;
	e->label = label;
	if (!e->n_pick)
		return DS_OK;
	e->pick[0].label = label;
	if (!before || !before->n_pick || !before->listed || strcmp(before->path, e->path))
		return DS_OK;
	DS_TRY(pick(before, e->pick[0].number, label, err));    /* several of one file in a row: it is read once */
	ds_entry_done(e);
	l->n--;
	return DS_OK;
}

ds_status ds_list_names(ds_list *l, const char *p, size_t n, bool null_sep, const ds_labels *classes, ds_err *err)
{
	listing t = { .l = l, .classes = classes };
	const char *s = p, *end = p + n;
	char sep = null_sep ? '\0' : '\n';
	ds_status rc = DS_OK;
	while (rc == DS_OK && s < end) {
		const char *stop = memchr(s, sep, (size_t)(end - s));
		size_t len = stop ? (size_t)(stop - s) : (size_t)(end - s);
		if (memchr(s, 0, len))
			rc = ds_fail_at(err, DS_E_INPUT, s - p, "a list of names with zero bytes: is --null missing?");
		else if (s == p && !null_sep && read_heading(&t, s, len))
			t.table = true;
		else if (len)
			rc = add_name(&t, s, len, err);
		if (!stop)
			break;
		s = stop + 1;
	}
	ds_buf_done(&t.path);
	ds_buf_done(&t.text);
	return rc;
}

static ds_status add_files_from(ds_list *l, const ds_data_opts *o, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	DS_TRY(ds_read_whole(o->files_from, &p, &n, &owner, err));
	ds_status rc = ds_list_names(l, p, n, o->null_sep, o->names, err);
	if (rc == DS_E_INPUT)
		ds_err_in(err, o->files_from);
	ds_source_drop(owner);
	return rc;
}

typedef struct list_at { ds_list *l; const char *dir; size_t n_dir; } list_at;

static ds_status add_pair(void *arg, const char *path, int64_t label, ds_err *err)
{
	list_at *a = arg;
	DS_TRY(add(a->l, path[0] == '/' ? ds_strdup(path) : join(a->dir, a->n_dir, path), err));
	ds_entry *e = &a->l->e[a->l->n - 1];
	e->label = label;
	e->listed = true;
	return DS_OK;
}

/* Is this the beginning of a list of labels, and not a sample? */
static bool looks_like_list(const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	size_t len = nl ? (size_t)(nl - p) : n;
	return len && len < 8192 && memchr(p, '\t', len) && !memchr(p, 0, len) && !ds_image_probe((const uint8_t *)p, n);
}

static ds_status add_list(ds_list *l, const char *path, const ds_labels *names, bool *was, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	char head[8192];
	ds_source *s;
	ds_source_opts o = { .no_map = true };
	*was = false;
	if (!strcmp(path, "-") || ds_source_open(&s, path, &o, NULL) != DS_OK)
		return DS_OK;   /* a bad item: whoever reads it says so */
	ds_status rc = ds_source_some(s, head, sizeof head, &n, NULL);
	ds_source_close(s);
	if (rc != DS_OK || !looks_like_list(head, n))
		return DS_OK;
	*was = true;
	DS_TRY(ds_read_whole(path, &p, &n, &owner, err));
	const char *slash = strrchr(path, '/');
	list_at at = { l, path, slash ? (size_t)(slash - path) + 1 : 0 };
	rc = ds_read_pairs(path, p, n, names, add_pair, &at, err);
	ds_source_drop(owner);
	return rc;
}

/* ---- all together ------------------------------------------------------------------------------------------------------------- */

static ds_status add_path(ds_list *l, const char *path, const ds_data_opts *o, size_t *skip, ds_err *err)
{
	struct stat st;
	bool list = false;
	*skip = 0;
	if (strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode)) {
		size_t first = l->n;
		DS_TRY(add_directory(l, path, &st, o->recursive, err));
		*skip = strlen(path);
		return o->want_labels ? collect_classes(l, first, *skip, err) : DS_OK;
	}
	if (o->want_labels && !l->text && !stat(path, &st) && S_ISREG(st.st_mode))
		DS_TRY(add_list(l, path, o->names, &list, err));
	if (list)
		return DS_OK;
	DS_TRY(add(l, ds_strdup(path), err));
	return o->want_labels && !o->labels ? ds_labels_for_images(&l->e[l->n - 1], err) : DS_OK;
}

ds_status ds_list_build(ds_list *l, const ds_data_opts *o, ds_err *err)
{
	size_t *skip = NULL, n = 0, cap = 0;
	ds_status rc = DS_OK;
	for (int i = 0; i < o->n_path; i++) {
		size_t below;
		DS_GOTO(add_path(l, o->path[i], o, &below, err));
		for (; n < l->n; n++) {
			if (!ds_grow((void **)&skip, n, &cap, sizeof *skip)) {
				rc = ds_fail_nomem(err, n);
				goto out;
			}
			skip[n] = below;
		}
	}
	if (o->want_labels && n)
		DS_GOTO(label_by_directory(l, skip, o->names, err));
	if (o->files_from)
		DS_GOTO(add_files_from(l, o, err));
	if (o->labels)
		DS_GOTO(ds_apply_labels(l, o->labels, o->names, err));
out:
	ds_free(skip);
	if (rc != DS_OK)
		ds_list_done(l);
	return rc;
}
