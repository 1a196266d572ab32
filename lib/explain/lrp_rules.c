/* lrp_rules.c - rules of relevance for everything but products with weights (lrp_linear.c) */
#include "lrp.h"

#include <string.h>

/* Sums: the gradient; constants keep their share.  The share of a product's bias is found together with the product. */
ds_status ds_lrp_sum(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && n->in[i]->node && ds_lrp_bias_of(p, n->in[i]->node) == n) {
			din[i] = dout[0];
			return DS_OK;
		}
	return ds_lrp_by_gradient(p, n, dout, din);
}

/* The gradient of input 0, and what is missing from the relevance of the output goes to `sink`. */
static ds_status rest_to(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din, ds_value **sink)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	DS_TRY(ds_lrp_by_gradient(p, n, dout, din));
	for (int i = 0; i < n->n_out; i++)
		ds_lrp_sink(&e, sink, ds_lrp_relevance(&e, dout[i], n->out[i]));
	for (int i = 0; i < n->n_in; i++) {
		if (n->in[i] && din[i] && ds_lrp_moves(p, n->in[i]))
			ds_lrp_sink(&e, sink, ds_emit1(&e, "Neg", ds_lrp_relevance(&e, din[i], n->in[i])));
		else
			din[i] = NULL;
	}
	return ds_emit_end(&e);
}

ds_status ds_lrp_bend(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din) { return rest_to(p, n, dout, din, &p->sinks.other); }
ds_status ds_lrp_affine(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din) { return rest_to(p, n, dout, din, &p->sinks.bias); }
ds_status ds_lrp_softmax(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din) { return rest_to(p, n, dout, din, &p->sinks.softmax); }

/* y = f(x) with f(0) = 0: all relevance goes on, g y / x. */
ds_status ds_lrp_identity(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	ds_dtype d = n->in[0]->type.dtype;
	if (!ds_lrp_moves(p, n->in[0]) || (n->n_in > 1 && ds_lrp_moves(p, n->in[1])))
		return ds_lrp_bend(p, n, dout, din);
	ds_value *zero = ds_emit2(&e, "Equal", n->in[0], ds_emit_scalar(&e, d, 0));
	ds_value *x = ds_emit3(&e, "Where", zero, ds_emit_scalar(&e, d, 1), n->in[0]);
	din[0] = ds_emit_reduce_to(&e, ds_emit2(&e, "Mul", dout[0], ds_emit2(&e, "Div", n->out[0], x)), &n->out[0]->type, &n->in[0]->type);
	return ds_emit_end(&e);
}

static bool bound(const ds_node *n, int i, double sign)
{
	const ds_value *v = n->n_in > i ? n->in[i] : NULL;
	return !v || (v->data.data && ds_tensor_count(&v->data) == 1 && sign * ds_tensor_f64(&v->data, 0) >= 0);
}

/* Through the origin when nought is within the bounds. */
ds_status ds_lrp_clip(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	if (!bound(n, 1, -1) || !bound(n, 2, 1))
		return ds_lrp_bend(p, n, dout, din);
	ds_node first = *n;
	first.n_in = 1;
	return ds_lrp_identity(p, &first, dout, din);
}

/* Half the gradient of what is homogeneous of degree two. */
ds_status ds_lrp_square(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	DS_TRY(ds_lrp_by_gradient(p, n, dout, din));
	ds_emit e = ds_emit_begin(p->g, p->err);
	din[0] = ds_emit2(&e, "Mul", din[0], ds_emit_scalar(&e, n->in[0]->type.dtype, .5));
	return ds_emit_end(&e);
}

/* ---- factors ------------------------------------------------------------------------------------------------------------------------ */
static const char *const plain[] = { "Abs", "Add", "Cast", "Clip", "Div", "Erf", "Exp", "Expand", "HardSigmoid", "Identity", "Log", "Max", "Min", "Mul", "Neg", "Pow",
	"Reciprocal", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Sigmoid", "Softplus", "Sqrt", "Squeeze",
	"Sub", "Sum", "Tanh", "Unsqueeze", "Where", NULL };
static const char *const scaling[] = { "Cast", "Div", "Identity", "Mul", "Neg", NULL };

static bool in_list(const ds_node *n, const char *const *list)
{
	for (; n && !n->domain[0] && *list; list++)
		if (strcmp(n->op_name, *list) == 0)
			return true;
	return false;
}

enum { DEPTH = 16 };

/* Mark what a is made of: the value itself and what it is a multiple of, or (`all`) everything back through functions and reductions. */
static void own_parts(const ds_lrp *p, const ds_value *v, bool all, char *mark, int depth)
{
	if (!ds_lrp_moves(p, v) || mark[v->id] || depth > DEPTH)
		return;
	mark[v->id] = 1;
	if (!v->node || !in_list(v->node, all ? plain : scaling))
		return;
	int moving = 0;
	for (int i = 0; i < v->node->n_in; i++)
		moving += ds_lrp_moves(p, v->node->in[i]);
	for (int i = 0; (all || moving == 1) && i < v->node->n_in; i++)
		own_parts(p, v->node->in[i], all, mark, depth + 1);
}

/* Is v computed from marked values alone, by functions of single elements and reductions? */
static bool made_of(const ds_lrp *p, const ds_value *v, const char *mark, int depth)
{
	if (!ds_lrp_moves(p, v) || mark[v->id])
		return true;
	if (depth > DEPTH || !v->node || !in_list(v->node, plain))
		return false;
	for (int i = 0; i < v->node->n_in; i++)
		if (v->node->in[i] && !made_of(p, v->node->in[i], mark, depth + 1))
			return false;
	return true;
}

/* Is b a factor that a takes from itself: the gate of x * sigmoid(x), the 1 / sigma of a normalisation? */
static bool own_factor(const ds_lrp *p, const ds_value *a, const ds_value *b, char *mark)
{
	if (a == b)
		return false;
	memset(mark, 0, (size_t)p->values + 1);
	own_parts(p, a, false, mark, 0);
	if (made_of(p, b, mark, 0))
		return true;
	if (ds_type_count(&b->type) >= ds_type_count(&a->type))
		return false;
	memset(mark, 0, (size_t)p->values + 1);
	own_parts(p, a, true, mark, 0);
	return made_of(p, b, mark, 0);
}

ds_status ds_lrp_mul(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	bool a = ds_lrp_moves(p, n->in[0]), b = ds_lrp_moves(p, n->in[1]);
	DS_TRY(ds_lrp_by_gradient(p, n, dout, din));
	if (!a || !b) {
		din[a ? 1 : 0] = NULL;
		return DS_OK;
	}
	char *mark = ds_calloc((size_t)p->values + 1, 1);
	if (!mark)
		return ds_fail_nomem(p->err, 0);
	bool gate1 = own_factor(p, n->in[0], n->in[1], mark), gate0 = !gate1 && own_factor(p, n->in[1], n->in[0], mark);
	ds_free(mark);
	if (gate0 || gate1) {
		din[gate1] = NULL;
		return DS_OK;
	}
	ds_emit e = ds_emit_begin(p->g, p->err);
	for (int i = 0; i < 2; i++)
		din[i] = ds_emit2(&e, "Mul", din[i], ds_emit_scalar(&e, n->in[i]->type.dtype, .5));
	return ds_emit_end(&e);
}

/* What something is divided by is a normalisation: constant. */
ds_status ds_lrp_div(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	if (!ds_lrp_moves(p, n->in[0]))
		return ds_lrp_bend(p, n, dout, din);
	ds_emit e = ds_emit_begin(p->g, p->err);
	din[0] = ds_emit_reduce_to(&e, ds_emit2(&e, "Div", dout[0], n->in[1]), &n->out[0]->type, &n->in[0]->type);
	return ds_emit_end(&e);
}

/* ---- normalisations as one operator ---------------------------------------------------------------------------------------------------- */
/* How each works: dims that it sees, axes that it reduces, whether the mean goes. */
typedef struct norm_form { ds_type seen; int64_t axes[DS_MAX_RANK]; int n_axes; bool mean, channels; double epsilon; } norm_form;

static void range(norm_form *f, int from, int to)
{
	for (int i = from; i < to; i++)
		f->axes[f->n_axes++] = i;
}

static int64_t int_attr(const ds_node *n, const char *key, int64_t absent)
{
	const ds_attr *a = ds_attr_find(n, key);
	return a && a->type == DS_T_INT ? a->u.i : absent;
}

static ds_status form_of(const ds_node *n, norm_form *f, ds_err *err)
{
	const ds_type *t = &n->in[0]->type;
	const ds_attr *eps = ds_attr_find(n, "epsilon"), *axes = ds_attr_find(n, "axes");
	int64_t axis = int_attr(n, "axis", -1), groups = int_attr(n, "num_groups", 1);
	*f = (norm_form){ .seen = *t, .mean = true, .epsilon = eps ? eps->u.f : 1e-5 };
	axis += axis < 0 ? t->rank : 0;
	if (strcmp(n->op_name, "LayerNormalization") == 0 || strcmp(n->op_name, "RMSNormalization") == 0) {
		f->mean = n->op_name[0] == 'L';
		range(f, (int)axis, t->rank);
	} else if (strcmp(n->op_name, "InstanceNormalization") == 0) {
		f->channels = true;
		range(f, 2, t->rank);
	} else if (strcmp(n->op_name, "GroupNormalization") == 0) {
		f->channels = true;
		f->seen = ds_type_make(t->dtype, 3, (int64_t[]){ t->dim[0], groups, ds_type_count(t) / DS_MAX(t->dim[0] * groups, 1) });
		range(f, 2, 3);
	} else if (strcmp(n->op_name, "MeanVarianceNormalization") == 0) {
		f->epsilon = 0;
		if (axes)
			for (int i = 0; i < axes->u.is.n; i++)
				f->axes[f->n_axes++] = axes->u.is.v[i];
		else
			memcpy(f->axes, (int64_t[]){ 0, 2, 3 }, (size_t)(f->n_axes = 3) * sizeof *f->axes);
	} else {                        /* LpNormalization */
		range(f, (int)axis, (int)axis + 1);
	}
	return f->n_axes > 0 && f->n_axes <= t->rank ? DS_OK : ds_fail(err, DS_E_UNSUPPORTED, "%s over no axis", n->op_name);
}

/* y = (x - mean) / sigma * scale + bias with sigma taken as a constant. */
ds_status ds_lrp_norm(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din)
{
	ds_emit e = ds_emit_begin(p->g, p->err);
	const ds_type *t = &n->in[0]->type;
	ds_dtype d = t->dtype;
	ds_type per = *t;
	norm_form f;
	DS_TRY(form_of(n, &f, p->err));
	if (!dout[0])
		return DS_OK;
	for (int i = 0; i < per.rank; i++)
		per.dim[i] = f.channels && i == 1 ? t->dim[1] : 1;
	ds_value *x = ds_emit_reshape(&e, n->in[0], &f.seen), *g = dout[0], *sigma;
	ds_value *scale = n->n_in > 1 ? n->in[1] : NULL, *bias = n->n_in > 2 ? n->in[2] : NULL;
	if (f.channels) {
		scale = scale ? ds_emit_reshape(&e, scale, &per) : NULL;
		bias = bias ? ds_emit_reshape(&e, bias, &per) : NULL;
	}
	if (bias) {
		ds_value *wide = ds_emit_expand(&e, bias, t);
		if (wide)
			wide->type = *t;
		ds_lrp_sink(&e, &p->sinks.bias, ds_lrp_relevance(&e, g, wide));
	}
	g = ds_emit_reshape(&e, scale ? ds_emit2(&e, "Mul", g, scale) : g, &f.seen);
	if (strcmp(n->op_name, "LpNormalization") == 0) {
		sigma = ds_emit_reduce(&e, int_attr(n, "p", 2) == 1 ? "ReduceL1" : "ReduceL2", x, f.n_axes, f.axes, true);
		din[0] = ds_emit2(&e, "Div", g, sigma);
		return ds_emit_end(&e);
	}
	if (f.mean)
		x = ds_emit2(&e, "Sub", x, ds_emit_reduce(&e, "ReduceMean", x, f.n_axes, f.axes, true));
	sigma = ds_emit_reduce(&e, "ReduceMean", ds_emit2(&e, "Mul", x, x), f.n_axes, f.axes, true);
	sigma = ds_emit1(&e, "Sqrt", ds_emit2(&e, "Add", sigma, ds_emit_scalar(&e, d, f.epsilon)));
	g = ds_emit2(&e, "Div", g, sigma);
	if (f.mean)
		g = ds_emit2(&e, "Sub", g, ds_emit_reduce(&e, "ReduceMean", g, f.n_axes, f.axes, true));
	din[0] = ds_emit_reshape(&e, g, t);
	return ds_emit_end(&e);
}
