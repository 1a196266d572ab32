/* backward.c - the backward pass as nodes: the operators' gradient columns, called from the loss towards the parameters
 *
 * Reverse accumulation (Griewank & Walther, "Evaluating Derivatives", 2008, ch. 3): nodes are visited from the last to the first; when a node is reached, the gradients of
 * its outputs are complete, because every reader stands behind it.  Contributions to one value are added in the order in which they are made, which depends on the graph
 * alone.  Only nodes between a wanted value and the loss are visited. */
#include "train.h"

#include <string.h>

typedef struct pass {
	ds_graph  *g;
	ds_err    *err;
	int        nodes;               /* of the forward graph: what is emitted comes behind them */
	char      *needs;               /* by value id: depends on a wanted value */
	ds_value **grad;                /* by value id: the sum so far, NULL: none */
	int        values;
} pass;

static ds_status add_to(pass *p, ds_value *v, ds_value *g)
{
	if (!g)
		return DS_OK;
	if (p->grad[v->id]) {
		ds_emit e = ds_emit_begin(p->g, p->err);
		g = ds_emit2(&e, "Add", p->grad[v->id], g);
		DS_TRY(ds_emit_end(&e));
	}
	p->grad[v->id] = g;
	return DS_OK;
}

/* A gradient is asked of a node when one of its inputs needs it and the loss depends on one of its outputs. */
static ds_status visit(pass *p, const ds_node *n)
{
	bool wanted = false, flows = false;
	ds_status rc = DS_OK;
	for (int i = 0; i < n->n_in; i++)
		wanted |= n->in[i] && p->needs[n->in[i]->id] && ds_grad_float(n->in[i]);
	for (int i = 0; i < n->n_out; i++)
		flows |= p->grad[n->out[i]->id] != NULL;
	if (!wanted || !flows)
		return DS_OK;
	if (!n->op || !n->op->gradient)
		return ds_fail(p->err, DS_E_UNSUPPORTED, "node \"%.100s\": operator %.64s has no gradient", ds_node_label(n), n->op_name);
	ds_value **dout = ds_calloc((size_t)n->n_out + (size_t)n->n_in + 1, sizeof *dout), **din = dout + n->n_out;
	if (!dout)
		return ds_fail_nomem(p->err, 0);
	for (int i = 0; i < n->n_out; i++)
		dout[i] = p->grad[n->out[i]->id];
	rc = n->op->gradient(p->g, n, dout, din, p->err);
	if (rc != DS_OK)
		ds_err_prefix(p->err, "node \"%.100s\" (%.64s), gradient", ds_node_label(n), n->op_name);
	for (int i = 0; rc == DS_OK && i < n->n_in; i++)
		if (n->in[i] && p->needs[n->in[i]->id])
			rc = add_to(p, n->in[i], din[i]);
	ds_free(dout);
	return rc;
}

ds_status ds_train_backward(ds_graph *g, ds_value *loss, ds_value *const *wrt, int n, ds_value **grad, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_graph_number(g);
	pass p = { .g = g, .err = err, .nodes = g->n_node, .values = ds_graph_values(g) };
	p.needs = ds_calloc((size_t)p.values + 1, 1);
	p.grad = ds_calloc((size_t)p.values + 1, sizeof *p.grad);
	if (!p.needs || !p.grad) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < n; i++)
		p.needs[wrt[i]->id] = 1;
	for (int i = 0; i < p.nodes; i++) {
		const ds_node *f = g->node[i];
		char needs = 0;
		for (int k = 0; k < f->n_in; k++)
			needs |= f->in[k] ? p.needs[f->in[k]->id] : 0;
		for (int k = 0; k < f->n_out; k++)
			p.needs[f->out[k]->id] |= needs;
	}
	/* d loss / d loss = 1 */
	ds_emit e = ds_emit_begin(g, err);
	ds_value *one = ds_emit_expand(&e, ds_emit_scalar(&e, loss->type.dtype, 1), &loss->type);
	DS_GOTO(ds_emit_end(&e));
	DS_GOTO(add_to(&p, loss, one));
	for (int i = p.nodes - 1; i >= 0; i--)
		DS_GOTO(visit(&p, g->node[i]));
	for (int i = 0; i < n; i++)
		grad[i] = p.grad[wrt[i]->id];
out:
	ds_free(p.needs);
	ds_free(p.grad);
	return rc;
}
