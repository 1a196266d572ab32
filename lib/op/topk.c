/* topk.c - TopK: the k largest or smallest elements along an axis in order, with their positions; of equals the first comes first, NaN counts as largest */
#include "draw.h"
#include "grad.h"
#include "infer.h"

#include <string.h>

struct attr { int64_t axis, largest, sorted; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "-1", "axis that is searched"),
	DS_ATTR_FLAG(struct attr, largest, "1", "the largest, not the smallest"),
	DS_ATTR_FLAG(struct attr, sorted, "1", "in order (they always are)"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int axis;

	out[0] = *t;
	if (t->dtype == DS_BOOL || !ds_dtype_size(t->dtype))
		return ds_fail(err, DS_E_INPUT, "TopK of %s", ds_dtype_name(t->dtype));
	if (t->rank >= 0) {
		DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank, &axis, err));
		out[0].dim[axis] = DS_DIM_UNKNOWN;
		if (in[1].value) {
			int64_t k = ds_tensor_count(in[1].value) == 1 ? ds_tensor_i64(in[1].value, 0) : -1;

			if (k < 0 || (t->dim[axis] >= 0 && k > t->dim[axis]))
				return ds_fail(err, DS_E_INPUT, "TopK of %lld among %lld elements", (long long)k, (long long)t->dim[axis]);
			out[0].dim[axis] = k;
		}
	}
	if (n->n_out > 1) {
		out[1] = out[0];
		out[1].dtype = DS_I64;
	}
	return DS_OK;
}

/* Elements as numbers whose unsigned order is the one wanted (smallest first). */
struct item { uint64_t key; int64_t at; };

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	int axis;

	if (ds_axis(DS_A(struct attr, n)->axis, in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	return (size_t)threads * (size_t)in[0].type.dim[axis] * sizeof(struct item);
}

static uint64_t key_of(const void *p, int64_t i, const ds_dtype_row *row, bool largest)
{
	uint64_t k = 0, sign = (uint64_t)1 << (row->bits - 1);
	size_t size = row->bits / 8u;

	/* little-endian or not, through the type's own width */
	switch (size) {
	case 1: k = ((const uint8_t *)p)[i]; break;
	case 2: k = ((const uint16_t *)p)[i]; break;
	case 4: k = ((const uint32_t *)p)[i]; break;
	default: k = ((const uint64_t *)p)[i]; break;
	}
	if (row->is_float) {
		if (k == sign)
			k = 0;                  /* -0 equals 0 */
		if (ds_tensor_f64(&(ds_tensor){ .dtype = row->dtype, .data = (void *)(uintptr_t)p }, i) !=
			ds_tensor_f64(&(ds_tensor){ .dtype = row->dtype, .data = (void *)(uintptr_t)p }, i))
			k = sign - 1;           /* every NaN: above infinity */
		k = k & sign ? ~k & (sign | (sign - 1)) : k | sign;
	} else if (row->is_signed) {
		k ^= sign;
	}
	return largest ? ~k : k;
}

static bool before(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key < b->key : a->at < b->at;
}

/* Let v[i] sink in the heap of n items whose root is the last in order. */
static void sink(struct item *v, int64_t i, int64_t n)
{
	struct item x = v[i];

	for (int64_t c; (c = 2 * i + 1) < n; i = c) {
		if (c + 1 < n && before(&v[c], &v[c + 1]))
			c++;
		if (!before(&x, &v[c]))
			break;
		v[i] = v[c];
	}
	v[i] = x;
}

struct job {
	const ds_tensor    *in;
	ds_tensor          *value, *index;
	const ds_dtype_row *row;
	struct item        *room;
	int64_t             len, inner, k;
	bool                largest;
};

/* One line of the axis: a heap of the k best so far, the worst on top, then sorted. */
static void top_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	size_t size = j->row->bits / 8u;
	int64_t from = task / j->inner * j->len * j->inner + task % j->inner, to = task / j->inner * j->k * j->inner + task % j->inner;
	struct item *v = j->room + worker * j->len;
	int64_t k = j->k;

	for (int64_t i = 0; i < j->len; i++) {
		struct item x = { key_of(j->in->data, from + i * j->inner, j->row, j->largest), i };

		if (i < k) {
			v[i] = x;
			if (i == k - 1)
				for (int64_t h = k / 2 - 1; h >= 0; h--)
					sink(v, h, k);
		} else if (before(&x, &v[0])) {
			v[0] = x;
			sink(v, 0, k);
		}
	}
	for (int64_t h = k - 1; h > 0; h--) {
		struct item x = v[0];

		v[0] = v[h];
		v[h] = x;
		sink(v, 0, h);
	}
	for (int64_t i = 0; i < k; i++) {
		memcpy((char *)j->value->data + (size_t)(to + i * j->inner) * size,
			(const char *)j->in->data + (size_t)(from + v[i].at * j->inner) * size, size);
		if (j->index)
			((int64_t *)j->index->data)[to + i * j->inner] = v[i].at;
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = {
		.in = in[0], .value = out[0], .index = n->n_out > 1 ? out[1] : NULL, .row = ds_dtype_of(in[0]->dtype), .room = env->scratch,
		.inner = 1, .largest = DS_A(struct attr, n)->largest != 0
	};
	int64_t lines = 1;
	int axis;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, in[0]->rank, &axis, err));
	j.len = in[0]->dim[axis];
	j.k = out[0]->dim[axis];
	for (int i = 0; i < in[0]->rank; i++) {
		lines *= i == axis ? 1 : in[0]->dim[i];
		j.inner *= i > axis ? in[0]->dim[i] : 1;
	}
	if (j.k > 0 && lines > INT32_MAX)
		return ds_fail(err, DS_E_UNSUPPORTED, "TopK of %lld lines", (long long)lines);
	if (j.k > 0)
		ds_pool_run(env->pool, (int)lines, top_task, &j);
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I32, DS_U8, DS_F16, DS_I64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], axis = ds_draw_in(&s, 0, 2), k;
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, 7, dim);
	k = ds_draw_in(&s, 1, dim[axis]);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 5), 3, dim);
	in[1] = ds_draw_ints(&s, 1, &k);
	n = ds_draw_node(&s, "TopK", 2, in, 2);
	ds_draw_i(&s, n, "axis", axis);
	ds_draw_i(&s, n, "largest", (int64_t)(seed & 1));
	return ds_draw_end(&s, n, err);
}

/* Back to where the values were picked. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *zeros = ds_emit_expand(&e, ds_emit_scalar(&e, n->in[0]->type.dtype, 0), &n->in[0]->type);

	if (n->n_out < 2 || !dout[0])
		return dout[0] ? ds_fail(err, DS_E_UNSUPPORTED, "gradient of TopK without its indices") : ds_emit_end(&e);
	din[0] = ds_emit3(&e, "ScatterElements", zeros, n->out[1], dout[0]);
	ds_emit_i(&e, din[0], "axis", DS_A(struct attr, n)->axis);
	ds_emit_s(&e, din[0], "reduction", "add");
	return ds_emit_end(&e);
}

const ds_op ds_op_TopK = {
	.name = "TopK", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 2,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .scratch = scratch, .forward = forward, .gradient = gradient, .sample = sample,
};
