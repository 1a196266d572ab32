/* lrp.c - relevance by layers (AttnLRP, Achtibat et al. 2024, arXiv:2402.05602) as one backward pass with rules of its own
 *
 * What is passed back is g = relevance / value.  Then the rule of a product with weights without epsilon is the gradient itself, and so is that of sums,
 * of everything that moves elements, and of the softmax, whose Taylor rule x (R - y sum R) is x times its gradient.  What is left for rules of their
 * own are products of two activations (half the gradient for each: the uniform rule), functions through the origin (value / argument in place of the
 * derivative: the identity rule), factors that a value takes from itself (a normalisation's 1 / sigma, the gate of a SiLU: constants), and epsilon and
 * gamma.  Operators without a row go by their gradient column. */
#include "lrp.h"

#include <string.h>

static const ds_lrp_rule *const rules[] = {
#define DS_LRP(op, rule) &(const ds_lrp_rule){ op, rule },
#include "lrp_rules.def"
#undef DS_LRP
};

static const ds_lrp_rule *rule_of(const ds_node *n)
{
	for (size_t i = 0; i < DS_COUNTOF(rules); i++)
		if (strcmp(rules[i]->op, n->op_name) == 0)
			return rules[i];
	return NULL;
}

/* ---- what rules use ---------------------------------------------------------------------------------------------------------------- */
bool ds_lrp_moves(const ds_lrp *p, const ds_value *v)
{
	return v && v->id < p->values && p->data[v->id];
}

ds_value *ds_lrp_relevance(ds_emit *e, ds_value *g, ds_value *x)
{
	/* a mask's minus infinity times a gradient of nought is no relevance */
	ds_value *zero = g && x ? ds_emit_scalar(e, x->type.dtype, 0) : NULL;
	if (!zero)
		return NULL;
	ds_value *r = ds_emit3(e, "Where", ds_emit2(e, "Equal", g, zero), zero, ds_emit2(e, "Mul", g, x));
	if (x->type.dtype != DS_F32) {
		r = ds_emit1(e, "Cast", r);
		ds_emit_i(e, r, "to", ds_dtype_of(DS_F32)->onnx);
	}
	r = ds_emit1(e, "ReduceSum", r);
	ds_emit_i(e, r, "keepdims", 0);
	return r;
}

void ds_lrp_sink(ds_emit *e, ds_value **sink, ds_value *r)
{
	if (r)
		*sink = *sink ? ds_emit2(e, "Add", *sink, r) : r;
}

ds_status ds_lrp_by_gradient(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	if (!n->op || !n->op->gradient)
		return ds_fail(p->err, DS_E_UNSUPPORTED, "node \"%.100s\": operator %.64s has no gradient", ds_node_label(n), n->op_name);
	return n->op->gradient(p->g, n, dout, din, p->err);
}

/* ---- the pass ----------------------------------------------------------------------------------------------------------------------- */
static ds_status add_to(ds_lrp *p, ds_value *v, ds_value *g)
{
	if (!g)
		return DS_OK;
	if (p->grad[v->id]) {
		ds_emit e = ds_emit_begin(p->g, p->err);
		g = ds_emit2(&e, "Add", p->grad[v->id], g);
		DS_TRY(ds_emit_end(&e));
	}
	p->grad[v->id] = g;
	return DS_OK;
}

/* What goes to constants is relevance that no input gets. */
static ds_status to_constants(ds_lrp *p, const ds_node *n, ds_value *const *din)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && din[i] && !ds_lrp_moves(p, n->in[i]))
			ds_lrp_sink(&e, &p->sinks.bias, ds_lrp_relevance(&e, din[i], n->in[i]));
	return ds_emit_end(&e);
}

static ds_status visit(ds_lrp *p, const ds_node *n)
{
	bool wanted = false, flows = false;
	const ds_lrp_rule *rule = rule_of(n);
	ds_status rc;
	for (int i = 0; i < n->n_in; i++)
		wanted |= n->in[i] && p->needs[n->in[i]->id] && ds_grad_float(n->in[i]);
	for (int i = 0; i < n->n_out; i++)
		flows |= p->grad[n->out[i]->id] != NULL;
	if (!flows)
		return DS_OK;
	if (!wanted) {                  /* an end: a constant, or an input that nobody asked about */
		ds_emit e = ds_emit_begin(p->g, p->err);
		for (int i = 0; i < n->n_out; i++)
			if (p->grad[n->out[i]->id])
				ds_lrp_sink(&e, &p->sinks.other, ds_lrp_relevance(&e, p->grad[n->out[i]->id], n->out[i]));
		return ds_emit_end(&e);
	}
	ds_value **dout = ds_calloc((size_t)n->n_out + (size_t)n->n_in + 1, sizeof *dout), **din = dout + n->n_out;
	if (!dout)
		return ds_fail_nomem(p->err, 0);
	for (int i = 0; i < n->n_out; i++)
		dout[i] = p->grad[n->out[i]->id];
	rc = rule ? rule->fn(p, n, dout, din) : ds_lrp_by_gradient(p, n, dout, din);
	if (rc != DS_OK)
		ds_err_prefix(p->err, "node \"%.100s\" (%.64s), relevance", ds_node_label(n), n->op_name);
	if (rc == DS_OK && rule)
		rc = to_constants(p, n, din);
	for (int i = 0; rc == DS_OK && i < n->n_in; i++)
		if (n->in[i] && ds_lrp_moves(p, n->in[i]))
			rc = add_to(p, n->in[i], din[i]);
	ds_free(dout);
	return rc;
}

/* needs: on the way from a wanted value; data: made from a float that the model is given or that is wanted. */
static void mark(ds_lrp *p, ds_value *const *wrt, int n)
{
	for (int i = 0; i < n; i++)
		p->needs[wrt[i]->id] = p->data[wrt[i]->id] = 1;
	for (int i = 0; i < p->g->n_input; i++)
		p->data[p->g->input[i]->id] = 1;
	for (int i = 0; i < p->nodes; i++) {
		const ds_node *f = p->g->node[i];
		char needs = 0, data = 0;
		for (int k = 0; k < f->n_in; k++) {
			needs |= f->in[k] ? p->needs[f->in[k]->id] : 0;
			data |= f->in[k] ? p->data[f->in[k]->id] : 0;
		}
		for (int k = 0; k < f->n_out; k++) {
			p->needs[f->out[k]->id] |= needs;
			p->data[f->out[k]->id] |= data;
		}
	}
}

/* Relevance stops at wanted values: what makes them is not asked. */
static bool wanted_only(const ds_node *n, ds_value *const *wrt, int count)
{
	int found = 0;
	for (int i = 0; i < n->n_out; i++)
		for (int k = 0; k < count; k++)
			found += n->out[i] == wrt[k];
	return found == n->n_out;
}

ds_status ds_lrp_backward(ds_graph *g, ds_value *y, ds_value *seed, ds_value *const *wrt, int n, ds_value **grad, const ds_lrp_opts *o, ds_lrp_sinks *sinks,
	ds_err *err)
{
	ds_status rc = DS_OK;
	int nodes = g->n_node;
	ds_graph_number(g);
	ds_lrp p = { .g = g, .err = err, .o = *o, .values = ds_graph_values(g), .nodes = nodes };
	p.needs = ds_calloc((size_t)p.values + 1, 1);
	p.data = ds_calloc((size_t)p.values + 1, 1);
	p.grad = ds_calloc((size_t)p.values + 1, sizeof *p.grad);
	if (!p.needs || !p.data || !p.grad) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	mark(&p, wrt, n);
	ds_emit e = ds_emit_begin(g, err);
	if (!seed)
		seed = ds_emit_expand(&e, ds_emit_scalar(&e, y->type.dtype, 1), &y->type);
	DS_GOTO(ds_emit_end(&e));
	DS_GOTO(add_to(&p, y, seed));
	for (int i = nodes - 1; i >= 0; i--)
		if (!wanted_only(g->node[i], wrt, n))
			DS_GOTO(visit(&p, g->node[i]));
	for (int i = 0; i < n; i++)
		grad[i] = p.grad[wrt[i]->id];
	if (sinks)
		*sinks = p.sinks;
out:
	ds_free(p.needs);
	ds_free(p.data);
	ds_free(p.grad);
	return rc;
}
