/* dsm_graph_write.c - a graph as the graph record: one graph has one encoding
 *
 * Sub-graphs are numbered in the order in which attributes name them (breadth first), values graph by graph, parameters and constants by
 * first use; strings are sorted.  Weights that nothing uses are left out.  What the format wants and a graph in memory need not have is
 * mended first: names of parameters, inputs and outputs, large constants that must be parameters, outputs of a sub-graph that are not its own. */
#include "dsm_int.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct list { void **v; size_t n, cap; } list;

typedef struct writer {
	ds_graph *root;
	list      graph;        /* ds_graph *, breadth first */
	list      param, konst; /* ds_value * by first use */
	list      value;        /* ds_value * by id */
	list      str;          /* const char *, sorted and unique after `strings` */
	uint32_t  n_node, n_out;
	ds_err   *err;
} writer;

#define BAD(w, ...) ds_fail((w)->err, DS_E_INPUT, __VA_ARGS__)
#define EACH_GRAPH(w, g) for (size_t gi_ = 0; gi_ < (w)->graph.n; gi_++) for (ds_graph *g = (w)->graph.v[gi_]; g; g = NULL)
#define EACH_NODE(g, n)  for (int ni_ = 0; ni_ < (g)->n_node; ni_++) for (ds_node *n = (g)->node[ni_]; n; n = NULL)

static ds_status add(writer *w, list *l, void *item)
{
	if (!ds_grow((void **)&l->v, l->n, &l->cap, sizeof *l->v))
		return ds_fail_nomem(w->err, l->n);
	l->v[l->n++] = item;
	return DS_OK;
}

/* ---- what is there, in which order --------------------------------------------------------------------------------------------------------- */
static ds_status find_graphs(writer *w)
{
	DS_TRY(add(w, &w->graph, w->root));
	for (size_t i = 0; i < w->graph.n; i++) {
		ds_graph *g = w->graph.v[i];
		EACH_NODE(g, n)
			for (int k = 0; k < n->n_attr; k++)
				if (n->attr[k].type == DS_T_GRAPH)
					DS_TRY(add(w, &w->graph, n->attr[k].u.g));
	}
	return DS_OK;
}

/* Mark every value as not numbered yet (-1). */
static void forget_ids(writer *w)
{
	for (int i = 0; i < w->root->n_weight; i++)
		w->root->weight[i]->id = -1;
	EACH_GRAPH(w, g) {
		for (int i = 0; i < g->n_input; i++)
			g->input[i]->id = -1;
		EACH_NODE(g, n)
			for (int k = 0; k < n->n_out; k++)
				n->out[k]->id = -1;
	}
}

/* A sub-graph's outputs are its own values: another's passes through an Identity. */
static ds_status own_outputs(writer *w)
{
	for (size_t i = 1; i < w->graph.n; i++) {
		ds_graph *g = w->graph.v[i];
		for (int k = 0; k < g->n_output; k++) {
			ds_value *v = g->output[k];
			bool own = v->node && v->node->graph == g;
			for (int j = 0; !own && j < g->n_input; j++)
				own = g->input[j] == v;
			if (own)
				continue;
			ds_node *n = ds_graph_node(g, "", "Identity", "", 1, &v, 1, NULL);
			if (!n || ds_node_parse(n, NULL) == DS_E_NOMEM)
				return ds_fail_nomem(w->err, sizeof *n);
			n->out[0]->type = v->type;
			n->out[0]->id = -1;
			g->output[k] = n->out[0];
		}
	}
	return DS_OK;
}

/* A weight at its first use.  Constants above the limit become parameters. */
static ds_status meet(writer *w, ds_value *v)
{
	if (!v || v->id != -1 || (v->kind != DS_V_PARAM && v->kind != DS_V_CONST))
		return DS_OK;
	if (v->kind == DS_V_CONST && (v->data.q || ds_tensor_bytes(&v->data) > DSM_MAX_CONST))
		v->kind = DS_V_PARAM;
	if (v->type.rank < 0 || !v->type.dtype)
		return ds_fail(w->err, DS_E_INTERNAL, "weight \"%.200s\" has no type", v->name);
	if (v->kind == DS_V_CONST && !v->data.data && ds_tensor_bytes(&v->data))
		return ds_fail(w->err, DS_E_INTERNAL, "constant \"%.200s\" has no data", v->name);
	v->id = 0;
	return add(w, v->kind == DS_V_PARAM ? &w->param : &w->konst, v);
}

static ds_status find_weights(writer *w)
{
	EACH_GRAPH(w, g) EACH_NODE(g, n) {
		for (int k = 0; k < n->n_in; k++)
			DS_TRY(meet(w, n->in[k]));
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_TENSOR)
				DS_TRY(meet(w, n->attr[k].u.t));
	}
	EACH_GRAPH(w, g)
		for (int k = 0; k < g->n_output; k++)
			DS_TRY(meet(w, g->output[k]));
	return DS_OK;
}

static ds_status number(writer *w)
{
	EACH_GRAPH(w, g) {
		for (int i = 0; i < g->n_input; i++)
			DS_TRY(add(w, &w->value, g->input[i]));
		for (size_t i = 0; g == w->root && i < w->param.n; i++)
			DS_TRY(add(w, &w->value, w->param.v[i]));
		for (size_t i = 0; g == w->root && i < w->konst.n; i++)
			DS_TRY(add(w, &w->value, w->konst.v[i]));
		EACH_NODE(g, n)
			for (int k = 0; k < n->n_out; k++)
				DS_TRY(add(w, &w->value, n->out[k]));
		w->n_node += (uint32_t)g->n_node;
		w->n_out += (uint32_t)g->n_output;
	}
	for (size_t i = 0; i < w->value.n; i++)
		((ds_value *)w->value.v[i])->id = (int)i;
	return DS_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------------------------------------- */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
	const ds_value *x = *(ds_value *const *)a, *y = *(ds_value *const *)b;
	int c = strcmp(x->name, y->name);
	return c ? c : (x->id > y->id) - (x->id < y->id);
}

static bool sorted_has(const list *l, const char *s)
{
	return l->n && bsearch(&s, l->v, l->n, sizeof *l->v, by_text);
}

static bool must_be_named(const writer *w, const ds_value *v)
{
	if (v->kind == DS_V_PARAM)
		return true;
	if (v->kind == DS_V_INPUT)
		return v->id < w->root->n_input;
	for (int i = 0; i < w->root->n_output; i++)
		if (w->root->output[i] == v)
			return true;
	return false;
}

/* Give v a name that none has: its own (or what it is) with a number. */
static ds_status rename_value(writer *w, const list *taken, ds_value *v, unsigned *count)
{
	static const char *const word[] = { "input", "weight", "constant", "value" };
	char name[DSM_MAX_NAME + 1];
	do
		snprintf(name, sizeof name, "%.200s_%u", v->name[0] ? v->name : word[v->kind], (*count)++);
	while (sorted_has(taken, name));
	char *copy = ds_arena_strdup(&w->root->arena, name);
	if (!copy)
		return ds_fail_nomem(w->err, sizeof name);
	v->name = copy;
	return DS_OK;
}

/* Names are unique over all graphs; the first in order keeps a name that several have (branches of an If may). */
static ds_status unique_names(writer *w)
{
	size_t n = w->value.n;
	unsigned count = 1;
	list taken = { ds_calloc(n, sizeof *taken.v), n, n };
	ds_value **order = ds_calloc(n, sizeof *order);
	ds_status rc = taken.v && order ? DS_OK : ds_fail_nomem(w->err, n * sizeof *order);
	if (rc != DS_OK)
		goto out;
	memcpy(order, w->value.v, n * sizeof *order);
	qsort(order, n, sizeof *order, by_name);
	for (size_t i = 0; i < n; i++)
		taken.v[i] = (void *)(uintptr_t)order[i]->name;
	const char *last = NULL;                        /* the name itself: values before it may have been renamed */
	for (size_t i = 0; i < n; i++) {
		const char *name = order[i]->name;
		bool twice = *name && last && strcmp(last, name) == 0;
		last = name;
		if (twice)
			DS_GOTO(rename_value(w, &taken, order[i], &count));
	}
	for (size_t i = 0; i < n; i++) {                /* nameless ones in order of their numbers */
		ds_value *v = w->value.v[i];
		if (!v->name[0] && must_be_named(w, v))
			DS_GOTO(rename_value(w, &taken, v, &count));
	}
out:
	ds_free(taken.v);
	ds_free(order);
	return rc;
}

/* ---- strings --------------------------------------------------------------------------------------------------------------------------------- */
static ds_status add_str(writer *w, const char *s, size_t max)
{
	size_t n = strlen(s);
	if (n > max || !ds_text_ok(s, n, false))
		return BAD(w, "\"%.200s\" is longer than %zu bytes or not clean UTF-8 text", s, max);
	return add(w, &w->str, (void *)(uintptr_t)s);
}

static ds_status add_attr_strs(writer *w, const ds_attr *a)
{
	DS_TRY(add_str(w, a->key, DSM_MAX_KEY));
	if (a->type == DS_T_STR)
		return add_str(w, a->u.s, SIZE_MAX);
	for (int i = 0; a->type == DS_T_STRS && i < a->u.ss.n; i++)
		DS_TRY(add_str(w, a->u.ss.v[i], SIZE_MAX));
	return DS_OK;
}

static ds_status strings(writer *w)
{
	DS_TRY(add_str(w, "", 0));
	for (int i = 0; i < w->root->n_symbol; i++)
		DS_TRY(add_str(w, w->root->symbol[i].name, DSM_MAX_NAME));
	for (size_t i = 0; i < w->value.n; i++)
		DS_TRY(add_str(w, ((ds_value *)w->value.v[i])->name, DSM_MAX_NAME));
	EACH_GRAPH(w, g) EACH_NODE(g, n) {
		DS_TRY(add_str(w, n->op_name, DSM_MAX_NAME));
		DS_TRY(add_str(w, n->name, DSM_MAX_NAME));
		DS_TRY(add_str(w, n->domain, DSM_MAX_NAME));
		for (int k = 0; k < n->n_attr; k++)
			DS_TRY(add_attr_strs(w, &n->attr[k]));
	}
	qsort(w->str.v, w->str.n, sizeof *w->str.v, by_text);
	size_t m = 1;
	for (size_t i = 1; i < w->str.n; i++)
		if (strcmp(w->str.v[i], w->str.v[m - 1]) != 0)
			w->str.v[m++] = w->str.v[i];
	w->str.n = m;
	return DS_OK;
}

static uint32_t str_id(const writer *w, const char *s)
{
	void **hit = bsearch(&s, w->str.v, w->str.n, sizeof *w->str.v, by_text);
	return (uint32_t)(hit - w->str.v);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------------------------- */
static uint32_t put_strings(writer *w, ds_buf *b)
{
	uint32_t end = 0;
	for (size_t i = 0; i < w->str.n; i++)
		dsm_add32(b, end += (uint32_t)strlen(w->str.v[i]));
	dsm_pad8(b);
	for (size_t i = 0; i < w->str.n; i++)
		ds_buf_str(b, w->str.v[i]);
	dsm_pad8(b);
	return end;
}

static void put_symbols(writer *w, ds_buf *b)
{
	for (int i = 0; i < w->root->n_symbol; i++) {
		const ds_symbol *s = &w->root->symbol[i];
		dsm_add32(b, str_id(w, s->name));
		dsm_add32(b, s->a);
		dsm_add32(b, s->b);
		dsm_add32(b, (uint32_t)s->add);
	}
}

static void put_graphs(writer *w, ds_buf *b)
{
	EACH_GRAPH(w, g) {
		size_t n = (size_t)g->n_input + (g == w->root ? w->param.n + w->konst.n : 0);
		EACH_NODE(g, node)
			n += (size_t)node->n_out;
		dsm_add32(b, (uint32_t)n);
		dsm_add32(b, (uint32_t)g->n_input);
		dsm_add32(b, (uint32_t)g->n_node);
		dsm_add32(b, (uint32_t)g->n_output);
	}
}

/* The rank that is stated: a dimension that is only "unknown" cannot be written. */
static int stated_rank(const writer *w, const ds_value *v)
{
	for (int i = 0; i < v->type.rank; i++)
		if (v->type.dim[i] < -(int64_t)w->root->n_symbol)
			return -1;
	return v->type.rank;
}

static uint32_t put_values(writer *w, ds_buf *b)
{
	uint32_t n_dim = 0;
	for (size_t i = 0; i < w->value.n; i++) {
		const ds_value *v = w->value.v[i];
		int rank = stated_rank(w, v);
		dsm_add32(b, str_id(w, v->name));
		ds_buf_add(b, (uint8_t[4]){ (uint8_t)v->kind, (uint8_t)v->type.dtype, rank < 0 ? 255 : (uint8_t)rank, 0 }, 4);
		n_dim += rank < 0 ? 0 : (uint32_t)rank;
	}
	for (size_t i = 0; i < w->value.n; i++) {
		const ds_value *v = w->value.v[i];
		int rank = stated_rank(w, v);
		for (int k = 0; k < rank; k++)
			dsm_add64(b, (uint64_t)v->type.dim[k]);
	}
	return n_dim;
}

static ds_status put_nodes(writer *w, ds_buf *b, uint32_t *n_ref, uint32_t *n_attr)
{
	EACH_GRAPH(w, g) EACH_NODE(g, n) {
		if (n->n_in > 65535 || n->n_out > 65535 || n->n_attr > 64)
			return BAD(w, "node \"%.200s\" has more inputs, outputs or attributes than the format allows", n->name);
		dsm_add32(b, str_id(w, n->op_name));
		dsm_add32(b, str_id(w, n->name));
		dsm_add32(b, str_id(w, n->domain));
		dsm_add16(b, (uint16_t)n->n_in);
		dsm_add16(b, (uint16_t)n->n_out);
		dsm_add16(b, (uint16_t)n->n_attr);
		dsm_add16(b, 0);
		*n_ref += (uint32_t)n->n_in;
		*n_attr += (uint32_t)n->n_attr;
	}
	dsm_pad8(b);
	EACH_GRAPH(w, g) EACH_NODE(g, n)
		for (int k = 0; k < n->n_in; k++)
			dsm_add32(b, n->in[k] ? (uint32_t)n->in[k]->id : DSM_NONE);
	dsm_pad8(b);
	return DS_OK;
}

static const struct { uint8_t ds, file; } attr_type[] = {
	{ DS_T_INT, 1 }, { DS_T_FLOAT, 2 }, { DS_T_STR, 3 }, { DS_T_INTS, 4 }, { DS_T_FLOATS, 5 }, { DS_T_STRS, 6 }, { DS_T_TENSOR, 7 }, { DS_T_GRAPH, 8 },
};

/* One row of the attribute table; *graph counts the sub-graphs named so far. */
static void put_attr(writer *w, ds_buf *b, const ds_attr *a, uint64_t *graph)
{
	uint8_t type = 0;
	uint64_t v = 0;
	for (size_t i = 0; i < DS_COUNTOF(attr_type); i++)
		if (attr_type[i].ds == a->type)
			type = attr_type[i].file;
	switch (a->type) {
	case DS_T_INT:    v = (uint64_t)a->u.i; break;
	case DS_T_FLOAT:  memcpy(&v, &a->u.f, 8); break;
	case DS_T_STR:    v = str_id(w, a->u.s); break;
	case DS_T_INTS:   v = (uint64_t)a->u.is.n; break;
	case DS_T_FLOATS: v = (uint64_t)a->u.fs.n; break;
	case DS_T_STRS:   v = (uint64_t)a->u.ss.n; break;
	case DS_T_TENSOR: v = (uint64_t)a->u.t->id; break;
	case DS_T_GRAPH:  v = ++*graph; break;
	}
	dsm_add32(b, str_id(w, a->key));
	ds_buf_add(b, (uint8_t[4]){ type, 0, 0, 0 }, 4);
	dsm_add64(b, v);
}

static void put_attrs(writer *w, ds_buf *b, uint32_t *n_num)
{
	uint64_t graph = 0;
	EACH_GRAPH(w, g) EACH_NODE(g, n)
		for (int k = 0; k < n->n_attr; k++)
			put_attr(w, b, &n->attr[k], &graph);
	size_t from = b->len;
	EACH_GRAPH(w, g) EACH_NODE(g, n)
		for (int k = 0; k < n->n_attr; k++) {
			const ds_attr *a = &n->attr[k];
			if (a->type == DS_T_INTS)
				ds_buf_add(b, a->u.is.v, 8 * (size_t)a->u.is.n);
			else if (a->type == DS_T_FLOATS)
				ds_buf_add(b, a->u.fs.v, 8 * (size_t)a->u.fs.n);
			for (int i = 0; a->type == DS_T_STRS && i < a->u.ss.n; i++)
				dsm_add64(b, str_id(w, a->u.ss.v[i]));
		}
	*n_num = (uint32_t)((b->len - from) / 8);
}

static int by_input(const void *a, const void *b)
{
	const ds_state *x = a, *y = b;
	return (x->in->id > y->in->id) - (x->in->id < y->in->id);
}

static void put_outputs(writer *w, ds_buf *b)
{
	EACH_GRAPH(w, g)
		for (int k = 0; k < g->n_output; k++)
			dsm_add32(b, (uint32_t)g->output[k]->id);
	dsm_pad8(b);
	if (w->root->n_state)
		qsort(w->root->state, (size_t)w->root->n_state, sizeof *w->root->state, by_input);
	for (int i = 0; i < w->root->n_state; i++) {
		const ds_state *s = &w->root->state[i];
		dsm_add32(b, (uint32_t)s->in->id);
		dsm_add32(b, (uint32_t)s->out->id);
		dsm_add32(b, s->axis);
		dsm_add32(b, 0);
		dsm_add64(b, (uint64_t)s->capacity);
	}
}

static void put_constants(writer *w, ds_buf *b)
{
	for (size_t i = 0; i < w->konst.n; i++) {
		const ds_value *v = w->konst.v[i];
		ds_buf_add(b, v->data.data, ds_tensor_bytes(&v->data));
		dsm_pad8(b);
	}
}

static ds_status put_tables(writer *w, uint8_t *desc, ds_buf *b)
{
	uint32_t n_ref = 0, n_attr = 0, n_num = 0, str_bytes = put_strings(w, b);
	put_symbols(w, b);
	put_graphs(w, b);
	uint32_t n_dim = put_values(w, b);
	DS_TRY(put_nodes(w, b, &n_ref, &n_attr));
	put_attrs(w, b, &n_num);
	put_outputs(w, b);
	size_t before = b->len;
	put_constants(w, b);
	uint32_t count[16] = { (uint32_t)w->str.n, str_bytes, (uint32_t)w->root->n_symbol, (uint32_t)w->graph.n, (uint32_t)w->value.n, n_dim, w->n_node,
		n_ref, n_attr, n_num, w->n_out, (uint32_t)w->root->n_state, (uint32_t)w->konst.n, (uint32_t)(b->len - before), DS_OPSET, 0 };
	for (int i = 0; i < 16; i++)
		dsm_put32(desc + 4 * i, count[i]);
	if (b->oom)
		return ds_fail_nomem(w->err, b->len);
	return b->len <= DSM_MAX_GRPH && w->param.n <= DSM_MAX_TNSR ? DS_OK : BAD(w, "graph of %zu bytes with %zu parameters", b->len, w->param.n);
}

ds_status dsm_graph_encode(ds_graph *g, uint8_t *desc, ds_buf *out, ds_value ***param, int *n_param, ds_err *err)
{
	writer w = { .root = g, .err = err };
	ds_status rc = DS_OK;
	*param = NULL;
	*n_param = 0;
	DS_GOTO(find_graphs(&w));
	forget_ids(&w);
	DS_GOTO(own_outputs(&w));
	DS_GOTO(find_weights(&w));
	DS_GOTO(number(&w));
	DS_GOTO(unique_names(&w));
	DS_GOTO(strings(&w));
	DS_GOTO(put_tables(&w, desc, out));
	/* whatever a filter built, nothing leaves that a reader would refuse */
	ds_graph *again;
	ds_value **p;
	int n;
	rc = dsm_graph_decode(desc, (const uint8_t *)(out->data ? out->data : ""), out->len, &again, &p, &n, err);
	if (rc != DS_OK)
		goto out;
	ds_graph_free(again);
	ds_free(p);
	*n_param = (int)w.param.n;
	*param = (ds_value **)w.param.v;
	w.param.v = NULL;
out:
	ds_free(w.graph.v);
	ds_free(w.param.v);
	ds_free(w.konst.v);
	ds_free(w.value.v);
	ds_free(w.str.v);
	return rc;
}
