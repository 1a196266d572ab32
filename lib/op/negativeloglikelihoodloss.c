/* negativeloglikelihoodloss.c - NegativeLogLikelihoodLoss (ONNX 22), and what SoftmaxCrossEntropyLoss has in common with it (loss.h) */
#include "loss.h"
#include "draw.h"

#include <string.h>

enum { NONE, SUM, MEAN };
static const char *const reductions[] = { "none", "sum", "mean", NULL };

const ds_opt ds_loss_attrs[] = {
	DS_NN_INT(ds_loss_attr, ignore_index, "ignore_index", "0", 0, 0, "Label that counts as nothing; without the attribute there is none"),
	DS_NN_CHOICE(ds_loss_attr, reduction, "reduction", "mean", reductions, "What becomes of the losses of all positions"),
	{ 0 }
};

ds_status ds_loss_run(const ds_node *n, const ds_tensor *logp, const ds_tensor *label, const ds_tensor *weight, ds_tensor *loss, ds_err *err)
{
	const ds_loss_attr *a = n->a;
	bool ignores = ds_attr_find(n, "ignore_index") != NULL;
	int64_t classes = logp->dim[1], inner = 1, count = ds_tensor_count(label);
	const float *p = logp->data, *w = weight ? weight->data : NULL;
	float *out = loss->data;
	double sum = 0, total = 0;

	for (int i = 2; i < logp->rank; i++)
		inner *= logp->dim[i];
	for (int64_t i = 0; i < count; i++) {
		int64_t c = ds_tensor_i64(label, i);
		float one = 0, f = 0;

		if (!ignores || c != a->ignore_index) {
			if (c < 0 || c >= classes)
				return ds_fail(err, DS_E_INPUT, "%s: label %lld of %lld classes", n->op_name, (long long)c, (long long)classes);
			f = w ? w[c] : 1;
			one = -p[(i / inner * classes + c) * inner + i % inner] * f;
		}
		if (a->reduction == NONE)
			out[i] = one;
		sum += (double)one;
		total += (double)f;
	}
	if (a->reduction != NONE)
		out[0] = (float)(a->reduction == SUM ? sum : total != 0 ? sum / total : 0);
	return DS_OK;
}

ds_status ds_loss_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type, *t = &in[1].type;
	bool has_weight = n->n_in > 2 && in[2].present;

	out[0] = ds_type_make(x->dtype, 0, NULL);
	if (!ds_nn_is_float(x->dtype) || (t->dtype != DS_I32 && t->dtype != DS_I64))
		return ds_fail(err, DS_E_INPUT, "%s of %s with labels of %s", n->op_name, ds_dtype_name(x->dtype), ds_dtype_name(t->dtype));
	if (x->rank >= 0 && (x->rank < 2 || (t->rank >= 0 && t->rank != x->rank - 1)))
		return ds_fail(err, DS_E_INPUT, "%s: scores of rank %d, labels of rank %d", n->op_name, x->rank, t->rank);
	for (int i = 0; x->rank >= 0 && t->rank >= 0 && i < t->rank; i++) {
		int64_t d = x->dim[i ? i + 1 : 0];

		if (d >= 0 && t->dim[i] >= 0 && d != t->dim[i])
			return ds_fail(err, DS_E_INPUT, "%s: extents of scores and labels", n->op_name);
	}
	if (has_weight && x->rank >= 0 && in[2].type.rank >= 0 && (in[2].type.rank != 1 || (in[2].type.dim[0] >= 0 && x->dim[1] >= 0 && in[2].type.dim[0] != x->dim[1])))
		return ds_fail(err, DS_E_INPUT, "%s: one weight for each class expected", n->op_name);
	if (DS_A(ds_loss_attr, n)->reduction == NONE) {
		out[0] = *t;
		out[0].dtype = x->dtype;
	}
	return DS_OK;
}

void ds_loss_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	double labels = (double)ds_type_count(&in[1].type);

	(void)out;
	*cost = (ds_cost){ .flops = 3 * labels + (n->n_out > 1 ? 4 * (double)ds_type_count(&in[0].type) : 0),
		.act_bytes = (double)ds_type_count(&in[0].type) * (double)ds_dtype_size(in[0].type.dtype) + labels * (double)ds_dtype_size(in[1].type.dtype) };
}

ds_status ds_loss_sample(ds_graph *g, uint64_t seed, const char *op, int n_out, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = ds_draw_dtype(&s, types, 3);
	int rank = (int)ds_draw_in(&s, 2, 4);
	int64_t dim[4], label[4], c, count = 1;
	ds_value *in[3];
	ds_tensor labels;
	ds_node *n;

	ds_draw_dims(&s, rank, 6, dim);
	c = dim[1];
	label[0] = dim[0];
	for (int i = 2; i < rank; i++)
		label[i - 1] = dim[i];
	for (int i = 0; i < rank - 1; i++)
		count *= label[i];
	DS_TRY(ds_tensor_new(&labels, DS_I64, rank - 1, label, err));
	for (int64_t i = 0; i < count; i++)
		((int64_t *)labels.data)[i] = ds_draw_in(&s, 0, c - 1);
	in[0] = ds_draw_input(&s, t, rank, dim);
	in[1] = ds_graph_weight(g, DS_V_PARAM, "labels", &labels);
	in[2] = ds_draw_param(&s, t, 1, &c);
	n = ds_draw_node(&s, op, 2 + (int)(seed % 2), in, n_out);
	ds_draw_s(&s, n, "reduction", reductions[seed % 3]);
	if (seed % 4 == 1)
		ds_draw_i(&s, n, "ignore_index", 0);
	return ds_draw_end(&s, n, err);
}

ds_value *ds_loss_back(ds_emit *e, const ds_node *n, ds_value *dloss)
{
	const ds_loss_attr *a = n->a;
	const ds_type *x = &n->in[0]->type, *t = &n->in[1]->type;
	ds_value *label = n->in[1], *zero = ds_emit_scalar(e, x->dtype, 0), *valid = NULL, *share, *at, *zeros;
	ds_type one = *t;

	if (ds_attr_find(n, "ignore_index")) {
		ds_value *none = ds_emit_i64(e, a->ignore_index), *first = ds_emit_i64(e, 0);

		if (t->dtype != DS_I64) {
			label = ds_emit1(e, "Cast", label);
			ds_emit_i(e, label, "to", ds_dtype_of(DS_I64)->onnx);
		}
		valid = ds_emit1(e, "Not", ds_emit2(e, "Equal", label, none));
		label = ds_emit3(e, "Where", valid, label, first);
	}
	share = n->n_in > 2 && n->in[2] ? ds_emit2(e, "Gather", n->in[2], label) : ds_emit_expand(e, ds_emit_scalar(e, x->dtype, 1), t);
	if (valid)
		share = ds_emit3(e, "Where", valid, share, zero);
	if (a->reduction == MEAN) {
		ds_value *total = ds_emit1(e, "ReduceSum", share);

		ds_emit_i(e, total, "keepdims", 0);
		dloss = ds_emit3(e, "Where", ds_emit2(e, "Equal", total, zero), zero, ds_emit2(e, "Div", dloss, total));
	}
	/* [N, ...] to [N, 1, ...], to be put into [N, C, ...] */
	one.rank = (int8_t)(t->rank + 1);
	for (int i = one.rank - 1; i > 1; i--)
		one.dim[i] = t->dim[i - 1];
	one.dim[1] = 1;
	at = ds_emit_reshape(e, label, &one);
	share = ds_emit_reshape(e, ds_emit1(e, "Neg", ds_emit2(e, "Mul", share, dloss)), &one);
	zeros = ds_emit3(e, "ScatterElements", ds_emit_expand(e, zero, x), at, share);
	ds_emit_i(e, zeros, "axis", 1);
	return zeros;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	(void)env;
	return ds_loss_run(n, in[0], in[1], n->n_in > 2 ? in[2] : NULL, out[0], err);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_loss_sample(g, seed, "NegativeLogLikelihoodLoss", 1, err); }

/* Weights of classes are settings, not trained. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_loss_back(&e, n, dout[0]);
	return ds_emit_end(&e);
}

const ds_op ds_op_NegativeLogLikelihoodLoss = {
	.name = "NegativeLogLikelihoodLoss", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_loss_attr), .attrs = ds_loss_attrs,
	.infer = ds_loss_infer, .scratch = scratch, .forward = forward, .cost = ds_loss_cost, .gradient = gradient, .sample = sample,
};
