/* recalibrate.c - batch statistics in place of stored ones, and their averages into the model
 *
 * Each BatchNormalization is replaced by the arithmetic of its training form, so the ordinary executor computes it:
 *   mean = ReduceMean(x), d = x - mean, var = ReduceMean(d * d), y = d / sqrt(var + eps) * gamma + beta
 * and a tap reads mean and var as they are made.  Sums over batches are double in batch order. */
#include "prune.h"

#include <stdio.h>
#include <string.h>

typedef struct norm { const char *bn, *mean, *centred, *var; double *sum_mean, *sum_var; int64_t channels; double count; } norm;
struct ds_recal {
	ds_graph   *g;
	ds_session *s;
	norm       *norm;
	int         n;
	int64_t     batches;
};

static ds_value *add_node(ds_graph *g, int *at, const char *op, const char *name, int n_in, ds_value *const *in)
{
	const char *out = name;
	ds_node *n = ds_graph_insert(g, *at, "", op, name, n_in, in, 1, &out);
	if (!n)
		return NULL;
	++*at;
	return n->out[0];
}

/* A [C] parameter as [C, 1, ..., 1] for broadcasting against rank `rank`. */
static ds_value *as_column(ds_graph *g, ds_value *v, int rank, const char *name)
{
	ds_tensor t = ds_tensor_ref(&v->data);
	t.rank = rank - 1;
	t.dim[0] = ds_tensor_count(&v->data);
	for (int i = 1; i < t.rank; i++)
		t.dim[i] = 1;
	ds_value *r = ds_graph_weight(g, DS_V_PARAM, name, &t);
	ds_tensor_done(&t);
	return r;
}

static ds_status replace(ds_recal *r, int *at, norm *m, ds_err *err)
{
	ds_graph *g = r->g;
	ds_node *bn = g->node[*at];
	ds_value *x = bn->in[0];
	int rank = x->type.rank;
	char name[7][320];
	static const char *const part[7] = { "mean", "centred", "squared", "var", "gamma", "beta", "eps" };
	int64_t axes[DS_MAX_RANK], n_axes = 0;
	if (rank < 2)
		return ds_fail(err, DS_E_UNSUPPORTED, "node \"%.100s\": batch norm of a value whose rank is not known", bn->name);
	for (int i = 0; i < rank; i++)
		if (i != 1)
			axes[n_axes++] = i;
	for (int i = 0; i < 7; i++)
		snprintf(name[i], sizeof name[i], "ds.recal.%.280s.%s", bn->name, part[i]);
	const ds_attr *e = ds_attr_find(bn, "epsilon");
	ds_value *ax = ds_graph_const_i64(g, n_axes, axes), *eps = ds_graph_const_f32(g, (float)(e ? e->u.f : 1e-5));
	ds_value *gamma = as_column(g, bn->in[1], rank, name[4]), *beta = as_column(g, bn->in[2], rank, name[5]);
	ds_value *mean = ax && eps && gamma && beta ? add_node(g, at, "ReduceMean", name[0], 2, (ds_value *[]){ x, ax }) : NULL;
	ds_value *d = mean ? add_node(g, at, "Sub", name[1], 2, (ds_value *[]){ x, mean }) : NULL;
	ds_value *sq = d ? add_node(g, at, "Mul", name[2], 2, (ds_value *[]){ d, d }) : NULL;
	ds_value *var = sq ? add_node(g, at, "ReduceMean", name[3], 2, (ds_value *[]){ sq, ax }) : NULL;
	ds_value *ve = var ? add_node(g, at, "Add", "", 2, (ds_value *[]){ var, eps }) : NULL;
	ds_value *sd = ve ? add_node(g, at, "Sqrt", "", 1, (ds_value *[]){ ve }) : NULL;
	ds_value *k = sd ? add_node(g, at, "Div", "", 2, (ds_value *[]){ gamma, sd }) : NULL;
	ds_value *yk = k ? add_node(g, at, "Mul", "", 2, (ds_value *[]){ d, k }) : NULL;
	ds_value *y = yk ? add_node(g, at, "Add", "", 2, (ds_value *[]){ yk, beta }) : NULL;
	if (!y)
		return ds_fail_nomem(err, 0);
	m->bn = bn->name;
	m->mean = mean->name;
	m->centred = d->name;
	m->var = var->name;
	m->channels = ds_tensor_count(&bn->in[1]->data);
	m->sum_mean = ds_calloc((size_t)m->channels + 1, sizeof(double));
	m->sum_var = ds_calloc((size_t)m->channels + 1, sizeof(double));
	if (!m->sum_mean || !m->sum_var)
		return ds_fail_nomem(err, 0);
	ds_graph_replace(g, bn->out[0], y);
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

/* Sum this batch's statistics: values of the means and variances as they are computed. */
static ds_status tap(void *arg, const ds_node *n, int out_index, const ds_tensor *t, ds_err *err)
{
	ds_recal *r = arg;
	(void)err, (void)out_index;
	if (strncmp(n->name, "ds.recal.", 9) != 0)
		return DS_OK;
	for (int i = 0; i < r->n; i++) {
		norm *m = &r->norm[i];
		bool mean = strcmp(n->name, m->mean) == 0, var = strcmp(n->name, m->var) == 0;
		for (int64_t c = 0; (mean || var) && c < m->channels; c++)
			(mean ? m->sum_mean : m->sum_var)[c] += mean ? (double)((const float *)t->data)[c] :
				(double)((const float *)t->data)[c] * (m->count > 1 ? m->count / (m->count - 1) : 1);
		if (strcmp(n->name, m->centred) == 0)
			m->count = (double)ds_tensor_count(t) / (double)m->channels;     /* points per channel in this batch */
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
	DS_GOTO(ds_graph_verify(r->g, NULL, err));
	DS_GOTO(ds_graph_infer(r->g, err));
	r->norm = ds_calloc((size_t)r->g->n_node + 1, sizeof *r->norm);
	if (!r->norm) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < r->g->n_node; i++)
		if (is_norm(r->g->node[i]))
			DS_GOTO(replace(r, &i, &r->norm[r->n++], err));
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
	ds_tensor out[1];
	DS_TRY(ds_session_run(r->s, in, n_in, out, 1, err));
	ds_tensor_done(&out[0]);
	r->batches++;
	return DS_OK;
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
			if (strcmp(r->norm[k].bn, n->name) == 0) {
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
