/* squeeze.c - Squeeze: axes of extent 1 removed, those named or all */
#include "draw.h"
#include "infer.h"
#include "move.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	bool given = n->n_in > 1 && in[1].present;
	int64_t axis[DS_MAX_RANK];
	int count = -1, r = 0;
	unsigned mask = 0;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	if (given) {
		DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, axis, &count, err));
		if (count < 0 && t->rank >= 0 && ds_known_length(&in[1]) >= 0 && ds_known_length(&in[1]) <= t->rank)
			ds_infer_unknown(&out[0], t->dtype, t->rank - (int)ds_known_length(&in[1]));
		if (count < 0)
			return DS_OK;
	}
	if (t->rank < 0)
		return DS_OK;
	if (given)
		DS_TRY(ds_axes(axis, count, t->rank, &mask, err));
	for (int i = 0; i < t->rank; i++) {
		if (!given && t->dim[i] < 0)
			return DS_OK;           /* 1 or not: nobody knows */
		if (mask >> i & 1 && t->dim[i] >= 0 && t->dim[i] != 1)
			return ds_fail(err, DS_E_INPUT, "Squeeze of axis %d, which has the extent %lld", i, (long long)t->dim[i]);
		if (given ? !(mask >> i & 1) : t->dim[i] != 1)
			out[0].dim[r++] = t->dim[i];
	}
	out[0].rank = (int8_t)r;
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_reshape(link, 0, cap, &in[0].type, &out[0]);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], axis[2] = { 1, -1 };
	ds_value *in[2];

	ds_draw_dims(&s, 4, 4, dim);
	dim[1] = dim[3] = 1;
	in[0] = ds_draw_input(&s, DS_F32, 4, dim);
	in[1] = ds_draw_ints(&s, 1 + (int64_t)(seed & 1), axis);
	return ds_draw_end(&s, ds_draw_node(&s, "Squeeze", seed % 3 ? 2 : 1, in, 1), err);
}

const ds_op ds_op_Squeeze = {
	.name = "Squeeze", .domain = "", .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.infer = infer, .forward = ds_view_forward, .cost = ds_view_cost, .channels = channels, .gradient = ds_view_gradient, .sample = sample,
};
