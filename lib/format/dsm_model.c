/* dsm_model.c - whole models: read into memory (weights borrowed from the mapping), written in canonical order */
#include "dsm_int.h"

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct loader {
	ds_dsm_reader *r;
	ds_model      *m;
	ds_value     **param;
	int            n_param, next;
	uint64_t       heap, limit;     /* bytes of payloads that are not borrowed */
	bool           mapped;
} loader;

/* All payloads of a model stay in memory, so the limit is on their sum. */
static ds_status whole(loader *l, const ds_rec *rec, ds_buffer **b, ds_err *err)
{
	if (!l->mapped || rec->codec) {
		l->heap += rec->raw_len;
		if (l->heap > l->limit)
			return ds_fail_at(err, DS_E_LIMIT, rec->offset, "the model needs more memory than --memory-limit (%llu bytes); a regular file is "
				"mapped and does not count", (unsigned long long)l->limit);
	}
	return ds_dsm_payload_all(l->r, b, err);
}

static ds_status load_param(loader *l, const ds_rec *rec, ds_err *err)
{
	ds_value *v = l->param[l->next++];
	ds_buffer *b;
	const ds_qform *q = NULL;
	if (rec->tensor.form.scheme != DS_Q_PLAIN) {
		ds_qform *copy = ds_arena_alloc(&l->m->graph->arena, 1, sizeof *copy);
		if (!copy)
			return ds_fail_nomem(err, sizeof *copy);
		*copy = rec->tensor.form;
		q = copy;
	}
	DS_TRY(whole(l, rec, &b, err));
	v->data.buf = b;
	v->data.data = ds_buffer_data(b);
	v->data.q = q;
	return DS_OK;
}

static ds_status load_asset(loader *l, const ds_rec *rec, ds_err *err)
{
	ds_buffer *b;
	DS_TRY(whole(l, rec, &b, err));
	ds_status rc = ds_model_asset_set(l->m, rec->asset_name, rec->asset_media, b);
	if (rc != DS_OK)
		return ds_fail(err, rc, "asset \"%.100s\" cannot be kept", rec->asset_name);
	return DS_OK;
}

static ds_status load_record(loader *l, const ds_rec *rec, ds_err *err)
{
	ds_meta h;
	const char *kind;
	switch (rec->type) {
	case DS_REC_META:
		ds_meta_done(&l->m->meta);
		DS_TRY(ds_dsm_meta(l->r, &l->m->meta, err));
		kind = ds_meta_str(&l->m->meta, "kind");
		return strcmp(kind, "model") == 0 ? DS_OK : ds_fail_at(err, DS_E_INPUT, rec->offset, "a stream of kind \"%s\", not a model", kind);
	case DS_REC_GRPH:
		ds_graph_free(l->m->graph);
		l->m->graph = NULL;
		return ds_dsm_graph(l->r, &l->m->graph, &l->param, &l->n_param, err);
	case DS_REC_ASSET:
		return load_asset(l, rec, err);
	case DS_REC_TENSOR:
		return load_param(l, rec, err);
	case DS_REC_HIST:
		DS_TRY(ds_dsm_meta(l->r, &h, err));
		if (ds_model_history_add(l->m, &h) != DS_OK) {
			ds_meta_done(&h);
			return ds_fail_nomem(err, sizeof h);
		}
		return DS_OK;
	default:
		return DS_OK;           /* ancillary and unknown: verified while it is skipped */
	}
}

ds_status ds_model_load(ds_model **out, ds_source *src, const ds_dsm_opts *o, ds_err *err)
{
	loader l = { .limit = o && o->memory_limit ? o->memory_limit : DSM_LIMIT, .mapped = ds_source_mapped(src) };
	char name[256];
	ds_rec rec;
	ds_status rc;
	*out = NULL;
	memset(name, 0, sizeof name);
	strncpy(name, ds_source_name(src), sizeof name - 1);
	rc = ds_dsm_open(&l.r, src, o, err);
	if (rc != DS_OK)
		return rc;
	if (!(l.m = ds_model_new()))
		DS_GOTO(ds_fail_nomem(err, sizeof *l.m));
	while ((rc = ds_dsm_next(l.r, &rec, err)) == DS_OK)
		DS_GOTO(load_record(&l, &rec, err));
	if (rc != DS_END)
		goto out;
	ds_dsm_identity(l.r, &l.m->id_crc, &l.m->id_len);
	rc = ds_graph_verify(l.m->graph, NULL, err);
	if (rc == DS_E_UNSUPPORTED && o && o->any_op)
		rc = DS_OK;
	if (rc != DS_OK)
		goto out;
	*out = l.m;
	l.m = NULL;
out:
	if (rc != DS_OK)
		ds_err_in(err, name);
	ds_free(l.param);
	ds_model_free(l.m);
	ds_dsm_close(l.r);
	return rc;
}

ds_status ds_model_read(ds_model **m, const char *path, ds_err *err)
{
	ds_source *src;
	*m = NULL;
	DS_TRY(ds_source_open(&src, path, NULL, err));
	return ds_model_load(m, src, NULL, err);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------------------- */
static ds_status put_all(const ds_model *m, ds_dsm_writer *w, ds_value ***param, ds_err *err)
{
	int n;
	DS_TRY(ds_dsm_put_meta(w, &m->meta, err));
	DS_TRY(ds_dsm_put_graph(w, m->graph, param, &n, err));
	for (int i = 0; i < m->n_asset; i++)
		DS_TRY(ds_dsm_put_asset(w, &m->asset[i], err));
	for (int i = 0; i < n; i++)
		DS_TRY(ds_dsm_put_param(w, (*param)[i], err));
	for (int i = 0; i < m->n_history; i++)
		DS_TRY(ds_dsm_put_history(w, &m->history[i], err));
	return ds_dsm_finish(w, err);
}

ds_status ds_model_save(const ds_model *m, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err)
{
	ds_dsm_writer *w;
	ds_value **param = NULL;
	DS_TRY(ds_dsm_create(&w, sink, o, err));
	ds_status rc = put_all(m, w, &param, err);
	ds_free(param);
	ds_dsm_writer_free(w);
	return rc;
}
