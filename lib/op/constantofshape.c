/* constantofshape.c - ConstantOfShape: a tensor of the shape given, every element the same */
#include "draw.h"
#include "infer.h"
#include "move.h"

struct attr { const ds_tensor *value; };
static const ds_opt attrs[] = {
	{ .name = "value", .type = DS_T_TENSOR, .offset = offsetof(struct attr, value), .help = "one element: type and value of all, 0 as f32 if absent" },
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_tensor *value = DS_A(struct attr, n)->value;
	int64_t v[DS_MAX_RANK], len = ds_known_length(&in[0]);
	int count;

	out[0].dtype = value ? value->dtype : DS_F32;
	out[0].rank = -1;
	if (value && (ds_tensor_count(value) != 1 || !ds_dtype_size(value->dtype) || !value->data))
		return ds_fail(err, DS_E_INPUT, "value of ConstantOfShape is not one element");
	DS_TRY(ds_known_ints(&in[0], DS_MAX_RANK, v, &count, err));
	if (count < 0) {
		if (len >= 0 && len <= DS_MAX_RANK)
			ds_infer_unknown(&out[0], out[0].dtype, (int)len);
		return DS_OK;
	}
	for (int i = 0; i < count; i++)
		if (v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "ConstantOfShape with the extent %lld", (long long)v[i]);
	out[0] = ds_type_make(out[0].dtype, count, v);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	static const float zero;
	const ds_tensor *value = DS_A(struct attr, n)->value;
	int64_t to[DS_MAX_RANK], from[DS_MAX_RANK] = { 0 };

	ds_tensor_strides(out[0], to);
	ds_move_strided(env->pool, ds_dtype_size(out[0]->dtype), out[0]->rank, out[0]->dim, out[0]->data, to, value ? value->data : &zero, from);
	return DS_OK;
}

/* Elements are alike: any index may go. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	for (int d = 0; d < out[0].rank; d++)
		k = ds_link_add(link, k, cap, DS_LINK_FREE, DS_SLOT_OUT, d, DS_SLOT_OUT, d, 0);
	return k;
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	return ds_recut_dims(g, n, 0, &in[0], &want[0], err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], one = 1;
	int rank = (int)ds_draw_in(&s, 0, 4);
	ds_value *in, *value;
	ds_node *n;

	ds_draw_dims(&s, rank, 5, dim);
	in = ds_draw_ints(&s, rank, dim);
	n = ds_draw_node(&s, "ConstantOfShape", 1, &in, 1);
	if (seed & 1) {
		value = ds_draw_param(&s, seed & 2 ? DS_I64 : DS_F32, 1, &one);
		s.oom = s.oom || ds_attr_t(n, "value", value) != DS_OK;
	}
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_ConstantOfShape = {
	.name = "ConstantOfShape", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .recut = recut, .sample = sample,
};
