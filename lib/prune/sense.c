/* sense.c - how the loss depends on channels: a graph with gradients of gates or weights, reduced to one number per channel before it leaves
 *
 * A gate z on a channel multiplies what its consumers read; z = 0 is the channel taken out.  d loss / d z at z = 1 is the sum over positions of value * gradient, over
 * all edges where the channel goes into a sum over channels (a convolution, a matrix product).  On the consumers' side it carries signal where the producer's weights carry
 * none: scaling a filter in front of a batch normalisation with batch statistics changes nothing.  Batch normalisation is in inference form here.  The way of a recurrent
 * state back into its own layer is no edge. */
#include "sense.h"

#include <string.h>

/* ---- where -------------------------------------------------------------------------------------------------------------------------- */
/* Classes by (value, axis, index). */
static ds_status map_classes(ds_sense *s, const ds_graph *g, ds_err *err)
{
	const ds_structure *st = s->s;
	const ds_type **type = ds_calloc((size_t)st->known.n + 1, sizeof *type);
	s->cls = ds_calloc((size_t)st->known.n * DS_MAX_RANK + 1, sizeof *s->cls);
	if (!type || !s->cls) {
		ds_free(type);
		return ds_fail_nomem(err, 0);
	}
	for (int i = 0; i < g->n_input; i++)
		type[g->input[i]->id] = &g->input[i]->type;
	for (int i = 0; i < g->n_weight; i++)
		type[g->weight[i]->id] = &g->weight[i]->type;
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			type[g->node[i]->out[k]->id] = &g->node[i]->out[k]->type;
	ds_status rc = DS_OK;
	for (int i = 0; i < st->n_cls && rc == DS_OK; i++)
		for (int k = 0; k < st->cls[i].n; k++) {
			const ds_pelem *e = &st->elem[st->cls[i].first + k];
			int **c = &s->cls[e->value * DS_MAX_RANK + e->axis];
			int64_t extent = type[e->value]->dim[e->axis];
			if (!*c) {
				*c = ds_arena_alloc(&s->arena, (size_t)extent, sizeof **c);
				for (int64_t p = 0; *c && p < extent; p++)
					(*c)[p] = -1;
			}
			if (!*c) {
				rc = ds_fail_nomem(err, 0);
				break;
			}
			(*c)[e->index] = i;
		}
	ds_free(type);
	return rc;
}

static ds_status add_place(ds_sense *s, ds_sense_at at, ds_err *err)
{
	if (!ds_grow((void **)&s->at, (size_t)s->n_at, &s->cap_at, sizeof *s->at))
		return ds_fail_nomem(err, 0);
	at.out = -1;
	s->at[s->n_at++] = at;
	return DS_OK;
}

static bool folded(const ds_structure *st, const ds_node *n)
{
	for (int i = 0; i < n->n_out; i++)
		if (!st->known.known[n->out[i]->id].data)
			return false;
	return true;
}

/* Input k of node i: the classes on its axes that none of the node's outputs has.  A product of two activations sums over a class once: `took` says by which input. */
static ds_status edges_of(ds_sense *s, int i, int k, const int *stays, int64_t *took, ds_err *err)
{
	const ds_node *n = s->s->g->node[i];
	const ds_value *v = n->in[k];
	int64_t here = (int64_t)(i + 1) << 32;
	for (int a = 0; a < v->type.rank; a++) {
		const int *c = s->cls[v->id * DS_MAX_RANK + a];
		bool any = false;
		for (int64_t p = 0; c && p < v->type.dim[a]; p++)
			any |= c[p] >= 0 && stays[c[p]] != i + 1;
		if (!any)
			continue;
		int *own = ds_arena_alloc(&s->arena, (size_t)v->type.dim[a], sizeof *own);
		if (!own)
			return ds_fail_nomem(err, 0);
		for (int64_t p = 0; p < v->type.dim[a]; p++) {
			bool other = c[p] >= 0 && took[c[p]] >= here && took[c[p]] != here + k;
			own[p] = c[p] >= 0 && stays[c[p]] != i + 1 && !other ? c[p] : -1;
			if (own[p] >= 0)
				took[own[p]] = here + k;
		}
		DS_TRY(add_place(s, (ds_sense_at){ .node = i, .slot = k, .axis = a, .extent = v->type.dim[a], .cls = own }, err));
	}
	return DS_OK;
}

static ds_status find_edges(ds_sense *s, ds_err *err)
{
	const ds_graph *g = s->s->g;
	ds_status rc = DS_OK;
	int *stays = ds_calloc((size_t)s->s->n_cls + 1, sizeof *stays);
	int64_t *took = ds_calloc((size_t)s->s->n_cls + 1, sizeof *took);
	if (!stays || !took) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		if (folded(s->s, n) || (n->op->flags & DS_OP_SHAPE_ONLY))
			continue;
		for (int k = 0; k < n->n_out; k++)
			for (int a = 0; a < n->out[k]->type.rank; a++) {
				const int *c = s->cls[n->out[k]->id * DS_MAX_RANK + a];
				for (int64_t p = 0; c && p < n->out[k]->type.dim[a]; p++)
					if (c[p] >= 0)
						stays[c[p]] = i + 1;
			}
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] && !s->s->known.known[n->in[k]->id].data)
				DS_GOTO(edges_of(s, i, k, stays, took, err));
	}
out:
	ds_free(stays);
	ds_free(took);
	return rc;
}

/* Statistics of batch normalisations are no weights. */
static bool is_statistic(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 3; k < g->node[i]->n_in && k < 5; k++)
			if (g->node[i]->in[k] == v && strcmp(g->node[i]->op_name, "BatchNormalization") == 0)
				return true;
	return false;
}

static ds_status find_weights(ds_sense *s, ds_err *err)
{
	const ds_graph *g = s->s->g;
	for (int i = 0; i < g->n_weight; i++) {
		const ds_value *v = g->weight[i];
		if (!ds_grad_float(v) || v->data.q || is_statistic(g, v))
			continue;
		for (int a = 0; a < v->type.rank; a++) {
			const int *c = s->cls[v->id * DS_MAX_RANK + a];
			if (c)
				DS_TRY(add_place(s, (ds_sense_at){ .node = -1, .slot = i, .axis = a, .extent = v->type.dim[a], .cls = c }, err));
		}
	}
	return DS_OK;
}

/* ---- the graph ------------------------------------------------------------------------------------------------------------------------ */
typedef struct builder {
	ds_sense  *s;
	ds_graph  *g;
	ds_err    *err;
	ds_value **wrt, **grad, **product;
	int        n_wrt;
} builder;

static int wrt_of(builder *b, ds_value *v)
{
	for (int i = 0; i < b->n_wrt; i++)
		if (b->wrt[i] == v)
			return i;
	b->wrt[b->n_wrt] = v;
	return b->n_wrt++;
}

/* The values that gradients are taken of.  An edge out of a value with several readers becomes a value of its own; positions change, so from the last edge to the first. */
static ds_status choose_values(builder *b)
{
	ds_graph *g = b->g;
	for (int i = b->s->n_at - 1; i >= 0; i--) {
		ds_sense_at *at = &b->s->at[i];
		if (at->node < 0) {
			at->wrt = wrt_of(b, g->weight[at->slot]);
			continue;
		}
		ds_node *n = g->node[at->node];
		ds_value *v = n->in[at->slot];
		bool done = i + 1 < b->s->n_at && at[1].node == at->node && at[1].slot == at->slot;
		if (!done && ds_value_uses(g, v) > 1) {
			ds_node *id = ds_graph_insert(g, at->node, "", "Identity", "", 1, &v, 1, NULL);
			if (!id)
				return ds_fail_nomem(b->err, 0);
			id->out[0]->type = v->type;
			n->in[at->slot] = id->out[0];
		}
		at->wrt = done ? at[1].wrt : wrt_of(b, n->in[at->slot]);
	}
	return DS_OK;
}

/* Target and loss; the only output is the loss. */
static ds_status head(builder *b, ds_value **loss)
{
	ds_graph *g = b->g;
	const ds_criterion_opts *o = b->s->o;
	ds_value **pred = ds_calloc((size_t)g->n_output + 1, sizeof *pred), *target = NULL;
	ds_emit e = ds_emit_begin(g, b->err);
	ds_status rc = DS_OK;
	if (!pred)
		return ds_fail_nomem(b->err, 0);
	for (int i = 0; i < g->n_output; i++)
		pred[i] = ds_train_logits(g->output[i]);
	if (o->loss->target != DS_TARGET_NONE) {
		ds_type t = ds_train_target_type(o->loss->target, o->loss_opts.soft, &pred[0]->type);
		if (t.rank < 0 || !ds_type_concrete(&t)) {
			rc = ds_fail(b->err, DS_E_INPUT, "output \"%.100s\" has no axis of classes", g->output[0]->name);
			goto out;
		}
		if (!(target = ds_graph_input(g, "ds.target", &t))) {
			rc = ds_fail_nomem(b->err, 0);
			goto out;
		}
		b->s->n_target = 1;
	}
	ds_head h = { .e = &e, .g = g, .pred = pred, .n_pred = g->n_output, .target = target };
	DS_GOTO(o->loss->build(&h, &o->loss_opts, loss, b->err));
	DS_GOTO(ds_emit_end(&e));
	g->n_output = 0;
	if (ds_graph_output(g, *loss) != DS_OK)
		rc = ds_fail_nomem(b->err, 0);
out:
	ds_free(pred);
	return rc;
}

/* One number per channel (and item) out of value * gradient. */
static ds_value *reduced(builder *b, ds_emit *e, const ds_sense_at *at)
{
	ds_value *v = b->wrt[at->wrt], *p = b->product[at->wrt];
	ds_type t = v->type;
	int axis = at->axis, n = 0;
	int64_t axes[DS_MAX_RANK];
	if (!p) {
		p = ds_emit2(e, "Mul", v, b->grad[at->wrt]);
		if (b->s->weights)
			p = ds_emit1(e, "Abs", p);
		if (t.dtype != DS_F32) {
			p = ds_emit1(e, "Cast", p);
			ds_emit_i(e, p, "to", ds_dtype_of(DS_F32)->onnx);
		}
		b->product[at->wrt] = p;
	}
	bool items = at->node >= 0 && b->s->items > 1;
	if (items && t.dim[0] != b->s->items) {         /* dim 0 holds items and positions */
		memmove(t.dim + 2, t.dim + 1, sizeof *t.dim * (size_t)(t.rank - 1));
		t.dim[1] = t.dim[0] / b->s->items;
		t.dim[0] = b->s->items;
		t.rank++;
		axis++;
		p = ds_emit_reshape(e, p, &t);
	}
	for (int i = items; i < t.rank; i++)
		if (i != axis)
			axes[n++] = i;
	return n ? ds_emit_reduce(e, "ReduceSum", p, n, axes, false) : p;
}

/* Do items of the batch stand one after another along dim 0 of the value, as they do in the structure's twin, which has one item? */
static bool items_lead(const ds_type *one, const ds_type *t, int64_t items)
{
	if (one->rank != t->rank || t->rank < 1)
		return false;
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != one->dim[i] * (i ? 1 : items))
			return false;
	return true;
}

static ds_status outputs(builder *b)
{
	ds_sense *s = b->s;
	ds_emit e = ds_emit_begin(b->g, b->err);
	for (int i = 0; i < s->n_at; i++) {
		ds_sense_at *at = &s->at[i];
		const ds_type *t = &b->wrt[at->wrt]->type;
		if (!b->grad[at->wrt])
			continue;
		if (at->axis >= t->rank || t->dim[at->axis] != at->extent)
			return ds_fail(b->err, DS_E_UNSUPPORTED, "the channels of the samples' shapes are not those of the model's");
		if (at->node >= 0 && s->items > 1 && (at->axis == 0 || t->dim[0] % s->items != 0 || t->rank == DS_MAX_RANK))
			return ds_fail(b->err, DS_E_UNSUPPORTED, "samples do not stay apart inside the model");
		ds_value *r = reduced(b, &e, at);
		DS_TRY(ds_emit_end(&e));
		if (ds_graph_output(b->g, r) != DS_OK)
			return ds_fail_nomem(b->err, 0);
		at->out = b->g->n_output - 1;
	}
	return DS_OK;
}

static ds_status fold(builder *b, const ds_bound *known)
{
	char *moves = ds_calloc((size_t)known->n + 1, 1);
	if (!moves)
		return ds_fail_nomem(b->err, 0);
	for (int i = 0; i < b->g->n_weight && b->s->weights; i++)
		moves[b->g->weight[i]->id] = ds_grad_float(b->g->weight[i]) && b->g->weight[i]->type.rank > 0;
	ds_status rc = ds_train_fold(b->g, known, moves, b->err);
	ds_free(moves);
	return rc;
}

static ds_status make(builder *b, const ds_type *in, int n_in)
{
	ds_graph *g = b->g;
	ds_value *loss = NULL;
	ds_bound known;
	DS_TRY(ds_graph_verify(g, NULL, b->err));
	DS_TRY(ds_graph_bind(g, in, n_in, &known, b->err));
	ds_status rc = fold(b, &known);
	ds_bound_free(&known);
	DS_TRY(rc);
	DS_TRY(choose_values(b));
	DS_TRY(head(b, &loss));
	DS_TRY(ds_graph_verify(g, NULL, b->err));
	DS_TRY(ds_graph_infer(g, b->err));
	DS_TRY(ds_train_backward(g, loss, b->wrt, b->n_wrt, b->grad, b->err));
	DS_TRY(outputs(b));
	ds_graph_prune_dead(g);
	return ds_graph_verify(g, NULL, b->err);
}

static ds_status build(ds_sense *s, const ds_type *in, int n_in, ds_err *err)
{
	size_t n = (size_t)s->n_at + 1;
	builder b = { .s = s, .g = ds_graph_clone(s->m->graph), .err = err, .wrt = ds_calloc(n, sizeof(void *)), .grad = ds_calloc(n, sizeof(void *)),
		.product = ds_calloc(n, sizeof(void *)) };
	s->g = b.g;
	ds_status rc = b.g && b.wrt && b.grad && b.product ? make(&b, in, n_in) : ds_fail_nomem(err, 0);
	ds_free(b.wrt);
	ds_free(b.grad);
	ds_free(b.product);
	DS_TRY(rc);
	s->feed = ds_calloc((size_t)b.g->n_input + 1, sizeof *s->feed);
	s->out = ds_calloc((size_t)b.g->n_output + 1, sizeof *s->out);
	if (!s->feed || !s->out)
		return ds_fail_nomem(err, 0);
	return ds_session_new_opts(&s->session, b.g, &(ds_session_opts){ .threads = s->o->threads, .no_rewrite = true, .memory_limit = s->o->memory_limit }, err);
}

/* ---- one batch ------------------------------------------------------------------------------------------------------------------------ */
ds_status ds_sense_new(ds_sense *s, ds_structure *st, const ds_model *m, bool weights, const ds_criterion_opts *o, ds_err *err)
{
	*s = (ds_sense){ .s = st, .m = m, .weights = weights, .o = o };
	ds_arena_init(&s->arena);
	ds_status rc = map_classes(s, st->g, err);
	if (rc == DS_OK)
		rc = weights ? find_weights(s, err) : find_edges(s, err);
	if (rc != DS_OK)
		ds_sense_done(s);
	return rc;
}

void ds_sense_done(ds_sense *s)
{
	ds_session_free(s->session);
	ds_graph_free(s->g);
	ds_arena_done(&s->arena);
	ds_free(s->at);
	ds_free(s->cls);
	ds_free(s->feed);
	ds_free(s->out);
	*s = (ds_sense){ 0 };
}

ds_status ds_sense_run(ds_sense *s, const ds_tensor *in, int n_in, const ds_tensor *target, ds_err *err)
{
	if (!s->session) {
		ds_type *t = ds_calloc((size_t)n_in + 1, sizeof *t);
		if (!t)
			return ds_fail_nomem(err, 0);
		for (int i = 0; i < n_in; i++)
			t[i] = ds_type_of(&in[i]);
		s->items = n_in && s->m->graph->input[0]->type.dim[0] < 0 && in[0].rank ? in[0].dim[0] : 1;
		ds_status rc = build(s, t, n_in, err);
		ds_free(t);
		DS_TRY(rc);
	}
	for (int i = 0; i < n_in; i++)
		s->feed[i] = in[i];
	if (s->n_target && !target)
		return ds_fail(err, DS_E_INPUT, "samples without a target");
	if (s->n_target)
		s->feed[n_in] = *target;
	return ds_session_run_view(s->session, s->feed, s->g->n_input, s->out, s->g->n_output, err);
}

/* ---- how many items at once ----------------------------------------------------------------------------------------------------------- */
enum { MOST_ITEMS = 64 };
#define BATCH_BYTES 5e8                 /* of activations and their gradients */

/* Bind a clone to `items` items and look where they stand in every value that has classes; *bytes: of all values. */
static ds_status try_items(const ds_structure *s, const ds_model *m, int64_t items, bool *apart, double *bytes, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_graph *g = ds_graph_clone(m->graph);
	ds_type *t = ds_calloc((size_t)m->graph->n_input + 1, sizeof *t);
	*bytes = 0;
	if (!g || !t) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < g->n_input; i++) {
		t[i] = s->g->input[i]->type;
		if (g->input[i]->type.rank > 0 && g->input[i]->type.dim[0] < 0)
			t[i].dim[0] = items;
	}
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(ds_graph_bind(g, t, g->n_input, NULL, err));
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++) {
			const ds_value *one = s->g->node[i]->out[k], *v = g->node[i]->out[k];
			*bytes += s->known.known[one->id].data ? 0 : (double)ds_type_count(&v->type) * (double)ds_dtype_size(v->type.dtype);
			*apart &= s->known.known[one->id].data || items_lead(&one->type, &v->type, items);
		}
out:
	ds_graph_free(g);
	ds_free(t);
	return rc;
}

ds_status ds_criterion_batch(const ds_structure *s, const ds_model *m, int64_t *items, ds_err *err)
{
	bool apart = true;
	double bytes;
	*items = 1;
	for (int i = 0; i < m->graph->n_input; i++) {
		const ds_type *t = &m->graph->input[i]->type;
		apart &= t->rank >= 2 && t->dim[0] < 0;
	}
	ds_graph *g = ds_graph_clone(m->graph);
	if (!g)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_graph_verify(g, NULL, err);
	if (rc == DS_OK)
		rc = ds_graph_infer(g, err);
	if (rc == DS_OK)
		apart = apart && ds_graph_items_apart(g);
	ds_graph_free(g);
	if (rc != DS_OK || !apart)
		return rc;
	/* Shapes that cannot be bound for two items are no failure: one is enough. */
	rc = try_items(s, m, 2, &apart, &bytes, err);
	if (rc == DS_E_NOMEM)
		return rc;
	if (rc != DS_OK || !apart)
		return DS_OK;
	while (*items < MOST_ITEMS && (double)*items * bytes * 3 <= BATCH_BYTES)       /* bytes is of two: doubling fits, gradients as much again, and room for kernels */
		*items *= 2;
	return DS_OK;
}
