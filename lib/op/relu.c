/* relu.c - Relu: max(x, 0), NaN stays */
#include "elementwise.h"
#include "grad.h"

DS_EW_FLOATS(DS_EW1_ROW, relu, SAME, (void)arg, x < 0 ? 0.0f : x, x < 0 ? 0.0 : x)
DS_EW_SIGNED(DS_EW1_ROW, relu, SAME, (void)arg, x < 0 ? 0 : x)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(relu), DS_EW_FN_SIGNED(relu) }, .same = 1 };

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	din[0] = ds_emit2(&e, "ds.ReluGrad", dout[0], n->out[0]);
	return ds_emit_end(&e);
}

DS_EW_OP(Relu, 1, .gradient = gradient)
