/* operators.c - ds-convert --check: every operator of a graph, and whether it is supported */
#include <string.h>

#include "convert.h"

static const char *const check_columns[] = { "operator", "domain", "nodes", "supported", NULL };

typedef struct count { const ds_node *n; int64_t nodes; } count;

static ds_status count_ops(const ds_graph *g, count **list, size_t *n, size_t *cap, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *node = g->node[i];
		size_t k = 0;
		while (k < *n && (strcmp((*list)[k].n->op_name, node->op_name) != 0 || strcmp((*list)[k].n->domain, node->domain) != 0))
			k++;
		if (k == *n) {
			if (!ds_grow((void **)list, *n, cap, sizeof **list))
				return ds_fail_nomem(err, sizeof **list);
			(*list)[(*n)++] = (count){ node, 0 };
		}
		(*list)[k].nodes++;
		for (int a = 0; a < node->n_attr; a++)
			if (node->attr[a].type == DS_T_GRAPH)
				DS_TRY(count_ops(node->attr[a].u.g, list, n, cap, err));
	}
	return DS_OK;
}

ds_status convert_print_check(const settings *s, const ds_graph *g, ds_sink *sink, int *missing, ds_err *err)
{
	count *list = NULL;
	size_t n = 0, cap = 0;
	ds_rows *rows = NULL;
	ds_status rc;
	DS_GOTO(count_ops(g, &list, &n, &cap, err));
	DS_GOTO(ds_rows_open(&rows, sink, s->c.json, check_columns, err));
	for (size_t i = 0; i < n && rc == DS_OK; i++) {
		const ds_node *node = list[i].n;
		bool yes = ds_op_find(node->domain, node->op_name) != NULL;
		const char *domain = *node->domain ? node->domain : "ai.onnx";
		*missing += !yes;
		ds_rows_str(rows, node->op_name, strlen(node->op_name));
		ds_rows_str(rows, domain, strlen(domain));
		ds_rows_i64(rows, list[i].nodes);
		ds_rows_str(rows, yes ? "yes" : "no", yes ? 3 : 2);
		rc = ds_rows_end(rows, err);
	}
out:
	ds_rows_close(rows);
	ds_free(list);
	return rc;
}

ds_status convert_check_result(int missing, ds_err *err)
{
	if (missing == 0)
		return DS_OK;
	return ds_fail(err, DS_E_UNSUPPORTED, "%d operator%s not supported", missing, missing == 1 ? " is" : "s are");
}
