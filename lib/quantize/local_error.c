/* local_error.c - what each layer alone loses: its output with rounded input, weight and corrected bias against the f32 one, on the f32 network's own values
 *
 * The f32 graph gets, beside each layer, a twin that reads the same input on the grid of its codes and uses the rounded operands.  Twins
 * run right after their layer and nothing depends on them, so one pass measures all layers. */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct twin { const char *layer, *twin; ds_qlayer *l; ds_tensor ref; } twin;
typedef struct twins { twin *item; int n; } twins;

static ds_status compare(twin *t, const ds_tensor *y, ds_err *err)
{
	ds_tensor q;
	DS_TRY(ds_tensor_to_f32(y, &q, err));
	const float *a = t->ref.data, *b = q.data;
	double sq = 0, d2 = 0;
	for (int64_t i = 0, n = ds_tensor_count(&q); i < n; i++) {
		double d = (double)b[i] - (double)a[i];
		sq += (double)a[i] * (double)a[i];
		d2 += d * d;
	}
	t->l->out_sq += sq;
	t->l->out_err += d2;
	ds_tensor_done(&q);
	ds_tensor_done(&t->ref);
	return DS_OK;
}

static ds_status on_value(void *arg, const ds_node *n, int out_index, const ds_tensor *y, ds_err *err)
{
	twins *all = arg;
	(void)out_index;
	for (int i = 0; i < all->n; i++) {
		if (strcmp(all->item[i].layer, n->name) == 0) {
			ds_tensor_done(&all->item[i].ref);
			return ds_tensor_to_f32(y, &all->item[i].ref, err);
		}
		if (strcmp(all->item[i].twin, n->name) == 0 && all->item[i].ref.data)
			return compare(&all->item[i], y, err);
	}
	return DS_OK;
}

static const ds_node *node_named(const ds_graph *g, const char *name, int *at)
{
	for (*at = 0; *at < g->n_node; ++*at)
		if (strcmp(g->node[*at]->name, name) == 0)
			return g->node[*at];
	return NULL;
}

static ds_value *copy_operand(ds_graph *g, const ds_value *v, const char *twin_name, int slot)
{
	if (!v)
		return NULL;
	ds_tensor t = ds_tensor_ref(&v->data);
	char *name = ds_arena_printf(&g->arena, "%.200s.%d", twin_name, slot);
	ds_value *c = name ? ds_graph_weight(g, DS_V_PARAM, name, &t) : NULL;
	ds_tensor_done(&t);
	return c;
}

static ds_status add_twin(ds_graph *g, const ds_graph *after, twin *t, ds_err *err)
{
	int at, there;
	const ds_node *n = node_named(g, t->l->node, &at), *m = node_named(after, t->l->node, &there);
	char *name = n && m ? ds_arena_printf(&g->arena, "%.200s?twin", t->l->node) : NULL;
	if (!name)
		return ds_fail_nomem(err, 0);
	const ds_qparam *q = &t->l->in;
	ds_value *grid[2] = { n->in[0], ds_graph_const_f32(g, q->scale) };
	ds_node *d = grid[1] ? ds_graph_insert(g, at + 1, "ds", "FakeQuantize", "", 2, grid, 1, NULL) : NULL;
	if (!d || ds_attr_i(d, "q_min", -q->zero) != DS_OK || ds_attr_i(d, "q_max", ds_qparam_top(q) - q->zero) != DS_OK)
		return ds_fail_nomem(err, 0);
	ds_value *in[3] = { d->out[0], copy_operand(g, m->in[1], name, 1), m->n_in > 2 ? copy_operand(g, m->in[2], name, 2) : NULL };
	ds_node *c = in[1] ? ds_graph_insert(g, at + 2, "", m->op_name, name, m->n_in, in, 1, NULL) : NULL;
	if (!c || ds_graph_output(g, c->out[0]) != DS_OK)       /* an output, so that it is not dropped */
		return ds_fail_nomem(err, 0);
	c->n_attr = m->n_attr;                                  /* attributes live in the other graph's arena, which outlives this one */
	c->attr = m->attr;
	c->out[0]->type = n->out[0]->type;
	t->layer = n->name;
	t->twin = name;
	DS_TRY(ds_node_parse(d, err));
	return ds_node_parse(c, err);
}

ds_status dsq_local_error(ds_graph *before, const ds_graph *after, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer *layer, int n_layer, ds_err *err)
{
	twins all = { ds_calloc((size_t)n_layer + 1, sizeof(twin)), 0 };
	ds_session *s = NULL;
	ds_tensor *out = NULL;
	const ds_tensor *in;
	int n_in;
	ds_status rc = all.item ? DS_OK : ds_fail_nomem(err, 0);
	if (rc != DS_OK)
		goto out;
	for (; all.n < n_layer; all.n++) {
		all.item[all.n].l = &layer[all.n];
		DS_GOTO(add_twin(before, after, &all.item[all.n], err));
	}
	if (ds_graph_name_all(before) != DS_OK || !(out = ds_calloc((size_t)before->n_output + 1, sizeof(*out)))) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(ds_session_new_opts(&s, before, &(ds_session_opts){ .threads = o->threads, .keep_all = true }, err));
	ds_session_tap(s, on_value, &all);
	DS_GOTO(samples->rewind(samples->arg, err));
	while ((rc = samples->next(samples->arg, &in, &n_in, err)) == DS_OK) {
		DS_GOTO(ds_session_run(s, in, n_in, out, before->n_output, err));
		for (int i = 0; i < before->n_output; i++)
			ds_tensor_done(&out[i]);
	}
	if (rc == DS_END)
		rc = DS_OK;
out:
	ds_session_free(s);
	for (int i = 0; all.item && i < n_layer; i++)
		ds_tensor_done(&all.item[i].ref);
	ds_free(all.item);
	ds_free(out);
	return rc;
}
