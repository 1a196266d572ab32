/* dsm_diff.c - what differs between two streams: metadata, graph, assets, tensors, history */
#include "dsm_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct item { char *key; uint32_t seq; ds_tnsr t; ds_buffer *b; } item;       /* a tensor (key: its name, in item streams with its place) or an asset */
typedef struct side {
	ds_meta   meta, *hist;
	size_t    n_hist, cap_hist;
	ds_buf    graph;
	char    **line;
	size_t    n_line, cap_line;
	item     *tensor, *asset;
	size_t    n_tensor, cap_tensor, n_asset, cap_asset;
} side;

typedef struct differ { ds_diff_fn fn; void *arg; int64_t n; ds_err *err; } differ;

static ds_status say(differ *d, const char *what, const char *name, const char *fmt, ...) DS_PRINTF(4, 5);
static ds_status say(differ *d, const char *what, const char *name, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	d->n++;
	return d->fn(d->arg, what, name, text, d->err);
}

/* ---- reading one side --------------------------------------------------------------------------------------------------------------------------- */
static void side_done(side *s)
{
	ds_meta_done(&s->meta);
	for (size_t i = 0; i < s->n_hist; i++)
		ds_meta_done(&s->hist[i]);
	ds_free(s->hist);
	ds_buf_done(&s->graph);
	ds_free(s->line);
	for (size_t i = 0; i < s->n_tensor; i++) {
		ds_free(s->tensor[i].key);
		ds_buffer_unref(s->tensor[i].b);
	}
	for (size_t i = 0; i < s->n_asset; i++) {
		ds_free(s->asset[i].key);
		ds_buffer_unref(s->asset[i].b);
	}
	ds_free(s->tensor);
	ds_free(s->asset);
}

static ds_status keep_item(ds_dsm_reader *r, item **list, size_t *n, size_t *cap, const ds_rec *rec, ds_err *err)
{
	char key[DSM_MAX_NAME + 64];
	const ds_tnsr *t = &rec->tensor;
	if (rec->type == DS_REC_ASSET)
		snprintf(key, sizeof key, "%s", rec->asset_name);
	else if (t->item == DSM_NONE)
		snprintf(key, sizeof key, "%s", t->name);
	else
		snprintf(key, sizeof key, "%010u/%s", t->item, t->name);
	if (!ds_grow((void **)list, *n, cap, sizeof **list))
		return ds_fail_nomem(err, *n);
	item *i = &(*list)[*n];
	*i = (item){ .key = ds_strdup(key), .seq = rec->seq, .t = *t };
	if (!i->key)
		return ds_fail_nomem(err, sizeof key);
	++*n;
	return ds_dsm_payload_all(r, &i->b, err);
}

/* Numbers inside the graph, such as the scales of activations: a line for each. */
static void constants(const ds_graph *g, ds_buf *b)
{
	char num[32];
	for (int i = 0; i < g->n_weight; i++) {
		const ds_value *v = g->weight[i];
		if (v->kind != DS_V_CONST || !v->data.data)
			continue;
		if (v->name[0])
			ds_buf_printf(b, "constant %s: ", v->name);
		else
			ds_buf_printf(b, "constant %%%d: ", v->id);
		ds_type_print(b, &v->type, NULL);
		for (int64_t k = 0, n = ds_tensor_count(&v->data); k < n; k++)
			ds_buf_printf(b, " %s", ds_fmt_f64(num, ds_tensor_f64(&v->data, k)));
		ds_buf_str(b, "\n");
	}
}

static ds_status keep_graph(ds_dsm_reader *r, side *s, ds_err *err)
{
	ds_graph *g;
	DS_TRY(ds_dsm_graph(r, &g, NULL, NULL, err));
	ds_graph_number(g);
	ds_graph_dump(g, &s->graph);
	constants(g, &s->graph);
	ds_graph_free(g);
	if (s->graph.oom)
		return ds_fail_nomem(err, s->graph.len);
	for (char *p = s->graph.data, *end; p && *p; p = end + 1) {
		if (!(end = strchr(p, '\n')))
			break;
		*end = 0;
		if (!ds_grow((void **)&s->line, s->n_line, &s->cap_line, sizeof *s->line))
			return ds_fail_nomem(err, s->n_line);
		s->line[s->n_line++] = p;
	}
	return DS_OK;
}

static ds_status read_side(side *s, ds_dsm_reader *r, ds_err *err)
{
	ds_rec rec;
	ds_status rc;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		if (rec.type == DS_REC_META)
			DS_TRY(ds_dsm_meta(r, &s->meta, err));
		else if (rec.type == DS_REC_GRPH)
			DS_TRY(keep_graph(r, s, err));
		else if (rec.type == DS_REC_TENSOR)
			DS_TRY(keep_item(r, &s->tensor, &s->n_tensor, &s->cap_tensor, &rec, err));
		else if (rec.type == DS_REC_ASSET)
			DS_TRY(keep_item(r, &s->asset, &s->n_asset, &s->cap_asset, &rec, err));
		else if (rec.type == DS_REC_HIST) {
			if (!ds_grow((void **)&s->hist, s->n_hist, &s->cap_hist, sizeof *s->hist))
				return ds_fail_nomem(err, s->n_hist);
			DS_TRY(ds_dsm_meta(r, &s->hist[s->n_hist], err));
			s->n_hist++;
		}
	}
	return rc == DS_END ? DS_OK : rc;
}

/* ---- metadata, graph ------------------------------------------------------------------------------------------------------------------------------- */
static void kv_text(const ds_kv *k, ds_buf *b)
{
	char num[32];
	if (k->type == DS_KV_STR)
		ds_buf_str(b, k->u.s);
	for (int i = 0; k->type != DS_KV_STR && i < k->n; i++) {
		ds_buf_str(b, i ? " " : "");
		if (k->type == DS_KV_I64)
			ds_buf_printf(b, "%lld", (long long)k->u.i[i]);
		else
			ds_buf_str(b, k->type == DS_KV_F64 ? ds_fmt_f64(num, k->u.f[i]) : k->u.l[i]);
	}
}

static ds_status diff_meta(differ *d, const char *what, const char *prefix, const ds_meta *a, const ds_meta *b)
{
	ds_status rc = DS_OK;
	for (int i = 0, j = 0; rc == DS_OK && (i < a->n || j < b->n);) {
		int c = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->kv[i].key, b->kv[j].key);
		ds_buf x = { 0 }, y = { 0 };
		char name[200];
		snprintf(name, sizeof name, "%s%s", prefix, c <= 0 ? a->kv[i].key : b->kv[j].key);
		if (c <= 0)
			kv_text(&a->kv[i], &x);
		if (c >= 0)
			kv_text(&b->kv[j], &y);
		const char *s = x.data ? x.data : "", *t = y.data ? y.data : "";
		if (c < 0)
			rc = say(d, what, name, "only in the first: %.300s", s);
		else if (c > 0)
			rc = say(d, what, name, "only in the second: %.300s", t);
		else if (a->kv[i].type != b->kv[j].type || strcmp(s, t) != 0)
			rc = say(d, what, name, "%.150s -> %.150s", s, t);
		i += c <= 0;
		j += c >= 0;
		ds_buf_done(&x);
		ds_buf_done(&y);
	}
	return rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static ds_status diff_graph(differ *d, side *a, side *b)
{
	if (a->n_line)
		qsort(a->line, a->n_line, sizeof *a->line, by_text);
	if (b->n_line)
		qsort(b->line, b->n_line, sizeof *b->line, by_text);
	for (size_t i = 0, j = 0; i < a->n_line || j < b->n_line;) {
		int c = i == a->n_line ? 1 : j == b->n_line ? -1 : strcmp(a->line[i], b->line[j]);
		if (c)
			DS_TRY(say(d, "graph", c < 0 ? a->line[i] : b->line[j], "only in the %s", c < 0 ? "first" : "second"));
		i += c <= 0;
		j += c >= 0;
	}
	return DS_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------------------------------ */
static void form_text(const ds_tnsr *t, ds_buf *b)
{
	ds_type type = ds_type_make(t->form.code, t->rank, t->dim);
	ds_type_print(b, &type, NULL);
	if (t->form.scheme != DS_Q_PLAIN)
		ds_buf_printf(b, " scheme %d group %u", (int)t->form.scheme, t->form.group);
}

static ds_status values(const item *i, ds_tensor *out, ds_err *err)
{
	ds_tensor t = { .dtype = i->t.form.scheme == DS_Q_PLAIN ? i->t.form.code : DS_F32, .rank = i->t.rank, .data = ds_buffer_data(i->b) };
	memcpy(t.dim, i->t.dim, sizeof t.dim);
	if (i->t.form.scheme != DS_Q_PLAIN)
		t.q = &i->t.form;
	return ds_tensor_to_f32(&t, out, err);
}

static ds_status diff_values(differ *d, const item *a, const item *b)
{
	ds_tensor x = { 0 }, y = { 0 };
	double most = 0, sum = 0, ref = 0;
	int64_t differ_ = 0;
	ds_status rc = DS_OK;
	DS_GOTO(values(a, &x, d->err));
	DS_GOTO(values(b, &y, d->err));
	int64_t n = ds_tensor_count(&x);
	const float *p = x.data, *q = y.data;
	for (int64_t i = 0; i < n; i++) {
		double e = fabs((double)p[i] - (double)q[i]);
		differ_ += p[i] != q[i];
		most = e > most ? e : most;
		sum += e * e;
		ref += (double)p[i] * (double)p[i];
	}
	rc = say(d, "tensor", a->key, "%lld of %lld values differ, largest by %.6g, relative error %.3g", (long long)differ_, (long long)n, most,
		ref > 0 ? sqrt(sum / ref) : 0.0);
out:
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	return rc;
}

static bool same_form(const ds_qform *a, const ds_qform *b)
{
	return a->code == b->code && a->scheme == b->scheme && a->gran == b->gran && a->row_dims == b->row_dims && a->joined == b->joined &&
		a->scale_dtype == b->scale_dtype && a->zero_dtype == b->zero_dtype && a->group == b->group;
}

static ds_status diff_tensor(differ *d, const item *a, const item *b)
{
	bool form = !same_form(&a->t.form, &b->t.form);
	bool dims = a->t.rank != b->t.rank || memcmp(a->t.dim, b->t.dim, sizeof *a->t.dim * (size_t)a->t.rank) != 0;
	if (form || dims) {
		ds_buf x = { 0 }, y = { 0 };
		form_text(&a->t, &x);
		form_text(&b->t, &y);
		ds_status rc = say(d, "tensor", a->key, "%.150s -> %.150s", x.data ? x.data : "", y.data ? y.data : "");
		ds_buf_done(&x);
		ds_buf_done(&y);
		return rc != DS_OK || dims ? rc : diff_values(d, a, b);
	}
	if (memcmp(ds_buffer_data(a->b), ds_buffer_data(b->b), ds_buffer_size(a->b)) == 0)
		return DS_OK;
	return diff_values(d, a, b);
}

static int by_key(const void *a, const void *b)
{
	const item *x = a, *y = b;
	int c = strcmp(x->key, y->key);
	return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static ds_status diff_items(differ *d, const char *what, item *a, size_t na, item *b, size_t nb)
{
	if (na)
		qsort(a, na, sizeof *a, by_key);
	if (nb)
		qsort(b, nb, sizeof *b, by_key);
	for (size_t i = 0, j = 0; i < na || j < nb;) {
		int c = i == na ? 1 : j == nb ? -1 : strcmp(a[i].key, b[j].key);
		if (c)
			DS_TRY(say(d, what, c < 0 ? a[i].key : b[j].key, "only in the %s", c < 0 ? "first" : "second"));
		else if (*what == 't')
			DS_TRY(diff_tensor(d, &a[i], &b[j]));
		else if (ds_buffer_size(a[i].b) != ds_buffer_size(b[j].b) ||
			memcmp(ds_buffer_data(a[i].b), ds_buffer_data(b[j].b), ds_buffer_size(a[i].b)) != 0)
			DS_TRY(say(d, what, a[i].key, "content differs (%zu and %zu bytes)", ds_buffer_size(a[i].b), ds_buffer_size(b[j].b)));
		i += c <= 0;
		j += c >= 0;
	}
	return DS_OK;
}

static ds_status diff_sides(differ *d, side *a, side *b)
{
	DS_TRY(diff_meta(d, "meta", "", &a->meta, &b->meta));
	DS_TRY(diff_graph(d, a, b));
	DS_TRY(diff_items(d, "asset", a->asset, a->n_asset, b->asset, b->n_asset));
	DS_TRY(diff_items(d, "tensor", a->tensor, a->n_tensor, b->tensor, b->n_tensor));
	static const ds_meta none;
	for (size_t i = 0; i < DS_MAX(a->n_hist, b->n_hist); i++) {
		char prefix[32];
		snprintf(prefix, sizeof prefix, "%zu.", i + 1);
		DS_TRY(diff_meta(d, "history", prefix, i < a->n_hist ? &a->hist[i] : &none, i < b->n_hist ? &b->hist[i] : &none));
	}
	return DS_OK;
}

ds_status ds_dsm_diff(ds_source *sa, ds_source *sb, const ds_dsm_opts *o, ds_diff_fn fn, void *arg, int64_t *n, ds_err *err)
{
	side a = { 0 }, b = { 0 };
	ds_dsm_reader *ra = NULL, *rb = NULL;
	differ d = { fn, arg, 0, err };
	ds_status rc = ds_dsm_open(&ra, sa, o, err);
	if (rc != DS_OK) {
		ds_source_close(sb);
		return rc;
	}
	DS_GOTO(ds_dsm_open(&rb, sb, o, err));
	DS_GOTO(read_side(&a, ra, err));
	DS_GOTO(read_side(&b, rb, err));
	rc = diff_sides(&d, &a, &b);
	*n = d.n;
out:
	side_done(&a);
	side_done(&b);
	ds_dsm_close(ra);
	ds_dsm_close(rb);
	return rc;
}
