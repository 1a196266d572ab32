/* softmaxcrossentropyloss.c - SoftmaxCrossEntropyLoss (ONNX 13): LogSoftmax over the classes, then NegativeLogLikelihoodLoss */
#include "loss.h"
#include "softmax.h"

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_tensor logp = *in[0];

	logp.buf = NULL;
	logp.data = n->n_out > 1 && out[1] ? out[1]->data : env->scratch;
	ds_softmax_along(env->pool, DS_LOGSOFTMAX, in[0], &logp, 1);
	return ds_loss_run(n, &logp, in[1], n->n_in > 2 ? in[2] : NULL, out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out) + (size_t)ds_pad64((uint64_t)ds_type_count(&in[0].type) * sizeof(float));
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (n->n_out > 1)
		out[1] = in[0].type;
	return ds_loss_infer(n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	return ds_loss_sample(g, seed, "SoftmaxCrossEntropyLoss", 1 + (int)(seed / 2 % 2), err);
}

/* Weights of classes are settings, not trained. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *logp = n->n_out > 1 ? n->out[1] : NULL, *d = dout[0] ? ds_loss_back(&e, n, dout[0]) : NULL;

	if (n->n_out > 1 && dout[1])
		d = d ? ds_emit2(&e, "Add", d, dout[1]) : dout[1];
	if (!logp) {
		logp = ds_emit1(&e, "LogSoftmax", n->in[0]);
		ds_emit_i(&e, logp, "axis", 1);
	}
	din[0] = ds_emit2(&e, "ds.LogSoftmaxGrad", logp, d);
	ds_emit_i(&e, din[0], "axis", 1);
	return ds_emit_end(&e);
}

const ds_op ds_op_SoftmaxCrossEntropyLoss = {
	.name = "SoftmaxCrossEntropyLoss", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 2,
	.attr_size = sizeof(ds_loss_attr), .attrs = ds_loss_attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = ds_loss_cost, .gradient = gradient, .sample = sample,
};
