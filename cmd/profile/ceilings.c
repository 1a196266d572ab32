/* ceilings.c - the machine's ceilings: from the cache, or measured and put there */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "profile/machine.h"
#include "profile.h"

/* $XDG_CACHE_HOME/ds, else $HOME/.cache/ds (the paths must be absolute, as the XDG base directory specification asks); false: there is no place. */
static bool cache_dir(ds_buf *dir)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (xdg && xdg[0] == '/')
		ds_buf_printf(dir, "%s/ds", xdg);
	else if (home && home[0] == '/')
		ds_buf_printf(dir, "%s/.cache/ds", home);
	return dir->len && !dir->oom;
}

static void make_dirs(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(path, 0700);
			*p = '/';
		}
	mkdir(path, 0700);
}

static ds_status from_cache(ds_ceilings *c, const char *path, const char *key, ds_err *err)
{
	ds_source *src;
	const void *p;
	void *owner;
	size_t n;
	ds_source_opts o = { .no_map = true };
	DS_TRY(ds_source_open(&src, path, &o, err));
	ds_status rc = ds_source_all(src, 1 << 16, &p, &n, &owner, err);
	ds_source_close(src);
	DS_TRY(rc);
	rc = ds_ceilings_read(c, key, p, n, err);
	ds_source_drop(owner);
	return rc;
}

/* A cache that cannot be written is no failure. */
static void to_cache(const job *j, const ds_ceilings *c, char *dir, const char *path, const char *key)
{
	ds_buf text = { 0 };
	ds_err err = { 0 };
	make_dirs(dir);
	ds_status rc = ds_ceilings_write(c, key, &text, &err);
	if (rc == DS_OK)
		rc = job_write(j, path, &text, &err);
	if (rc != DS_OK)
		ds_note("the ceilings were not kept: %s", err.text);
	ds_buf_done(&text);
}

static ds_status measure(job *j, ds_err *err)
{
	ds_pool *pool = ds_pool_new((int)j->s->c.threads);
	if (!pool)
		return ds_fail_nomem(err, 0);
	ds_note("measuring what this machine can do");
	ds_status rc = ds_ceilings_measure(&j->ceiling, pool, err);
	ds_pool_free(pool);
	j->peak_spoilt |= !ds_machine_forget_peak();    /* memory that was read for bandwidth is none of the model's */
	return rc;
}

ds_status job_ceilings(job *j, const ds_ceilings **c, ds_err *err)
{
	ds_buf key = { 0 }, dir = { 0 }, path = { 0 };
	ds_err why = { 0 };
	int threads = j->s->c.threads ? (int)j->s->c.threads : ds_cpu_count();
	*c = &j->ceiling;
	if (j->has_ceiling)
		return DS_OK;
	ds_status rc = ds_ceilings_key(&key, threads, err);
	bool cached = rc == DS_OK && cache_dir(&dir);
	if (cached)
		ds_buf_printf(&path, "%s/ceilings-%016llx", dir.data, (unsigned long long)ds_hash64(key.data, key.len, 0));
	cached = cached && !path.oom;
	if (rc == DS_OK && (!cached || j->s->ceilings || from_cache(&j->ceiling, path.data, key.data, &why) != DS_OK)) {
		rc = measure(j, err);
		if (rc == DS_OK && cached)
			to_cache(j, &j->ceiling, dir.data, path.data, key.data);
	}
	j->has_ceiling = rc == DS_OK;
	ds_buf_done(&key);
	ds_buf_done(&dir);
	ds_buf_done(&path);
	return rc;
}
