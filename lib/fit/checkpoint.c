/* checkpoint.c - a run on disk: a container of kind `checkpoint` with the model's graph, its present weights, and by name what else a step changes
 *
 * Names: those of the trainer ("moment0/NAME", "average/NAME", "step"; its "param/NAME" and "state/NAME" are the graph's weights) and "best/NAME" for the weights of
 * the best model.  META holds the position (train.counts, train.figures), the settings and the identity of the model that the run began with. */
#include "fit_int.h"
#include "../format/dsm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */
typedef struct entry { char *name; const ds_tensor *t; } entry;

static int by_name(const void *a, const void *b)
{
	return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static ds_value *weight(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_weight; i++) {
		if (g->weight[i]->kind == DS_V_PARAM && !strcmp(g->weight[i]->name, name))
			return g->weight[i];
	}
	return NULL;
}

/* "param/NAME" and "state/NAME" are weights of the graph: NAME, else NULL. */
static const char *graph_name(const char *name)
{
	return !strncmp(name, "param/", 6) || !strncmp(name, "state/", 6) ? name + 6 : NULL;
}

static ds_status add(entry **e, size_t *n, size_t *cap, const char *prefix, const char *name, const ds_tensor *t, ds_err *err)
{
	ds_buf b = { 0 };
	ds_buf_printf(&b, "%s%s", prefix, name);
	if (b.oom || !ds_grow((void **)e, *n, cap, sizeof **e)) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, 0);
	}
	(*e)[(*n)++] = (entry){ b.data, t };
	return DS_OK;
}

static ds_status describe(ds_meta *meta, const ds_fit_saved *c, ds_err *err)
{
	char id[48];
	const ds_fit_state *s = c->state;
	snprintf(id, sizeof id, "%08" PRIx32 ":%" PRIu64, c->m->id_crc, c->m->id_len);
	ds_status rc = ds_meta_set_str(meta, "kind", "checkpoint");
	if (rc == DS_OK)
		rc = ds_meta_set_str(meta, "train.model", id);
	if (rc == DS_OK)
		rc = ds_meta_set_str(meta, "train.settings", c->settings);
	if (rc == DS_OK)
		rc = ds_meta_set_list(meta, "train.external", c->r->n_external, (const char *const *)c->r->external);
	if (rc == DS_OK)
		rc = ds_meta_set_i64(meta, "train.counts", N_COUNT, s->count);
	if (rc == DS_OK)
		rc = ds_meta_set_i64(meta, "train.has", 1, &s->has);
	if (rc == DS_OK)
		rc = ds_meta_set_f64(meta, "train.figures", N_FIGURE, s->figure);
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "the settings cannot be kept in a checkpoint");
}

/* The graph with the trainer's present weights. */
static ds_status present(ds_model *copy, const ds_model *m, ds_trainer *t, ds_err *err)
{
	*copy = (ds_model){ .graph = ds_graph_clone(m->graph) };
	return copy->graph ? ds_trainer_export(t, copy, false, err) : ds_fail_nomem(err, 0);
}

static ds_status put_all(ds_dsm_writer *w, const ds_meta *meta, ds_graph *g, const entry *e, size_t n, ds_err *err)
{
	ds_value **param = NULL;
	int n_param = 0;
	ds_status rc;
	DS_GOTO(ds_dsm_put_meta(w, meta, err));
	DS_GOTO(ds_dsm_put_graph(w, g, &param, &n_param, err));
	for (int i = 0; i < n_param; i++)
		DS_GOTO(ds_dsm_put_param(w, param[i], err));
	for (size_t i = 0; i < n; i++)
		DS_GOTO(ds_dsm_put_tensor(w, e[i].t, e[i].name, DS_NO_SYMBOL, NULL, 0, err));
	rc = ds_dsm_finish(w, err);
out:
	ds_free(param);
	return rc;
}

ds_status ds_fit_ckpt_save(const char *path, const ds_fit_saved *s, ds_err *err)
{
	ds_meta meta = { 0 };
	ds_model copy = { 0 };
	ds_sink *sink = NULL;
	ds_dsm_writer *w = NULL;
	entry *e = NULL;
	size_t n = 0, cap = 0;
	const char *name = "";
	ds_tensor *v;
	bool whole = false;
	ds_status rc;
	DS_GOTO(describe(&meta, s, err));
	DS_GOTO(present(&copy, s->m, s->t, err));
	for (int i = 0; ds_trainer_tensor(s->t, i, &name, &v); i++) {
		const char *in_graph = graph_name(name);
		whole = !strcmp(name, "step");          /* the last; the list also ends where memory does */
		if (!in_graph)
			DS_GOTO(add(&e, &n, &cap, "", name, v, err));
		const ds_value *b = in_graph && s->best ? weight(s->best, in_graph) : NULL;
		if (b)
			DS_GOTO(add(&e, &n, &cap, "best/", in_graph, &b->data, err));
	}
	if (!whole) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	if (n)
		qsort(e, n, sizeof *e, by_name);
	DS_GOTO(ds_sink_open(&sink, path, err));
	DS_GOTO(ds_dsm_create(&w, sink, NULL, err));
	DS_GOTO(put_all(w, &meta, copy.graph, e, n, err));
	rc = ds_sink_commit(sink, err);
	sink = NULL;
out:
	if (rc != DS_OK)
		ds_err_in(err, path);
	ds_dsm_writer_free(w);
	ds_sink_abort(sink);
	for (size_t i = 0; i < n; i++)
		ds_free(e[i].name);
	ds_free(e);
	ds_graph_free(copy.graph);
	ds_meta_done(&meta);
	return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */
static ds_status numbers(const ds_meta *m, const char *key, ds_kv_type type, int n, void *out, ds_err *err)
{
	const ds_kv *kv = ds_meta_find(m, key);
	if (!kv || kv->type != type || kv->n != n)
		return ds_fail(err, DS_E_INPUT, "no checkpoint of this version: %s is missing or of another size", key);
	memcpy(out, type == DS_KV_I64 ? (const void *)kv->u.i : (const void *)kv->u.f, (size_t)n * 8);
	return DS_OK;
}

static ds_status read_meta(ds_fit_ckpt *c, ds_err *err)
{
	const char *kind = ds_meta_str(&c->meta, "kind");
	if (!kind || strcmp(kind, "checkpoint"))
		return ds_fail(err, DS_E_INPUT, "a stream of kind \"%.40s\", not a checkpoint", kind ? kind : "");
	DS_TRY(numbers(&c->meta, "train.counts", DS_KV_I64, N_COUNT, c->state.count, err));
	DS_TRY(numbers(&c->meta, "train.has", DS_KV_I64, 1, &c->state.has, err));
	DS_TRY(numbers(&c->meta, "train.figures", DS_KV_F64, N_FIGURE, c->state.figure, err));
	for (int i = 0; i < N_COUNT; i++) {
		if (i != BEST_STEP && c->state.count[i] < 0)
			return ds_fail(err, DS_E_INPUT, "a count in the checkpoint is negative");
	}
	return ds_meta_str(&c->meta, "train.settings") && ds_meta_str(&c->meta, "train.model") ? DS_OK :
		ds_fail(err, DS_E_INPUT, "no checkpoint of this version: the settings are missing");
}

static ds_status read_tensor(ds_fit_ckpt *c, ds_dsm_reader *r, const ds_rec *rec, ds_value *param, ds_err *err)
{
	ds_buffer *b;
	if (rec->tensor.form.scheme != DS_Q_PLAIN && !param)
		return ds_fail(err, DS_E_INPUT, "tensor \"%.100s\" is quantised", rec->tensor.name);
	DS_TRY(ds_dsm_payload_all(r, &b, err));
	if (param) {
		if (rec->tensor.form.scheme != DS_Q_PLAIN) {    /* a frozen weight: the model's own stays */
			ds_buffer_unref(b);
			return DS_OK;
		}
		param->data.buf = b;
		param->data.data = ds_buffer_data(b);
		return DS_OK;
	}
	size_t cap = c->cap;
	char *name = ds_strdup(rec->tensor.name);
	if (!name || !ds_grow((void **)&c->t, c->n, &cap, sizeof *c->t) || !ds_grow((void **)&c->name, c->n, &c->cap, sizeof *c->name)) {
		ds_free(name);
		ds_buffer_unref(b);
		return ds_fail_nomem(err, 0);
	}
	c->name[c->n] = name;
	c->t[c->n] = (ds_tensor){ .dtype = rec->tensor.form.code, .rank = rec->tensor.rank, .data = ds_buffer_data(b), .buf = b };
	memcpy(c->t[c->n++].dim, rec->tensor.dim, sizeof rec->tensor.dim);
	return DS_OK;
}

ds_status ds_fit_ckpt_read(ds_fit_ckpt *c, ds_source *src, uint64_t memory_limit, ds_err *err)
{
	ds_dsm_reader *r;
	ds_value **param = NULL;
	int n_param = 0, next = 0;
	ds_rec rec;
	ds_status rc;
	*c = (ds_fit_ckpt){ 0 };
	DS_TRY(ds_dsm_open(&r, src, &(ds_dsm_opts){ .memory_limit = memory_limit }, err));
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		if (rec.type == DS_REC_META) {
			DS_GOTO(ds_dsm_meta(r, &c->meta, err));
			DS_GOTO(read_meta(c, err));
		} else if (rec.type == DS_REC_GRPH) {
			DS_GOTO(ds_dsm_graph(r, &c->g, &param, &n_param, err));
		} else if (rec.type == DS_REC_TENSOR) {
			DS_GOTO(read_tensor(c, r, &rec, next < n_param ? param[next] : NULL, err));
			next++;
		}
	}
	rc = rc == DS_END ? DS_OK : rc;
out:
	ds_free(param);
	ds_dsm_close(r);
	if (rc != DS_OK)
		ds_fit_ckpt_done(c);
	return rc;
}

void ds_fit_ckpt_done(ds_fit_ckpt *c)
{
	for (size_t i = 0; i < c->n; i++) {
		ds_free(c->name[i]);
		ds_tensor_done(&c->t[i]);
	}
	ds_free(c->name);
	ds_free(c->t);
	ds_graph_free(c->g);
	ds_meta_done(&c->meta);
	*c = (ds_fit_ckpt){ 0 };
}

ds_status ds_fit_ckpt_check(const ds_fit_ckpt *c, const char *settings, const ds_model *m, ds_err *err)
{
	char id[48];
	const char *a = ds_meta_str(&c->meta, "train.settings"), *b = settings;
	snprintf(id, sizeof id, "%08" PRIx32 ":%" PRIu64, m->id_crc, m->id_len);
	if (strcmp(id, ds_meta_str(&c->meta, "train.model")))
		return ds_fail(err, DS_E_USAGE, "--resume: the checkpoint belongs to a run that began with another model");
	while (*a || *b) {
		size_t n = strcspn(a, "\n"), k = strcspn(b, "\n");
		if (n != k || memcmp(a, b, n))
			return ds_fail(err, DS_E_USAGE, "--resume: the checkpoint was made with %.*s, now it is %.*s", n ? (int)DS_MIN(n, (size_t)160) : 7, n ? a : "nothing",
				k ? (int)DS_MIN(k, (size_t)160) : 7, k ? b : "nothing");
		a += n + (a[n] == '\n');
		b += k + (b[k] == '\n');
	}
	return DS_OK;
}

/* ---- back into use -------------------------------------------------------------------------------------------------------------------- */
static const ds_tensor *further(const ds_fit_ckpt *c, const char *prefix, const char *name)
{
	size_t p = strlen(prefix);
	for (size_t i = 0; i < c->n; i++) {
		if (!strncmp(c->name[i], prefix, p) && !strcmp(c->name[i] + p, name))
			return &c->t[i];
	}
	return NULL;
}

static bool same_type(const ds_tensor *a, const ds_tensor *b)
{
	ds_type x = ds_type_of(a), y = ds_type_of(b);
	return !a->q && !b->q && x.dtype == y.dtype && ds_type_same_dims(&x, &y);
}

ds_status ds_fit_ckpt_weights(const ds_fit_ckpt *c, ds_graph *g, bool best, ds_err *err)
{
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		const ds_value *w = v->kind == DS_V_PARAM && *v->name && !v->data.q ? weight(c->g, v->name) : NULL;
		const ds_tensor *from = best ? further(c, "best/", v->name) : w ? &w->data : NULL;
		ds_tensor fresh;
		if (!from || !from->data)
			continue;
		if (!same_type(from, &v->data))
			return ds_fail(err, DS_E_INPUT, "the checkpoint's tensor \"%.100s\" does not fit the model", v->name);
		DS_TRY(ds_tensor_new(&fresh, from->dtype, from->rank, from->dim, err));
		memcpy(fresh.data, from->data, ds_tensor_bytes(from));
		ds_tensor_done(&v->data);
		v->data = fresh;
	}
	return DS_OK;
}

ds_status ds_fit_ckpt_restore(const ds_fit_ckpt *c, ds_trainer *t, ds_err *err)
{
	const char *name;
	ds_tensor *to;
	bool whole = false;
	for (int i = 0; ds_trainer_tensor(t, i, &name, &to); i++) {
		whole = !strcmp(name, "step");
		const char *in_graph = graph_name(name);
		const ds_value *w = in_graph ? weight(c->g, in_graph) : NULL;
		const ds_tensor *from = in_graph ? w ? &w->data : NULL : further(c, "", name);
		if (!from || !from->data || !same_type(from, to))
			return ds_fail(err, DS_E_INPUT, "the checkpoint has no tensor \"%.100s\" that fits", name);
		memcpy(to->data, from->data, ds_tensor_bytes(from));
	}
	return whole ? DS_OK : ds_fail_nomem(err, 0);
}

bool ds_fit_ckpt_has_best(const ds_fit_ckpt *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!strncmp(c->name[i], "best/", 5))
			return true;
	}
	return false;
}
