/* fold_batchnorm.c - BatchNormalization after Conv, ConvTranspose or Gemm becomes part of its weights
 *
 * y = (conv(x, W) + b - mean) * s + beta with s = gamma / sqrt(var + eps) is conv(x, W s) + (b - mean) s + beta, per output channel.  Computed in double and
 * rounded to f32 once.  Codes with one scale per output channel, or one for all, keep their codes: s goes into the scales (which may become negative).  Other
 * quantised weights are decoded first. */
#include "help.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Which axis of the weight holds the output channels; -1: not foldable.  *why is the reason. */
static int channel_axis(const ds_node *n, const char **why)
{
	const ds_attr *a;
	if (ds_rw_is(n, "", "Conv"))
		return 0;
	if (ds_rw_is(n, "", "ConvTranspose")) {
		a = ds_attr_find(n, "group");
		if (!a || a->u.i == 1)
			return 1;
		*why = "grouped transposed convolution";
		return -1;
	}
	if (ds_rw_is(n, "", "Gemm")) {
		const ds_attr *al = ds_attr_find(n, "alpha"), *be = ds_attr_find(n, "beta");
		a = ds_attr_find(n, "transB");
		if ((!al || al->u.f == 1) && (!be || be->u.f == 1))
			return a && a->u.i ? 0 : 1;
		*why = "alpha or beta is not 1";
		return -1;
	}
	*why = "no linear operator before it";
	return -1;
}

/* gamma / sqrt(var + eps) of a channel. */
static double factor(const ds_node *bn, double eps, int64_t c)
{
	return ds_tensor_f64(&bn->in[1]->data, c) / sqrt(ds_tensor_f64(&bn->in[4]->data, c) + eps);
}

static void fold_bias(float *bias, int64_t C, const ds_node *bn, double eps)
{
	for (int64_t c = 0; c < C; c++)
		bias[c] = (float)(((double)bias[c] - ds_tensor_f64(&bn->in[3]->data, c)) * factor(bn, eps, c) + ds_tensor_f64(&bn->in[2]->data, c));
}

/* Scale W along `axis`.  W: f32 plain. */
static void fold(ds_tensor *w, int axis, const ds_node *bn, double eps)
{
	int64_t C = w->dim[axis], inner = 1, outer = 1;
	for (int i = axis + 1; i < w->rank; i++)
		inner *= w->dim[i];
	for (int i = 0; i < axis; i++)
		outer *= w->dim[i];
	float *p = w->data;
	for (int64_t c = 0; c < C; c++) {
		double s = factor(bn, eps, c);
		for (int64_t o = 0; o < outer; o++)
			for (int64_t i = 0; i < inner; i++) {
				float *x = p + (o * C + c) * inner + i;
				*x = (float)((double)*x * s);
			}
	}
}

static bool has_row_scales(const ds_tensor *t, int axis)
{
	const ds_qform *q = t->q;
	return q && axis == 0 && q->scheme == DS_Q_SYM && q->row_dims == 1 && (q->gran == DS_Q_ROW || q->gran == DS_Q_TENSOR) && q->scale_dtype == DS_F32;
}

/* The same codes with scales times s: *out, whose form lies in the graph's arena. */
static ds_status fold_scales(ds_graph *g, const ds_tensor *w, const ds_node *bn, double eps, ds_tensor *out, ds_err *err)
{
	ds_qform *q = ds_arena_alloc(&ds_graph_root(g)->arena, 1, sizeof *q);
	ds_qsize old, size;
	if (!q)
		return ds_fail_nomem(err, sizeof *q);
	*q = *w->q;
	q->gran = DS_Q_ROW;
	DS_TRY(ds_qform_size(w->q, w->rank, w->dim, &old, err));
	DS_TRY(ds_qform_size(q, w->rank, w->dim, &size, err));
	ds_buffer *buf = ds_buffer_new((size_t)size.total);
	if (!buf)
		return ds_fail_nomem(err, (size_t)size.total);
	uint8_t *p = ds_buffer_data(buf);
	memcpy(p, w->data, (size_t)DS_MIN(old.code_bytes, size.code_bytes));
	const float *from = (const float *)(const void *)((const uint8_t *)w->data + old.scale_off);
	float *to = (float *)(void *)(p + size.scale_off);
	for (int64_t c = 0; c < size.rows; c++)
		to[c] = (float)((double)from[old.scales > 1 ? c : 0] * factor(bn, eps, c));
	ds_tensor_borrow(out, w->dtype, w->rank, w->dim, p);
	out->buf = buf;
	out->q = q;
	return DS_OK;
}

static ds_status one(ds_graph *g, ds_node *bn, int *applied, ds_buf *log, ds_err *err)
{
	const char *why = "no linear operator before it";
	ds_node *n = bn->in[0]->kind == DS_V_NODE ? bn->in[0]->node : NULL;
	int axis = n ? channel_axis(n, &why) : -1;
	bool params = true;
	for (int i = 1; i <= 4; i++)
		params &= ds_rw_constant(bn->in[i]) && !bn->in[i]->data.q;
	if (axis >= 0 && (ds_value_uses(g, n->out[0]) != 1 || ds_rw_is_output(g, n->out[0]))) {
		axis = -1;
		why = "the value before it is used elsewhere";
	} else if (axis >= 0 && (!params || !ds_rw_constant(n->in[1]) || (n->n_in > 2 && n->in[2] && !ds_rw_constant(n->in[2])))) {
		axis = -1;
		why = "a weight is not constant";
	}
	int64_t C = axis >= 0 ? n->in[1]->data.dim[axis] : 0;
	if (axis >= 0 && (ds_tensor_count(&bn->in[1]->data) != C || (n->n_in > 2 && n->in[2] && ds_tensor_count(&n->in[2]->data) != C))) {
		axis = -1;
		why = "channels do not agree";
	}
	if (axis < 0) {
		ds_rw_log(log, "fold-batchnorm", bn, "kept: %s", why);
		return DS_OK;
	}
	ds_tensor w = { 0 }, b = { 0 };
	ds_status rc = DS_OK;
	char name[300];
	const ds_attr *e = ds_attr_find(bn, "epsilon");
	double eps = e ? e->u.f : 1e-5;
	if (has_row_scales(&n->in[1]->data, axis)) {
		DS_GOTO(fold_scales(g, &n->in[1]->data, bn, eps, &w, err));
	} else {
		DS_GOTO(ds_tensor_to_f32(&n->in[1]->data, &w, err));
		fold(&w, axis, bn, eps);
	}
	if (n->n_in > 2 && n->in[2]) {
		DS_GOTO(ds_tensor_to_f32(&n->in[2]->data, &b, err));
		b.rank = 1;
		b.dim[0] = C;
	} else {
		DS_GOTO(ds_tensor_new(&b, DS_F32, 1, &C, err));
	}
	fold_bias(b.data, C, bn, eps);
	/* The old weight's name goes on with the new one when nobody else reads it. */
	bool own = ds_value_uses(g, n->in[1]) == 1, own_b = n->n_in > 2 && n->in[2] && ds_value_uses(g, n->in[2]) == 1;
	snprintf(name, sizeof name, "%.250s%s", n->in[1]->name, own ? "" : ".folded");
	if (own)
		n->in[1]->name = "";
	ds_value *nw = ds_rw_param(g, name, &w);
	snprintf(name, sizeof name, "%.250s", own_b ? n->in[2]->name : bn->in[2]->name);
	if (own_b)
		n->in[2]->name = "";
	else
		bn->in[2]->name = "";           /* the shift's name: it has become the bias */
	ds_value *nb = nw ? ds_rw_param(g, name, &b) : NULL;
	ds_value **in = ds_arena_alloc(&ds_graph_root(g)->arena, 3, sizeof *in);
	if (!nw || !nb || !in) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	in[0] = n->in[0];
	in[1] = nw;
	in[2] = nb;
	n->in = in;
	n->n_in = 3;
	const char *out_name = n->out[0]->name;
	n->out[0]->name = bn->out[0]->name;     /* the value that readers know */
	bn->out[0]->name = out_name;
	ds_graph_replace(g, bn->out[0], n->out[0]);
	ds_rw_log(log, "fold-batchnorm", bn, "folded into %s", n->name);
	++*applied;
out:
	ds_tensor_done(&w);
	ds_tensor_done(&b);
	return rc;
}

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++)
		if (ds_rw_is(g->node[i], "", "BatchNormalization"))
			DS_TRY(one(g, g->node[i], applied, log, err));
	return DS_OK;
}

const ds_rewrite ds_rewrite_fold_batchnorm = { "fold-batchnorm", true, apply, "fold batch normalisation into the weights before it" };
