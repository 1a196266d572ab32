/* expand.c - Expand: broadcast to a shape, in both directions */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_arg pair[2] = { in[0], { .present = true, .type = { .dtype = in[0].type.dtype, .rank = -1 } } };
	int64_t v[DS_MAX_RANK], len = ds_known_length(&in[1]);
	int count;

	out[0].dtype = in[0].type.dtype;
	out[0].rank = -1;
	DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, v, &count, err));
	if (count < 0) {
		if (in[0].type.rank >= 0 && len >= 0 && len <= DS_MAX_RANK)
			ds_infer_unknown(&out[0], in[0].type.dtype, DS_MAX((int)len, in[0].type.rank));
		return DS_OK;
	}
	for (int i = 0; i < count; i++)
		if (v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "Expand to the extent %lld", (long long)v[i]);
	pair[1].type = ds_type_make(in[0].type.dtype, count, v);
	return ds_infer_broadcast(pair, 2, &out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_move_tensor(env->pool, in[0], out[0]);
	return DS_OK;
}

/* Axes that are copied from the input go with it; those that repeat one element may be cut by themselves (recut says how often). */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0, lead = out[0].rank - in[0].type.rank;

	for (int d = 0; d < out[0].rank; d++) {
		if (d < lead || in[0].type.dim[d - lead] == 1)
			k = ds_link_add(link, k, cap, DS_LINK_FREE, DS_SLOT_OUT, d, DS_SLOT_OUT, d, 0);
		else
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, d - lead, DS_SLOT_OUT, d, 0);
	}
	return k;
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	int64_t v[DS_MAX_RANK];
	int count;
	bool change = false;

	DS_TRY(ds_recut_read(n, 1, DS_MAX_RANK, v, &count, err));
	for (int i = 0; i < count; i++) {
		int64_t w = want[0].dim[want[0].rank - count + i];

		if (v[i] == 1 || w < 0 || v[i] == w)
			continue;               /* 1 takes whatever the input has */
		v[i] = w;
		change = true;
	}
	return change ? ds_recut_ints(g, n, 1, count, v, err) : DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], to[4];
	ds_value *in[2];

	ds_draw_dims(&s, 3, 5, dim);
	to[0] = ds_draw_in(&s, 1, 3);
	for (int i = 0; i < 3; i++) {
		to[i + 1] = seed >> i & 1 ? dim[i] : ds_draw_in(&s, 1, 5);
		if (!(seed >> i & 1))
			dim[i] = 1;
	}
	in[0] = ds_draw_input(&s, seed & 8 ? DS_I64 : DS_F32, 3, dim);
	in[1] = ds_draw_ints(&s, seed & 16 ? 3 : 4, seed & 16 ? to + 1 : to);
	return ds_draw_end(&s, ds_draw_node(&s, "Expand", 2, in, 1), err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit_reduce_to(&e, dout[0], &n->out[0]->type, &n->in[0]->type);
	return ds_emit_end(&e);
}

const ds_op ds_op_Expand = {
	.name = "Expand", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .cost = ds_move_cost, .channels = channels, .recut = recut, .gradient = gradient, .sample = sample,
};
