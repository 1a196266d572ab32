/* flatten.c - Flatten: two dims, the product of those before `axis` and the product of the rest */
#include "draw.h"
#include "infer.h"
#include "move.h"

struct attr { int64_t axis; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "1", "first axis of the second product"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t axis = DS_A(struct attr, n)->axis;
	int rank = in[0].type.rank;

	ds_infer_unknown(&out[0], in[0].type.dtype, 2);
	if (rank < 0)
		return DS_OK;
	if (axis < -rank || axis > rank)
		return ds_fail(err, DS_E_INPUT, "Flatten at axis %lld of a tensor of rank %d", (long long)axis, rank);
	axis = axis < 0 ? axis + rank : axis;
	out[0].dim[0] = ds_infer_product(&in[0].type, 0, (int)axis);
	out[0].dim[1] = ds_infer_product(&in[0].type, (int)axis, rank);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_reshape(link, 0, cap, &in[0].type, &out[0]);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	int rank = (int)ds_draw_in(&s, 1, 4);
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, rank, 5, dim);
	in = ds_draw_input(&s, DS_F32, rank, dim);
	n = ds_draw_node(&s, "Flatten", 1, &in, 1);
	if (seed & 1)
		ds_draw_i(&s, n, "axis", ds_draw_in(&s, -rank, rank));
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_Flatten = {
	.name = "Flatten", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = ds_view_forward, .cost = ds_view_cost,
	.channels = channels, .gradient = ds_view_gradient, .sample = sample,
};
