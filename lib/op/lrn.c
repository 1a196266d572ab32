/* lrn.c - LRN (ONNX 13): y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels) ^ beta.  Krizhevsky et al. 2012 */
#include "draw.h"
#include "grad.h"
#include "rownorm.h"

#include <math.h>

struct attr { double alpha, beta, bias; int64_t size; };
struct job { const struct attr *a; int64_t channels, inner; const float *x; float *y; };

static float power(double v, double beta) { return (float)(beta == 0.75 ? sqrt(v) * sqrt(sqrt(v)) : beta == 0.5 ? sqrt(v) : pow(v, beta)); }

/* Planes [i0, i1) of (item, channel). */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const struct attr *a = j->a;

	(void)worker;
	for (int64_t p = i0; p < i1; p++) {
		int64_t c = p % j->channels, first = DS_MAX(c - (a->size - 1) / 2, 0), last = DS_MIN(c + a->size / 2, j->channels - 1);
		const float *item = j->x + (p - c) * j->inner;

		for (int64_t i = 0; i < j->inner; i++) {
			double sum = 0;

			for (int64_t k = first; k <= last; k++)
				sum += (double)item[k * j->inner + i] * (double)item[k * j->inner + i];
			j->y[p * j->inner + i] = item[c * j->inner + i] / power(a->bias + a->alpha / (double)a->size * sum, a->beta);
		}
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { n->a, in[0]->dim[1], 1, in[0]->data, out[0]->data };

	if (j.a->size < 1)
		return ds_fail(err, DS_E_INPUT, "%s: size %lld", n->op_name, (long long)j.a->size);
	for (int i = 2; i < in[0]->rank; i++)
		j.inner *= in[0]->dim[i];
	ds_nn_for(env->pool, in[0]->dim[0] * j.channels, ds_nn_grain(in[0]->dim[0] * j.channels, (double)j.inner * ((double)j.a->size + 8)), run, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	if (!ds_nn_is_float(out[0].dtype) || (out[0].rank >= 0 && out[0].rank < 2))
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d and type %s", n->op_name, out[0].rank, ds_dtype_name(out[0].dtype));
	return DS_OK;
}

/* Neighbouring channels matter: only the batch is free. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	(void)out;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, 1);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 4, 7, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, types, 3), 4, dim);
	n = ds_draw_node(&s, "LRN", 1, &in, 1);
	ds_draw_i(&s, n, "size", ds_draw_in(&s, 1, 6));
	if (seed % 2)
		ds_draw_f(&s, n, "beta", 0.6);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_FLOAT(struct attr, alpha, "alpha", "0.0001", "Factor of the mean square"),
	DS_NN_FLOAT(struct attr, beta, "beta", "0.75", "Exponent"),
	DS_NN_FLOAT(struct attr, bias, "bias", "1", "Added to the mean square"),
	{ .name = "size", .type = DS_T_INT, .flags = DS_OPT_REQUIRED, .offset = offsetof(struct attr, size), .help = "Channels in the sum" },
	{ 0 }
};

/* With s the sum inside the power: dx = dy / s^beta - 2 alpha beta / size * x * sum of dy y / s over the channels that saw x.  Sums over neighbouring channels are
 * averages with padding that counts, of a plane [channels, positions]. */
static ds_value *neighbours(ds_emit *e, ds_value *v, const ds_type *t, int64_t size, int64_t before)
{
	ds_type plane = { .dtype = t->dtype, .rank = 4, .dim = { t->dim[0], 1, t->dim[1], 1 } };
	ds_value *a;

	for (int i = 2; i < t->rank; i++)
		plane.dim[3] *= t->dim[i];
	a = ds_emit1(e, "AveragePool", ds_emit_reshape(e, v, &plane));
	ds_emit_is(e, a, "kernel_shape", 2, (int64_t[]){ size, 1 });
	ds_emit_is(e, a, "pads", 4, (int64_t[]){ before, 0, size - 1 - before, 0 });
	ds_emit_i(e, a, "count_include_pad", 1);
	return ds_emit_reshape(e, a, t);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const struct attr *a = n->a;
	const ds_type *t = &n->in[0]->type;
	ds_value *x = n->in[0], *y = n->out[0], *s, *seen, *v;

	s = ds_emit2(&e, "Mul", neighbours(&e, ds_emit2(&e, "Mul", x, x), t, a->size, (a->size - 1) / 2), ds_emit_scalar(&e, t->dtype, a->alpha));
	s = ds_emit2(&e, "Add", s, ds_emit_scalar(&e, t->dtype, a->bias));
	seen = neighbours(&e, ds_emit2(&e, "Div", ds_emit2(&e, "Mul", dout[0], y), s), t, a->size, a->size / 2);
	v = ds_emit2(&e, "Mul", ds_emit2(&e, "Mul", x, ds_emit_scalar(&e, t->dtype, 2 * a->alpha * a->beta)), seen);
	din[0] = ds_emit2(&e, "Sub", ds_emit2(&e, "Mul", dout[0], ds_emit2(&e, "Pow", s, ds_emit_scalar(&e, t->dtype, -a->beta))), v);
	return ds_emit_end(&e);
}

const ds_op ds_op_LRN = {
	.name = "LRN", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = ds_rownorm_scratch, .forward = forward, .cost = ds_rownorm_cost, .channels = channels, .gradient = gradient, .sample = sample,
};
