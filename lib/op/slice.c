/* slice.c - Slice: along some axes the elements start, start + step, ... before end; negative positions count from the end, all are clamped */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

#include <string.h>

/* What is taken from one axis of a known extent. */
struct cut { int64_t start, step, count; };

static struct cut cut_axis(int64_t dim, int64_t start, int64_t end, int64_t step)
{
	struct cut c = { .step = step };
	int64_t lo = step > 0 ? 0 : -1, hi = dim + lo, span;

	start = start < 0 ? start + dim : start;
	end = end < 0 ? (end < -dim ? -1 : end + dim) : end;
	c.start = DS_MIN(DS_MAX(start, 0), hi);
	if (step < 0 && start < 0)
		c.start = -1;                   /* before everything: going down finds nothing */
	end = DS_MIN(DS_MAX(end, lo), dim);
	span = step > 0 ? end - c.start : c.start - end;
	/* written so that no step, however large, overflows */
	c.count = span <= 0 ? 0 : 1 + (int64_t)((uint64_t)(span - 1) / (step > 0 ? (uint64_t)step : 0 - (uint64_t)step));
	if (c.count == 0)
		c.start = 0;
	return c;
}

/* The inputs as lists by axis; *known is false when one of them has no value yet. */
struct spec { int64_t start[DS_MAX_RANK], end[DS_MAX_RANK], step[DS_MAX_RANK], axis[DS_MAX_RANK]; int n; bool known; };

static ds_status read_spec(const ds_node *n, const ds_arg *in, int rank, struct spec *s, ds_err *err)
{
	int ends, axes = -1, steps = -1;
	bool has_axes = n->n_in > 3 && in[3].present, has_steps = n->n_in > 4 && in[4].present;

	DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, s->start, &s->n, err));
	DS_TRY(ds_known_ints(&in[2], DS_MAX_RANK, s->end, &ends, err));
	if (has_axes)
		DS_TRY(ds_known_ints(&in[3], DS_MAX_RANK, s->axis, &axes, err));
	if (has_steps)
		DS_TRY(ds_known_ints(&in[4], DS_MAX_RANK, s->step, &steps, err));
	s->known = s->n >= 0 && ends >= 0 && (!has_axes || axes >= 0) && (!has_steps || steps >= 0);
	if (!s->known)
		return DS_OK;
	if (s->n != ends || (has_axes && axes != s->n) || (has_steps && steps != s->n) || s->n > rank)
		return ds_fail(err, DS_E_INPUT, "Slice: starts, ends, axes and steps do not have the same length");
	for (int i = 0; i < s->n; i++) {
		int a = i;

		if (has_axes)
			DS_TRY(ds_axis(s->axis[i], rank, &a, err));
		s->axis[i] = a;
		if (!has_steps)
			s->step[i] = 1;
		if (s->step[i] == 0)
			return ds_fail(err, DS_E_INPUT, "Slice with step 0");
	}
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	struct spec s;

	out[0] = *t;
	if (t->rank < 0)
		return DS_OK;
	DS_TRY(read_spec(n, in, t->rank, &s, err));
	if (!s.known) {
		int64_t axis[DS_MAX_RANK];
		int count = -1, a;

		/* axes known alone: the others keep their extents */
		if (n->n_in > 3 && in[3].present)
			DS_TRY(ds_known_ints(&in[3], DS_MAX_RANK, axis, &count, err));
		if (count < 0)
			ds_infer_unknown(&out[0], t->dtype, t->rank);
		for (int i = 0; i < count; i++) {
			DS_TRY(ds_axis(axis[i], t->rank, &a, err));
			out[0].dim[a] = DS_DIM_UNKNOWN;
		}
		return DS_OK;
	}
	for (int i = 0; i < s.n; i++) {
		int64_t *d = &out[0].dim[s.axis[i]];

		if (*d >= 0)
			*d = cut_axis(*d, s.start[i], s.end[i], s.step[i]).count;
		else if (s.start[i] != 0 || s.step[i] != 1 || s.end[i] < INT32_MAX)
			*d = DS_DIM_UNKNOWN;    /* a symbol stays only when everything is taken */
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t from[DS_MAX_RANK], to[DS_MAX_RANK];
	const char *src = in[0]->data;
	ds_arg arg[5] = { 0 };
	struct spec s;

	for (int i = 1; i < n->n_in && i < 5; i++)
		arg[i] = (ds_arg){ .present = in[i] != NULL, .value = in[i] };
	DS_TRY(read_spec(n, arg, in[0]->rank, &s, err));
	ds_tensor_strides(in[0], from);
	ds_tensor_strides(out[0], to);
	for (int i = 0; i < s.n; i++) {
		struct cut c = cut_axis(in[0]->dim[s.axis[i]], s.start[i], s.end[i], s.step[i]);

		if (c.count != out[0]->dim[s.axis[i]])
			return ds_fail(err, DS_E_INTERNAL, "Slice: positions are not those that were planned for");
		src += c.start * from[s.axis[i]] * (int64_t)size;
		from[s.axis[i]] *= c.count > 1 ? c.step : 1;
	}
	ds_move_strided(env->pool, size, out[0]->rank, out[0]->dim, out[0]->data, to, src, from);
	return DS_OK;
}

/* ds.SliceGrad(dout, dims of x, starts, ends[, axes[, steps]]): dout where it was taken from, zeros elsewhere. */
static ds_status grad_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	return ds_infer_given(&in[1], in[0].type.dtype, &out[0], err);
}

static ds_status grad_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t from[DS_MAX_RANK], to[DS_MAX_RANK];
	char *dst = out[0]->data;
	ds_arg arg[5] = { 0 };
	struct spec s;

	for (int i = 2; i < n->n_in && i < 6; i++)
		arg[i - 1] = (ds_arg){ .present = in[i] != NULL, .value = in[i] };
	DS_TRY(read_spec(n, arg, out[0]->rank, &s, err));
	ds_tensor_strides(in[0], from);
	ds_tensor_strides(out[0], to);
	memset(dst, 0, ds_tensor_bytes(out[0]));
	for (int i = 0; i < s.n; i++) {
		struct cut c = cut_axis(out[0]->dim[s.axis[i]], s.start[i], s.end[i], s.step[i]);

		if (c.count != in[0]->dim[s.axis[i]])
			return ds_fail(err, DS_E_INTERNAL, "SliceGrad: positions are not those of the slice");
		dst += c.start * to[s.axis[i]] * (int64_t)size;
		to[s.axis[i]] *= c.count > 1 ? c.step : 1;
	}
	ds_move_strided(env->pool, size, in[0]->rank, in[0]->dim, dst, to, in[0]->data, from);
	return DS_OK;
}

/* An axis that is cut can be pruned when what is taken reaches one of its ends: then recut knows the new position from the extents alone. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	struct spec s;
	unsigned keep = ~0u;
	int k = 0;

	if (read_spec(n, in, in[0].type.rank, &s, NULL) != DS_OK || !s.known)
		return 0;
	for (int i = 0; i < s.n; i++) {
		int64_t dim = in[0].type.dim[s.axis[i]];
		struct cut c = cut_axis(dim, s.start[i], s.end[i], s.step[i]);

		if (c.step == 1 && c.start == 0 && c.count == dim)
			continue;
		keep &= ~(1u << s.axis[i]);
		if (c.step == 1 && c.count > 0 && (c.start == 0 || c.start + c.count == dim))
			k = ds_link_add(link, k, cap, DS_LINK_SHIFT, 0, (int)s.axis[i], DS_SLOT_OUT, (int)s.axis[i], -c.start);
	}
	return ds_link_same(link, k, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], keep);
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	ds_arg arg[5] = { 0 };
	struct spec s;
	bool change = false;

	for (int i = 1; i < n->n_in && i < 5; i++) {
		arg[i].present = n->in[i] != NULL;
		if (n->in[i] && n->in[i]->kind != DS_V_NODE && n->in[i]->data.data)
			arg[i].value = &n->in[i]->data;
	}
	DS_TRY(read_spec(n, arg, in[0].rank, &s, err));
	if (!s.known)
		return DS_OK;
	for (int i = 0; i < s.n; i++) {
		int64_t dim = in[0].dim[s.axis[i]], w = want[0].dim[s.axis[i]];

		if (dim < 0 || w < 0 || cut_axis(dim, s.start[i], s.end[i], s.step[i]).count == w)
			continue;
		if (s.step[i] != 1)
			return ds_fail(err, DS_E_UNSUPPORTED, "Slice with a step cannot be cut");
		change = true;
		if (s.start[i] == 0) {
			s.end[i] = w;
		} else {
			s.start[i] = dim - w;
			s.end[i] = dim;
		}
	}
	if (!change)
		return DS_OK;
	DS_TRY(ds_recut_ints(g, n, 1, s.n, s.start, err));
	return ds_recut_ints(g, n, 2, s.n, s.end, err);
}

static ds_status sample_of(ds_graph *g, uint64_t seed, bool grad, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_U8 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], v[4][2];
	ds_value *in[6];

	ds_draw_dims(&s, 3, 7, dim);
	for (int i = 0; i < 2; i++) {
		v[2][i] = i ? -1 : ds_draw_in(&s, 0, 1);
		v[0][i] = ds_draw_in(&s, -8, 3);
		v[1][i] = seed & 1 ? INT64_MAX : ds_draw_in(&s, 2, 9);
		v[3][i] = ds_draw_in(&s, 1, 2);
		if (seed % 5 == 4) {
			v[0][i] = ds_draw_in(&s, 3, 9);
			v[1][i] = ds_draw_in(&s, -9, -8);
			v[3][i] = -v[3][i];
		}
	}
	for (int i = 0; i < 4; i++)
		in[i + 1 + grad] = ds_draw_ints(&s, 2, v[i]);
	if (grad) {
		in[1] = ds_draw_ints(&s, 3, dim);
		for (int i = 0; i < 2; i++)
			dim[i ? 2 : v[2][0]] = cut_axis(dim[i ? 2 : v[2][0]], v[0][i], v[1][i], v[3][i]).count;
	}
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 3), 3, dim);
	return ds_draw_end(&s, ds_draw_node(&s, grad ? "ds.SliceGrad" : "Slice", 5 + grad, in, 1), err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, false, err); }
static ds_status grad_sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, true, err); }


static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_value *in[6] = { dout[0] };
	ds_emit e = ds_emit_begin(g, err);

	in[1] = ds_emit_ints(&e, n->in[0]->type.rank, n->in[0]->type.dim);
	for (int i = 1; i < n->n_in; i++)
		in[i + 1] = n->in[i];
	din[0] = ds_emit_op(&e, "ds.SliceGrad", n->n_in + 1, in);
	return ds_emit_end(&e);
}

static const ds_variant variants[] = {
	{ .name = "slice.last", .match = ds_move_match_last, .forward = forward },
	{ .name = NULL },
};

const ds_op ds_op_Slice = {
	.name = "Slice", .domain = "", .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .variants = variants, .cost = ds_move_cost, .channels = channels, .recut = recut, .gradient = gradient, .sample = sample,
};

const ds_op ds_op_SliceGrad = {
	.name = "SliceGrad", .domain = "ds", .min_in = 4, .max_in = 6, .min_out = 1, .max_out = 1,
	.infer = grad_infer, .forward = grad_forward, .cost = ds_move_cost, .sample = grad_sample,
};
