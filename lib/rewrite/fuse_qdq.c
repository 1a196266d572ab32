/* fuse_qdq.c - DequantizeLinear, an operator, QuantizeLinear become one operator on codes (op/fused.h, op/fused_q.h)
 *
 * Meaning stays: an integer operator gives the code that the three would give, but for the rounding of one f32 sum (an integer sum is exact).  Activations quantised
 * as i8 become u8 first by adding 128 to codes and zero points.  Anchors are the convolutions and matrix products (with or without a QuantizeLinear behind
 * them) and, for all else, the QuantizeLinear.  What does not fit stays as it is and is computed in f32. */
#include "help.h"
#include "../kernel/kernel.h"
#include "../op/fused_q.h"
#include "../op/igemm.h"

#include <math.h>
#include <string.h>

static const char name[] = "fuse-qdq";

/* Codes with one scale and one zero point. */
typedef struct codes { ds_value *v; double scale; int zero; } codes;

static bool grid(const ds_node *n, double *scale, double *zero)
{
	const ds_attr *block = ds_attr_find(n, "block_size");
	return (!block || block->u.i == 0) && n->n_in > 1 && n->in[1] && n->in[1]->type.dtype == DS_F32 && ds_rw_scalar(n->in[1], 1, scale) && *scale > 0 &&
		isfinite(*scale) && ds_rw_scalar(n->n_in > 2 ? n->in[2] : NULL, 0, zero);
}

/* v is dequantised from u8. */
static bool from_codes(const ds_value *v, codes *c)
{
	double zero;
	if (!v || v->kind != DS_V_NODE || !ds_rw_is(v->node, "", "DequantizeLinear") || !grid(v->node, &c->scale, &zero))
		return false;
	c->v = v->node->in[0];
	c->zero = (int)zero;
	return c->v->type.dtype == DS_U8 && !ds_rw_constant(c->v);
}

/* n quantises to u8. */
static bool to_codes(const ds_node *n, codes *c)
{
	double zero;
	if (!ds_rw_is(n, "", "QuantizeLinear") || !grid(n, &c->scale, &zero) || n->out[0]->type.dtype != DS_U8)
		return false;
	c->v = n->out[0];
	c->zero = (int)zero;
	return true;
}

static int position(const ds_graph *g, const ds_node *n)
{
	int at = 0;
	while (g->node[at] != n)
		at++;
	return at;
}

/* ---- i8 activations to u8 ------------------------------------------------------------------------------------------------------- */
static ds_value *u8_scalar(ds_graph *g, int v)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_U8, 0, NULL, NULL) != DS_OK)
		return NULL;
	*(uint8_t *)t.data = (uint8_t)v;
	ds_value *r = ds_graph_weight(g, DS_V_CONST, "", &t);
	ds_tensor_done(&t);
	return r;
}

static bool i8_grid(const ds_node *n, double *zero)
{
	double scale;
	return n->n_in > 2 && n->in[2] && n->in[2]->type.dtype == DS_I8 && grid(n, &scale, zero);
}

static ds_status shift_one(ds_graph *g, ds_node *q, int *applied, ds_err *err)
{
	double zero, z;
	ds_value *v = q->out[0];
	if (!ds_rw_is(q, "", "QuantizeLinear") || !i8_grid(q, &zero) || ds_rw_is_output(g, v))
		return DS_OK;
	int readers = 0;
	for (int i = 0; i < g->n_node; i++)
		if (g->node[i]->n_in > 0 && g->node[i]->in[0] == v) {
			if (!ds_rw_is(g->node[i], "", "DequantizeLinear") || !i8_grid(g->node[i], &z))
				return DS_OK;
			readers++;
		}
	if (readers != ds_value_uses(g, v))
		return DS_OK;
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		if (n != q && (n->n_in == 0 || n->in[0] != v))
			continue;
		i8_grid(n, &z);
		if (!(n->in[2] = u8_scalar(g, (int)z + 128)))
			return ds_fail_nomem(err, 0);
	}
	ds_attr_del(q, "output_dtype");
	v->type.dtype = DS_U8;
	++*applied;
	return ds_node_parse(q, err);
}

/* ---- what follows a product ----------------------------------------------------------------------------------------------------- */
typedef struct tail {
	ds_value *last;         /* f32 value that the fused node takes the place of */
	ds_node  *node;         /* its producer, or the QuantizeLinear: where the fused node goes */
	ds_rw_act act;
	codes     r, y;
	bool      residual, quantised;
} tail;

static bool same_open_dims(const ds_type *a, const ds_type *b)
{
	if (a->rank < 0 || a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i] || a->dim[i] == DS_DIM_UNKNOWN)
			return false;
	return true;
}

/* The only reader of v, if v is no output. */
static ds_node *reader(const ds_graph *g, const ds_value *v)
{
	return ds_rw_is_output(g, v) ? NULL : ds_value_only_user(g, v);
}

/* Bounds in codes of the fused function; false: not a Relu or Clip. */
static bool code_bounds(const ds_rw_act *a, const codes *y, int *lo, int *hi)
{
	*lo = 0;
	*hi = 255;
	if (a->act == DS_ACT_NONE)
		return true;
	if (a->act != DS_ACT_RELU && a->act != DS_ACT_CLIP)
		return false;
	double b = fmin(fmax((a->act == DS_ACT_RELU ? 0 : nearbyint((double)(float)a->a / y->scale)) + y->zero, 0), 255);
	double t = a->act == DS_ACT_RELU ? 255 : fmin(fmax(nearbyint((double)(float)a->b / y->scale) + y->zero, 0), 255);
	*lo = (int)b;
	*hi = (int)t;
	return *lo <= *hi;
}

static void add_act(const ds_graph *g, tail *t)
{
	ds_rw_act act;
	if (ds_rw_activation(g, t->last, &act)) {
		t->act = act;
		t->node = act.node;
		t->last = act.node->out[0];
	}
}

/* product -> [Add of codes] -> [Relu, Clip] -> QuantizeLinear, or product -> [function] in f32. */
static tail follow(const ds_graph *g, ds_node *n, bool can_add)
{
	tail t = { .last = n->out[0], .node = n, .act.act = DS_ACT_NONE };
	int lo, hi;
	ds_node *add = can_add ? reader(g, t.last) : NULL;
	if (ds_rw_is(add, "", "Add") && add->in[0] != add->in[1]) {
		tail with = t;
		ds_value *other = add->in[0] == t.last ? add->in[1] : add->in[0];
		if (from_codes(other, &with.r) && same_open_dims(&other->type, &t.last->type)) {
			with.residual = true;
			with.node = add;
			with.last = add->out[0];
			add_act(g, &with);
			if (to_codes(reader(g, with.last), &with.y) && code_bounds(&with.act, &with.y, &lo, &hi)) {
				with.node = reader(g, with.last);
				with.quantised = true;
				return with;
			}
		}
	}
	add_act(g, &t);
	if (to_codes(reader(g, t.last), &t.y) && code_bounds(&t.act, &t.y, &lo, &hi)) {
		t.node = reader(g, t.last);
		t.quantised = true;
	}
	return t;
}

static ds_status set_grid(ds_node *m, const char *which, double scale, int zero)
{
	char key[16];
	key[0] = which[0];
	memcpy(key + 1, "_scale", 7);
	DS_TRY(ds_attr_f(m, key, scale));
	memcpy(key + 1, "_zp", 4);
	return ds_attr_i(m, key, zero);
}

static ds_status set_bounds(ds_node *m, const ds_rw_act *act, const codes *y)
{
	int lo, hi;
	code_bounds(act, y, &lo, &hi);
	DS_TRY(ds_attr_i(m, "q_min", lo));
	return ds_attr_i(m, "q_max", hi);
}

static ds_status set_tail(ds_node *m, const codes *x, const tail *t)
{
	DS_TRY(set_grid(m, "x", x->scale, x->zero));
	if (t->residual)
		DS_TRY(set_grid(m, "r", t->r.scale, t->r.zero));
	if (!t->quantised) {
		DS_TRY(ds_attr_f(m, "y_scale", 0));
		return t->act.act == DS_ACT_NONE ? DS_OK : ds_rw_set_act(m, &t->act);
	}
	DS_TRY(set_grid(m, "y", t->y.scale, t->y.zero));
	return set_bounds(m, &t->act, &t->y);
}

/* Let m's output stand where `old` stood. */
static ds_status take_place(ds_graph *g, ds_node *m, ds_value *old, ds_err *err)
{
	DS_TRY(ds_node_parse(m, err));
	m->out[0]->type = old->type;
	m->out[0]->name = old->name;
	old->name = "";
	ds_graph_replace(g, old, m->out[0]);
	return DS_OK;
}

/* Symmetric codes of up to 8 bits with one scale, or one per row. */
static bool i8_weight(const ds_value *v)
{
	return ds_rw_constant(v) && v->data.q && ds_q_codes_i8(v->data.q);
}

static bool f32_vector(const ds_value *v, int64_t n)
{
	return !v || (ds_rw_constant(v) && !v->data.q && v->data.dtype == DS_F32 && v->data.rank == 1 && v->data.dim[0] == n);
}

static ds_status copy_attrs(ds_node *m, const ds_node *n, const char *const *key, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const ds_attr *a = ds_attr_find(n, key[i]);
		if (!a)
			continue;
		DS_TRY(a->type == DS_T_INT ? ds_attr_i(m, key[i], a->u.i) : a->type == DS_T_STR ? ds_attr_s(m, key[i], a->u.s) :
			ds_attr_is(m, key[i], a->u.is.n, a->u.is.v));
	}
	return DS_OK;
}

static ds_status finish_product(ds_graph *g, ds_node *m, const ds_node *n, const codes *x, const tail *t, int *applied, ds_buf *log, ds_err *err)
{
	if (set_tail(m, x, t) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(take_place(g, m, t->quantised ? t->y.v : t->last, err));
	ds_rw_log(log, name, n, "on integers%s%s%s", t->residual ? ", residual" : "", t->act.act ? ", function" : "", t->quantised ? "" : ", result in f32");
	++*applied;
	return DS_OK;
}

static ds_status conv(ds_graph *g, ds_node *n, int *applied, ds_buf *log, ds_err *err)
{
	static const char *const keep[] = { "dilations", "group", "kernel_shape", "strides" };
	const char *why = "";
	int64_t pads[2 * DS_MAX_RANK];
	int n_pads;
	codes x;
	ds_value *bias = n->n_in > 2 ? n->in[2] : NULL;
	if (!from_codes(n->in[0], &x) || !i8_weight(n->in[1]) || n->in[1]->type.rank < 3 || n->in[1]->type.rank > 5 || !f32_vector(bias, n->in[1]->type.dim[0]))
		return DS_OK;
	if (!ds_rw_pads(n, pads, &n_pads, &why)) {
		ds_rw_log(log, name, n, "kept: %s", why);
		return DS_OK;
	}
	tail t = follow(g, n, true);
	ds_value *in[4] = { x.v, n->in[1], bias, t.residual ? t.r.v : NULL };
	ds_node *m = ds_graph_insert(g, position(g, t.node), "ds", "QConv", n->name, t.residual ? 4 : bias ? 3 : 2, in, 1, NULL);
	if (!m || copy_attrs(m, n, keep, DS_COUNTOF(keep)) != DS_OK || ds_attr_is(m, "pads", n_pads, pads) != DS_OK)
		return ds_fail_nomem(err, 0);
	return finish_product(g, m, n, &x, &t, applied, log, err);
}

static bool attr_is(const ds_node *n, const char *key, double def, double want)
{
	const ds_attr *a = ds_attr_find(n, key);
	return (!a ? def : a->type == DS_T_INT ? (double)a->u.i : a->u.f) == want;
}

static ds_status product(ds_graph *g, ds_node *n, int *applied, ds_buf *log, ds_err *err)
{
	bool gemm = ds_rw_is(n, "", "Gemm"), trans = gemm && !attr_is(n, "transB", 0, 0);
	ds_value *w = n->in[1], *bias = gemm && n->n_in > 2 ? n->in[2] : NULL;
	codes x;
	if (!from_codes(n->in[0], &x) || !i8_weight(w) || w->type.rank != 2 || !f32_vector(bias, w->type.dim[trans ? 0 : 1]))
		return DS_OK;
	if ((!trans && w->data.q->gran != DS_Q_TENSOR) || (gemm && (!attr_is(n, "alpha", 1, 1) || !attr_is(n, "beta", 1, 1) || !attr_is(n, "transA", 0, 0)))) {
		ds_rw_log(log, name, n, "kept: alpha, beta, transA, or scales that do not belong to outputs");
		return DS_OK;
	}
	tail t = follow(g, n, false);
	ds_value *in[3] = { x.v, w, bias };
	ds_node *m = ds_graph_insert(g, position(g, t.node), "ds", "QGemm", n->name, bias ? 3 : 2, in, 1, NULL);
	if (!m || ds_attr_i(m, "transB", trans) != DS_OK)
		return ds_fail_nomem(err, 0);
	return finish_product(g, m, n, &x, &t, applied, log, err);
}

/* ---- operators between codes and codes ------------------------------------------------------------------------------------------ */
static ds_status two(ds_graph *g, ds_node *q, ds_node *n, const char *op, const ds_rw_act *act, const codes *y, int *applied, ds_err *err)
{
	codes a, b;
	if (!ds_op_find("ds", op) || !from_codes(n->in[0], &a) || !from_codes(n->in[1], &b))
		return DS_OK;
	ds_value *in[2] = { a.v, b.v };
	ds_node *m = ds_graph_insert(g, position(g, q), "ds", op, n->name, 2, in, 1, NULL);
	if (!m || set_grid(m, "a", a.scale, a.zero) != DS_OK || set_grid(m, "b", b.scale, b.zero) != DS_OK || set_grid(m, "y", y->scale, y->zero) != DS_OK ||
	    set_bounds(m, act, y) != DS_OK)
		return ds_fail_nomem(err, 0);
	++*applied;
	return take_place(g, m, y->v, err);
}

static ds_status concat(ds_graph *g, ds_node *q, ds_node *n, const codes *y, int *applied, ds_err *err)
{
	const ds_attr *axis = ds_attr_find(n, "axis");
	ds_value **in = ds_calloc((size_t)n->n_in, sizeof(*in));
	double *scale = ds_calloc((size_t)n->n_in, sizeof(*scale));
	int64_t *zero = ds_calloc((size_t)n->n_in, sizeof(*zero));
	ds_status rc = DS_OK;
	codes x;
	if (!in || !scale || !zero) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < n->n_in; i++) {
		if (!from_codes(n->in[i], &x))
			goto out;
		in[i] = x.v;
		scale[i] = x.scale;
		zero[i] = x.zero;
	}
	ds_node *m = ds_graph_insert(g, position(g, q), "ds", "QConcat", n->name, n->n_in, in, 1, NULL);
	if (!m || !axis || ds_attr_i(m, "axis", axis->u.i) != DS_OK || ds_attr_fs(m, "x_scales", n->n_in, scale) != DS_OK ||
	    ds_attr_is(m, "x_zps", n->n_in, zero) != DS_OK || set_grid(m, "y", y->scale, y->zero) != DS_OK) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	++*applied;
	rc = take_place(g, m, y->v, err);
out:
	ds_free(in);
	ds_free(scale);
	ds_free(zero);
	return rc;
}

static ds_status average(ds_graph *g, ds_node *q, ds_node *n, const ds_rw_act *act, const codes *y, int *applied, ds_err *err)
{
	static const char *const keep[] = { "auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides" };
	codes x;
	if (!from_codes(n->in[0], &x))
		return DS_OK;
	ds_node *m = ds_graph_insert(g, position(g, q), "ds", ds_rw_is(n, "", "AveragePool") ? "QAveragePool" : "QGlobalAveragePool", n->name, 1, &x.v, 1, NULL);
	if (!m || (ds_rw_is(n, "", "AveragePool") && copy_attrs(m, n, keep, DS_COUNTOF(keep)) != DS_OK) || set_grid(m, "x", x.scale, x.zero) != DS_OK ||
	    set_grid(m, "y", y->scale, y->zero) != DS_OK || set_bounds(m, act, y) != DS_OK)
		return ds_fail_nomem(err, 0);
	++*applied;
	return take_place(g, m, y->v, err);
}

static double apply_act(double v, const void *arg)
{
	const ds_rw_act *a = arg;
	double s = 1 / (1 + exp(-v)), h;
	switch (a->act) {
	case DS_ACT_RELU:        return v > 0 ? v : 0;
	case DS_ACT_CLIP:        return fmin(fmax(v, a->a), a->b);
	case DS_ACT_LEAKYRELU:   return v < 0 ? v * a->a : v;
	case DS_ACT_SIGMOID:     return s;
	case DS_ACT_SILU:        return v * s;
	case DS_ACT_HARDSIGMOID: return fmin(fmax(a->a * v + a->b, 0), 1);
	case DS_ACT_HARDSWISH:   h = v / 6 + 0.5; return v * fmin(fmax(h, 0), 1);
	case DS_ACT_TANH:        return tanh(v);
	case DS_ACT_ELU:         return v < 0 ? a->a * (exp(v) - 1) : v;
	default:                 return v;
	}
}

/* A table from codes x to codes y in place of everything before y->v. */
static ds_status table(ds_graph *g, ds_node *q, const char *label, const codes *x, const ds_rw_act *act, const codes *y, int *applied, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_tensor_new(&t, DS_U8, 1, (int64_t[]){ 256 }, err));
	ds_q_table(t.data, apply_act, act, x->scale, x->zero, y->scale, y->zero);
	ds_value *in[2] = { x->v, ds_rw_param(g, label, &t) };
	ds_tensor_done(&t);
	ds_node *m = in[1] ? ds_graph_insert(g, position(g, q), "ds", "QLut", label, 2, in, 1, NULL) : NULL;
	if (!m)
		return ds_fail_nomem(err, 0);
	++*applied;
	return take_place(g, m, y->v, err);
}

enum { MOVE_IN = 6 };
static const char *const moves[] = { "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice", "MaxPool", "Pad" };

static bool is_move(const ds_node *n)
{
	for (size_t i = 0; i < DS_COUNTOF(moves); i++)
		if (ds_rw_is(n, "", moves[i]))
			return n->n_out == 1 || strcmp(moves[i], "MaxPool") != 0 || !n->out[1]->name[0];
	return false;
}

/* Pad of zeros pads codes with the zero point; *fill is its input 2 then.  False: another value. */
static bool pad_fill(ds_graph *g, const ds_node *n, const codes *x, ds_value **fill)
{
	const ds_attr *mode = ds_attr_find(n, "mode");
	double v;
	*fill = n->n_in > 2 ? n->in[2] : NULL;
	if (!ds_rw_is(n, "", "Pad") || (mode && strcmp(mode->u.s, "constant") != 0))
		return true;
	return ds_rw_scalar(*fill, 0, &v) && v == 0 && (*fill = u8_scalar(g, x->zero)) != NULL;
}

/* move(DequantizeLinear(x)) is DequantizeLinear(move(x)): the move works on codes, and what reads it finds codes. */
static ds_status sink_one(ds_graph *g, ds_node *n, int *applied, ds_err *err)
{
	codes x;
	ds_value *fill, *in[MOVE_IN] = { 0 };
	if (!is_move(n) || !ds_value_uses(g, n->out[0]) || n->n_in < 1 || n->n_in > MOVE_IN || !from_codes(n->in[0], &x) || !pad_fill(g, n, &x, &fill))
		return DS_OK;
	bool pad = ds_rw_is(n, "", "Pad");
	ds_node *dq = n->in[0]->node;
	for (int i = 1; i < n->n_in; i++)
		in[i] = n->in[i];
	in[0] = x.v;
	if (pad)
		in[2] = fill;
	int at = position(g, n);
	ds_node *m = ds_graph_insert(g, at, "", n->op_name, n->name, pad ? DS_MAX(n->n_in, 3) : n->n_in, in, 1, NULL);
	ds_attr *attr = ds_arena_alloc(&ds_graph_root(g)->arena, (size_t)n->n_attr + 1, sizeof(*attr));
	if (!m || !attr)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n->n_attr; i++)     /* none is no array */
		attr[i] = n->attr[i];
	m->attr = attr;
	m->n_attr = n->n_attr;
	DS_TRY(ds_node_parse(m, err));
	m->out[0]->type = n->out[0]->type;
	m->out[0]->type.dtype = DS_U8;
	ds_value *back[3] = { m->out[0], dq->in[1], dq->n_in > 2 ? dq->in[2] : NULL };
	ds_node *d = ds_graph_insert(g, at + 1, "", "DequantizeLinear", "", dq->n_in, back, 1, NULL);
	if (!d)
		return ds_fail_nomem(err, 0);
	++*applied;
	return take_place(g, d, n->out[0], err);
}

/* Anchored at a QuantizeLinear whose input nobody else reads. */
static ds_status between(ds_graph *g, ds_node *q, int *applied, ds_err *err)
{
	codes x, y;
	ds_rw_act act = { .act = DS_ACT_NONE }, found;
	int lo, hi;
	if (!to_codes(q, &y) || !ds_value_uses(g, y.v) || ds_rw_is_output(g, q->in[0]))
		return DS_OK;
	ds_value *v = q->in[0];
	if (from_codes(v, &x)) {
		if (x.scale != y.scale || x.zero != y.zero)
			return table(g, q, q->name, &x, &act, &y, applied, err);
		if (ds_rw_is_output(g, y.v))
			return DS_OK;
		ds_graph_replace(g, y.v, x.v);
		++*applied;
		return DS_OK;
	}
	if (v->kind != DS_V_NODE || reader(g, v) != q)
		return DS_OK;
	ds_node *n = v->node;
	/* a function right behind codes: a table; behind something else: bounds */
	ds_value *before = n->n_in ? n->in[0] : NULL;
	if (before && ds_rw_activation(g, before, &found) && found.node == n) {
		if (from_codes(before, &x))
			return table(g, q, n->name, &x, &found, &y, applied, err);
		if (before->kind != DS_V_NODE || !code_bounds(&found, &y, &lo, &hi))
			return DS_OK;
		act = found;
		n = before->node;
	}
	if (ds_rw_is(n, "", "Add"))
		return two(g, q, n, "QAdd", &act, &y, applied, err);
	if (ds_rw_is(n, "", "Mul"))
		return two(g, q, n, "QMul", &act, &y, applied, err);
	if (ds_rw_is(n, "", "AveragePool") || ds_rw_is(n, "", "GlobalAveragePool"))
		return average(g, q, n, &act, &y, applied, err);
	if (act.act != DS_ACT_NONE)
		return DS_OK;
	if (ds_rw_is(n, "", "Concat"))
		return concat(g, q, n, &y, applied, err);
	return DS_OK;
}

static bool has_qdq(const ds_graph *g)
{
	for (int i = 0; i < g->n_node; i++)
		if (ds_rw_is(g->node[i], "", "DequantizeLinear"))
			return true;
	return false;
}

static ds_status pass(ds_graph *g, bool (*wanted)(const ds_node *), int *applied, ds_buf *log, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		int before = *applied;
		if (!wanted(n) || !ds_value_uses(g, n->out[0]))
			continue;
		if (ds_rw_is(n, "", "Conv"))
			DS_TRY(conv(g, n, applied, log, err));
		else if (ds_rw_is(n, "", "QuantizeLinear"))
			DS_TRY(between(g, n, applied, err));
		else
			DS_TRY(product(g, n, applied, log, err));
		if (*applied != before) {
			ds_graph_prune_dead(g);
			i = DS_MAX(i - 4, -1);          /* the nodes that went stood before i or close behind; looking twice does no harm */
		}
	}
	return DS_OK;
}

static bool is_product(const ds_node *n)
{
	return (ds_rw_is(n, "", "Conv") && ds_op_find("ds", "QConv")) || ((ds_rw_is(n, "", "Gemm") || ds_rw_is(n, "", "MatMul")) && ds_op_find("ds", "QGemm"));
}

static bool is_quantise(const ds_node *n)
{
	return ds_rw_is(n, "", "QuantizeLinear");
}

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	if (!has_qdq(g))
		return DS_OK;
	int shifted = 0;
	for (int i = 0; i < g->n_node; i++)
		DS_TRY(shift_one(g, g->node[i], &shifted, err));
	/* types of the shifted values and of what could not be inferred before */
	DS_TRY(ds_graph_infer(g, err));
	for (int i = 0; i < g->n_node; i++)
		DS_TRY(sink_one(g, g->node[i], &shifted, err));
	ds_graph_prune_dead(g);
	DS_TRY(pass(g, is_product, applied, log, err));
	return pass(g, is_quantise, applied, log, err);
}

const ds_rewrite ds_rewrite_fuse_qdq = { name, false, apply, "run what stands between DequantizeLinear and QuantizeLinear on integers" };
