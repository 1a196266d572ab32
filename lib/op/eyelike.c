/* eyelike.c - EyeLike: ones on diagonal k, zeros elsewhere, of the input's dims */
#include "draw.h"
#include "infer.h"

#include <string.h>

struct attr { int64_t dtype, k; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, dtype, "0", "ONNX number of the type, 0: that of the input"),
	DS_ATTR_INT(struct attr, k, "0", "diagonal, above the main one when positive"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t d = DS_A(struct attr, n)->dtype;
	const ds_dtype_row *row = d ? (d > 0 && d < 256 ? ds_dtype_by_onnx((int)d) : NULL) : ds_dtype_of(in[0].type.dtype);

	if (!row || !ds_dtype_size(row->dtype))
		return ds_fail(err, DS_E_UNSUPPORTED, "EyeLike of the ONNX type %lld", (long long)d);
	if (in[0].type.rank >= 0 && in[0].type.rank != 2)
		return ds_fail(err, DS_E_INPUT, "EyeLike of a tensor of rank %d", in[0].type.rank);
	out[0] = in[0].type;
	out[0].dtype = row->dtype;
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const float one = 1;
	int64_t k = DS_A(struct attr, n)->k, rows = out[0]->dim[0], cols = out[0]->dim[1];
	const ds_dtype_row *row = ds_dtype_of(out[0]->dtype);

	memset(out[0]->data, 0, ds_tensor_bytes(out[0]));
	if (k <= -rows || k >= cols)
		return DS_OK;
	for (int64_t r = DS_MAX(0, -k); r < rows && r + k < cols; r++)
		row->from_f32((char *)out[0]->data + (size_t)(r * cols + r + k) * (row->bits / 8u), &one, 1);
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[2];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 2, 6, dim);
	in = ds_draw_input(&s, DS_F32, 2, dim);
	n = ds_draw_node(&s, "EyeLike", 1, &in, 1);
	ds_draw_i(&s, n, "k", ds_draw_in(&s, -3, 3));
	if (seed & 1)
		ds_draw_i(&s, n, "dtype", ds_dtype_of(DS_I32)->onnx);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_EyeLike = {
	.name = "EyeLike", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_SHAPE_ONLY,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .sample = sample,
};
