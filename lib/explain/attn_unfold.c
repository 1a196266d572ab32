/* attn_unfold.c - fused attention becomes its small steps, and a softmax made of Exp, ReduceSum and Div one node */
#include "attention.h"
#include "../op/attention.h"

#include <math.h>
#include <string.h>

static bool is(const ds_node *n, const char *op) { return n && !n->domain[0] && strcmp(n->op_name, op) == 0; }

/* ---- Attention ------------------------------------------------------------------------------------------------------------------ */
typedef struct parts { ds_emit e; ds_node *n; ds_attention_shape s; } parts;

static ds_value *cast(ds_emit *e, ds_value *v, ds_dtype to)
{
	v = ds_emit1(e, "Cast", v);
	ds_emit_i(e, v, "to", ds_dtype_of(to)->onnx);
	return v;
}

static ds_value *permute(ds_emit *e, ds_value *v, int count, const int64_t *perm)
{
	v = ds_emit1(e, "Transpose", v);
	ds_emit_is(e, v, "perm", count, perm);
	return v;
}

static ds_value *shaped(ds_emit *e, ds_value *v, ds_dtype d, int rank, const int64_t *dim)
{
	ds_type t = ds_type_make(d, rank, dim);
	return ds_emit_reshape(e, v, &t);
}

/* Products of other floats are made in f32, as the fused operator does. */
static ds_value *in_f32(ds_emit *e, ds_value *v) { return v->type.dtype == DS_F32 ? v : cast(e, v, DS_F32); }

/* An input of rank 3 [items, positions, heads * d], or of rank 4, as [items, heads, positions, d]. */
static ds_value *by_head(parts *p, ds_value *v, int64_t heads)
{
	const ds_type *t = &v->type;
	v = in_f32(&p->e, v);
	if (t->rank == 4)
		return v;
	return permute(&p->e, shaped(&p->e, v, DS_F32, 4, (int64_t[]){ t->dim[0], t->dim[1], heads, t->dim[2] / heads }), 4, (int64_t[]){ 0, 2, 1, 3 });
}

/* Each head of keys or values [items, kv heads, positions, d] as often as heads of queries share it. */
static ds_value *shared(parts *p, ds_value *v, int64_t d)
{
	const ds_attention_shape *s = &p->s;
	int64_t many = s->heads / s->kv_heads;
	if (many == 1)
		return v;
	ds_type wide = ds_type_make(DS_F32, 5, (int64_t[]){ s->batch, s->kv_heads, many, s->kv_len, d });
	v = shaped(&p->e, v, DS_F32, 5, (int64_t[]){ s->batch, s->kv_heads, 1, s->kv_len, d });
	return shaped(&p->e, ds_emit_expand(&p->e, v, &wide), DS_F32, 4, (int64_t[]){ s->batch, s->heads, s->kv_len, d });
}

/* [1, 1, queries, keys] of the position of the key minus that of the query, and the position of the key. */
static ds_value *positions(parts *p, bool minus_query)
{
	ds_tensor t;
	int64_t dim[4] = { 1, 1, p->s.q_len, p->s.kv_len }, *v;
	if (p->e.rc != DS_OK || (p->e.rc = ds_tensor_new(&t, DS_I64, 4, dim, p->e.err)) != DS_OK)
		return NULL;
	v = t.data;
	for (int64_t q = 0; q < dim[2]; q++)
		for (int64_t k = 0; k < dim[3]; k++)
			*v++ = minus_query ? k - q : k;
	ds_value *c = ds_graph_weight(p->e.g, DS_V_PARAM, "", &t);
	if (!c)
		p->e.rc = ds_fail_nomem(p->e.err, 0);
	return c;
}

static ds_value *both(ds_emit *e, ds_value *a, ds_value *b) { return a && b ? ds_emit2(e, "And", a, b) : a ? a : b; }

/* Which keys a query sees, bool, to be broadcast to the scores; NULL: all. */
static ds_value *seen(parts *p)
{
	const ds_attention_attr *a = p->n->a;
	ds_emit *e = &p->e;
	ds_value *len = p->n->n_in > 6 ? p->n->in[6] : NULL, *mask = p->n->n_in > 3 ? p->n->in[3] : NULL, *see = NULL, *offset = NULL, *at = NULL;
	if (len) {
		len = shaped(e, cast(e, len, DS_I64), DS_I64, 4, (int64_t[]){ p->s.batch, 1, 1, 1 });
		see = ds_emit2(e, "Less", positions(p, false), len);
	}
	if (a->is_causal || a->left >= 0 || a->right >= 0) {
		bool from_length = len && !(p->n->n_in > 4 && p->n->in[4]);
		offset = from_length ? ds_emit2(e, "Sub", len, ds_emit_i64(e, p->s.q_len)) : ds_emit_i64(e, p->s.past);
		at = positions(p, true);
	}
	if (a->is_causal)
		see = both(e, see, ds_emit2(e, "LessOrEqual", at, offset));
	if (a->left >= 0)
		see = both(e, see, ds_emit2(e, "GreaterOrEqual", at, ds_emit2(e, "Sub", offset, ds_emit_i64(e, a->left))));
	if (a->right >= 0)
		see = both(e, see, ds_emit2(e, "LessOrEqual", at, ds_emit2(e, "Add", offset, ds_emit_i64(e, a->right))));
	if (mask && mask->type.dtype == DS_BOOL && mask->type.dim[mask->type.rank - 1] == p->s.kv_len)
		see = both(e, see, mask);
	return see;
}

/* A mask that is shorter than the keys hides the rest; both kinds become numbers of the keys' extent first. */
static ds_value *full_mask(parts *p, ds_value *mask, ds_value **see)
{
	ds_emit *e = &p->e;
	const ds_type *t = &mask->type;
	int64_t have = t->dim[t->rank - 1], pads[2 * DS_MAX_RANK] = { 0 };
	bool flag = t->dtype == DS_BOOL;
	if (have == p->s.kv_len || have == 1)
		return flag ? NULL : mask;
	pads[2 * t->rank - 1] = p->s.kv_len - have;
	mask = flag ? cast(e, mask, DS_F32) : mask;
	*see = both(e, *see, ds_emit2(e, "Less", positions(p, false), ds_emit_i64(e, have)));
	mask = ds_emit3(e, "Pad", mask, ds_emit_ints(e, 2 * t->rank, pads), ds_emit_scalar(e, flag ? DS_F32 : t->dtype, 0));
	if (!flag)
		return mask;
	*see = both(e, *see, ds_emit2(e, "Greater", mask, ds_emit_f32(e, 0)));
	return NULL;
}

static ds_status put(parts *p, int i, ds_value *v)
{
	if (i >= p->n->n_out || !v)
		return DS_OK;
	ds_value *old = p->n->out[i];
	if (old->type.dtype != DS_F32)
		v = cast(&p->e, v, old->type.dtype);
	if (!v)
		return ds_emit_end(&p->e);
	v->name = old->name;
	v->type = old->type;
	old->name = "";
	ds_graph_replace(p->e.g, old, v);
	return DS_OK;
}

static ds_status unfold(ds_graph *g, ds_node *n, ds_err *err)
{
	parts p = { .e = ds_emit_begin(g, err), .n = n };
	ds_emit *e = &p.e;
	const ds_attention_attr *a = n->a;
	bool past = n->n_in > 5 && n->in[4] && n->in[5];
	DS_TRY(ds_attention_extents(n, &n->in[0]->type, &n->in[1]->type, &n->in[2]->type, past ? &n->in[4]->type : NULL, &p.s, err));
	double scale = a->scale != 0 ? a->scale : 1 / sqrt((double)p.s.d);
	ds_value *q = by_head(&p, n->in[0], p.s.heads), *k = by_head(&p, n->in[1], p.s.kv_heads), *v = by_head(&p, n->in[2], p.s.kv_heads);
	if (past) {
		k = ds_emit2(e, "Concat", in_f32(e, n->in[4]), k);
		ds_emit_i(e, k, "axis", 2);
		v = ds_emit2(e, "Concat", in_f32(e, n->in[5]), v);
		ds_emit_i(e, v, "axis", 2);
	}
	ds_value *kt = permute(e, shared(&p, k, p.s.d), 4, (int64_t[]){ 0, 1, 3, 2 });
	ds_value *s = ds_emit2(e, "Mul", ds_emit2(e, "MatMul", q, kt), ds_emit_scalar(e, DS_F32, scale)), *step[4] = { s, s };
	if (a->softcap > 0) {
		ds_value *cap = ds_emit_scalar(e, DS_F32, a->softcap);
		s = step[1] = ds_emit2(e, "Mul", ds_emit1(e, "Tanh", ds_emit2(e, "Div", s, cap)), cap);
	}
	ds_value *see = seen(&p), *mask = n->n_in > 3 && n->in[3] ? full_mask(&p, n->in[3], &see) : NULL;
	s = mask ? ds_emit2(e, "Add", s, n->in[3]->type.dtype == DS_F32 ? mask : cast(e, mask, DS_F32)) : s;
	/* a large number and not infinity: a query that sees nothing must not become NaN */
	s = step[2] = see ? ds_emit3(e, "Where", see, s, ds_emit_scalar(e, DS_F32, -1e30)) : s;
	ds_value *prob = ds_emit1(e, "Softmax", s);
	ds_emit_i(e, prob, "axis", -1);
	if (prob) {
		prob->node->name = n->name;
		n->name = "";
	}
	step[3] = see ? ds_emit3(e, "Where", see, prob, ds_emit_scalar(e, DS_F32, 0)) : prob;
	ds_value *y = ds_emit2(e, "MatMul", step[3], shared(&p, v, p.s.dv));
	if (n->out[0]->type.rank == 3)
		y = ds_emit_reshape(e, permute(e, y, 4, (int64_t[]){ 0, 2, 1, 3 }), &n->out[0]->type);
	DS_TRY(ds_emit_end(e));
	DS_TRY(put(&p, 0, y));
	DS_TRY(put(&p, 1, k));
	DS_TRY(put(&p, 2, v));
	return put(&p, 3, step[a->output_mode & 3]);
}

/* ---- Softmax in steps ------------------------------------------------------------------------------------------------------------- */
/* The one axis that a reduction goes over, kept as extent 1; -1: something else. */
static int reduced_axis(const ds_node *n)
{
	const ds_type *x = &n->in[0]->type, *y = &n->out[0]->type;
	int axis = -1;
	if (x->rank != y->rank || n->n_in < 2 || !n->in[1] || !n->in[1]->data.data || ds_tensor_count(&n->in[1]->data) != 1)
		return -1;
	int64_t a = ds_tensor_i64(&n->in[1]->data, 0);
	axis = (int)(a < 0 ? a + x->rank : a);
	return axis >= 0 && axis < x->rank && y->dim[axis] == 1 ? axis : -1;
}

/* exp / sum of exp, written as a quotient or as a product with the reciprocal: what exp is taken of and along which axis; NULL: no softmax. */
static ds_value *in_steps(const ds_node *n, int *axis)
{
	ds_value *top, *sum;
	if (is(n, "Div")) {
		top = n->in[0];
		sum = n->in[1];
	} else if (is(n, "Mul") && (is(n->in[0]->node, "Reciprocal") || is(n->in[1]->node, "Reciprocal"))) {
		int r = is(n->in[1]->node, "Reciprocal");
		top = n->in[1 - r];
		sum = n->in[r]->node->in[0];
	} else {
		return NULL;
	}
	if (!is(top->node, "Exp") || !is(sum->node, "ReduceSum") || sum->node->in[0] != top || (*axis = reduced_axis(sum->node)) < 0)
		return NULL;
	ds_value *x = top->node->in[0];
	/* taking the largest away changes nothing in exact arithmetic, and Softmax does it itself */
	if (is(x->node, "Sub") && is(x->node->in[1]->node, "ReduceMax") && x->node->in[1]->node->in[0] == x->node->in[0]
		&& reduced_axis(x->node->in[1]->node) == *axis)
		x = x->node->in[0];
	return x;
}

ds_status ds_attention_unfold(ds_graph *g, ds_err *err)
{
	int nodes = g->n_node, axis = 0;
	bool changed = false;
	for (int i = 0; i < nodes; i++) {
		ds_node *n = g->node[i];
		ds_value *x = in_steps(n, &axis);
		if (is(n, "Attention") && n->a) {
			DS_TRY(unfold(g, n, err));
		} else if (x) {
			ds_emit e = ds_emit_begin(g, err);
			ds_value *y = ds_emit1(&e, "Softmax", x);
			ds_emit_i(&e, y, "axis", axis);
			DS_TRY(ds_emit_end(&e));
			y->node->name = n->name;
			y->name = n->out[0]->name;
			n->name = n->out[0]->name = "";
			ds_graph_replace(g, n->out[0], y);
		} else {
			continue;
		}
		changed = true;
	}
	if (!changed)
		return DS_OK;
	ds_graph_prune_dead(g);
	DS_TRY(ds_graph_sort(g, err));
	DS_TRY(ds_graph_name_all(g) == DS_OK ? DS_OK : ds_fail_nomem(err, 0));
	DS_TRY(ds_graph_verify(g, NULL, err));
	return ds_graph_infer(g, err);
}
