/* trilu.c - Trilu: matrices with what lies below (upper) or above (lower) diagonal k set to zero */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

#include <string.h>

struct attr { int64_t upper; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, upper, "1", "keep the upper triangle"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	if (in[0].type.rank >= 0 && in[0].type.rank < 2)
		return ds_fail(err, DS_E_INPUT, "Trilu of a tensor of rank %d", in[0].type.rank);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int rank = in[0]->rank;
	size_t size = ds_dtype_size(in[0]->dtype);
	int64_t rows = in[0]->dim[rank - 2], cols = in[0]->dim[rank - 1], total = ds_tensor_count(in[0]);
	int64_t k = n->n_in > 1 && in[1] && ds_tensor_count(in[1]) > 0 ? ds_tensor_i64(in[1], 0) : 0;
	bool upper = DS_A(struct attr, n)->upper != 0;

	if (total == 0)
		return DS_OK;
	k = DS_MIN(DS_MAX(k, -rows - 1), cols + 1);     /* all the same beyond */
	if (out[0]->data != in[0]->data)
		memcpy(out[0]->data, in[0]->data, ds_tensor_bytes(in[0]));
	for (int64_t r = 0; r < total / cols; r++) {
		/* columns from `first` on are on or above the diagonal (upper), or above it (lower) */
		int64_t first = DS_MIN(DS_MAX(r % rows + k + (upper ? 0 : 1), 0), cols);
		char *row = (char *)out[0]->data + (size_t)(r * cols) * size;

		if (upper)
			memset(row, 0, (size_t)first * size);
		else
			memset(row + (size_t)first * size, 0, (size_t)(cols - first) * size);
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int rank = in[0].type.rank;

	return ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], (1u << (rank - 2)) - 1);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_BOOL };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], k = ds_draw_in(&s, -3, 3);
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, 5, dim);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 3), 3, dim);
	in[1] = ds_draw_ints(&s, -1, &k);
	n = ds_draw_node(&s, "Trilu", seed & 2 ? 1 : 2, in, 1);
	ds_draw_i(&s, n, "upper", seed & 1);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit_op(&e, "Trilu", n->n_in, (ds_value *[]){ dout[0], n->n_in > 1 ? n->in[1] : NULL });
	ds_emit_attrs(&e, din[0], n);
	return ds_emit_end(&e);
}

const ds_op ds_op_Trilu = {
	.name = "Trilu", .domain = "", .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_INPLACE,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
