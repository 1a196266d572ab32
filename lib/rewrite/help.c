/* help.c - what several rewrites ask of a graph */
#include "help.h"
#include "../base/str.h"
#include "../kernel/kernel.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool ds_rw_is(const ds_node *n, const char *domain, const char *op)
{
	return n && strcmp(n->op_name, op) == 0 && strcmp(n->domain, domain) == 0;
}

bool ds_rw_constant(const ds_value *v)
{
	return v && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST) && v->data.data;
}

bool ds_rw_scalar(const ds_value *v, double absent, double *out)
{
	if (!v) {
		*out = absent;
		return true;
	}
	if (!ds_rw_constant(v) || v->data.q || ds_tensor_count(&v->data) != 1)
		return false;
	*out = ds_tensor_f64(&v->data, 0);
	return true;
}

bool ds_rw_is_output(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_output; i++)
		if (g->output[i] == v)
			return true;
	return false;
}

void ds_rw_log(ds_buf *log, const char *rewrite, const ds_node *n, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	if (!log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ds_buf_printf(log, "%s\t", rewrite);
	ds_text_quote(log, n->name, strlen(n->name));
	ds_buf_str(log, "\t");
	ds_text_quote(log, text, strlen(text));
	ds_buf_str(log, "\n");
}

ds_value *ds_rw_param(ds_graph *g, const char *name, ds_tensor *t)
{
	char buf[300];
	snprintf(buf, sizeof buf, "%.240s", name);
	for (int k = 1;; k++) {
		bool hit = false;
		for (int i = 0; i < g->n_weight && !hit; i++)
			hit = strcmp(g->weight[i]->name, buf) == 0;
		if (!hit)
			break;
		snprintf(buf, sizeof buf, "%.240s.%d", name, k);
	}
	return ds_graph_weight(g, DS_V_PARAM, buf, t);
}

/* ---- activations --------------------------------------------------------------------------------------------------------------- */
static double attr_f(const ds_node *n, const char *key, double def)
{
	const ds_attr *a = ds_attr_find(n, key);
	return !a ? def : a->type == DS_T_INT ? (double)a->u.i : a->u.f;
}

static bool from_clip(const ds_node *n, ds_rw_act *out)
{
	double lo, hi;
	if (!ds_rw_scalar(n->n_in > 1 ? n->in[1] : NULL, -FLT_MAX, &lo) || !ds_rw_scalar(n->n_in > 2 ? n->in[2] : NULL, FLT_MAX, &hi))
		return false;
	out->act = DS_ACT_CLIP;
	out->a = lo;
	out->b = hi;
	return true;
}

/* Operators of one input that are an activation of the kernels; alpha and beta are the operator's own attributes with ONNX's defaults. */
static const struct { const char *op; int act; double a, b; bool attrs; } rows[] = {
	{ "Relu", DS_ACT_RELU, 0, 0, false },
	{ "LeakyRelu", DS_ACT_LEAKYRELU, 0.01, 0, true },
	{ "Sigmoid", DS_ACT_SIGMOID, 0, 0, false },
	{ "HardSigmoid", DS_ACT_HARDSIGMOID, 0.2, 0.5, true },
	{ "HardSwish", DS_ACT_HARDSWISH, 0, 0, false },
	{ "Tanh", DS_ACT_TANH, 0, 0, false },
	{ "Elu", DS_ACT_ELU, 1, 0, true },
};

/* x * sigmoid(x): x is read by a Sigmoid and a Mul, the Sigmoid by that Mul only. */
static bool from_silu(const ds_graph *g, const ds_value *x, ds_rw_act *out)
{
	ds_node *sig = NULL, *mul = NULL;
	if (ds_value_uses(g, x) != 2)
		return false;
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_in; k++)
			if (g->node[i]->in[k] == x) {
				if (ds_rw_is(g->node[i], "", "Sigmoid"))
					sig = g->node[i];
				else if (ds_rw_is(g->node[i], "", "Mul"))
					mul = g->node[i];
			}
	if (!sig || !mul || (mul->in[0] != sig->out[0] && mul->in[1] != sig->out[0]) || ds_value_uses(g, sig->out[0]) != 1)
		return false;
	*out = (ds_rw_act){ DS_ACT_SILU, 0, 0, mul, sig };
	return true;
}

bool ds_rw_activation(const ds_graph *g, const ds_value *x, ds_rw_act *out)
{
	*out = (ds_rw_act){ .act = DS_ACT_NONE };
	if (ds_rw_is_output(g, x))
		return false;
	ds_node *n = ds_value_only_user(g, x);
	if (!n)
		return from_silu(g, x, out);
	if (ds_rw_is(n, "", "Clip") && n->in[0] == x && from_clip(n, out)) {
		out->node = n;
		return true;
	}
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (ds_rw_is(n, "", rows[i].op)) {
			out->node = n;
			out->act = rows[i].act;
			out->a = rows[i].attrs ? attr_f(n, "alpha", rows[i].a) : rows[i].a;
			out->b = rows[i].attrs ? attr_f(n, "beta", rows[i].b) : rows[i].b;
			return true;
		}
	return false;
}

ds_status ds_rw_set_act(ds_node *n, const ds_rw_act *act)
{
	DS_TRY(ds_attr_s(n, "act", ds_act_names[act->act]));
	DS_TRY(ds_attr_f(n, "act_a", act->a));
	return ds_attr_f(n, "act_b", act->b);
}

/* ---- padding ------------------------------------------------------------------------------------------------------------------- */
bool ds_rw_pads(const ds_node *n, int64_t *pads, int *n_pads, const char **why)
{
	const ds_attr *ap = ds_attr_find(n, "auto_pad"), *p = ds_attr_find(n, "pads"), *st = ds_attr_find(n, "strides"), *di = ds_attr_find(n, "dilations");
	const ds_type *x = &n->in[0]->type, *w = &n->in[1]->type;
	int sp = w->rank - 2;
	*n_pads = 2 * sp;
	memset(pads, 0, sizeof *pads * 2 * DS_MAX_RANK);
	if (!ap || strcmp(ap->u.s, "NOTSET") == 0) {
		for (int i = 0; p && i < p->u.is.n && i < 2 * DS_MAX_RANK; i++)
			pads[i] = p->u.is.v[i];
		return true;
	}
	if (strcmp(ap->u.s, "VALID") == 0)
		return true;
	*why = "SAME padding of an input whose size is open";
	if (x->rank != w->rank)
		return false;
	for (int i = 0; i < sp; i++) {
		int64_t in = x->dim[i + 2], s = st ? st->u.is.v[i] : 1, d = di ? di->u.is.v[i] : 1, k = w->dim[i + 2];
		if (in < 0 || s <= 0)
			return false;
		int64_t out = (in + s - 1) / s, total = DS_MAX((out - 1) * s + (k - 1) * d + 1 - in, 0);
		bool upper = strcmp(ap->u.s, "SAME_UPPER") == 0;
		pads[i] = upper ? total / 2 : total - total / 2;
		pads[i + sp] = total - pads[i];
	}
	return true;
}
