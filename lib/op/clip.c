/* clip.c - Clip: min(max(x, low), high), bounds are optional scalars; NaN stays */
#include "draw.h"
#include "elementwise.h"

#include <math.h>

/* The bounds in the type of each family. */
struct bounds { double f_lo, f_hi; int64_t i_lo, i_hi; uint64_t u_lo, u_hi; };

#define LET(T, m) const T lo = (T)((const struct bounds *)arg)->m##_lo; const T hi = (T)((const struct bounds *)arg)->m##_hi
#define BOUND (x < lo ? lo : x) > hi ? hi : (x < lo ? lo : x)
DS_EW1_ROW(clip_f32, float, float, float, LET(float, f), BOUND)
DS_EW1_ROW(clip_f64, double, double, double, LET(double, f), BOUND)
DS_EW1_ROW(clip_i8, int8_t, int8_t, int8_t, LET(int8_t, i), BOUND)
DS_EW1_ROW(clip_i16, int16_t, int16_t, int16_t, LET(int16_t, i), BOUND)
DS_EW1_ROW(clip_i32, int32_t, int32_t, int32_t, LET(int32_t, i), BOUND)
DS_EW1_ROW(clip_i64, int64_t, int64_t, int64_t, LET(int64_t, i), BOUND)
DS_EW1_ROW(clip_u8, uint8_t, uint8_t, uint8_t, LET(uint8_t, u), BOUND)
DS_EW1_ROW(clip_u16, uint16_t, uint16_t, uint16_t, LET(uint16_t, u), BOUND)
DS_EW1_ROW(clip_u32, uint32_t, uint32_t, uint32_t, LET(uint32_t, u), BOUND)
DS_EW1_ROW(clip_u64, uint64_t, uint64_t, uint64_t, LET(uint64_t, u), BOUND)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(clip), DS_EW_FN_INTS(clip) }, .same = 1 };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	for (int i = 1; i < n->n_in; i++)
		if (in[i].present && in[i].type.rank > 0 && (in[i].type.rank != 1 || in[i].type.dim[0] > 1))
			return ds_fail(err, DS_E_INPUT, "a bound of Clip is not a scalar");
	DS_TRY(ds_ew_infer(&ew, n, in, out, err));
	out[0] = in[0].type;
	return DS_OK;
}

static void bound(const ds_tensor *t, double *f, int64_t *i, uint64_t *u)
{
	if (ds_tensor_count(t) < 1)
		return;
	if (ds_dtype_of(t->dtype)->is_float) {
		*f = ds_tensor_f64(t, 0);
	} else {
		*i = ds_tensor_i64(t, 0);
		*u = (uint64_t)*i;
	}
}

/* in[at] and in[at + 1] are the bounds, if there are any. */
static struct bounds read_bounds(const ds_node *n, const ds_tensor *const *in, int at)
{
	unsigned bits = ds_dtype_of(in[0]->dtype)->bits;
	struct bounds b = {
		.f_lo = -INFINITY, .f_hi = INFINITY, .i_lo = INT64_MIN >> (64 - bits), .i_hi = INT64_MAX >> (64 - bits), .u_lo = 0,
		.u_hi = UINT64_MAX >> (64 - bits)
	};

	if (n->n_in > at && in[at])
		bound(in[at], &b.f_lo, &b.i_lo, &b.u_lo);
	if (n->n_in > at + 1 && in[at + 1])
		bound(in[at + 1], &b.f_hi, &b.i_hi, &b.u_hi);
	return b;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct bounds b = read_bounds(n, in, 1);

	return ds_ew_run(&ew, env->pool, 1, in, out[0], &b, err);
}

/* ---- ds.ClipGrad(x, dout[, low[, high]]): dout where x is not cut ---------------------------------------------------------------- */
DS_EW2_ROW(grad_f32, float, float, float, LET(float, f), x < lo || x > hi ? 0.0f : y)
DS_EW2_ROW(grad_f64, double, double, double, LET(double, f), x < lo || x > hi ? 0.0 : y)
static const ds_ew grad_ew = { .fn = { DS_EW_FN_FLOATS(grad) }, .same = 1 };

static ds_status grad_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_ew_infer(&grad_ew, n, in, out, err));
	out[0] = in[0].type;
	return DS_OK;
}

static ds_status grad_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct bounds b = read_bounds(n, in, 2);

	return ds_ew_run(&grad_ew, env->pool, 2, in, out[0], &b, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *in[4] = { n->in[0], dout[0], n->n_in > 1 ? n->in[1] : NULL, n->n_in > 2 ? n->in[2] : NULL };
	ds_value *zero = ds_emit_scalar(&e, n->in[0]->type.dtype, 0);

	din[0] = ds_emit_op(&e, "ds.ClipGrad", 4, in);
	/* a bound gets what it holds back; the upper one wins when they are the wrong way round */
	for (int i = 1; i < n->n_in; i++) {
		ds_value *held, *x = n->in[0];

		if (!n->in[i] || ds_type_count(&n->in[i]->type) != 1)
			continue;
		if (i == 1)
			held = ds_emit2(&e, "And", ds_emit2(&e, "Less", x, in[2]), ds_emit2(&e, "Equal", n->out[0], in[2]));
		else
			held = ds_emit2(&e, "Greater", in[2] ? ds_emit2(&e, "Max", x, in[2]) : x, in[3]);
		din[i] = ds_emit_reshape(&e, ds_emit1(&e, "ReduceSum", ds_emit3(&e, "Where", held, dout[0], zero)), &n->in[i]->type);
	}
	return ds_emit_end(&e);
}


static ds_status sample_of(ds_graph *g, uint64_t seed, bool grad, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	ds_value *in[4];
	int rank = (int)ds_draw_in(&s, 0, 4);

	ds_draw_dims(&s, rank, 6, dim);
	for (int i = 0; i <= grad; i++)
		in[i] = ds_draw_input(&s, DS_F32, rank, dim);
	in[1 + grad] = seed % 4 == 1 ? NULL : ds_draw_f32(&s, -0.75f);
	in[2 + grad] = seed % 4 == 2 ? NULL : ds_draw_f32(&s, 0.5f);
	return ds_draw_end(&s, ds_draw_node(&s, grad ? "ds.ClipGrad" : "Clip", seed % 4 == 3 ? 1 + grad : 3 + grad, in, 1), err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, false, err); }
static ds_status grad_sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, true, err); }

const ds_op ds_op_Clip = {
	.name = "Clip", .domain = "", .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .gradient = gradient, .sample = sample,
};

const ds_op ds_op_ClipGrad = {
	.name = "ClipGrad", .domain = "ds", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = grad_infer, .forward = grad_forward, .sample = grad_sample,
};
