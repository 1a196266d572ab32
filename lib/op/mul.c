/* mul.c - Mul: x y; integers wrap */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW2_ROW, mul, SAME, (void)arg, x * y, x * y)
DS_EW_WRAP(DS_EW2_ROW, mul, (void)arg, x * y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mul), DS_EW_FN_INTS(mul) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	for (int i = 0; i < 2; i++)
		din[i] = ds_emit_reduce_to(&e, ds_emit2(&e, "Mul", dout[0], n->in[1 - i]), &n->out[0]->type, &n->in[i]->type);
	return ds_emit_end(&e);
}

DS_EW_OP(Mul, 2, .gradient = gradient)
