/* rewrite.h - graph rewrites: one file each, one row each in rewrites.def */
#ifndef DS_REWRITE_H
#define DS_REWRITE_H

#include "../graph/op.h"

typedef struct ds_rewrite {
	const char *name;               /* "fold-batchnorm" */
	bool        persists;           /* may be written to a model when a filter asks; the others are made at load and never stored */
	/* Apply everywhere it can; *applied counts; `log` (may be NULL) gets one line per application and per refusal with its reason. */
	ds_status (*apply)(ds_graph *g, int *applied, ds_buf *log, ds_err *err);
	const char *help;
} ds_rewrite;

const ds_rewrite *ds_rewrite_find(const char *name);
const ds_rewrite *const *ds_rewrite_all(int *n);
/* Run one by name; unknown name: DS_E_INTERNAL. */
ds_status ds_rewrite_apply(ds_graph *g, const char *name, int *applied, ds_buf *log, ds_err *err);
/* All that make running faster, in their order. */
ds_status ds_rewrite_for_run(ds_graph *g, ds_buf *log, ds_err *err);

#endif
