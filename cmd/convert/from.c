/* from.c - ds-convert: from a graph, from a bag of tensors, from DSM to DSM */
#include <string.h>

#include "convert.h"

static void say_lines(ds_buf *b, bool warn, const char *name)
{
	for (char *s = b->data, *end; s && *s; s = end) {
		end = strchrnul(s, '\n');
		if (*end)
			*end++ = 0;
		if (warn)
			ds_warn("%s: operator not supported: %s", name, s);
		else
			ds_note("%s", s);
	}
}

static const char *model_path(const settings *s)
{
	const char *path = s->c.model ? s->c.model : s->c.operand.n > 0 ? s->c.operand.v[0] : NULL;
	return path && strcmp(path, "-") != 0 ? path : NULL;
}

static ds_status save_model(const settings *s, ds_model *m, bool guess, const char *source, const labels *l, ds_sink *out, ds_err *err)
{
	const char *external[3];
	int n = 0;
	const ds_dsm_wopts w = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	DS_TRY(convert_put_states(s, m->graph, err));
	DS_TRY(convert_put_meta(s, m->graph, l, guess, &m->meta, err));
	if (s->vocabulary)
		DS_TRY(ds_vocab_set(m, 0, s->vocabulary, err));
	if (s->rows || s->vocabulary)
		DS_TRY(ds_data_check(m, err));
	if (l->data && ds_model_asset_set(m, "labels", "text/plain", ds_buffer_ref(l->data)) != DS_OK)
		return ds_fail_nomem(err, 64);
	if (source)
		external[n++] = source;
	if (l->external)
		external[n++] = l->external;
	if (l->vocabulary)
		external[n++] = l->vocabulary;
	if (!s->c.no_history)
		DS_TRY(ds_history_add(m, s->c.filter->name, s->c.effective, external, n, NULL, err));
	return ds_model_save(m, out, &w, err);
}

/* What a description calls a preset. */
static ds_status preset_meta(const char *name, int input, ds_meta *meta, ds_err *err)
{
	const ds_preset *p = ds_preset_find(name);
	if (!p)
		return DS_E_USAGE;
	ds_status rc = ds_prep_to_meta(&p->spec, meta, input);
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "the preprocessing cannot be stored");
}

/* Does what a description says of its data fit together? */
static ds_status check_meta(const ds_model *m, ds_err *err)
{
	ds_prep_spec p;
	bool present;
	for (int i = 0; i < m->graph->n_input; i++)
		DS_TRY(ds_prep_from_meta(&p, &m->meta, i, &present, err));
	return ds_data_check(m, err);
}

/* The source is taken. */
ds_status convert_from_graph(const settings *s, const ds_format *f, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	ds_source *mem = NULL;
	ds_model *m = NULL;
	ds_buf missing = { 0 }, notes = { 0 };
	const void *p = NULL;
	void *owner = NULL;
	char *source = NULL;
	size_t n = 0;
	int bad = 0;
	const ds_import o = { .path = model_path(s), .memory_limit = s->c.memory_limit, .check_only = s->check, .seed = (uint64_t)s->c.seed,
		.set = s->set.v, .n_set = s->set.n, .preset = preset_meta, .missing = &missing, .notes = &notes };
	ds_status rc;
	DS_GOTO(ds_source_all(in, s->c.memory_limit, &p, &n, &owner, err));
	if (!s->c.no_history && !s->check && !(source = ds_history_external("model", p, n)))
		DS_GOTO(ds_fail_nomem(err, 64));
	DS_GOTO(ds_source_memory(&mem, p, n, ds_source_name(in), err));
	rc = f->read(&m, mem, &o, err);
	say_lines(&notes, false, NULL);
	if (rc == DS_E_UNSUPPORTED && !s->check)
		say_lines(&missing, true, ds_source_name(in));
	if (rc == DS_OK && f->complete)
		rc = check_meta(m, err);
	if (rc == DS_OK && s->check) {
		DS_GOTO(convert_print_check(s, m->graph, out, &bad, err));
		rc = convert_check_result(bad, err);
	} else if (rc == DS_OK) {
		rc = save_model(s, m, !f->complete, source, l, out, err);
	}
out:
	ds_err_in(err, ds_source_name(in));
	ds_model_free(m);
	ds_buf_done(&missing);
	ds_buf_done(&notes);
	ds_free(source);
	ds_source_drop(owner);
	ds_source_close(in);
	return rc;
}

/* ---- from a bag of tensors -------------------------------------------------------------------------------------------------------------- */
/* A source that sums what passes. */
typedef struct summed { ds_source *in; ds_sha256 sum; uint64_t n; } summed;

static int64_t summed_read(void *arg, void *buf, size_t n, ds_err *err)
{
	summed *t = arg;
	size_t got = 0;
	ds_status rc = ds_source_some(t->in, buf, n, &got, err);
	if (rc == DS_END)
		return 0;
	if (rc != DS_OK)
		return -1;
	ds_sha256_add(&t->sum, buf, got);
	t->n += got;
	return (int64_t)got;
}

ds_status convert_from_tensors(const settings *s, const ds_format *f, ds_source *in, ds_sink *out, ds_err *err)
{
	const ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	const ds_import o = { .path = model_path(s), .memory_limit = s->c.memory_limit };
	ds_dsm_writer *w = NULL;
	ds_source *through = NULL;
	summed sum = { .in = in };
	ds_meta entry = { 0 };
	char *external = NULL, hex[65];
	ds_status rc = DS_OK;
	if (s->check || s->prep || s->labels || s->rows || s->state.n)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "it holds tensors and no model, so there is nothing to check and no input or output to describe"));
	ds_sha256_init(&sum.sum);
	DS_GOTO(ds_dsm_create(&w, out, &wo, err));
	DS_GOTO(ds_source_custom(&through, summed_read, NULL, &sum, ds_source_name(in), err));
	rc = f->stream(through, w, &o, err);
	if (rc == DS_OK && !s->c.no_history) {
		ds_sha256_hex(&sum.sum, hex);
		external = ds_history_external_sum("model", hex, sum.n);
		const char *list[1] = { external };
		rc = external ? ds_history_make(&entry, s->c.filter->name, s->c.effective, 0, 0, list, 1, NULL, err) : ds_fail_nomem(err, 64);
		if (rc == DS_OK)
			rc = ds_dsm_put_history(w, &entry, err);
	}
	if (rc == DS_OK)
		rc = ds_dsm_finish(w, err);
out:
	ds_err_in(err, ds_source_name(in));
	ds_meta_done(&entry);
	ds_free(external);
	ds_dsm_writer_free(w);
	ds_source_close(through);
	ds_source_close(in);
	return rc;
}

/* ---- from DSM: record by record ----------------------------------------------------------------------------------------------------------- */
typedef struct change { const settings *s; const labels *l; } change;

static ds_status edit(void *arg, const ds_graph *g, ds_meta *meta, ds_err *err)
{
	const change *c = arg;
	return convert_put_meta(c->s, g, c->l, false, meta, err);
}

static ds_status own_history(void *arg, uint32_t crc, uint64_t len, ds_meta *entry, ds_err *err)
{
	const change *c = arg;
	const ds_common *cm = &c->s->c;
	const char *external[1] = { c->l->external };
	return ds_history_make(entry, cm->filter->name, cm->effective, crc, len, external, c->l->external ? 1 : 0, NULL, err);
}

static void dropped(void *arg, const char *letters)
{
	(void)arg;
	ds_warn("record '%s' is not known and was left out", letters);
}

static ds_status check_dsm(const settings *s, ds_dsm_reader *r, ds_sink *out, ds_err *err)
{
	ds_graph *g = NULL;
	ds_rec rec;
	int missing = 0;
	ds_status rc;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK)
		if (rec.type == DS_REC_GRPH)
			DS_GOTO(ds_dsm_graph(r, &g, NULL, NULL, err));
	if (rc != DS_END)
		goto out;
	if (!g)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "it holds no model, so there is nothing to check"));
	DS_GOTO(convert_print_check(s, g, out, &missing, err));
	rc = convert_check_result(missing, err);
out:
	ds_graph_free(g);
	return rc;
}

/* The source is taken. */
ds_status convert_from_dsm(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	const ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	const ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	bool changed = s->prep || l->data || s->values != VALUES_AUTO;
	char label[] = "labels", media[] = "text/plain";
	const ds_asset asset = { label, media, l->data };
	change ch = { s, l };
	const ds_dsm_pass_opts co = { .edit = changed ? edit : NULL, .arg = &ch, .asset = l->data ? &asset : NULL, .drop_history = s->c.no_history,
		.history = changed && !s->c.no_history ? own_history : NULL, .dropped = dropped };
	ds_dsm_reader *r = NULL;
	ds_dsm_writer *w = NULL;
	char *name = ds_strdup(ds_source_name(in));
	ds_status rc = ds_dsm_open(&r, in, &ro, err);
	if (rc == DS_OK && s->check)
		rc = check_dsm(s, r, out, err);
	else if (rc == DS_OK && (rc = ds_dsm_create(&w, out, &wo, err)) == DS_OK)
		rc = ds_dsm_pass(r, w, &co, err);
	if (name)
		ds_err_in(err, name);
	ds_dsm_writer_free(w);
	ds_dsm_close(r);
	ds_free(name);
	return rc;
}

/* Where the graph changes or an asset is computed, the model is read as a whole.  The source is taken. */
ds_status convert_from_dsm_whole(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	const ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	char *name = ds_strdup(ds_source_name(in));
	ds_model *m = NULL;
	ds_status rc = ds_model_load(&m, in, &ro, err);
	for (int i = 0; rc == DS_OK && s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (rc == DS_OK && s->c.no_history)
		m->n_history = 0;
	if (rc == DS_OK)
		rc = save_model(s, m, false, NULL, l, out, err);
	if (name)
		ds_err_in(err, name);
	ds_model_free(m);
	ds_free(name);
	return rc;
}
