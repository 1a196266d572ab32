/* place.c - which activations of a graph are quantised, to how many bits
 *
 * A value is quantised when a convolution or a matrix product reads it, directly or through operators that can work on codes (sums, concatenation, pooling, moves).
 * The pair stands behind the activation function, so that an integer operator computes product, bias, function and rounding at once.  Not quantised: what only a
 * Relu or Clip reads (it is fused), and the arm of a residual sum that comes straight from a convolution (the sum is fused into it, before any rounding).
 * Points joined by a move, a maximum or a concatenation share their scale, so that codes can be copied. */
#include "local.h"

#include <math.h>
#include <string.h>

bool dsq_constant(const ds_value *v)
{
	return v && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST);
}

bool dsq_is_output(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_output; i++)
		if (g->output[i] == v)
			return true;
	return false;
}

static bool is(const ds_node *n, const char *op)
{
	return !n->domain[0] && strcmp(n->op_name, op) == 0;
}

static double attr_number(const ds_node *n, const char *key, double def)
{
	const ds_attr *a = ds_attr_find(n, key);
	return !a ? def : a->type == DS_T_INT ? (double)a->u.i : a->type == DS_T_FLOAT ? a->u.f : def;
}

static bool bound(const ds_node *n, int i, double absent, double *out)
{
	const ds_value *v = i < n->n_in ? n->in[i] : NULL;
	*out = absent;
	if (!v)
		return true;
	if (!dsq_constant(v) || !v->data.data || v->data.q || ds_tensor_count(&v->data) != 1)
		return false;
	*out = ds_tensor_f64(&v->data, 0);
	return true;
}

bool dsq_act(const ds_node *n, double *bottom, double *top)
{
	*bottom = 0;
	*top = HUGE_VAL;
	if (is(n, "Relu"))
		return true;
	return is(n, "Clip") && bound(n, 1, -HUGE_VAL, bottom) && bound(n, 2, HUGE_VAL, top);
}

/* ---- roles ---------------------------------------------------------------------------------------------------------------------- */
static bool plain_weight(const ds_value *v)
{
	return dsq_constant(v) && v->data.data && !v->data.q && (v->type.dtype == DS_F32 || v->type.dtype == DS_F16 || v->type.dtype == DS_BF16);
}

static bool linear(const ds_node *n, bool fake)
{
	if (n->n_in < 2 || !plain_weight(n->in[1]) || dsq_constant(n->in[0]) || (n->n_in > 2 && n->in[2] && !plain_weight(n->in[2])))
		return false;
	if (is(n, "Conv"))
		return n->in[1]->type.rank >= 3 && n->in[1]->type.rank <= 5;
	if (is(n, "MatMul"))
		return fake && n->in[1]->type.rank == 2;
	return is(n, "Gemm") && n->in[1]->type.rank == 2 && attr_number(n, "alpha", 1) == 1 && attr_number(n, "beta", 1) == 1 &&
		attr_number(n, "transA", 0) == 0;
}

static const char *const moves[] = { "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice", "MaxPool" };

static bool zero_pad(const ds_node *n)
{
	const ds_attr *mode = ds_attr_find(n, "mode");
	double v;
	return is(n, "Pad") && (!mode || strcmp(mode->u.s, "constant") == 0) && bound(n, 2, 0, &v) && v == 0;
}

static dsq_role role_of(const ds_node *n, bool fake)
{
	double a, b;
	if (linear(n, fake))
		return DSQ_LINEAR;
	if (is(n, "Add") && !dsq_constant(n->in[0]) && !dsq_constant(n->in[1]))
		return DSQ_ADD;
	if (is(n, "Concat"))
		return DSQ_CONCAT;
	if (is(n, "AveragePool") || is(n, "GlobalAveragePool"))
		return DSQ_AVERAGE;
	if (dsq_act(n, &a, &b))
		return DSQ_ACT;
	for (size_t i = 0; i < DS_COUNTOF(moves); i++)
		if (is(n, moves[i]))
			return DSQ_MOVE;
	return zero_pad(n) ? DSQ_MOVE : DSQ_OTHER;
}

/* How many inputs of a node are activations (the others are shapes, weights, bounds). */
static int data_inputs(const ds_node *n, dsq_role r)
{
	return r == DSQ_CONCAT ? n->n_in : r == DSQ_ADD ? 2 : 1;
}

/* ---- points --------------------------------------------------------------------------------------------------------------------- */
static bool f32_activation(const ds_value *v)
{
	return v && (v->kind == DS_V_NODE || v->kind == DS_V_INPUT) && v->type.dtype == DS_F32;
}

static bool same_dims(const ds_type *a, const ds_type *b)
{
	if (a->rank < 0 || a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i] || a->dim[i] == DS_DIM_UNKNOWN)
			return false;
	return true;
}

/* The operand of a sum that its convolution will add itself, -1: none. */
static int fused_arm(const dsq_places *p, const ds_graph *g, const ds_node *add)
{
	int arm = -1;
	if (!same_dims(&add->in[0]->type, &add->in[1]->type))
		return -1;
	for (int i = 0; i < 2; i++) {
		const ds_value *v = add->in[i];
		if (v->kind == DS_V_NODE && is(v->node, "Conv") && p->role[v->node->id] == DSQ_LINEAR && ds_value_uses(g, v) == 1 &&
		    (arm < 0 || v->node->id > add->in[arm]->node->id))
			arm = i;
	}
	return arm;
}

static bool fused_act(const dsq_places *p, const ds_graph *g, const ds_node *act)
{
	const ds_value *v = act->in[0];
	if (v->kind != DS_V_NODE || ds_value_uses(g, v) != 1)
		return false;
	dsq_role r = p->role[v->node->id];
	return r == DSQ_LINEAR || r == DSQ_ADD;
}

/* Mark what must be codes, from the end of the graph to its start. */
static void mark(const dsq_places *p, const ds_graph *g, char *need)
{
	for (int i = g->n_node - 1; i >= 0; i--) {
		const ds_node *n = g->node[i];
		dsq_role r = p->role[i];
		if (r == DSQ_OTHER || r == DSQ_ACT || (r != DSQ_LINEAR && !need[n->out[0]->id])) {
			/* a sum that a function follows is needed through it */
			const ds_node *user = r == DSQ_ADD ? ds_value_only_user(g, n->out[0]) : NULL;
			double a, b;
			if (!user || !dsq_act(user, &a, &b) || !need[user->out[0]->id])
				continue;
		}
		int arm = r == DSQ_ADD ? fused_arm(p, g, n) : -1;
		for (int k = 0; k < data_inputs(n, r); k++)
			if (k != arm && f32_activation(n->in[k]))
				need[n->in[k]->id] = 1;
	}
	/* what a fused function reads stays f32, and its result has the pair */
	for (int i = 0; i < g->n_node; i++)
		if (p->role[i] == DSQ_ACT && fused_act(p, g, g->node[i]))
			need[g->node[i]->in[0]->id] = 0;
}

static int root_of(const dsq_places *p, int i)
{
	while (p->point[i].group != i)
		i = p->point[i].group;
	return i;
}

static void join(dsq_places *p, const ds_value *a, const ds_value *b)
{
	int i = p->point_of[a->id], k = p->point_of[b->id];
	if (i < 0 || k < 0)
		return;
	i = root_of(p, i);
	k = root_of(p, k);
	if (i < k)
		p->point[k].group = i;
	else
		p->point[i].group = k;
}

static ds_status add_point(dsq_places *p, ds_value *v, const char *need, ds_err *err)
{
	if (!need[v->id])
		return DS_OK;
	if (!ds_grow((void **)&p->point, (size_t)p->n_point, &p->cap_point, sizeof(*p->point)))
		return ds_fail_nomem(err, sizeof(*p->point));
	p->point[p->n_point] = (dsq_point){ .v = v, .group = p->n_point };
	p->point_of[v->id] = p->n_point;
	p->point[p->n_point++].seen = ds_calloc(1, sizeof(ds_observer));
	return p->point[p->n_point - 1].seen ? DS_OK : ds_fail_nomem(err, sizeof(ds_observer));
}

/* ---- bits ----------------------------------------------------------------------------------------------------------------------- */
/* Layers that no other stands before, or behind: in them rounding costs most and bits cost least. */
static ds_status find_edges(const dsq_places *p, const ds_graph *g, char *edge, ds_err *err)
{
	char *seen = ds_calloc((size_t)ds_graph_values(g) + 1, 1);
	if (!seen)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++) {           /* 1: a layer lies before the value */
		const ds_node *n = g->node[i];
		char any = 0;
		for (int k = 0; k < n->n_in; k++)
			any |= n->in[k] ? seen[n->in[k]->id] & 1 : 0;
		edge[i] = p->role[i] == DSQ_LINEAR && !any;
		for (int k = 0; k < n->n_out; k++)
			seen[n->out[k]->id] = any || p->role[i] == DSQ_LINEAR;
	}
	for (int i = g->n_node - 1; i >= 0; i--) {      /* 2: behind it */
		const ds_node *n = g->node[i];
		char any = 0;
		for (int k = 0; k < n->n_out; k++)
			any |= seen[n->out[k]->id] & 2;
		edge[i] |= p->role[i] == DSQ_LINEAR && !any;
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] && (any || p->role[i] == DSQ_LINEAR))
				seen[n->in[k]->id] |= 2;
	}
	ds_free(seen);
	return DS_OK;
}

static ds_status choose_bits(dsq_places *p, const ds_graph *g, const ds_q8_opts *o, ds_err *err)
{
	char *edge = ds_calloc((size_t)g->n_node + 1, 1);
	ds_status rc = edge ? find_edges(p, g, edge, err) : ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		if (p->role[i] != DSQ_LINEAR)
			continue;
		p->bits[i] = o->bits ? o->bits(o->bits_arg, n->name, n->in[1]->name, edge[i]) : (ds_qbits){ 8, 8 };
		if (!p->bits[i].w)
			p->role[i] = DSQ_OTHER;
	}
	ds_free(edge);
	return rc;
}

/* A group of points has the bits of its readers if those are layers that agree, else 8; layers with fewer then read grids of their own behind it. */
static void grid_bits(dsq_places *p, const ds_graph *g)
{
	for (int i = 0; i < p->n_point; i++)
		p->point[i].group = root_of(p, i);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < g->n_node; i++) {
			const ds_node *n = g->node[i];
			dsq_role r = p->role[i];
			for (int k = 0; k < n->n_in; k++) {
				int at = n->in[k] ? p->point_of[n->in[k]->id] : -1;
				if (at < 0)
					continue;
				dsq_point *root = &p->point[p->point[at].group];
				bool passes = (r == DSQ_MOVE || r == DSQ_CONCAT) && p->point_of[n->out[0]->id] >= 0;
				int bits = r == DSQ_LINEAR && k == 0 ? p->bits[i].a : 8;
				if (pass == 0 && !passes)
					root->bits = root->bits == 0 || root->bits == bits ? bits : 8;
				else if (pass == 1 && !passes && bits < root->bits)
					p->point[at].low[bits].bits = bits;
			}
		}
	for (int i = 0; i < p->n_point; i++) {
		dsq_point *pt = &p->point[i];
		const ds_node *maker = pt->v->kind == DS_V_NODE ? pt->v->node : NULL;
		const ds_value *from = maker && p->role[maker->id] == DSQ_MOVE ? maker->in[0] : NULL;
		pt->bits = p->point[pt->group].bits ? p->point[pt->group].bits : 8;
		pt->moved = from && p->point_of[from->id] >= 0 && p->point[p->point_of[from->id]].group == pt->group;
	}
}

/* A group's rule for ranges is that of its readers. */
static ds_status grid_rules(dsq_places *p, const ds_graph *g, const ds_q8_opts *o, ds_err *err)
{
	for (int i = 0; o->rule && i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		if (p->role[i] != DSQ_LINEAR || p->point_of[n->in[0]->id] < 0)
			continue;
		dsq_point *root = &p->point[p->point[p->point_of[n->in[0]->id]].group];
		const ds_qrule *rule = o->rule(o->bits_arg, n->name), *other = root->rule ? root->rule : &o->range;
		if (!rule)
			rule = &o->range;
		if (root->ruler && (rule->range != other->range || rule->percentile != other->percentile))
			return ds_fail(err, DS_E_INPUT, "layers \"%.100s\" and \"%.100s\" read activations that share a scale, but have the ranges %s and %s", root->ruler->name,
				n->name, ds_qrange_names[other->range], ds_qrange_names[rule->range]);
		root->rule = rule;
		root->ruler = n;
	}
	return DS_OK;
}

const ds_qparam *dsq_reads(const dsq_places *p, const ds_node *n)
{
	const dsq_point *pt = &p->point[p->point_of[n->in[0]->id]];
	int a = p->bits[n->id].a;
	return a < pt->bits ? &pt->low[a] : &pt->q;
}

ds_status dsq_places_find(dsq_places *p, ds_graph *g, const ds_q8_opts *o, ds_err *err)
{
	int values = ds_graph_values(g);
	ds_status rc = DS_OK;
	char *need = ds_calloc((size_t)values + 1, 1);
	*p = (dsq_places){ .role = ds_calloc((size_t)g->n_node + 1, sizeof(*p->role)), .point_of = ds_calloc((size_t)values + 1, sizeof(*p->point_of)),
		.bits = ds_calloc((size_t)g->n_node + 1, sizeof(*p->bits)) };
	if (!need || !p->role || !p->point_of || !p->bits) {
		rc = ds_fail_nomem(err, (size_t)values);
		goto out;
	}
	for (int i = 0; i < values; i++)
		p->point_of[i] = -1;
	for (int i = 0; i < g->n_node; i++)
		p->role[i] = role_of(g->node[i], o->fake);
	DS_GOTO(choose_bits(p, g, o, err));
	mark(p, g, need);
	for (int i = 0; i < g->n_input; i++)
		DS_GOTO(add_point(p, g->input[i], need, err));
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			DS_GOTO(add_point(p, g->node[i]->out[k], need, err));
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		if (p->role[i] == DSQ_MOVE || p->role[i] == DSQ_CONCAT)
			for (int k = 0; k < data_inputs(n, p->role[i]); k++)
				if (n->in[k])
					join(p, n->in[k], n->out[0]);
	}
	grid_bits(p, g);
	rc = grid_rules(p, g, o, err);
out:
	ds_free(need);
	if (rc != DS_OK)
		dsq_places_done(p);
	return rc;
}

void dsq_places_done(dsq_places *p)
{
	for (int i = 0; i < p->n_point; i++) {
		if (p->point[i].seen)
			ds_observer_done(p->point[i].seen);
		ds_free(p->point[i].seen);
	}
	ds_free(p->point);
	ds_free(p->role);
	ds_free(p->bits);
	ds_free(p->point_of);
	*p = (dsq_places){ 0 };
}
