/* graph.h - nodes, values and the graph that owns them
 *
 * A graph is a list of nodes in execution order over values.  Everything but tensor data lives in the graph's arena and is freed with it;
 * rewrites only add to the arena.  Values are inputs, parameters (named weights, TNSR records), constants (64 bytes or less, inside GRPH) or
 * node outputs.  The operator vocabulary is ONNX's at opset DS_OPSET; own operators have the domain "ds". */
#ifndef DS_GRAPH_H
#define DS_GRAPH_H

#include "../tensor/tensor.h"
#include "../base/opt.h"

#define DS_OPSET 22

typedef struct ds_op    ds_op;          /* op.h */
typedef struct ds_node  ds_node;
typedef struct ds_graph ds_graph;

typedef enum ds_vkind { DS_V_INPUT = 0, DS_V_PARAM = 1, DS_V_CONST = 2, DS_V_NODE = 3 } ds_vkind;

typedef struct ds_value {
	const char *name;       /* never NULL, may be "" for inner values and constants */
	ds_vkind    kind;
	ds_type     type;       /* stated for kinds 0-2; inferred (or unknown) for node outputs */
	ds_tensor   data;       /* parameters and constants; data.data == NULL while a filter streams */
	ds_node    *node;       /* producer of a node output */
	int         out_index;
	int         id;         /* scratch for the pass that is running (valid after ds_graph_number) */
} ds_value;

typedef struct ds_attr {        /* as written in the model; sorted by key */
	const char *key;
	uint8_t     type;       /* DS_T_INT FLOAT STR INTS FLOATS STRS TENSOR GRAPH */
	union { int64_t i; double f; const char *s; ds_ints is; ds_floats fs; ds_strs ss; ds_value *t; ds_graph *g; } u;
} ds_attr;

struct ds_node {
	const char *op_name;    /* "Conv" */
	const char *domain;     /* "" = ONNX, "ds" = ours */
	const char *name;       /* may be "" */
	const ds_op *op;        /* NULL: no such operator here */
	ds_value  **in;         /* n_in; NULL = absent optional input */
	ds_value  **out;        /* n_out >= 1; an unused optional output is a value with name "" and no users */
	int         n_in, n_out, n_attr;
	ds_attr    *attr;
	void       *a;          /* op->attr_size bytes, filled from attr by ds_node_parse; lives in the graph's arena */
	ds_graph   *graph;
	int         id;         /* position, valid after ds_graph_number */
};

typedef struct ds_symbol { const char *name; uint32_t a, b; int32_t add; } ds_symbol;  /* a, b: NONE = basic */
#define DS_NO_SYMBOL 0xFFFFFFFFu

typedef struct ds_state { ds_value *in, *out; uint32_t axis; int64_t capacity; } ds_state;

struct ds_graph {
	ds_arena    arena;
	ds_graph   *parent;     /* of a sub-graph; its arena is the root's and unused here */
	ds_graph   *sub;        /* list of all sub-graphs, newest first: the root has its head, each sub-graph the next one */
	ds_value  **input;  int n_input;  size_t cap_input;
	ds_value  **weight; int n_weight; size_t cap_weight;    /* parameters and constants, any order; root only */
	ds_node   **node;   int n_node;   size_t cap_node;      /* execution order */
	ds_value  **output; int n_output; size_t cap_output;
	ds_symbol  *symbol; int n_symbol; size_t cap_symbol;    /* root only */
	ds_state   *state;  int n_state;  size_t cap_state;     /* root only */
};

/* ---- building; every function gives NULL or DS_E_NOMEM when memory is out ------------------------------------------------------ */
ds_graph *ds_graph_new(void);
void      ds_graph_free(ds_graph *g);                   /* unrefs tensor data */
ds_graph *ds_graph_sub(ds_graph *parent);               /* a sub-graph, freed with its root */
ds_graph *ds_graph_root(ds_graph *g);
ds_graph *ds_graph_clone(const ds_graph *g);            /* deep, tensor data shared by reference */
ds_value *ds_graph_input(ds_graph *g, const char *name, const ds_type *type);
/* Parameter or constant; takes the reference to data (data->data may be NULL: streamed).  kind is DS_V_PARAM or DS_V_CONST. */
ds_value *ds_graph_weight(ds_graph *g, ds_vkind kind, const char *name, ds_tensor *data);
ds_value *ds_graph_const_i64(ds_graph *g, int64_t n, const int64_t *v);        /* rank 1; n == -1: a scalar v[0] */
ds_value *ds_graph_const_f32(ds_graph *g, float v);                             /* a scalar */
/* Append a node with fresh outputs (names "" when out_name is NULL).  op_name, domain, names are copied. */
ds_node  *ds_graph_node(ds_graph *g, const char *domain, const char *op_name, const char *name, int n_in, ds_value *const *in,
	int n_out, const char *const *out_name);
/* The same at position `at` of the execution order. */
ds_node  *ds_graph_insert(ds_graph *g, int at, const char *domain, const char *op_name, const char *name, int n_in,
	ds_value *const *in, int n_out, const char *const *out_name);
ds_status ds_graph_output(ds_graph *g, ds_value *v);
int       ds_graph_symbol(ds_graph *g, const char *name);       /* index of the (new) basic symbol; name "" = anonymous; -1: no memory */

/* Attributes (kept sorted by key; setting replaces).  After a change call ds_node_parse. */
ds_status ds_attr_i(ds_node *n, const char *key, int64_t v);
ds_status ds_attr_f(ds_node *n, const char *key, double v);
ds_status ds_attr_s(ds_node *n, const char *key, const char *v);
ds_status ds_attr_is(ds_node *n, const char *key, int count, const int64_t *v);
ds_status ds_attr_fs(ds_node *n, const char *key, int count, const double *v);
ds_status ds_attr_ss(ds_node *n, const char *key, int count, const char *const *v);
ds_status ds_attr_t(ds_node *n, const char *key, ds_value *v);
ds_status ds_attr_g(ds_node *n, const char *key, ds_graph *v);
void      ds_attr_del(ds_node *n, const char *key);
const ds_attr *ds_attr_find(const ds_node *n, const char *key);

/* ---- reading and changing ----------------------------------------------------------------------------------------------------- */
void      ds_graph_number(ds_graph *g);                 /* node->id = position; value ids: inputs, weights, outputs of nodes, over all graphs */
int       ds_graph_values(const ds_graph *g);           /* how many ids ds_graph_number gave out */
const char *ds_node_label(const ds_node *n);            /* for messages: the node's name, of a nameless one that of its first output that has one, else "" */
/* Replace every use of `old` (node inputs, outputs of the graph, states, sub-graphs) by `new`. */
void      ds_graph_replace(ds_graph *g, ds_value *old, ds_value *new_);
int       ds_value_uses(const ds_graph *g, const ds_value *v);  /* node inputs + graph outputs */
ds_node  *ds_value_only_user(const ds_graph *g, const ds_value *v);     /* the single node that reads v; NULL: none, several, or an output */
/* Remove nodes without a used output, then weights without users.  Returns how many nodes went. */
int       ds_graph_prune_dead(ds_graph *g);
/* Put nodes into execution order (stable); DS_E_INPUT names a node on a cycle. */
ds_status ds_graph_sort(ds_graph *g, ds_err *err);
/* Name every nameless node ("Conv_12") and node output uniquely; names that exist are kept. */
ds_status ds_graph_name_all(ds_graph *g);
/* Find the operator's row and parse attributes into node->a: unknown keys, wrong types, missing required ones are DS_E_INPUT.
 * An unknown operator is DS_E_UNSUPPORTED (node->op stays NULL). */
ds_status ds_node_parse(ds_node *n, ds_err *err);
/* Parse all nodes; check arity, that refs are defined before use, outputs exist, names are unique, parameter dims match their data.
 * With unsupported operators: DS_E_UNSUPPORTED after everything was looked at, `missing` (may be NULL) gets one line per operator:
 * "Name (domain, n nodes, first: node name)". */
ds_status ds_graph_verify(ds_graph *g, ds_buf *missing, ds_err *err);
/* Infer types of all values from the stated types of inputs, weights (symbols allowed).  Values of small known tensors are followed.
 * A node that cannot be inferred with symbols leaves its outputs unknown; a contradiction is DS_E_INPUT with the node's name. */
ds_status ds_graph_infer(ds_graph *g, ds_err *err);
/* The engine behind ds_graph_infer and binding (exec/).  known[id] (ids of ds_graph_number, n of them) holds the tensors of values that are known at the
 * start (plain or quantised, by reference) and gets those that could be computed on the way: a node is evaluated when all its inputs are known, its
 * outputs are concrete and together no larger than fold_limit bytes.  strict: every value must become concrete, else DS_E_INPUT names the node. */
ds_status ds_graph_propagate(ds_graph *g, ds_tensor *known, int n, bool strict, size_t fold_limit, ds_err *err);
/* May samples be computed together, one after another along dim 0 of every input and output, without one changing what another gets?  Types are inferred
 * before.  Sure when true: each node was recognised as one that keeps samples apart; false where that could not be shown. */
bool      ds_graph_items_apart(ds_graph *g);
/* One line per node: name, operator, attributes, inputs, outputs with types. */
void      ds_graph_dump(const ds_graph *g, ds_buf *out);

#endif
