/* argpick.c - ArgMax and ArgMin; a NaN counts as the element looked for */
#include "argpick.h"
#include "draw.h"

const ds_opt ds_arg_attrs[] = {
	DS_ATTR_INT(ds_arg_attr, axis, "0", "axis that is searched"),
	DS_ATTR_FLAG(ds_arg_attr, keepdims, "1", "the axis stays with extent 1"),
	DS_ATTR_FLAG(ds_arg_attr, select_last_index, "0", "the last of equal elements instead of the first"),
	DS_ATTR_END
};

ds_status ds_arg_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int axis, r = 0;

	ds_infer_unknown(&out[0], DS_I64, -1);
	if (t->rank < 0)
		return DS_OK;
	DS_TRY(ds_axis(DS_A(ds_arg_attr, n)->axis, t->rank, &axis, err));
	if (t->dim[axis] == 0)
		return ds_fail(err, DS_E_INPUT, "%s along an axis without elements", n->op_name);
	for (int i = 0; i < t->rank; i++) {
		if (i != axis)
			out[0].dim[r++] = t->dim[i];
		else if (DS_A(ds_arg_attr, n)->keepdims)
			out[0].dim[r++] = 1;
	}
	out[0].rank = (int8_t)r;
	return DS_OK;
}

struct job {
	const void *in;
	int64_t    *out, outer, len, inner, per_task;
	bool        largest, last;
	int64_t   (*pick)(const void *in, int64_t at, int64_t len, int64_t step, bool largest, bool last);
};

/* Position of the element looked for among in[at + k * step].  x beats b when it is beyond it, or a NaN where b is none. */
#define PICK(fname, T, C, LOAD) \
	static int64_t fname(const void *in, int64_t at, int64_t len, int64_t step, bool largest, bool last) \
	{ \
		const T *p = (const T *)in + at; \
		C b = LOAD(p[0]); \
		int64_t best = 0; \
		for (int64_t k = 1; k < len; k++) { \
			const C x = LOAD(p[k * step]); \
			const bool both = x != x && b != b; \
			if ((largest ? x > b : x < b) || (x != x && b == b) || (last && (x == b || both))) { \
				b = x; \
				best = k; \
			} \
		} \
		return best; \
	}

static float half_of(uint16_t h, ds_dtype d)
{
	float f;

	ds_dtype_of(d)->to_f32(&f, &h, 1);
	return f;
}
#define AS_IS(x) (x)
#define AS_F16(x) half_of(x, DS_F16)
#define AS_BF16(x) half_of(x, DS_BF16)
PICK(pick_f32, float, float, AS_IS)
PICK(pick_f64, double, double, AS_IS)
PICK(pick_f16, uint16_t, float, AS_F16)
PICK(pick_bf16, uint16_t, float, AS_BF16)
PICK(pick_i8, int8_t, int8_t, AS_IS)
PICK(pick_u8, uint8_t, uint8_t, AS_IS)
PICK(pick_i16, int16_t, int16_t, AS_IS)
PICK(pick_u16, uint16_t, uint16_t, AS_IS)
PICK(pick_i32, int32_t, int32_t, AS_IS)
PICK(pick_u32, uint32_t, uint32_t, AS_IS)
PICK(pick_i64, int64_t, int64_t, AS_IS)
PICK(pick_u64, uint64_t, uint64_t, AS_IS)

static void arg_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	int64_t end = DS_MIN((task + 1) * j->per_task, j->outer * j->inner);

	for (int64_t i = task * j->per_task; i < end; i++)
		j->out[i] = j->pick(j->in, i / j->inner * j->len * j->inner + i % j->inner, j->len, j->inner, j->largest, j->last);
}

ds_status ds_arg_forward(bool largest, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	static int64_t (*const picks[])(const void *, int64_t, int64_t, int64_t, bool, bool) = {
		[DS_F32] = pick_f32, [DS_F64] = pick_f64, [DS_F16] = pick_f16, [DS_BF16] = pick_bf16, [DS_I8] = pick_i8, [DS_U8] = pick_u8,
		[DS_I16] = pick_i16, [DS_U16] = pick_u16, [DS_I32] = pick_i32, [DS_U32] = pick_u32, [DS_I64] = pick_i64, [DS_U64] = pick_u64,
		[DS_BOOL] = pick_u8,
	};
	struct job j = { .in = in[0]->data, .out = out[0]->data, .outer = 1, .inner = 1, .largest = largest };
	int axis;

	DS_TRY(ds_axis(DS_A(ds_arg_attr, n)->axis, in[0]->rank, &axis, err));
	j.last = DS_A(ds_arg_attr, n)->select_last_index != 0;
	j.pick = picks[in[0]->dtype];
	j.len = in[0]->dim[axis];
	for (int i = 0; i < in[0]->rank; i++)
		*(i < axis ? &j.outer : &j.inner) *= i == axis ? 1 : in[0]->dim[i];
	j.per_task = DS_MAX(1, 16384 / j.len);
	ds_pool_run(env->pool, (int)((j.outer * j.inner + j.per_task - 1) / j.per_task), arg_task, &j);
	return DS_OK;
}

int ds_arg_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k = 0, r = 0;

	if (ds_axis(DS_A(ds_arg_attr, n)->axis, in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < in[0].type.rank; i++) {
		if (i != axis)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, r, 0);
		r += i != axis || DS_A(ds_arg_attr, n)->keepdims;
	}
	return k;
}

ds_status ds_arg_sample(ds_graph *g, const char *op_name, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I32, DS_U8, DS_F16, DS_I64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 3, 7, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 5), 3, dim);
	n = ds_draw_node(&s, op_name, 1, &in, 1);
	ds_draw_i(&s, n, "axis", ds_draw_in(&s, -3, 2));
	ds_draw_i(&s, n, "keepdims", (int64_t)(seed & 1));
	ds_draw_i(&s, n, "select_last_index", (int64_t)(seed / 2 & 1));
	return ds_draw_end(&s, n, err);
}
