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

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	unsigned bits = ds_dtype_of(in[0]->dtype)->bits;
	struct bounds b = {
		.f_lo = -INFINITY, .f_hi = INFINITY, .i_lo = INT64_MIN >> (64 - bits), .i_hi = INT64_MAX >> (64 - bits), .u_lo = 0,
		.u_hi = UINT64_MAX >> (64 - bits)
	};

	if (n->n_in > 1 && in[1])
		bound(in[1], &b.f_lo, &b.i_lo, &b.u_lo);
	if (n->n_in > 2 && in[2])
		bound(in[2], &b.f_hi, &b.i_hi, &b.u_hi);
	return ds_ew_run(&ew, env->pool, 1, in, out[0], &b, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	ds_value *in[3];
	int rank = (int)ds_draw_in(&s, 0, 4);

	ds_draw_dims(&s, rank, 6, dim);
	in[0] = ds_draw_input(&s, DS_F32, rank, dim);
	in[1] = seed % 4 == 1 ? NULL : ds_draw_f32(&s, -0.75f);
	in[2] = seed % 4 == 2 ? NULL : ds_draw_f32(&s, 0.5f);
	return ds_draw_end(&s, ds_draw_node(&s, "Clip", seed % 4 == 3 ? 1 : 3, in, 1), err);
}

const ds_op ds_op_Clip = {
	.name = "Clip", .domain = "", .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .sample = sample,
};
