/* verify.c - is a graph well formed?  And what does it look like? */
#include "op.h"
#include "../base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- unsupported operators: one line each, with count and first node --------------------------------------------------------------- */
typedef struct missing_op { const ds_node *first; int count; } missing_op;

static ds_status note_missing(missing_op **list, size_t *n, size_t *cap, const ds_node *node)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*list)[i].first->op_name, node->op_name) && !strcmp((*list)[i].first->domain, node->domain)) {
			(*list)[i].count++;
			return DS_OK;
		}
	if (!ds_grow((void **)list, *n, cap, sizeof **list))
		return DS_E_NOMEM;
	(*list)[(*n)++] = (missing_op){ node, 1 };
	return DS_OK;
}

static void print_missing(ds_buf *b, const missing_op *m)
{
	ds_text_quote(b, m->first->op_name, strlen(m->first->op_name));
	ds_buf_printf(b, " (%s, %d node%s, first: ", *m->first->domain ? m->first->domain : "ai.onnx", m->count, m->count == 1 ? "" : "s");
	ds_text_quote(b, ds_node_label(m->first), strlen(ds_node_label(m->first)));
	ds_buf_str(b, ")\n");
}

/* ---- structure ----------------------------------------------------------------------------------------------------------------- */
static int cmp_name(const void *a, const void *b)
{
	return strcmp((*(ds_value *const *)a)->name, (*(ds_value *const *)b)->name);
}

static ds_status unique_names(ds_graph *g, ds_err *err)
{
	size_t n = 0;
	ds_value **v = ds_calloc((size_t)ds_graph_values(g) + 1, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_input; i++)
		v[n++] = g->input[i];
	for (int i = 0; i < g->n_weight; i++)
		v[n++] = g->weight[i];
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			v[n++] = g->node[i]->out[k];
	qsort(v, n, sizeof *v, cmp_name);
	ds_status rc = DS_OK;
	for (size_t i = 1; i < n && rc == DS_OK; i++)
		if (v[i]->name[0] && strcmp(v[i - 1]->name, v[i]->name) == 0)
			rc = ds_fail(err, DS_E_INPUT, "two values are named \"%.200s\"", v[i]->name);
	ds_free(v);
	return rc;
}

static ds_status check_arity(const ds_node *n, ds_err *err)
{
	const ds_op *op = n->op;
	if (n->n_in < op->min_in || (op->max_in >= 0 && n->n_in > op->max_in))
		return ds_fail(err, DS_E_INPUT, "node \"%.100s\" (%.64s) has %d inputs", ds_node_label(n), n->op_name, n->n_in);
	if (n->n_out < op->min_out || (op->max_out >= 0 && n->n_out > op->max_out))
		return ds_fail(err, DS_E_INPUT, "node \"%.100s\" (%.64s) has %d outputs", ds_node_label(n), n->op_name, n->n_out);
	for (int i = 0; i < op->min_in; i++)
		if (!n->in[i])
			return ds_fail(err, DS_E_INPUT, "node \"%.100s\" (%.64s): input %d is missing", ds_node_label(n), n->op_name, i);
	return DS_OK;
}

/* Nodes of g and of its sub-graphs; ready[id] says that a value is defined by now. */
static ds_status verify_nodes(ds_graph *g, char *ready, missing_op **list, size_t *n_list, size_t *cap, ds_err *err)
{
	for (int i = 0; i < g->n_input; i++)
		ready[g->input[i]->id] = 1;
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		ds_status rc = ds_node_parse(n, err);
		if (rc == DS_E_UNSUPPORTED)
			rc = note_missing(list, n_list, cap, n);
		else if (rc == DS_OK)
			rc = check_arity(n, err);
		DS_TRY(rc);
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] && !ready[n->in[k]->id])
				return ds_fail(err, DS_E_INPUT, "node \"%.100s\" (%.64s): input %d is used before it is made", ds_node_label(n), n->op_name, k);
		for (int k = 0; k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				DS_TRY(verify_nodes(n->attr[k].u.g, ready, list, n_list, cap, err));
		for (int k = 0; k < n->n_out; k++)
			ready[n->out[k]->id] = 1;
	}
	for (int i = 0; i < g->n_output; i++)
		if (!ready[g->output[i]->id])
			return ds_fail(err, DS_E_INPUT, "output \"%.200s\" is never made", g->output[i]->name);
	return DS_OK;
}

ds_status ds_graph_verify(ds_graph *g, ds_buf *missing, ds_err *err)
{
	missing_op *list = NULL;
	size_t n = 0, cap = 0;
	if (!g->parent && !g->n_output)
		return ds_fail(err, DS_E_INPUT, "the graph has no output");
	ds_graph_number(g);
	char *ready = ds_calloc((size_t)ds_graph_values(g) + 1, 1);
	ds_status rc = ready ? DS_OK : ds_fail_nomem(err, 0);
	if (rc != DS_OK)
		goto out;
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		ready[v->id] = 1;
		if (v->data.data && !(v->data.rank == v->type.rank && memcmp(v->data.dim, v->type.dim, sizeof *v->type.dim * (size_t)v->data.rank) == 0)) {
			rc = ds_fail(err, DS_E_INPUT, "parameter \"%.200s\" has other dimensions than its data", v->name);
			goto out;
		}
	}
	DS_GOTO(verify_nodes(g, ready, &list, &n, &cap, err));
	DS_GOTO(unique_names(g, err));
	if (n) {
		for (size_t i = 0; missing && i < n; i++)
			print_missing(missing, &list[i]);
		ds_buf names = { 0 };
		for (size_t i = 0; i < n; i++)
			ds_buf_printf(&names, "%s%.64s", i ? ", " : "", list[i].first->op_name);
		rc = ds_fail(err, DS_E_UNSUPPORTED, "%zu operator%s not supported: %.400s", n, n == 1 ? " is" : "s are", names.data ? names.data : "");
		ds_buf_done(&names);
	}
out:
	ds_free(list);
	ds_free(ready);
	return rc;
}

/* ---- dump ---------------------------------------------------------------------------------------------------------------------- */
static void print_name(ds_buf *b, const ds_value *v)
{
	if (!v)
		ds_buf_str(b, "-");
	else if (v->name[0])
		ds_text_quote(b, v->name, strlen(v->name));
	else
		ds_buf_printf(b, "%%%d", v->id);
}

static void print_attr(ds_buf *b, const ds_attr *a)
{
	ds_buf_printf(b, " %s=", a->key);
	char num[32];
	switch (a->type) {
	case DS_T_INT:
		ds_buf_printf(b, "%" PRId64, a->u.i);
		break;
	case DS_T_FLOAT:
		ds_buf_str(b, ds_fmt_f64(num, a->u.f));
		break;
	case DS_T_STR:
		ds_text_json(b, a->u.s, strlen(a->u.s));
		break;
	case DS_T_INTS:
		for (int i = 0; i < a->u.is.n; i++)
			ds_buf_printf(b, "%s%" PRId64, i ? "," : "", a->u.is.v[i]);
		break;
	case DS_T_FLOATS:
		for (int i = 0; i < a->u.fs.n; i++)
			ds_buf_printf(b, "%s%s", i ? "," : "", ds_fmt_f64(num, a->u.fs.v[i]));
		break;
	case DS_T_STRS:
		for (int i = 0; i < a->u.ss.n; i++) {
			ds_buf_str(b, i ? "," : "");
			ds_text_json(b, a->u.ss.v[i], strlen(a->u.ss.v[i]));
		}
		break;
	case DS_T_TENSOR:
		print_name(b, a->u.t);
		break;
	default:
		ds_buf_str(b, "{...}");
	}
}

void ds_graph_dump(const ds_graph *g, ds_buf *b)
{
	ds_graph *root = ds_graph_root((ds_graph *)g);
	const char **names = ds_calloc((size_t)root->n_symbol + 1, sizeof *names);
	for (int i = 0; names && i < root->n_symbol; i++)
		names[i] = root->symbol[i].name;
	for (int i = 0; i < g->n_input; i++) {
		ds_buf_str(b, "input ");
		print_name(b, g->input[i]);
		ds_buf_str(b, ": ");
		ds_type_print(b, &g->input[i]->type, names);
		ds_buf_str(b, "\n");
	}
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (int k = 0; k < n->n_out; k++) {
			ds_buf_str(b, k ? ", " : "");
			print_name(b, n->out[k]);
			ds_buf_str(b, ": ");
			ds_type_print(b, &n->out[k]->type, names);
		}
		ds_buf_printf(b, " = %s%s%s(", n->domain, *n->domain ? "." : "", n->op_name);
		for (int k = 0; k < n->n_in; k++) {
			ds_buf_str(b, k ? ", " : "");
			print_name(b, n->in[k]);
		}
		ds_buf_str(b, ")");
		for (int k = 0; k < n->n_attr; k++)
			print_attr(b, &n->attr[k]);
		if (n->name[0]) {
			ds_buf_str(b, "  # ");
			ds_text_quote(b, n->name, strlen(n->name));
		}
		ds_buf_str(b, "\n");
	}
	ds_buf_str(b, "output");
	for (int i = 0; i < g->n_output; i++) {
		ds_buf_str(b, " ");
		print_name(b, g->output[i]);
	}
	ds_buf_str(b, "\n");
	ds_free(names);
}
