/* size.c - Size: how many elements the input has, as a scalar of i64 */
#include "draw.h"
#include "infer.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_infer_unknown(&out[0], DS_I64, 0);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	*(int64_t *)out[0]->data = ds_tensor_count(in[0]);
	return DS_OK;
}

/* Any index may go: the elements are counted again. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	for (int i = 0; i < in[0].type.rank; i++)
		k = ds_link_add(link, k, cap, DS_LINK_FREE, 0, i, 0, i, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[5];
	int rank = (int)ds_draw_in(&s, 0, 5);
	ds_value *in;

	ds_draw_dims(&s, rank, 5, dim);
	in = ds_draw_input(&s, DS_F32, rank, dim);
	return ds_draw_end(&s, ds_draw_node(&s, "Size", 1, &in, 1), err);
}

const ds_op ds_op_Size = {
	.name = "Size", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_SHAPE_ONLY,
	.infer = infer, .forward = forward, .channels = channels, .sample = sample,
};
