/* lens.c - inner values and gradients: the model's graph, bound to the shapes of a batch, with the backward pass from a chosen element of its output
 *
 * The elements that are explained are picked by an input of weights, so that one graph serves every class: what is differentiated is the sum over the batch of the picked
 * logits, and as items are apart, each item's gradient is that of its own.  Weights are constants here (unlike in training), batch normalisation uses its running
 * statistics, and a rounding to codes passes gradients inside its range (op/ste.h). */
#include "explain_int.h"

#include "../op/fakequant.h"
#include "../train/train.h"

#include <stdio.h>
#include <string.h>

#define LENSES 8                /* that are kept; pictures of ever new sizes must not pile up plans */

void ds_lens_free(ds_lens *l)
{
	if (!l)
		return;
	ds_session_free(l->s);
	ds_graph_free(l->g);
	for (int i = 0; i < l->n; i++)
		ds_free(l->name[i]);
	ds_free(l->name);
	ds_free(l->value_of);
	ds_free(l->value);
	ds_free(l->feed);
	ds_free(l->out);
	ds_tensor_done(&l->pick);
	ds_free(l->in);
	ds_free(l->key);
	ds_free(l);
}

/* ---- straight through quantisation ------------------------------------------------------------------------------------------------ */
static bool is(const ds_node *n, const char *op) { return n && !n->domain[0] && strcmp(n->op_name, op) == 0; }

/* Operators that codes pass through as floats do: none of them computes with the values. */
static bool moves(const ds_node *n)
{
	static const char *const names[] = { "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Concat", "Slice", "Split", "Gather",
		"Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Dropout" };
	for (size_t i = 0; i < DS_COUNTOF(names); i++)
		if (is(n, names[i]))
			return true;
	return false;
}

static ds_status decode_weights(ds_graph *g, ds_err *err)
{
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		ds_tensor t;
		if (!v->data.q || !v->data.data)
			continue;
		DS_TRY(ds_tensor_to_f32(&v->data, &t, err));
		if (v->data.dtype != DS_F32) {          /* codes that stand for halves */
			ds_tensor half;
			ds_status rc = ds_tensor_new(&half, v->data.dtype, t.rank, t.dim, err);
			if (rc == DS_OK)
				rc = ds_convert(half.data, half.dtype, t.data, DS_F32, (size_t)ds_tensor_count(&t), err);
			ds_tensor_done(&t);
			DS_TRY(rc);
			t = half;
		}
		ds_tensor_done(&v->data);
		v->data = t;
	}
	return DS_OK;
}

static bool constant(const ds_value *v) { return v->kind == DS_V_PARAM || v->kind == DS_V_CONST; }

/* The one zero point of all scales; false: they differ or are computed. */
static bool zero_point(const ds_node *q, int32_t *zero, ds_dtype *codes)
{
	const ds_value *z = q->n_in > 2 ? q->in[2] : NULL;
	const ds_qdq_attr *a = q->a;
	*zero = 0;
	*codes = q->out[0]->type.dtype;
	if (a && a->block_size > 0)
		return false;
	if (!z)
		return true;
	if (!constant(z) || !z->data.data || z->data.q)
		return false;
	int64_t n = ds_tensor_count(&z->data);
	for (int64_t i = 0; i < n; i++)
		if (ds_tensor_i64(&z->data, i) != ds_tensor_i64(&z->data, 0))
			return false;
	*zero = n ? (int32_t)ds_tensor_i64(&z->data, 0) : 0;
	return true;
}

/* QuantizeLinear at position `at` -> FakeQuantize: the same grid, kept as floats. */
static ds_status fake(ds_graph *g, int at, ds_err *err)
{
	ds_node *q = g->node[at];
	ds_dtype codes;
	int32_t lo, hi, zero;
	if (!zero_point(q, &zero, &codes) || !ds_qdq_range(codes, &lo, &hi) || !ds_grad_float(q->in[0]))
		return DS_OK;
	ds_node *f = ds_graph_insert(g, at, "ds", "FakeQuantize", "", 2, q->in, 1, NULL);
	const ds_attr *axis = ds_attr_find(q, "axis");
	if (!f || (axis && ds_attr_i(f, "axis", axis->u.i) != DS_OK) || ds_attr_i(f, "q_min", lo - zero) != DS_OK || ds_attr_i(f, "q_max", hi - zero) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(f, err));
	ds_graph_replace(g, q->out[0], f->out[0]);
	return DS_OK;
}

ds_status ds_explain_straight(ds_graph *g, ds_err *err)
{
	bool any = false;
	DS_TRY(decode_weights(g, err));
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		if (is(n, "QuantizeLinear") && !constant(n->in[0])) {
			int before = g->n_node;
			DS_TRY(fake(g, i, err));
			any |= g->n_node != before;
			i += g->n_node - before;
		}
	}
	if (!any)
		return DS_OK;
	ds_graph_number(g);
	char *floats = ds_calloc((size_t)ds_graph_values(g) + 1, 1);    /* by value: codes once, floats now */
	if (!floats)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		bool in = n->n_in > 0 && n->in[0] && floats[n->in[0]->id];
		if (strcmp(n->op_name, "FakeQuantize") == 0)
			floats[n->out[0]->id] = 1;
		else if (is(n, "DequantizeLinear") && in) {
			if (!n->in[0]->name[0]) {               /* it is known by the name of the values, not of the codes */
				n->in[0]->name = n->out[0]->name;
				n->out[0]->name = "";
			}
			ds_graph_replace(g, n->out[0], n->in[0]);
		}
		else if (in && moves(n))
			for (int k = 0; k < n->n_out; k++)
				floats[n->out[k]->id] = 1;
	}
	ds_free(floats);
	ds_graph_prune_dead(g);
	return DS_OK;
}

/* ---- making one ----------------------------------------------------------------------------------------------------------------------- */
typedef struct maker {
	ds_explainer *x;
	ds_lens      *l;
	ds_graph     *g;
	const ds_lens_opts *o;
	ds_value     *watch[DS_LENS_MAX], *grad[DS_LENS_MAX];
	int           n, asked;         /* asked: without what a backward pass of its own adds */
	ds_err       *err;
} maker;

static ds_status output(maker *k, ds_value *v, int *index)
{
	*index = k->g->n_output;
	return ds_graph_output(k->g, v) == DS_OK ? DS_OK : ds_fail_nomem(k->err, 0);
}

/* Bound to the batch, known values constant, weights decoded, quantisation straight through, everything named. */
static ds_status prepare(maker *k, const ds_type *in)
{
	ds_graph *g = k->g;
	ds_bound known;
	DS_TRY(ds_graph_verify(g, NULL, k->err));
	DS_TRY(ds_graph_infer(g, k->err));
	DS_TRY(ds_explain_straight(g, k->err));
	DS_TRY(ds_graph_verify(g, NULL, k->err));
	DS_TRY(ds_graph_bind(g, in, g->n_input, &known, k->err));
	char *fixed = ds_calloc((size_t)known.n + 1, 1);
	ds_status rc = fixed ? ds_train_fold(g, &known, fixed, k->err) : ds_fail_nomem(k->err, 0);
	ds_free(fixed);
	ds_bound_free(&known);
	DS_TRY(rc);
	ds_graph_prune_dead(g);
	return ds_graph_name_all(g) == DS_OK ? DS_OK : ds_fail_nomem(k->err, 0);
}

/* The sum of what is picked. */
static ds_status picked(maker *k, ds_value **loss, ds_value **out, ds_value **weights)
{
	ds_graph *g = k->g;
	ds_value *y = g->output[0];
	ds_type t = y->type;
	t.dtype = DS_F32;
	ds_value *pick = ds_graph_input(g, "ds.pick", &t);
	if (!pick)
		return ds_fail_nomem(k->err, 0);
	DS_TRY(ds_tensor_new(&k->l->pick, DS_F32, t.rank, t.dim, k->err));
	ds_emit e = ds_emit_begin(g, k->err);
	if (y->type.dtype != DS_F32) {
		y = ds_emit1(&e, "Cast", y);
		ds_emit_i(&e, y, "to", 1);
	}
	*out = y;
	*weights = pick;
	*loss = ds_emit1(&e, "ReduceSum", ds_emit2(&e, "Mul", y, pick));
	ds_emit_i(&e, *loss, "keepdims", 0);
	return ds_emit_end(&e);
}

static ds_status differentiate(maker *k)
{
	ds_graph *g = k->g;
	ds_value *loss = NULL, *y, *pick;
	DS_TRY(picked(k, &loss, &y, &pick));
	DS_TRY(ds_graph_verify(g, NULL, k->err));
	DS_TRY(ds_graph_infer(g, k->err));
	if (k->o->backward)
		return k->o->backward(k->o->arg, g, y, pick, k->watch, DS_LENS_MAX, &k->n, k->grad, k->err);
	return ds_train_backward(g, loss, k->watch, k->n, k->grad, k->err);
}

static ds_status outputs(maker *k)
{
	ds_lens *l = k->l;
	l->name = ds_calloc((size_t)k->n + 1, sizeof *l->name);
	l->value_of = ds_calloc(2 * (size_t)k->n + 1, sizeof *l->value_of);
	l->value = ds_calloc(2 * (size_t)k->n + 1, sizeof *l->value);
	if (!l->name || !l->value_of || !l->value)
		return ds_fail_nomem(k->err, 0);
	l->grad_of = l->value_of + k->n;
	l->grad = l->value + k->n;
	for (int i = 0; i < k->n; i++, l->n++) {
		ds_value *v = k->watch[i];
		l->value_of[i] = l->grad_of[i] = -1;
		if (!(l->name[i] = ds_strdup(v->name)))
			return ds_fail_nomem(k->err, 0);
		if (v->kind == DS_V_NODE)
			DS_TRY(output(k, v, &l->value_of[i]));
		else if (v != k->g->input[l->explained])
			return ds_fail(k->err, DS_E_INPUT, "value \"%.100s\" does not depend on the input", v->name);
		if (k->grad[i])
			DS_TRY(output(k, k->grad[i], &l->grad_of[i]));
		else if (l->gradient && i < k->asked)   /* every node that is left leads to the output */
			return ds_fail(k->err, DS_E_UNSUPPORTED, "no gradient reaches value \"%.100s\": integers are computed with behind it", v->name);
	}
	return DS_OK;
}

static ds_status make(maker *k, const ds_type *in)
{
	ds_explainer *x = k->x;
	ds_lens *l = k->l;
	ds_graph *g = k->g;
	DS_TRY(prepare(k, in));
	if (k->o->edit) {
		DS_TRY(k->o->edit(k->o->arg, g, k->err));
		DS_TRY(ds_graph_verify(g, NULL, k->err));
		DS_TRY(ds_graph_infer(g, k->err));
		if (ds_graph_name_all(g) != DS_OK)
			return ds_fail_nomem(k->err, 0);
	}
	if (k->o->watch)
		DS_TRY(k->o->watch(k->o->arg, g, k->watch, DS_LENS_MAX, &k->n, k->err));
	else
		k->watch[k->n++] = g->input[l->explained];
	k->asked = k->n;
	if (l->gradient)
		DS_TRY(differentiate(k));
	l->batch = x->can_batch ? in[x->input].dim[0] : 1;
	l->elements = ds_type_count(&g->output[0]->type) / DS_MAX(l->batch, 1);
	DS_TRY(outputs(k));
	ds_graph_prune_dead(g);
	DS_TRY(ds_graph_verify(g, NULL, k->err));
	l->feed = ds_calloc((size_t)g->n_input, sizeof *l->feed);
	l->out = ds_calloc((size_t)g->n_output, sizeof *l->out);
	if (!l->feed || !l->out)
		return ds_fail_nomem(k->err, 0);
	ds_session_opts so = { .threads = x->o.threads, .memory_limit = x->o.memory_limit };
	return ds_session_new_opts(&l->s, g, &so, k->err);
}

static bool same_types(const ds_type *a, const ds_type *b, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].dtype != b[i].dtype || !ds_type_same_dims(&a[i], &b[i]))
			return false;
	return true;
}

static ds_lens *kept(ds_explainer *x, const char *key, const ds_type *in)
{
	for (ds_lens **at = &x->lens; *at; at = &(*at)->next) {
		ds_lens *l = *at;
		if (strcmp(l->key, key) != 0 || !same_types(l->in, in, l->n_in))
			continue;
		*at = l->next;                          /* to the front */
		l->next = x->lens;
		x->lens = l;
		return l;
	}
	return NULL;
}

static void keep(ds_explainer *x, ds_lens *l)
{
	int n = 0;
	l->next = x->lens;
	x->lens = l;
	for (ds_lens **at = &x->lens; *at; at = &(*at)->next)
		if (++n > LENSES) {
			ds_lens_free(*at);              /* the one that was not used for longest */
			*at = NULL;
			break;
		}
}

ds_status ds_explain_lens(ds_explainer *x, const char *key, const ds_type *in, const ds_lens_opts *o, ds_lens **out, ds_err *err)
{
	*out = kept(x, key, in);
	if (*out)
		return DS_OK;
	ds_lens *l = ds_calloc(1, sizeof *l);
	maker *k = ds_calloc(1, sizeof *k);
	ds_status rc = DS_E_NOMEM;
	if (l) {
		l->n_in = x->g->n_input;
		l->explained = x->input;
		l->gradient = !o->no_gradient;
		l->key = ds_strdup(key);
		l->in = ds_calloc((size_t)l->n_in, sizeof *l->in);
		l->g = ds_graph_clone(x->g);
	}
	if (!l || !k || !l->key || !l->in || !l->g) {
		(void)ds_fail_nomem(err, sizeof *l);
	} else {
		memcpy(l->in, in, (size_t)l->n_in * sizeof *in);
		*k = (maker){ .x = x, .l = l, .g = l->g, .o = o, .err = err };
		rc = make(k, in);
	}
	ds_free(k);
	if (rc != DS_OK) {
		ds_lens_free(l);
		return rc;
	}
	keep(x, l);
	*out = l;
	return DS_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_lens_run(ds_lens *l, const ds_tensor *in, const int64_t *target, float *logit, ds_err *err)
{
	const ds_graph *g = l->g;
	for (int i = 0; i < l->n_in; i++)
		l->feed[i] = in[i];
	if (l->gradient) {
		float *p = l->pick.data;
		memset(p, 0, ds_tensor_bytes(&l->pick));
		for (int64_t i = 0; i < l->batch; i++) {
			if (target[i] < 0 || target[i] >= l->elements)
				return ds_fail(err, DS_E_INTERNAL, "target %lld of an output of %lld elements", (long long)target[i], (long long)l->elements);
			p[i * l->elements + target[i]] = 1;
		}
		l->feed[l->n_in] = l->pick;
	}
	DS_TRY(ds_session_run_view(l->s, l->feed, g->n_input, l->out, g->n_output, err));
	for (int i = 0; i < l->n; i++) {
		l->value[i] = l->value_of[i] < 0 ? in[l->explained] : l->out[l->value_of[i]];
		if (l->grad_of[i] >= 0)
			l->grad[i] = l->out[l->grad_of[i]];
	}
	if (logit) {
		ds_tensor f;
		DS_TRY(ds_tensor_to_f32(&l->out[0], &f, err));
		memcpy(logit, f.data, ds_tensor_bytes(&f));
		ds_tensor_done(&f);
	}
	return DS_OK;
}

int ds_lens_count(const ds_lens *l) { return l->n; }
const char *ds_lens_name(const ds_lens *l, int i) { return l->name[i]; }
const ds_tensor *ds_lens_value(const ds_lens *l, int i) { return &l->value[i]; }
const ds_tensor *ds_lens_gradient(const ds_lens *l, int i) { return &l->grad[i]; }

/* ---- gradients of the input ---------------------------------------------------------------------------------------------------------------- */
static ds_status gradients(ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, int64_t some, int64_t target, ds_tensor *in, float *grad,
	double *score, ds_err *err)
{
	static const ds_lens_opts o = { 0 };
	ds_type type[64];
	int64_t at[DS_EXPLAIN_BATCH], count = ds_tensor_count(&it->in[x->input]);
	ds_lens *l;
	ds_tensor f;
	if (it->n_in > (int)DS_COUNTOF(type) || some > (int64_t)DS_COUNTOF(at))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model of %d inputs, or %lld items together", it->n_in, (long long)some);
	DS_TRY(ds_explain_join(x, it, rows, n, some, in, err));
	for (int i = 0; i < it->n_in; i++)
		type[i] = ds_type_of(&in[i]);
	for (int64_t i = 0; i < some; i++)
		at[i] = target;
	DS_TRY(ds_explain_lens(x, "input", type, &o, &l, err));
	float *logit = ds_calloc((size_t)(l->elements * l->batch), sizeof *logit);
	if (!logit)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_lens_run(l, in, at, logit, err);
	if (rc == DS_OK)
		rc = ds_tensor_to_f32(ds_lens_gradient(l, 0), &f, err);
	if (rc == DS_OK) {
		memcpy(grad, f.data, (size_t)(n * count) * sizeof *grad);
		ds_tensor_done(&f);
		for (int64_t i = 0; score && i < n; i++)
			score[i] = (double)logit[i * l->elements + target];
	}
	ds_free(logit);
	return rc;
}

ds_status ds_explain_gradients(ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, int64_t target, float *grad, double *score, ds_err *err)
{
	int64_t batch = DS_MIN(ds_explain_batch(x, it), n), count = ds_tensor_count(&it->in[x->input]);
	ds_tensor *in = ds_calloc((size_t)it->n_in, sizeof *in);
	ds_status rc = in ? DS_OK : ds_fail_nomem(err, sizeof *in);
	if (rc == DS_OK && !ds_dtype_of(it->in[x->input].dtype)->is_float)
		rc = ds_fail(err, DS_E_UNSUPPORTED, "input \"%.100s\" holds %s: gradients need numbers", ds_model_input_name(x->m, x->input),
			ds_dtype_name(it->in[x->input].dtype));
	for (int64_t i = 0; rc == DS_OK && i < n; i += batch) {
		int64_t some = DS_MIN(batch, n - i);
		/* the last of many is filled up: one plan is enough */
		rc = gradients(x, it, rows + i * count, some, batch, target, in, grad + i * count, score ? score + i : NULL, err);
		for (int k = 0; k < it->n_in; k++)
			ds_tensor_done(&in[k]);
	}
	ds_free(in);
	return rc;
}
