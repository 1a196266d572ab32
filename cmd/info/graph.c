/* graph.c - ds-info --graph: one row per node */
#include <string.h>

#include "info.h"

void info_value_text(ds_buf *b, const ds_value *v, const char *const *symbols)
{
	if (!v) {
		ds_buf_str(b, "-");
		return;
	}
	if (v->name[0])
		ds_buf_str(b, v->name);
	else
		ds_buf_printf(b, "%%%d", v->id);
	if (v->type.dtype && symbols) {
		ds_buf_str(b, ":");
		ds_type_print(b, &v->type, symbols);
	}
}

static void attr_text(ds_buf *b, const ds_attr *a)
{
	char num[32];
	ds_buf_printf(b, "%s=", a->key);
	switch (a->type) {
	case DS_T_INT:
		ds_buf_printf(b, "%lld", (long long)a->u.i);
		break;
	case DS_T_FLOAT:
		ds_buf_str(b, ds_fmt_f64(num, a->u.f));
		break;
	case DS_T_STR:
		ds_buf_str(b, a->u.s);
		break;
	case DS_T_INTS:
		for (int i = 0; i < a->u.is.n; i++)
			ds_buf_printf(b, "%s%lld", i ? "," : "", (long long)a->u.is.v[i]);
		break;
	case DS_T_FLOATS:
		for (int i = 0; i < a->u.fs.n; i++)
			ds_buf_printf(b, "%s%s", i ? "," : "", ds_fmt_f64(num, a->u.fs.v[i]));
		break;
	case DS_T_STRS:
		for (int i = 0; i < a->u.ss.n; i++)
			ds_buf_printf(b, "%s%s", i ? "," : "", a->u.ss.v[i]);
		break;
	case DS_T_TENSOR:
		info_value_text(b, a->u.t, NULL);
		break;
	default:
		ds_buf_printf(b, "graph of %d nodes", a->u.g->n_node);
	}
}

/* The nodes of one graph, and after each the nodes of the graphs it owns (depth is limited by the format). */
static ds_status graph_rows(section *o, const ds_graph *g, int depth, const char *const *symbols, ds_err *err)
{
	ds_buf b = { 0 };
	ds_status rc = DS_OK;
	for (int i = 0; rc == DS_OK && i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		info_cell_i64(o, depth);
		info_cell_text(o, n->name);
		ds_buf_printf(&b, "%s%s%s", n->domain, *n->domain ? "." : "", n->op_name);
		info_cell_buf(o, &b);
		for (int k = 0; k < n->n_in; k++) {
			ds_buf_str(&b, k ? " " : "");
			info_value_text(&b, n->in[k], NULL);
		}
		info_cell_buf(o, &b);
		for (int k = 0; k < n->n_out; k++) {
			ds_buf_str(&b, k ? " " : "");
			info_value_text(&b, n->out[k], symbols);
		}
		info_cell_buf(o, &b);
		for (int k = 0; k < n->n_attr; k++) {
			ds_buf_str(&b, k ? " " : "");
			attr_text(&b, &n->attr[k]);
		}
		info_cell_buf(o, &b);
		rc = info_row_end(o, err);
		for (int k = 0; rc == DS_OK && k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				rc = graph_rows(o, n->attr[k].u.g, depth + 1, symbols, err);
	}
	ds_buf_done(&b);
	return rc;
}

/* Names of symbols as ds_type_print wants them; sums are spelled out. */
ds_status info_symbol_names(ds_graph *g, const char ***out, ds_err *err)
{
	const char **name = ds_calloc((size_t)g->n_symbol + 1, sizeof *name);
	*out = name;
	if (!name)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_symbol; i++) {
		const ds_symbol *s = &g->symbol[i];
		if (s->a == DS_NO_SYMBOL)
			name[i] = s->name[0] ? s->name : "?";
		else if (s->b == DS_NO_SYMBOL)
			name[i] = ds_arena_printf(&g->arena, "%s%+d", name[s->a], s->add);
		else if (s->add)
			name[i] = ds_arena_printf(&g->arena, "%s+%s%+d", name[s->a], name[s->b], s->add);
		else
			name[i] = ds_arena_printf(&g->arena, "%s+%s", name[s->a], name[s->b]);
		if (!name[i] || strlen(name[i]) > 1000)         /* sums of sums can grow without end */
			name[i] = "?";
	}
	return DS_OK;
}

ds_status info_show_graph(section *o, ds_graph *g, ds_err *err)
{
	static const char *const columns[] = { ">depth", "node", "operator", "inputs", "outputs", "attributes", NULL };
	static const char *const keys[] = { "depth", "node", "operator", "inputs", "outputs", "attributes", NULL };
	const char **symbols;
	ds_status rc = info_symbol_names(g, &symbols, err);
	ds_graph_number(g);
	if (rc == DS_OK)
		rc = info_section_begin(o, columns, keys, err);
	if (rc == DS_OK)
		rc = graph_rows(o, g, 0, symbols, err);
	ds_free((void *)symbols);
	return rc;
}
