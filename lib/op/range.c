/* range.c - Range: start, start + delta, ... before limit */
#include "draw.h"
#include "infer.h"

#include <math.h>

static int64_t length(const ds_tensor *start, const ds_tensor *limit, const ds_tensor *delta)
{
	double n;

	if (!ds_dtype_of(start->dtype)->is_float) {
		int64_t a = ds_tensor_i64(start, 0), b = ds_tensor_i64(limit, 0), d = ds_tensor_i64(delta, 0);
		uint64_t span = d > 0 ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b, step = d > 0 ? (uint64_t)d : 0 - (uint64_t)d;

		if (d == 0 || (d > 0 ? b <= a : b >= a))
			return 0;
		n = (double)((span - 1) / step) + 1;
	} else {
		n = ceil((ds_tensor_f64(limit, 0) - ds_tensor_f64(start, 0)) / ds_tensor_f64(delta, 0));
	}
	return !(n > 0) ? 0 : n > 0x1p40 ? INT64_C(1) << 40 : (int64_t)n;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_dtype d = in[0].type.dtype;
	bool known = true;

	ds_infer_unknown(&out[0], d, 1);
	if (d != DS_F32 && d != DS_F64 && d != DS_I16 && d != DS_I32 && d != DS_I64)
		return ds_fail(err, DS_E_INPUT, "Range does not take %s", ds_dtype_name(d));
	for (int i = 0; i < 3; i++) {
		if (in[i].type.dtype != d)
			return ds_fail(err, DS_E_INPUT, "Range takes inputs of one type");
		if (in[i].value && ds_tensor_count(in[i].value) != 1)
			return ds_fail(err, DS_E_INPUT, "Range takes scalars");
		known &= in[i].value != NULL;
	}
	if (!known)
		return DS_OK;
	if (ds_tensor_f64(in[2].value, 0) == 0)
		return ds_fail(err, DS_E_INPUT, "Range with delta 0");
	out[0].dim[0] = length(in[0].value, in[1].value, in[2].value);
	return DS_OK;
}

/* Floats: start + i * delta in their own type, not a running sum. */
#define FILL(T, U) do { \
		const T a = *(const T *)in[0]->data, d = *(const T *)in[2]->data; \
		T *r = out[0]->data; \
		for (int64_t i = 0; i < count; i++) \
			r[i] = (T)((U)a + (U)i * (U)d); \
	} while (0)

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int64_t count = out[0]->dim[0];

	if (count != length(in[0], in[1], in[2]))
		return ds_fail(err, DS_E_INTERNAL, "Range is not as long as planned");
	switch (out[0]->dtype) {
	case DS_F32: FILL(float, float); break;
	case DS_F64: FILL(double, double); break;
	case DS_I16: FILL(int16_t, uint64_t); break;
	case DS_I32: FILL(int32_t, uint64_t); break;
	default:     FILL(int64_t, uint64_t); break;
	}
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t v[3] = { ds_draw_in(&s, -5, 5), ds_draw_in(&s, 6, 20), ds_draw_in(&s, 1, 4) };
	ds_value *in[3];

	for (int i = 0; i < 3; i++)
		in[i] = seed & 1 ? ds_draw_ints(&s, -1, &v[i]) : ds_draw_f32(&s, (float)v[i] * 0.5f);
	return ds_draw_end(&s, ds_draw_node(&s, "Range", 3, in, 1), err);
}

const ds_op ds_op_Range = {
	.name = "Range", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .sample = sample,
};
