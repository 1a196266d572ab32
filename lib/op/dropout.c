/* dropout.c - Dropout: the identity when a model runs; the optional mask is true everywhere */
#include "draw.h"
#include "infer.h"
#include "move.h"

#include <string.h>

struct attr { int64_t seed; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, seed, "0", "of the random numbers in training"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_tensor *training = n->n_in > 2 ? in[2].value : NULL, *ratio = n->n_in > 1 ? in[1].value : NULL;

	if (training && ds_tensor_count(training) == 1 && ds_tensor_i64(training, 0) && !(ratio && ds_tensor_count(ratio) == 1 &&
		ds_tensor_f64(ratio, 0) == 0))
		return ds_fail(err, DS_E_UNSUPPORTED, "Dropout in training mode");
	out[0] = in[0].type;
	if (n->n_out > 1) {
		out[1] = in[0].type;
		out[1].dtype = DS_BOOL;
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	if (n->n_in > 2 && in[2] && ds_tensor_count(in[2]) == 1 && ds_tensor_i64(in[2], 0) &&
		!(in[1] && ds_tensor_count(in[1]) == 1 && ds_tensor_f64(in[1], 0) == 0))
		return ds_fail(err, DS_E_UNSUPPORTED, "Dropout in training mode");
	if (n->n_out > 1 && out[1])
		memset(out[1]->data, 1, ds_tensor_bytes(out[1]));
	return ds_view_forward(env, n, in, out, err);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_same_channels(n, in, out, link, cap);

	return n->n_out > 1 ? ds_link_same(link, k, cap, 0, &in[0].type, DS_SLOT_OUT + 1, &out[1], ~0u) : k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;

	ds_draw_dims(&s, 3, 6, dim);
	in = ds_draw_input(&s, DS_F32, 3, dim);
	return ds_draw_end(&s, ds_draw_node(&s, "Dropout", 1, &in, 1 + (int)(seed & 1)), err);
}

const ds_op ds_op_Dropout = {
	.name = "Dropout", .domain = "", .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 2, .flags = DS_OP_VIEW,
	.attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .forward = forward, .cost = ds_view_cost, .channels = channels, .gradient = ds_view_gradient, .sample = sample,
};
