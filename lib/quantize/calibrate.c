/* calibrate.c - a whole graph to 8 bits: fold, equalise, observe, fit ranges, round weights, correct biases, place the pairs */
#include "local.h"
#include "../rewrite/rewrite.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- ranges ------------------------------------------------------------------------------------------------------------------- */
/* Points of one group get the range of all their values together; narrower grids that of their own. */
static ds_status fit_all(dsq_places *p, const ds_q8_opts *o, ds_err *err)
{
	ds_observer *all = ds_calloc(1, sizeof(*all));
	if (!all)
		return ds_fail_nomem(err, sizeof(*all));
	for (int i = 0; i < p->n_point; i++) {
		if (p->point[i].group != i)
			continue;
		memset(all, 0, sizeof(*all));
		for (int k = i; k < p->n_point; k++)
			if (p->point[k].group == i)
				ds_observer_merge(all, p->point[k].seen);
		ds_qrule rule = p->point[i].rule ? *p->point[i].rule : o->range;
		rule.bits = p->point[i].bits;
		ds_qparam q = ds_qrange_fit(all, &rule);
		for (int k = i; k < p->n_point; k++)
			if (p->point[k].group == i)
				p->point[k].q = q;
	}
	for (int i = 0; i < p->n_point; i++)
		for (int b = 2; b < p->point[i].bits; b++)
			if (p->point[i].low[b].bits == b) {
				ds_qrule rule = p->point[p->point[i].group].rule ? *p->point[p->point[i].group].rule : o->range;
				rule.bits = b;
				p->point[i].low[b] = ds_qrange_fit(p->point[i].seen, &rule);
			}
	ds_free(all);
	return DS_OK;
}

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */
ds_status dsq_own_f32(const ds_node *n, int slot, int64_t count, ds_tensor *out, ds_err *err)
{
	if (slot < n->n_in && n->in[slot])
		return ds_tensor_to_f32(&n->in[slot]->data, out, err);
	return ds_tensor_new(out, DS_F32, 1, &count, err);
}

ds_status dsq_put_operand(ds_graph *g, ds_node *n, int slot, const char *suffix, ds_tensor *t, ds_err *err)
{
	ds_value *old = slot < n->n_in ? n->in[slot] : NULL;
	if (old && old->name[0] && ds_value_uses(g, old) == 1) {
		ds_tensor_done(&old->data);
		old->data = *t;
		old->type = ds_type_of(t);
		old->kind = DS_V_PARAM;
		*t = (ds_tensor){ 0 };
		return DS_OK;
	}
	char *name = ds_arena_printf(&ds_graph_root(g)->arena, "%.200s%s", n->name, suffix);
	ds_value *v = name ? ds_graph_weight(g, DS_V_PARAM, name, t) : NULL;
	ds_value **in = v ? ds_arena_alloc(&ds_graph_root(g)->arena, (size_t)DS_MAX(n->n_in, slot + 1), sizeof(*in)) : NULL;
	if (!in)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n->n_in; i++)
		in[i] = n->in[i];
	in[slot] = v;
	n->n_in = DS_MAX(n->n_in, slot + 1);
	n->in = in;
	return DS_OK;
}

static bool is_gemm(const ds_node *n)
{
	return strcmp(n->op_name, "Gemm") == 0;
}

ds_status dsq_transpose_gemm(ds_node *n, ds_tensor *w, ds_err *err)
{
	const ds_attr *a = ds_attr_find(n, "transB");
	if (!is_gemm(n) || (a && a->u.i))
		return DS_OK;
	ds_tensor t;
	int64_t rows = w->dim[0], cols = w->dim[1];
	DS_TRY(ds_tensor_new(&t, DS_F32, 2, (int64_t[]){ cols, rows }, err));
	const float *x = w->data;
	float *y = t.data;
	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < cols; c++)
			y[c * rows + r] = x[r * cols + c];
	ds_tensor_done(w);
	*w = t;
	if (ds_attr_i(n, "transB", 1) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_node_parse(n, err);
}

/* b[o] -= sum over c, k of (Wq - W)[o, c, k] E[x_c]: rounding moves the mean of an output by that much (Nagel et al. 2019, 4.2, with measured means). */
static void correct_bias(float *b, const float *w, const float *wq, const ds_tensor *shape, int64_t group, const ds_observer *x)
{
	int64_t rows = shape->dim[0], chans = shape->dim[1], inner = 1, per = rows / group;
	for (int i = 2; i < shape->rank; i++)
		inner *= shape->dim[i];
	if (x->channels != chans * group || !x->per_channel)
		return;
	for (int64_t o = 0; o < rows; o++) {
		double move = 0;
		for (int64_t c = 0; c < chans; c++) {
			double d = 0, mean = ds_qsum_value(&x->sum[o / per * chans + c]) / (double)x->per_channel;
			for (int64_t k = 0; k < inner; k++) {
				int64_t at = (o * chans + c) * inner + k;
				d += (double)wq[at] - (double)w[at];
			}
			move += d * mean;
		}
		b[o] = (float)((double)b[o] - move);
	}
}

static ds_status round_layer(ds_graph *g, ds_node *n, int bits, const ds_q8_opts *o, const ds_observer *x, ds_qlayer *l, ds_err *err)
{
	ds_tensor w = { 0 }, q = { 0 }, wq = { 0 }, b = { 0 };
	ds_qw_opts wo = { .bits = bits, .range = bits < 8 ? DS_RANGE_MSE : o->weight_range };
	ds_qform *form = ds_arena_alloc(&ds_graph_root(g)->arena, 1, sizeof(*form));
	const ds_attr *group = ds_attr_find(n, "group");
	ds_status rc;
	if (!form)
		return ds_fail_nomem(err, sizeof(*form));
	DS_GOTO(dsq_own_f32(n, 1, 0, &w, err));
	DS_GOTO(dsq_transpose_gemm(n, &w, err));
	DS_GOTO(ds_qw_tensor(&w, &wo, &q, form, &l->stat, err));
	if (o->bias_correct && x) {
		DS_GOTO(ds_tensor_to_f32(&q, &wq, err));
		DS_GOTO(dsq_own_f32(n, 2, w.dim[0], &b, err));
		if (ds_tensor_count(&b) == w.dim[0]) {
			correct_bias(b.data, w.data, wq.data, &w, group ? group->u.i : 1, x);
			DS_GOTO(dsq_put_operand(g, n, 2, ".bias", &b, err));
		}
	}
	DS_GOTO(dsq_put_operand(g, n, 1, ".weight", &q, err));
	l->weight = n->in[1]->name;
	l->bits = bits;
out:
	ds_tensor_done(&w);
	ds_tensor_done(&q);
	ds_tensor_done(&wq);
	ds_tensor_done(&b);
	return rc;
}

/* The point behind a layer: its output, or that of the sum and the function fused to it. */
static const dsq_point *point_after(const dsq_places *p, const ds_graph *g, const ds_node *n)
{
	const ds_value *v = n->out[0];
	for (int hop = 0; hop < 3; hop++) {
		if (p->point_of[v->id] >= 0)
			return &p->point[p->point_of[v->id]];
		const ds_node *user = ds_value_only_user(g, v);
		if (!user || (p->role[user->id] != DSQ_ADD && p->role[user->id] != DSQ_ACT))
			break;
		v = user->out[0];
	}
	return NULL;
}

static ds_node *node_named(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_node; i++)
		if (strcmp(g->node[i]->name, name) == 0)
			return g->node[i];
	return NULL;
}

/* Weights of the layers of g, where p was found; with `fake` those of `to`, the graph as it was given. */
static ds_status round_all(dsq_places *p, ds_graph *g, ds_graph *to, const ds_q8_opts *o, ds_qlayer *layer, int *n_layer, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		if (p->role[i] != DSQ_LINEAR)
			continue;
		ds_qlayer *l = &layer[*n_layer];
		const dsq_point *in = &p->point[p->point_of[n->in[0]->id]], *out = point_after(p, g, n);
		const ds_qparam *q = dsq_reads(p, n);
		ds_node *there = to == g ? n : node_named(to, n->name);
		*l = (ds_qlayer){ .in = *q, .clipped = ds_qrange_clipped(in->seen, q) };
		if (out)
			l->out = out->q;
		if (!there)
			return ds_fail(err, DS_E_INTERNAL, "layer \"%.100s\" is gone", n->name);
		l->node = there->name;
		l->op = there->op_name;
		ds_status rc = o->fake ? dsq_fake_weight(to, there, p->bits[i].w, DS_RANGE_MSE, l, err) : round_layer(g, n, p->bits[i].w, o, in->seen, l, err);
		if (rc != DS_OK) {
			ds_err_prefix(err, "layer \"%.100s\"", n->name);
			return rc;
		}
		++*n_layer;
	}
	return DS_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */
static ds_status renew(ds_graph *g, ds_err *err)
{
	if (ds_graph_name_all(g) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_graph_infer(g, err));
	ds_graph_number(g);
	return DS_OK;
}

ds_status dsq_fold(ds_graph *g, ds_buf *log, ds_err *err)
{
	int applied = 0;
	DS_TRY(renew(g, err));          /* names first: they are the same whatever is folded */
	DS_TRY(ds_rewrite_apply(g, "fold-batchnorm", &applied, log, err));
	ds_graph_prune_dead(g);
	return renew(g, err);
}

/* Fold, equalise if asked, choose the activations. */
static ds_status prepare(dsq_places *p, ds_graph *g, const ds_q8_opts *o, const ds_qsamples *samples, ds_err *err)
{
	int sets = 0;
	int64_t count;
	DS_TRY(dsq_fold(g, o->fake ? NULL : o->log, err));      /* fake: of a copy nobody sees */
	DS_TRY(dsq_places_find(p, g, o, err));
	if (!o->equalize || o->fake)
		return DS_OK;
	DS_TRY(dsq_look(p, g, o, DS_QSET_PLAIN, samples, &count, err));
	DS_TRY(dsq_equalize(g, p, &sets, o->log, err));
	dsq_places_done(p);
	DS_TRY(renew(g, err));
	return dsq_places_find(p, g, o, err);
}

/* Ranges, weights and nodes of g, after places were found in `folded`, which is g itself or, with `fake`, a copy of it without batch normalisation. */
static ds_status quantise(dsq_places *p, ds_graph *folded, ds_graph *g, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer *layer,
	int *n_layer, ds_err *err)
{
	ds_graph *before = NULL;
	int64_t count;
	int lowered;
	ds_status rc;
	if (o->local_error && !o->fake && !o->stats && !(before = ds_graph_clone(g)))
		return ds_fail_nomem(err, 0);
	DS_GOTO(dsq_look(p, folded, o, o->equalize && !o->fake ? DS_QSET_EVEN : DS_QSET_PLAIN, samples, &count, err));
	if (o->log)
		ds_buf_printf(o->log, "calibrate\t%" PRId64 " samples, %d activations\n", count, p->n_point);
	DS_GOTO(fit_all(p, o, err));
	DS_GOTO(round_all(p, folded, g, o, layer, n_layer, err));
	if (before)
		DS_GOTO(dsq_local_error(before, g, o, samples, layer, *n_layer, err));
	if (!o->fake)
		DS_GOTO(dsq_round_recurrent(g, o, layer, n_layer, err));
	DS_GOTO(dsq_places_insert(p, folded, g, o->fake, err));
	if (!o->fake)
		DS_GOTO(ds_rewrite_apply(g, "lower-fake-quantize", &lowered, NULL, err));
	ds_graph_prune_dead(g);
	if (ds_graph_name_all(g) != DS_OK) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	rc = ds_graph_verify(g, NULL, err);
out:
	ds_graph_free(before);
	return rc;
}

ds_status ds_q_calibrated(ds_graph *g, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer **layer, int *n_layer, ds_err *err)
{
	dsq_places p = { 0 };
	ds_graph *folded = g, *copy = NULL;
	int recurrent = 0;
	ds_status rc;
	*layer = NULL;
	*n_layer = 0;
	if (o->fake) {
		DS_TRY(renew(g, err));
		if (!(folded = copy = ds_graph_clone(g)))
			return ds_fail_nomem(err, 0);
		DS_GOTO(ds_graph_verify(copy, NULL, err));
	}
	DS_GOTO(prepare(&p, folded, o, samples, err));
	for (int i = 0; i < folded->n_node && !o->fake; i++)
		recurrent += dsq_recurrent(folded->node[i]);
	if (!p.n_point && !recurrent) {
		rc = ds_fail(err, DS_E_INPUT, "no convolution, matrix product or LSTM with constant weights to quantise");
		goto out;
	}
	*layer = ds_calloc((size_t)folded->n_node + 1, sizeof(**layer));
	rc = *layer ? quantise(&p, folded, g, o, samples, *layer, n_layer, err) : ds_fail_nomem(err, 0);
out:
	dsq_places_done(&p);
	ds_graph_free(copy);
	if (rc != DS_OK) {
		ds_free(*layer);
		*layer = NULL;
		*n_layer = 0;
	}
	return rc;
}
