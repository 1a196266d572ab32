/* scatterelements.c - ScatterElements: data with out[i][index[i][j][k]][k] set to (or combined with) updates[i][j][k] for axis 1, and so on
 *
 * Updates are applied in the order of the indices, so repeated indices give the same result always. */
#include "gather.h"
#include "draw.h"
#include "move.h"

#include <string.h>

struct attr { int64_t axis; int reduction; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "0", "axis that is indexed"),
	DS_ATTR_CHOICE(struct attr, reduction, "none", ds_scatter_kinds, "how updates are combined with what is there"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type, *x = &in[1].type, *u = &in[2].type;
	int axis;

	DS_TRY(ds_index_type(n, in, 1, err));
	out[0] = *t;
	if (u->dtype != t->dtype || !ds_scatter_of(DS_A(struct attr, n)->reduction, t->dtype))
		return ds_fail(err, DS_E_INPUT, "ScatterElements of %s into %s", ds_dtype_name(u->dtype), ds_dtype_name(t->dtype));
	if (t->rank < 0)
		return DS_OK;
	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank, &axis, err));
	if ((x->rank >= 0 && x->rank != t->rank) || (u->rank >= 0 && u->rank != t->rank))
		return ds_fail(err, DS_E_INPUT, "ScatterElements: data, indices and updates are not of one rank");
	for (int i = 0; x->rank >= 0 && u->rank >= 0 && i < t->rank; i++) {
		if (x->dim[i] >= 0 && u->dim[i] >= 0 && x->dim[i] != u->dim[i])
			return ds_fail(err, DS_E_INPUT, "ScatterElements: indices and updates differ along axis %d", i);
		if (i != axis && t->dim[i] >= 0 && x->dim[i] > t->dim[i])
			return ds_fail(err, DS_E_INPUT, "ScatterElements: more indices than data along axis %d", i);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	ds_scatter_fn put = ds_scatter_of(a->reduction, in[0]->dtype);
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t stride[DS_MAX_RANK], at[DS_MAX_RANK] = { 0 }, total = ds_tensor_count(in[1]);
	int axis, rank = in[0]->rank;

	DS_TRY(ds_axis(a->axis, rank, &axis, err));
	DS_TRY(ds_index_check(in[1], in[0]->dim[axis], err));
	ds_move_dense(rank, in[0]->dim, stride);
	if (out[0]->data != in[0]->data)
		memcpy(out[0]->data, in[0]->data, ds_tensor_bytes(in[0]));
	for (int64_t i = 0; i < total; i++) {
		int64_t to = 0;

		for (int d = 0; d < rank; d++)
			to += (d == axis ? ds_index_at(in[1], i, in[0]->dim[axis]) : at[d]) * stride[d];
		put((char *)out[0]->data + (size_t)to * size, (const char *)in[2]->data + (size_t)i * size, 1);
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
	k = ds_link_same(link, k, cap, 1, &in[1].type, DS_SLOT_OUT, &out[0], ~(1u << axis));
	return ds_link_same(link, k, cap, 2, &in[2].type, DS_SLOT_OUT, &out[0], ~(1u << axis));
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_F16, DS_U8 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2], xdim[2], axis = ds_draw_in(&s, 0, 1);
	ds_dtype d = ds_draw_dtype(&s, kinds, 4);
	ds_tensor t;
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 2, 5, dim);
	xdim[axis] = 3;
	xdim[!axis] = ds_draw_in(&s, 1, dim[!axis]);
	DS_TRY(ds_tensor_new(&t, DS_I64, 2, xdim, err));
	for (int i = 0; i < xdim[0] * xdim[1]; i++)
		((int64_t *)t.data)[i] = ds_draw_in(&s, -dim[axis], dim[axis] - 1);
	in[0] = ds_draw_input(&s, d, 2, dim);
	in[1] = ds_graph_weight(g, DS_V_PARAM, "index", &t);
	in[2] = ds_draw_input(&s, d, 2, xdim);
	s.oom = s.oom || !in[1];
	n = ds_draw_node(&s, "ScatterElements", 3, in, 1);
	ds_draw_i(&s, n, "axis", axis);
	ds_draw_s(&s, n, "reduction", ds_scatter_kinds[seed / 4 % 5]);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	return ds_scatter_gradient(g, n, DS_A(struct attr, n)->axis, DS_A(struct attr, n)->reduction, dout, din, err);
}

const ds_op ds_op_ScatterElements = {
	.name = "ScatterElements", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
