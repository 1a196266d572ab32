/* identity.c - Identity: the output is the input */
#include "infer.h"
#include "move.h"

const ds_op ds_op_Identity = {
	.name = "Identity", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.infer = ds_infer_same, .forward = ds_view_forward, .cost = ds_view_cost, .channels = ds_same_channels,
};
