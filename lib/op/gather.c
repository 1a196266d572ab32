/* gather.c - Gather: slices along an axis, picked by a tensor of indices whose axes take that axis' place */
#include "gather.h"
#include "draw.h"
#include "grad.h"
#include "move.h"

#include <string.h>

struct attr { int64_t axis; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, axis, "0", "axis that is indexed"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type, *x = &in[1].type;
	int axis, r = 0;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	DS_TRY(ds_index_type(n, in, 1, err));
	if (t->rank < 0 || x->rank < 0)
		return DS_OK;
	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, t->rank, &axis, err));
	if (t->rank - 1 + x->rank > DS_MAX_RANK)
		return ds_fail(err, DS_E_UNSUPPORTED, "Gather to rank %d", t->rank - 1 + x->rank);
	for (int i = 0; i < axis; i++)
		out[0].dim[r++] = t->dim[i];
	for (int i = 0; i < x->rank; i++)
		out[0].dim[r++] = x->dim[i];
	for (int i = axis + 1; i < t->rank; i++)
		out[0].dim[r++] = t->dim[i];
	out[0].rank = (int8_t)r;
	return DS_OK;
}

struct job { const ds_tensor *index; const char *src; char *dst; int64_t count, extent, rows, per_task; size_t bytes; };

/* Rows are (outer, index) pairs of `bytes` contiguous bytes. */
static void gather_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	int64_t end = DS_MIN(j->rows, (task + 1) * j->per_task);

	for (int64_t r = task * j->per_task; r < end; r++) {
		int64_t from = r / j->count * j->extent + ds_index_at(j->index, r % j->count, j->extent);

		memcpy(j->dst + (size_t)r * j->bytes, j->src + (size_t)from * j->bytes, j->bytes);
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .index = in[1], .src = in[0]->data, .dst = out[0]->data, .count = ds_tensor_count(in[1]), .bytes = ds_dtype_size(in[0]->dtype) };
	int axis;

	DS_TRY(ds_axis(DS_A(struct attr, n)->axis, in[0]->rank, &axis, err));
	j.extent = in[0]->dim[axis];
	DS_TRY(ds_index_check(in[1], j.extent, err));
	j.rows = j.count;
	for (int i = 0; i < axis; i++)
		j.rows *= in[0]->dim[i];
	for (int i = axis + 1; i < in[0]->rank; i++)
		j.bytes *= (size_t)in[0]->dim[i];
	if (j.rows == 0 || j.bytes == 0)
		return DS_OK;
	j.per_task = DS_MAX(1, 65536 / (int64_t)j.bytes);
	ds_pool_run(env->pool, (int)((j.rows + j.per_task - 1) / j.per_task), gather_task, &j);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k = 0, more = in[1].type.rank;

	if (ds_axis(DS_A(struct attr, n)->axis, in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < in[0].type.rank; i++)
		if (i != axis)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, i < axis ? i : i - 1 + more, 0);
	for (int i = 0; i < more; i++)
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 1, i, DS_SLOT_OUT, axis + i, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_U8 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], at[3], axis = ds_draw_in(&s, 0, 2), count = ds_draw_in(&s, 1, 3);
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, 6, dim);
	for (int i = 0; i < 3; i++)
		at[i] = ds_draw_in(&s, -dim[axis], dim[axis] - 1);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 3), 3, dim);
	in[1] = ds_draw_ints(&s, seed & 1 ? count : -1, at);
	n = ds_draw_node(&s, "Gather", 2, in, 1);
	ds_draw_i(&s, n, "axis", axis - (seed & 2 ? 3 : 0));
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *dims = ds_emit_ints(&e, n->in[0]->type.rank, n->in[0]->type.dim);

	din[0] = ds_emit3(&e, "ds.GatherGrad", dout[0], dims, n->in[1]);
	ds_emit_i(&e, din[0], "axis", DS_A(struct attr, n)->axis);
	return ds_emit_end(&e);
}

const ds_op ds_op_Gather = {
	.name = "Gather", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
