/* which.c - which parameters of a graph are weights */
#include "quantize.h"

#include <string.h>

/* Operator and the inputs that may hold a weight, as a mask. */
static const struct { const char *op; unsigned slots; } rows[] = {
	{ "Conv", 1u << 1 }, { "ConvTranspose", 1u << 1 }, { "Gemm", 1u << 0 | 1u << 1 }, { "MatMul", 1u << 0 | 1u << 1 }, { "Gather", 1u << 0 },
	{ "LSTM", 1u << 1 | 1u << 2 }, { "GRU", 1u << 1 | 1u << 2 }, { "RNN", 1u << 1 | 1u << 2 },
};

/* Depth is limited by the container (8), so recursion is. */
static void mark_graph(const ds_graph *g, uint8_t *mark)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (size_t r = 0; r < DS_COUNTOF(rows); r++) {
			if (n->domain[0] || strcmp(n->op_name, rows[r].op) != 0)
				continue;
			for (int k = 0; k < n->n_in && k < 32; k++)
				if (rows[r].slots >> k & 1 && n->in[k] && n->in[k]->kind == DS_V_PARAM && n->in[k]->type.rank >= 2)
					mark[n->in[k]->id] = 1;
		}
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				mark_graph(n->attr[k].u.g, mark);
	}
}

ds_status ds_q_weights(ds_graph *g, uint8_t **mark, ds_err *err)
{
	ds_graph_number(g);
	*mark = ds_calloc((size_t)ds_graph_values(g) + 1, 1);
	if (!*mark)
		return ds_fail_nomem(err, (size_t)ds_graph_values(g));
	mark_graph(g, *mark);
	return DS_OK;
}
