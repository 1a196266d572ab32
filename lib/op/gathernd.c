/* gathernd.c - GatherND: slices of the data, picked by tuples along the last axis of the indices, batch by batch */
#include "gather.h"
#include "draw.h"
#include "grad.h"
#include "move.h"

#include <string.h>

struct attr { int64_t batch_dims; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, batch_dims, "0", "leading axes that data and indices share"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type, *x = &in[1].type;
	int64_t b = DS_A(struct attr, n)->batch_dims, tuple;
	int r = 0;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	DS_TRY(ds_index_type(n, in, 1, err));
	if (t->rank < 0 || x->rank < 0)
		return DS_OK;
	if (x->rank < 1 || b < 0 || b >= x->rank || b > t->rank)
		return ds_fail(err, DS_E_INPUT, "GatherND with %lld batch axes, data of rank %d, indices of rank %d", (long long)b, t->rank, x->rank);
	tuple = x->dim[x->rank - 1];
	if (tuple < 0)
		return DS_OK;
	if (tuple > t->rank - b)
		return ds_fail(err, DS_E_INPUT, "GatherND: tuples of %lld indices for %d axes", (long long)tuple, (int)(t->rank - b));
	if (x->rank - 1 + t->rank - b - tuple > DS_MAX_RANK)
		return ds_fail(err, DS_E_UNSUPPORTED, "GatherND to rank %d", (int)(x->rank - 1 + t->rank - b - tuple));
	for (int i = 0; i < x->rank - 1; i++) {
		if (i < b && x->dim[i] >= 0 && t->dim[i] >= 0 && x->dim[i] != t->dim[i])
			return ds_fail(err, DS_E_INPUT, "GatherND: batch axis %d differs", i);
		out[0].dim[r++] = x->dim[i];
	}
	for (int i = (int)(b + tuple); i < t->rank; i++)
		out[0].dim[r++] = t->dim[i];
	out[0].rank = (int8_t)r;
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *t = in[0], *x = in[1];
	int b = (int)DS_A(struct attr, n)->batch_dims, tuple = (int)x->dim[x->rank - 1];
	int64_t tuples = 1, batch = 1, stride[DS_MAX_RANK];
	size_t bytes = ds_dtype_size(t->dtype);

	ds_move_dense(t->rank, t->dim, stride);
	for (int i = 0; i < x->rank - 1; i++) {
		batch *= i < b ? x->dim[i] : 1;
		tuples *= i < b ? 1 : x->dim[i];
	}
	for (int i = b + tuple; i < t->rank; i++)
		bytes *= (size_t)t->dim[i];
	for (int64_t i = 0; i < batch * tuples; i++) {
		int64_t from = i / tuples * (b > 0 ? stride[b - 1] : 0);

		for (int k = 0; k < tuple; k++) {
			int64_t extent = t->dim[b + k], v = ds_index_at(x, i * tuple + k, extent);

			if (v < 0 || v >= extent)
				return ds_fail(err, DS_E_INPUT, "GatherND: an index is outside an axis of %lld", (long long)extent);
			from += v * stride[b + k];
		}
		memcpy((char *)out[0]->data + (size_t)i * bytes, (const char *)t->data + (size_t)from * ds_dtype_size(t->dtype), bytes);
	}
	return DS_OK;
}

/* The axes behind those that are indexed come through. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int from = (int)(DS_A(struct attr, n)->batch_dims + in[1].type.dim[in[1].type.rank - 1]), k = 0;

	for (int i = from; i < in[0].type.rank; i++)
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, in[1].type.rank - 1 + i - from, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], xdim[2] = { 3, 1 + (int64_t)(seed % 3) };
	ds_tensor t;
	ds_value *in[2];

	ds_draw_dims(&s, 3, 5, dim);
	DS_TRY(ds_tensor_new(&t, DS_I64, 2, xdim, err));
	for (int i = 0; i < xdim[0] * xdim[1]; i++)
		((int64_t *)t.data)[i] = ds_draw_in(&s, -dim[i % xdim[1]], dim[i % xdim[1]] - 1);
	in[0] = ds_draw_input(&s, DS_F32, 3, dim);
	in[1] = ds_graph_weight(g, DS_V_PARAM, "index", &t);
	s.oom = s.oom || !in[1];
	return ds_draw_end(&s, ds_draw_node(&s, "GatherND", 2, in, 1), err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *dims = ds_emit_ints(&e, n->in[0]->type.rank, n->in[0]->type.dim);

	din[0] = ds_emit3(&e, "ds.GatherNDGrad", dout[0], dims, n->in[1]);
	ds_emit_i(&e, din[0], "batch_dims", DS_A(struct attr, n)->batch_dims);
	return ds_emit_end(&e);
}

const ds_op ds_op_GatherND = {
	.name = "GatherND", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
