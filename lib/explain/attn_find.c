/* attn_find.c - the layers of attention in a graph: a softmax between two products */
#include "attention.h"
#include "../base/str.h"
#include "../op/softmax.h"

#include <stdio.h>
#include <string.h>

static bool one_of(const ds_node *n, const char *const *list)
{
	for (; n && *list; list++)
		if (strcmp(n->op_name, *list) == 0)
			return true;
	return false;
}

static const char *const products[] = { "MatMul", "MatMulT", "Gemm", "Einsum", NULL };
/* What may stand between the product of queries and keys and the softmax. */
static const char *const on_scores[] = { "Mul", "Div", "Add", "Sub", "Sum", "Where", "Cast", "Clip", "Tanh", "Max", "Min", "Neg", "Identity", "Dropout",
	"FakeQuantize", "QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", NULL };
/* What may stand between the softmax and the product with values, and leaves the last two axes alone or swaps them. */
static const char *const on_probs[] = { "Where", "Cast", "Identity", "Dropout", "FakeQuantize", "QuantizeLinear", "DequantizeLinear", "Mul", "Expand", "Squeeze",
	"Unsqueeze", "Reshape", "Transpose", NULL };

/* Depends the value on what the model is given?  (Known values are constants, so whatever a node makes does.) */
static bool moves(const ds_value *v) { return v && (v->kind == DS_V_NODE || v->kind == DS_V_INPUT); }

/* Is v made from a product, through what is done to scores?  Only operands as large as the scores are followed. */
static bool from_product(const ds_value *v, int64_t count, int depth)
{
	if (depth > 24 || v->kind != DS_V_NODE || ds_type_count(&v->type) != count)
		return false;
	if (one_of(v->node, products)) {
		for (int i = 0; i < v->node->n_in; i++)
			if (moves(v->node->in[i]))
				return true;
		return false;
	}
	if (!one_of(v->node, on_scores))
		return false;
	for (int i = 0; i < v->node->n_in; i++)
		if (v->node->in[i] && from_product(v->node->in[i], count, depth + 1))
			return true;
	return false;
}

/* Einsum sums over the key axis of operand `slot` together with another operand that moves.  back: the key axis counted from the end, 1 or 2. */
static bool einsum_weighs(const ds_node *n, int slot, int back)
{
	const ds_attr *a = ds_attr_find(n, "equation");
	char term[3][32] = { { 0 } }, key;
	int k = 0;
	size_t len = 0;
	if (!a || a->type != DS_T_STR || n->n_in != 2)
		return false;
	for (const char *p = a->u.s; *p && k < 3; p++) {
		if (*p == ',' || *p == '>') {
			k++;
			len = 0;
		} else if (*p != ' ' && *p != '-' && len + 1 < sizeof term[0]) {
			term[k][len++] = *p;
		}
	}
	len = strlen(term[slot]);
	if (len < 2)
		return false;
	key = term[slot][len - (size_t)back];
	return strchr(term[1 - slot], key) && !strchr(term[2], key) && moves(n->in[1 - slot]);
}

/* Do the probabilities v weigh something in a product?  back: the key axis counted from the end. */
static bool weighs(const ds_graph *g, const ds_value *v, int back, int depth)
{
	if (depth > 12)
		return false;
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (int k = 0; k < n->n_in; k++) {
			if (n->in[k] != v)
				continue;
			int b = back, r = v->type.rank;
			if (strcmp(n->op_name, "MatMul") == 0 && back == (k == 0 ? 1 : 2) && moves(n->in[1 - k]))
				return true;
			if (strcmp(n->op_name, "MatMulT") == 0 && back == 1 && moves(n->in[1 - k]))
				return true;
			if (strcmp(n->op_name, "Einsum") == 0 && einsum_weighs(n, k, back))
				return true;
			if (!one_of(n, on_probs))
				continue;
			const ds_type *y = &n->out[0]->type;
			if (y->rank < 2 || r < 2)
				continue;
			if (strcmp(n->op_name, "Transpose") == 0) {
				const ds_attr *p = ds_attr_find(n, "perm");
				if (!p || p->u.is.n != r || p->u.is.v[r - 1] + p->u.is.v[r - 2] != 2 * r - 3)
					continue;
				b = p->u.is.v[r - 1] == r - 1 ? back : 3 - back;
			} else if (y->dim[y->rank - 1] != v->type.dim[r - 1] || y->dim[y->rank - 2] != v->type.dim[r - 2]) {
				continue;
			}
			if (weighs(g, n->out[0], b, depth + 1))
				return true;
		}
	}
	return false;
}

ds_status ds_attention_find(ds_graph *g, ds_attn **layer, int *n, ds_err *err)
{
	size_t cap = 0;
	*layer = NULL;
	*n = 0;
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *s = g->node[i];
		if (s->domain[0] || strcmp(s->op_name, "Softmax") != 0 || !s->a || !ds_type_concrete(&s->out[0]->type))
			continue;
		const ds_type *t = &s->out[0]->type;
		int64_t axis = DS_A(ds_softmax_attr, s)->axis;
		axis += axis < 0 ? t->rank : 0;
		if (t->rank < 2 || axis < t->rank - 2)
			continue;
		bool flip = axis == t->rank - 2;
		if (!from_product(s->in[0], ds_type_count(t), 0) || !weighs(g, s->out[0], flip ? 2 : 1, 0))
			continue;
		if (!ds_grow((void **)layer, (size_t)*n, &cap, sizeof **layer)) {
			ds_free(*layer);
			*layer = NULL;
			*n = 0;
			return ds_fail_nomem(err, 0);
		}
		ds_attn *l = &(*layer)[(*n)++];
		*l = (ds_attn){ .name = ds_node_label(s), .prob = s->out[0], .maps = 1, .tq = t->dim[t->rank - 2], .tk = t->dim[t->rank - 1], .flip = flip };
		for (int k = 0; k < t->rank - 2; k++)
			l->maps *= t->dim[k];
		if (flip) {
			l->tq = t->dim[t->rank - 1];
			l->tk = t->dim[t->rank - 2];
		}
	}
	return DS_OK;
}

int ds_attention_layer(const ds_attn *layer, int n, const char *which)
{
	int64_t i;
	if (ds_parse_i64(which, &i))
		return i >= 0 && i < n ? (int)i : -1;
	for (int k = 0; k < n; k++)
		if (strcmp(layer[k].name, which) == 0)
			return k;
	for (int k = 0; k < n; k++)
		if (ds_glob(which, layer[k].name))
			return k;
	return -1;
}

ds_status ds_attention_map(const ds_attn *l, const ds_tensor *v, float *out, ds_err *err)
{
	ds_tensor t;
	if (ds_tensor_count(v) != l->maps * l->tq * l->tk)
		return ds_fail(err, DS_E_INTERNAL, "a map of attention has %lld elements", (long long)ds_tensor_count(v));
	DS_TRY(ds_tensor_to_f32(v, &t, err));
	const float *x = t.data;
	for (int64_t h = 0; h < l->maps; h++)
		for (int64_t q = 0; q < l->tq; q++)
			for (int64_t k = 0; k < l->tk; k++)
				*out++ = l->flip ? x[(h * l->tk + k) * l->tq + q] : x[(h * l->tq + q) * l->tk + k];
	ds_tensor_done(&t);
	return DS_OK;
}
