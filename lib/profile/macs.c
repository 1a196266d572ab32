/* macs.c - parameters, bytes and multiply-adds by layer, from the graph as it is stored */
#include "macs.h"

#include <string.h>

typedef struct counter { ds_layers *l; ds_graph *g; ds_bound known; ds_layer_row *of; /* by node */ ds_err *err; } counter;

/* Does the value at input i of the node only say how numbers are coded? */
static bool is_coding(const ds_node *n, int i)
{
	return i > 0 && (!strcmp(n->op_name, "DequantizeLinear") || !strcmp(n->op_name, "QuantizeLinear") || !strcmp(n->op_name, "FakeQuantize"));
}

/* A node whose result is made of parameters alone hands them on to whoever reads it. */
static bool hands_on(const counter *c, const ds_node *n)
{
	return c->known.known[n->out[0]->id].data || (!strcmp(n->op_name, "DequantizeLinear") && n->in[0] && n->in[0]->kind != DS_V_NODE);
}

/* The first node in execution order that uses value v as a number to calculate with; *as becomes the value in the form that it reads.  -1: none. */
static int owner(const counter *c, ds_value *v, bool *coding, ds_value **as, int depth)
{
	for (int i = 0; i < c->g->n_node && depth < 32; i++) {
		ds_node *n = c->g->node[i];
		for (int k = 0; k < n->n_in; k++) {
			if (n->in[k] != v)
				continue;
			*coding |= is_coding(n, k);
			*as = v;
			if (!hands_on(c, n))
				return i;
			int at = owner(c, n->out[0], coding, as, depth + 1);
			if (at >= 0)
				return at;
		}
	}
	return -1;
}

static ds_status stored_bytes(const ds_tensor *t, double *bytes, ds_err *err)
{
	ds_qsize q;
	if (!t->q) {
		*bytes = (double)ds_tensor_bytes(t);
		return DS_OK;
	}
	DS_TRY(ds_qform_size(t->q, t->rank, t->dim, &q, err));
	*bytes = (double)q.total;
	return DS_OK;
}

static ds_status count_zeros(const ds_tensor *t, double *zeros, ds_err *err)
{
	ds_tensor f = { 0 };
	DS_TRY(ds_tensor_to_f32(t, &f, err));
	int64_t n = ds_tensor_count(&f), sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += ((const float *)f.data)[i] == 0;
	*zeros = (double)sum;
	ds_tensor_done(&f);
	return DS_OK;
}

/* A shape, an index, an exponent: not trained. */
static bool is_setting(const ds_value *as)
{
	return as->type.dtype == DS_I64 || as->type.dtype == DS_BOOL || as->type.rank == 0;
}

static ds_status add_weight(counter *c, ds_value *v)
{
	const ds_tensor *t = &v->data;
	ds_value *as = v;
	bool coding = false;
	double bytes = 0, zeros = 0;
	int at = owner(c, v, &coding, &as, 0);
	const ds_dtype_row *d = ds_dtype_of(t->dtype);
	if (at < 0)
		return DS_OK;
	DS_TRY(stored_bytes(t, &bytes, c->err));
	c->of[at].bytes += bytes;
	if (coding || is_setting(as))
		return DS_OK;
	c->of[at].params += (double)ds_tensor_count(t);
	const ds_tensor *used = &c->known.known[as->id];
	if (!used->data || ds_tensor_count(used) != ds_tensor_count(t))
		used = t;
	if (used->data && (used->q || (d && d->to_f32)))
		DS_TRY(count_zeros(used, &zeros, c->err));
	c->of[at].zeros += zeros;
	return DS_OK;
}

static void add(ds_layer_row *to, const ds_layer_row *r)
{
	to->params += r->params;
	to->zeros += r->zeros;
	to->bytes += r->bytes;
	to->cost.macs += r->cost.macs;
	to->cost.flops += r->cost.flops;
	to->cost.weight_bytes += r->cost.weight_bytes;
	to->cost.act_bytes += r->cost.act_bytes;
}

static ds_status name_row(counter *c, ds_layer_row *r, const ds_node *n)
{
	ds_buf b = { 0 };
	ds_type_print(&b, &n->out[0]->type, NULL);
	r->out = b.oom ? NULL : ds_arena_strdup(&c->l->arena, b.data ? b.data : "");
	ds_buf_done(&b);
	r->node = ds_arena_strdup(&c->l->arena, ds_node_label(n));
	r->op = ds_arena_strdup(&c->l->arena, n->op_name);
	return r->out && r->node && r->op ? DS_OK : ds_fail_nomem(c->err, 0);
}

static ds_status gather(counter *c)
{
	ds_layers *l = c->l;
	for (int i = 0; i < c->g->n_node; i++) {
		ds_layer_row *r = &c->of[i];
		add(&l->sum, r);
		if (r->params > 0 || r->cost.macs > 0) {
			DS_TRY(name_row(c, r, c->g->node[i]));
			l->row[l->n_row++] = *r;
		} else if (r->cost.flops > 0 || r->cost.act_bytes > 0 || r->bytes > 0) {
			add(&l->others, r);
			l->n_others++;
		}
	}
	return DS_OK;
}

ds_status ds_layers_count(ds_layers *l, const ds_graph *graph, const ds_type *in, ds_err *err)
{
	counter c = { .l = l, .g = ds_graph_clone(graph), .err = err };
	ds_cost *cost = NULL;
	ds_status rc = DS_OK;
	*l = (ds_layers){ 0 };
	ds_arena_init(&l->arena);
	if (!c.g)
		return ds_fail_nomem(err, 0);
	DS_GOTO(ds_graph_bind(c.g, in, c.g->n_input, &c.known, err));
	size_t n = (size_t)c.g->n_node + 1;
	cost = ds_calloc(n, sizeof *cost);
	c.of = ds_calloc(n, sizeof *c.of);
	l->row = ds_calloc(n, sizeof *l->row);
	if (!cost || !c.of || !l->row) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(ds_graph_costs(c.g, &c.known, cost, err));
	for (int i = 0; i < c.g->n_node; i++)
		c.of[i].cost = cost[i];
	for (int i = 0; i < c.g->n_weight; i++)
		DS_GOTO(add_weight(&c, c.g->weight[i]));
	rc = gather(&c);
out:
	ds_bound_free(&c.known);
	ds_graph_free(c.g);
	ds_free(cost);
	ds_free(c.of);
	if (rc != DS_OK)
		ds_layers_done(l);
	return rc;
}

void ds_layers_done(ds_layers *l)
{
	ds_free(l->row);
	ds_arena_done(&l->arena);
	*l = (ds_layers){ 0 };
}
