/* fuse_conv.c - Conv with what follows it (bias, residual addition, activation) becomes ds.ConvAct: one pass over the output */
#include "help.h"

#include <string.h>

static const char name[] = "fuse-conv";

/* A constant addend of shape [C, 1, 1] or [1, C, 1, 1]: a bias. */
static bool is_bias(const ds_value *v, int64_t channels, int rank)
{
	if (!ds_rw_constant(v) || v->data.q || v->data.dtype != DS_F32 || ds_tensor_count(&v->data) != channels || v->data.rank < rank - 1 || v->data.rank > rank)
		return false;
	return v->data.dim[v->data.rank - (rank - 1)] == channels;
}

static bool same_open_dims(const ds_type *a, const ds_type *b)
{
	if (a->rank < 0 || a->rank != b->rank || a->dtype != b->dtype)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i] || a->dim[i] == DS_DIM_UNKNOWN)
			return false;
	return true;
}

typedef struct fused {
	ds_value *bias, *residual, *last;       /* last: the value that the fused node makes */
	ds_node  *add;
	ds_rw_act act;
	bool      new_bias;
} fused;

/* Conv -> Add: a bias, or the other arm of a residual block (made before this Add, so the fused node may stand in the Add's place). */
static void look_at_add(const ds_graph *g, const ds_node *n, fused *f)
{
	ds_node *add = ds_value_only_user(g, f->last);
	if (!ds_rw_is(add, "", "Add") || ds_rw_is_output(g, f->last) || add->in[0] == add->in[1])
		return;
	ds_value *other = add->in[0] == f->last ? add->in[1] : add->in[0];
	if (!f->bias && is_bias(other, n->in[1]->type.dim[0], n->in[1]->type.rank)) {
		f->bias = other;
		f->new_bias = true;
	} else if (!ds_rw_constant(other) && same_open_dims(&other->type, &f->last->type)) {
		/* Two convolutions meet: the later one takes the other as its residual. */
		if (other->kind == DS_V_NODE && ds_rw_is(other->node, "", "Conv") && other->node->id > n->id && ds_value_uses(g, other) == 1)
			return;
		f->residual = other;
	} else {
		return;
	}
	f->add = add;
	f->last = add->out[0];
}

static ds_status emit(ds_graph *g, ds_node *n, const fused *f, const int64_t *pads, int n_pads, int *applied, ds_buf *log, ds_err *err)
{
	ds_value *bias = f->bias;
	if (f->new_bias) {                      /* as a vector */
		ds_tensor t = ds_tensor_ref(&bias->data);
		t.rank = 1;
		t.dim[0] = ds_tensor_count(&bias->data);
		bias = ds_rw_param(g, bias->name[0] ? bias->name : n->name, &t);
		if (!bias) {
			ds_tensor_done(&t);
			return ds_fail_nomem(err, 0);
		}
	}
	ds_value *in[4] = { n->in[0], n->in[1], bias, f->residual };
	ds_node *tail = f->act.node ? f->act.node : f->add ? f->add : n;
	const char *out_name = f->last->name;
	int at = 0;
	while (g->node[at] != tail)
		at++;
	ds_node *m = ds_graph_insert(g, at, "ds", "ConvAct", n->name, f->residual ? 4 : bias ? 3 : 2, in, 1, &out_name);
	if (!m)
		return ds_fail_nomem(err, 0);
	static const char *const keep[] = { "dilations", "group", "kernel_shape", "strides" };
	for (size_t i = 0; i < DS_COUNTOF(keep); i++) {
		const ds_attr *a = ds_attr_find(n, keep[i]);
		ds_status rc = !a ? DS_OK : a->type == DS_T_INT ? ds_attr_i(m, keep[i], a->u.i) : ds_attr_is(m, keep[i], a->u.is.n, a->u.is.v);
		if (rc != DS_OK)
			return ds_fail_nomem(err, 0);
	}
	if (ds_attr_is(m, "pads", n_pads, pads) != DS_OK || ds_rw_set_act(m, &f->act) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(m, err));
	m->out[0]->type = f->last->type;
	f->last->name = "";
	ds_graph_replace(g, f->last, m->out[0]);
	ds_rw_log(log, name, n, "fused%s%s%s%s", f->new_bias ? " bias" : "", f->residual ? " residual" : "", f->act.node ? " " : "",
		f->act.node ? f->act.node->op_name : "");
	++*applied;
	return DS_OK;
}

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		const char *why = "the weight is not constant";
		int64_t pads[2 * DS_MAX_RANK];
		int n_pads;
		if (!ds_rw_is(n, "", "Conv") || !ds_value_uses(g, n->out[0]))
			continue;
		if (!ds_rw_constant(n->in[1]) || (n->n_in > 2 && n->in[2] && !ds_rw_constant(n->in[2])) || !ds_rw_pads(n, pads, &n_pads, &why)) {
			ds_rw_log(log, name, n, "kept: %s", why);
			continue;
		}
		if (n->in[0]->type.dtype != DS_F32) {
			ds_rw_log(log, name, n, "kept: not f32");
			continue;
		}
		for (int k = 0; k < g->n_node; k++)     /* positions for look_at_add; insertions move them */
			g->node[k]->id = k;
		fused f = { .bias = n->n_in > 2 ? n->in[2] : NULL, .last = n->out[0] };
		look_at_add(g, n, &f);
		if (f.new_bias)
			look_at_add(g, n, &f);
		ds_rw_act act;
		if (ds_rw_activation(g, f.last, &act)) {
			f.act = act;
			f.last = act.node->out[0];
		}
		DS_TRY(emit(g, n, &f, pads, n_pads, applied, log, err));
		ds_graph_prune_dead(g);
		i--;                                    /* n went, what follows moved up */
	}
	return DS_OK;
}

const ds_rewrite ds_rewrite_fuse_conv = { name, false, apply, "fuse convolutions with bias, residual addition and activation" };
