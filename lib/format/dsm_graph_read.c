/* dsm_graph_read.c - the graph record: bytes into a graph, everything checked in one pass and without recursion
 *
 * The descriptor gives the counts, the payload is twelve tables in fixed order.  Positions are never stored: they are sums of counts, so
 * they cannot lie.  Counts are believed only after the tables that they promise were found to fill the payload exactly. */
#include "dsm_int.h"

/* Order of the counts in the descriptor. */
enum { C_STR, C_STR_BYTES, C_SYM, C_GRAPH, C_VAL, C_DIM, C_NODE, C_REF, C_ATTR, C_NUM, C_OUT, C_STATE, C_CONST, C_CONST_BYTES, C_OPSET, C_ZERO, N_COUNT };
/* Order of the tables in the payload. */
enum { T_ENDS, T_BYTES, T_SYM, T_GRAPH, T_VAL, T_DIM, T_NODE, T_REF, T_ATTR, T_NUM, T_OUT, T_STATE, T_CONST, N_TABLE };

static const struct { uint8_t count, size; } table_row[N_TABLE] = {
	{ C_STR, 4 }, { C_STR_BYTES, 1 }, { C_SYM, 16 }, { C_GRAPH, 16 }, { C_VAL, 8 }, { C_DIM, 8 }, { C_NODE, 20 }, { C_REF, 4 }, { C_ATTR, 16 },
	{ C_NUM, 8 }, { C_OUT, 4 }, { C_STATE, 24 }, { C_CONST_BYTES, 1 },
};
static const uint32_t limit[N_COUNT] = { 1u << 21, 64u << 20, 1u << 12, 1u << 12, 1u << 21, 1u << 23, 1u << 20, 1u << 22, 1u << 22, 1u << 23, 1u << 12,
	1u << 12, 1u << 21, 64u << 20, ~0u, 0 };
#define MAX_ATTRS   64
#define MAX_ITEMS   (1u << 16)
#define MAX_DEPTH   8

typedef struct val { uint32_t name; uint8_t kind; ds_type type; } val;
typedef struct sub { uint32_t base, next, lim, first_node, n_in, n_node, n_val, n_out, parent, depth; ds_graph *g; } sub;

typedef struct reader {
	uint32_t       n[N_COUNT];
	const uint8_t *tab[N_TABLE];
	char          *text;            /* strings with their terminating zeros */
	const char   **str;
	uint8_t       *str_used, *is_name;
	val           *val;
	ds_value     **value;           /* by id */
	sub           *graph;
	ds_value     **param;
	uint32_t       n_param, n_const, first_param, next_param, next_const, next_graph, next_num;
	ds_err        *err;
} reader;

#define BAD(r, ...) ds_fail((r)->err, DS_E_INPUT, __VA_ARGS__)
#define NOMEM(r)    ds_fail_nomem((r)->err, 0)

/* ---- tables ------------------------------------------------------------------------------------------------------------------------------- */
static ds_status find_tables(reader *r, const uint8_t *desc, const uint8_t *p, uint64_t len)
{
	for (int i = 0; i < N_COUNT; i++) {
		r->n[i] = dsm_get32(desc + 4 * i);
		if (r->n[i] > limit[i])
			return BAD(r, "count %d of the graph is %u, the limit %u", i, r->n[i], limit[i]);
	}
	if (r->n[C_OPSET] != DS_OPSET)
		return ds_fail(r->err, DS_E_UNSUPPORTED, "graph of operator set %u, this version knows %d", r->n[C_OPSET], DS_OPSET);
	if (r->n[C_STR] < 1 || r->n[C_GRAPH] < 1 || len > DSM_MAX_GRPH)
		return BAD(r, "graph without strings or without a main graph, or too large");
	uint64_t at = 0;
	for (int i = 0; i < N_TABLE; i++) {
		uint64_t size = (uint64_t)r->n[table_row[i].count] * table_row[i].size, end = (size + 7) & ~UINT64_C(7);
		r->tab[i] = p + DS_MIN(at, len);
		if (end > len - DS_MIN(at, len) || !dsm_zero(p + at + size, (size_t)(end - size)))
			return BAD(r, "tables of the graph do not fit into its %llu bytes", (unsigned long long)len);
		at += end;
	}
	return at == len ? DS_OK : BAD(r, "%llu bytes after the tables of the graph", (unsigned long long)(len - at));
}

static ds_status read_strings(reader *r)
{
	uint32_t n = r->n[C_STR], from = 0;
	const char *bytes = (const char *)r->tab[T_BYTES];
	r->text = ds_malloc((size_t)r->n[C_STR_BYTES] + n);
	r->str = ds_calloc(n, sizeof *r->str);
	r->str_used = ds_calloc(n, 1);
	r->is_name = ds_calloc(n, 1);
	if (!r->text || !r->str || !r->str_used || !r->is_name)
		return NOMEM(r);
	char *to = r->text;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t end = dsm_get32(r->tab[T_ENDS] + 4 * (size_t)i);
		if (end < from || end > r->n[C_STR_BYTES] || (i == 0 && end) || !ds_text_ok(bytes + from, end - from, false))
			return BAD(r, "string %u of the graph is out of place or not clean UTF-8 text", i);
		memcpy(to, bytes + from, end - from);
		to[end - from] = 0;
		r->str[i] = to;
		if (i > 0 && strcmp(r->str[i - 1], to) >= 0)
			return BAD(r, "strings of the graph must rise");
		to += end - from + 1;
		from = end;
	}
	r->str_used[0] = 1;
	return from == r->n[C_STR_BYTES] ? DS_OK : BAD(r, "bytes after the last string of the graph");
}

/* String i as a name of at most max bytes; NULL: refused (the error is set). */
static const char *name_of(reader *r, uint32_t i, size_t max, const char *what)
{
	if (i >= r->n[C_STR] || strlen(r->str[i]) > max) {
		(void)BAD(r, "%s: string %u does not exist or is too long", what, i);
		return NULL;
	}
	r->str_used[i] = 1;
	return r->str[i];
}

static ds_status read_symbols(reader *r, ds_graph *g)
{
	for (uint32_t i = 0; i < r->n[C_SYM]; i++) {
		const uint8_t *p = r->tab[T_SYM] + 16 * (size_t)i;
		uint32_t name = dsm_get32(p), a = dsm_get32(p + 4), b = dsm_get32(p + 8);
		int32_t  add = (int32_t)dsm_get32(p + 12);
		const char *text = name_of(r, name, DSM_MAX_NAME, "symbol");
		if (!text)
			return DS_E_INPUT;
		bool basic = a == DSM_NONE && b == DSM_NONE && add == 0, sum = name == 0 && a < i && (b == DSM_NONE || (a <= b && b < i));
		if (!basic && !sum)
			return BAD(r, "symbol %u is neither a name nor a sum of earlier ones", i);
		if (name && r->is_name[name] & 1)
			return BAD(r, "symbol \"%.100s\" appears twice", text);
		r->is_name[name] |= 1;
		if (!ds_grow((void **)&g->symbol, (size_t)g->n_symbol, &g->cap_symbol, sizeof *g->symbol))
			return NOMEM(r);
		const char *copy = *text ? ds_arena_strdup(&g->arena, text) : "";
		if (!copy)
			return NOMEM(r);
		g->symbol[g->n_symbol++] = (ds_symbol){ copy, a, b, add };
	}
	return DS_OK;
}

static ds_status read_graphs(reader *r)
{
	uint64_t val_ = 0, node = 0, out = 0;
	r->graph = ds_calloc(r->n[C_GRAPH], sizeof *r->graph);
	if (!r->graph)
		return NOMEM(r);
	for (uint32_t i = 0; i < r->n[C_GRAPH]; i++) {
		const uint8_t *p = r->tab[T_GRAPH] + 16 * (size_t)i;
		sub *s = &r->graph[i];
		*s = (sub){ .base = (uint32_t)val_, .first_node = (uint32_t)node, .n_val = dsm_get32(p), .n_in = dsm_get32(p + 4), .n_node = dsm_get32(p + 8),
			.n_out = dsm_get32(p + 12) };
		val_ += s->n_val;
		node += s->n_node;
		out += s->n_out;
		if (s->n_in > s->n_val || val_ > r->n[C_VAL] || node > r->n[C_NODE] || out > r->n[C_OUT])
			return BAD(r, "graph %u has more than the tables hold", i);
	}
	return val_ == r->n[C_VAL] && node == r->n[C_NODE] && out == r->n[C_OUT] ? DS_OK : BAD(r, "graphs do not use all values, nodes or outputs");
}

/* ---- values ------------------------------------------------------------------------------------------------------------------------------- */
static ds_status read_type(reader *r, val *v, const uint8_t *p, uint32_t *dim_at, uint32_t id)
{
	uint8_t dtype = p[5], rank = p[6];
	bool weight = v->kind == DS_V_PARAM || v->kind == DS_V_CONST;
	if (dtype > DS_BOOL || (rank > DS_MAX_RANK && rank != 255) || p[7])
		return BAD(r, "value %u: type %d, rank %d", id, dtype, rank);
	if (weight && (!dtype || rank == 255))
		return BAD(r, "value %u: a weight must state its type", id);
	v->type = (ds_type){ .dtype = (ds_dtype)dtype, .rank = rank == 255 ? -1 : (int8_t)rank };
	if (rank == 255)
		return DS_OK;
	if (rank > r->n[C_DIM] - *dim_at)
		return BAD(r, "value %u: no dimensions left", id);
	uint64_t count = 1;
	for (int i = 0; i < rank; i++, ++*dim_at) {
		int64_t d = (int64_t)dsm_get64(r->tab[T_DIM] + 8 * (size_t)*dim_at);
		if (d > 0x7FFFFFFF || d < -(int64_t)r->n[C_SYM] || (weight && d < 0))
			return BAD(r, "value %u: dimension %d is %lld", id, i, (long long)d);
		v->type.dim[i] = d;
		if (weight && (ds_mul_over(count, (uint64_t)DS_MAX(d, 1), &count) || count > UINT64_C(1) << 40))
			return BAD(r, "value %u has more than 2^40 elements", id);
	}
	if (v->kind == DS_V_CONST && (uint64_t)ds_type_count(&v->type) * ds_dtype_size(v->type.dtype) > DSM_MAX_CONST)
		return BAD(r, "value %u: a constant of more than %d bytes", id, DSM_MAX_CONST);
	return DS_OK;
}

static ds_status read_values(reader *r)
{
	uint32_t dim_at = 0;
	r->val = ds_calloc(r->n[C_VAL], sizeof *r->val);
	r->value = ds_calloc(r->n[C_VAL], sizeof *r->value);
	if (!r->val || !r->value)
		return NOMEM(r);
	for (uint32_t g = 0, id = 0; g < r->n[C_GRAPH]; g++) {
		sub *s = &r->graph[g];
		int last = DS_V_INPUT;
		uint32_t n_of[4] = { 0 };
		for (uint32_t k = 0; k < s->n_val; k++, id++) {
			const uint8_t *p = r->tab[T_VAL] + 8 * (size_t)id;
			val *v = &r->val[id];
			v->name = dsm_get32(p);
			v->kind = p[4];
			if (v->kind > DS_V_NODE || v->kind < last || (g && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST)))
				return BAD(r, "value %u: kind %d is out of place", id, v->kind);
			last = v->kind;
			n_of[v->kind]++;
			const char *name = name_of(r, v->name, DSM_MAX_NAME, "value");
			if (!name)
				return DS_E_INPUT;
			if (v->name && r->is_name[v->name] & 2)
				return BAD(r, "value \"%.100s\" appears twice", name);
			if (!v->name && (v->kind == DS_V_PARAM || (g == 0 && v->kind == DS_V_INPUT)))
				return BAD(r, "value %u needs a name", id);
			r->is_name[v->name] |= 2;
			DS_TRY(read_type(r, v, p, &dim_at, id));
			if (g == 0 && v->kind == DS_V_INPUT && !v->type.dtype)
				return BAD(r, "input \"%.100s\" does not state its type", name);
		}
		if (n_of[DS_V_INPUT] != s->n_in)
			return BAD(r, "graph %u has %u inputs, not %u", g, n_of[DS_V_INPUT], s->n_in);
		if (g == 0) {
			r->n_param = n_of[DS_V_PARAM];
			r->n_const = n_of[DS_V_CONST];
			r->first_param = s->n_in;
		}
		s->next = s->base + s->n_val - n_of[DS_V_NODE];         /* first id that a node gives */
	}
	if (dim_at != r->n[C_DIM])
		return BAD(r, "dimensions that belong to no value");
	return r->n_param <= DSM_MAX_TNSR && r->n_const == r->n[C_CONST] ? DS_OK : BAD(r, "%u parameters, %u constants", r->n_param, r->n_const);
}

static ds_status make_weights(reader *r, ds_graph *g)
{
	uint32_t id = r->first_param, at = 0;
	r->param = ds_calloc(r->n_param, sizeof *r->param);
	if (!r->param)
		return NOMEM(r);
	for (uint32_t k = 0; k < r->n_param + r->n_const; k++, id++) {
		const val *v = &r->val[id];
		ds_tensor t = { .dtype = v->type.dtype, .rank = v->type.rank };
		memcpy(t.dim, v->type.dim, sizeof t.dim);
		if (v->kind == DS_V_CONST) {
			uint32_t n = (uint32_t)ds_type_count(&v->type) * (uint32_t)ds_dtype_size(v->type.dtype), padded = (n + 7) & ~7u;
			const uint8_t *p = r->tab[T_CONST] + at;
			if (padded > r->n[C_CONST_BYTES] - at || !dsm_zero(p + n, padded - n))
				return BAD(r, "constants do not fit their table");
			DS_TRY(ds_tensor_new(&t, t.dtype, t.rank, v->type.dim, r->err));
			memcpy(t.data, p, n);
			at += padded;
		}
		r->value[id] = ds_graph_weight(g, (ds_vkind)v->kind, r->str[v->name], &t);
		if (!r->value[id]) {
			ds_tensor_done(&t);
			return NOMEM(r);
		}
		if (k < r->n_param)
			r->param[k] = r->value[id];
	}
	return at == r->n[C_CONST_BYTES] ? DS_OK : BAD(r, "constants do not fill their table");
}

static ds_status make_inputs(reader *r, sub *s)
{
	for (uint32_t i = 0; i < s->n_in; i++) {
		const val *v = &r->val[s->base + i];
		if (!(r->value[s->base + i] = ds_graph_input(s->g, r->str[v->name], &v->type)))
			return NOMEM(r);
	}
	return DS_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------------------------------------------------- */
/* Parameters and constants are numbered by first use. */
static ds_status first_use(reader *r, uint32_t id)
{
	uint32_t k = id - r->first_param;
	if (id < r->first_param || k >= r->n_param + r->n_const)
		return DS_OK;
	uint32_t *next = k < r->n_param ? &r->next_param : &r->next_const;
	k -= k < r->n_param ? 0 : r->n_param;
	if (k > *next)
		return BAD(r, "weight %u is used before weight %u", k, *next);
	*next += k == *next;
	return DS_OK;
}

/* May a node of graph g read value x?  Its own graph up to here, else that of the node which owns the graph, up to that node, and so on. */
static ds_status resolve(reader *r, uint32_t g, uint32_t x, ds_value **v)
{
	const sub *s = &r->graph[g];
	uint32_t end = s->next;
	while (x < s->base) {
		end = s->lim;
		s = &r->graph[s->parent];
	}
	if (x >= end)
		return BAD(r, "value %u is used where it is not known", x);
	*v = r->value[x];
	return first_use(r, x);
}

static ds_status read_items(reader *r, ds_node *n, const char *key, uint8_t type, uint64_t count)
{
	if (count > MAX_ITEMS || count > r->n[C_NUM] - r->next_num)
		return BAD(r, "attribute \"%s\" has %llu items", key, (unsigned long long)count);
	const uint8_t *p = r->tab[T_NUM] + 8 * (size_t)r->next_num;
	r->next_num += (uint32_t)count;
	void *buf = ds_calloc((size_t)count, 8);
	ds_status rc = buf ? DS_OK : NOMEM(r);
	if (rc != DS_OK)
		return rc;
	memcpy(buf, p, 8 * (size_t)count);
	if (type == 4) {
		rc = ds_attr_is(n, key, (int)count, buf);
	} else if (type == 5) {
		rc = ds_attr_fs(n, key, (int)count, buf);
	} else {
		const char **s = buf;
		for (uint64_t i = 0; i < count && rc == DS_OK; i++) {
			uint64_t k = dsm_get64(p + 8 * i);
			if (k >= r->n[C_STR])
				rc = BAD(r, "attribute \"%s\": string %llu does not exist", key, (unsigned long long)k);
			else
				r->str_used[k] = 1, s[i] = r->str[k];
		}
		if (rc == DS_OK)
			rc = ds_attr_ss(n, key, (int)count, s);
	}
	ds_free(buf);
	return rc == DS_E_NOMEM ? NOMEM(r) : rc;
}

/* A sub-graph: the next one that no node owns yet. */
static ds_status own_graph(reader *r, uint32_t g, ds_node *n, const char *key, uint64_t which)
{
	const sub *s = &r->graph[g];
	if (which != r->next_graph || which >= r->n[C_GRAPH] || s->depth >= MAX_DEPTH)
		return BAD(r, "attribute \"%s\": graph %llu is out of turn or too deep", key, (unsigned long long)which);
	sub *t = &r->graph[r->next_graph++];
	t->parent = g;
	t->depth = s->depth + 1;
	t->lim = s->next;
	t->g = ds_graph_sub(s->g);
	return t->g && ds_attr_g(n, key, t->g) == DS_OK ? DS_OK : NOMEM(r);
}

static ds_status read_attr(reader *r, uint32_t g, ds_node *n, const char *key, const uint8_t *p)
{
	uint8_t type = p[4];
	uint64_t v = dsm_get64(p + 8);
	double d;
	ds_value *t;
	ds_status rc = DS_OK;
	if (p[5] || p[6] || p[7])
		return BAD(r, "attribute \"%s\" has a field that is not zero", key);
	switch (type) {
	case 1:
		rc = ds_attr_i(n, key, (int64_t)v);
		break;
	case 2:
		memcpy(&d, &v, sizeof d);
		rc = ds_attr_f(n, key, d);
		break;
	case 3:
		if (v >= r->n[C_STR])
			return BAD(r, "attribute \"%s\": string %llu does not exist", key, (unsigned long long)v);
		r->str_used[v] = 1;
		rc = ds_attr_s(n, key, r->str[v]);
		break;
	case 4:
	case 5:
	case 6:
		return read_items(r, n, key, type, v);
	case 7:
		if (v < r->first_param || v - r->first_param >= r->n_param + r->n_const)
			return BAD(r, "attribute \"%s\": value %llu is not a weight", key, (unsigned long long)v);
		DS_TRY(resolve(r, g, (uint32_t)v, &t));
		rc = ds_attr_t(n, key, t);
		break;
	case 8:
		return own_graph(r, g, n, key, v);
	case 9:
		return ds_fail(r->err, DS_E_UNSUPPORTED, "attribute \"%s\": typed scalars need a newer version", key);
	default:
		return BAD(r, "attribute \"%s\" of type %d", key, type);
	}
	return rc == DS_OK ? DS_OK : NOMEM(r);
}

static ds_status read_attrs(reader *r, uint32_t g, ds_node *n, uint32_t first, uint32_t count)
{
	const char *last = "";
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = r->tab[T_ATTR] + 16 * (size_t)(first + i);
		const char *key = name_of(r, dsm_get32(p), DSM_MAX_KEY, "attribute");
		if (!key)
			return DS_E_INPUT;
		if (strcmp(key, last) <= 0)
			return BAD(r, "attributes of a node must rise");
		last = key;
		DS_TRY(read_attr(r, g, n, key, p));
	}
	return DS_OK;
}

typedef struct cursor { uint32_t ref, attr; ds_value **in; const char **out; } cursor;

static ds_status read_node(reader *r, uint32_t g, uint32_t id, cursor *c)
{
	const uint8_t *p = r->tab[T_NODE] + 20 * (size_t)id;
	sub *s = &r->graph[g];
	uint32_t n_in = dsm_get16(p + 12), n_out = dsm_get16(p + 14), n_attr = dsm_get16(p + 16);
	const char *op = name_of(r, dsm_get32(p), DSM_MAX_NAME, "operator"), *name = op ? name_of(r, dsm_get32(p + 4), DSM_MAX_NAME, "node") : NULL;
	const char *domain = name ? name_of(r, dsm_get32(p + 8), DSM_MAX_NAME, "domain") : NULL;
	if (!domain)
		return DS_E_INPUT;
	if (!*op || n_out < 1 || n_attr > MAX_ATTRS || dsm_get16(p + 18))
		return BAD(r, "node %u: no operator, %u outputs or %u attributes", id, n_out, n_attr);
	if (n_in > r->n[C_REF] - c->ref || n_attr > r->n[C_ATTR] - c->attr || n_out > s->base + s->n_val - s->next)
		return BAD(r, "node %u: inputs, attributes or outputs are missing", id);
	for (uint32_t i = 0; i < n_in; i++, c->ref++) {
		uint32_t x = dsm_get32(r->tab[T_REF] + 4 * (size_t)c->ref);
		c->in[i] = NULL;
		if (x != DSM_NONE)
			DS_TRY(resolve(r, g, x, &c->in[i]));
	}
	for (uint32_t i = 0; i < n_out; i++)
		c->out[i] = r->str[r->val[s->next + i].name];
	ds_node *n = ds_graph_node(s->g, domain, op, name, (int)n_in, c->in, (int)n_out, c->out);
	if (!n)
		return NOMEM(r);
	for (uint32_t i = 0; i < n_out; i++) {
		n->out[i]->type = r->val[s->next + i].type;
		r->value[s->next + i] = n->out[i];
	}
	DS_TRY(read_attrs(r, g, n, c->attr, n_attr));   /* before `next` moves: a sub-graph does not see its owner's outputs */
	c->attr += n_attr;
	s->next += n_out;
	return DS_OK;
}

static ds_status read_nodes(reader *r)
{
	cursor c = { .in = ds_calloc(DS_MIN(r->n[C_REF], 65536u), sizeof *c.in), .out = ds_calloc(DS_MIN(r->n[C_VAL], 65536u), sizeof *c.out) };
	ds_status rc = c.in && c.out ? DS_OK : NOMEM(r);
	for (uint32_t g = 0; rc == DS_OK && g < r->n[C_GRAPH]; g++) {
		sub *s = &r->graph[g];
		if (g && !s->g)
			rc = BAD(r, "graph %u belongs to no node", g);
		if (rc == DS_OK && g)
			rc = make_inputs(r, s);
		for (uint32_t i = 0; rc == DS_OK && i < s->n_node; i++)
			rc = read_node(r, g, s->first_node + i, &c);
		if (rc == DS_OK && s->next != s->base + s->n_val)
			rc = BAD(r, "graph %u has values that no node makes", g);
	}
	if (rc == DS_OK && (c.ref != r->n[C_REF] || c.attr != r->n[C_ATTR] || r->next_num != r->n[C_NUM] || r->next_graph != r->n[C_GRAPH]))
		rc = BAD(r, "references, attributes, numbers or graphs that nothing uses");
	ds_free(c.in);
	ds_free(c.out);
	return rc;
}

/* ---- outputs, states ------------------------------------------------------------------------------------------------------------------------ */
static ds_status read_outputs(reader *r)
{
	const uint8_t *p = r->tab[T_OUT];
	for (uint32_t g = 0; g < r->n[C_GRAPH]; g++) {
		const sub *s = &r->graph[g];
		for (uint32_t i = 0; i < s->n_out; i++, p += 4) {
			uint32_t x = dsm_get32(p);
			if (x < s->base || x - s->base >= s->n_val)
				return BAD(r, "output %u of graph %u is not one of its values", i, g);
			if (g == 0 && !r->val[x].name)
				return BAD(r, "output %u needs a name", i);
			DS_TRY(first_use(r, x));
			if (ds_graph_output(s->g, r->value[x]) != DS_OK)
				return NOMEM(r);
		}
	}
	return r->next_param == r->n_param && r->next_const == r->n_const ? DS_OK : BAD(r, "weights that nothing uses");
}

static ds_status check_state(reader *r, uint32_t in, uint32_t out, uint32_t axis, int64_t capacity)
{
	const ds_type *a = &r->val[in].type, *b = &r->val[out].type;
	if (a->dtype != b->dtype || a->rank != b->rank)
		return BAD(r, "state \"%.100s\": types of input and output differ", r->str[r->val[in].name]);
	if (axis == DSM_NONE)
		return capacity == 0 ? DS_OK : BAD(r, "state \"%.100s\": capacity without an axis", r->str[r->val[in].name]);
	bool good = a->rank >= 0 && axis < (uint32_t)a->rank && capacity <= 0x7FFFFFFF && capacity >= -(int64_t)r->n[C_SYM];
	for (int i = 0; good && i < a->rank; i++)
		good = i == (int)axis || a->dim[i] == b->dim[i];
	return good ? DS_OK : BAD(r, "state \"%.100s\": axis, capacity or dimensions do not fit", r->str[r->val[in].name]);
}

static ds_status read_states(reader *r, ds_graph *g)
{
	const sub *s = &r->graph[0];
	uint8_t *taken = ds_calloc(s->n_val, 1);       /* 1: is an output of graph 0, 2: in a pair already */
	ds_status rc = taken ? DS_OK : NOMEM(r);
	for (uint32_t i = 0; taken && i < s->n_out; i++)
		taken[dsm_get32(r->tab[T_OUT] + 4 * (size_t)i)] = 1;
	uint32_t next = 0;
	for (uint32_t i = 0; rc == DS_OK && i < r->n[C_STATE]; i++) {
		const uint8_t *p = r->tab[T_STATE] + 24 * (size_t)i;
		uint32_t in = dsm_get32(p), out = dsm_get32(p + 4), axis = dsm_get32(p + 8);
		int64_t capacity = (int64_t)dsm_get64(p + 16);
		if (in < next || in >= s->n_in || out >= s->n_val || taken[out] != 1 || dsm_get32(p + 12)) {
			rc = BAD(r, "state %u is not a pair of a main input and a main output in order", i);
			break;
		}
		next = in + 1;
		taken[out] = 2;
		rc = check_state(r, in, out, axis, capacity);
		if (rc == DS_OK && !ds_grow((void **)&g->state, (size_t)g->n_state, &g->cap_state, sizeof *g->state))
			rc = NOMEM(r);
		if (rc == DS_OK)
			g->state[g->n_state++] = (ds_state){ r->value[in], r->value[out], axis, capacity };
	}
	ds_free(taken);
	return rc;
}

static ds_status read_graph(reader *r, const uint8_t *desc, const uint8_t *p, size_t n, ds_graph *g)
{
	DS_TRY(find_tables(r, desc, p, n));
	DS_TRY(read_strings(r));
	DS_TRY(read_symbols(r, g));
	DS_TRY(read_graphs(r));
	r->graph[0].g = g;
	r->next_graph = 1;
	DS_TRY(read_values(r));
	DS_TRY(make_inputs(r, &r->graph[0]));
	DS_TRY(make_weights(r, g));
	DS_TRY(read_nodes(r));
	DS_TRY(read_outputs(r));
	DS_TRY(read_states(r, g));
	for (uint32_t i = 0; i < r->n[C_STR]; i++)
		if (!r->str_used[i])
			return BAD(r, "string %u of the graph is not used", i);
	return DS_OK;
}

ds_status dsm_graph_decode(const uint8_t *desc, const uint8_t *p, size_t n, ds_graph **out, ds_value ***param, int *n_param, ds_err *err)
{
	reader r = { .err = err };
	ds_graph *g = ds_graph_new();
	ds_status rc = g ? read_graph(&r, desc, p, n, g) : ds_fail_nomem(err, sizeof *g);
	*out = NULL;
	*param = NULL;
	*n_param = 0;
	if (rc == DS_OK) {
		*out = g;
		*param = r.param;
		*n_param = (int)r.n_param;
	} else {
		ds_graph_free(g);
		ds_free(r.param);
	}
	ds_free(r.text);
	ds_free((void *)r.str);
	ds_free(r.str_used);
	ds_free(r.is_name);
	ds_free(r.val);
	ds_free(r.value);
	ds_free(r.graph);
	return rc;
}
