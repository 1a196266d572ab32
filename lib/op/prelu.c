/* prelu.c - PRelu: x, below zero slope x; the slope is broadcast to x */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, prelu, SAME, (void)arg, x < 0 ? x * y : x, x < 0 ? x * y : x)
DS_EW_SIGNED(DS_EW2_ROW, prelu, SAME, (void)arg, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)
DS_EW_UNSIGNED(DS_EW2_ROW, prelu, SAME, (void)arg, ((void)y, x))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(prelu), DS_EW_FN_INTS(prelu) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *zero = ds_emit_scalar(&e, n->out[0]->type.dtype, 0), *below = ds_emit2(&e, "Less", n->in[0], zero);

	din[0] = ds_emit3(&e, "Where", below, ds_emit2(&e, "Mul", dout[0], n->in[1]), dout[0]);
	din[0] = ds_emit_reduce_to(&e, din[0], &n->out[0]->type, &n->in[0]->type);
	din[1] = ds_emit_reduce_to(&e, ds_emit3(&e, "Where", below, ds_emit2(&e, "Mul", dout[0], n->in[0]), zero), &n->out[0]->type, &n->in[1]->type);
	return ds_emit_end(&e);
}

DS_EW_OP(PRelu, 2, .gradient = gradient)
