/* tensors.c - outputs and inner values as a tensor stream */
#include <string.h>

#include "job.h"

static bool wanted(const job *j, const char *name)
{
	return !*j->s->tensors || ds_glob(j->s->tensors, name);
}

/* Does the pattern name values that are no outputs?  One that names nothing at all is a mistake. */
ds_status run_find_taps(job *j, ds_err *err)
{
	const ds_graph *g = j->here.m->graph;
	int hits = 0;
	for (int i = 0; i < g->n_output; i++)
		hits += wanted(j, g->output[i]->name);
	for (int i = 0; i < g->n_node && *j->s->tensors; i++) {
		for (int k = 0; k < g->node[i]->n_out; k++) {
			const ds_value *v = g->node[i]->out[k];
			bool output = false;
			for (int o = 0; o < g->n_output; o++)
				output = output || g->output[o] == v;
			if (*v->name && !output && wanted(j, v->name)) {
				j->taps = true;
				hits++;
			}
		}
	}
	return hits ? DS_OK : ds_fail(err, DS_E_USAGE, "--tensors=%s: no value of the graph has such a name", j->s->tensors);
}

ds_status run_on_tap(void *arg, const ds_node *n, int i, const ds_tensor *t, ds_err *err)
{
	job *j = arg;
	const char *name = n->out[i]->name;
	if (!*name || !wanted(j, name))
		return DS_OK;
	if (!ds_grow((void **)&j->tap, j->n_tap, &j->cap_tap, sizeof *j->tap))
		return ds_fail_nomem(err, sizeof *j->tap);
	/* the tensor may be a window into memory that is used again, in any layout: keep plain bytes of our own */
	ds_tensor *keep = &j->tap[j->n_tap].t;
	DS_TRY(ds_tensor_new(keep, t->dtype, t->rank, t->dim, err));
	j->tap[j->n_tap++].name = name;
	return ds_tensor_relayout(t, keep, err);
}

void run_forget_taps(job *j)
{
	while (j->n_tap)
		ds_tensor_done(&j->tap[--j->n_tap].t);
}

static ds_status tensors_start(job *j, ds_err *err)
{
	ds_dsm_wopts o = { .compress = j->s->c.compress, .memory_limit = j->s->c.memory_limit };
	ds_meta m = { 0 };
	DS_TRY(ds_dsm_create(&j->w, j->out, &o, err));
	ds_status rc = ds_meta_set_str(&m, "kind", "tensors");
	if (rc == DS_OK)
		rc = ds_dsm_put_meta(j->w, &m, err);
	ds_meta_done(&m);
	return rc;
}

static ds_status tensors_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	uint32_t item = (uint32_t)j->written++;
	for (size_t i = 0; i < j->n_tap; i++)
		DS_TRY(ds_dsm_put_tensor(j->w, &j->tap[i].t, j->tap[i].name, item, r->name, r->name_len, err));
	for (int i = 0; i < r->n_out && !j->taps; i++) {
		const char *name = ds_model_output_name(j->here.m, i);
		if (wanted(j, name))
			DS_TRY(ds_dsm_put_tensor(j->w, &r->out[i], name, item, r->name, r->name_len, err));
	}
	return run_report_item(j, r, -1, 0, err);
}

static ds_status tensors_end(job *j, ds_err *err)
{
	return ds_dsm_finish(j->w, err);
}

static bool asked(const settings *s)
{
	return s->tensors != NULL;
}

const run_mode run_tensors = { asked, tensors_start, tensors_item, tensors_end, NULL };
