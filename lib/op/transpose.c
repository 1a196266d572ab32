/* transpose.c - Transpose: axis i of the output is axis perm[i] of the input, without perm in reverse order */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

struct attr { ds_ints perm; };
static const ds_opt attrs[] = {
	DS_ATTR_INTS(struct attr, perm, "axes of the input in their new order"),
	DS_ATTR_END
};

static int source(const struct attr *a, int rank, int i)
{
	return a->perm.n ? (int)a->perm.v[i] : rank - 1 - i;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	const ds_type *t = &in[0].type;
	unsigned seen = 0;
	int rank = a->perm.n ? a->perm.n : t->rank;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	if (rank < 0)
		return DS_OK;
	if (rank > DS_MAX_RANK || (t->rank >= 0 && rank != t->rank))
		return ds_fail(err, DS_E_INPUT, "Transpose of a tensor of rank %d with %d axes", t->rank, rank);
	for (int i = 0; i < a->perm.n; i++) {
		if (a->perm.v[i] < 0 || a->perm.v[i] >= rank || seen >> a->perm.v[i] & 1)
			return ds_fail(err, DS_E_INPUT, "perm of Transpose is not a permutation");
		seen |= 1u << a->perm.v[i];
	}
	ds_infer_unknown(&out[0], t->dtype, rank);
	for (int i = 0; t->rank >= 0 && i < rank; i++)
		out[0].dim[i] = t->dim[source(a, rank, i)];
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int64_t from[DS_MAX_RANK], to[DS_MAX_RANK], ss[DS_MAX_RANK];

	ds_tensor_strides(in[0], from);
	ds_tensor_strides(out[0], to);
	for (int i = 0; i < out[0]->rank; i++)
		ss[i] = from[source(DS_A(struct attr, n), out[0]->rank, i)];
	ds_move_strided(env->pool, ds_dtype_size(out[0]->dtype), out[0]->rank, out[0]->dim, out[0]->data, to, in[0]->data, ss);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	for (int i = 0; i < out[0].rank; i++)
		if (out[0].dim[i] != 1)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, source(DS_A(struct attr, n), out[0].rank, i), DS_SLOT_OUT, i, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_U8, DS_F16, DS_I64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[5], perm[5] = { 0, 1, 2, 3, 4 };
	int rank = (int)ds_draw_in(&s, 2, 5);
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, rank, seed & 1 ? 6 : 20, dim);
	for (int i = rank - 1; i > 0; i--) {
		int j = (int)ds_draw_in(&s, 0, i);
		int64_t t = perm[i];

		perm[i] = perm[j];
		perm[j] = t;
	}
	in = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 4), rank, dim);
	n = ds_draw_node(&s, "Transpose", 1, &in, 1);
	if (seed % 5)
		ds_draw_is(&s, n, "perm", rank, perm);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	int64_t back[DS_MAX_RANK];
	int rank = n->out[0]->type.rank;

	for (int i = 0; i < rank; i++)
		back[source(DS_A(struct attr, n), rank, i)] = i;
	din[0] = ds_emit1(&e, "Transpose", dout[0]);
	ds_emit_is(&e, din[0], "perm", rank, back);
	return ds_emit_end(&e);
}

static const ds_variant variants[] = {
	{ .name = "transpose.last", .match = ds_move_match_from_last, .forward = forward },
	{ .name = NULL },
};

const ds_op ds_op_Transpose = {
	.name = "Transpose", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .variants = variants, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
