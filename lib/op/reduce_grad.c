/* reduce_grad.c - gradients of the reductions (reduce.h), made of ordinary nodes */
#include "grad.h"
#include "reduce.h"

/* A value with the reduced axes put back with extent 1.  The axes may be computed: then the node's own input says which. */
static ds_value *kept(ds_emit *e, const ds_node *n, ds_value *v)
{
	const ds_type *x = &n->in[0]->type, *y = &n->out[0]->type;
	ds_type ones = *x;

	if (y->rank == x->rank)
		return v;
	if (y->rank > 0)
		return ds_emit2(e, "Unsqueeze", v, n->in[1]);
	for (int i = 0; i < ones.rank; i++)
		ones.dim[i] = 1;
	return ds_emit_reshape(e, v, &ones);
}

static ds_value *where_zero(ds_emit *e, ds_value *test, ds_value *v, ds_dtype d)
{
	ds_value *zero = ds_emit_scalar(e, d, 0);

	return ds_emit3(e, "Where", ds_emit2(e, "Equal", test, zero), zero, v);
}

/* The reduction `op` of v over the axes of n, which stay. */
static ds_value *again(ds_emit *e, const ds_node *n, const char *op, ds_value *v)
{
	ds_value *r = ds_emit_op(e, op, n->n_in, (ds_value *[]){ v, n->n_in > 1 ? n->in[1] : NULL });

	ds_emit_i(e, r, "keepdims", 1);
	ds_emit_i(e, r, "noop_with_empty_axes", DS_A(ds_reduce_attr, n)->noop_with_empty_axes);
	return r;
}

/* Elements that are the extremum share dout. */
static ds_value *extremum(ds_emit *e, const ds_node *n, ds_value *dy)
{
	ds_dtype d = n->in[0]->type.dtype;
	ds_value *one = ds_emit_scalar(e, d, 1), *zero = ds_emit_scalar(e, d, 0);
	ds_value *mask = ds_emit3(e, "Where", ds_emit2(e, "Equal", n->in[0], kept(e, n, n->out[0])), one, zero);

	return ds_emit2(e, "Mul", mask, ds_emit2(e, "Div", dy, again(e, n, "ReduceSum", mask)));
}

/* The product of the others: that of all divided by x, unless x is the only zero of its chain; with two zeros nothing is left. */
static ds_value *product(ds_emit *e, const ds_node *n, ds_value *dy)
{
	ds_dtype d = n->in[0]->type.dtype;
	ds_value *x = n->in[0], *one = ds_emit_scalar(e, d, 1), *zero = ds_emit_scalar(e, d, 0), *is0 = ds_emit2(e, "Equal", x, zero);
	ds_value *safe = ds_emit3(e, "Where", is0, one, x), *all = again(e, n, "ReduceProd", safe);
	ds_value *zeros = again(e, n, "ReduceSum", ds_emit3(e, "Where", is0, one, zero));
	ds_value *if0 = ds_emit3(e, "Where", ds_emit2(e, "Equal", zeros, one), all, zero);
	ds_value *ifnot = ds_emit3(e, "Where", ds_emit2(e, "Equal", zeros, zero), ds_emit2(e, "Div", all, safe), zero);

	return ds_emit2(e, "Mul", dy, ds_emit3(e, "Where", is0, if0, ifnot));
}

ds_status ds_reduce_gradient(ds_reduce_kind kind, ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const ds_type *t = &n->in[0]->type;
	ds_dtype d = t->dtype;
	int64_t outs = ds_type_count(&n->out[0]->type);
	ds_value *x = n->in[0], *dy = kept(&e, n, dout[0]), *v;

	switch (kind) {
	case DS_R_SUM:
		v = ds_emit_expand(&e, dy, t);
		break;
	case DS_R_MEAN:
		v = ds_emit2(&e, "Div", dy, ds_emit_scalar(&e, d, (double)(ds_type_count(t) / DS_MAX(outs, 1))));
		v = ds_emit_expand(&e, v, t);
		break;
	case DS_R_MAX:
	case DS_R_MIN:
		v = extremum(&e, n, dy);
		break;
	case DS_R_PROD:
		v = product(&e, n, dy);
		break;
	case DS_R_L1:
		v = ds_emit2(&e, "Mul", ds_emit1(&e, "Sign", x), dy);
		break;
	case DS_R_L2:           /* at zero, where there is none, the gradient is zero */
		v = ds_emit2(&e, "Mul", x, where_zero(&e, kept(&e, n, n->out[0]), ds_emit2(&e, "Div", dy, kept(&e, n, n->out[0])), d));
		break;
	case DS_R_SUM_SQUARE:
		v = ds_emit2(&e, "Mul", x, ds_emit2(&e, "Add", dy, dy));
		break;
	case DS_R_LOG_SUM:
		v = ds_emit_expand(&e, ds_emit2(&e, "Div", dy, again(&e, n, "ReduceSum", x)), t);
		break;
	default:                /* DS_R_LOG_SUM_EXP: the softmax */
		v = ds_emit2(&e, "Mul", ds_emit1(&e, "Exp", ds_emit2(&e, "Sub", x, kept(&e, n, n->out[0]))), dy);
		break;
	}
	din[0] = v;
	return ds_emit_end(&e);
}
