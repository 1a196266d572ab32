/* scatternd.c - ScatterND: data with the slices named by index tuples set to (or combined with) updates, in the order of the tuples */
#include "gather.h"
#include "draw.h"
#include "move.h"

#include <string.h>

struct attr { int reduction; };
static const ds_opt attrs[] = {
	DS_ATTR_CHOICE(struct attr, reduction, "none", ds_scatter_kinds, "how updates are combined with what is there"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type, *x = &in[1].type, *u = &in[2].type;
	int64_t tuple;

	DS_TRY(ds_index_type(n, in, 1, err));
	out[0] = *t;
	if (u->dtype != t->dtype || !ds_scatter_of(DS_A(struct attr, n)->reduction, t->dtype))
		return ds_fail(err, DS_E_INPUT, "ScatterND of %s into %s", ds_dtype_name(u->dtype), ds_dtype_name(t->dtype));
	if (t->rank < 0 || x->rank < 0 || u->rank < 0)
		return DS_OK;
	tuple = x->rank > 0 ? x->dim[x->rank - 1] : -1;
	if (x->rank == 0 || tuple > t->rank || (tuple >= 0 && u->rank != x->rank - 1 + t->rank - tuple))
		return ds_fail(err, DS_E_INPUT, "ScatterND: ranks of data, indices and updates do not fit");
	for (int i = 0; tuple >= 0 && i < u->rank; i++) {
		int64_t d = i < x->rank - 1 ? x->dim[i] : t->dim[i - (x->rank - 1) + tuple];

		if (d >= 0 && u->dim[i] >= 0 && d != u->dim[i])
			return ds_fail(err, DS_E_INPUT, "ScatterND: axis %d of the updates is %lld, not %lld", i, (long long)u->dim[i], (long long)d);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *t = in[0], *x = in[1];
	ds_scatter_fn put = ds_scatter_of(DS_A(struct attr, n)->reduction, t->dtype);
	size_t size = ds_dtype_size(t->dtype);
	int tuple = (int)x->dim[x->rank - 1];
	int64_t tuples = 1, count = 1, stride[DS_MAX_RANK];

	ds_move_dense(t->rank, t->dim, stride);
	for (int i = 0; i < x->rank - 1; i++)
		tuples *= x->dim[i];
	for (int i = tuple; i < t->rank; i++)
		count *= t->dim[i];
	if (out[0]->data != t->data)
		memcpy(out[0]->data, t->data, ds_tensor_bytes(t));
	for (int64_t i = 0; i < tuples; i++) {
		int64_t to = 0;

		for (int k = 0; k < tuple; k++) {
			int64_t v = ds_index_at(x, i * tuple + k, t->dim[k]);

			if (v < 0 || v >= t->dim[k])
				return ds_fail(err, DS_E_INPUT, "ScatterND: an index is outside an axis of %lld", (long long)t->dim[k]);
			to += v * stride[k];
		}
		put((char *)out[0]->data + (size_t)to * size, (const char *)in[2]->data + (size_t)(i * count) * size, count);
	}
	return DS_OK;
}

/* The axes behind those that are indexed come through. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int tuple = (int)in[1].type.dim[in[1].type.rank - 1], k = 0;

	for (int i = tuple; i < in[0].type.rank; i++) {
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, i, 0);
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 2, in[1].type.rank - 1 + i - tuple, DS_SLOT_OUT, i, 0);
	}
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], xdim[2] = { 4, 1 + (int64_t)(seed % 3) }, udim[3] = { 4 };
	int tuple = (int)xdim[1];
	ds_tensor t;
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 3, 4, dim);
	DS_TRY(ds_tensor_new(&t, DS_I64, 2, xdim, err));
	for (int i = 0; i < 4 * tuple; i++)
		((int64_t *)t.data)[i] = ds_draw_in(&s, -dim[i % tuple], dim[i % tuple] - 1);
	for (int i = tuple; i < 3; i++)
		udim[1 + i - tuple] = dim[i];
	in[0] = ds_draw_input(&s, DS_F32, 3, dim);
	in[1] = ds_graph_weight(g, DS_V_PARAM, "index", &t);
	in[2] = ds_draw_input(&s, DS_F32, 4 - tuple, udim);
	s.oom = s.oom || !in[1];
	n = ds_draw_node(&s, "ScatterND", 3, in, 1);
	ds_draw_s(&s, n, "reduction", ds_scatter_kinds[seed / 3 % 5]);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	return ds_scatter_gradient(g, n, 0, DS_A(struct attr, n)->reduction, dout, din, err);
}

const ds_op ds_op_ScatterND = {
	.name = "ScatterND", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
