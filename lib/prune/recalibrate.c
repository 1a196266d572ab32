/* recalibrate.c - batch statistics in place of stored ones, and their averages into the model
 *
 * Every BatchNormalization is switched to its training form with momentum 0, so that its second and third output are the mean and variance of the batch, and a tap reads
 * them as they are computed.  Sums over batches are double in batch order. */
#include "prune.h"

#include <string.h>

typedef struct norm { const char *name; double *sum_mean, *sum_var; int64_t channels; double count; } norm;
struct ds_recal {
	ds_graph   *g;
	ds_session *s;
	norm       *norm;
	int         n;
	int64_t     batches;
};

/* Put the training form in the place of node `at`. */
static ds_status replace(ds_recal *r, int at, norm *m, ds_err *err)
{
	ds_graph *g = r->g;
	ds_node *bn = g->node[at];
	const ds_attr *e = ds_attr_find(bn, "epsilon");
	ds_node *n = ds_graph_insert(g, at, "", bn->op_name, bn->name, bn->n_in, bn->in, 3, NULL);
	*m = (norm){ .name = bn->name, .channels = ds_tensor_count(&bn->in[1]->data) };
	m->sum_mean = ds_calloc((size_t)m->channels, sizeof(double));
	m->sum_var = ds_calloc((size_t)m->channels, sizeof(double));
	if (!n || !m->sum_mean || !m->sum_var || ds_attr_f(n, "epsilon", e ? e->u.f : 1e-5) != DS_OK || ds_attr_f(n, "momentum", 0) != DS_OK ||
		ds_attr_i(n, "training_mode", 1) != DS_OK)
		return ds_fail_nomem(err, 0);
	ds_graph_replace(g, bn->out[0], n->out[0]);
	return DS_OK;
}

static bool is_norm(const ds_node *n)
{
	if (strcmp(n->op_name, "BatchNormalization") != 0 || n->domain[0])
		return false;
	for (int i = 1; i <= 4; i++)
		if (!n->in[i] || n->in[i]->kind == DS_V_NODE || !n->in[i]->data.data || n->in[i]->data.q)
			return false;
	return true;
}

/* Sum this batch's statistics as they are computed: output 0 is the normalised value, 1 the mean, 2 the variance over all points. */
static ds_status tap(void *arg, const ds_node *n, int out_index, const ds_tensor *t, ds_err *err)
{
	ds_recal *r = arg;
	(void)err;
	for (int i = 0; i < r->n && strcmp(n->op_name, "BatchNormalization") == 0; i++) {
		norm *m = &r->norm[i];
		if (strcmp(n->name, m->name) != 0)
			continue;
		if (out_index == 0)
			m->count = (double)ds_tensor_count(t) / (double)m->channels;
		double unbias = m->count > 1 ? m->count / (m->count - 1) : 1;
		for (int64_t c = 0; out_index > 0 && c < m->channels; c++)
			(out_index == 1 ? m->sum_mean : m->sum_var)[c] += (double)((const float *)t->data)[c] * (out_index == 1 ? 1 : unbias);
	}
	return DS_OK;
}

ds_status ds_recal_new(ds_recal **out, const ds_model *m, int threads, ds_err *err)
{
	ds_recal *r = ds_calloc(1, sizeof *r);
	ds_status rc = DS_OK;
	*out = NULL;
	if (!r || !(r->g = ds_graph_clone(m->graph)) || ds_graph_name_all(r->g) != DS_OK) {
		rc = ds_fail_nomem(err, sizeof *r);
		goto out;
	}
	r->norm = ds_calloc((size_t)r->g->n_node + 1, sizeof *r->norm);
	if (!r->norm) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < r->g->n_node; i++)
		if (is_norm(r->g->node[i]))
			DS_GOTO(replace(r, i++, &r->norm[r->n++], err));
	ds_graph_prune_dead(r->g);
	DS_GOTO(ds_session_new_opts(&r->s, r->g, &(ds_session_opts){ .threads = threads, .keep_all = true }, err));
	ds_session_tap(r->s, tap, r);
	*out = r;
	r = NULL;
out:
	ds_recal_free(r);
	return rc;
}

int ds_recal_norms(const ds_recal *r)
{
	return r->n;
}

ds_status ds_recal_batch(ds_recal *r, const ds_tensor *in, int n_in, ds_err *err)
{
	int n_out = r->g->n_output;
	ds_tensor *out = ds_calloc((size_t)n_out + 1, sizeof *out);
	if (!out)
		return ds_fail_nomem(err, (size_t)n_out * sizeof *out);
	ds_status rc = ds_session_run(r->s, in, n_in, out, n_out, err);
	for (int i = 0; i < n_out; i++)
		ds_tensor_done(&out[i]);
	ds_free(out);
	r->batches += rc == DS_OK;
	return rc;
}

static ds_status put(ds_value *v, const double *sum, int64_t n, double batches, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_tensor_new(&t, DS_F32, 1, &n, err));
	for (int64_t c = 0; c < n; c++)
		((float *)t.data)[c] = (float)(sum[c] / batches);
	ds_tensor_done(&v->data);
	v->data = t;
	v->type = ds_type_of(&t);
	return DS_OK;
}

ds_status ds_recal_finish(ds_recal *r, ds_model *m, ds_err *err)
{
	if (!r->batches)
		return ds_fail(err, DS_E_INPUT, "no sample to recalibrate with");
	if (ds_graph_name_all(m->graph) != DS_OK)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < m->graph->n_node; i++) {
		ds_node *n = m->graph->node[i];
		for (int k = 0; k < r->n && is_norm(n); k++)
			if (strcmp(r->norm[k].name, n->name) == 0) {
				DS_TRY(put(n->in[3], r->norm[k].sum_mean, r->norm[k].channels, (double)r->batches, err));
				DS_TRY(put(n->in[4], r->norm[k].sum_var, r->norm[k].channels, (double)r->batches, err));
			}
	}
	return DS_OK;
}

void ds_recal_free(ds_recal *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n; i++) {
		ds_free(r->norm[i].sum_mean);
		ds_free(r->norm[i].sum_var);
	}
	ds_free(r->norm);
	ds_session_free(r->s);
	ds_graph_free(r->g);
	ds_free(r);
}
