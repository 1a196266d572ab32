/* runner.c - batches of items through a session */
#include "run.h"

#include <string.h>

#define BATCH_BYTES ((size_t)4 << 20)   /* of inputs that a batch is filled up to when nothing is said */
#define BATCH_MAX 32

/* An item between being read and being handed out. */
typedef struct entry {
	char      *name;
	size_t     name_len;
	uint64_t   index;
	size_t     path_len;
	int64_t    label, row;
	bool       bad, follows;
	ds_err     err;
	ds_tensor *in, *out;            /* n_in, n_out */
	ds_tensor  target, last;
} entry;

struct ds_runner {
	const ds_model *m;
	ds_samples     *samples;
	ds_session     *s;
	ds_graph       *types;          /* the graph with types inferred, for what is known before running */
	int             n_in, n_out, batch;
	bool            can_batch;
	entry          *q;              /* the batch: q[0 .. n_q), handed out from `at` */
	int             n_q, at, cap_q;
	entry           next;           /* read already, of another shape: first of the next batch */
	bool            has_next, ended;
	ds_tensor      *state;          /* of each of the graph's states, after the item computed last; NULL: it has none */
	bool            in_stream;      /* state[] is good */
};

static void tensors_done(ds_tensor *t, int n)
{
	for (int i = 0; t && i < n; i++)
		ds_tensor_done(&t[i]);
}

static void entry_done(ds_runner *r, entry *e)
{
	tensors_done(e->in, r->n_in);
	tensors_done(e->out, r->n_out);
	ds_tensor_done(&e->target);
	ds_tensor_done(&e->last);
	ds_free(e->in);
	ds_free(e->out);
	ds_free(e->name);
	*e = (entry){ 0 };
}

ds_status ds_runner_new(ds_runner **out, const ds_model *m, ds_samples *samples, const ds_runner_opts *o, ds_err *err)
{
	ds_status rc;
	*out = NULL;
	ds_runner *r = ds_calloc(1, sizeof *r);
	if (!r)
		return ds_fail_nomem(err, sizeof *r);
	ds_session_opts so = { .threads = o->threads, .memory_limit = o->memory_limit, .keep_all = o->tap != NULL };
	r->m = m;
	r->samples = samples;
	r->n_in = m->graph->n_input;
	r->n_out = m->graph->n_output;
	r->types = ds_graph_clone(m->graph);
	if (!r->types) {
		rc = ds_fail_nomem(err, sizeof *r);
		goto out;
	}
	DS_GOTO(ds_graph_infer(r->types, err));
	DS_GOTO(ds_session_new_opts(&r->s, m->graph, &so, err));
	if (o->tap)
		ds_session_tap(r->s, o->tap, o->tap_arg);
	for (int i = 0; i < m->graph->n_state && !r->state; i++) {
		if (m->graph->state[i].axis == DS_NO_SYMBOL && !(r->state = ds_calloc((size_t)m->graph->n_state, sizeof *r->state)))
			DS_GOTO(ds_fail_nomem(err, sizeof *r->state));
	}
	r->can_batch = !o->tap && !r->state && ds_graph_items_apart(r->types);
	r->batch = r->can_batch ? o->batch : 1;
	*out = r;
	r = NULL;
out:
	ds_runner_free(r);
	return rc;
}

void ds_runner_free(ds_runner *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n_q; i++)
		entry_done(r, &r->q[i]);
	entry_done(r, &r->next);
	tensors_done(r->state, r->m ? r->m->graph->n_state : 0);
	ds_free(r->state);
	ds_free(r->q);
	ds_session_free(r->s);
	ds_graph_free(r->types);
	ds_free(r);
}

ds_session *ds_runner_session(ds_runner *r)
{
	return r->s;
}

ds_type ds_runner_output(const ds_runner *r, int i)
{
	return r->types->output[i]->type;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

static ds_status read_entry(ds_runner *r, entry *e, ds_err *err)
{
	ds_item item = { 0 };
	*e = (entry){ 0 };
	ds_status rc = r->samples->next(r->samples, &item, &e->bad, &e->err);
	if (rc == DS_END)
		return rc;
	if (rc != DS_OK && !e->bad) {
		if (err)
			*err = e->err;
		return rc;
	}
	e->name = ds_malloc(item.name_len + 1);
	e->in = ds_calloc(r->n_in, sizeof *e->in);
	e->out = ds_calloc(r->n_out, sizeof *e->out);
	if (!e->name || !e->in || !e->out) {
		entry_done(r, e);
		return ds_fail_nomem(err, item.name_len);
	}
	memcpy(e->name, item.name, item.name_len);
	e->name[item.name_len] = 0;
	e->name_len = item.name_len;
	e->index = item.index;
	e->label = item.label;
	e->path_len = item.path_len;
	e->row = item.row;
	e->follows = item.follows;
	if (item.has_target) {
		e->target = ds_tensor_ref(&item.target);
		e->last = ds_tensor_ref(&item.last);
	}
	for (int k = 0; !e->bad && k < r->n_in; k++)
		e->in[k] = ds_tensor_ref(&item.in[k]);
	return DS_OK;
}

static bool same_shapes(const ds_runner *r, const entry *a, const entry *b)
{
	for (int k = 0; k < r->n_in; k++) {
		const ds_tensor *s = &a->in[k], *t = &b->in[k];
		if (s->dtype != t->dtype || s->rank != t->rank || memcmp(s->dim, t->dim, (size_t)s->rank * sizeof *s->dim))
			return false;
	}
	return true;
}

static int chosen_batch(const ds_runner *r, const entry *e)
{
	size_t bytes = 1;
	if (r->batch)
		return r->batch;
	for (int k = 0; k < r->n_in; k++)
		bytes += ds_tensor_bytes(&e->in[k]);
	size_t n = BATCH_BYTES / bytes;
	return n < 1 ? 1 : n > BATCH_MAX ? BATCH_MAX : (int)n;
}

/* Fill the queue with one batch of good items and the bad ones between them. */
static ds_status fill(ds_runner *r, ds_err *err)
{
	int good = 0, want = 1;
	for (int i = 0; i < r->n_q; i++)
		entry_done(r, &r->q[i]);
	r->n_q = r->at = 0;
	while (!r->ended && good < want) {
		entry e = r->next;
		ds_status rc = DS_OK;
		if (!r->has_next)
			rc = read_entry(r, &e, err);
		r->next = (entry){ 0 };
		r->has_next = false;
		if (rc == DS_END) {
			r->ended = true;
			break;
		}
		if (rc != DS_OK)
			return rc;
		if (!e.bad && good && !same_shapes(r, &r->q[0], &e)) {        /* q[0] is good: a bad one at the front stands alone */
			r->next = e;
			r->has_next = true;
			break;
		}
		size_t cap = (size_t)r->cap_q;
		if (!ds_grow((void **)&r->q, (size_t)r->n_q, &cap, sizeof *r->q)) {
			entry_done(r, &e);
			return ds_fail_nomem(err, sizeof *r->q);
		}
		r->cap_q = (int)cap;
		r->q[r->n_q++] = e;
		if (e.bad) {
			if (!good)
				break;          /* tell of it at once */
			continue;
		}
		if (!good++)
			want = chosen_batch(r, &e);
	}
	return DS_OK;
}

/* ---- computing ---------------------------------------------------------------------------------------------------------------- */

static int index_of(ds_value *const *list, int n, const ds_value *v)
{
	for (int i = 0; i < n; i++) {
		if (list[i] == v)
			return i;
	}
	return -1;
}

/* Before a window that follows: what the one before left.  After it: what it leaves. */
static void move_states(ds_runner *r, entry *e, bool after)
{
	const ds_graph *g = r->m->graph;
	for (int i = 0; r->state && i < g->n_state; i++) {
		int in = index_of(g->input, g->n_input, g->state[i].in), out = index_of(g->output, g->n_output, g->state[i].out);
		if (g->state[i].axis != DS_NO_SYMBOL || in < 0 || out < 0)
			continue;
		ds_tensor *to = after ? &r->state[i] : &e->in[in];
		ds_tensor_done(to);
		*to = ds_tensor_ref(after ? &e->out[out] : &r->state[i]);
	}
	r->in_stream = after;
}

static ds_status run_single(ds_runner *r, entry *e, ds_err *err)
{
	if (r->state && e->follows && r->in_stream)
		move_states(r, e, false);
	r->in_stream = false;
	ds_status rc = ds_session_run(r->s, e->in, r->n_in, e->out, r->n_out, &e->err);
	if (rc == DS_OK) {
		if (r->state)
			move_states(r, e, true);
		return rc;
	}
	if (rc == DS_E_INPUT || rc == DS_E_LIMIT) {     /* this item's fault: its shape, its values */
		ds_err_in(&e->err, e->name);
		e->bad = true;
		return DS_OK;
	}
	if (err)
		*err = e->err;
	return rc;
}

/* The inputs of the good items, one after another. */
static ds_status join_inputs(ds_runner *r, ds_tensor *in, int good, ds_err *err)
{
	for (int k = 0; k < r->n_in; k++) {
		const ds_tensor *one = NULL;
		size_t at = 0;
		for (int i = 0; i < r->n_q && !one; i++)
			one = r->q[i].bad ? NULL : &r->q[i].in[k];
		int64_t dim[DS_MAX_RANK];
		memcpy(dim, one->dim, sizeof dim);
		dim[0] *= good;
		DS_TRY(ds_tensor_new(&in[k], one->dtype, one->rank, dim, err));
		for (int i = 0; i < r->n_q; i++) {
			if (r->q[i].bad)
				continue;
			size_t n = ds_tensor_bytes(&r->q[i].in[k]);
			memcpy((char *)in[k].data + at, r->q[i].in[k].data, n);
			at += n;
		}
	}
	return DS_OK;
}

static ds_status split_outputs(ds_runner *r, const ds_tensor *out, int good, ds_err *err)
{
	for (int k = 0; k < r->n_out; k++) {
		if (out[k].rank < 1 || out[k].dim[0] != good)
			return DS_E_INTERNAL;   /* not as the types said: the caller runs the items one by one */
	}
	for (int k = 0; k < r->n_out; k++) {
		int64_t dim[DS_MAX_RANK];
		size_t at = 0;
		memcpy(dim, out[k].dim, sizeof dim);
		dim[0] = 1;
		for (int i = 0; i < r->n_q; i++) {
			if (r->q[i].bad)
				continue;
			DS_TRY(ds_tensor_new(&r->q[i].out[k], out[k].dtype, out[k].rank, dim, err));
			size_t n = ds_tensor_bytes(&r->q[i].out[k]);
			memcpy(r->q[i].out[k].data, (const char *)out[k].data + at, n);
			at += n;
		}
	}
	return DS_OK;
}

/* DS_END: could not be done as a batch, nothing has happened. */
static ds_status run_batch(ds_runner *r, int good)
{
	ds_err why = { 0 };
	ds_status rc = DS_E_NOMEM;
	ds_tensor *in = ds_calloc(r->n_in, sizeof *in), *out = ds_calloc(r->n_out, sizeof *out);
	if (in && out)
		rc = join_inputs(r, in, good, &why);
	if (rc == DS_OK)
		rc = ds_session_run(r->s, in, r->n_in, out, r->n_out, &why);
	if (rc == DS_OK)
		rc = split_outputs(r, out, good, &why);
	tensors_done(in, in ? r->n_in : 0);
	tensors_done(out, out ? r->n_out : 0);
	ds_free(in);
	ds_free(out);
	if (rc == DS_OK)
		return rc;
	for (int i = 0; i < r->n_q; i++)
		tensors_done(r->q[i].out, r->n_out);
	return DS_END;
}

static ds_status compute(ds_runner *r, ds_err *err)
{
	int good = 0;
	for (int i = 0; i < r->n_q; i++)
		good += !r->q[i].bad;
	if (good > 1) {
		ds_status rc = run_batch(r, good);
		if (rc != DS_END)
			return rc;
	}
	for (int i = 0; i < r->n_q; i++) {
		if (!r->q[i].bad)
			DS_TRY(run_single(r, &r->q[i], err));
		else
			r->in_stream = false;
	}
	return DS_OK;
}

ds_status ds_runner_next(ds_runner *r, ds_result *res, ds_err *err)
{
	*res = (ds_result){ 0 };
	if (r->at == r->n_q) {
		DS_TRY(fill(r, err));
		DS_TRY(compute(r, err));
		if (!r->n_q)
			return DS_END;
	}
	const entry *e = &r->q[r->at++];
	*res = (ds_result){ .name = e->name, .name_len = e->name_len, .index = e->index, .path_len = e->path_len, .label = e->label,
		.row = e->row, .target = &e->target, .last = &e->last, .out = e->out, .n_out = r->n_out };
	if (e->bad)
		res->bad = &e->err;
	return DS_OK;
}
