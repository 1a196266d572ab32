/* job.c - what the modes share: inputs, a session, the times of its steps */
#include <stdlib.h>
#include <string.h>

#include "data/batch.h"
#include "profile/inputs.h"
#include "profile.h"

enum { SETS = 16 };

const char *job_model_name(const job *j)
{
	const char *path = j->s->c.model;
	if (!path || !strcmp(path, "-"))
		return "stdin";
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

ds_status job_write(const job *j, const char *path, const ds_buf *text, ds_err *err)
{
	ds_sink *sink;
	(void)j;
	if (text->oom)
		return ds_fail_nomem(err, text->len);
	DS_TRY(ds_sink_open(&sink, path, err));
	ds_status rc = ds_sink_write(sink, text->data ? text->data : "", text->len, err);
	if (rc != DS_OK) {
		ds_sink_abort(sink);
		return rc;
	}
	return ds_sink_commit(sink, err);
}

/* ---- inputs ---------------------------------------------------------------------------------------------------------------------- */
static ds_status add_set(job *j, int n_in, ds_tensor **set, ds_err *err)
{
	if (!j->set && !(j->set = ds_calloc(SETS, sizeof *j->set)))
		return ds_fail_nomem(err, 0);
	j->n_in = n_in;
	*set = j->set[j->n_set] = ds_calloc((size_t)n_in + 1, sizeof **set);
	if (!*set)
		return ds_fail_nomem(err, 0);
	j->n_set++;
	return DS_OK;
}

/* Open dims of a picture's input are what its preprocessing makes, those of a window its rows. */
static ds_status made_up_types(job *j, ds_type *type, ds_err *err)
{
	const ds_graph *g = j->m->graph;
	const ds_kv *rows = ds_meta_find(&j->m->meta, "input.0.window");
	int64_t batch = ds_batch_possible(j->m) ? j->s->c.batch : 1;
	DS_TRY(ds_inputs_types(g, DS_MAX(batch, 1), rows && rows->type == DS_KV_I64 && rows->n == 1 && rows->u.i[0] > 0 ? rows->u.i[0] : 1, type, err));
	for (int i = 0; i < g->n_input; i++) {
		const ds_type *t = &g->input[i]->type;
		ds_prep_spec p;
		bool present = false;
		DS_TRY(ds_prep_from_meta(&p, &j->m->meta, i, &present, err));
		if (!present || t->rank != 4)
			continue;
		int h = p.layout == DS_NCHW ? 2 : 1;
		type[i].dim[h] = t->dim[h] < 0 && p.h > 0 ? p.h : type[i].dim[h];
		type[i].dim[h + 1] = t->dim[h + 1] < 0 && p.w > 0 ? p.w : type[i].dim[h + 1];
	}
	return DS_OK;
}

static ds_status made_up(job *j, ds_err *err)
{
	const ds_graph *g = j->m->graph;
	ds_tensor *set;
	ds_type *type = ds_calloc((size_t)g->n_input + 1, sizeof *type);
	ds_status rc = type ? made_up_types(j, type, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK)
		rc = add_set(j, g->n_input, &set, err);
	if (rc == DS_OK)
		rc = ds_inputs_random(g, type, (uint64_t)j->s->c.seed, set, err);
	j->items = g->n_input && type && type[0].rank > 0 ? (int)DS_MAX(j->s->c.batch, 1) : 1;
	ds_free(type);
	return rc;
}

static void on_bad(void *arg, const ds_item *item, const ds_err *err)
{
	job *j = arg;
	(void)item;
	j->failed++;
	j->read++;
	ds_complain(err);
}

static bool same_types(const ds_tensor *a, const ds_tensor *b, int n)
{
	bool same = true;
	for (int i = 0; i < n; i++) {
		ds_type s = ds_type_of(&a[i]), t = ds_type_of(&b[i]);
		same &= s.dtype == t.dtype && ds_type_same_dims(&s, &t);
	}
	return same;
}

ds_status job_inputs(job *j, ds_err *err)
{
	ds_batch b = { 0 };
	ds_tensor *set;
	int64_t max = ds_batch_possible(j->m) ? DS_MAX(j->s->c.batch, 1) : 1;
	ds_status rc = DS_OK;
	if (j->n_set)
		return DS_OK;
	if (!j->samples)
		return made_up(j, err);
	while (j->n_set < SETS && rc == DS_OK) {
		rc = ds_batch_next(&b, j->samples, max, on_bad, j, err);
		if (rc != DS_OK || (j->n_set && !same_types(b.in, j->set[0], j->n_in)))
			break;
		j->read += (uint64_t)b.items;
		j->items = (int)b.items;
		if ((rc = add_set(j, b.n_in, &set, err)) != DS_OK)
			break;
		for (int i = 0; i < b.n_in; i++)
			set[i] = ds_tensor_ref(&b.in[i]);
	}
	ds_batch_done(&b);
	if (rc == DS_END && j->n_set)
		rc = DS_OK;
	else if (rc == DS_END && !j->failed)
		rc = ds_fail(err, DS_E_INPUT, "there is no sample in the inputs");
	return rc;
}

ds_status job_rewind(job *j, ds_err *err)
{
	if (!j->read)
		return DS_OK;
	j->read = j->failed = 0;
	return j->samples->rewind(j->samples, err);
}

/* ---- sessions -------------------------------------------------------------------------------------------------------------------- */
ds_status job_session(job *j, ds_session **s, ds_err *err)
{
	if (!j->session) {
		ds_session_opts o = { .threads = (int)j->s->c.threads, .memory_limit = j->s->c.memory_limit };
		DS_TRY(job_inputs(j, err));
		DS_TRY(ds_session_new_opts(&j->session, j->m->graph, &o, err));
		ds_type *t = ds_calloc((size_t)j->n_in + 1, sizeof *t);
		if (!t)
			return ds_fail_nomem(err, 0);
		for (int i = 0; i < j->n_in; i++)
			t[i] = ds_type_of(&j->set[0][i]);
		ds_status rc = ds_session_plan(j->session, t, j->n_in, err);
		ds_free(t);
		DS_TRY(rc);
	}
	*s = j->session;
	return DS_OK;
}

ds_status job_run(void *arg, int64_t i, ds_err *err)
{
	job *j = arg;
	ds_tensor out[1];
	return ds_session_run_view(j->session, j->set[i % j->n_set], j->n_in, out, 0, err);
}

ds_status job_timing(job *j, const ds_timing **t, ds_err *err)
{
	ds_session *s;
	const ds_ceilings *c;
	*t = &j->timing;
	if (j->timed)
		return DS_OK;
	DS_TRY(job_ceilings(j, &c, err));
	DS_TRY(job_session(j, &s, err));
	ds_time_opts o = { .runs = (int)j->s->runs, .warmup = (int)j->s->warmup, .memory_limit = j->s->c.memory_limit };
	DS_TRY(ds_time_measure(&j->timing, s, &o, job_run, j, err));
	j->timing.items = j->items;
	j->timing.threads = ds_pool_threads(ds_session_pool(s));
	ds_time_ceilings(&j->timing, c);
	j->timed = true;
	return DS_OK;
}
