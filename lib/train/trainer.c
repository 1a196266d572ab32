/* trainer.c - steps: micro-batches through the training graph, gradients gathered, parameters updated
 *
 * The training graph is made at the first batch and again when the shapes of a batch change; the state lives here, in tensors that the graph's inputs borrow. */
#include "graph.h"
#include "head.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct state { const char *name; int weight; ds_tensor value, average; } state;

enum { PIECE = 1 << 15 };               /* elements at most */
typedef struct piece { int param; int64_t i0, i1; } piece;

struct ds_trainer {
	const ds_model *m;
	ds_train_opts   o;
	ds_arena        arena;
	ds_tgraph       t;
	ds_type        *in;             /* what t was made for */
	ds_session     *s;
	ds_tensor      *feed, *out;     /* t's inputs and outputs */
	ds_param       *param;  int n_param;
	state          *state;  int n_state;
	piece          *piece;  int n_piece;    /* what is done in one task: depends on the parameters alone */
	double         *part;           /* by piece: partial sums of the gradient's norm */
	ds_tensor       counter;        /* i64 [2]: updates made, micro-batches seen */
	int64_t         step_value;     /* fed to the graph */
	int             gathered;       /* micro-batches since the last update */
};

ds_status ds_trainer_new(ds_trainer **out, const ds_model *m, const ds_train_opts *o, ds_err *err)
{
	ds_trainer *t = ds_calloc(1, sizeof *t);
	*out = NULL;
	if (!t)
		return ds_fail_nomem(err, sizeof *t);
	ds_arena_init(&t->arena);
	t->m = m;
	t->o = *o;
	ds_status rc = ds_tensor_new(&t->counter, DS_I64, 1, (int64_t[]){ 2 }, err);
	if (rc != DS_OK) {
		ds_trainer_free(t);
		return rc;
	}
	*out = t;
	return DS_OK;
}

static void drop_graph(ds_trainer *t)
{
	ds_session_free(t->s);
	ds_tgraph_done(&t->t);
	ds_free(t->in);
	ds_free(t->feed);
	ds_free(t->out);
	t->s = NULL;
	t->in = NULL;
	t->feed = t->out = NULL;
}

void ds_trainer_free(ds_trainer *t)
{
	if (!t)
		return;
	drop_graph(t);
	for (int i = 0; i < t->n_param; i++) {
		ds_param *p = &t->param[i];
		ds_tensor_done(&p->value);
		ds_tensor_done(&p->grad);
		ds_tensor_done(&p->moment[0]);
		ds_tensor_done(&p->moment[1]);
		ds_tensor_done(&p->average);
	}
	for (int i = 0; i < t->n_state; i++) {
		ds_tensor_done(&t->state[i].value);
		ds_tensor_done(&t->state[i].average);
	}
	ds_free(t->param);
	ds_free(t->state);
	ds_free(t->part);
	ds_free(t->piece);
	ds_tensor_done(&t->counter);
	ds_arena_done(&t->arena);
	ds_free(t);
}

/* ---- state ------------------------------------------------------------------------------------------------------------------------- */
static ds_status like(ds_tensor *to, const ds_tensor *from, bool copy, ds_err *err)
{
	DS_TRY(ds_tensor_new(to, DS_F32, from->rank, from->dim, err));
	if (copy)
		memcpy(to->data, from->data, ds_tensor_bytes(from));
	return DS_OK;
}

/* Steps of AdamW have the size of the rate, whatever the gradient.  The step of a grid of codes is far smaller than a weight, so its rate is relative: times its
 * mean size in the model. */
static double rate_of(const ds_graph *g, const ds_value *v, const ds_optimizer *o)
{
	bool grid = false;
	double sum = 0;
	int64_t n = ds_tensor_count(&v->data);
	for (int i = 0; i < g->n_node && !grid; i++)
		grid = strcmp(g->node[i]->op_name, "FakeQuantize") == 0 && strcmp(g->node[i]->domain, "ds") == 0 && g->node[i]->in[1] == v;
	if (!grid || o->moments < 2)
		return 1;
	for (int64_t i = 0; i < n; i++)
		sum += fabs((double)((const float *)v->data.data)[i]);
	return sum / (double)n;
}

/* Parameters and running statistics of the first training graph, from the model. */
static ds_status make_state(ds_trainer *t, ds_err *err)
{
	const ds_tgraph *tg = &t->t;
	const ds_graph *g = t->m->graph;
	t->param = ds_calloc((size_t)tg->n_param + 1, sizeof *t->param);
	t->state = ds_calloc((size_t)tg->n_state + 1, sizeof *t->state);
	if (!t->param || !t->state)
		return ds_fail_nomem(err, 0);
	while (t->n_param < tg->n_param) {
		int at = t->n_param++, w = tg->param_of[at];   /* counted first: what is half made is freed too */
		const ds_tensor *from = &g->weight[w]->data;
		ds_param *p = &t->param[at];
		*p = (ds_param){ .name = g->weight[w]->name, .decay = from->rank >= 2, .sparse_l1 = tg->norm[w] != 0, .matrix = tg->hidden[at] != 0,
			.lr_scale = rate_of(g, g->weight[w], t->o.optimizer) };
		DS_TRY(like(&p->value, from, true, err));
		DS_TRY(like(&p->grad, from, false, err));
		for (int k = 0; k < t->o.optimizer->moments; k++)
			DS_TRY(like(&p->moment[k], from, false, err));
		if (t->o.average > 0)
			DS_TRY(like(&p->average, from, true, err));
		t->n_piece += (int)((ds_tensor_count(from) + PIECE - 1) / PIECE);
	}
	while (t->n_state < tg->n_state) {
		int at = t->n_state++, w = tg->state_of[at];
		t->state[at] = (state){ .name = g->weight[w]->name, .weight = w };
		DS_TRY(like(&t->state[at].value, &g->weight[w]->data, true, err));
		if (t->o.average > 0)
			DS_TRY(like(&t->state[at].average, &g->weight[w]->data, true, err));
	}
	t->part = ds_calloc((size_t)t->n_piece + 1, sizeof *t->part);
	t->piece = ds_calloc((size_t)t->n_piece + 1, sizeof *t->piece);
	if (!t->part || !t->piece)
		return ds_fail_nomem(err, 0);
	for (int i = 0, at = 0; i < t->n_param; i++)
		for (int64_t i0 = 0, n = ds_tensor_count(&t->param[i].value); i0 < n; i0 += PIECE)
			t->piece[at++] = (piece){ i, i0, DS_MIN(i0 + PIECE, n) };
	return DS_OK;
}

static bool made_for(const ds_trainer *t, const ds_type *in, int n)
{
	for (int i = 0; i < n; i++)
		if (in[i].dtype != t->in[i].dtype || !ds_type_same_dims(&in[i], &t->in[i]))
			return false;
	return true;
}

/* A session for these shapes whose forward pass is kept in full or cut into segments. */
static ds_status open_graph(ds_trainer *t, const ds_type *in, int n_in, int segments, ds_err *err)
{
	drop_graph(t);
	DS_TRY(ds_tgraph_new(&t->t, t->m->graph, &t->o, in, segments, err));
	const ds_graph *g = t->t.g;
	t->in = ds_calloc((size_t)n_in + 1, sizeof *t->in);
	t->feed = ds_calloc((size_t)g->n_input + 1, sizeof *t->feed);
	t->out = ds_calloc((size_t)g->n_output + 1, sizeof *t->out);
	if (!t->in || !t->feed || !t->out)
		return ds_fail_nomem(err, 0);
	memcpy(t->in, in, sizeof *in * (size_t)n_in);
	DS_TRY(ds_session_new_opts(&t->s, g, &(ds_session_opts){ .threads = t->o.threads, .no_rewrite = true, .memory_limit = t->o.memory_limit }, err));
	ds_type *all = ds_calloc((size_t)g->n_input + 1, sizeof *all);
	if (!all)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_input; i++)
		all[i] = g->input[i]->type;
	ds_status rc = ds_session_plan(t->s, all, g->n_input, err);
	ds_free(all);
	return rc;
}

/* Make the training graph for these shapes, in as few segments as the memory limit allows; the state is made with the first one. */
static ds_status prepare(ds_trainer *t, const ds_type *in, int n_in, ds_err *err)
{
	enum { SEGMENTS = 64 };
	if (t->s && made_for(t, in, n_in))
		return DS_OK;
	if (n_in != t->m->graph->n_input)
		return ds_fail(err, DS_E_INPUT, "the model has %d inputs, %d were given", t->m->graph->n_input, n_in);
	ds_status rc = open_graph(t, in, n_in, 1, err);
	for (int segments = 2; rc == DS_E_LIMIT && segments <= SEGMENTS; segments += (segments + 1) / 2)
		rc = open_graph(t, in, n_in, segments, err);
	DS_TRY(rc);
	if (!t->param)
		return make_state(t, err);
	return t->t.n_param == t->n_param && t->t.n_state == t->n_state ? DS_OK :
		ds_fail(err, DS_E_INTERNAL, "the training graph has other parameters for these shapes");
}

/* ---- a micro-batch ------------------------------------------------------------------------------------------------------------------ */
/* Class numbers that the output does not have would silently count as nothing. */
static ds_status check_classes(const ds_trainer *t, const ds_tensor *target, ds_err *err)
{
	const ds_type *pred = &t->t.g->output[1]->type;
	int axis = ds_class_axis(pred);
	const int64_t *v = target->data;
	bool sequence = t->o.loss && t->o.loss->target == DS_TARGET_SEQUENCE;
	if (target->dtype != DS_I64 || pred->rank < 2)
		return DS_OK;
	for (int64_t i = 0, n = ds_tensor_count(target); i < n; i++)
		if ((v[i] < 0 || v[i] >= pred->dim[axis]) && !(t->o.loss_opts.has_ignore && v[i] == t->o.loss_opts.ignore) && !(sequence && v[i] == -1))
			return ds_fail(err, DS_E_INPUT, "sample %" PRId64 " of the batch has label %" PRId64 ", the model has classes 0 to %" PRId64,
				target->dim[0] ? i / (n / target->dim[0]) : i, v[i], pred->dim[axis] - 1);
	return DS_OK;
}

typedef struct gather { ds_trainer *t; const ds_tensor *grad; float share; bool first; } gather;

static void gather_chunk(void *arg, int task, int worker)
{
	const gather *j = arg;
	const piece *c = &j->t->piece[task];
	const ds_param *p = &j->t->param[c->param];
	float *to = p->grad.data;
	const float *from = j->grad[c->param].data, share = j->share;
	if (j->first)
		for (int64_t i = c->i0; i < c->i1; i++)
			to[i] = share * from[i];
	else
		for (int64_t i = c->i0; i < c->i1; i++)
			to[i] += share * from[i];
}

ds_status ds_trainer_batch(ds_trainer *t, const ds_tensor *in, int n_in, const ds_tensor *target, const ds_tensor *extra, double share, ds_train_stat *stat,
	ds_err *err)
{
	ds_type types[64] = { 0 };
	if (n_in > (int)DS_COUNTOF(types))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model with %d inputs", n_in);
	for (int i = 0; i < n_in; i++)
		types[i] = ds_type_of(&in[i]);
	DS_TRY(prepare(t, types, n_in, err));
	const ds_tgraph *tg = &t->t;
	int64_t *count = t->counter.data;
	for (int i = 0; i < n_in; i++)
		t->feed[i] = in[i];
	if (tg->target >= 0) {
		if (!target)
			return ds_fail(err, DS_E_INPUT, "samples without a target");
		DS_TRY(check_classes(t, target, err));
		t->feed[tg->target] = *target;
	}
	for (int i = 0; i < t->o.n_extra; i++)
		t->feed[tg->extra + i] = extra[i];
	t->step_value = count[1];
	ds_tensor_borrow(&t->feed[tg->step], DS_I64, 0, NULL, &t->step_value);
	for (int i = 0; i < t->n_param; i++)
		t->feed[tg->param + i] = t->param[i].value;
	for (int i = 0; i < t->n_state; i++)
		t->feed[tg->state + i] = t->state[i].value;
	DS_TRY(ds_session_run_view(t->s, t->feed, tg->g->n_input, t->out, tg->g->n_output, err));
	float loss = *(const float *)t->out[0].data;
	*stat = (ds_train_stat){ (double)loss, t->out + 1, tg->n_pred };
	if (!isfinite(loss))
		return ds_fail(err, DS_E_LIMIT, "step %" PRId64 ": the loss is not finite", count[0] + 1);
	const ds_tensor *new_state = t->out + 1 + tg->n_pred;
	for (int i = 0; i < t->n_state; i++)
		memcpy(t->state[i].value.data, new_state[i].data, ds_tensor_bytes(&new_state[i]));
	gather j = { t, new_state + t->n_state, (float)share, t->gathered == 0 };
	ds_pool_run(ds_session_pool(t->s), t->n_piece, gather_chunk, &j);
	t->gathered++;
	count[1]++;
	return DS_OK;
}

/* ---- an update ----------------------------------------------------------------------------------------------------------------------- */
typedef struct update { ds_trainer *t; double lr; float clip; int64_t step; float keep; } update;

static void norm_chunk(void *arg, int task, int worker)
{
	const update *j = arg;
	const piece *c = &j->t->piece[task];
	const ds_param *p = &j->t->param[c->param];
	const float *g = p->grad.data;
	double sum[8] = { 0 };
	int64_t i = c->i0;
	for (; i + 8 <= c->i1; i += 8)
		for (int k = 0; k < 8; k++)
			sum[k] += (double)g[i + k] * (double)g[i + k];
	for (; i < c->i1; i++)
		sum[0] += (double)g[i] * (double)g[i];
	j->t->part[task] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void update_chunk(void *arg, int task, int worker)
{
	const update *j = arg;
	const ds_train_opts *o = &j->t->o;
	const piece *c = &j->t->piece[task];
	ds_param *p = &j->t->param[c->param];
	float *g = p->grad.data, *w = p->value.data;
	for (int64_t i = c->i0; i < c->i1 && j->clip != 1; i++)
		g[i] *= j->clip;
	if (o->l1 > 0 && p->sparse_l1)
		for (int64_t i = c->i0; i < c->i1; i++)
			g[i] += (float)o->l1 * (float)((w[i] > 0) - (w[i] < 0));
	if (o->optimizer->update)
		o->optimizer->update(&o->optim, p, c->i0, c->i1, j->lr * p->lr_scale, p->decay ? o->decay : 0, j->step);
}

static void approach(float *a, const float *w, int64_t n, float keep)
{
	for (int64_t i = 0; i < n; i++)
		a[i] += (1 - keep) * (w[i] - a[i]);
}

static void average_chunk(void *arg, int task, int worker)
{
	const update *j = arg;
	const piece *c = &j->t->piece[task];
	const ds_param *p = &j->t->param[c->param];
	approach((float *)p->average.data + c->i0, (const float *)p->value.data + c->i0, c->i1 - c->i0, j->keep);
}

ds_status ds_trainer_update(ds_trainer *t, double lr, double *norm, ds_err *err)
{
	int64_t *count = t->counter.data;
	ds_pool *pool = ds_session_pool(t->s);
	const ds_train_opts *o = &t->o;
	update j = { t, lr, 1, count[0] + 1, 0 };
	double sum = 0;
	if (!t->gathered)
		return ds_fail(err, DS_E_INTERNAL, "an update without a batch");
	ds_pool_run(pool, t->n_piece, norm_chunk, &j);
	for (int i = 0; i < t->n_piece; i++)
		sum += t->part[i];
	sum = sqrt(sum);
	if (norm)
		*norm = sum;
	if (!isfinite(sum))
		return ds_fail(err, DS_E_LIMIT, "step %" PRId64 ": the gradient is not finite", j.step);
	if (o->clip > 0 && sum > o->clip)
		j.clip = (float)(o->clip / sum);
	ds_pool_run(pool, t->n_piece, update_chunk, &j);
	for (int i = 0; i < t->n_param && o->optimizer->whole; i++)
		DS_TRY(o->optimizer->whole(&o->optim, &t->param[i], pool, lr * t->param[i].lr_scale, t->param[i].decay ? o->decay : 0, j.step, err));
	if (o->average > 0) {           /* young averages forget faster */
		j.keep = (float)DS_MIN(o->average, (double)(1 + j.step) / (double)(10 + j.step));
		ds_pool_run(pool, t->n_piece, average_chunk, &j);
		for (int i = 0; i < t->n_state; i++)   /* averaged weights have statistics of their own */
			approach(t->state[i].average.data, t->state[i].value.data, ds_tensor_count(&t->state[i].value), j.keep);
	}
	t->gathered = 0;
	count[0]++;
	return DS_OK;
}

/* ---- looking inside, saving ------------------------------------------------------------------------------------------------------------ */
int64_t ds_trainer_steps(const ds_trainer *t)
{
	return ((const int64_t *)t->counter.data)[0];
}

ds_session *ds_trainer_session(ds_trainer *t)
{
	return t->s;
}

int ds_trainer_params(ds_trainer *t, ds_param **p)
{
	*p = t->param;
	return t->n_param;
}

ds_status ds_trainer_bind(ds_trainer *t, const ds_type *in, int n_in, ds_err *err)
{
	return prepare(t, in, n_in, err);
}

bool ds_trainer_tensor(ds_trainer *t, int i, const char **name, ds_tensor **v)
{
	static const char *const kind[] = { "param/", "moment0/", "moment1/", "average/" };
	for (int k = 0; k < 4; k++)
		for (int p = 0; p < t->n_param; p++) {
			ds_tensor *all[] = { &t->param[p].value, &t->param[p].moment[0], &t->param[p].moment[1], &t->param[p].average };
			if (!all[k]->data || i-- > 0)
				continue;
			*name = ds_arena_printf(&t->arena, "%s%s", kind[k], t->param[p].name);
			*v = all[k];
			return *name != NULL;
		}
	for (int k = 0; k < (t->o.average > 0 ? 2 : 1); k++, i -= t->n_state)
		if (i < t->n_state) {
			*name = ds_arena_printf(&t->arena, k ? "average-state/%s" : "state/%s", t->state[i].name);
			*v = k ? &t->state[i].average : &t->state[i].value;
			return *name != NULL;
		}
	if (i == 0) {
		*name = "step";
		*v = &t->counter;
		return true;
	}
	return false;
}

static ds_status put(ds_model *m, const char *name, const ds_tensor *from, ds_err *err)
{
	ds_graph *g = m->graph;
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		if (v->kind != DS_V_PARAM || strcmp(v->name, name) != 0)
			continue;
		ds_type a = ds_type_of(&v->data), b = ds_type_of(from);
		ds_tensor fresh;
		if (a.dtype != b.dtype || !ds_type_same_dims(&a, &b))
			break;
		DS_TRY(like(&fresh, from, true, err));
		ds_tensor_done(&v->data);
		v->data = fresh;
		return DS_OK;
	}
	return ds_fail(err, DS_E_INTERNAL, "the model has no weight \"%.200s\" of these dims", name);
}

ds_status ds_trainer_export(const ds_trainer *t, ds_model *m, bool average, ds_err *err)
{
	for (int i = 0; i < t->n_param; i++)
		DS_TRY(put(m, t->param[i].name, average && t->param[i].average.data ? &t->param[i].average : &t->param[i].value, err));
	for (int i = 0; i < t->n_state; i++)
		DS_TRY(put(m, t->state[i].name, average && t->state[i].average.data ? &t->state[i].average : &t->state[i].value, err));
	return DS_OK;
}
