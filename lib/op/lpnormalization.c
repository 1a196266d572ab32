/* lpnormalization.c - LpNormalization (ONNX 22): x divided by its 1- or 2-norm along an axis; a norm of 0 gives 0 */
#include "draw.h"
#include "grad.h"
#include "rownorm.h"

#include <math.h>

struct attr { int64_t axis, p; };
struct job { int64_t extent, inner, p; const float *x; float *y; };

static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		int64_t at = r / j->inner * j->extent * j->inner + r % j->inner;
		double sum = 0;
		float norm;

		for (int64_t k = 0; k < j->extent; k++) {
			double v = fabs((double)j->x[at + k * j->inner]);

			sum += j->p == 1 ? v : v * v;
		}
		norm = (float)(j->p == 1 ? sum : sqrt(sum));
		for (int64_t k = 0; k < j->extent; k++)
			j->y[at + k * j->inner] = norm == 0 ? 0 : j->x[at + k * j->inner] / norm;
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .p = DS_A(struct attr, n)->p, .x = in[0]->data, .y = out[0]->data };
	int64_t outer;
	int axis;

	DS_TRY(ds_nn_axis(n, DS_A(struct attr, n)->axis, in[0]->rank, &axis, err));
	ds_nn_split(in[0], axis, &outer, &j.extent, &j.inner);
	ds_nn_for(env->pool, outer * j.inner, ds_nn_grain(outer * j.inner, 2 * (double)j.extent), run, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int axis;

	out[0] = in[0].type;
	if (!ds_nn_is_float(out[0].dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(out[0].dtype));
	return out[0].rank >= 0 ? ds_nn_axis(n, DS_A(struct attr, n)->axis, out[0].rank, &axis, err) : DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k;

	(void)in;
	if (ds_nn_axis(n, DS_A(struct attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return 0;
	k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, axis);
	return ds_nn_same(link, cap, k, 0, DS_SLOT_OUT, axis + 1, out[0].rank);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 3, 9, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, types, 3), 3, dim);
	n = ds_draw_node(&s, "LpNormalization", 1, &in, 1);
	ds_draw_i(&s, n, "axis", ds_draw_in(&s, -3, 2));
	ds_draw_i(&s, n, "p", 1 + (int64_t)(seed % 2));
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(struct attr, axis, "axis", "-1", 0, 0, "Axis to normalise along"),
	DS_NN_INT(struct attr, p, "p", "2", 1, 2, "Order of the norm"),
	{ 0 }
};

/* (dy - d norm / dx * sum(dy y)) / norm; nothing flows where the norm is 0. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const struct attr *a = n->a;
	ds_value *x = n->in[0], *y = n->out[0], *zero = ds_emit_scalar(&e, x->type.dtype, 0);
	ds_value *norm = ds_emit_reduce(&e, a->p == 1 ? "ReduceL1" : "ReduceL2", x, 1, &a->axis, true);
	ds_value *along = ds_emit_reduce(&e, "ReduceSum", ds_emit2(&e, "Mul", dout[0], y), 1, &a->axis, true);
	ds_value *v = ds_emit2(&e, "Sub", dout[0], ds_emit2(&e, "Mul", a->p == 1 ? ds_emit1(&e, "Sign", x) : y, along));

	din[0] = ds_emit3(&e, "Where", ds_emit2(&e, "Equal", norm, zero), zero, ds_emit2(&e, "Div", v, norm));
	return ds_emit_end(&e);
}

const ds_op ds_op_LpNormalization = {
	.name = "LpNormalization", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = ds_rownorm_scratch, .forward = forward, .cost = ds_rownorm_cost, .channels = channels, .gradient = gradient, .sample = sample,
};
