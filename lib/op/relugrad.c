/* relugrad.c - ds.ReluGrad: dY, Y -> dX: dY where Relu's result Y is above 0 (or NaN), 0 elsewhere */
#include "elementwise.h"
#include "draw.h"

DS_EW_FLOATS(DS_EW2_ROW, relugrad, SAME, (void)arg, y <= 0 ? 0.0f : x, y <= 0 ? 0.0 : x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(relugrad) }, .same = 1 };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) { return ds_ew_infer(&ew, n, in, out, err); }

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_ew_forward(&ew, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F64, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	int rank = (int)ds_draw_in(&s, 1, 4);
	ds_draw_dims(&s, rank, 7, dim);
	ds_dtype t = ds_draw_dtype(&s, types, 4);
	ds_value *in[2] = { ds_draw_input(&s, t, rank, dim), ds_draw_input(&s, t, rank, dim) };
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "ReluGrad", "", 2, in, 1, NULL);
	s.oom = s.oom || !n;
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_ReluGrad = {
	.name = "ReluGrad", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .sample = sample,
};
