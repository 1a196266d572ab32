/* where.c - Where: x where the condition holds, else y */
#include "elementwise.h"

/* Moves bits, so one row per size of element does. */
#define WHERE_ROW(fname, T) \
	static void fname(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg) \
	{ \
		const uint8_t *c = in[0]; \
		const T *a = in[1], *b = in[2]; \
		T *r = out; \
		const int64_t sc = stride[0], sa = stride[1], sb = stride[2]; \
		if (sc == 1 && sa == 1 && sb == 1) { \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const T x = a[i], y = b[i]; r[i] = c[i] ? x : y; } \
		} else if (sc == 1 && sa == 1 && sb == 0) { \
			const T y = b[0]; \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const T x = a[i]; r[i] = c[i] ? x : y; } \
		} else if (sc == 1 && sa == 0 && sb == 1) { \
			const T x = a[0]; \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const T y = b[i]; r[i] = c[i] ? x : y; } \
		} else { \
			for (int64_t i = 0; i < n; i++) { const T x = a[i * sa], y = b[i * sb]; r[i] = c[i * sc] ? x : y; } \
		} \
	}
WHERE_ROW(where8, uint8_t)
WHERE_ROW(where16, uint16_t)
WHERE_ROW(where32, uint32_t)
WHERE_ROW(where64, uint64_t)

static const ds_ew ew = {
	.fn = {
		[DS_F32] = where32, [DS_F16] = where16, [DS_BF16] = where16, [DS_F64] = where64, [DS_I8] = where8, [DS_U8] = where8,
		[DS_I16] = where16, [DS_U16] = where16, [DS_I32] = where32, [DS_U32] = where32, [DS_I64] = where64, [DS_U64] = where64,
		[DS_BOOL] = where8,
	},
	.key = 1, .same = 1,
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (in[0].type.dtype != DS_BOOL)
		return ds_fail(err, DS_E_INPUT, "the condition of Where is %s, not bool", ds_dtype_name(in[0].type.dtype));
	return ds_ew_infer(&ew, n, in, out, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_ew_forward(&ew, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_ew_sample(&ew, g, "Where", 3, seed, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *zero = ds_emit_scalar(&e, n->out[0]->type.dtype, 0);

	din[1] = ds_emit_reduce_to(&e, ds_emit3(&e, "Where", n->in[0], dout[0], zero), &n->out[0]->type, &n->in[1]->type);
	din[2] = ds_emit_reduce_to(&e, ds_emit3(&e, "Where", n->in[0], zero, dout[0]), &n->out[0]->type, &n->in[2]->type);
	return ds_emit_end(&e);
}

const ds_op ds_op_Where = {
	.name = "Where", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT,
	.infer = infer, .forward = forward, .gradient = gradient, .sample = sample,
};
