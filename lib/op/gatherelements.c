/* gatherelements.c - GatherElements: out[i][j][k] = data[i][index[i][j][k]][k] for axis 1, and so on */
#include "gather.h"
#include "draw.h"
#include "grad.h"
#include "move.h"

#include <string.h>

struct attr { int64_t axis; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "0", "axis that is indexed"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type, *x = &in[1].type;
	int axis;

	DS_TRY(ds_index_type(n, in, 1, err));
	out[0] = *x;
	out[0].dtype = t->dtype;
	if (t->rank < 0 || x->rank < 0)
		return DS_OK;
	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank, &axis, err));
	if (t->rank != x->rank)
		return ds_fail(err, DS_E_INPUT, "GatherElements: data of rank %d, indices of rank %d", t->rank, x->rank);
	for (int i = 0; i < t->rank; i++)
		if (i != axis && t->dim[i] >= 0 && x->dim[i] > t->dim[i])
			return ds_fail(err, DS_E_INPUT, "GatherElements: more indices than data along axis %d", i);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t stride[DS_MAX_RANK], at[DS_MAX_RANK] = { 0 }, total = ds_tensor_count(in[1]);
	int axis, rank = in[0]->rank;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, rank, &axis, err));
	DS_TRY(ds_index_check(in[1], in[0]->dim[axis], err));
	ds_move_dense(rank, in[0]->dim, stride);
	for (int64_t i = 0; i < total; i++) {
		int64_t from = 0;

		for (int d = 0; d < rank; d++)
			from += (d == axis ? ds_index_at(in[1], i, in[0]->dim[axis]) : at[d]) * stride[d];
		memcpy((char *)out[0]->data + (size_t)i * size, (const char *)in[0]->data + (size_t)from * size, size);
		for (int d = rank - 1; d >= 0 && ++at[d] == in[1]->dim[d]; d--)
			at[d] = 0;
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k;

	if (ds_axis(DS_A(struct attr, n)->axis, in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	k = ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], ~(1u << axis));
	return ds_link_same(link, k, cap, 1, &in[1].type, DS_SLOT_OUT, &out[0], ~0u);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2], at[6], axis = ds_draw_in(&s, 0, 1);
	ds_tensor t;
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 2, 3, dim);
	for (int i = 0; i < 6; i++)
		at[i] = ds_draw_in(&s, -dim[axis], dim[axis] - 1);
	in[0] = ds_draw_input(&s, DS_F32, 2, dim);
	dim[axis] = 2;
	DS_TRY(ds_tensor_new(&t, DS_I64, 2, dim, err));
	memcpy(t.data, at, ds_tensor_bytes(&t));
	in[1] = ds_graph_weight(g, DS_V_CONST, "", &t);
	s.oom = s.oom || !in[1];
	n = ds_draw_node(&s, "GatherElements", 2, in, 1);
	ds_draw_i(&s, n, "axis", axis);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *zeros = ds_emit_expand(&e, ds_emit_scalar(&e, n->in[0]->type.dtype, 0), &n->in[0]->type);

	din[0] = ds_emit3(&e, "ScatterElements", zeros, n->in[1], dout[0]);
	ds_emit_i(&e, din[0], "axis", DS_A(struct attr, n)->axis);
	ds_emit_s(&e, din[0], "reduction", "add");
	return ds_emit_end(&e);
}

const ds_op ds_op_GatherElements = {
	.name = "GatherElements", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
