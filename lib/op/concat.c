/* concat.c - Concat: tensors one after the other along an axis */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

struct attr { int64_t axis; };
static const ds_opt attrs[] = {
	DS_ATTR_MUST(struct attr, axis, "axis along which the inputs are joined"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_type *t = &out[0];
	int axis;

	*t = in[0].type;
	for (int i = 1; i < n->n_in; i++)
		if (in[i].type.dtype != t->dtype)
			return ds_fail(err, DS_E_INPUT, "Concat of %s and %s", ds_dtype_name(t->dtype), ds_dtype_name(in[i].type.dtype));
	for (int i = 0; i < n->n_in; i++) {
		if (in[i].type.rank < 0) {
			t->rank = -1;
			return DS_OK;
		}
	}
	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank, &axis, err));
	for (int i = 1; i < n->n_in; i++) {
		const ds_type *s = &in[i].type;

		if (s->rank != t->rank)
			return ds_fail(err, DS_E_INPUT, "Concat of tensors of rank %d and %d", t->rank, s->rank);
		for (int d = 0; d < t->rank; d++) {
			if (d == axis)
				t->dim[d] = ds_dim_add(t->dim[d], s->dim[d]);
			else if (t->dim[d] < 0)
				t->dim[d] = s->dim[d] >= 0 || t->dim[d] == DS_DIM_UNKNOWN ? s->dim[d] : t->dim[d];
			else if (s->dim[d] >= 0 && s->dim[d] != t->dim[d])
				return ds_fail(err, DS_E_INPUT, "Concat: axis %d is %lld and %lld", d, (long long)t->dim[d], (long long)s->dim[d]);
		}
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(out[0]->dtype);
	int64_t to[DS_MAX_RANK], from[DS_MAX_RANK], at = 0;
	int axis;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, out[0]->rank, &axis, err));
	ds_tensor_strides(out[0], to);
	for (int i = 0; i < n->n_in; i++) {
		char *dst = (char *)out[0]->data + at * to[axis] * (int64_t)size;

		ds_tensor_strides(in[i], from);
		ds_move_strided(env->pool, size, in[i]->rank, in[i]->dim, dst, to, in[i]->data, from);
		at += in[i]->dim[axis];
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int64_t at = 0;
	int k = 0, axis;

	if (ds_axis(DS_A(struct attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < n->n_in && i < DS_SLOT_OUT; i++) {
		k = ds_link_same(link, k, cap, i, &in[i].type, DS_SLOT_OUT, &out[0], ~(1u << axis));
		k = ds_link_add(link, k, cap, DS_LINK_SHIFT, i, axis, DS_SLOT_OUT, axis, at);
		at += in[i].type.dim[axis];
	}
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_U8 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], axis;
	int rank = (int)ds_draw_in(&s, 1, 4), count = (int)ds_draw_in(&s, 1, 3);
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, rank, 5, dim);
	axis = ds_draw_in(&s, 0, rank - 1);
	for (int i = 0; i < count; i++) {
		dim[axis] = ds_draw_in(&s, 1, 4);
		in[i] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 3), rank, dim);
	}
	n = ds_draw_node(&s, "Concat", count, in, 1);
	ds_draw_i(&s, n, "axis", seed & 1 ? axis : axis - rank);
	return ds_draw_end(&s, n, err);
}

/* The parts of dout. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	int64_t *size = ds_calloc((size_t)n->n_in, sizeof *size);
	ds_node *split;
	int axis;

	if (!size)
		return ds_fail_nomem(err, 0);
	e.rc = ds_axis(DS_A(struct attr, n)->axis, n->out[0]->type.rank, &axis, err);
	for (int i = 0; e.rc == DS_OK && i < n->n_in; i++)
		size[i] = n->in[i]->type.dim[axis];
	split = ds_emit_node(&e, "Split", 2, (ds_value *[]){ dout[0], ds_emit_ints(&e, n->n_in, size) }, n->n_in);
	for (int i = 0; split && i < n->n_in; i++)
		din[i] = split->out[i];
	ds_emit_i(&e, din[0], "axis", axis);
	ds_free(size);
	return ds_emit_end(&e);
}

static const ds_variant variants[] = {
	{ .name = "concat.last", .match = ds_move_match_last, .forward = forward },
	{ .name = NULL },
};

const ds_op ds_op_Concat = {
	.name = "Concat", .domain = "", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .variants = variants, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
