/* only.c - --only and --except: which layers a filter treats */
#include "internal.h"

ds_status ds_only_init(ds_filterset *f, const ds_common *c, ds_err *err)
{
	f->c = c;
	f->used = ds_calloc((size_t)c->only.n + (size_t)c->except.n, sizeof *f->used);
	return f->used ? DS_OK : ds_fail_nomem(err, 1);
}

static bool any(const ds_strs *l, bool *used, const char *name)
{
	bool hit = false;
	for (int i = 0; i < l->n; i++)
		if (ds_glob(l->v[i], name))
			hit = used[i] = true;
	return hit;
}

bool ds_only_match(ds_filterset *f, const char *name)
{
	bool in = any(&f->c->only, f->used, name) || f->c->only.n == 0;
	bool out = any(&f->c->except, f->used + f->c->only.n, name);
	return in && !out;
}

ds_status ds_only_done(ds_filterset *f, ds_err *err)
{
	ds_status rc = DS_OK;
	const int n = f->c->only.n;
	for (int i = 0; f->used && i < n + f->c->except.n && rc == DS_OK; i++)
		if (!f->used[i])
			rc = ds_fail(err, DS_E_USAGE, "--%s: '%s' matches no layer", i < n ? "only" : "except", i < n ? f->c->only.v[i] : f->c->except.v[i - n]);
	ds_free(f->used);
	f->used = NULL;
	return rc;
}
