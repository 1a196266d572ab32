/* div.c - Div: x / y; integers truncate towards zero, and division by zero gives zero */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, div, SAME, (void)arg, x / y, x / y)
DS_EW_SIGNED(DS_EW2_ROW, div, SAME, (void)arg, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y)
DS_EW_UNSIGNED(DS_EW2_ROW, div, SAME, (void)arg, y == 0 ? 0 : x / y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(div), DS_EW_FN_INTS(div) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *dx = ds_emit2(&e, "Div", dout[0], n->in[1]);

	din[0] = ds_emit_reduce_to(&e, dx, &n->out[0]->type, &n->in[0]->type);
	din[1] = ds_emit1(&e, "Neg", ds_emit_reduce_to(&e, ds_emit2(&e, "Mul", dx, n->out[0]), &n->out[0]->type, &n->in[1]->type));
	return ds_emit_end(&e);
}

DS_EW_OP(Div, 2, .gradient = gradient)
