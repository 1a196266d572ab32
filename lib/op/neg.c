/* neg.c - Neg: -x; the smallest integer of a type stays */
#include "elementwise.h"

DS_EW_FLOATS(DS_EW1_ROW, neg, SAME, (void)arg, -x, -x)
DS_EW_SIGNED(DS_EW1_ROW, neg, SAME, (void)arg, 0 - (uint64_t)x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(neg), DS_EW_FN_SIGNED(neg) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit1(&e, "Neg", dout[0]);
	return ds_emit_end(&e);
}

DS_EW_OP(Neg, 1, .gradient = gradient)
