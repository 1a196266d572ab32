/* model.c - metadata, assets, history; the model as the public interface sees it */
#include "model.h"
#include "../base/str.h"

#include <string.h>

/* ---- metadata ------------------------------------------------------------------------------------------------------------------ */
static void kv_done(ds_kv *k)
{
	if (k->type == DS_KV_LIST)
		for (int i = 0; i < k->n; i++)
			ds_free(k->u.l[i]);
	ds_free(k->u.s);
	ds_free(k->key);
}

void ds_meta_done(ds_meta *m)
{
	for (int i = 0; i < m->n; i++)
		kv_done(&m->kv[i]);
	ds_free(m->kv);
	*m = (ds_meta){ 0 };
}

static int find(const ds_meta *m, const char *key, bool *hit)
{
	int lo = 0, hi = m->n;
	*hit = false;
	while (lo < hi) {
		int mid = (lo + hi) / 2, c = strcmp(m->kv[mid].key, key);
		if (c == 0) {
			*hit = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const ds_kv *ds_meta_find(const ds_meta *m, const char *key)
{
	bool hit;
	int i = find(m, key, &hit);
	return hit ? &m->kv[i] : NULL;
}

const char *ds_meta_str(const ds_meta *m, const char *key)
{
	const ds_kv *k = ds_meta_find(m, key);
	return k && k->type == DS_KV_STR ? k->u.s : NULL;
}

void ds_meta_del(ds_meta *m, const char *key)
{
	bool hit;
	int i = find(m, key, &hit);
	if (!hit)
		return;
	kv_done(&m->kv[i]);
	memmove(m->kv + i, m->kv + i + 1, sizeof *m->kv * (size_t)(m->n - i - 1));
	m->n--;
}

/* Takes k's value (also on failure). */
static ds_status put(ds_meta *m, const char *key, ds_kv k)
{
	bool hit;
	k.key = NULL;
	size_t len = strlen(key);
	if (!len || len > 127 || !ds_text_ok(key, len, false)) {
		kv_done(&k);
		return DS_E_INPUT;
	}
	int i = find(m, key, &hit);
	if (!(k.key = ds_strdup(key)) || (!hit && !ds_grow((void **)&m->kv, (size_t)m->n, &m->cap, sizeof *m->kv))) {
		kv_done(&k);
		return DS_E_NOMEM;
	}
	if (hit) {
		kv_done(&m->kv[i]);
	} else {
		memmove(m->kv + i + 1, m->kv + i, sizeof *m->kv * (size_t)(m->n - i));
		m->n++;
	}
	m->kv[i] = k;
	return DS_OK;
}

ds_status ds_meta_set_str(ds_meta *m, const char *key, const char *v)
{
	if (!ds_text_ok(v, strlen(v), true))
		return DS_E_INPUT;
	ds_kv k = { .type = DS_KV_STR, .n = 1, .u.s = ds_strdup(v) };
	return k.u.s ? put(m, key, k) : DS_E_NOMEM;
}

static void *dup_items(const void *v, int n, size_t size)
{
	void *p = ds_calloc((size_t)n, size);
	if (p && n)
		memcpy(p, v, (size_t)n * size);
	return p;
}

ds_status ds_meta_set_i64(ds_meta *m, const char *key, int n, const int64_t *v)
{
	ds_kv k = { .type = DS_KV_I64, .n = n, .u.i = dup_items(v, n, sizeof *v) };
	return k.u.i ? put(m, key, k) : DS_E_NOMEM;
}

ds_status ds_meta_set_f64(ds_meta *m, const char *key, int n, const double *v)
{
	for (int i = 0; i < n; i++)
		if (v[i] != v[i])
			return DS_E_INPUT;
	ds_kv k = { .type = DS_KV_F64, .n = n, .u.f = dup_items(v, n, sizeof *v) };
	return k.u.f ? put(m, key, k) : DS_E_NOMEM;
}

ds_status ds_meta_set_list(ds_meta *m, const char *key, int n, const char *const *v)
{
	ds_kv k = { .type = DS_KV_LIST, .n = 0, .u.l = ds_calloc((size_t)n, sizeof *k.u.l) };
	if (!k.u.l)
		return DS_E_NOMEM;
	for (; k.n < n; k.n++) {
		bool ok = ds_text_ok(v[k.n], strlen(v[k.n]), false);
		if (!ok || !(k.u.l[k.n] = ds_strdup(v[k.n]))) {
			kv_done(&k);
			return ok ? DS_E_NOMEM : DS_E_INPUT;
		}
	}
	return put(m, key, k);
}

ds_status ds_meta_copy(ds_meta *to, const ds_meta *from)
{
	for (int i = 0; i < from->n; i++) {
		const ds_kv *k = &from->kv[i];
		switch (k->type) {
		case DS_KV_STR:  DS_TRY(ds_meta_set_str(to, k->key, k->u.s)); break;
		case DS_KV_I64:  DS_TRY(ds_meta_set_i64(to, k->key, k->n, k->u.i)); break;
		case DS_KV_F64:  DS_TRY(ds_meta_set_f64(to, k->key, k->n, k->u.f)); break;
		case DS_KV_LIST: DS_TRY(ds_meta_set_list(to, k->key, k->n, (const char *const *)k->u.l)); break;
		}
	}
	return DS_OK;
}

/* ---- model --------------------------------------------------------------------------------------------------------------------- */
ds_model *ds_model_new(void)
{
	ds_model *m = ds_calloc(1, sizeof *m);
	if (m && (!(m->graph = ds_graph_new()) || ds_meta_set_str(&m->meta, "kind", "model") != DS_OK)) {
		ds_model_free(m);
		m = NULL;
	}
	return m;
}

void ds_model_free(ds_model *m)
{
	if (!m)
		return;
	ds_graph_free(m->graph);
	ds_meta_done(&m->meta);
	for (int i = 0; i < m->n_asset; i++) {
		ds_free(m->asset[i].name);
		ds_free(m->asset[i].media);
		ds_buffer_unref(m->asset[i].data);
	}
	ds_free(m->asset);
	for (int i = 0; i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	ds_free(m->history);
	ds_free(m);
}

ds_status ds_model_asset_set(ds_model *m, const char *name, const char *media, ds_buffer *data)
{
	int i = 0;
	while (i < m->n_asset && strcmp(m->asset[i].name, name) < 0)
		i++;
	ds_asset a = { ds_strdup(name), ds_strdup(media), data };
	bool hit = i < m->n_asset && strcmp(m->asset[i].name, name) == 0;
	if (!a.name || !a.media || (!hit && !ds_grow((void **)&m->asset, (size_t)m->n_asset, &m->cap_asset, sizeof *m->asset))) {
		ds_free(a.name);
		ds_free(a.media);
		ds_buffer_unref(data);
		return DS_E_NOMEM;
	}
	if (hit) {
		ds_free(m->asset[i].name);
		ds_free(m->asset[i].media);
		ds_buffer_unref(m->asset[i].data);
	} else {
		memmove(m->asset + i + 1, m->asset + i, sizeof a * (size_t)(m->n_asset - i));
		m->n_asset++;
	}
	m->asset[i] = a;
	return DS_OK;
}

const ds_asset *ds_model_asset(const ds_model *m, const char *name)
{
	for (int i = 0; i < m->n_asset; i++)
		if (strcmp(m->asset[i].name, name) == 0)
			return &m->asset[i];
	return NULL;
}

ds_status ds_model_history_add(ds_model *m, ds_meta *entry)
{
	if (!ds_grow((void **)&m->history, (size_t)m->n_history, &m->cap_history, sizeof *m->history))
		return DS_E_NOMEM;
	m->history[m->n_history++] = *entry;
	*entry = (ds_meta){ 0 };
	return DS_OK;
}

int ds_model_inputs(const ds_model *m)
{
	return m->graph->n_input;
}

int ds_model_outputs(const ds_model *m)
{
	return m->graph->n_output;
}

const char *ds_model_input_name(const ds_model *m, int i)
{
	return m->graph->input[i]->name;
}

const char *ds_model_output_name(const ds_model *m, int i)
{
	return m->graph->output[i]->name;
}

int ds_model_input_type(const ds_model *m, int i, ds_dtype *dtype, int64_t dim[DS_MAX_RANK])
{
	const ds_type *t = &m->graph->input[i]->type;
	*dtype = t->dtype;
	for (int k = 0; k < t->rank; k++)
		dim[k] = t->dim[k] < 0 ? -1 : t->dim[k];
	return t->rank;
}
