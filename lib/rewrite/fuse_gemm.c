/* fuse_gemm.c - Gemm, or MatMul by a constant matrix, with bias and activation becomes ds.GemmAct */
#include "help.h"

static const char name[] = "fuse-gemm";

static bool attr_is(const ds_node *n, const char *key, double def, double want)
{
	const ds_attr *a = ds_attr_find(n, key);
	return (!a ? def : a->type == DS_T_INT ? (double)a->u.i : a->u.f) == want;
}

/* Is v a constant addend of one value per column? */
static bool is_row(const ds_value *v, int64_t columns)
{
	return ds_rw_constant(v) && !v->data.q && v->data.dtype == DS_F32 && ds_tensor_count(&v->data) == columns && v->data.rank >= 1 &&
		v->data.dim[v->data.rank - 1] == columns;
}

static ds_status one(ds_graph *g, int at, int *applied, ds_buf *log, ds_err *err)
{
	ds_node *n = g->node[at];
	bool gemm = ds_rw_is(n, "", "Gemm");
	bool trans = gemm && !attr_is(n, "transB", 0, 0);
	ds_value *w = n->in[1], *bias = gemm && n->n_in > 2 ? n->in[2] : NULL, *last = n->out[0];
	if (!ds_rw_constant(w) || w->data.rank != 2 || n->in[0]->type.dtype != DS_F32 || w->data.dtype != DS_F32) {
		ds_rw_log(log, name, n, "kept: the right operand is not a constant f32 matrix");
		return DS_OK;
	}
	int64_t columns = w->data.dim[trans ? 0 : 1];
	if (gemm && (!attr_is(n, "alpha", 1, 1) || !attr_is(n, "beta", 1, 1) || !attr_is(n, "transA", 0, 0) || (bias && !is_row(bias, columns)))) {
		ds_rw_log(log, name, n, "kept: alpha, beta, transA or the shape of C");
		return DS_OK;
	}
	ds_node *tail = n, *add = ds_value_only_user(g, last);
	if (!bias && ds_rw_is(add, "", "Add") && !ds_rw_is_output(g, last)) {
		ds_value *other = add->in[0] == last ? add->in[1] : add->in[0];
		/* A bias of higher rank than the product would broadcast it. */
		if (is_row(other, columns) && other->data.rank <= n->out[0]->type.rank) {
			bias = other;
			tail = add;
			last = add->out[0];
		}
	}
	ds_rw_act act;
	if (ds_rw_activation(g, last, &act)) {
		tail = act.node;
		last = act.node->out[0];
	}
	if (bias && bias->data.rank != 1) {
		ds_tensor t = ds_tensor_ref(&bias->data);
		t.rank = 1;
		t.dim[0] = columns;
		bias = ds_rw_param(g, bias->name[0] ? bias->name : n->name, &t);
		if (!bias) {
			ds_tensor_done(&t);
			return ds_fail_nomem(err, 0);
		}
	}
	ds_value *in[3] = { n->in[0], w, bias };
	const char *out_name = last->name;
	while (g->node[at] != tail)
		at++;
	ds_node *m = ds_graph_insert(g, at, "ds", "GemmAct", n->name, bias ? 3 : 2, in, 1, &out_name);
	if (!m || ds_attr_i(m, "transB", trans) != DS_OK || ds_rw_set_act(m, &act) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(m, err));
	m->out[0]->type = last->type;
	last->name = "";
	ds_graph_replace(g, last, m->out[0]);
	ds_rw_log(log, name, n, "fused%s%s%s", tail != n && bias ? " bias" : "", act.node ? " " : "", act.node ? act.node->op_name : "");
	++*applied;
	return DS_OK;
}

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		if ((!ds_rw_is(n, "", "Gemm") && !ds_rw_is(n, "", "MatMul")) || !ds_value_uses(g, n->out[0]))
			continue;
		int before = *applied;
		DS_TRY(one(g, i, applied, log, err));
		if (*applied != before) {
			ds_graph_prune_dead(g);
			i--;            /* n went, what follows moved up */
		}
	}
	return DS_OK;
}

const ds_rewrite ds_rewrite_fuse_gemm = { name, false, apply, "fuse matrix products with bias and activation" };
