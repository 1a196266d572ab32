/* split.c - Split: one tensor into several along an axis, of the sizes given or as equal as possible (the last one smaller) */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

struct attr { int64_t axis, num_outputs; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "0", "axis that is split"),
	DS_ATTR_INT(struct attr, num_outputs, "0", "number of parts when sizes are not given"),
	DS_ATTR_END
};

/* Extent of part i of n of an axis. */
static int64_t part(int64_t dim, int n, int i)
{
	int64_t each = (dim + n - 1) / n;

	return DS_MAX(DS_MIN(each, dim - each * i), 0);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	const ds_tensor *sizes = n->n_in > 1 ? in[1].value : NULL;
	bool given = n->n_in > 1 && in[1].present;
	int64_t total = 0;
	int axis;

	for (int i = 0; i < n->n_out; i++)
		out[i] = in[0].type;
	if (in[0].type.rank < 0)
		return DS_OK;
	DS_TRY(ds_axis(a->axis, in[0].type.rank, &axis, err));
	if (sizes && ds_tensor_count(sizes) != n->n_out)
		return ds_fail(err, DS_E_INPUT, "Split into %d outputs with %lld sizes", n->n_out, (long long)ds_tensor_count(sizes));
	if (!given && a->num_outputs && a->num_outputs != n->n_out)
		return ds_fail(err, DS_E_INPUT, "Split into %d outputs where num_outputs is %lld", n->n_out, (long long)a->num_outputs);
	for (int i = 0; i < n->n_out; i++) {
		int64_t dim = in[0].type.dim[axis], *d = &out[i].dim[axis];

		*d = DS_DIM_UNKNOWN;
		if (sizes) {
			*d = ds_tensor_i64(sizes, i);
			if (*d < 0 || ds_add_over(total, *d, &total))
				return ds_fail(err, DS_E_INPUT, "Split into a part of %lld", (long long)*d);
		} else if (!given && dim >= 0) {
			*d = part(dim, n->n_out, i);
		}
	}
	if (sizes && in[0].type.dim[axis] >= 0 && total != in[0].type.dim[axis])
		return ds_fail(err, DS_E_INPUT, "Split: the sizes make %lld of %lld", (long long)total, (long long)in[0].type.dim[axis]);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t from[DS_MAX_RANK], to[DS_MAX_RANK], at = 0;
	int axis;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, in[0]->rank, &axis, err));
	ds_tensor_strides(in[0], from);
	for (int i = 0; i < n->n_out; i++) {
		const char *src = (const char *)in[0]->data + at * from[axis] * (int64_t)size;

		ds_tensor_strides(out[i], to);
		ds_move_strided(env->pool, size, out[i]->rank, out[i]->dim, out[i]->data, to, src, from);
		at += out[i]->dim[axis];
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int64_t at = 0;
	int k = 0, axis;

	if (ds_axis(DS_A(struct attr, n)->axis, in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < n->n_out && i < 63; i++) {
		k = ds_link_same(link, k, cap, 0, &in[0].type, DS_SLOT_OUT + i, &out[i], ~(1u << axis));
		k = ds_link_add(link, k, cap, DS_LINK_SHIFT, DS_SLOT_OUT + i, axis, 0, axis, at);
		at += out[i].dim[axis];
	}
	return k;
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	int64_t v[64];
	int axis;
	bool same = true, given = n->n_in > 1 && n->in[1];

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, in[0].rank, &axis, err));
	if (n->n_out > 64)
		return ds_fail(err, DS_E_UNSUPPORTED, "Split into %d parts cannot be cut", n->n_out);
	for (int i = 0; i < n->n_out; i++) {
		v[i] = want[i].dim[axis];
		if (v[i] < 0)
			return DS_OK;           /* symbolic: nothing spelled out can be wrong */
		same &= in[0].dim[axis] >= 0 && part(in[0].dim[axis], n->n_out, i) == v[i];
	}
	if (given)
		return ds_recut_ints(g, n, 1, n->n_out, v, err);
	if (same)
		return DS_OK;
	/* equal parts are equal no more: give the sizes */
	ds_value **fresh = ds_arena_alloc(&ds_graph_root(g)->arena, 2, sizeof *fresh);
	ds_value *sizes = ds_graph_const_i64(g, n->n_out, v);

	if (!fresh || !sizes)
		return ds_fail_nomem(err, 2 * sizeof *fresh);
	fresh[0] = n->in[0];
	fresh[1] = sizes;
	n->in = fresh;
	n->n_in = 2;
	ds_attr_del(n, "num_outputs");
	return ds_node_parse(n, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], size[3], axis = ds_draw_in(&s, 0, 2);
	int count = (int)ds_draw_in(&s, 1, 3);
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, 5, dim);
	dim[axis] = seed & 1 ? ds_draw_in(&s, 3, 9) : 0;
	for (int i = 0; !(seed & 1) && i < count; i++)
		dim[axis] += size[i] = ds_draw_in(&s, 1, 4);
	in[0] = ds_draw_input(&s, DS_F32, 3, dim);
	if (!(seed & 1))
		in[1] = ds_draw_ints(&s, count, size);
	n = ds_draw_node(&s, "Split", seed & 1 ? 1 : 2, in, count);
	ds_draw_i(&s, n, "axis", axis - (seed & 2 ? 3 : 0));
	if (seed & 1)
		ds_draw_i(&s, n, "num_outputs", count);
	return ds_draw_end(&s, n, err);
}

/* The gradients of the parts one after the other; parts that nothing reads have zeros. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value **part_of = ds_calloc((size_t)n->n_out, sizeof *part_of);

	if (!part_of)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n->n_out; i++)
		part_of[i] = dout[i] ? dout[i] : ds_emit_expand(&e, ds_emit_scalar(&e, n->in[0]->type.dtype, 0), &n->out[i]->type);
	din[0] = ds_emit_op(&e, "Concat", n->n_out, part_of);
	ds_emit_i(&e, din[0], "axis", DS_A(struct attr, n)->axis);
	ds_free(part_of);
	return ds_emit_end(&e);
}

static const ds_variant variants[] = {
	{ .name = "split.last", .match = ds_move_match_last, .forward = forward },
	{ .name = NULL },
};

const ds_op ds_op_Split = {
	.name = "Split", .domain = "", .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 127,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .variants = variants, .cost = ds_move_cost,
	.channels = channels, .recut = recut, .gradient = gradient, .sample = sample,
};
