/* castlike.c - CastLike: the first input in the element type of the second */
#include "cast.h"
#include "draw.h"
#include "grad.h"

struct attr { int64_t saturate; int round_mode; };
static const char *const rounds[] = { "up", "down", "nearest", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, saturate, "1", "concerns 8-bit floats only"),
	DS_ATTR_CHOICE(struct attr, round_mode, "up", rounds, "concerns 8-bit exponents only"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (!ds_dtype_size(in[0].type.dtype) || !ds_dtype_size(in[1].type.dtype))
		return ds_fail(err, DS_E_UNSUPPORTED, "CastLike from %s to %s", ds_dtype_name(in[0].type.dtype), ds_dtype_name(in[1].type.dtype));
	out[0] = in[0].type;
	out[0].dtype = in[1].type.dtype;
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_cast_run(env->pool, in[0], out[0], err);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], ~0u);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I32, DS_BOOL, DS_F16, DS_U8, DS_F64, DS_I64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2], one = 1;
	ds_value *in[2];

	ds_draw_dims(&s, 2, 6, dim);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 7), 2, dim);
	in[1] = ds_draw_input(&s, kinds[ds_draw_in(&s, 0, 6)], 1, &one);
	return ds_draw_end(&s, ds_draw_node(&s, "CastLike", 2, in, 1), err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	if (!ds_grad_float(n->in[0]))
		return DS_OK;           /* from integers nothing flows on */
	din[0] = ds_emit1(&e, "Cast", dout[0]);
	ds_emit_i(&e, din[0], "to", ds_dtype_of(n->in[0]->type.dtype)->onnx);
	return ds_emit_end(&e);
}

const ds_op ds_op_CastLike = {
	.name = "CastLike", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .channels = channels, .gradient = gradient, .sample = sample,
};
