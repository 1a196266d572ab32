/* reduce.c - reductions over axes (reduce.h) */
#include "reduce.h"
#include "draw.h"
#include "walk.h"

#include <math.h>
#include <string.h>

const ds_opt ds_reduce_attrs[] = {
	DS_ATTR_FLAG(ds_reduce_attr, keepdims, "1", "reduced axes stay with extent 1"),
	DS_ATTR_FLAG(ds_reduce_attr, noop_with_empty_axes, "0", "no axes means none, not all"),
	DS_ATTR_END
};

/* ---- accumulation: many outputs at once, each a chain of its own --------------------------------------------------------------- */
enum { LANES = 64, FEW = 8 };   /* outputs at once where they are neighbours in memory, and elsewhere */

typedef union acc { double f; int64_t i; uint64_t u; } acc;
/* acc[j] takes n elements in[j * js + k * ks], j < lanes, in order of k.  top: maxima of the outputs, for kinds that need them. */
typedef void (*acc_fn)(acc *a, const void *in, int64_t lanes, int64_t js, int64_t n, int64_t ks, const acc *top);

#define ACC(fname, T, A, m, LOAD, expr) \
	static void fname(acc *a, const void *in, int64_t lanes, int64_t js, int64_t n, int64_t ks, const acc *top) \
	{ \
		const T *p = in; \
		if (lanes == 1) { \
			A s = a[0].m; \
			const A t = top ? top[0].m : 0; \
			(void)t; \
			for (int64_t k = 0; k < n; k++) { const A x = LOAD(p + k * ks); s = (A)(expr); } \
			a[0].m = s; \
			return; \
		} \
		for (int64_t k = 0; k < n; k++) { \
			const T *q = p + k * ks; \
			for (int64_t j = 0; j < lanes; j++) { \
				const A x = LOAD(q + j * js), s = a[j].m, t = top ? top[j].m : 0; \
				(void)t; \
				a[j].m = (A)(expr); \
			} \
		} \
	}

static inline double load_f16(const uint16_t *p)
{
	float f;

	ds_dtype_of(DS_F16)->to_f32(&f, p, 1);
	return f;
}

static inline double load_bf16(const uint16_t *p)
{
	uint32_t u = (uint32_t)*p << 16;
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}
#define LOAD_F(p) ((double)*(p))
#define LOAD_I(p) ((int64_t)*(p))
#define LOAD_U(p) ((uint64_t)*(p))

#define ACC_FLOATS(name, expr) \
	ACC(name##_f32, float, double, f, LOAD_F, expr) ACC(name##_f64, double, double, f, LOAD_F, expr) \
	ACC(name##_f16, uint16_t, double, f, load_f16, expr) ACC(name##_bf16, uint16_t, double, f, load_bf16, expr)
#define ACC_INTS(name, expr, uexpr) \
	ACC(name##_i8, int8_t, int64_t, i, LOAD_I, expr) ACC(name##_i16, int16_t, int64_t, i, LOAD_I, expr) \
	ACC(name##_i32, int32_t, int64_t, i, LOAD_I, expr) ACC(name##_i64, int64_t, int64_t, i, LOAD_I, expr) \
	ACC(name##_u8, uint8_t, uint64_t, u, LOAD_U, uexpr) ACC(name##_u16, uint16_t, uint64_t, u, LOAD_U, uexpr) \
	ACC(name##_u32, uint32_t, uint64_t, u, LOAD_U, uexpr) ACC(name##_u64, uint64_t, uint64_t, u, LOAD_U, uexpr)
#define ACC_FN(name) { \
		[DS_F32] = name##_f32, [DS_F64] = name##_f64, [DS_F16] = name##_f16, [DS_BF16] = name##_bf16, [DS_I8] = name##_i8, \
		[DS_I16] = name##_i16, [DS_I32] = name##_i32, [DS_I64] = name##_i64, [DS_U8] = name##_u8, [DS_U16] = name##_u16, \
		[DS_U32] = name##_u32, [DS_U64] = name##_u64, [DS_BOOL] = name##_u8, \
	}

ACC_FLOATS(sum, s + x)
ACC_INTS(sum, (uint64_t)s + (uint64_t)x, s + x)
ACC_FLOATS(square, s + x * x)
ACC_INTS(square, (uint64_t)s + (uint64_t)x * (uint64_t)x, s + x * x)
ACC_FLOATS(size, s + fabs(x))
ACC_INTS(size, (uint64_t)s + (x < 0 ? 0 - (uint64_t)x : (uint64_t)x), s + x)
ACC_FLOATS(prod, s * x)
ACC_INTS(prod, (uint64_t)s * (uint64_t)x, s * x)
ACC_FLOATS(max, x > s || x != x ? x : s)
ACC_INTS(max, x > s ? x : s, x > s ? x : s)
ACC_FLOATS(min, x < s || x != x ? x : s)
ACC_INTS(min, x < s ? x : s, x < s ? x : s)
/* e^(x - max); an infinite maximum is left alone, so that inf - inf does not arise */
ACC_FLOATS(exps, s + exp(isinf(t) ? x : x - t))

static const acc_fn sums[] = ACC_FN(sum), squares[] = ACC_FN(square), sizes[] = ACC_FN(size), prods[] = ACC_FN(prod), maxs[] = ACC_FN(max),
	mins[] = ACC_FN(min);
static const acc_fn expss[DS_BOOL + 1] = { [DS_F32] = exps_f32, [DS_F64] = exps_f64, [DS_F16] = exps_f16, [DS_BF16] = exps_bf16 };

static const acc_fn *const kinds[] = {
	[DS_R_SUM] = sums, [DS_R_MEAN] = sums, [DS_R_MAX] = maxs, [DS_R_MIN] = mins, [DS_R_PROD] = prods, [DS_R_L1] = sizes, [DS_R_L2] = squares,
	[DS_R_LOG_SUM] = sums, [DS_R_LOG_SUM_EXP] = expss, [DS_R_SUM_SQUARE] = squares,
};

/* What a chain starts with. */
static acc start(ds_reduce_kind kind, const ds_dtype_row *row)
{
	acc a = { .i = 0 };

	if (row->is_float) {
		a.f = kind == DS_R_MAX ? -INFINITY : kind == DS_R_MIN ? INFINITY : kind == DS_R_PROD ? 1 : 0;
	} else if (row->is_signed) {
		a.i = kind == DS_R_MAX ? INT64_MIN >> (64 - row->bits) : kind == DS_R_MIN ? INT64_MAX >> (64 - row->bits) : kind == DS_R_PROD;
	} else {
		a.u = kind == DS_R_MIN ? (row->dtype == DS_BOOL ? 1 : UINT64_MAX >> (64 - row->bits)) : kind == DS_R_PROD;
	}
	return a;
}

static double finish(ds_reduce_kind kind, double s, double top, int64_t count)
{
	switch (kind) {
	case DS_R_MEAN:        return s / (double)count;
	case DS_R_L2:          return sqrt(s);
	case DS_R_LOG_SUM:     return log(s);
	case DS_R_LOG_SUM_EXP: return isinf(top) ? (top > 0 ? s : log(s)) : log(s) + top;
	default:               return s;
	}
}

static void store(void *out, int64_t at, const ds_dtype_row *row, ds_reduce_kind kind, acc a, acc top, int64_t count)
{
	if (row->is_float) {
		double v = finish(kind, a.f, top.f, count);
		float f = (float)v;

		if (row->dtype == DS_F64)
			((double *)out)[at] = v;
		else if (row->dtype == DS_F32)
			((float *)out)[at] = f;
		else
			row->from_f32((uint16_t *)out + at, &f, 1);
		return;
	}
	if (kind == DS_R_MEAN) {
		if (row->is_signed)
			a.i = count ? a.i / count : 0;
		else
			a.u = count ? a.u / (uint64_t)count : 0;
	} else if (kind == DS_R_L2 || kind == DS_R_LOG_SUM) {
		double v = finish(kind, row->is_signed ? (double)a.i : (double)a.u, 0, count);

		a.i = v > -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
	}
	switch (row->bits) {
	case 8:  ((uint8_t *)out)[at] = (uint8_t)a.u; break;
	case 16: ((uint16_t *)out)[at] = (uint16_t)a.u; break;
	case 32: ((uint32_t *)out)[at] = (uint32_t)a.u; break;
	default: ((uint64_t *)out)[at] = a.u; break;
	}
}

/* ---- the loops ----------------------------------------------------------------------------------------------------------------- */
struct job {
	ds_walk             kept, gone;         /* one array each: the input */
	ds_reduce_kind      kind;
	acc_fn              fn, first;          /* first: a pass for the maxima before, or NULL */
	const ds_dtype_row *row;
	const char         *in;
	void               *out;
	int64_t             per_task;           /* outputs */
};

static int64_t offset(const ds_walk *w, int64_t i)
{
	int64_t at = 0;

	for (int d = w->rank - 1; d >= 0; d--) {
		at += i % w->dim[d] * w->stride[0][d];
		i /= w->dim[d];
	}
	return at;
}

/* All inputs of `lanes` outputs, which are js apart in the input, in order. */
static void chain(const struct job *j, acc_fn fn, acc *a, const char *in, int64_t lanes, int64_t js, const acc *top)
{
	const ds_walk *w = &j->gone;
	int64_t size = j->row->bits / 8, run = w->dim[w->rank - 1], step = w->stride[0][w->rank - 1];

	for (int64_t i = 0; i < w->total; i += run)
		fn(a, in + offset(w, i) * size, lanes, js, run, step, top);
}

static void reduce_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	const ds_walk *w = &j->kept;
	int64_t at = task * j->per_task, end = DS_MIN(at + j->per_task, w->total);
	int64_t run = w->dim[w->rank - 1], js = w->stride[0][w->rank - 1];
	acc zero = start(j->kind, j->row), low = start(DS_R_MAX, j->row);

	while (at < end) {
		int64_t lanes = DS_MIN(DS_MIN(run - at % run, end - at), js == 1 ? LANES : FEW);
		const char *in = j->in + offset(w, at) * (j->row->bits / 8);
		acc a[LANES], top[LANES];

		for (int64_t i = 0; i < lanes; i++) {
			a[i] = zero;
			top[i] = low;
		}
		if (j->first)
			chain(j, j->first, top, in, lanes, js, NULL);
		chain(j, j->fn, a, in, lanes, js, j->first ? top : NULL);
		for (int64_t i = 0; i < lanes; i++)
			store(j->out, at + i, j->row, j->kind, a[i], top[i], j->gone.total);
		at += lanes;
	}
}

/* ---- columns ------------------------------------------------------------------------------------------------------------------- */
/* Bit i is set when axis i is reduced; *known is false when that cannot be said yet. */
static ds_status read_axes(const ds_node *n, const ds_arg *in, int rank, unsigned *mask, bool *known, ds_err *err)
{
	int64_t axis[DS_MAX_RANK];
	int count = 0;

	*mask = 0;
	if (n->n_in > 1 && in[1].present)
		DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, axis, &count, err));
	*known = count >= 0;
	if (count == 0 && !DS_A(ds_reduce_attr, n)->noop_with_empty_axes)
		*mask = (1u << rank) - 1;
	return count > 0 ? ds_axes(axis, count, rank, mask, err) : DS_OK;
}

ds_status ds_reduce_infer(ds_reduce_kind kind, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	bool keep = DS_A(ds_reduce_attr, n)->keepdims != 0, known;
	bool order = kind == DS_R_MAX || kind == DS_R_MIN;
	int64_t len = n->n_in > 1 && in[1].present ? ds_known_length(&in[1]) : 0;
	unsigned mask;
	int r = 0;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	if (t->dtype <= DS_NONE || t->dtype > DS_BOOL || (t->dtype == DS_BOOL && !order) || !kinds[kind][t->dtype])
		return ds_fail(err, t->dtype == DS_BOOL ? DS_E_INPUT : DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(t->dtype));
	if (t->rank < 0)
		return DS_OK;
	DS_TRY(read_axes(n, in, t->rank, &mask, &known, err));
	if (!known) {
		if (keep)
			ds_infer_unknown(&out[0], t->dtype, t->rank);
		else if (len > 0 && len <= t->rank)
			ds_infer_unknown(&out[0], t->dtype, t->rank - (int)len);
		return DS_OK;
	}
	for (int i = 0; i < t->rank; i++) {
		if (!(mask >> i & 1))
			out[0].dim[r++] = t->dim[i];
		else if (keep)
			out[0].dim[r++] = 1;
	}
	out[0].rank = (int8_t)r;
	return DS_OK;
}

ds_status ds_reduce_forward(ds_reduce_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *t = in[0];
	struct job j = { .kind = kind, .row = ds_dtype_of(t->dtype), .in = t->data, .out = out[0]->data, .kept = { .n = 1 }, .gone = { .n = 1 } };
	ds_arg arg[2] = { { .present = true }, { .present = n->n_in > 1 && in[1], .value = n->n_in > 1 ? in[1] : NULL } };
	int64_t stride[DS_MAX_RANK];
	unsigned mask;
	bool known;

	DS_TRY(read_axes(n, arg, t->rank, &mask, &known, err));
	ds_tensor_strides(t, stride);
	for (int i = 0; i < t->rank; i++) {
		ds_walk *w = mask >> i & 1 ? &j.gone : &j.kept;

		w->dim[w->rank] = t->dim[i];
		w->stride[0][w->rank++] = stride[i];
	}
	ds_walk_merge(&j.kept);
	ds_walk_merge(&j.gone);
	j.fn = kinds[kind][t->dtype];
	j.first = kind == DS_R_LOG_SUM_EXP ? maxs[t->dtype] : NULL;
	if (j.kept.total == 0)
		return DS_OK;
	j.per_task = DS_MAX(1, 32768 / DS_MAX(1, j.gone.total));
	if (j.kept.stride[0][j.kept.rank - 1] == 1)
		j.per_task = (j.per_task + LANES - 1) / LANES * LANES;
	ds_pool_run(env->pool, (int)((j.kept.total + j.per_task - 1) / j.per_task), reduce_task, &j);
	return DS_OK;
}

void ds_reduce_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	double size = (double)ds_dtype_size(in[0].type.dtype), count = (double)ds_type_count(&in[0].type);

	memset(cost, 0, sizeof *cost);
	cost->flops = count;
	cost->act_bytes = (count + (double)ds_type_count(&out[0])) * size;
}

int ds_reduce_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	unsigned mask;
	bool known;
	int k = 0, r = 0;

	if (read_axes(n, in, in[0].type.rank, &mask, &known, NULL) != DS_OK || !known)
		return 0;
	for (int i = 0; i < in[0].type.rank; i++) {
		bool gone = mask >> i & 1;

		if (!gone)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, r, 0);
		r += !gone || DS_A(ds_reduce_attr, n)->keepdims;
	}
	return k;
}

ds_status ds_reduce_sample(ds_reduce_kind kind, ds_graph *g, const char *op_name, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F64, DS_F16, DS_I32, DS_I64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], axis[4], all[4] = { 0, 1, 2, 3 };
	int rank = (int)ds_draw_in(&s, 1, 4), count = 0;
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, rank, 7, dim);
	for (int i = 0; i < rank; i++)
		if (ds_draw_in(&s, 0, 1))
			axis[count++] = seed & 1 ? all[i] : all[i] - rank;
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, types, kind == DS_R_LOG_SUM_EXP ? 3 : 5), rank, dim);
	in[1] = count ? ds_draw_ints(&s, count, axis) : NULL;
	n = ds_draw_node(&s, op_name, count ? 2 : 1, in, 1);
	ds_draw_i(&s, n, "keepdims", (int64_t)(seed / 2 & 1));
	return ds_draw_end(&s, n, err);
}
