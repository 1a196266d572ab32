/* drop_identity.c - Identity and Dropout (as inference has it) do nothing: readers take the value before them */
#include "help.h"

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	(void)err;
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		if (!ds_rw_is(n, "", "Identity") && !ds_rw_is(n, "", "Dropout"))
			continue;
		if (n->n_out > 1 && ds_value_uses(g, n->out[1])) {
			ds_rw_log(log, "drop-identity", n, "kept: its mask is used");
			continue;
		}
		if (ds_rw_is_output(g, n->out[0])) {    /* the output keeps its name */
			ds_value *v = n->in[0];
			if (v->kind != DS_V_NODE || ds_rw_is_output(g, v)) {
				ds_rw_log(log, "drop-identity", n, "kept: it names an output");
				continue;
			}
			const char *name = v->name;
			v->name = n->out[0]->name;
			n->out[0]->name = name;
		}
		ds_graph_replace(g, n->out[0], n->in[0]);
		ds_rw_log(log, "drop-identity", n, "removed");
		++*applied;
	}
	return DS_OK;
}

const ds_rewrite ds_rewrite_drop_identity = { "drop-identity", false, apply, "remove Identity and Dropout" };
