/* score.c - --score reconstruction: how far a model's output is from its input, as a whole and column by column */
#include <math.h>
#include <string.h>

#include "job.h"

/* Do the shapes allow that output 0 gives input 0 again?  What is not known yet is found out item by item. */
static bool alike(const ds_type *a, const ds_type *b)
{
	bool known = a->rank >= 0 && b->rank >= 0;
	for (int i = 0; known && a->rank == b->rank && i < a->rank; i++) {
		if (a->dim[i] >= 0 && b->dim[i] >= 0 && a->dim[i] != b->dim[i])
			return false;
	}
	return !known || a->rank == b->rank;
}

ds_status run_score_open(job *j, ds_err *err)
{
	ds_model *m = j->here.m;
	const char *say = ds_meta_str(&m->meta, "output.0.values");
	const ds_kv *columns = ds_meta_find(&m->meta, "output.0.columns");
	if (j->s->score != SCORE_RECONSTRUCTION || (say && !strcmp(say, "input")))
		return DS_OK;
	ds_graph *g = ds_graph_clone(m->graph);
	if (!g)
		return ds_fail_nomem(err, 0);
	bool fits = g->n_input && g->n_output;
	if (fits && ds_graph_infer(g, NULL) == DS_OK)
		fits = alike(&g->input[0]->type, &g->output[0]->type);
	ds_graph_free(g);
	if (!fits)
		return ds_fail(err, DS_E_UNSUPPORTED, "--score reconstruction: the first output does not have the shape of the first input");
	if (columns && columns->n > 1)          /* what it was said to answer to */
		ds_meta_del(&m->meta, "output.0.columns");
	return ds_meta_set_str(&m->meta, "output.0.values", "input") == DS_OK ? DS_OK : ds_fail_nomem(err, 0);
}

int run_score_columns(job *j, char *const **names)
{
	const ds_kv *c = ds_meta_find(&j->here.m->meta, "input.0.columns");
	const char *kind = ds_meta_str(&j->here.m->meta, "input.0.kind");
	bool many = j->s->score == SCORE_RECONSTRUCTION && c && c->type == DS_KV_LIST && c->n > 1 && kind && !strcmp(kind, "table");
	*names = many ? c->u.l : NULL;
	return many ? c->n : 0;
}

/* How many elements of column 0 stand together: 1 where columns come last, else the steps in time. */
static int64_t run_length(const job *j, const ds_tensor *t, int n)
{
	const char *layout = ds_meta_str(&j->here.m->meta, "input.0.layout");
	int64_t all = ds_tensor_count(t);
	bool first = layout ? !strcmp(layout, "NCT") : t->rank >= 3 && t->dim[t->rank - 1] != n && t->dim[1] == n;
	return first && all % n == 0 ? all / n : 1;
}

ds_status run_score_error(job *j, const ds_result *r, double *all, double *each, ds_err *err)
{
	ds_fit f = { 0 };
	char *const *name;
	int n = run_score_columns(j, &name);
	if (!r->n_out)
		return ds_fail(err, DS_E_UNSUPPORTED, "a model without outputs answers to nothing");
	DS_TRY(ds_fit_add(&f, &r->out[0], r->target, err));
	*all = f.n ? f.square / (double)f.n : NAN;
	if (!each || !n)
		return DS_OK;
	int64_t run = run_length(j, r->target, n), count = ds_tensor_count(r->target);
	for (int i = 0; i < n; i++)
		each[i] = 0;
	for (int64_t i = 0; i < count; i++) {
		double d = ds_tensor_f64(&r->out[0], i) - ds_tensor_f64(r->target, i);
		each[i / run % n] += d * d * n / (double)count;
	}
	return DS_OK;
}
