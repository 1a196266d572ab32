/* mod.c - Mod: remainder: with the sign of y, or of x when fmod is set; modulo integer zero gives zero */
#include "elementwise.h"

#include <math.h>

struct attr { int64_t fmod; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, fmod, "0", "sign of the dividend, as fmod of C"),
	DS_ATTR_END
};

/* Remainder with the sign of y from the one with the sign of x. */
#define TURN(r, x, y, c) (!(c) && (r) != 0 && ((r) < 0) != ((y) < 0) ? (r) + (y) : (r))

static inline float mod32(float x, float y, bool c)
{
	float r = fmodf(x, y);

	return TURN(r, x, y, c);
}

static inline double mod64(double x, double y, bool c)
{
	double r = fmod(x, y);

	return TURN(r, x, y, c);
}

static inline int64_t modi(int64_t x, int64_t y, bool c)
{
	int64_t r = y == 0 || y == -1 ? 0 : x % y;

	return TURN(r, x, y, c);
}

#define LET const bool c = ((const struct attr *)arg)->fmod != 0
DS_EW_FLOATS(DS_EW2_ROW, mod, SAME, LET, mod32(x, y, c), mod64(x, y, c))
DS_EW_SIGNED(DS_EW2_ROW, mod, SAME, LET, modi(x, y, c))
DS_EW_UNSIGNED(DS_EW2_ROW, mod, SAME, (void)arg, y == 0 ? 0 : x % y)

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(mod), DS_EW_FN_INTS(mod) }, .same = 1 };

/* x - y q with a whole q, which (x - out) / y is. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *q = ds_emit2(&e, "Div", ds_emit2(&e, "Sub", n->out[0], n->in[0]), n->in[1]);

	din[0] = ds_emit_reduce_to(&e, dout[0], &n->out[0]->type, &n->in[0]->type);
	din[1] = ds_emit_reduce_to(&e, ds_emit2(&e, "Mul", dout[0], q), &n->out[0]->type, &n->in[1]->type);
	return ds_emit_end(&e);
}

DS_EW_OP(Mod, 2, .attr_size = sizeof(struct attr), .attrs = attrs, .gradient = gradient)
