/* onnx_qdq.c - weights that a quantised ONNX file stores as integers become quantised parameters of the container
 *
 * DequantizeLinear of a constant is arithmetic that can be done once.  Where it feeds the weight slot of Conv, Gemm or MatMul, its codes are 8-bit, its zero
 * points are 0 and its scales stand one per tensor or one per index of axis 0, the codes and scales are kept as they are (scheme 1 of ds-model(5)), so nothing is
 * lost and nothing grows.  A constant of 32-bit integers (a bias) is folded to f32.  Everything else stays an operator of the graph. */
#include "onnx.h"

#include <math.h>
#include <string.h>

static bool is_const(const ds_value *v)
{
	return v && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST) && v->data.data && !v->data.q;
}

static bool weight_slot(const ds_node *n, int i)
{
	return i == 1 && !*n->domain && (strcmp(n->op_name, "Conv") == 0 || strcmp(n->op_name, "Gemm") == 0 || strcmp(n->op_name, "MatMul") == 0);
}

/* Do all users of v in g read it as a weight? */
static bool only_weights(const ds_graph *g, const ds_value *v)
{
	int uses = 0;

	for (int k = 0; k < g->n_node; k++)
		for (int i = 0; i < g->node[k]->n_in; i++)
			if (g->node[k]->in[i] == v) {
				if (!weight_slot(g->node[k], i))
					return false;
				uses++;
			}
	return uses > 0 && ds_value_uses(g, v) == uses;
}

/* The parts of a DequantizeLinear that can be done at once.  rows: number of scales. */
typedef struct dq { const ds_value *x; const float *scale; int64_t scales; } dq;

static bool all_zero(const ds_value *v)
{
	for (int64_t i = 0; i < ds_tensor_count(&v->data); i++)
		if (ds_tensor_i64(&v->data, i) != 0)
			return false;
	return true;
}

static bool match(const ds_node *n, dq *out)
{
	const ds_attr *axis = ds_attr_find(n, "axis"), *block = ds_attr_find(n, "block_size");
	const ds_value *x = n->n_in > 1 ? n->in[0] : NULL, *s = n->n_in > 1 ? n->in[1] : NULL, *z = n->n_in > 2 ? n->in[2] : NULL;

	if (strcmp(n->op_name, "DequantizeLinear") != 0 || *n->domain || !is_const(x) || !is_const(s) || (z && (!is_const(z) || !all_zero(z))))
		return false;
	if (s->data.dtype != DS_F32 || (block && block->u.i != 0) || s->type.rank > 1)
		return false;
	int64_t count = ds_tensor_count(&s->data), ax = axis ? axis->u.i : 1;
	if (s->type.rank == 1 && x->type.rank > 0) {
		ax += ax < 0 ? x->type.rank : 0;
		bool whole = count == 1 && x->type.dim[0] != 1;         /* one scale, written as a list */
		if (!whole && (ax != 0 || count != x->type.dim[0]))
			return false;
	} else if (count != 1) {
		return false;
	}
	for (int64_t i = 0; i < count; i++)
		if (!isfinite(((const float *)s->data.data)[i]))
			return false;
	*out = (dq){ x, s->data.data, count };
	return true;
}

/* codes and scales of an i8 tensor as the container's planes */
static ds_status quantised(const dq *d, ds_graph *g, ds_tensor *out, ds_err *err)
{
	const ds_type *ty = &d->x->type;
	ds_qform *q = ds_arena_alloc(&ds_graph_root(g)->arena, 1, sizeof *q);
	ds_qsize size;

	if (!q)
		return ds_fail_nomem(err, sizeof *q);
	int64_t cols = 1;
	for (int i = 1; i < ty->rank; i++)
		cols *= ty->dim[i];
	*q = (ds_qform){ .code = DS_I8, .scheme = DS_Q_SYM, .gran = d->scales == 1 && ty->dim[0] != 1 ? DS_Q_TENSOR : DS_Q_ROW, .row_dims = 1,
		.joined = cols < 64, .scale_dtype = DS_F32 };
	DS_TRY(ds_qform_size(q, ty->rank, ty->dim, &size, err));
	ds_buffer *buf = ds_buffer_new((size_t)size.total);
	if (!buf)
		return ds_fail_nomem(err, (size_t)size.total);
	uint8_t *p = ds_buffer_data(buf);
	const uint8_t *src = d->x->data.data;
	if (q->joined && cols)
		memcpy(p, src, (size_t)(size.rows * cols));
	for (int64_t r = 0; !q->joined && r < size.rows; r++)
		memcpy(p + (uint64_t)r * size.code_stride, src + r * cols, (size_t)cols);
	memcpy(p + size.scale_off, d->scale, (size_t)size.scales * sizeof(float));
	ds_tensor_borrow(out, DS_F32, ty->rank, ty->dim, p);
	out->buf = buf;
	out->q = q;
	return DS_OK;
}

static ds_status folded(const dq *d, ds_tensor *out, ds_err *err)
{
	const ds_type *ty = &d->x->type;

	DS_TRY(ds_tensor_new(out, DS_F32, ty->rank, ty->dim, err));
	int64_t n = ds_tensor_count(out), per = d->scales > 0 ? n / d->scales : n;
	for (int64_t i = 0; i < n; i++)
		((float *)out->data)[i] = (float)ds_tensor_i64(&d->x->data, i) * d->scale[d->scales > 1 ? i / per : 0];
	return DS_OK;
}

/* The integers' name is the layer's; an exporter's suffix for "quantised" would be wrong for a value that stands for floats, but it is the
 * name that the file gives, so it stays. */
static ds_status replace(ds_graph *g, ds_node *n, const dq *d, ds_tensor *t, ds_err *err)
{
	ds_value *old = n->out[0];
	bool last = *d->x->name && ds_value_uses(g, d->x) == 1;
	ds_value *v = ds_graph_weight(ds_graph_root(g), DS_V_PARAM, last ? d->x->name : old->name, t);

	if (!v) {
		ds_tensor_done(t);
		return ds_fail_nomem(err, sizeof *v);
	}
	ds_graph_replace(g, old, v);
	return DS_OK;
}

ds_status ds_onnx_qdq(ds_graph *g, int *n, ds_err *err)
{
	*n = 0;
	for (int k = 0; k < g->n_node; k++) {
		ds_node *node = g->node[k];
		ds_tensor t = { 0 };
		dq d;
		if (!match(node, &d) || d.x->type.rank < 1 || ds_value_uses(g, node->out[0]) == 0)
			continue;
		if (d.x->data.dtype == DS_I8 && only_weights(g, node->out[0]) && ds_value_uses(g, d.x) == 1)
			DS_TRY(quantised(&d, g, &t, err));
		else if (d.x->data.dtype == DS_I32)
			DS_TRY(folded(&d, &t, err));
		else
			continue;
		DS_TRY(replace(g, node, &d, &t, err));
		++*n;
	}
	return DS_OK;
}
