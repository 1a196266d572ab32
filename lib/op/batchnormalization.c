/* batchnormalization.c - BatchNormalization (ONNX 15): y = (x - mean) * scale / sqrt(var + epsilon) + bias, per channel.
 * With training_mode the statistics are those of the batch and outputs 1 and 2 are the running statistics moved towards them. */
#include "grad.h"
#include "nn.h"
#include "nnsample.h"

#include <math.h>

struct attr { double epsilon, momentum; int64_t training; };

struct job {
	int64_t      channels, inner;
	const float *x, *scale, *bias, *mean, *var;
	float       *y;
	double       epsilon;
	bool         last;
};

static inline float factor(const struct job *j, int64_t c) { return (float)((double)j->scale[c] / sqrt((double)j->var[c] + j->epsilon)); }

/* Rows [i0, i1): plain, a row is one plane of one channel; channels-last, one position with all channels. */
static void rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	int64_t len = j->last ? j->channels : j->inner;

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const float *x = j->x + r * len;
		float *y = j->y + r * len;

		if (j->last) {
			for (int64_t c = 0; c < len; c++)
				y[c] = (x[c] - j->mean[c]) * j->var[c] + j->bias[c];
		} else {
			int64_t c = r % j->channels;
			float a = factor(j, c), m = j->mean[c], b = j->bias[c];

			for (int64_t i = 0; i < len; i++)
				y[i] = (x[i] - m) * a + b;
		}
	}
}

/* Mean and (population) variance of each channel in f64, into out[0..C) and out[C..2C) as f32. */
static void batch_statistics(const struct job *j, int64_t batch, float *stat)
{
	int64_t plane = j->inner, n = batch * plane, step = j->last ? j->channels : 1;

	for (int64_t c = 0; c < j->channels; c++) {
		const float *x = j->x + (j->last ? c : c * plane);
		double sum = 0, sq = 0;

		for (int64_t b = 0; b < batch; b++)
			for (int64_t i = 0; i < plane; i++)
				sum += (double)x[b * j->channels * plane + i * step];
		sum = n ? sum / (double)n : 0;
		for (int64_t b = 0; b < batch; b++)
			for (int64_t i = 0; i < plane; i++) {
				double d = (double)x[b * j->channels * plane + i * step] - sum;

				sq += d * d;
			}
		stat[c] = (float)sum;
		stat[j->channels + c] = (float)(n ? sq / (double)n : 0);
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = n->a;
	const ds_tensor *x = in[0];
	struct job j = { .channels = x->rank > 1 ? x->dim[1] : 1, .inner = 1, .x = x->data, .scale = in[1]->data, .bias = in[2]->data,
		.mean = in[3]->data, .var = in[4]->data, .y = out[0]->data, .epsilon = a->epsilon, .last = x->layout == DS_CHANNELS_LAST };
	float *work = env->scratch;
	int64_t count;

	for (int i = 2; i < x->rank; i++)
		j.inner *= x->dim[i];
	if (x->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	if (a->training) {
		const float *run_mean = in[3]->data, *run_var = in[4]->data;

		batch_statistics(&j, x->dim[0], work);
		j.mean = work;
		j.var = work + j.channels;
		for (int k = 1; k < n->n_out && k < 3; k++)
			for (int64_t c = 0; out[k] && c < j.channels; c++) {
				float old = k == 1 ? run_mean[c] : run_var[c], now = k == 1 ? j.mean[c] : j.var[c];

				((float *)out[k]->data)[c] = (float)((double)old * a->momentum + (double)now * (1 - a->momentum));
			}
	}
	if (j.last) {
		/* the factors once, in place of the variances */
		for (int64_t c = 0; c < j.channels; c++)
			work[j.channels + c] = factor(&j, c);
		j.var = work + j.channels;
		count = x->dim[0] * j.inner;
		ds_nn_for(env->pool, count, ds_nn_grain(count, (double)j.channels / 2), rows, &j);
	} else {
		count = x->rank > 1 ? x->dim[0] * j.channels : x->dim[0];
		ds_nn_for(env->pool, count, ds_nn_grain(count, (double)j.inner / 2), rows, &j);
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out) + 2 * sizeof(float) * (size_t)ds_type_count(&in[1].type);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;

	if (!ds_nn_is_float(x->dtype) || x->rank == 0)
		return ds_fail(err, DS_E_INPUT, "%s of %s, rank %d", n->op_name, ds_dtype_name(x->dtype), x->rank);
	out[0] = *x;
	for (int i = 1; i < n->n_out; i++)
		out[i] = in[DS_MIN(2 + i, 4)].type;
	for (int i = 1; i < 5; i++) {
		const ds_type *p = &in[i].type;

		if (p->rank >= 0 && p->rank != 1)
			return ds_fail(err, DS_E_INPUT, "%s: parameter %d of rank %d", n->op_name, i, p->rank);
		int64_t c = x->rank < 0 ? DS_DIM_UNKNOWN : x->rank > 1 ? x->dim[1] : 1;

		if (p->rank == 1 && p->dim[0] >= 0 && c >= 0 && p->dim[0] != c)
			return ds_fail(err, DS_E_INPUT, "%s: parameter %d has %lld channels, the input %lld", n->op_name, i, (long long)p->dim[0], (long long)c);
	}
	return DS_OK;
}

/* With the running statistics, which are constants; in training mode ds.BatchNormTrain takes its place. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const struct attr *a = n->a;
	ds_emit e = ds_emit_begin(g, err);
	if (a->training || !dout[0])
		return ds_fail(err, DS_E_UNSUPPORTED, "gradient of %s in training mode", n->op_name);
	ds_value *std = ds_emit1(&e, "Sqrt", ds_emit2(&e, "Add", n->in[4], ds_emit_scalar(&e, n->in[4]->type.dtype, a->epsilon)));
	ds_value *inv = ds_emit1(&e, "Reciprocal", std);
	ds_node *b = ds_emit_node(&e, "ds.BatchNormGrad", 6, (ds_value *[]){ dout[0], n->in[0], n->in[1], n->in[2], n->in[3], inv }, 3);
	if (b) {
		ds_emit_i(&e, b->out[0], "frozen", 1);
		for (int i = 0; i < 3; i++)
			din[i] = b->out[i];
		ds_value *a2 = ds_emit2(&e, "Mul", n->in[1], inv);
		din[3] = ds_emit1(&e, "Neg", ds_emit2(&e, "Mul", din[2], a2));
		din[4] = ds_emit2(&e, "Mul", ds_emit2(&e, "Mul", din[1], ds_emit2(&e, "Mul", a2, inv)), ds_emit_scalar(&e, n->in[4]->type.dtype, -0.5));
	}
	return ds_emit_end(&e);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);

	(void)n;
	for (int i = 1; i < 5 && k < cap && in[0].type.rank > 1; i++)
		link[k++] = (ds_link){ DS_LINK_SAME, 0, 1, (int8_t)i, 0, 0 };
	return k;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]), size = (double)ds_dtype_size(out[0].dtype);

	(void)n;
	*c = (ds_cost){ .flops = 3 * count, .weight_bytes = 4 * size * (double)ds_type_count(&in[1].type), .act_bytes = 2 * count * size };
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("BatchNormalization", seed);
	ds_dtype d = seed % 5 == 4 ? DS_F16 : DS_F32;
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 40), ds_sample_int(&r, 1, 6), ds_sample_int(&r, 1, 6) };
	ds_value *in[5];
	ds_node *n;

	in[0] = ds_sample_input(g, d, (int)(2 + seed % 3), dim);
	for (int i = 1; i < 5; i++)
		in[i] = ds_sample_weight(g, &r, d, 1, dim + 1, i == 4 ? 0.5 : -1, i == 4 ? 2 : 1);
	for (int i = 0; i < 5; i++)
		if (!in[i])
			return ds_fail_nomem(err, 0);
	n = ds_sample_node(g, "", "BatchNormalization", 5, in, 1);
	return n ? ds_node_parse(n, err) : ds_fail_nomem(err, 0);
}

static const ds_opt attrs[] = {
	DS_NN_FLOAT(struct attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	DS_NN_FLOAT(struct attr, momentum, "momentum", "0.9", "Share that the running statistics keep in training mode"),
	DS_NN_INT(struct attr, training, "training_mode", "0", 0, 1, "Use the statistics of the batch"),
	{ 0 }
};

const ds_op ds_op_BatchNormalization = {
	.name = "BatchNormalization", .domain = "", .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 3,
	.flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .gradient = gradient, .cost = cost, .channels = channels, .sample = sample,
};
