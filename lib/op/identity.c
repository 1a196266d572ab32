/* identity.c - Identity: the output is the input */
#include "draw.h"
#include "infer.h"
#include "move.h"

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_BOOL, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;

	ds_draw_dims(&s, 3, 6, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 4), 3, dim);
	return ds_draw_end(&s, ds_draw_node(&s, "Identity", 1, &in, 1), err);
}

const ds_op ds_op_Identity = {
	.name = "Identity", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.infer = ds_infer_same, .forward = ds_view_forward, .cost = ds_view_cost, .channels = ds_same_channels,
	.gradient = ds_view_gradient, .sample = sample,
};
