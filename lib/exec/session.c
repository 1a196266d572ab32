/* session.c - sessions: plans by shape, running them, looking inside */
#include "plan.h"
#include "../base/str.h"
#include "../base/trace.h"
#include "../rewrite/rewrite.h"

#include <string.h>
#include <time.h>

ds_status ds_session_new_opts(ds_session **out, const ds_graph *g, const ds_session_opts *o, ds_err *err)
{
	*out = NULL;
	ds_session *s = ds_calloc(1, sizeof *s);
	ds_status rc = DS_OK;
	if (!s)
		return ds_fail_nomem(err, sizeof *s);
	s->o = *o;
	s->g = ds_graph_clone(g);
	s->pool = ds_pool_new(o->threads);
	if (!s->g || !s->pool) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(ds_graph_verify(s->g, NULL, err));
	if (!o->no_rewrite && !o->keep_all)
		DS_GOTO(ds_rewrite_for_run(s->g, &s->log, err));
	*out = s;
	s = NULL;
out:
	ds_session_free(s);
	return rc;
}

ds_status ds_session_new(ds_session **s, const ds_model *m, int threads, ds_err *err)
{
	return ds_session_new_opts(s, m->graph, &(ds_session_opts){ .threads = threads }, err);
}

void ds_session_free(ds_session *s)
{
	if (!s)
		return;
	for (ds_plan *p = s->plans, *next; p; p = next) {
		next = p->next;
		ds_plan_free(p);
	}
	for (ds_prep *q = s->preps, *next; q; q = next) {
		next = q->next;
		if (q->variant->free_prep)
			q->variant->free_prep(q->data);
		else
			ds_free(q->data);
		ds_free(q);
	}
	ds_pool_free(s->pool);
	ds_graph_free(s->g);
	ds_buf_done(&s->log);
	ds_free(s);
}

void ds_session_tap(ds_session *s, ds_tap_fn fn, void *arg)
{
	s->tap = fn;
	s->tap_arg = arg;
}

void ds_session_clock(ds_session *s, ds_clock_fn fn, void *arg)
{
	s->clock = fn;
	s->clock_arg = arg;
}

static ds_status run_step(ds_session *s, ds_plan *p, const ds_step *st, ds_err *err);

static ds_status timed_step(ds_session *s, ds_plan *p, const ds_step *st, ds_err *err)
{
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	DS_TRY(run_step(s, p, st, err));
	clock_gettime(CLOCK_MONOTONIC, &b);
	s->clock(s->clock_arg, (int)(st - p->step), st->node, (double)a.tv_sec + 1e-9 * (double)a.tv_nsec,
		(double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec));
	return DS_OK;
}

ds_pool *ds_session_pool(ds_session *s)
{
	return s->pool;
}

const ds_graph *ds_session_graph(const ds_session *s)
{
	return s->g;
}

/* The plan for these inputs: found, or made; the list is kept in order of use and short. */
static ds_status find_plan(ds_session *s, const ds_type *in, int n_in, ds_plan **out, ds_err *err)
{
	ds_plan **link = &s->plans;
	if (n_in != s->g->n_input)
		return ds_fail(err, DS_E_INPUT, "the model has %d inputs, %d were given", s->g->n_input, n_in);
	for (int count = 0; *link; link = &(*link)->next, count++) {
		ds_plan *p = *link;
		bool same = true;
		for (int i = 0; i < n_in && same; i++)
			same = in[i].dtype == p->in[i].dtype && ds_type_same_dims(&in[i], &p->in[i]);
		if (same) {
			*link = p->next;
			p->next = s->plans;
			*out = s->plans = p;
			return DS_OK;
		}
		if (count == DS_PLANS_KEPT - 1 && p->next) {
			ds_plan_free(p->next);
			p->next = NULL;
		}
	}
	DS_TRY(ds_plan_new(out, s, in, err));
	(*out)->next = s->plans;
	s->plans = *out;
	return DS_OK;
}

ds_status ds_session_plan(ds_session *s, const ds_type *in, int n_in, ds_err *err)
{
	ds_plan *p;
	return find_plan(s, in, n_in, &p, err);
}

enum { MAX_IO = 64 };

static ds_status run_step(ds_session *s, ds_plan *p, const ds_step *st, ds_err *err)
{
	const ds_node *n = st->node;
	const ds_tensor *in_fixed[MAX_IO], **in = in_fixed;
	ds_tensor *out_fixed[MAX_IO], **out = out_fixed;
	int n_in = n->n_in, n_out = n->n_out;
	ds_env env = { s->pool, (char *)p->block + p->block_bytes, p->scratch, st->prep, false };
	if (n_in > MAX_IO && !(in = ds_calloc((size_t)n_in, sizeof *in)))
		return ds_fail_nomem(err, 0);
	if (n_out > MAX_IO && !(out = ds_calloc((size_t)n_out, sizeof *out))) {
		if (in != in_fixed)
			ds_free(in);
		return ds_fail_nomem(err, 0);
	}
	for (int i = 0; i < n_in; i++)
		in[i] = st->in[i] >= 0 ? &p->slot[st->in[i]].t : NULL;
	for (int i = 0; i < n_out; i++)
		out[i] = &p->slot[st->out[i]].t;
	ds_status rc = (st->variant ? st->variant->forward : n->op->forward)(&env, n, in, out, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "node \"%.100s\" (%.64s)", ds_node_label(n), n->op_name);
	for (int i = 0; rc == DS_OK && s->tap && i < n_out; i++)
		rc = s->tap(s->tap_arg, n, i, out[i], err);
	if (in != in_fixed)
		ds_free(in);
	if (out != out_fixed)
		ds_free(out);
	return rc;
}

/* Run the plan for these inputs; *plan keeps the outputs. */
static ds_status run(ds_session *s, const ds_tensor *in, int n_in, int n_out, ds_plan **plan, ds_err *err)
{
	ds_plan *p;
	ds_type *t = ds_calloc((size_t)n_in + 1, sizeof *t);
	if (!t)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n_in; i++)
		t[i] = ds_type_of(&in[i]);
	ds_status rc = find_plan(s, t, n_in, &p, err);
	ds_free(t);
	DS_TRY(rc);
	*plan = p;
	if (n_out > p->g->n_output)
		return ds_fail(err, DS_E_INTERNAL, "%d outputs asked for, the model has %d", n_out, p->g->n_output);
	for (int i = 0; i < p->n_slot; i++)             /* inputs come first; views of inputs follow their storage */
		if (p->slot[i].where == DS_AT_INPUT)
			p->slot[i].t.data = p->slot[i].storage < n_in ? in[p->slot[i].storage].data : NULL;
	for (int i = 0; i < p->n_step; i++)
		if (!p->step[i].view || s->tap)
			DS_TRY((s->clock ? timed_step : run_step)(s, p, &p->step[i], err));
	return DS_OK;
}

ds_status ds_session_run(ds_session *s, const ds_tensor *in, int n_in, ds_tensor *out, int n_out, ds_err *err)
{
	ds_plan *p;
	ds_status rc = DS_OK;
	for (int i = 0; i < n_out; i++)
		out[i] = (ds_tensor){ 0 };
	DS_GOTO(run(s, in, n_in, n_out, &p, err));
	for (int i = 0; i < n_out; i++) {
		const ds_tensor *t = &p->slot[p->output[i]].t;
		DS_GOTO(ds_tensor_new(&out[i], t->dtype, t->rank, t->dim, err));
		memcpy(out[i].data, t->data, ds_tensor_bytes(t));
	}
out:
	for (int i = 0; rc != DS_OK && i < n_out; i++)
		ds_tensor_done(&out[i]);
	return rc;
}

ds_status ds_session_run_view(ds_session *s, const ds_tensor *in, int n_in, ds_tensor *out, int n_out, ds_err *err)
{
	ds_plan *p;
	DS_TRY(run(s, in, n_in, n_out, &p, err));
	for (int i = 0; i < n_out; i++) {
		const ds_tensor *t = &p->slot[p->output[i]].t;
		ds_tensor_borrow(&out[i], t->dtype, t->rank, t->dim, t->data);
	}
	return DS_OK;
}

void ds_session_info(const ds_session *s, ds_plan_info *info)
{
	*info = (ds_plan_info){ .prep_bytes = s->prep_bytes };
	if (s->plans) {
		info->arena_bytes = s->plans->block_bytes + s->plans->scratch;
		info->naive_bytes = s->plans->naive_bytes;
		info->nodes = s->plans->n_step;
		info->folded = s->plans->folded;
	}
}

/* ---- dumps --------------------------------------------------------------------------------------------------------------------- */
static void dump_kernels(const ds_plan *p, ds_buf *b)
{
	ds_buf_str(b, "step\tnode\toperator\tkernel\tlayout\toutput\n");
	for (int i = 0; i < p->n_step; i++) {
		const ds_step *st = &p->step[i];
		ds_type t = ds_type_of(&p->slot[st->out[0]].t);
		ds_buf_printf(b, "%d\t", i);
		ds_text_quote(b, st->node->name, strlen(st->node->name));
		ds_buf_printf(b, "\t%s\t%s\t%s\t", st->node->op_name, st->view ? "view" : st->variant ? st->variant->name : "reference",
			p->slot[st->out[0]].t.layout == DS_CHANNELS_LAST ? "channels-last" : "plain");
		ds_type_print(b, &t, NULL);
		ds_buf_str(b, "\n");
	}
}

static void dump_alloc(const ds_plan *p, ds_buf *b)
{
	ds_buf_printf(b, "arena\t%zu\nscratch\t%zu\nnaive\t%zu\nslot\toffset\tbytes\tfirst\tlast\n", p->block_bytes, p->scratch, p->naive_bytes);
	for (int i = 0; i < p->n_slot; i++) {
		const ds_slot *s = &p->slot[i];
		if (s->where == DS_AT_ARENA && s->storage == i)
			ds_buf_printf(b, "%d\t%zu\t%zu\t%d\t%d\n", i, s->offset, s->bytes, s->first, DS_MIN(s->last, p->n_step));
	}
}

ds_status ds_session_dump(ds_session *s, const char *what, ds_buf *out, ds_err *err)
{
	if (strcmp(what, "rewrite") == 0) {
		ds_buf_str(out, "rewrite\tnode\twhat\n");
		ds_buf_add(out, s->log.data, s->log.len);
	} else if (strcmp(what, "graph") == 0) {
		ds_graph_number(s->g);
		ds_graph_dump(s->g, out);
	} else if (!s->plans) {
		return ds_fail(err, DS_E_USAGE, "nothing was run yet");
	} else if (strcmp(what, "kernels") == 0) {
		dump_kernels(s->plans, out);
	} else if (strcmp(what, "plan") == 0) {
		ds_graph_dump(s->plans->g, out);
	} else {
		dump_alloc(s->plans, out);
	}
	return out->oom ? ds_fail_nomem(err, 0) : DS_OK;
}
