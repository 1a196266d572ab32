/* quantizelinear.c - QuantizeLinear (ONNX 21): y = saturate(round_half_even(x / scale) + zero point), per tensor, axis or block */
#include "qdq.h"
#include "nnsample.h"

struct job {
	const void  *x, *zero;
	const float *scale;
	void        *y;
	ds_dtype     from, zero_type;
	int32_t      lo, hi;
};

/* A row for one output type: x as float or int32, scale and zero with a step of 0 or 1. */
#define ROW(name, R) \
	static void name(void *arg, int64_t at, int64_t len, int64_t s0, int step) \
	{ \
		const struct job *j = arg; \
		const float *s = j->scale + s0; \
		const R *z = j->zero ? (const R *)j->zero + s0 : NULL; \
		R *y = (R *)j->y + at; \
		if (j->from == DS_F32 && step == 0) { \
			const float *x = (const float *)j->x + at, d = s[0]; \
			const int32_t zero = z ? z[0] : 0; \
			const float lo = (float)(j->lo - zero), hi = (float)(j->hi - zero); \
			for (int64_t i = 0; i < len; i++) { \
				float v = x[i] / d; \
				v = v > lo ? v : lo; \
				v = v < hi ? v : hi; \
				y[i] = (R)((int32_t)ds_rint_small(v) + zero); \
			} \
			return; \
		} \
		for (int64_t i = 0; i < len; i++) { \
			int32_t zero = z ? z[i * step] : 0; \
			float v = (j->from == DS_I32 ? (float)((const int32_t *)j->x)[at + i] : ((const float *)j->x)[at + i]) / s[i * step]; \
			float lo = (float)(j->lo - zero), hi = (float)(j->hi - zero); \
			v = v > lo ? v : lo; \
			v = v < hi ? v : hi; \
			y[i] = (R)((int32_t)ds_rint_small(v) + zero); \
		} \
	}
ROW(row_u8, uint8_t)
ROW(row_i8, int8_t)
ROW(row_u16, uint16_t)
ROW(row_i16, int16_t)

static ds_qdq_fn *const rows[DS_BOOL + 1] = { [DS_U8] = row_u8, [DS_I8] = row_i8, [DS_U16] = row_u16, [DS_I16] = row_i16 };

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *x = in[0], *zero = n->n_in > 2 ? in[2] : NULL;
	struct job j = { .x = x->data, .zero = zero ? zero->data : NULL, .scale = in[1]->data, .y = out[0]->data, .from = x->dtype };
	ds_qdq_split s;

	if ((x->dtype != DS_F32 && x->dtype != DS_I32) || in[1]->dtype != DS_F32 || !ds_qdq_range(out[0]->dtype, &j.lo, &j.hi))
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s to %s", n->op_name, ds_dtype_name(x->dtype), ds_dtype_name(out[0]->dtype));
	if (x->layout != out[0]->layout || (zero && ds_tensor_count(zero) != ds_tensor_count(in[1])))
		return ds_fail(err, DS_E_INPUT, "%s: scale and zero point differ in shape", n->op_name);
	DS_TRY(ds_qdq_make(n, x, in[1], &s, err));
	ds_qdq_each(env->pool, &s, rows[out[0]->dtype], &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_qdq_attr *a = n->a;
	const ds_dtype_row *row;
	int32_t lo, hi;

	DS_TRY(ds_qdq_check(n, in, err));
	out[0] = in[0].type;
	out[0].dtype = DS_U8;
	if (n->n_in > 2 && in[2].present) {
		out[0].dtype = in[2].type.dtype;
	} else if (a->output_dtype) {
		row = ds_dtype_by_onnx((int)a->output_dtype);
		if (!row)
			return ds_fail(err, DS_E_UNSUPPORTED, "%s: output_dtype %lld", n->op_name, (long long)a->output_dtype);
		out[0].dtype = row->dtype;
	}
	if (!ds_qdq_range(out[0].dtype, &lo, &hi))
		return ds_fail(err, DS_E_UNSUPPORTED, "%s to %s", n->op_name, ds_dtype_name(out[0].dtype));
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);

	(void)n;
	*c = (ds_cost){ .flops = 3 * count, .act_bytes = count * (double)(ds_dtype_size(out[0].dtype) + ds_dtype_size(in[0].type.dtype)) };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_U8, DS_I8, DS_U16, DS_I16 };
	ds_rng r = ds_sample_rng("QuantizeLinear", seed);
	ds_dtype q = types[seed % 4];
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 2, 9), ds_sample_int(&r, 2, 6), ds_sample_int(&r, 1, 6) }, sdim[4];
	int mode = (int)(seed % 3), axis = (int)ds_sample_int(&r, 0, 3);       /* tensor, axis, block */
	ds_value *in[3];
	ds_node *n;

	for (int i = 0; i < 4; i++)
		sdim[i] = mode == 1 ? dim[axis] : i == axis ? (dim[i] + 1) / 2 : dim[i];
	in[0] = ds_sample_input(g, seed % 7 == 6 ? DS_F16 : DS_F32, 4, dim);
	in[1] = ds_sample_weight(g, &r, seed % 7 == 6 ? DS_F16 : DS_F32, mode == 2 ? 4 : mode, sdim, 0.01, 0.1);
	in[2] = ds_sample_weight(g, &r, q, mode == 2 ? 4 : mode, sdim, q == DS_I8 || q == DS_I16 ? -20 : 0, 100);
	if (!in[0] || !in[1] || !in[2] || !(n = ds_sample_node(g, "", "QuantizeLinear", seed % 4 == 0 ? 2 : 3, in, 1)))
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_i(n, "axis", axis));
	if (mode == 2)
		DS_TRY(ds_attr_i(n, "block_size", 2));
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(ds_qdq_attr, axis, "axis", "1", 0, 0, "Axis that the scales go along"),
	DS_NN_INT(ds_qdq_attr, block_size, "block_size", "0", 0, 0, "Elements along the axis that share a scale, 0: one scale per index"),
	DS_NN_INT(ds_qdq_attr, saturate, "saturate", "1", 0, 1, "For 8-bit floats only"),
	DS_NN_INT(ds_qdq_attr, output_dtype, "output_dtype", "0", 0, 0, "Type of the result where there is no zero point (number of ONNX)"),
	{ 0 }
};

const ds_op ds_op_QuantizeLinear = {
	.name = "QuantizeLinear", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT,
	.attr_size = sizeof(ds_qdq_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .channels = ds_qdq_channels, .sample = sample,
};
