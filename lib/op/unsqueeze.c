/* unsqueeze.c - Unsqueeze: axes of extent 1 inserted at the places that they have in the output */
#include "draw.h"
#include "infer.h"
#include "move.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t axis[DS_MAX_RANK];
	int count, rank, from = 0;
	unsigned mask;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, axis, &count, err));
	if (t->rank < 0 || (count < 0 && ds_known_length(&in[1]) < 0))
		return DS_OK;
	rank = t->rank + (int)DS_MIN(ds_known_length(&in[1]), DS_MAX_RANK);
	if (rank > DS_MAX_RANK)
		return ds_fail(err, DS_E_UNSUPPORTED, "Unsqueeze to rank %d", rank);
	ds_infer_unknown(&out[0], t->dtype, rank);
	if (count < 0)
		return DS_OK;
	DS_TRY(ds_axes(axis, count, rank, &mask, err));
	for (int i = 0; i < rank; i++)
		out[0].dim[i] = mask >> i & 1 ? 1 : t->dim[from++];
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_reshape(link, 0, cap, &in[0].type, &out[0]);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2], axis[2];
	ds_value *in[2];

	ds_draw_dims(&s, 2, 5, dim);
	axis[0] = ds_draw_in(&s, 0, 2);
	axis[1] = -1;
	in[0] = ds_draw_input(&s, DS_F32, 2, dim);
	in[1] = ds_draw_ints(&s, 1 + (int64_t)(seed & 1), axis);
	return ds_draw_end(&s, ds_draw_node(&s, "Unsqueeze", 2, in, 1), err);
}

const ds_op ds_op_Unsqueeze = {
	.name = "Unsqueeze", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.infer = infer, .forward = ds_view_forward, .cost = ds_view_cost, .channels = channels, .gradient = ds_view_gradient, .sample = sample,
};
