/* dead_code.c - nodes that no output depends on, weights that nobody reads */
#include "help.h"

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	(void)err;
	*applied = ds_graph_prune_dead(g);
	if (log && *applied)
		ds_buf_printf(log, "dead-code\t\t%d nodes removed\n", *applied);
	return DS_OK;
}

const ds_rewrite ds_rewrite_dead_code = { "dead-code", true, apply, "remove nodes without effect" };
