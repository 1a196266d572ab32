/* table.c - the table of rewrites and the two ways to run them */
#include "rewrite.h"

#include <string.h>

#define DS_REWRITE(x) extern const ds_rewrite ds_rewrite_##x;
#include "rewrites.def"
#undef DS_REWRITE

#define DS_REWRITE(x) &ds_rewrite_##x,
static const ds_rewrite *const table[] = {
#include "rewrites.def"
};
#undef DS_REWRITE

const ds_rewrite *const *ds_rewrite_all(int *n)
{
	*n = (int)DS_COUNTOF(table);
	return table;
}

const ds_rewrite *ds_rewrite_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (strcmp(table[i]->name, name) == 0)
			return table[i];
	return NULL;
}

static ds_status apply(ds_graph *g, const ds_rewrite *r, int *applied, ds_buf *log, ds_err *err)
{
	int count = 0;
	ds_status rc = r->apply(g, &count, log, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "rewrite %s", r->name);
	else if (count)
		ds_graph_prune_dead(g);
	if (applied)
		*applied = count;
	return rc;
}

ds_status ds_rewrite_apply(ds_graph *g, const char *name, int *applied, ds_buf *log, ds_err *err)
{
	const ds_rewrite *r = ds_rewrite_find(name);
	if (!r)
		return ds_fail(err, DS_E_INTERNAL, "no rewrite is called %s", name);
	return apply(g, r, applied, log, err);
}

ds_status ds_rewrite_for_run(ds_graph *g, ds_buf *log, ds_err *err)
{
	DS_TRY(ds_graph_infer(g, err));
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		DS_TRY(apply(g, table[i], NULL, log, err));
	return DS_OK;
}
