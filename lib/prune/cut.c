/* cut.c - taking the marked classes out of a model, and the table of what changed */
#include "prune.h"

#include <inttypes.h>
#include <string.h>

/* gone[value*MAX_RANK + axis]: NULL, or one byte per index that goes. */
typedef struct cuts { char **gone; int64_t *count; int n; } cuts;

static void cuts_done(cuts *c)
{
	for (int i = 0; c->gone && i < c->n; i++)
		ds_free(c->gone[i]);
	ds_free(c->gone);
	ds_free(c->count);
}

static ds_status cuts_from(cuts *c, const ds_structure *s, const int64_t *extent, ds_err *err)
{
	*c = (cuts){ .n = s->known.n * DS_MAX_RANK };
	c->gone = ds_calloc((size_t)c->n + 1, sizeof *c->gone);
	c->count = ds_calloc((size_t)c->n + 1, sizeof *c->count);
	if (!c->gone || !c->count)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < s->n_cls; i++) {
		if (!s->cls[i].cut)
			continue;
		for (int k = 0; k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			int at = e->value * DS_MAX_RANK + e->axis;
			if (!c->gone[at] && !(c->gone[at] = ds_calloc((size_t)extent[at] + 1, 1)))
				return ds_fail_nomem(err, 0);
			c->count[at] += !c->gone[at][e->index];
			c->gone[at][e->index] = 1;
		}
	}
	return DS_OK;
}

/* Remove indices along one axis.  Plain row-major data of any type; a quantised weight loses rows only if they are whole planes: it is decoded first. */
static ds_status slice_axis(ds_tensor *t, int axis, const char *gone, int64_t count, ds_err *err)
{
	ds_tensor out;
	int64_t dim[DS_MAX_RANK], outer = 1, inner = (int64_t)ds_dtype_size(t->dtype);
	for (int i = 0; i < t->rank; i++) {
		dim[i] = t->dim[i] - (i == axis ? count : 0);
		if (i < axis)
			outer *= t->dim[i];
		if (i > axis)
			inner *= t->dim[i];
	}
	DS_TRY(ds_tensor_new(&out, t->dtype, t->rank, dim, err));
	char *d = out.data;
	const char *p = t->data;
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < t->dim[axis]; i++, p += inner)
			if (!gone[i]) {
				memcpy(d, p, (size_t)inner);
				d += inner;
			}
	ds_tensor_done(t);
	*t = out;
	return DS_OK;
}

static ds_status cut_weights(ds_graph *g, const cuts *c, ds_err *err)
{
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		for (int a = 0; a < v->data.rank; a++) {
			int at = v->id * DS_MAX_RANK + a;
			if (!c->gone[at])
				continue;
			if (v->data.q) {
				ds_tensor f;
				DS_TRY(ds_tensor_to_f32(&v->data, &f, err));
				ds_tensor_done(&v->data);
				v->data = f;
			}
			DS_TRY(slice_axis(&v->data, a, c->gone[at], c->count[at], err));
			v->type = ds_type_of(&v->data);
		}
	}
	return DS_OK;
}

/* The type that a value should have after the cut. */
static ds_type shrunk(const ds_type *t, const cuts *c, int id)
{
	ds_type r = *t;
	for (int a = 0; a < r.rank; a++)
		r.dim[a] -= c->count[id * DS_MAX_RANK + a];
	return r;
}

/* Constants that spell extents: each operator knows its own.  Types are those of the bound structure. */
static ds_status recut_nodes(ds_graph *g, ds_structure *s, const cuts *c, ds_err *err)
{
	int nodes = g->n_node;
	for (int i = 0; i < nodes; i++) {
		const ds_node *b = s->g->node[i];       /* the bound twin of g->node[i] */
		ds_node *n = g->node[i];
		bool touched = false;
		if (!n->op || !n->op->recut)
			continue;
		ds_type *in = ds_calloc((size_t)b->n_in + 1, sizeof *in), *out = ds_calloc((size_t)b->n_out, sizeof *out);
		if (!in || !out) {
			ds_free(in);
			ds_free(out);
			return ds_fail_nomem(err, 0);
		}
		for (int k = 0; k < b->n_in; k++) {
			in[k].rank = -1;
			if (b->in[k]) {
				in[k] = shrunk(&b->in[k]->type, c, b->in[k]->id);
				touched |= !ds_type_same_dims(&in[k], &b->in[k]->type);
			}
		}
		for (int k = 0; k < b->n_out; k++) {
			out[k] = shrunk(&b->out[k]->type, c, b->out[k]->id);
			touched |= !ds_type_same_dims(&out[k], &b->out[k]->type);
		}
		ds_status rc = touched ? n->op->recut(g, n, in, out, err) : DS_OK;
		if (rc == DS_OK && touched)
			rc = ds_node_parse(n, err);
		ds_free(in);
		ds_free(out);
		if (rc != DS_OK) {
			ds_err_prefix(err, "node \"%.100s\" (%.64s)", ds_node_label(n), n->op_name);
			return rc;
		}
	}
	return DS_OK;
}

/* Bind the cut graph with the inputs of the structure and compare every value with what it should be; *bad gets the first node that disagrees. */
static ds_status check(const ds_graph *g, const ds_structure *s, const cuts *c, int *bad, ds_err *err)
{
	ds_status rc = DS_OK, bound;
	ds_bound known = { 0 };
	ds_graph *copy = ds_graph_clone(g);
	ds_type *in = ds_calloc((size_t)g->n_input + 1, sizeof *in);
	if (!copy || !in) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < g->n_input; i++)
		in[i] = s->g->input[i]->type;
	for (int i = 0; i < copy->n_node; i++)
		for (int k = 0; k < copy->node[i]->n_out; k++)
			copy->node[i]->out[k]->type = (ds_type){ .rank = -1 };
	bound = ds_graph_bind(copy, in, g->n_input, &known, err);
	if (bound == DS_E_NOMEM) {
		rc = bound;
		goto out;
	}
	for (int i = 0; i < s->g->n_node && i < copy->n_node; i++)
		for (int k = 0; k < copy->node[i]->n_out; k++) {
			const ds_value *was = s->g->node[i]->out[k], *is = copy->node[i]->out[k];
			ds_type want = shrunk(&was->type, c, was->id);
			if ((is->type.rank < 0 && bound != DS_OK) || (!s->known.known[was->id].data && is->type.rank >= 0 && !ds_type_same_dims(&want, &is->type))) {
				*bad = i;
				rc = ds_fail(err, DS_E_UNSUPPORTED, "channels cannot be cut through node \"%.100s\" (%.64s): leave its group out with --except",
					copy->node[i]->name, copy->node[i]->op_name);
				goto out;
			}
		}
	rc = bound;
out:
	ds_bound_free(&known);
	ds_graph_free(copy);
	ds_free(in);
	return rc;
}

int ds_prune_freeze_bad(ds_structure *s)
{
	int count = 0;
	if (s->bad_node < 0)
		return 0;
	const ds_node *n = s->g->node[s->bad_node];
	for (int i = 0; i < s->n_cls; i++) {
		bool touches = false;
		for (int k = 0; k < s->cls[i].n && s->cls[i].cut && !touches; k++) {
			int v = s->elem[s->cls[i].first + k].value;
			for (int j = 0; j < n->n_in; j++)
				touches |= n->in[j] && n->in[j]->id == v;
			for (int j = 0; j < n->n_out; j++)
				touches |= n->out[j]->id == v;
		}
		if (touches && !s->frozen[s->cls[i].group]) {
			s->frozen[s->cls[i].group] = 1;
			count++;
		}
	}
	return count;
}

ds_status ds_prune_cut(ds_graph *g, ds_structure *s, ds_err *err)
{
	cuts c = { 0 };
	ds_status rc = DS_OK;
	int64_t *extent = ds_calloc((size_t)s->known.n * DS_MAX_RANK + 1, sizeof *extent);
	if (!extent)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < s->g->n_weight; i++)
		for (int a = 0; a < s->g->weight[i]->type.rank; a++)
			extent[s->g->weight[i]->id * DS_MAX_RANK + a] = s->g->weight[i]->type.dim[a];
	for (int i = 0; i < s->g->n_node; i++)
		for (int k = 0; k < s->g->node[i]->n_out; k++)
			for (int a = 0; a < s->g->node[i]->out[k]->type.rank; a++)
				extent[s->g->node[i]->out[k]->id * DS_MAX_RANK + a] = s->g->node[i]->out[k]->type.dim[a];
	s->bad_node = -1;
	ds_graph_number(g);                     /* the same ids as in the clone */
	DS_GOTO(cuts_from(&c, s, extent, err));
	DS_GOTO(cut_weights(g, &c, err));
	DS_GOTO(recut_nodes(g, s, &c, err));
	DS_GOTO(check(g, s, &c, &s->bad_node, err));
out:
	cuts_done(&c);
	ds_free(extent);
	return rc;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------ */
typedef struct bound_model { ds_graph *g; ds_bound known; ds_cost *cost; } bound_model;

static void bound_done(bound_model *b)
{
	ds_bound_free(&b->known);
	ds_graph_free(b->g);
	ds_free(b->cost);
}

static ds_status bound_new(bound_model *b, const ds_model *m, const ds_type *in, ds_err *err)
{
	*b = (bound_model){ .g = ds_graph_clone(m->graph) };
	ds_type *t = ds_calloc((size_t)m->graph->n_input + 1, sizeof *t);
	b->cost = b->g ? ds_calloc((size_t)b->g->n_node + 1, sizeof *b->cost) : NULL;
	if (!b->g || !t || !b->cost) {
		ds_free(t);
		return ds_fail_nomem(err, 0);
	}
	for (int i = 0; i < b->g->n_input; i++) {
		t[i] = in ? in[i] : b->g->input[i]->type;
		for (int k = 0; k < t[i].rank; k++)
			t[i].dim[k] = t[i].dim[k] < 0 ? 1 : t[i].dim[k];
	}
	ds_status rc = ds_graph_verify(b->g, NULL, err);
	if (rc == DS_OK)
		rc = ds_graph_bind(b->g, t, b->g->n_input, &b->known, err);
	ds_free(t);
	return rc == DS_OK ? ds_graph_costs(b->g, &b->known, b->cost, err) : rc;
}

/* Where a tensor of this operator has its channels. */
static int channel_axis(const ds_node *n, const ds_type *t)
{
	static const char *const last[] = { "LSTM", "GRU", "RNN" };
	for (size_t i = 0; i < DS_COUNTOF(last); i++)
		if (!n->domain[0] && strcmp(n->op_name, last[i]) == 0)
			return t->rank - 1;
	return t->rank > 2 ? 1 : t->rank - 1;
}

ds_status ds_prune_table(const ds_model *before, const ds_model *after, const ds_type *in, ds_prune_row **rows, int *n, ds_err *err)
{
	bound_model a = { 0 }, b = { 0 };
	ds_status rc = DS_OK;
	*rows = NULL;
	*n = 0;
	DS_GOTO(bound_new(&a, before, in, err));
	DS_GOTO(bound_new(&b, after, in, err));
	*rows = ds_calloc((size_t)a.g->n_node + 1, sizeof **rows);
	if (!*rows) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < a.g->n_node && i < b.g->n_node; i++) {
		const ds_node *x = a.g->node[i], *y = b.g->node[i];
		if (a.cost[i].macs == 0 || x->n_in < 2 || !x->in[1])
			continue;
		ds_prune_row *r = &(*rows)[(*n)++];
		int o = 0;
		while (o + 1 < x->n_out && !x->out[o]->name[0])
			o++;
		const ds_type *xi = &x->in[0]->type, *yi = &y->in[0]->type, *xo = &x->out[o]->type, *yo = &y->out[o]->type;
		int ai = channel_axis(x, xi), ao = channel_axis(x, xo);
		*r = (ds_prune_row){ .name = x->in[1]->name[0] ? x->in[1]->name : x->name, .macs_before = a.cost[i].macs, .macs_after = b.cost[i].macs,
			.out_before = xo->dim[ao], .out_after = yo->dim[ao], .in_before = xi->dim[ai], .in_after = yi->dim[ai] };
		for (int k = 1; k < x->n_in; k++)
			if (x->in[k] && x->in[k]->kind != DS_V_NODE) {
				r->params_before += (double)ds_type_count(&x->in[k]->type);
				r->params_after += (double)ds_type_count(&y->in[k]->type);
			}
		for (int w = 0; w < before->graph->n_weight; w++)               /* a name that outlives the clones */
			if (strcmp(before->graph->weight[w]->name, r->name) == 0)
				r->name = before->graph->weight[w]->name;
		if (r->name == x->name)
			r->name = before->graph->node[i]->name;
	}
out:
	bound_done(&a);
	bound_done(&b);
	return rc;
}
