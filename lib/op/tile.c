/* tile.c - Tile: the input repeated along every axis */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t v[DS_MAX_RANK];
	int count;

	out[0] = *t;
	DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, v, &count, err));
	if (t->rank < 0)
		return DS_OK;
	if (count >= 0 && count != t->rank)
		return ds_fail(err, DS_E_INPUT, "Tile: %d repeats for a tensor of rank %d", count, t->rank);
	for (int i = 0; i < t->rank; i++) {
		if (count >= 0 && v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "Tile %lld times", (long long)v[i]);
		if (count >= 0 && v[i] > 1 && t->dim[i] > INT64_MAX / v[i])
			return ds_fail(err, DS_E_INPUT, "Tile makes an axis too long");
		out[0].dim[i] = count < 0 ? DS_DIM_UNKNOWN : ds_dim_mul(t->dim[i], v[i]);
	}
	return DS_OK;
}

/* One strided copy per repetition of all axes but the first that is repeated innermost would be slow for many repeats of short axes: copy the input once to
 * the corner of the output, then let each axis, from the last to the first, repeat the block that is there already. */
static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *t = in[0];
	size_t size = ds_dtype_size(t->dtype);
	int64_t to[DS_MAX_RANK], from[DS_MAX_RANK], dim[DS_MAX_RANK];

	if (ds_tensor_count(out[0]) == 0)
		return DS_OK;
	ds_tensor_strides(t, from);
	ds_tensor_strides(out[0], to);
	ds_move_strided(env->pool, size, t->rank, t->dim, out[0]->data, to, t->data, from);
	for (int i = 0; i < t->rank; i++)
		dim[i] = t->dim[i];
	for (int d = t->rank - 1; d >= 0; d--) {
		for (int64_t k = 1; k < out[0]->dim[d] / t->dim[d]; k++) {
			char *dst = (char *)out[0]->data + k * t->dim[d] * to[d] * (int64_t)size;

			ds_move_strided(env->pool, size, t->rank, dim, dst, to, out[0]->data, to);
		}
		dim[d] = out[0]->dim[d];
	}
	return DS_OK;
}

/* Axes that are not repeated come through. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], ~0u);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], times[4];
	int rank = (int)ds_draw_in(&s, 1, 4);
	ds_value *in[2];

	ds_draw_dims(&s, rank, 4, dim);
	ds_draw_dims(&s, rank, 3, times);
	in[0] = ds_draw_input(&s, seed & 1 ? DS_F32 : DS_I64, rank, dim);
	in[1] = ds_draw_ints(&s, rank, times);
	return ds_draw_end(&s, ds_draw_node(&s, "Tile", 2, in, 1), err);
}

/* The repeats of one axis after the other are added up: [before, repeats, axis and what follows]. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const ds_type *x = &n->in[0]->type;
	ds_type now = n->out[0]->type;
	ds_value *v = dout[0];

	for (int d = 0; d < x->rank; d++) {
		ds_type t = { .dtype = x->dtype, .rank = 3, .dim = { 1, 1, x->dim[d] } };

		if (x->dim[d] == 0 || now.dim[d] == x->dim[d])
			continue;
		t.dim[1] = now.dim[d] / x->dim[d];
		for (int i = 0; i < x->rank; i++)
			t.dim[i < d ? 0 : 2] *= i == d ? 1 : now.dim[i];
		v = ds_emit_reduce(&e, "ReduceSum", ds_emit_reshape(&e, v, &t), 1, (int64_t[]){ 1 }, false);
		now.dim[d] = x->dim[d];
	}
	din[0] = ds_emit_reshape(&e, v, x);
	return ds_emit_end(&e);
}

const ds_op ds_op_Tile = {
	.name = "Tile", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .cost = ds_move_cost, .channels = channels, .gradient = gradient, .sample = sample,
};
