/* outdir.c - --out-dir: a file for each input, called after it; what would be written twice or over another is refused before the work */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/rng.h"

enum { LONGEST = 160 };                 /* bytes of a flattened name; what follows has to fit into 255 too */

/* A set of strings: open addressing. */
typedef struct names { char **slot; size_t n, cap; } names;

struct ds_outdir {
	const char *dir;
	bool        force;
	names       expected, written;
	ds_buf      flat, path;
};

static size_t slot_of(const names *s, const char *name)
{
	size_t i = (size_t)ds_hash64(name, strlen(name), 0) & (s->cap - 1);
	while (s->slot[i] && strcmp(s->slot[i], name))
		i = (i + 1) & (s->cap - 1);
	return i;
}

static bool has(const names *s, const char *name)
{
	return s->cap && s->slot[slot_of(s, name)];
}

/* *was: it is there already. */
static ds_status put(names *s, const char *name, bool *was, ds_err *err)
{
	if (2 * (s->n + 1) > s->cap) {
		names more = { .n = s->n, .cap = s->cap ? 2 * s->cap : 64 };
		if (!(more.slot = ds_calloc(more.cap, sizeof *more.slot)))
			return ds_fail_nomem(err, more.cap * sizeof *more.slot);
		for (size_t i = 0; i < s->cap; i++)
			if (s->slot[i])
				more.slot[slot_of(&more, s->slot[i])] = s->slot[i];
		ds_free(s->slot);
		*s = more;
	}
	size_t i = slot_of(s, name);
	*was = s->slot[i] != NULL;
	if (*was)
		return DS_OK;
	if (!(s->slot[i] = ds_strdup(name)))
		return ds_fail_nomem(err, strlen(name));
	s->n++;
	return DS_OK;
}

static void drop(names *s)
{
	for (size_t i = 0; i < s->cap; i++)
		ds_free(s->slot[i]);
	ds_free(s->slot);
	*s = (names){ 0 };
}

/* ---- names ------------------------------------------------------------------------------------------------------------------------- */

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._-+=,@~", c));
}

/* One component of a path; text beyond ASCII stays, everything that a shell or a terminal might take for something else becomes %xx. */
static void component(ds_buf *b, const char *s, size_t n)
{
	if (n == 2 && !memcmp(s, "..", 2)) {
		ds_buf_str(b, "%2e%2e");
		return;
	}
	for (size_t i = 0; i < n; ) {
		size_t k = 1;
		while (i + k < n && k < 4 && ((unsigned char)s[i + k] & 0xC0) == 0x80)
			k++;
		ds_buf shown = { 0 };
		ds_text_quote(&shown, s + i, k);
		if ((k > 1 && shown.len == k && !memcmp(shown.data, s + i, k)) || (k == 1 && plain(s[i]))) {
			ds_buf_add(b, s + i, k);
		} else {
			for (size_t m = 0; m < k; m++)
				ds_buf_printf(b, "%%%02x", (unsigned char)s[i + m]);
		}
		b->oom |= shown.oom;
		ds_buf_done(&shown);
		i += k;
	}
}

void ds_outdir_name(ds_buf *b, const char *path, size_t n)
{
	ds_buf flat = { 0 };
	for (size_t i = 0, k; i < n; i += k + 1) {
		const char *slash = memchr(path + i, '/', n - i);
		k = slash ? (size_t)(slash - path) - i : n - i;
		if (!k || (k == 1 && path[i] == '.'))
			continue;
		if (flat.len)
			ds_buf_str(&flat, "_");
		component(&flat, path + i, k);
	}
	if (!flat.len || flat.data[0] == '.' || flat.data[0] == '-')
		ds_buf_str(b, "_");
	const char *s = flat.data ? flat.data : "";
	if (flat.len > LONGEST) {               /* the end tells more; the number keeps it apart from others that end so */
		ds_buf_printf(b, "%016llx_", (unsigned long long)ds_hash64(s, flat.len, 0));
		s += flat.len - (LONGEST - 17);
		while (((unsigned char)*s & 0xC0) == 0x80)
			s++;
	}
	ds_buf_str(b, s);
	b->oom |= flat.oom;
	ds_buf_done(&flat);
}

static ds_status flatten(ds_outdir *d, const char *path, size_t n, int64_t item, const char *rest, ds_err *err)
{
	ds_buf_reset(&d->flat);
	ds_outdir_name(&d->flat, path, n);
	if (item >= 0)
		ds_buf_printf(&d->flat, ".%lld", (long long)item);
	ds_buf_str(&d->flat, rest);
	return d->flat.oom ? ds_fail_nomem(err, n) : DS_OK;
}

/* ---- before the work --------------------------------------------------------------------------------------------------------------- */

ds_status ds_outdir_new(ds_outdir **d, const char *dir, bool force, ds_err *err)
{
	if (!(*d = ds_calloc(1, sizeof **d)))
		return ds_fail_nomem(err, sizeof **d);
	(*d)->dir = dir;
	(*d)->force = force;
	return DS_OK;
}

ds_status ds_outdir_expect(void *arg, const char *path, int64_t item, ds_err *err)
{
	ds_outdir *d = arg;
	bool was;
	DS_TRY(flatten(d, path, strlen(path), item, "", err));
	DS_TRY(put(&d->expected, d->flat.data, &was, err));
	if (!was)
		return DS_OK;
	ds_status rc = ds_fail(err, DS_E_USAGE, "two inputs would be called %.150s in %.100s: one twice, or two whose names differ in slashes only", d->flat.data, d->dir);
	ds_err_in(err, path);
	return rc;
}

/* Is the file one that an expected input may give: its name up to some dot? */
static bool ours(const ds_outdir *d, char *file)
{
	bool hit = false;
	for (char *dot = strchr(file, '.'); dot && !hit; dot = strchr(dot + 1, '.')) {
		*dot = 0;
		hit = has(&d->expected, file);
		*dot = '.';
	}
	return hit;
}

ds_status ds_outdir_ready(ds_outdir *d, ds_err *err)
{
	DIR *dir = opendir(d->dir);
	if (!dir && errno == ENOENT) {
		if (mkdir(d->dir, 0777))
			goto sys;
		return DS_OK;
	}
	if (!dir)
		goto sys;
	ds_status rc = DS_OK;
	for (struct dirent *e; rc == DS_OK && !d->force && (e = readdir(dir)); ) {
		if (ours(d, e->d_name))
			rc = ds_fail(err, DS_E_USAGE, "%.100s has %.150s already; --force replaces it", d->dir, e->d_name);
	}
	closedir(dir);
	return rc;
sys:
	rc = ds_fail_sys(err, errno, "--out-dir");
	ds_err_in(err, d->dir);
	return rc;
}

/* ---- the work ----------------------------------------------------------------------------------------------------------------------- */

ds_status ds_outdir_open(ds_outdir *d, const char *name, size_t n, size_t path_len, const char *rest, ds_sink **s, const char **path, ds_err *err)
{
	long long item = -1;
	struct stat st;
	bool was;
	char number[24] = "";
	size_t k = n - path_len;
	if (k > 2 && k < sizeof number) {       /* "[12]" */
		memcpy(number, name + path_len + 1, k - 2);
		if (sscanf(number, "%lld", &item) != 1)
			item = -1;
	}
	DS_TRY(flatten(d, name, path_len, item, rest, err));
	DS_TRY(put(&d->written, d->flat.data, &was, err));
	if (was)
		return ds_fail(err, DS_E_INPUT, "%.200s has been written for another input", d->flat.data);
	ds_buf_reset(&d->path);
	ds_buf_printf(&d->path, "%s/%s", d->dir, d->flat.data);
	if (d->path.oom)
		return ds_fail_nomem(err, d->flat.len);
	if (!d->force && !lstat(d->path.data, &st))
		return ds_fail(err, DS_E_INPUT, "%.200s exists; --force replaces it", d->path.data);
	*path = d->path.data;
	return ds_sink_open(s, d->path.data, err);
}

void ds_outdir_free(ds_outdir *d)
{
	if (!d)
		return;
	drop(&d->expected);
	drop(&d->written);
	ds_buf_done(&d->flat);
	ds_buf_done(&d->path);
	ds_free(d);
}
