/* lrp_linear.c - relevance through products: with weights by the epsilon or the gamma rule, of activations half and half */
#include "lrp.h"

#include <string.h>

static ds_value *typed(ds_value *v, const ds_type *t)
{
	if (v)
		v->type = *t;
	return v;
}

/* The gradient of input `i` of n for gradient g of the output, with `w` in the place of the weight. */
static ds_value *back(ds_lrp *p, const ds_node *n, int i, ds_value *w, ds_value *g, ds_status *rc)
{
	ds_value *in[2] = { n->in[0], n->in[1] }, *din[2] = { NULL };
	ds_node with = *n;
	in[1 - i] = w;
	with.in = in;
	with.n_in = 2;
	if (*rc == DS_OK && w && g)
		*rc = n->op->gradient(p->g, &with, &g, din, p->err);
	return typed(din[i], &n->in[i]->type);
}

/* n again for other inputs, without its bias. */
static ds_value *again(ds_emit *e, const ds_node *n, int i, ds_value *x, ds_value *w)
{
	char name[40];
	ds_value *in[2];
	size_t len = strlen(n->op_name);
	if (len + 4 > sizeof name)
		return NULL;
	memcpy(name, "ds.", 3);
	memcpy(name + 3, n->op_name, len + 1);
	in[i] = x;
	in[1 - i] = w;
	ds_value *v = ds_emit_op(e, n->domain[0] ? name : name + 3, 2, in);
	ds_emit_attrs(e, v, n);
	return typed(v, &n->out[0]->type);
}

/* What is positive in v, and the rest. */
static void halves(ds_emit *e, ds_value *v, ds_value *half[2])
{
	half[0] = typed(ds_emit1(e, "Relu", v), &v->type);
	half[1] = typed(ds_emit2(e, "Sub", v, half[0]), &v->type);
}

const ds_node *ds_lrp_bias_of(const ds_lrp *p, const ds_node *product)
{
	const ds_node *add = NULL;
	const ds_value *y = product->out[0];
	int readers = 0;
	if (strncmp(product->op_name, "MatMul", 6) != 0 || ds_lrp_moves(p, product->in[0]) == ds_lrp_moves(p, product->in[1]))
		return NULL;
	for (int i = 0; i < p->nodes; i++)
		for (int k = 0; k < p->g->node[i]->n_in; k++)
			if (p->g->node[i]->in[k] == y) {
				add = p->g->node[i];
				readers++;
			}
	if (readers != 1 || add->domain[0] || strcmp(add->op_name, "Add") != 0)
		return NULL;
	return !ds_lrp_moves(p, add->in[add->in[0] == y]) && ds_type_same_dims(&add->out[0]->type, &y->type) ? add : NULL;
}

/* The gamma rule, generalised to inputs of either sign: contributions x w that agree in sign with the result z count 1 + gamma times.
 * s_out is relevance over what all contributions come to. */
static ds_status by_gamma(ds_lrp *p, const ds_node *n, int i, ds_value *z, ds_value *g, ds_value **dx, ds_value **s_out)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	ds_status rc = DS_OK;
	ds_value *w = n->in[1 - i], *xh[2], *wh[2], *to[2], *sh[2];
	ds_dtype d = z->type.dtype;
	ds_value *zero = ds_emit_scalar(&e, d, 0), *gamma = ds_emit_scalar(&e, d, p->o.gamma);
	halves(&e, n->in[i], xh);
	halves(&e, w, wh);
	for (int k = 0; k < 2; k++)     /* sums of the positive and of the negative contributions */
		to[k] = ds_emit2(&e, "Add", again(&e, n, i, xh[0], wh[k]), again(&e, n, i, xh[1], wh[1 - k]));
	ds_value *up = ds_emit2(&e, "Greater", z, zero);
	ds_value *all = ds_emit2(&e, "Add", z, ds_emit2(&e, "Mul", gamma, ds_emit3(&e, "Where", up, to[0], to[1])));
	all = ds_emit3(&e, "Where", ds_emit2(&e, "Equal", all, zero), ds_emit_scalar(&e, d, 1), all);
	ds_value *s = typed(ds_emit2(&e, "Mul", g, ds_emit2(&e, "Div", z, all)), &z->type);
	sh[0] = typed(ds_emit3(&e, "Where", up, s, zero), &z->type);
	sh[1] = typed(ds_emit2(&e, "Sub", s, sh[0]), &z->type);
	DS_TRY(ds_emit_end(&e));
	ds_value *plain = back(p, n, i, w, s, &rc), *same[2], *more[2];
	for (int k = 0; k < 2; k++) {   /* for positive x (k = 0) the positive weights serve positive results, for negative x the others */
		same[0] = back(p, n, i, wh[k], sh[0], &rc);
		same[1] = back(p, n, i, wh[1 - k], sh[1], &rc);
		more[k] = ds_emit2(&e, "Add", same[0], same[1]);
	}
	DS_TRY(rc);
	ds_value *pick = ds_emit3(&e, "Where", ds_emit2(&e, "Greater", n->in[i], zero), more[0], more[1]);
	*dx = typed(ds_emit2(&e, "Add", plain, ds_emit2(&e, "Mul", gamma, pick)), &n->in[i]->type);
	*s_out = s;
	return ds_emit_end(&e);
}

/* g z / (z + epsilon sign z); what it takes away goes to the sink. */
static ds_status stabilise(ds_lrp *p, ds_value *z, ds_value **g)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	ds_value *size = ds_emit1(&e, "Abs", z);
	ds_value *less = ds_emit2(&e, "Mul", *g, ds_emit2(&e, "Div", size, ds_emit2(&e, "Add", size, ds_emit_scalar(&e, z->type.dtype, p->o.epsilon))));
	ds_lrp_sink(&e, &p->sinks.other, ds_lrp_relevance(&e, ds_emit2(&e, "Sub", *g, less), z));
	*g = typed(less, &z->type);
	return ds_emit_end(&e);
}

ds_status ds_lrp_product(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	bool einsum = strcmp(n->op_name, "Einsum") == 0;
	int operands = einsum ? n->n_in : 2, moving = 0, x = 0;
	ds_emit e = ds_emit_begin(p->g, p->err);
	ds_value *g = dout[0];
	for (int i = operands - 1; i >= 0; i--)
		if (ds_lrp_moves(p, n->in[i])) {
			moving++;
			x = i;
		}
	if (moving > 1 || moving == 0 || einsum) {
		DS_TRY(ds_lrp_by_gradient(p, n, dout, din));
		for (int i = 0; i < operands; i++) {
			if (!ds_lrp_moves(p, n->in[i]))
				din[i] = NULL;
			else if (moving > 1)
				din[i] = ds_emit2(&e, "Mul", din[i], ds_emit_scalar(&e, n->in[i]->type.dtype, 1.0 / moving));
		}
		return ds_emit_end(&e);
	}
	const ds_node *add = ds_lrp_bias_of(p, n);
	ds_value *z = add ? add->out[0] : n->out[0];
	if (p->o.epsilon > 0)
		DS_TRY(stabilise(p, z, &g));
	if (p->o.gamma > 0 && n->op->gradient) {
		ds_value *dx = NULL;
		DS_TRY(by_gamma(p, n, x, z, g, &dx, &g));
		DS_TRY(ds_lrp_by_gradient(p, n, &g, din));      /* for the bias */
		din[x] = dx;
	} else {
		DS_TRY(ds_lrp_by_gradient(p, n, &g, din));
	}
	din[1 - x] = NULL;
	if (add) {
		ds_value *wide = typed(ds_emit_expand(&e, add->in[add->in[0] == n->out[0]], &z->type), &z->type);
		ds_lrp_sink(&e, &p->sinks.bias, ds_lrp_relevance(&e, g, wide));
	}
	return ds_emit_end(&e);
}
