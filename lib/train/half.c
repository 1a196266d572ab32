/* half.c - training at half precision: products of bf16, and what waits for the backward pass kept as bf16
 *
 * Parameters, their gradients, sums and everything between neighbouring operators stay f32 (master weights need no copy).  Matrix products and convolutions round their
 * operands where the processor multiplies bf16 (attribute bf16 of their rows).  A large value of the forward pass that the backward pass reads is rounded as soon as it is
 * made and comes back as f32 in front of each of its late readers, so that only half of its bytes wait in between. */
#include "graph.h"

#include <string.h>

enum { ELEMENTS_MIN = 4096 };           /* smaller values are not worth two nodes */

typedef struct halves {
	ds_graph  *g;
	int        forward;
	ds_value **kept;                /* by value id: its bf16 copy */
	char      *late;                /* by value id: read behind the forward pass */
	ds_node  **node;  int n;  size_t cap;   /* the new order */
} halves;

static ds_status mark_products(ds_graph *g)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		const ds_op *op = ds_op_find(n->domain, n->op_name);
		for (const ds_opt *o = op ? op->attrs : NULL; o && o->name; o++)
			if (strcmp(o->name, "bf16") == 0)
				DS_TRY(ds_attr_i(n, "bf16", 1));
	}
	return DS_OK;
}

static bool worth(const halves *h, const ds_value *v)
{
	return v && v->kind == DS_V_NODE && v->node->id < h->forward && h->late[v->id] && v->type.dtype == DS_F32 && ds_type_concrete(&v->type) &&
		ds_type_count(&v->type) >= ELEMENTS_MIN;
}

static ds_status push(halves *h, ds_node *n, ds_err *err)
{
	if (!ds_grow((void **)&h->node, (size_t)h->n, &h->cap, sizeof *h->node))
		return ds_fail_nomem(err, 0);
	h->node[h->n++] = n;
	return DS_OK;
}

static ds_status cast(halves *h, ds_value *v, ds_dtype to, ds_value **out, ds_err *err)
{
	ds_emit e = ds_emit_begin(h->g, err);
	*out = ds_emit1(&e, "Cast", v);
	ds_emit_i(&e, *out, "to", ds_dtype_of(to)->onnx);
	DS_TRY(ds_emit_end(&e));
	(*out)->type = v->type;
	(*out)->type.dtype = to;
	return push(h, (*out)->node, err);
}

static ds_status rebuild(halves *h, int nodes, ds_err *err)
{
	for (int i = 0; i < nodes; i++) {
		ds_node *n = h->g->node[i];
		for (int k = 0; i >= h->forward && k < n->n_in; k++) {
			ds_value *v = n->in[k], *back;
			if (!worth(h, v))
				continue;
			DS_TRY(cast(h, h->kept[v->id], DS_F32, &back, err));
			for (int j = k; j < n->n_in; j++)       /* the same value twice */
				if (n->in[j] == v)
					n->in[j] = back;
		}
		DS_TRY(push(h, n, err));
		for (int k = 0; i < h->forward && k < n->n_out; k++)
			if (worth(h, n->out[k]))
				DS_TRY(cast(h, n->out[k], DS_BF16, &h->kept[n->out[k]->id], err));
	}
	return DS_OK;
}

ds_status ds_train_halve(ds_graph *g, int forward, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_graph_number(g);
	int nodes = g->n_node, values = ds_graph_values(g);
	halves h = { .g = g, .forward = forward, .kept = ds_calloc((size_t)values + 1, sizeof *h.kept), .late = ds_calloc((size_t)values + 1, 1) };
	if (!h.kept || !h.late) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	if ((rc = mark_products(g)) != DS_OK) {
		(void)ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = forward; i < nodes; i++)
		for (int k = 0; k < g->node[i]->n_in; k++)
			if (g->node[i]->in[k])
				h.late[g->node[i]->in[k]->id] = 1;
	DS_GOTO(rebuild(&h, nodes, err));
	/* casts were appended to the graph as well: the new order holds them all */
	if (h.n != g->n_node) {
		rc = ds_fail(err, DS_E_INTERNAL, "%d nodes where %d were expected", h.n, g->n_node);
		goto out;
	}
	memcpy(g->node, h.node, (size_t)h.n * sizeof *h.node);
out:
	ds_free(h.kept);
	ds_free(h.late);
	ds_free(h.node);
	return rc;
}
