/* meanvariancenormalization.c - MeanVarianceNormalization (ONNX 13): (x - mean) / (standard deviation + 1e-9) over a set of axes */
#include "draw.h"
#include "grad.h"
#include "rownorm.h"

#include <math.h>
#include <string.h>

struct attr { ds_ints axes; };

static ds_status reduced(const ds_node *n, int rank, bool *over, ds_err *err)
{
	static const int64_t usual[3] = { 0, 2, 3 };
	const struct attr *a = n->a;
	int count = a->axes.n ? a->axes.n : 3;

	memset(over, 0, DS_MAX_RANK * sizeof *over);
	for (int i = 0; i < count; i++) {
		int axis;

		DS_TRY(ds_nn_axis(n, a->axes.n ? a->axes.v[i] : usual[i], rank, &axis, err));
		over[axis] = true;
	}
	return DS_OK;
}

/* Number of sums, and the sum that element i belongs to. */
static int64_t sums(const ds_tensor *x, const bool *over)
{
	int64_t n = 1;

	for (int d = 0; d < x->rank; d++)
		n *= over[d] ? 1 : x->dim[d];
	return n;
}

static int64_t sum_of(const ds_tensor *x, const bool *over, int64_t i)
{
	int64_t at = 0, step = 1;

	for (int d = x->rank - 1; d >= 0; d--) {
		int64_t k = i % x->dim[d];

		i /= x->dim[d];
		if (!over[d]) {
			at += k * step;
			step *= x->dim[d];
		}
	}
	return at;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *x = in[0];
	const float *v = x->data;
	float *y = out[0]->data;
	double *mean = env->scratch, *sq;
	bool over[DS_MAX_RANK];
	int64_t count = ds_tensor_count(x), groups;

	DS_TRY(reduced(n, x->rank, over, err));
	groups = sums(x, over);
	sq = mean + groups;
	memset(mean, 0, 2 * (size_t)groups * sizeof *mean);
	for (int64_t i = 0; i < count; i++)
		mean[sum_of(x, over, i)] += (double)v[i];
	for (int64_t g = 0; g < groups; g++)
		mean[g] /= (double)(count / groups);
	for (int64_t i = 0; i < count; i++) {
		int64_t g = sum_of(x, over, i);

		sq[g] += ((double)v[i] - mean[g]) * ((double)v[i] - mean[g]);
	}
	for (int64_t g = 0; g < groups; g++)
		sq[g] = sqrt(sq[g] / (double)(count / groups)) + 1e-9;
	for (int64_t i = 0; i < count; i++) {
		int64_t g = sum_of(x, over, i);

		y[i] = (float)(((double)v[i] - mean[g]) / sq[g]);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_tensor_count(in[0]) ? ds_nn_in_f32(env, n, in, out, err, forward_f32) : DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out) + 2 * sizeof(double) * (size_t)ds_type_count(&in[0].type);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	bool over[DS_MAX_RANK];

	out[0] = in[0].type;
	if (!ds_nn_is_float(out[0].dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(out[0].dtype));
	return out[0].rank >= 0 ? reduced(n, out[0].rank, over, err) : DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	bool over[DS_MAX_RANK];
	int k = 0;

	(void)in;
	if (reduced(n, out[0].rank, over, NULL) != DS_OK)
		return 0;
	for (int d = 0; d < out[0].rank; d++)
		if (!over[d])
			k = ds_nn_same(link, cap, k, 0, DS_SLOT_OUT, d, d + 1);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	static const int64_t axes[3] = { 0, -1, 1 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 4, 6, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, types, 3), 4, dim);
	n = ds_draw_node(&s, "MeanVarianceNormalization", 1, &in, 1);
	if (seed % 2)
		ds_draw_is(&s, n, "axes", 1 + (int)(seed % 3), axes);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INTS(struct attr, axes, "axes", 0, "Axes to normalise over, default 0 2 3"),
	{ 0 }
};

/* (dy - mean(dy) - (x - mean) / deviation * mean(dy y)) / (deviation + 1e-9); the second factor is 0 where nothing deviates. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *x = n->in[0], *y = n->out[0], *zero = ds_emit_scalar(&e, x->type.dtype, 0), *d, *dev, *unit, *v;
	int64_t axes[DS_MAX_RANK];
	bool over[DS_MAX_RANK];
	int k = 0;

	DS_TRY(reduced(n, x->type.rank, over, err));
	for (int i = 0; i < x->type.rank; i++)
		if (over[i])
			axes[k++] = i;
	d = ds_emit2(&e, "Sub", x, ds_emit_reduce(&e, "ReduceMean", x, k, axes, true));
	dev = ds_emit1(&e, "Sqrt", ds_emit_reduce(&e, "ReduceMean", ds_emit2(&e, "Mul", d, d), k, axes, true));
	unit = ds_emit3(&e, "Where", ds_emit2(&e, "Equal", dev, zero), zero, ds_emit2(&e, "Div", d, dev));
	v = ds_emit2(&e, "Sub", dout[0], ds_emit_reduce(&e, "ReduceMean", dout[0], k, axes, true));
	v = ds_emit2(&e, "Sub", v, ds_emit2(&e, "Mul", unit, ds_emit_reduce(&e, "ReduceMean", ds_emit2(&e, "Mul", dout[0], y), k, axes, true)));
	din[0] = ds_emit2(&e, "Div", v, ds_emit2(&e, "Add", dev, ds_emit_scalar(&e, x->type.dtype, 1e-9)));
	return ds_emit_end(&e);
}

const ds_op ds_op_MeanVarianceNormalization = {
	.name = "MeanVarianceNormalization", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = ds_rownorm_cost, .channels = channels, .gradient = gradient, .sample = sample,
};
