/* equalize.c - cross-layer equalisation of convolutions (Nagel et al. 2019, "Data-Free Quantization through Weight Equalization and Bias Correction", 4.1)
 *
 * relu(s x) = s relu(x) for s > 0, so channel i between two convolutions may be divided by s_i in the first and multiplied in the second.  With
 * s_i = sqrt(r1_i / r2_i), r the largest weight of the channel on either side, both sides end with the range sqrt(r1_i r2_i).  A chain of pairs is gone through
 * until nothing moves.  What it does to 8-bit activations: channels that used a small part of the common range use more of it. */
#include "local.h"

#include <math.h>
#include <string.h>

typedef struct pair { ds_node *a, *act, *b; } pair;

static const ds_attr *group_attr(const ds_node *n)
{
	return ds_attr_find(n, "group");
}

static int64_t groups(const ds_node *n)
{
	return group_attr(n) ? group_attr(n)->u.i : 1;
}

static bool depthwise(const ds_node *n)
{
	return groups(n) > 1 && groups(n) == n->in[1]->type.dim[0];
}

static bool usable(const ds_graph *g, const ds_node *n)
{
	if (n->domain[0] || strcmp(n->op_name, "Conv") != 0)
		return false;
	for (int i = 1; i < n->n_in; i++)
		if (n->in[i] && (!dsq_constant(n->in[i]) || !n->in[i]->data.data || n->in[i]->data.q || n->in[i]->data.dtype != DS_F32 ||
		    ds_value_uses(g, n->in[i]) != 1))
			return false;
	return true;
}

static bool find_pair(ds_graph *g, ds_node *a, pair *p)
{
	double bottom, top;
	if (!usable(g, a) || dsq_is_output(g, a->out[0]))
		return false;
	ds_node *n = ds_value_only_user(g, a->out[0]);
	*p = (pair){ .a = a };
	if (n && dsq_act(n, &bottom, &top)) {
		if (bottom != 0 || dsq_is_output(g, n->out[0]))
			return false;
		p->act = n;
		n = ds_value_only_user(g, n->out[0]);
	}
	p->b = n;
	return n && usable(g, n) && n->in[0] == (p->act ? p->act->out[0] : a->out[0]);
}

/* Weight of b that channel c meets: [first, first + count) rows, column c mod (C / groups), inner elements each. */
typedef struct column { float *w; int64_t first, count, col, cols, inner; } column;

static column column_of(const ds_node *b, int64_t c)
{
	const ds_tensor *w = &b->in[1]->data;
	int64_t per = w->dim[0] / groups(b), inner = 1;
	for (int i = 2; i < w->rank; i++)
		inner *= w->dim[i];
	return (column){ w->data, c / w->dim[1] * per, per, c % w->dim[1], w->dim[1], inner };
}

static double column_max(const column *k)
{
	double m = 0;
	for (int64_t r = k->first; r < k->first + k->count; r++)
		for (int64_t i = 0; i < k->inner; i++)
			m = fmax(m, fabs((double)k->w[(r * k->cols + k->col) * k->inner + i]));
	return m;
}

static void column_scale(const column *k, double s)
{
	for (int64_t r = k->first; r < k->first + k->count; r++)
		for (int64_t i = 0; i < k->inner; i++) {
			float *w = &k->w[(r * k->cols + k->col) * k->inner + i];
			*w = (float)((double)*w * s);
		}
}

/* One round over a pair; the largest |log2 s|. */
static double even_out(const pair *p)
{
	ds_tensor *w = &p->a->in[1]->data;
	float *bias = p->a->n_in > 2 && p->a->in[2] ? p->a->in[2]->data.data : NULL;
	int64_t row = ds_tensor_count(w) / DS_MAX(w->dim[0], 1);
	double moved = 0;
	for (int64_t c = 0; c < w->dim[0]; c++) {
		float *x = (float *)w->data + c * row;
		column k = column_of(p->b, c);
		double r1 = 0, r2 = column_max(&k);
		for (int64_t i = 0; i < row; i++)
			r1 = fmax(r1, fabs((double)x[i]));
		if (!(r1 > 1e-12) || !(r2 > 1e-12))
			continue;
		double s = fmin(fmax(sqrt(r1 / r2), 1e-3), 1e3);
		for (int64_t i = 0; i < row; i++)
			x[i] = (float)((double)x[i] / s);
		if (bias)
			bias[c] = (float)((double)bias[c] / s);
		column_scale(&k, s);
		moved = fmax(moved, fabs(log2(s)));
	}
	return moved;
}

/* Weights may be borrowed from a mapped file or shared with a clone: take copies. */
static ds_status own(ds_value *v, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_tensor_to_f32(&v->data, &t, err));
	ds_tensor_done(&v->data);
	v->data = t;
	return DS_OK;
}

static ds_status own_pair(const pair *p, ds_err *err)
{
	const ds_node *n[2] = { p->a, p->b };
	for (int k = 0; k < 2; k++)
		for (int i = 1; i < n[k]->n_in; i++)
			if (n[k]->in[i])
				DS_TRY(own(n[k]->in[i], err));
	return DS_OK;
}

static ds_status clip_to_relu(ds_graph *g, ds_node *act, ds_buf *log, ds_err *err)
{
	double bottom, top;
	if (!act || !dsq_act(act, &bottom, &top) || strcmp(act->op_name, "Clip") != 0)
		return DS_OK;
	act->op_name = "Relu";
	act->n_in = 1;
	if (log)
		ds_buf_printf(log, "equalize\t%s\tClip to %g became Relu\n", act->name, top);
	(void)g;
	act->op = NULL;
	return ds_node_parse(act, err);
}

enum { ROUNDS = 4 };

ds_status ds_q_equalize(ds_graph *g, bool only_depthwise, int *pairs, ds_buf *log, ds_err *err)
{
	pair *list = ds_calloc((size_t)g->n_node + 1, sizeof(*list));
	ds_status rc = DS_OK;
	int n = 0;
	*pairs = 0;
	if (!list)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++)
		if (find_pair(g, g->node[i], &list[n]) && (!only_depthwise || depthwise(list[n].a) || depthwise(list[n].b)))
			n++;
	for (int i = 0; i < n; i++) {
		DS_GOTO(own_pair(&list[i], err));
		DS_GOTO(clip_to_relu(g, list[i].act, log, err));
	}
	double moved = 1;
	for (int round = 0; round < ROUNDS && moved > 1e-3; round++) {
		moved = 0;
		for (int i = 0; i < n; i++)
			moved = fmax(moved, even_out(&list[i]));
	}
	for (int i = 0; i < n && log; i++)
		ds_buf_printf(log, "equalize\t%s\twith %s\n", list[i].a->name, list[i].b->name);
	*pairs = n;
out:
	ds_free(list);
	return rc;
}
