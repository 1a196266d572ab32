/* bind.c - concrete input shapes through a graph, and what running it costs */
#include "plan.h"

#include <inttypes.h>
#include <string.h>

enum { FOLD_LIMIT = 64 << 20 };

/* Does a concrete type fit the type that the model states?  Symbols that repeat must agree. */
static ds_status fit_input(const ds_graph *g, int i, const ds_type *t, int64_t *symbol, ds_err *err)
{
	const ds_type *want = &g->input[i]->type;
	const char *name = g->input[i]->name;
	if (!ds_type_concrete(t))
		return ds_fail(err, DS_E_INTERNAL, "input \"%.100s\" is bound to an open shape", name);
	if (want->dtype != DS_NONE && want->dtype != t->dtype)
		return ds_fail(err, DS_E_INPUT, "input \"%.100s\" wants %s, not %s", name, ds_dtype_name(want->dtype), ds_dtype_name(t->dtype));
	if (want->rank < 0)
		return DS_OK;
	if (want->rank != t->rank)
		return ds_fail(err, DS_E_INPUT, "input \"%.100s\" wants rank %d, not %d", name, want->rank, t->rank);
	for (int k = 0; k < t->rank; k++) {
		int64_t w = want->dim[k];
		if (w >= 0 && w != t->dim[k])
			return ds_fail(err, DS_E_INPUT, "input \"%.100s\": dimension %d is %" PRId64 ", the model wants %" PRId64, name, k, t->dim[k], w);
		if (w >= 0 || w == DS_DIM_UNKNOWN || -1 - w >= g->n_symbol)
			continue;
		int64_t *s = &symbol[-1 - w];
		if (*s >= 0 && *s != t->dim[k] && g->symbol[-1 - w].name[0])
			return ds_fail(err, DS_E_INPUT, "input \"%.100s\": dimension %d is %" PRId64 ", but %s is %" PRId64 " elsewhere", name, k, t->dim[k],
				g->symbol[-1 - w].name, *s);
		*s = t->dim[k];
	}
	return DS_OK;
}

ds_status ds_graph_bind(ds_graph *g, const ds_type *in, int n_in, ds_bound *known, ds_err *err)
{
	ds_bound own = { 0 }, *b = known ? known : &own;
	*b = (ds_bound){ 0 };
	if (n_in != g->n_input)
		return ds_fail(err, DS_E_INPUT, "the model has %d inputs, %d were given", g->n_input, n_in);
	ds_graph_number(g);
	b->n = ds_graph_values(g);
	b->known = ds_calloc((size_t)b->n + 1, sizeof *b->known);
	int64_t *symbol = ds_calloc((size_t)g->n_symbol + 1, sizeof *symbol);
	ds_status rc = b->known && symbol ? DS_OK : ds_fail_nomem(err, 0);
	if (rc != DS_OK)
		goto out;
	for (int i = 0; i < g->n_symbol; i++)
		symbol[i] = -1;
	for (int i = 0; i < n_in; i++)
		DS_GOTO(fit_input(g, i, &in[i], symbol, err));
	for (int i = 0; i < n_in; i++)
		g->input[i]->type = in[i];
	for (int i = 0; i < g->n_weight; i++)
		if (g->weight[i]->data.data)
			b->known[g->weight[i]->id] = ds_tensor_ref(&g->weight[i]->data);
	rc = ds_graph_propagate(g, b->known, b->n, true, FOLD_LIMIT, err);
out:
	ds_free(symbol);
	if (rc != DS_OK || !known)
		ds_bound_free(b);
	return rc;
}

void ds_bound_free(ds_bound *b)
{
	for (int i = 0; b->known && i < b->n; i++)
		ds_tensor_done(&b->known[i]);
	ds_free(b->known);
	*b = (ds_bound){ 0 };
}

/* What an operator without a cost column does: one operation per element, everything touched once. */
static void plain_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	for (int i = 0; i < n->n_out; i++) {
		c->flops += (double)ds_type_count(&out[i]);
		c->act_bytes += (double)ds_type_count(&out[i]) * (double)ds_dtype_size(out[i].dtype);
	}
	for (int i = 0; i < n->n_in; i++)
		if (in[i].present)
			*(in[i].value ? &c->weight_bytes : &c->act_bytes) += (double)ds_type_count(&in[i].type) * (double)ds_dtype_size(in[i].type.dtype);
	if (n->op->flags & (DS_OP_VIEW | DS_OP_SHAPE_ONLY))
		*c = (ds_cost){ 0 };
}

ds_status ds_node_cost(const ds_node *n, const ds_bound *known, ds_cost *cost, ds_err *err)
{
	*cost = (ds_cost){ 0 };
	ds_arg *in = ds_calloc((size_t)n->n_in + 1, sizeof *in);
	ds_type *out = ds_calloc((size_t)n->n_out, sizeof *out);
	bool folded = true, oom = !in || !out;
	for (int k = 0; !oom && k < n->n_in; k++)
		if (n->in[k])
			in[k] = (ds_arg){ true, n->in[k]->type, known->known[n->in[k]->id].data ? &known->known[n->in[k]->id] : NULL };
	for (int k = 0; !oom && k < n->n_out; k++) {
		out[k] = n->out[k]->type;
		folded &= known->known[n->out[k]->id].data != NULL;
	}
	if (!oom && !folded)
		(n->op->cost ? n->op->cost : plain_cost)(n, in, out, cost);
	ds_free(in);
	ds_free(out);
	return oom ? ds_fail_nomem(err, 0) : DS_OK;
}

ds_status ds_graph_costs(const ds_graph *g, const ds_bound *known, ds_cost *cost, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++)
		DS_TRY(ds_node_cost(g->node[i], known, &cost[i], err));
	return DS_OK;
}
