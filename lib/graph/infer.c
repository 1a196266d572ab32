/* infer.c - types and known values through a graph, in one pass in execution order */
#include "op.h"

#include <string.h>

#define MAX_ARGS 64     /* on the stack; nodes with more inputs (wide Concat, Sum) use the heap */

static bool fold_node(const ds_node *n, const ds_arg *in, const ds_type *out, size_t limit)
{
	if (!n->op->forward || (n->op->flags & DS_OP_IMPURE))
		return false;
	uint64_t bytes = 0;
	for (int i = 0; i < n->n_out; i++) {
		if (!ds_type_concrete(&out[i]))
			return false;
		bytes += (uint64_t)ds_type_count(&out[i]) * ds_dtype_size(out[i].dtype);
	}
	if (bytes > limit)
		return false;
	if (n->op->flags & DS_OP_SHAPE_ONLY) {
		for (int i = 0; i < n->n_in; i++)
			if (in[i].present && !ds_type_concrete(&in[i].type))
				return false;
		return true;
	}
	for (int i = 0; i < n->n_in; i++)
		if (in[i].present && (!in[i].value || in[i].value->q))
			return false;
	return true;
}

/* Run the reference of a node whose inputs are all known. */
static ds_status evaluate(const ds_node *n, const ds_arg *in, const ds_type *out, ds_tensor *known, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_tensor head[MAX_ARGS];
	const ds_tensor *arg[MAX_ARGS];
	ds_tensor *res[MAX_ARGS];
	ds_env env = { .known = true };
	if (n->n_in > MAX_ARGS || n->n_out > MAX_ARGS)
		return DS_OK;                   /* stays unknown: computed at run time */
	for (int i = 0; i < n->n_in; i++) {
		arg[i] = NULL;
		if (in[i].present && in[i].value) {
			arg[i] = in[i].value;
		} else if (in[i].present) {
			ds_tensor_borrow(&head[i], in[i].type.dtype, in[i].type.rank, in[i].type.dim, NULL);
			arg[i] = &head[i];
		}
	}
	env.scratch_size = n->op->scratch ? n->op->scratch(n, in, out, 1) : 0;
	env.scratch = env.scratch_size ? ds_aligned(env.scratch_size) : NULL;
	if (env.scratch_size && !env.scratch)
		return ds_fail_nomem(err, env.scratch_size);
	for (int i = 0; i < n->n_out; i++) {
		res[i] = &known[n->out[i]->id];
		DS_GOTO(ds_tensor_new(res[i], out[i].dtype, out[i].rank, out[i].dim, err));
	}
	rc = n->op->forward(&env, n, arg, res, err);
out:
	ds_free(env.scratch);
	return rc;
}

static ds_status infer_node(ds_node *n, ds_tensor *known, bool strict, size_t limit, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_arg fixed[MAX_ARGS], *in = n->n_in > MAX_ARGS ? ds_calloc((size_t)n->n_in, sizeof *in) : fixed;
	ds_type fixed_out[MAX_ARGS], *out = n->n_out > MAX_ARGS ? ds_calloc((size_t)n->n_out, sizeof *out) : fixed_out;
	if (!in || !out) {
		rc = ds_fail_nomem(err, sizeof *in * (size_t)n->n_in);
		goto out;
	}
	bool have = n->op && n->op->infer;
	for (int i = 0; i < n->n_in; i++) {
		in[i] = (ds_arg){ .type.rank = -1 };
		if (n->in[i]) {
			in[i].present = true;
			in[i].type = n->in[i]->type;
			if (known[n->in[i]->id].data)
				in[i].value = &known[n->in[i]->id];
			have &= in[i].type.dtype != DS_NONE && (in[i].type.rank >= 0 || !strict);
		}
	}
	for (int i = 0; i < n->n_out; i++)
		out[i] = (ds_type){ .rank = -1 };
	if (!have) {
		if (strict)
			rc = ds_fail(err, n->op ? DS_E_INPUT : DS_E_UNSUPPORTED, n->op ? "an input's type is not known" : "operator is not supported");
		goto out;
	}
	DS_GOTO(n->op->infer(n, in, out, err));
	for (int i = 0; i < n->n_out; i++) {
		n->out[i]->type = out[i];
		if (strict && n->out[i]->name[0] && !ds_type_concrete(&out[i])) {
			rc = ds_fail(err, DS_E_INPUT, "shape of output %d depends on data that are not known before the run", i);
			goto out;
		}
	}
	if (fold_node(n, in, out, limit))
		rc = evaluate(n, in, out, known, err);
out:
	if (rc != DS_OK)
		ds_err_prefix(err, "node \"%.100s\" (%.64s)", ds_node_label(n), n->op_name);
	if (in != fixed)
		ds_free(in);
	if (out != fixed_out)
		ds_free(out);
	return rc;
}

ds_status ds_graph_propagate(ds_graph *g, ds_tensor *known, int n, bool strict, size_t fold_limit, ds_err *err)
{
	(void)n;
	for (int i = 0; i < g->n_node; i++)
		DS_TRY(infer_node(g->node[i], known, strict, fold_limit, err));
	return DS_OK;
}

ds_status ds_graph_infer(ds_graph *g, ds_err *err)
{
	enum { FOLD = 64 << 10 };       /* shape arithmetic, not weights */
	ds_graph_number(g);
	int n = ds_graph_values(g);
	ds_tensor *known = ds_calloc((size_t)n + 1, sizeof *known);
	if (!known)
		return ds_fail_nomem(err, sizeof *known * (size_t)n);
	for (int i = 0; i < g->n_weight; i++)
		if (g->weight[i]->data.data)
			known[g->weight[i]->id] = ds_tensor_ref(&g->weight[i]->data);
	ds_status rc = ds_graph_propagate(g, known, n, false, FOLD, err);
	for (int i = 0; i < n; i++)
		ds_tensor_done(&known[i]);
	ds_free(known);
	return rc;
}
