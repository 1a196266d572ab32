/* onehot.c - OneHot: a new axis of `depth` elements, the on value where its position is the index, else the off value; indices outside give all off */
#include "draw.h"
#include "infer.h"

#include <math.h>
#include <string.h>

struct attr { int64_t axis; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "-1", "place of the new axis in the output"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int axis;

	ds_infer_unknown(&out[0], in[2].type.dtype, -1);
	if (t->rank < 0)
		return DS_OK;
	if (t->rank + 1 > DS_MAX_RANK)
		return ds_fail(err, DS_E_UNSUPPORTED, "OneHot to rank %d", t->rank + 1);
	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank + 1, &axis, err));
	out[0].rank = (int8_t)(t->rank + 1);
	for (int i = 0; i <= t->rank; i++)
		out[0].dim[i] = i < axis ? t->dim[i] : i > axis ? t->dim[i - 1] : DS_DIM_UNKNOWN;
	if (in[1].value) {
		if (ds_tensor_count(in[1].value) != 1 || !(ds_tensor_f64(in[1].value, 0) >= 0) || ds_tensor_f64(in[1].value, 0) > INT32_MAX)
			return ds_fail(err, DS_E_INPUT, "depth of OneHot is not a number that can be used");
		out[0].dim[axis] = (int64_t)ds_tensor_f64(in[1].value, 0);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(out[0]->dtype);
	const char *off = in[2]->data, *on = off + size;
	int64_t inner = 1, outer = 1, depth;
	char *r = out[0]->data;
	int axis;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, out[0]->rank, &axis, err));
	if (ds_tensor_count(in[2]) != 2)
		return ds_fail(err, DS_E_INPUT, "OneHot wants an off and an on value");
	depth = out[0]->dim[axis];
	for (int i = 0; i < axis; i++)
		outer *= in[0]->dim[i];
	for (int i = axis; i < in[0]->rank; i++)
		inner *= in[0]->dim[i];
	for (int64_t i = 0; i < outer * depth * inner; i++)
		memcpy(r + (size_t)i * size, off, size);
	for (int64_t o = 0; o < outer; o++) {
		for (int64_t i = 0; i < inner; i++) {
			double v = floor(ds_tensor_f64(in[0], o * inner + i));

			v = v < 0 ? v + (double)depth : v;
			if (v >= 0 && v < (double)depth)
				memcpy(r + (size_t)((o * depth + (int64_t)v) * inner + i) * size, on, size);
		}
	}
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2], depth = ds_draw_in(&s, 1, 6), two = 2;
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 2, 4, dim);
	in[0] = ds_draw_param(&s, DS_I32, 2, dim);
	in[1] = ds_draw_ints(&s, -1, &depth);
	in[2] = ds_draw_input(&s, DS_F32, 1, &two);
	n = ds_draw_node(&s, "OneHot", 3, in, 1);
	ds_draw_i(&s, n, "axis", ds_draw_in(&s, -3, 2));
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_OneHot = {
	.name = "OneHot", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .sample = sample,
};
