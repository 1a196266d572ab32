/* certainty.c - what a model keeps of its fitted uncertainty (META uncertainty.*), and whether it is still the function that this was fitted for */
#include "uncertain.h"
#include "../base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the identity of a function -------------------------------------------------------------------------------------------------- */
/* Hashes of values by id.  Names of inner values and the order of nodes do not count, because filters that change nothing may change these. */

static uint64_t join(uint64_t h, const void *p, size_t n)
{
	return ds_hash64(p, n, h);
}

static uint64_t join_u(uint64_t h, uint64_t v)
{
	return join(h, &v, sizeof v);
}

static uint64_t join_text(uint64_t h, const char *s)
{
	return join(h, s, strlen(s));
}

static ds_status join_tensor(uint64_t *h, const ds_tensor *t, ds_err *err)
{
	size_t bytes = t->q ? 0 : ds_tensor_bytes(t);
	*h = join_u(*h, (uint64_t)t->dtype << 8 | (uint64_t)t->rank);
	*h = join(*h, t->dim, (size_t)t->rank * sizeof *t->dim);
	if (t->q) {
		ds_qsize s;
		DS_TRY(ds_qform_size(t->q, t->rank, t->dim, &s, err));
		bytes = s.total;
		*h = join_u(*h, (uint64_t)t->q->code << 40 | (uint64_t)t->q->scheme << 32 | (uint64_t)t->q->gran << 24 | t->q->group);
	}
	if (t->data)
		*h = join(*h, t->data, bytes);
	return DS_OK;
}

static ds_status join_graph(uint64_t *h, const ds_graph *g, uint64_t *of, ds_err *err);

static ds_status join_attr(uint64_t *h, const ds_attr *a, uint64_t *of, ds_err *err)
{
	*h = join_u(join_text(*h, a->key), a->type);
	switch (a->type) {
	case DS_T_INT:
		*h = join(*h, &a->u.i, sizeof a->u.i);
		return DS_OK;
	case DS_T_FLOAT:
		*h = join(*h, &a->u.f, sizeof a->u.f);
		return DS_OK;
	case DS_T_STR:
		*h = join_text(*h, a->u.s);
		return DS_OK;
	case DS_T_INTS:
		*h = join(*h, a->u.is.v, (size_t)a->u.is.n * sizeof *a->u.is.v);
		return DS_OK;
	case DS_T_FLOATS:
		*h = join(*h, a->u.fs.v, (size_t)a->u.fs.n * sizeof *a->u.fs.v);
		return DS_OK;
	case DS_T_STRS:
		for (int i = 0; i < a->u.ss.n; i++)
			*h = join_text(*h, a->u.ss.v[i]);
		return DS_OK;
	case DS_T_TENSOR:
		return a->u.t ? join_tensor(h, &a->u.t->data, err) : DS_OK;
	case DS_T_GRAPH:
		return join_graph(h, a->u.g, of, err);
	default:
		return DS_OK;
	}
}

static ds_status join_graph(uint64_t *h, const ds_graph *g, uint64_t *of, ds_err *err)
{
	for (int i = 0; i < g->n_input; i++)
		of[g->input[i]->id] = join_u(0x696E707574, (uint64_t)i);
	for (int i = 0; i < g->n_weight; i++) {
		uint64_t w = 0x776569676874;
		DS_TRY(join_tensor(&w, &g->weight[i]->data, err));
		of[g->weight[i]->id] = w;
	}
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		uint64_t k = join_text(join_text(1, n->domain), n->op_name);
		for (int a = 0; a < n->n_attr; a++)
			DS_TRY(join_attr(&k, &n->attr[a], of, err));
		for (int a = 0; a < n->n_in; a++)
			k = join_u(k, n->in[a] ? of[n->in[a]->id] : 0);
		for (int o = 0; o < n->n_out; o++)
			of[n->out[o]->id] = join_u(k, (uint64_t)o);
	}
	for (int i = 0; i < g->n_output; i++)
		*h = join_u(*h, of[g->output[i]->id]);
	return DS_OK;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static uint64_t join_meta(uint64_t h, const ds_meta *m)
{
	for (int i = 0; i < m->n; i++) {
		const ds_kv *k = &m->kv[i];
		if (!begins(k->key, "input.") && !begins(k->key, "output."))
			continue;
		h = join_u(join_text(h, k->key), k->type);
		if (k->type == DS_KV_STR)
			h = join_text(h, k->u.s);
		else if (k->type != DS_KV_LIST)
			h = join(h, k->type == DS_KV_I64 ? (const void *)k->u.i : k->u.f, (size_t)k->n * 8);
		for (int v = 0; k->type == DS_KV_LIST && v < k->n; v++)
			h = join_text(h, k->u.l[v]);
	}
	return h;
}

ds_status ds_function_identity(const ds_model *m, char out[17], ds_err *err)
{
	uint64_t h = 0, *of = NULL;
	ds_graph *g = ds_graph_clone(m->graph);         /* numbering writes into the graph */
	ds_status rc = DS_E_NOMEM;
	if (g) {
		ds_graph_number(g);
		of = ds_calloc((size_t)ds_graph_values(g) + 1, sizeof *of);
	}
	rc = of ? join_graph(&h, g, of, err) : ds_fail_nomem(err, 0);
	ds_free(of);
	ds_graph_free(g);
	snprintf(out, 17, "%016" PRIx64, join_meta(h, &m->meta));
	return rc;
}

/* ---- META ------------------------------------------------------------------------------------------------------------------------ */

void ds_certainty_done(ds_certainty *c)
{
	ds_free(c->residual);
	*c = (ds_certainty){ 0 };
}

/* n numbers under the key; false: not there.  Anything else there is DS_E_INPUT. */
static ds_status get(const ds_meta *m, const char *key, ds_kv_type type, int n, const ds_kv **kv, ds_err *err)
{
	*kv = ds_meta_find(m, key);
	if (*kv && ((*kv)->type != type || (n ? (*kv)->n != n : (*kv)->n < 1)))
		return ds_fail(err, DS_E_INPUT, "META %s: not %s%d numbers", key, n ? "" : "at least ", n ? n : 1);
	return DS_OK;
}

/* Quantiles do not fall as alpha does. */
static ds_status check_table(const double *q, const char *key, ds_err *err)
{
	for (int i = 1; i < DS_ALPHAS; i++) {
		if (!(q[i] <= q[i - 1]))
			return ds_fail(err, DS_E_INPUT, "META %s: the quantiles rise with alpha", key);
	}
	return DS_OK;
}

static void set_key(char key[40], int score)
{
	snprintf(key, 40, "uncertainty.%s", ds_set_names[score]);
}

static ds_status read_classes(ds_certainty *c, const ds_meta *m, ds_err *err)
{
	const ds_kv *t, *raps, *k, *q;
	DS_TRY(get(m, "uncertainty.temperature", DS_KV_F64, 1, &t, err));
	DS_TRY(get(m, "uncertainty.raps.lambda", DS_KV_F64, 1, &raps, err));
	DS_TRY(get(m, "uncertainty.raps.k", DS_KV_I64, 1, &k, err));
	if (!t)
		return DS_OK;
	c->temperature = t->u.f[0];
	c->lambda = raps ? raps->u.f[0] : 0;
	c->k = k ? k->u.i[0] : 0;
	if (!(c->temperature >= DS_TEMPERATURE_MIN && c->temperature <= DS_TEMPERATURE_MAX))
		return ds_fail(err, DS_E_INPUT, "META uncertainty.temperature: %g", c->temperature);
	if (!raps || !(c->lambda >= 0) || c->k < 1)
		return ds_fail(err, DS_E_INPUT, "META uncertainty.raps.lambda, uncertainty.raps.k: missing or negative");
	for (int i = 0; i < DS_SET_SCORES; i++) {
		char key[40];
		set_key(key, i);
		DS_TRY(get(m, key, DS_KV_F64, DS_ALPHAS, &q, err));
		if (!q)
			return ds_fail(err, DS_E_INPUT, "META %s is missing", key);
		memcpy(c->set[i], q->u.f, sizeof c->set[i]);
		DS_TRY(check_table(c->set[i], key, err));
	}
	c->classes = true;
	return DS_OK;
}

static ds_status read_values(ds_certainty *c, const ds_meta *m, ds_err *err)
{
	const ds_kv *r;
	DS_TRY(get(m, "uncertainty.residual", DS_KV_F64, 0, &r, err));
	if (!r)
		return DS_OK;
	if (r->n % DS_ALPHAS)
		return ds_fail(err, DS_E_INPUT, "META uncertainty.residual: %d numbers are no rows of %d", r->n, DS_ALPHAS);
	c->n_value = r->n / DS_ALPHAS;
	c->residual = ds_calloc((size_t)r->n, sizeof *c->residual);
	if (!c->residual)
		return ds_fail_nomem(err, (size_t)r->n * sizeof *c->residual);
	memcpy(c->residual, r->u.f, (size_t)r->n * sizeof *c->residual);
	for (int64_t i = 0; i < c->n_value; i++)
		DS_TRY(check_table(c->residual + i * DS_ALPHAS, "uncertainty.residual", err));
	c->values = true;
	return DS_OK;
}

ds_status ds_certainty_from_meta(ds_certainty *c, const ds_model *m, ds_err *err)
{
	const ds_kv *n;
	char now[17];
	*c = (ds_certainty){ 0 };
	const char *was = ds_meta_str(&m->meta, "uncertainty.model");
	ds_status rc = get(&m->meta, "uncertainty.samples", DS_KV_I64, 1, &n, err);
	if (rc != DS_OK || !was || !n)
		return rc;
	c->n = n->u.i[0];
	rc = c->n < 1 ? ds_fail(err, DS_E_INPUT, "META uncertainty.samples: %lld", (long long)c->n) : read_classes(c, &m->meta, err);
	if (rc == DS_OK)
		rc = read_values(c, &m->meta, err);
	if (rc == DS_OK)
		rc = ds_function_identity(m, now, err);
	c->stale = rc == DS_OK && strcmp(now, was) != 0;
	if (rc != DS_OK)
		ds_certainty_done(c);
	return rc;
}

static void clear(ds_meta *m)
{
	for (int i = m->n; i-- > 0;) {
		if (begins(m->kv[i].key, "uncertainty."))
			ds_meta_del(m, m->kv[i].key);
	}
}

ds_status ds_certainty_to_meta(const ds_certainty *c, ds_model *m, ds_err *err)
{
	char id[17], key[40];
	ds_meta *t = &m->meta;
	clear(t);
	DS_TRY(ds_function_identity(m, id, err));
	ds_status rc = ds_meta_set_str(t, "uncertainty.model", id);
	if (rc == DS_OK)
		rc = ds_meta_set_i64(t, "uncertainty.samples", 1, &c->n);
	if (rc == DS_OK && c->classes)
		rc = ds_meta_set_f64(t, "uncertainty.temperature", 1, &c->temperature);
	if (rc == DS_OK && c->classes)
		rc = ds_meta_set_f64(t, "uncertainty.raps.lambda", 1, &c->lambda);
	if (rc == DS_OK && c->classes)
		rc = ds_meta_set_i64(t, "uncertainty.raps.k", 1, &c->k);
	for (int i = 0; i < DS_SET_SCORES && rc == DS_OK && c->classes; i++) {
		set_key(key, i);
		rc = ds_meta_set_f64(t, key, DS_ALPHAS, c->set[i]);
	}
	if (rc == DS_OK && c->values)
		rc = ds_meta_set_f64(t, "uncertainty.residual", (int)(c->n_value * DS_ALPHAS), c->residual);
	return rc == DS_OK ? rc : rc == DS_E_NOMEM ? ds_fail_nomem(err, 0) : ds_fail(err, rc, "the fitted uncertainty does not fit into META");
}
