/* elementwise.h - operators that compute element by element, with numpy broadcasting, in any layout
 *
 * An operator gives one row function per element type and the engine walks the tensors: inputs are broadcast by zero strides, axes are merged, work is
 * split into ranges of fixed size in the memory order of the output.  f16 and bf16 are computed as f32, rounded once at the end, unless the
 * operator has rows of its own for them. */
#ifndef DS_OP_ELEMENTWISE_H
#define DS_OP_ELEMENTWISE_H

#include "grad.h"
#include "infer.h"

#define DS_EW_MAX_IN 3

/* n elements: out[i] from in[k][i * stride[k]].  out is dense and may be in[0] itself.  arg: the node's attributes. */
typedef void (*ds_ew_fn)(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg);

typedef struct ds_ew {
	ds_ew_fn fn[DS_BOOL + 1];       /* by the dtype of input `key`; NULL: not allowed (f16, bf16: through f32) */
	uint8_t  key;
	uint8_t  same;                  /* inputs [same, n_in) beside `key` must have its dtype; >= n_in: no check */
	ds_dtype out;                   /* DS_NONE: that of `key` */
} ds_ew;

/* The columns of an elementwise operator, for wrappers of two lines in the operator's file (DS_EW_OP makes them). */
ds_status ds_ew_infer(const ds_ew *ew, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
ds_status ds_ew_forward(const ds_ew *ew, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
/* Fold a two-input operator over any number of inputs, left to right (Sum, Max, ...).  `last` (may be NULL) is applied to the result. */
ds_status ds_ew_fold(const ds_ew *ew, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
/* The engine: out from n_in <= 3 tensors that broadcast to it.  Absent tensors are not allowed. */
ds_status ds_ew_run(const ds_ew *ew, ds_pool *pool, int n_in, const ds_tensor *const *in, ds_tensor *out, const void *arg, ds_err *err);
/* Small random graphs for `op_name` with n_in inputs of every dtype that ew allows. */
ds_status ds_ew_sample(const ds_ew *ew, ds_graph *g, const char *op_name, int n_in, uint64_t seed, ds_err *err);

/* An element may be read and written at the same address only (in place), never at another: what the vectoriser needs to know. */
#if defined(__clang__)
#define DS_EW_LOOP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define DS_EW_LOOP _Pragma("GCC ivdep")
#else
#define DS_EW_LOOP
#endif

/* Row of one input: `x` is the element as C, `expr` the result, stored as R.  `let` declares what is needed from `arg`. */
#define DS_EW1_ROW(fname, T, C, R, let, expr) \
	static void fname(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg) \
	{ \
		const T *a = in[0]; \
		R *r = out; \
		const int64_t sa = stride[0]; \
		let; \
		if (sa == 1) { \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const C x = (C)a[i]; r[i] = (R)(expr); } \
		} else { \
			for (int64_t i = 0; i < n; i++) { const C x = (C)a[i * sa]; r[i] = (R)(expr); } \
		} \
	}

/* Row of two inputs `x` and `y`: dense with dense, with one element on either side, and any strides. */
#define DS_EW2_ROW(fname, T, C, R, let, expr) \
	static void fname(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg) \
	{ \
		const T *a = in[0], *b = in[1]; \
		R *r = out; \
		const int64_t sa = stride[0], sb = stride[1]; \
		let; \
		if (sa == 1 && sb == 1) { \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const C x = (C)a[i], y = (C)b[i]; r[i] = (R)(expr); } \
		} else if (sa == 1 && sb == 0) { \
			const C y = (C)b[0]; \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const C x = (C)a[i]; r[i] = (R)(expr); } \
		} else if (sa == 0 && sb == 1) { \
			const C x = (C)a[0]; \
			DS_EW_LOOP for (int64_t i = 0; i < n; i++) { const C y = (C)b[i]; r[i] = (R)(expr); } \
		} else { \
			for (int64_t i = 0; i < n; i++) { const C x = (C)a[i * sa], y = (C)b[i * sb]; r[i] = (R)(expr); } \
		} \
	}

/* Row of one f32 input that is an activation of the kernels; alpha and beta may use `arg`. */
#define DS_EW_ACT_ROW(fname, act, alpha, beta) \
	static void fname(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg) \
	{ \
		(void)arg; \
		ds_ew_act(out, in[0], stride[0], n, act, (float)(alpha), (float)(beta)); \
	}
void ds_ew_act(float *out, const float *in, int64_t stride, int64_t n, int act, float a, float b);

/* Rows for families of element types, ROW being DS_EW1_ROW or DS_EW2_ROW.  Integers are computed in unsigned types of 32 or 64 bits and wrap
 * (DS_EW_WRAP), or in their own type where sign matters (DS_EW_INTS).  R: the result's type, or SAME. */
#define DS_EW_R_SAME(T) T
#define DS_EW_R_BOOL(T) uint8_t
#define DS_EW_FLOATS(ROW, name, RES, let, expr32, expr64) \
	ROW(name##_f32, float, float, DS_EW_R_##RES(float), let, expr32) \
	ROW(name##_f64, double, double, DS_EW_R_##RES(double), let, expr64)
#define DS_EW_SIGNED(ROW, name, RES, let, expr) \
	ROW(name##_i8, int8_t, int8_t, DS_EW_R_##RES(int8_t), let, expr) \
	ROW(name##_i16, int16_t, int16_t, DS_EW_R_##RES(int16_t), let, expr) \
	ROW(name##_i32, int32_t, int32_t, DS_EW_R_##RES(int32_t), let, expr) \
	ROW(name##_i64, int64_t, int64_t, DS_EW_R_##RES(int64_t), let, expr)
#define DS_EW_UNSIGNED(ROW, name, RES, let, expr) \
	ROW(name##_u8, uint8_t, uint8_t, DS_EW_R_##RES(uint8_t), let, expr) \
	ROW(name##_u16, uint16_t, uint16_t, DS_EW_R_##RES(uint16_t), let, expr) \
	ROW(name##_u32, uint32_t, uint32_t, DS_EW_R_##RES(uint32_t), let, expr) \
	ROW(name##_u64, uint64_t, uint64_t, DS_EW_R_##RES(uint64_t), let, expr)
#define DS_EW_INTS(ROW, name, RES, let, expr) DS_EW_SIGNED(ROW, name, RES, let, expr) DS_EW_UNSIGNED(ROW, name, RES, let, expr)
#define DS_EW_WRAP(ROW, name, let, expr) \
	ROW(name##_i8, int8_t, uint32_t, int8_t, let, expr) \
	ROW(name##_i16, int16_t, uint32_t, int16_t, let, expr) \
	ROW(name##_i32, int32_t, uint32_t, int32_t, let, expr) \
	ROW(name##_i64, int64_t, uint64_t, int64_t, let, expr) \
	ROW(name##_u8, uint8_t, uint32_t, uint8_t, let, expr) \
	ROW(name##_u16, uint16_t, uint32_t, uint16_t, let, expr) \
	ROW(name##_u32, uint32_t, uint32_t, uint32_t, let, expr) \
	ROW(name##_u64, uint64_t, uint64_t, uint64_t, let, expr)

/* The entries of ds_ew.fn that go with them. */
#define DS_EW_FN_FLOATS(name)   [DS_F32] = name##_f32, [DS_F64] = name##_f64
#define DS_EW_FN_SIGNED(name)   [DS_I8] = name##_i8, [DS_I16] = name##_i16, [DS_I32] = name##_i32, [DS_I64] = name##_i64
#define DS_EW_FN_UNSIGNED(name) [DS_U8] = name##_u8, [DS_U16] = name##_u16, [DS_U32] = name##_u32, [DS_U64] = name##_u64
#define DS_EW_FN_INTS(name)     DS_EW_FN_SIGNED(name), DS_EW_FN_UNSIGNED(name)

/* The row of an operator whose table is the static `ew` of this file; the variadic part adds columns (attributes, ...). */
#define DS_EW_OP(Name, n_inputs, ...) \
	static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) \
	{ \
		return ds_ew_infer(&ew, n, in, out, err); \
	} \
	static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return ds_ew_forward(&ew, env, n, in, out, err); \
	} \
	static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) \
	{ \
		return ds_ew_sample(&ew, g, #Name, n_inputs, seed, err); \
	} \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "", .min_in = n_inputs, .max_in = n_inputs, .min_out = 1, .max_out = 1, \
		.flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE, .infer = infer, .forward = forward, .sample = sample, __VA_ARGS__ \
	};

/* ---- gradients ---- */
/* din[i] = dout summed to the shape of input i, for every input (Add, Sum). */
ds_status ds_ew_gradient_sum(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
/* The first input that is the output takes all of dout (Max, Min). */
ds_status ds_ew_gradient_first(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
/* Steps (Floor, Sign): zero wherever there is a derivative; no input gets one. */
ds_status ds_ew_gradient_none(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
/* *din = op(v, dout) with the attributes of n. */
ds_status ds_ew_gradient(ds_graph *g, const ds_node *n, const char *op, ds_value *v, ds_value *dout, ds_value **din, ds_err *err);

/* The gradient of an operator with one input as an operator of its own, ds.NameGrad(v, dout), where v is the input (of = in) or the output (of = out) of the
 * operator; in the expressions x is an element of v and y one of dout.  Attributes are those of the operator.  Makes the row and the column `gradient`. */
#define DS_EW_GRAD(Name, of, let, expr32, expr64, ...) \
	DS_EW_FLOATS(DS_EW2_ROW, grad, SAME, let, expr32, expr64) \
	DS_EW_GRAD_OP(Name, of, __VA_ARGS__)
/* The same with rows grad_f32 and grad_f64 written out before. */
#define DS_EW_GRAD_OP(Name, of, ...) \
	static const ds_ew grad_ew = { .fn = { DS_EW_FN_FLOATS(grad) }, .same = 1 }; \
	static ds_status grad_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) \
	{ \
		return ds_ew_infer(&grad_ew, n, in, out, err); \
	} \
	static ds_status grad_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return ds_ew_forward(&grad_ew, env, n, in, out, err); \
	} \
	static ds_status grad_sample(ds_graph *g, uint64_t seed, ds_err *err) \
	{ \
		return ds_ew_sample(&grad_ew, g, "ds." #Name "Grad", 2, seed, err); \
	} \
	const ds_op ds_op_##Name##Grad = { \
		.name = #Name "Grad", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE, \
		.infer = grad_infer, .forward = grad_forward, .sample = grad_sample, __VA_ARGS__ \
	}; \
	static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err) \
	{ \
		return ds_ew_gradient(g, n, "ds." #Name "Grad", n->of[0], dout[0], &din[0], err); \
	}

#endif
