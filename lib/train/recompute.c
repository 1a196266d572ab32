/* recompute.c - memory for time: parts of the forward pass are computed again when the backward pass needs them
 *
 * The forward nodes are cut into segments of about equal size in memory.  What crosses a cut is kept; what stays inside a segment dies at its end, and the segment's nodes are cloned in
 * front of the first backward node that asks for one of them (Chen et al. 2016, arXiv:1604.06174).  Every operator gives the same bits the second time, dropout
 * included (its numbers come from a counter), so training does not change by a bit. */
#include "graph.h"

#include <string.h>

typedef struct redo {
	ds_graph  *g;
	int        forward, nodes;      /* forward nodes come first */
	int       *segment;             /* by node id, forward nodes */
	char      *kept;                /* by value id: crosses a cut, or cannot be made again */
	int       *first;               /* by segment: the first backward node that needs it, -1: none */
	ds_value **clone;               /* by value id */
	int        values;
} redo;

static double bytes_of(const ds_node *n)
{
	double b = 0;
	for (int i = 0; i < n->n_out; i++)
		b += ds_type_concrete(&n->out[i]->type) ? (double)ds_type_count(&n->out[i]->type) * (double)ds_dtype_size(n->out[i]->type.dtype) : 0;
	return b;
}

/* Attributes that are tensors or graphs are not copied. */
static bool clonable(const ds_node *n)
{
	for (int i = 0; i < n->n_attr; i++)
		if (n->attr[i].type == DS_T_TENSOR || n->attr[i].type == DS_T_GRAPH)
			return false;
	return true;
}

static void cut(redo *r, int segments)
{
	double total = 0, so_far = 0;
	for (int i = 0; i < r->forward; i++)
		total += bytes_of(r->g->node[i]);
	for (int i = 0; i < r->forward; i++) {
		r->segment[i] = total > 0 ? DS_MIN((int)(so_far / total * segments), segments - 1) : 0;
		so_far += bytes_of(r->g->node[i]);
	}
	for (int i = 0; i < r->forward; i++) {
		const ds_node *n = r->g->node[i];
		for (int k = 0; k < n->n_out; k++)
			r->kept[n->out[k]->id] |= !clonable(n) || r->segment[i] == segments - 1;        /* the last one is needed at once */
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] && n->in[k]->kind == DS_V_NODE && r->segment[n->in[k]->node->id] != r->segment[i])
				r->kept[n->in[k]->id] = 1;
	}
	for (int i = 0; i < r->g->n_output; i++)
		r->kept[r->g->output[i]->id] = 1;
}

static bool again(const redo *r, const ds_value *v)
{
	return v && v->kind == DS_V_NODE && v->node->id < r->forward && !r->kept[v->id];
}

/* Mark what is needed to make v again, within its segment. */
static void mark(const redo *r, const ds_value *v, char *node)
{
	if (!again(r, v) || node[v->node->id])
		return;
	node[v->node->id] = 1;
	for (int i = 0; i < v->node->n_in; i++)
		mark(r, v->node->in[i], node);
}

static ds_status copy(redo *r, ds_node *n, ds_err *err)
{
	ds_graph *g = r->g;
	ds_emit e = ds_emit_begin(g, err);
	ds_node *c = ds_emit_node(&e, "", n->n_in, n->in, n->n_out);
	if (!c)
		return ds_emit_end(&e);
	c->op_name = n->op_name;
	c->domain = n->domain;
	for (int i = 0; i < n->n_in; i++)
		if (again(r, n->in[i]))
			c->in[i] = r->clone[n->in[i]->id];
	for (int i = 0; i < n->n_out; i++) {
		c->out[i]->type = n->out[i]->type;
		r->clone[n->out[i]->id] = c->out[i];
	}
	ds_emit_attrs(&e, c->out[0], n);
	return ds_emit_end(&e);
}

static ds_status rebuild(redo *r, ds_err *err)
{
	ds_graph *g = r->g;
	ds_status rc = DS_OK;
	char *need = ds_calloc((size_t)r->forward + 1, 1);
	ds_node **old = ds_malloc(sizeof *old * (size_t)(r->nodes + 1));
	if (!need || !old) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	memcpy(old, g->node, sizeof *old * (size_t)r->nodes);
	for (int b = r->forward; b < r->nodes; b++)
		for (int i = 0; i < old[b]->n_in; i++)
			mark(r, old[b]->in[i], need);
	g->n_node = r->forward;                         /* the rest is appended again, with clones between */
	for (int b = r->forward; b < r->nodes; b++) {
		for (int i = 0; i < old[b]->n_in; i++) {
			ds_value *v = old[b]->in[i];
			if (!again(r, v))
				continue;
			int s = r->segment[v->node->id];
			for (int f = 0; f < r->forward && r->first[s] < 0; f++)
				if (need[f] && r->segment[f] == s)
					DS_GOTO(copy(r, old[f], err));
			r->first[s] = b;
			old[b]->in[i] = r->clone[v->id];
		}
		if (!ds_grow((void **)&g->node, (size_t)g->n_node, &g->cap_node, sizeof *g->node)) {
			rc = ds_fail_nomem(err, 0);
			goto out;
		}
		g->node[g->n_node++] = old[b];
	}
out:
	ds_free(need);
	ds_free(old);
	return rc;
}

ds_status ds_train_recompute(ds_graph *g, int forward, int segments, ds_err *err)
{
	ds_status rc = DS_OK;
	if (segments < 2)
		return DS_OK;
	ds_graph_number(g);
	redo r = { .g = g, .forward = forward, .nodes = g->n_node, .values = ds_graph_values(g) };
	r.segment = ds_calloc((size_t)forward + 1, sizeof *r.segment);
	r.kept = ds_calloc((size_t)r.values + 1, 1);
	r.first = ds_calloc((size_t)segments + 1, sizeof *r.first);
	r.clone = ds_calloc((size_t)r.values + 1, sizeof *r.clone);
	if (!r.segment || !r.kept || !r.first || !r.clone) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < segments; i++)
		r.first[i] = -1;
	cut(&r, segments);
	rc = rebuild(&r, err);
out:
	ds_free(r.segment);
	ds_free(r.kept);
	ds_free(r.first);
	ds_free(r.clone);
	return rc;
}
