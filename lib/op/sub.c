/* sub.c - Sub: x - y; integers wrap */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, sub, SAME, (void)arg, x - y, x - y)
DS_EW_WRAP(DS_EW2_ROW, sub, (void)arg, x - y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(sub), DS_EW_FN_INTS(sub) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit_reduce_to(&e, dout[0], &n->out[0]->type, &n->in[0]->type);
	din[1] = ds_emit1(&e, "Neg", ds_emit_reduce_to(&e, dout[0], &n->out[0]->type, &n->in[1]->type));
	return ds_emit_end(&e);
}

DS_EW_OP(Sub, 2, .gradient = gradient)
