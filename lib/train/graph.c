/* graph.c - from a model to its training graph
 *
 * The model's graph is cloned, bound to the shapes of a batch and folded; dropout and batch normalisation take their training forms; a trailing Softmax or Sigmoid leaves, because
 * losses work on logits; the head, the backward pass and the outputs follow.  Last, what a step changes becomes an input. */
#include "graph.h"
#include "head.h"
#include "../rewrite/rewrite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct maker {
	ds_tgraph  *t;
	ds_graph   *g;
	const ds_train_opts *o;
	ds_err     *err;
	ds_value   *step;
	int         model_weights;      /* the first of g->weight are the model's, in its order */
	int         model_inputs, model_outputs;
	ds_value  **state_in, **state_out;
	ds_value  **wrt, **grad;
	int         n_wrt, segments;
} maker;

static bool is(const ds_node *n, const char *op) { return n && !n->domain[0] && strcmp(n->op_name, op) == 0; }

static int weight_index(const maker *k, const ds_value *v)
{
	for (int i = 0; v && i < k->model_weights; i++)
		if (k->g->weight[i] == v)
			return i;
	return -1;
}

static bool frozen(const maker *k, const ds_value *v)
{
	return k->o->frozen && k->o->frozen(k->o->frozen_arg, v->name);
}

/* ---- inputs ------------------------------------------------------------------------------------------------------------------------ */
static ds_value *input(maker *k, const char *name, const ds_type *type)
{
	ds_value *v = ds_graph_input(k->g, name, type);
	if (!v)
		(void)ds_fail_nomem(k->err, 0);
	return v;
}

/* Masks of attention and the like are weights too: what holds values that no training made stays. */
static bool tame(const ds_tensor *t)
{
	const float *v = t->data;
	for (int64_t i = 0, n = ds_tensor_count(t); i < n; i++)
		if (!(fabsf(v[i]) < 1e4f))
			return false;
	return true;
}

static bool trainable(const maker *k, const ds_value *v)
{
	return v->kind == DS_V_PARAM && v->data.data && !v->data.q && v->data.dtype == DS_F32 && v->data.rank >= 1 && !frozen(k, v) && tame(&v->data);
}

ds_status ds_train_fold(ds_graph *g, const ds_bound *known, char *moves, ds_err *err)
{
	int nodes = g->n_node;
	for (int i = 0; i < nodes; i++) {
		char any = 0;
		for (int j = 0; j < g->node[i]->n_in; j++) {
			const ds_value *v = g->node[i]->in[j];
			any |= v && v->id < known->n ? moves[v->id] : 0;
		}
		for (int j = 0; j < g->node[i]->n_out; j++) {
			ds_value *v = g->node[i]->out[j];
			if (v->id >= known->n || (moves[v->id] = any && ds_grad_float(v)) || !known->known[v->id].data || !ds_value_uses(g, v))
				continue;
			ds_tensor t = ds_tensor_ref(&known->known[v->id]);
			ds_value *c = ds_graph_weight(g, DS_V_PARAM, "", &t);
			if (!c)
				return ds_fail_nomem(err, 0);
			ds_graph_replace(g, v, c);
		}
	}
	return DS_OK;
}

static ds_status fold(maker *k, const ds_bound *known)
{
	char *moves = ds_calloc((size_t)known->n + 1, 1);
	if (!moves)
		return ds_fail_nomem(k->err, 0);
	for (int i = 0; i < k->model_weights; i++)
		moves[k->g->weight[i]->id] = trainable(k, k->g->weight[i]);
	ds_status rc = ds_train_fold(k->g, known, moves, k->err);
	ds_free(moves);
	return rc;
}

/* ---- training forms ------------------------------------------------------------------------------------------------------------------ */
/* BatchNormalization -> ds.BatchNormTrain, together with a Relu that is its only reader. */
static ds_status train_norm(maker *k, int at)
{
	ds_graph *g = k->g;
	ds_node *n = g->node[at];
	ds_value *y = n->out[0];
	ds_node *user = ds_value_only_user(g, y);
	bool relu = is(user, "Relu");
	ds_node *b = ds_graph_insert(g, at, "ds", "BatchNormTrain", n->name, 5, n->in, 5, NULL);
	if (!b)
		return ds_fail_nomem(k->err, 0);
	const ds_attr *eps = ds_attr_find(n, "epsilon"), *mom = ds_attr_find(n, "momentum");
	if ((eps && ds_attr_f(b, "epsilon", eps->u.f) != DS_OK) || (mom && ds_attr_f(b, "momentum", mom->u.f) != DS_OK) ||
		(relu && ds_attr_i(b, "relu", 1) != DS_OK))
		return ds_fail_nomem(k->err, 0);
	ds_value *last = relu ? user->out[0] : y;
	b->out[0]->name = last->name;                   /* losses may ask for it */
	last->name = "";
	b->out[0]->type = y->type;
	ds_graph_replace(g, last, b->out[0]);
	for (int i = 0; i < 2; i++) {
		int w = weight_index(k, n->in[3 + i]);
		if (w < 0)
			return ds_fail(k->err, DS_E_UNSUPPORTED, "node \"%.100s\": running statistics are computed", ds_node_label(n));
		for (int s = 0; s < k->t->n_state; s++)
			if (k->t->state_of[s] == w)
				return ds_fail(k->err, DS_E_UNSUPPORTED, "node \"%.100s\": running statistics are shared", ds_node_label(n));
		k->t->state_of[k->t->n_state] = w;
		k->state_in[k->t->n_state] = n->in[3 + i];
		k->state_out[k->t->n_state++] = b->out[1 + i];
	}
	int w = weight_index(k, n->in[1]);
	if (w >= 0)
		k->t->norm[w] = 1;
	return DS_OK;
}

static ds_status train_dropout(maker *k, int at)
{
	ds_node *n = k->g->node[at];
	const ds_value *ratio = n->n_in > 1 ? n->in[1] : NULL;
	double p = ratio && ratio->data.data && ds_tensor_count(&ratio->data) == 1 ? ds_tensor_f64(&ratio->data, 0) : .5;
	ds_node *d = ds_graph_insert(k->g, at, "ds", "RandomDrop", n->name, 2, (ds_value *[]){ n->in[0], k->step }, 1, NULL);
	if (!d || ds_attr_f(d, "ratio", p) != DS_OK || ds_attr_i(d, "seed", (int64_t)k->o->seed) != DS_OK || ds_attr_i(d, "node", at) != DS_OK)
		return ds_fail_nomem(k->err, 0);
	ds_graph_replace(k->g, n->out[0], d->out[0]);
	return DS_OK;
}

static ds_status training_forms(maker *k)
{
	for (int i = 0; i < k->g->n_node; i++) {
		const ds_node *n = k->g->node[i];
		if (is(n, "BatchNormalization") && !k->o->freeze_norm) {
			DS_TRY(train_norm(k, i));
			i++;                    /* the old node stands behind the new one and is dead */
		} else if (is(n, "Dropout")) {
			DS_TRY(train_dropout(k, i));
			i++;
		}
	}
	return DS_OK;
}

ds_value *ds_train_logits(ds_value *v)
{
	ds_value *p = v;
	while (p->node && is(p->node, "Identity"))
		p = p->node->in[0];
	return p->node && (is(p->node, "Softmax") || is(p->node, "LogSoftmax") || is(p->node, "Sigmoid")) ? p->node->in[0] : v;
}

/* ---- the head ------------------------------------------------------------------------------------------------------------------------- */
ds_type ds_train_target_type(ds_target kind, bool soft, const ds_type *pred)
{
	ds_type t = *pred;
	if (kind == DS_TARGET_CLASS && !soft) {
		int axis = ds_class_axis(pred);
		for (int i = axis; i + 1 < pred->rank; i++)
			t.dim[i] = t.dim[i + 1];
		t.rank--;
		t.dtype = DS_I64;
	} else if (kind == DS_TARGET_SEQUENCE) {
		t = ds_type_make(DS_I64, 2, (int64_t[]){ pred->dim[0], pred->dim[1] });
	}
	return t;
}

static ds_status infer(maker *k)
{
	DS_TRY(ds_graph_verify(k->g, NULL, k->err));
	return ds_graph_infer(k->g, k->err);
}

static ds_status head(maker *k, ds_value **loss)
{
	ds_graph *g = k->g;
	ds_tgraph *t = k->t;
	ds_status rc = DS_OK;
	const ds_train_opts *o = k->o;
	ds_target kind = o->loss ? o->loss->target : o->head_target;
	ds_value **pred = ds_calloc((size_t)g->n_output + 1, sizeof *pred), **extra = ds_calloc((size_t)o->n_extra + 1, sizeof *extra), *target = NULL;
	ds_emit e = ds_emit_begin(g, k->err);
	if (!pred || !extra) {
		rc = ds_fail_nomem(k->err, 0);
		goto out;
	}
	for (int i = 0; i < k->model_outputs; i++)
		pred[i] = ds_train_logits(g->output[i]);
	t->target = -1;
	if (kind != DS_TARGET_NONE) {
		ds_type tt = ds_train_target_type(kind, o->loss_opts.soft, &pred[0]->type);
		if (!ds_type_concrete(&tt) || tt.rank < 0) {
			rc = ds_fail(k->err, DS_E_INPUT, "output \"%.100s\" has no axis of classes", g->output[0]->name);
			goto out;
		}
		t->target = g->n_input;
		if (!(target = input(k, "ds.target", &tt))) {
			rc = DS_E_NOMEM;
			goto out;
		}
	}
	t->extra = g->n_input;
	for (int i = 0; i < o->n_extra; i++) {
		char name[32];
		snprintf(name, sizeof name, "ds.extra%d", i);
		if (!(extra[i] = input(k, name, &o->extra[i]))) {
			rc = DS_E_NOMEM;
			goto out;
		}
	}
	ds_head h = { &e, g, pred, k->model_outputs, target, extra, o->n_extra };
	DS_GOTO(o->loss ? o->loss->build(&h, &o->loss_opts, loss, k->err) : o->head(o->head_arg, &h, loss, k->err));
	DS_GOTO(ds_emit_end(&e));
	g->n_output = 0;
	t->n_pred = k->model_outputs;
	if (ds_graph_output(g, *loss) != DS_OK)
		rc = ds_fail_nomem(k->err, 0);
	for (int i = 0; rc == DS_OK && i < t->n_pred; i++)
		if (ds_graph_output(g, pred[i]) != DS_OK)
			rc = ds_fail_nomem(k->err, 0);
out:
	ds_free(pred);
	ds_free(extra);
	return rc;
}

/* ---- parameters ------------------------------------------------------------------------------------------------------------------------ */
static ds_status candidates(maker *k)
{
	ds_graph *g = k->g;
	for (int i = 0; i < k->model_weights; i++) {
		ds_value *v = g->weight[i];
		bool state = false;
		for (int s = 0; s < k->t->n_state; s++)
			state |= k->t->state_of[s] == i;
		if (v->kind == DS_V_PARAM && v->data.q && !frozen(k, v))
			return ds_fail(k->err, DS_E_UNSUPPORTED, "weight \"%.100s\" is quantised: integer codes cannot be trained", v->name);
		if (state || !trainable(k, v) || !ds_value_uses(g, v))
			continue;
		k->t->param_of[k->n_wrt] = i;
		k->wrt[k->n_wrt++] = v;
	}
	return k->n_wrt ? DS_OK : ds_fail(k->err, DS_E_INPUT, "the model has no weight to train");
}

/* Parameters that the loss depends on stay in the list. */
static void with_gradient(maker *k)
{
	ds_tgraph *t = k->t;
	for (int i = 0; i < k->n_wrt; i++)
		if (k->grad[i]) {
			k->wrt[t->n_param] = k->wrt[i];
			k->grad[t->n_param] = k->grad[i];
			t->param_of[t->n_param++] = t->param_of[i];
		}
}

/* A weight of the list becomes an input: its data come with each run. */
static ds_status to_input(maker *k, ds_value *v)
{
	ds_graph *g = k->g;
	if (!ds_grow((void **)&g->input, (size_t)g->n_input, &g->cap_input, sizeof *g->input))
		return ds_fail_nomem(k->err, 0);
	int at = 0;
	while (at < g->n_weight && g->weight[at] != v)
		at++;
	if (at == g->n_weight)
		return ds_fail(k->err, DS_E_INTERNAL, "weight \"%.100s\" is gone", v->name);
	v->type = ds_type_of(&v->data);
	ds_tensor_done(&v->data);
	v->kind = DS_V_INPUT;
	memmove(&g->weight[at], &g->weight[at + 1], sizeof *g->weight * (size_t)(g->n_weight - at - 1));
	g->n_weight--;
	g->input[g->n_input++] = v;
	return DS_OK;
}

/* Muon is for matrices inside the network: not for a table that is gathered from, nor for the product that makes an output. */
static void mark_hidden(maker *k)
{
	ds_graph *g = k->g;
	for (int i = 0; i < k->n_wrt; i++) {
		k->t->hidden[i] = k->wrt[i]->data.rank >= 2;
		for (int j = 0; j < g->n_node; j++)
			for (int a = 0; a < g->node[j]->n_in; a++)
				if (g->node[j]->in[a] == k->wrt[i] && (is(g->node[j], "Gather") || is(g->node[j], "Add")))
					k->t->hidden[i] = 0;
	}
	for (int i = 0; i < k->model_outputs; i++) {    /* the product behind an output, through a bias and reshaping */
		const ds_value *v = g->output[1 + i];
		while (v->node && (is(v->node, "Add") || is(v->node, "Reshape") || is(v->node, "Squeeze")))
			v = v->node->in[v->node->in[0]->kind == DS_V_PARAM];
		for (int a = 0; v->node && a < v->node->n_in; a++)
			for (int p = 0; p < k->n_wrt; p++) {
				const ds_value *w = v->node->in[a];
				if (w && w->node && strcmp(w->node->op_name, "FakeQuantize") == 0)
					w = w->node->in[0];
				if (k->wrt[p] == w)
					k->t->hidden[p] = 0;
			}
	}
}

static ds_status make(maker *k, const ds_type *in)
{
	ds_graph *g = k->g;
	ds_tgraph *t = k->t;
	ds_value *loss = NULL;
	ds_bound known;
	ds_status rc;
	DS_TRY(ds_graph_verify(g, NULL, k->err));
	t->n_in = k->model_inputs;
	DS_TRY(ds_graph_bind(g, in, g->n_input, &known, k->err));
	rc = fold(k, &known);
	ds_bound_free(&known);
	DS_TRY(rc);
	ds_type step = ds_type_make(DS_I64, 0, NULL);
	if (!(k->step = ds_graph_input(g, "ds.step", &step)))
		return ds_fail_nomem(k->err, 0);
	g->n_input--;                                   /* takes its place behind target and extra */
	DS_TRY(training_forms(k));
	ds_graph_number(g);
	DS_TRY(head(k, &loss));
	t->step = g->n_input;
	g->input[g->n_input++] = k->step;
	DS_TRY(infer(k));
	if (loss->type.dtype != DS_F32 || ds_type_count(&loss->type) != 1)
		return ds_fail(k->err, DS_E_INTERNAL, "the loss is not one number");
	DS_TRY(candidates(k));
	mark_hidden(k);
	int forward = g->n_node;
	DS_TRY(ds_train_backward(g, loss, k->wrt, k->n_wrt, k->grad, k->err));
	for (int i = 0, to = 0; i < k->n_wrt; i++)      /* follows with_gradient */
		if (k->grad[i])
			t->hidden[to++] = t->hidden[i];
	with_gradient(k);
	for (int i = 0; i < t->n_state; i++)
		if (ds_graph_output(g, k->state_out[i]) != DS_OK)
			return ds_fail_nomem(k->err, 0);
	for (int i = 0; i < t->n_param; i++)
		if (ds_graph_output(g, k->grad[i]) != DS_OK)
			return ds_fail_nomem(k->err, 0);
	DS_TRY(ds_train_recompute(g, forward, k->segments, k->err));
	if (k->o->bf16)
		DS_TRY(ds_train_halve(g, forward, k->err));
	t->param = g->n_input;
	for (int i = 0; i < t->n_param; i++)
		DS_TRY(to_input(k, k->wrt[i]));
	t->state = g->n_input;
	for (int i = 0; i < t->n_state; i++)
		DS_TRY(to_input(k, k->state_in[i]));
	ds_graph_prune_dead(g);
	return ds_graph_verify(g, NULL, k->err);
}

ds_status ds_tgraph_new(ds_tgraph *t, const ds_graph *model, const ds_train_opts *o, const ds_type *in, int segments, ds_err *err)
{
	size_t n = (size_t)model->n_weight + 1;
	ds_status rc = DS_OK;
	*t = (ds_tgraph){ .g = ds_graph_clone(model), .param_of = ds_calloc(n, sizeof(int)), .state_of = ds_calloc(n, sizeof(int)), .norm = ds_calloc(n, 1),
		.hidden = ds_calloc(n, 1) };
	maker k = { .t = t, .g = t->g, .o = o, .err = err, .model_weights = model->n_weight, .model_inputs = model->n_input, .model_outputs = model->n_output, .segments = segments,
		.state_in = ds_calloc(n, sizeof(void *)), .state_out = ds_calloc(n, sizeof(void *)), .wrt = ds_calloc(n, sizeof(void *)),
		.grad = ds_calloc(n, sizeof(void *)) };
	if (!t->g || !t->param_of || !t->state_of || !t->norm || !t->hidden || !k.state_in || !k.state_out || !k.wrt || !k.grad)
		rc = ds_fail_nomem(err, 0);
	else
		rc = make(&k, in);
	ds_free(k.state_in);
	ds_free(k.state_out);
	ds_free(k.wrt);
	ds_free(k.grad);
	if (rc != DS_OK)
		ds_tgraph_done(t);
	return rc;
}

void ds_tgraph_done(ds_tgraph *t)
{
	ds_graph_free(t->g);
	ds_free(t->param_of);
	ds_free(t->state_of);
	ds_free(t->norm);
	ds_free(t->hidden);
	*t = (ds_tgraph){ 0 };
}
