/* loss.c - losses as ordinary nodes: the mean over a batch of what is wrong with its predictions */
#include "head.h"

#include <string.h>

ds_value *ds_head_mean(ds_emit *e, ds_value *v)
{
	ds_value *m = ds_emit1(e, "ReduceMean", v);
	ds_emit_i(e, m, "keepdims", 0);
	return m;
}

static ds_value *sum(ds_emit *e, ds_value *v)
{
	ds_value *m = ds_emit1(e, "ReduceSum", v);
	ds_emit_i(e, m, "keepdims", 0);
	return m;
}

/* ---- classes ---------------------------------------------------------------------------------------------------------------------- */
ds_value *ds_head_one_hot(ds_emit *e, ds_value *target, int axis, int64_t classes, double smoothing)
{
	float v[2] = { (float)(smoothing / (double)classes), (float)(1 - smoothing + smoothing / (double)classes) };
	ds_tensor t;
	if (e->rc == DS_OK)
		e->rc = ds_tensor_new(&t, DS_F32, 1, (int64_t[]){ 2 }, e->err);
	if (e->rc != DS_OK)
		return NULL;
	memcpy(t.data, v, sizeof v);
	ds_value *off_on = ds_graph_weight(e->g, DS_V_CONST, "", &t);
	ds_value *r = ds_emit3(e, "OneHot", target, ds_emit_i64(e, classes), off_on);
	ds_emit_i(e, r, "axis", axis);
	return r;
}

/* -sum over classes of target * log softmax(pred), mean over all positions (those of class `ignore` count as nothing). */
static ds_status cross_entropy(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	const ds_type *t = &h->pred[0]->type;
	int axis = ds_class_axis(t);
	int64_t classes = t->dim[axis];
	if (t->rank < 2 || classes < 2)
		return ds_fail(err, DS_E_INPUT, "cross-entropy wants an output with classes, \"%.100s\" has none", h->pred[0]->name);
	ds_value *logp = ds_emit1(e, "LogSoftmax", h->pred[0]);
	ds_emit_i(e, logp, "axis", axis);
	ds_value *want = h->target;
	bool soft = want->type.dtype == DS_F32;
	if (!soft)
		want = ds_head_one_hot(e, h->target, axis, classes, o->smoothing);
	else if (o->smoothing > 0)
		want = ds_emit2(e, "Add", ds_emit2(e, "Mul", want, ds_emit_f32(e, (float)(1 - o->smoothing))),
			ds_emit_f32(e, (float)(o->smoothing / (double)classes)));
	ds_value *each = ds_emit_reduce(e, "ReduceSum", ds_emit2(e, "Mul", logp, want), 1, (int64_t[]){ axis }, false);
	each = ds_emit1(e, "Neg", each);
	if (soft || !o->has_ignore) {
		*loss = ds_head_mean(e, each);
	} else {
		ds_value *counts = ds_emit1(e, "Cast", ds_emit1(e, "Not", ds_emit2(e, "Equal", h->target, ds_emit_i64(e, o->ignore))));
		ds_emit_i(e, counts, "to", ds_dtype_of(DS_F32)->onnx);
		*loss = ds_emit2(e, "Div", sum(e, ds_emit2(e, "Mul", each, counts)), ds_emit2(e, "Max", sum(e, counts), ds_emit_f32(e, 1)));
	}
	return ds_emit_end(e);
}

/* ---- values ----------------------------------------------------------------------------------------------------------------------- */
static ds_status mse(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	ds_value *d = ds_emit2(h->e, "Sub", h->pred[0], h->target);
	*loss = ds_head_mean(h->e, ds_emit2(h->e, "Mul", d, d));
	return ds_emit_end(h->e);
}

static ds_status l1(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	*loss = ds_head_mean(h->e, ds_emit1(h->e, "Abs", ds_emit2(h->e, "Sub", h->pred[0], h->target)));
	return ds_emit_end(h->e);
}

/* With a = |d|, m = min(a, delta): m * (a - m / 2) is d^2 / 2 inside and linear outside (Huber 1964). */
static ds_status huber(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	ds_value *a = ds_emit1(e, "Abs", ds_emit2(e, "Sub", h->pred[0], h->target));
	ds_value *m = ds_emit2(e, "Min", a, ds_emit_f32(e, (float)o->delta));
	*loss = ds_head_mean(e, ds_emit2(e, "Mul", m, ds_emit2(e, "Sub", a, ds_emit2(e, "Mul", m, ds_emit_f32(e, .5f)))));
	return ds_emit_end(e);
}

/* Binary cross-entropy of logits x and targets y in [0, 1]: softplus(x) - x * y. */
static ds_status bce(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	*loss = ds_head_mean(e, ds_emit2(e, "Sub", ds_emit1(e, "Softplus", h->pred[0]), ds_emit2(e, "Mul", h->pred[0], h->target)));
	return ds_emit_end(e);
}

/* ---- sequences and pairs ---------------------------------------------------------------------------------------------------------- */
static ds_status ctc(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	if (h->pred[0]->type.rank != 3)
		return ds_fail(err, DS_E_INPUT, "ctc wants an output [N, T, classes]");
	*loss = ds_head_mean(h->e, ds_emit2(h->e, "ds.CTCLoss", h->pred[0], h->target));
	return ds_emit_end(h->e);
}

ds_value *ds_head_unit_rows(ds_emit *e, ds_value *v)
{
	ds_value *norm = ds_emit_reduce(e, "ReduceL2", v, 1, (int64_t[]){ 1 }, true);
	return ds_emit2(e, "Div", v, ds_emit2(e, "Max", norm, ds_emit_f32(e, 1e-8f)));
}

/* Cross-entropy of each row of [N, N] against its own index. */
static ds_value *diagonal_entropy(ds_emit *e, ds_value *logits, ds_value *eye)
{
	ds_value *logp = ds_emit1(e, "LogSoftmax", logits);
	ds_emit_i(e, logp, "axis", 1);
	ds_value *own = ds_emit_reduce(e, "ReduceSum", ds_emit2(e, "Mul", logp, eye), 1, (int64_t[]){ 1 }, false);
	return ds_head_mean(e, ds_emit1(e, "Neg", own));
}

/* Two embeddings [N, D] of the same items: each finds its partner among those of the batch, in both directions (Radford et al. 2021, arXiv:2103.00020). */
static ds_status contrastive(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	const ds_type *t = &h->pred[0]->type;
	if (h->n_pred < 2 || t->rank != 2 || !ds_type_same_dims(t, &h->pred[1]->type))
		return ds_fail(err, DS_E_INPUT, "contrastive wants two outputs [N, D] of the same dims");
	ds_value *a = ds_head_unit_rows(e, h->pred[0]), *b = ds_head_unit_rows(e, h->pred[1]);
	ds_value *sim = ds_emit2(e, "Gemm", a, b);
	ds_emit_i(e, sim, "transB", 1);
	sim = ds_emit2(e, "Mul", sim, ds_emit_f32(e, (float)(1 / o->temperature)));
	ds_tensor id;
	if (e->rc == DS_OK)
		e->rc = ds_tensor_new(&id, DS_F32, 2, (int64_t[]){ t->dim[0], t->dim[0] }, err);
	if (e->rc != DS_OK)
		return e->rc;
	for (int64_t i = 0; i < t->dim[0]; i++)
		((float *)id.data)[i * t->dim[0] + i] = 1;
	ds_value *eye = ds_graph_weight(e->g, DS_V_PARAM, "", &id);
	if (!eye)
		return ds_fail_nomem(err, 0);
	ds_value *rows = diagonal_entropy(e, sim, eye), *cols = diagonal_entropy(e, ds_emit1(e, "Transpose", sim), eye);
	*loss = ds_emit2(e, "Mul", ds_emit2(e, "Add", rows, cols), ds_emit_f32(e, .5f));
	return ds_emit_end(e);
}

/* ---- the table -------------------------------------------------------------------------------------------------------------------- */
static const ds_loss ds_loss_cross_entropy = { "cross-entropy", DS_TARGET_CLASS, cross_entropy, "classes; of [N, T, V] at every position" };
static const ds_loss ds_loss_mse = { "mse", DS_TARGET_VALUES, mse, "mean squared error" };
static const ds_loss ds_loss_l1 = { "l1", DS_TARGET_VALUES, l1, "mean absolute error" };
static const ds_loss ds_loss_huber = { "huber", DS_TARGET_VALUES, huber, "squared near zero, absolute beyond --delta" };
static const ds_loss ds_loss_bce = { "bce", DS_TARGET_VALUES, bce, "yes or no for every output, targets between 0 and 1" };
static const ds_loss ds_loss_ctc = { "ctc", DS_TARGET_SEQUENCE, ctc, "sequences without alignment; class 0 is the blank" };
static const ds_loss ds_loss_contrastive = { "contrastive", DS_TARGET_NONE, contrastive, "pairs: two outputs of one item belong together" };

static const ds_loss *const rows[] = {
#define DS_LOSS(name) &ds_loss_##name,
#include "losses.def"
#undef DS_LOSS
};

const ds_loss *ds_loss_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	return NULL;
}

const ds_loss *const *ds_loss_all(int *n)
{
	*n = (int)DS_COUNTOF(rows);
	return rows;
}
