/* graph.c - building, copying and changing graphs */
#include "op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ds_graph *ds_graph_new(void)
{
	ds_graph *g = ds_calloc(1, sizeof *g);
	if (g)
		ds_arena_init(&g->arena);
	return g;
}

ds_graph *ds_graph_root(ds_graph *g)
{
	while (g->parent)
		g = g->parent;
	return g;
}

/* The arrays of sub-graphs are heap blocks like the root's; they are found by the root's list, so that those of a node that was removed go too. */
static void free_lists(ds_graph *g)
{
	for (int i = 0; i < g->n_weight; i++)
		ds_tensor_done(&g->weight[i]->data);
	ds_free(g->input);
	ds_free(g->weight);
	ds_free(g->node);
	ds_free(g->output);
	ds_free(g->symbol);
	ds_free(g->state);
}

void ds_graph_free(ds_graph *g)
{
	if (!g)
		return;
	for (ds_graph *sub = g->sub; sub; sub = sub->sub)
		free_lists(sub);
	free_lists(g);
	ds_arena_done(&g->arena);
	ds_free(g);
}

ds_graph *ds_graph_sub(ds_graph *parent)
{
	ds_graph *root = ds_graph_root(parent), *g = ds_arena_alloc(&root->arena, 1, sizeof *g);
	if (!g)
		return NULL;
	g->parent = parent;
	g->sub = root->sub;
	root->sub = g;
	return g;
}

static ds_arena *arena_of(ds_graph *g)
{
	return &ds_graph_root(g)->arena;
}

static ds_value *value_new(ds_graph *g, ds_vkind kind, const char *name)
{
	ds_value *v = ds_arena_alloc(arena_of(g), 1, sizeof *v);
	if (!v)
		return NULL;
	v->name = name && *name ? ds_arena_strdup(arena_of(g), name) : "";
	v->kind = kind;
	v->type.rank = -1;
	return v->name ? v : NULL;
}

ds_value *ds_graph_input(ds_graph *g, const char *name, const ds_type *type)
{
	ds_value *v = value_new(g, DS_V_INPUT, name);
	if (!v || !ds_grow((void **)&g->input, (size_t)g->n_input, &g->cap_input, sizeof *g->input))
		return NULL;
	v->type = *type;
	return g->input[g->n_input++] = v;
}

ds_value *ds_graph_weight(ds_graph *g, ds_vkind kind, const char *name, ds_tensor *data)
{
	g = ds_graph_root(g);
	ds_value *v = value_new(g, kind, name);
	ds_qform *q = data->q ? ds_arena_alloc(&g->arena, 1, sizeof *q) : NULL;
	if (!v || (data->q && !q) || !ds_grow((void **)&g->weight, (size_t)g->n_weight, &g->cap_weight, sizeof *g->weight))
		return NULL;
	v->data = *data;
	if (q) {                                /* the form lives as long as the graph that points to it */
		*q = *data->q;
		v->data.q = q;
	}
	v->type = ds_type_of(data);
	*data = (ds_tensor){ 0 };
	return g->weight[g->n_weight++] = v;
}

ds_value *ds_graph_const_i64(ds_graph *g, int64_t n, const int64_t *v)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_I64, n < 0 ? 0 : 1, &n, NULL) != DS_OK)
		return NULL;
	memcpy(t.data, v, sizeof *v * (size_t)(n < 0 ? 1 : n));
	ds_value *r = ds_graph_weight(g, DS_V_CONST, "", &t);
	ds_tensor_done(&t);
	return r;
}

ds_value *ds_graph_const_f32(ds_graph *g, float v)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_F32, 0, NULL, NULL) != DS_OK)
		return NULL;
	*(float *)t.data = v;
	ds_value *r = ds_graph_weight(g, DS_V_CONST, "", &t);
	ds_tensor_done(&t);
	return r;
}

ds_node *ds_graph_insert(ds_graph *g, int at, const char *domain, const char *op_name, const char *name, int n_in, ds_value *const *in, int n_out,
	const char *const *out_name)
{
	ds_arena *a = arena_of(g);
	ds_node *n = ds_arena_alloc(a, 1, sizeof *n);
	if (!n || !ds_grow((void **)&g->node, (size_t)g->n_node, &g->cap_node, sizeof *g->node))
		return NULL;
	*n = (ds_node){ .op_name = ds_arena_strdup(a, op_name), .domain = *domain ? ds_arena_strdup(a, domain) : "",
		.name = name && *name ? ds_arena_strdup(a, name) : "", .in = ds_arena_alloc(a, (size_t)n_in, sizeof *n->in),
		.out = ds_arena_alloc(a, (size_t)n_out, sizeof *n->out), .n_in = n_in, .n_out = n_out, .graph = g };
	if (!n->op_name || !n->domain || !n->name || !n->in || !n->out)
		return NULL;
	for (int i = 0; i < n_in; i++)
		n->in[i] = in[i];
	for (int i = 0; i < n_out; i++) {
		ds_value *v = value_new(g, DS_V_NODE, out_name ? out_name[i] : NULL);
		if (!v)
			return NULL;
		v->node = n;
		v->out_index = i;
		n->out[i] = v;
	}
	memmove(g->node + at + 1, g->node + at, sizeof *g->node * (size_t)(g->n_node - at));
	g->node[at] = n;
	g->n_node++;
	return n;
}

ds_node *ds_graph_node(ds_graph *g, const char *domain, const char *op_name, const char *name, int n_in, ds_value *const *in, int n_out,
	const char *const *out_name)
{
	return ds_graph_insert(g, g->n_node, domain, op_name, name, n_in, in, n_out, out_name);
}

ds_status ds_graph_output(ds_graph *g, ds_value *v)
{
	if (!ds_grow((void **)&g->output, (size_t)g->n_output, &g->cap_output, sizeof *g->output))
		return DS_E_NOMEM;
	g->output[g->n_output++] = v;
	return DS_OK;
}

int ds_graph_symbol(ds_graph *g, const char *name)
{
	g = ds_graph_root(g);
	for (int i = 0; *name && i < g->n_symbol; i++)
		if (strcmp(g->symbol[i].name, name) == 0)
			return i;
	if (!ds_grow((void **)&g->symbol, (size_t)g->n_symbol, &g->cap_symbol, sizeof *g->symbol))
		return -1;
	const char *copy = *name ? ds_arena_strdup(&g->arena, name) : "";
	if (!copy)
		return -1;
	g->symbol[g->n_symbol] = (ds_symbol){ copy, DS_NO_SYMBOL, DS_NO_SYMBOL, 0 };
	return g->n_symbol++;
}

/* ---- numbering ----------------------------------------------------------------------------------------------------------------- */
static int number(ds_graph *g, int id)
{
	for (int i = 0; i < g->n_input; i++)
		g->input[i]->id = id++;
	for (int i = 0; i < g->n_weight; i++)
		g->weight[i]->id = id++;
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		n->id = i;
		for (int k = 0; k < n->n_out; k++)
			n->out[k]->id = id++;
	}
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_attr; k++)
			if (g->node[i]->attr[k].type == DS_T_GRAPH)
				id = number(g->node[i]->attr[k].u.g, id);
	return id;
}

void ds_graph_number(ds_graph *g)
{
	number(g, 0);
}

const char *ds_node_label(const ds_node *n)
{
	for (int i = 0; i < n->n_out && !n->name[0]; i++)
		if (n->out[i]->name[0])
			return n->out[i]->name;
	return n->name;
}

int ds_graph_values(const ds_graph *g)
{
	int n = g->n_input + g->n_weight;
	for (int i = 0; i < g->n_node; i++) {
		n += g->node[i]->n_out;
		for (int k = 0; k < g->node[i]->n_attr; k++)
			if (g->node[i]->attr[k].type == DS_T_GRAPH)
				n += ds_graph_values(g->node[i]->attr[k].u.g);
	}
	return n;
}

/* ---- uses ---------------------------------------------------------------------------------------------------------------------- */
void ds_graph_replace(ds_graph *g, ds_value *old, ds_value *new_)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] == old)
				n->in[k] = new_;
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				ds_graph_replace(n->attr[k].u.g, old, new_);
	}
	for (int i = 0; i < g->n_output; i++)
		if (g->output[i] == old)
			g->output[i] = new_;
	for (int i = 0; i < g->n_state; i++)
		if (g->state[i].out == old)
			g->state[i].out = new_;
}

int ds_value_uses(const ds_graph *g, const ds_value *v)
{
	int uses = 0;
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (int k = 0; k < n->n_in; k++)
			uses += n->in[k] == v;
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				uses += ds_value_uses(n->attr[k].u.g, v);
			else if (n->attr[k].type == DS_T_TENSOR)
				uses += n->attr[k].u.t == v;
	}
	for (int i = 0; i < g->n_output; i++)
		uses += g->output[i] == v;
	return uses;
}

ds_node *ds_value_only_user(const ds_graph *g, const ds_value *v)
{
	if (ds_value_uses(g, v) != 1)
		return NULL;
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_in; k++)
			if (g->node[i]->in[k] == v)
				return g->node[i];
	return NULL;
}

static void clear_ids(ds_graph *g)
{
	for (int i = 0; i < g->n_input; i++)
		g->input[i]->id = 0;
	for (int i = 0; i < g->n_weight; i++)
		g->weight[i]->id = 0;
	for (int i = 0; i < g->n_node; i++) {
		for (int k = 0; k < g->node[i]->n_out; k++)
			g->node[i]->out[k]->id = 0;
		for (int k = 0; k < g->node[i]->n_attr; k++)
			if (g->node[i]->attr[k].type == DS_T_GRAPH)
				clear_ids(g->node[i]->attr[k].u.g);
	}
}

/* Uses are counted in the ids of values, which need no memory: what must go goes without a way to fail. */
static void mark_uses(const ds_graph *g, int sign)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k])
				n->in[k]->id += sign;
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				mark_uses(n->attr[k].u.g, sign);
			else if (n->attr[k].type == DS_T_TENSOR && n->attr[k].u.t)
				n->attr[k].u.t->id += sign;
	}
	for (int i = 0; i < g->n_output; i++)
		g->output[i]->id += sign;
}

int ds_graph_prune_dead(ds_graph *g)
{
	int gone = 0;
	clear_ids(g);
	mark_uses(g, 1);
	for (int i = g->n_node - 1; i >= 0; i--) {      /* users come after producers: one sweep back suffices */
		ds_node *n = g->node[i];
		bool used = false;
		for (int k = 0; k < n->n_out; k++)
			used |= n->out[k]->id > 0;
		if (used)
			continue;
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k])
				n->in[k]->id--;
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				mark_uses(n->attr[k].u.g, -1);
			else if (n->attr[k].type == DS_T_TENSOR && n->attr[k].u.t)
				n->attr[k].u.t->id--;
		memmove(g->node + i, g->node + i + 1, sizeof *g->node * (size_t)(g->n_node - i - 1));
		g->n_node--;
		gone++;
	}
	int kept = 0;
	for (int i = 0; i < g->n_weight; i++)
		if (g->weight[i]->id > 0)
			g->weight[kept++] = g->weight[i];
		else
			ds_tensor_done(&g->weight[i]->data);
	g->n_weight = kept;
	ds_graph_number(g);
	return gone;
}

/* Kahn's algorithm on node positions; among ready nodes the one that came first in the list goes first, so a sorted list stays as it is. */
ds_status ds_graph_sort(ds_graph *g, ds_err *err)
{
	ds_graph_number(g);
	int n = g->n_node, done = 0;
	ds_node **out = ds_calloc((size_t)n, sizeof *out);
	char *state = ds_calloc((size_t)n, 1);          /* 1: placed */
	int *stack = ds_calloc((size_t)n + 1, sizeof *stack);
	ds_status rc = DS_OK;
	if (!out || !state || !stack) {
		rc = ds_fail_nomem(err, (size_t)n * 16);
		goto done;
	}
	/* Depth first from each node in order: place what it reads before it.  state 2: on the stack (a second visit is a cycle). */
	for (int i = 0; i < n; i++) {
		int top = 0;
		if (state[i] == 1)
			continue;
		stack[top++] = i;
		state[i] = 2;
		while (top) {
			ds_node *cur = g->node[stack[top - 1]];
			int want = -1;
			for (int k = 0; k < cur->n_in && want < 0; k++) {
				ds_value *v = cur->in[k];
				if (v && v->kind == DS_V_NODE && v->node->graph == g && state[v->node->id] != 1)
					want = v->node->id;
			}
			if (want >= 0 && state[want] == 2) {
				rc = ds_fail(err, DS_E_INPUT, "node \"%s\" (%s) is part of a cycle", ds_node_label(cur), cur->op_name);
				goto done;
			}
			if (want >= 0) {
				state[want] = 2;
				stack[top++] = want;
			} else {
				state[cur->id] = 1;
				out[done++] = cur;
				top--;
			}
		}
	}
	memcpy(g->node, out, sizeof *out * (size_t)n);
done:
	ds_free(out);
	ds_free(state);
	ds_free(stack);
	return rc;
}

/* ---- copying ------------------------------------------------------------------------------------------------------------------- */
typedef struct copier { ds_value **to; ds_graph *root; } copier;

static ds_graph *copy_graph(copier *c, ds_graph *d, const ds_graph *s);

static bool copy_attrs(copier *c, ds_node *d, const ds_node *s)
{
	for (int i = 0; i < s->n_attr; i++) {
		const ds_attr *a = &s->attr[i];
		ds_status rc = DS_OK;
		switch (a->type) {
		case DS_T_INT:    rc = ds_attr_i(d, a->key, a->u.i); break;
		case DS_T_FLOAT:  rc = ds_attr_f(d, a->key, a->u.f); break;
		case DS_T_STR:    rc = ds_attr_s(d, a->key, a->u.s); break;
		case DS_T_INTS:   rc = ds_attr_is(d, a->key, a->u.is.n, a->u.is.v); break;
		case DS_T_FLOATS: rc = ds_attr_fs(d, a->key, a->u.fs.n, a->u.fs.v); break;
		case DS_T_STRS:   rc = ds_attr_ss(d, a->key, a->u.ss.n, a->u.ss.v); break;
		case DS_T_TENSOR: rc = ds_attr_t(d, a->key, c->to[a->u.t->id]); break;
		case DS_T_GRAPH: {
			ds_graph *sub = ds_graph_sub(d->graph);
			if (!sub || ds_attr_g(d, a->key, sub) != DS_OK || !copy_graph(c, sub, a->u.g))
				return false;
			break;
		}
		}
		if (rc != DS_OK)
			return false;
	}
	return true;
}

static ds_graph *copy_graph(copier *c, ds_graph *d, const ds_graph *s)
{
	for (int i = 0; i < s->n_symbol; i++) {
		if (!ds_grow((void **)&d->symbol, (size_t)d->n_symbol, &d->cap_symbol, sizeof *d->symbol))
			return NULL;
		d->symbol[d->n_symbol] = s->symbol[i];
		if (s->symbol[i].name[0] && !(d->symbol[d->n_symbol].name = ds_arena_strdup(&c->root->arena, s->symbol[i].name)))
			return NULL;
		d->n_symbol++;
	}
	for (int i = 0; i < s->n_input; i++)
		if (!(c->to[s->input[i]->id] = ds_graph_input(d, s->input[i]->name, &s->input[i]->type)))
			return NULL;
	for (int i = 0; i < s->n_weight; i++) {
		ds_value *v = s->weight[i];
		ds_tensor t = ds_tensor_ref(&v->data);
		ds_value *w = ds_graph_weight(d, v->kind, v->name, &t);
		if (!w) {
			ds_tensor_done(&t);
			return NULL;
		}
		w->type = v->type;
		c->to[v->id] = w;
	}
	for (int i = 0; i < s->n_node; i++) {
		const ds_node *n = s->node[i];
		ds_node *m = ds_graph_node(d, n->domain, n->op_name, n->name, n->n_in, n->in, n->n_out, NULL);
		if (!m)
			return NULL;
		for (int k = 0; k < n->n_in; k++)
			m->in[k] = n->in[k] ? c->to[n->in[k]->id] : NULL;
		for (int k = 0; k < n->n_out; k++) {
			ds_value *v = m->out[k];
			if (n->out[k]->name[0] && !(v->name = ds_arena_strdup(&c->root->arena, n->out[k]->name)))
				return NULL;
			v->type = n->out[k]->type;
			c->to[n->out[k]->id] = v;
		}
		if (!copy_attrs(c, m, n))
			return NULL;
		if (n->op && ds_node_parse(m, NULL) != DS_OK)
			return NULL;
	}
	for (int i = 0; i < s->n_output; i++)
		if (ds_graph_output(d, c->to[s->output[i]->id]) != DS_OK)
			return NULL;
	for (int i = 0; i < s->n_state; i++) {
		if (!ds_grow((void **)&d->state, (size_t)d->n_state, &d->cap_state, sizeof *d->state))
			return NULL;
		d->state[d->n_state] = s->state[i];
		d->state[d->n_state].in = c->to[s->state[i].in->id];
		d->state[d->n_state++].out = c->to[s->state[i].out->id];
	}
	return d;
}

ds_graph *ds_graph_clone(const ds_graph *g)
{
	/* Numbering writes scratch fields only; two threads that clone one graph write the same numbers. */
	ds_graph_number((ds_graph *)g);
	copier c = { ds_calloc((size_t)ds_graph_values(g) + 1, sizeof *c.to), ds_graph_new() };
	if (!c.to || !c.root || !copy_graph(&c, c.root, g)) {
		ds_graph_free(c.root);
		c.root = NULL;
	}
	ds_free(c.to);
	return c.root;
}

/* ---- names --------------------------------------------------------------------------------------------------------------------- */
static int cmp_str(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool taken(const char **sorted, size_t n, const char *name)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(sorted[mid], name);
		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

ds_status ds_graph_name_all(ds_graph *g)
{
	size_t n = 0, cap = (size_t)ds_graph_values(g) + (size_t)g->n_node + 1;
	const char **names = ds_calloc(cap, sizeof *names);
	if (!names)
		return DS_E_NOMEM;
	for (int i = 0; i < g->n_input; i++)
		names[n++] = g->input[i]->name;
	for (int i = 0; i < g->n_weight; i++)
		names[n++] = g->weight[i]->name;
	for (int i = 0; i < g->n_node; i++) {
		names[n++] = g->node[i]->name;
		for (int k = 0; k < g->node[i]->n_out; k++)
			names[n++] = g->node[i]->out[k]->name;
	}
	qsort(names, n, sizeof *names, cmp_str);
	ds_status rc = DS_OK;
	for (int i = 0; i < g->n_node && rc == DS_OK; i++) {
		ds_node *m = g->node[i];
		char buf[300];
		if (!m->name[0]) {
			snprintf(buf, sizeof buf, "%.200s_%d", m->op_name, i);
			for (int t = 1; taken(names, n, buf); t++)
				snprintf(buf, sizeof buf, "%.200s_%d_%d", m->op_name, i, t);
			if (!(m->name = ds_arena_strdup(arena_of(g), buf))) {
				rc = DS_E_NOMEM;
				break;
			}
		}
		for (int k = 0; k < m->n_out; k++) {
			if (m->out[k]->name[0])
				continue;
			snprintf(buf, sizeof buf, k ? "%.220s.out%d" : "%.220s.out", m->name, k);
			for (int t = 1; taken(names, n, buf); t++)
				snprintf(buf, sizeof buf, "%.220s.out%d_%d", m->name, k, t);
			if (!(m->out[k]->name = ds_arena_strdup(arena_of(g), buf)))
				rc = DS_E_NOMEM;
		}
	}
	ds_free(names);
	return rc;
}
