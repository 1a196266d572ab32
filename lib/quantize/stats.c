/* stats.c - statistics of all values of a graph over samples: taken, added up, and put in place of samples
 *
 * Which values a calibration looks at depends on which layers are quantised; statistics are taken of all of them, so that they serve every choice.  What is kept does
 * not depend on the order of the samples (exact.c), and not on how they were divided. */
#include "local.h"
#include "../base/rng.h"

#include <stdlib.h>
#include <string.h>

void ds_qstats_done(ds_qstats *s)
{
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < s->set[k].n; i++)
			ds_observer_done(&s->set[k].value[i].seen);
		ds_free(s->set[k].value);
	}
	ds_arena_done(&s->arena);
	*s = (ds_qstats){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const ds_qseen *)a)->name, ((const ds_qseen *)b)->name);
}

ds_observer *ds_qstats_find(const ds_qset *s, const char *name)
{
	ds_qseen key = { .name = name }, *hit = s->n ? bsearch(&key, s->value, (size_t)s->n, sizeof(*s->value), by_name) : NULL;
	return hit ? &hit->seen : NULL;
}

ds_observer *ds_qstats_add(ds_qstats *s, int set, const char *name)
{
	ds_qset *to = &s->set[set];
	if (!ds_grow((void **)&to->value, (size_t)to->n, &to->cap, sizeof(*to->value)))
		return NULL;
	ds_qseen *v = &to->value[to->n];
	*v = (ds_qseen){ .name = ds_arena_strdup(&s->arena, name) };
	if (!v->name)
		return NULL;
	to->n++;
	return &v->seen;
}

void ds_qstats_sort(ds_qstats *s)
{
	for (int k = 0; k < 2; k++)
		if (s->set[k].n)
			qsort(s->set[k].value, (size_t)s->set[k].n, sizeof(ds_qseen), by_name);
}

ds_status ds_observer_copy(ds_observer *to, const ds_observer *from, ds_err *err)
{
	*to = *from;
	to->sum = NULL;
	to->peak = NULL;
	if (!from->sum)
		return DS_OK;
	size_t n = (size_t)from->channels;
	to->sum = ds_calloc(n, sizeof(*to->sum));
	to->peak = ds_calloc(n, sizeof(*to->peak));
	if (!to->sum || !to->peak)
		return ds_fail_nomem(err, n * sizeof(*to->sum));
	memcpy(to->sum, from->sum, n * sizeof(*to->sum));
	memcpy(to->peak, from->peak, n * sizeof(*to->peak));
	return DS_OK;
}

ds_status ds_qstats_merge(ds_qstats *to, const ds_qstats *from, ds_err *err)
{
	const ds_qset *a = &to->set[DS_QSET_PLAIN], *b = &from->set[DS_QSET_PLAIN];
	if (a->n != b->n)
		return ds_fail(err, DS_E_INPUT, "the statistics are of %d values, the others of %d", b->n, a->n);
	for (int i = 0; i < a->n; i++)
		if (strcmp(a->value[i].name, b->value[i].name) != 0)
			return ds_fail(err, DS_E_INPUT, "the statistics are of a value \"%.100s\" that the others do not have", b->value[i].name);
	for (int i = 0; i < a->n; i++)
		DS_TRY(ds_observer_join(&a->value[i].seen, &b->value[i].seen, err));
	to->samples += from->samples;
	/* factors of equalisation follow from all samples: what was seen behind those of a part is of no use */
	ds_qset *even = &to->set[DS_QSET_EVEN];
	for (int i = 0; i < even->n; i++)
		ds_observer_done(&even->value[i].seen);
	even->n = 0;
	return DS_OK;
}

/* ---- taking ---------------------------------------------------------------------------------------------------------------------- */
static ds_status on_value(void *arg, const ds_node *n, int out_index, const ds_tensor *t, ds_err *err)
{
	ds_observer *o = ds_qstats_find(arg, n->out[out_index]->name);
	ds_status rc = o ? ds_observer_add(o, t, err) : DS_OK;
	if (rc != DS_OK)
		ds_err_prefix(err, "value \"%.100s\"", n->out[out_index]->name);
	return rc;
}

/* One item through the session; what comes out is not kept. */
static ds_status run_item(ds_session *s, const ds_tensor *in, int n_in, ds_tensor *out, int n_out, ds_err *err)
{
	ds_status rc = ds_session_run(s, in, n_in, out, n_out, err);
	for (int i = 0; rc == DS_OK && i < n_out; i++)
		ds_tensor_done(&out[i]);
	return rc;
}

ds_status dsq_watch(ds_qset *set, const ds_graph *g, int threads, const ds_qsamples *samples, int64_t *count, ds_err *err)
{
	ds_session *s = NULL;
	ds_tensor *out = ds_calloc((size_t)g->n_output + 1, sizeof(*out));
	const ds_tensor *in;
	int n_in;
	ds_status rc;
	*count = 0;
	if (!out)
		return ds_fail_nomem(err, 0);
	DS_GOTO(ds_session_new_opts(&s, g, &(ds_session_opts){ .threads = threads, .keep_all = true }, err));
	ds_session_tap(s, on_value, set);
	DS_GOTO(samples->rewind(samples->arg, err));
	while ((rc = samples->next(samples->arg, &in, &n_in, err)) == DS_OK) {
		for (int i = 0; i < n_in && i < g->n_input; i++) {
			ds_observer *seen = ds_qstats_find(set, g->input[i]->name);
			if (seen)
				DS_GOTO(ds_observer_add(seen, &in[i], err));
		}
		DS_GOTO(run_item(s, in, n_in, out, g->n_output, err));
		++*count;
	}
	if (rc == DS_END)
		rc = *count ? DS_OK : ds_fail(err, DS_E_INPUT, "there is no sample to calibrate with");
out:
	ds_session_free(s);
	ds_free(out);
	return rc;
}

static bool looked_at(const ds_value *v)
{
	return v && v->type.dtype == DS_F32 && v->name[0];
}

static ds_status list_values(ds_qstats *s, int set, const ds_graph *g, ds_err *err)
{
	for (int i = 0; i < g->n_input; i++)
		if (looked_at(g->input[i]) && !ds_qstats_add(s, set, g->input[i]->name))
			return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (looked_at(g->node[i]->out[k]) && !ds_qstats_add(s, set, g->node[i]->out[k]->name))
				return ds_fail_nomem(err, 0);
	ds_qstats_sort(s);
	return DS_OK;
}

ds_status dsq_recall(dsq_places *p, const ds_qset *set, ds_err *err)
{
	for (int i = 0; i < p->n_point; i++) {
		const ds_observer *seen = ds_qstats_find(set, p->point[i].v->name);
		if (!seen)
			return ds_fail(err, DS_E_INPUT, "the statistics say nothing of the value \"%.100s\"", p->point[i].v->name);
		ds_observer_done(p->point[i].seen);
		DS_TRY(ds_observer_copy(p->point[i].seen, seen, err));
	}
	return DS_OK;
}

ds_status ds_q_observe(ds_qstats *s, const ds_graph *given, bool equalize, int threads, const ds_qsamples *samples, ds_err *err)
{
	dsq_places at = { 0 };
	ds_q8_opts o = { .threads = threads };
	int sets;
	int64_t again;
	ds_graph *g = ds_graph_clone(given);
	ds_status rc = g ? DS_OK : ds_fail_nomem(err, 0);
	*s = (ds_qstats){ 0 };
	if (rc != DS_OK)
		return rc;
	DS_GOTO(dsq_fold(g, NULL, err));
	DS_GOTO(list_values(s, DS_QSET_PLAIN, g, err));
	DS_GOTO(dsq_watch(&s->set[DS_QSET_PLAIN], g, threads, samples, &s->samples, err));
	if (!equalize)
		goto out;
	DS_GOTO(dsq_places_find(&at, g, &o, err));
	DS_GOTO(dsq_recall(&at, &s->set[DS_QSET_PLAIN], err));
	DS_GOTO(dsq_equalize(g, &at, &sets, NULL, err));
	s->even_print = dsq_print_of(g);
	DS_GOTO(list_values(s, DS_QSET_EVEN, g, err));
	rc = dsq_watch(&s->set[DS_QSET_EVEN], g, threads, samples, &again, err);
out:
	dsq_places_done(&at);
	ds_graph_free(g);
	return rc;
}

/* ---- in place of samples ---------------------------------------------------------------------------------------------------------- */
uint64_t dsq_print_of(const ds_graph *g)
{
	uint64_t h = 0;
	for (int i = 0; i < g->n_weight; i++) {
		const ds_tensor *t = &g->weight[i]->data;
		if (g->weight[i]->kind == DS_V_PARAM && t->data && !t->q && t->dtype == DS_F32)
			h += ds_hash64(t->data, ds_tensor_bytes(t), ds_hash64(g->weight[i]->name, strlen(g->weight[i]->name), 1));
	}
	return h;
}

ds_status dsq_look(dsq_places *p, const ds_graph *g, const ds_q8_opts *o, int set, const ds_qsamples *samples, int64_t *count, ds_err *err)
{
	if (o->stats) {
		const ds_qstats *s = o->stats;
		*count = s->samples;
		if (set == DS_QSET_EVEN && !s->set[set].n)
			return ds_fail(err, DS_E_INPUT, "the statistics were taken without equalisation, which this model is to have (--equalize no leaves it out)");
		if (set == DS_QSET_EVEN && dsq_print_of(g) != s->even_print)
			return ds_fail(err, DS_E_INPUT, "the statistics were taken behind another equalisation: with all layers quantised; this choice of layers wants samples");
		return dsq_recall(p, &s->set[set], err);
	}
	/* only what is wanted is looked at */
	ds_qstats s = { 0 };
	ds_status rc = DS_OK;
	for (int i = 0; i < p->n_point && rc == DS_OK; i++)
		if (!ds_qstats_add(&s, 0, p->point[i].v->name))
			rc = ds_fail_nomem(err, 0);
	ds_qstats_sort(&s);
	if (rc == DS_OK)
		rc = dsq_watch(&s.set[0], g, o->threads, samples, count, err);
	if (rc == DS_OK)
		rc = dsq_recall(p, &s.set[0], err);
	ds_qstats_done(&s);
	return rc;
}
