/* pow.c - Pow: x to the y; the exponent may be of another type, the result has the type of x
 *
 * Squares and cubes, which models use for variances and activations, are products; the choice is made by the exponent's value, so that it does not
 * depend on how the exponent is broadcast. */
#include "draw.h"
#include "elementwise.h"

#include <math.h>

static inline float pow32(float x, float y)
{
	return y == 2.0f ? x * x : y == 3.0f ? x * x * x : powf(x, y);
}

static inline double pow64(double x, double y)
{
	return y == 2.0 ? x * x : y == 3.0 ? x * x * x : pow(x, y);
}

/* Exact, modulo 2^64; negative exponents truncate towards zero. */
static int64_t powi(int64_t x, int64_t y)
{
	uint64_t r = 1, b = (uint64_t)x;

	if (y < 0)
		return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
	for (; y; y >>= 1, b *= b)
		if (y & 1)
			r *= b;
	return (int64_t)r;
}

/* Double to integer as Cast does it, without undefined behaviour. */
static int64_t whole(double v)
{
	return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

DS_EW_FLOATS(DS_EW2_ROW, pow, SAME, (void)arg, pow32(x, y), pow64(x, y))
DS_EW2_ROW(pow_i32, int32_t, int32_t, int32_t, (void)arg, powi(x, y))
DS_EW2_ROW(pow_i64, int64_t, int64_t, int64_t, (void)arg, powi(x, y))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(pow), [DS_I32] = pow_i32, [DS_I64] = pow_i64 }, .same = 2 };

/* Exponents of any other type; arg points to that type. */
#define MIXED_ROW(fname, T, expr) \
	static void fname(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg) \
	{ \
		const ds_tensor e = { .dtype = *(const ds_dtype *)arg, .data = (void *)(uintptr_t)in[1] }; \
		const bool real = ds_dtype_of(e.dtype)->is_float; \
		const T *a = in[0]; \
		T *r = out; \
		(void)real; \
		for (int64_t i = 0; i < n; i++) { const T x = a[i * stride[0]]; const int64_t at = i * stride[1]; r[i] = (T)(expr); } \
	}
MIXED_ROW(mixed_f32, float, pow32(x, (float)ds_tensor_f64(&e, at)))
MIXED_ROW(mixed_f64, double, pow64(x, ds_tensor_f64(&e, at)))
MIXED_ROW(mixed_i32, int32_t, real ? whole(pow((double)x, ds_tensor_f64(&e, at))) : powi(x, ds_tensor_i64(&e, at)))
MIXED_ROW(mixed_i64, int64_t, real ? whole(pow((double)x, ds_tensor_f64(&e, at))) : powi(x, ds_tensor_i64(&e, at)))

static const ds_ew mixed = { .fn = { DS_EW_FN_FLOATS(mixed), [DS_I32] = mixed_i32, [DS_I64] = mixed_i64 }, .same = 2 };

static bool half(ds_dtype d)
{
	return d == DS_F16 || d == DS_BF16;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (in[1].type.dtype == DS_BOOL)
		return ds_fail(err, DS_E_INPUT, "Pow does not take exponents of type bool");
	return ds_ew_infer(&ew, n, in, out, err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_dtype e = in[1]->dtype;

	if (e == in[0]->dtype)
		return ds_ew_run(&ew, env->pool, 2, in, out[0], NULL, err);
	if (half(e) && half(in[0]->dtype))
		e = DS_F32;                     /* the engine widens both */
	return ds_ew_run(&mixed, env->pool, 2, in, out[0], &e, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_F64, DS_I32 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in[2];

	ds_draw_dims(&s, 3, 5, dim);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 4), 3, dim);
	in[1] = seed & 1 ? ds_draw_f32(&s, (float)ds_draw_in(&s, 1, 4)) : ds_draw_param(&s, seed & 2 ? DS_I32 : DS_F32, 1, &dim[2]);
	return ds_draw_end(&s, ds_draw_node(&s, "Pow", 2, in, 1), err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *x = n->in[0], *y = n->in[1], *p = y, *less, *dx;
	const ds_type *to = &n->out[0]->type;
	ds_dtype d = x->type.dtype;
	bool square = y->data.data && !y->data.q && ds_tensor_count(&y->data) == 1 && ds_tensor_f64(&y->data, 0) == 2;

	if (y->type.dtype != d) {
		p = ds_emit1(&e, "Cast", y);
		ds_emit_i(&e, p, "to", ds_dtype_of(d)->onnx);
	}
	/* y x^(y - 1); squares are so common that their power of one is not computed */
	less = square ? x : ds_emit2(&e, "Pow", x, ds_emit2(&e, "Sub", p, ds_emit_scalar(&e, d, 1)));
	dx = ds_emit2(&e, "Mul", dout[0], ds_emit2(&e, "Mul", p, less));
	din[0] = ds_emit_reduce_to(&e, dx, to, &x->type);
	if (ds_grad_float(y)) {
		/* x^y log x, which goes to zero with x */
		ds_value *zero = ds_emit_scalar(&e, d, 0), *is0 = ds_emit2(&e, "Equal", n->out[0], zero);
		ds_value *v = ds_emit3(&e, "Where", is0, zero, ds_emit2(&e, "Mul", n->out[0], ds_emit1(&e, "Log", x)));

		v = ds_emit_reduce_to(&e, ds_emit2(&e, "Mul", dout[0], v), to, &y->type);
		if (y->type.dtype != d) {
			v = ds_emit1(&e, "Cast", v);
			ds_emit_i(&e, v, "to", ds_dtype_of(y->type.dtype)->onnx);
		}
		din[1] = v;
	}
	return ds_emit_end(&e);
}

const ds_op ds_op_Pow = {
	.name = "Pow", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .gradient = gradient, .sample = sample,
};
