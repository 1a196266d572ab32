/* weights.c - weights only: the stream is read and written once, a block of rows in memory at a time */
#include <string.h>

#include "format/history.h"
#include "parts.h"

enum { PIECE = 1 << 20 };

typedef struct pass {
	settings      *s;
	ds_dsm_reader *r;
	ds_dsm_writer *w;
	ds_pool       *pool;
	ds_qplan       table;           /* --dry-run: rows in the order of the tensors */
	account        a;
	ds_graph      *g;               /* NULL: a bag of tensors */
	ds_value     **param;
	int            n_param, at_param;
	uint8_t       *weight;          /* by value id */
	uint8_t       *piece;
} pass;

static ds_status to_writer(void *arg, const void *p, size_t n, ds_err *err)
{
	return ds_dsm_tensor_data(arg, p, n, err);
}

/* Why a tensor can only stay as it is; NULL: it need not. */
static const char *why_not(const ds_tnsr *t, bool is_weight)
{
	if (t->form.scheme != DS_Q_PLAIN || t->sparsity)
		return "quantised already";
	if (t->form.code != DS_F32 && t->form.code != DS_F16 && t->form.code != DS_BF16)
		return "not f32, f16 or bf16";
	if (t->rank < 2)
		return "rank below 2";
	if (!is_weight)
		return "not the weight of a linear operator";
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == 0)
			return "empty";
	return NULL;
}

/* Patterns are put to every tensor, the plan to those that can be rounded. */
static ds_status decide(pass *p, const ds_tnsr *t, const ds_value *v, bool is_weight, ds_qrow *row, const char **why, ds_err *err)
{
	const char *cannot = why_not(t, is_weight), *name = t->name ? t->name : "";
	const ds_node *n = p->g && v ? ds_q_reader(p->g, v) : NULL;
	if (cannot) {
		ds_qrow any = { .node = n ? ds_node_label(n) : "", .weight = name };
		if (!p->s->c.plan)
			DS_TRY(table_decide(p->s, &any, why, err));
		*why = p->s->c.plan || !*why ? cannot : *why;
		return DS_OK;
	}
	ds_qrow *r = ds_qplan_add(&p->table, n ? ds_node_label(n) : "", n ? n->op_name : "", name, t->form.code, t->rank, t->dim);
	if (!r)
		return ds_fail_nomem(err, 0);
	DS_TRY(table_decide(p->s, r, why, err));
	*row = *r;
	return DS_OK;
}

static ds_status copy_tensor(pass *p, const ds_tnsr *t, ds_err *err)
{
	size_t got;
	DS_TRY(ds_dsm_tensor_begin(p->w, t, err));
	for (;;) {
		DS_TRY(ds_dsm_payload(p->r, p->piece, PIECE, &got, err));
		if (!got)
			return ds_dsm_tensor_end(p->w, err);
		DS_TRY(ds_dsm_tensor_data(p->w, p->piece, got, err));
	}
}

static ds_status round_tensor(pass *p, const ds_tnsr *t, const ds_qrow *row, ds_err *err)
{
	ds_qw_opts o = { .bits = row->bits.w, .group = row->group, .range = row->range.range, .pool = p->pool };
	ds_tnsr out = *t;
	ds_qsize size;
	ds_qw_stat st;
	ds_qw *q = NULL;
	size_t got;
	ds_status rc;
	DS_GOTO(ds_qw_form(&o, t->rank, t->dim, &out.form, &size, err));
	out.raw_len = size.total;
	DS_GOTO(ds_qw_new(&q, &o, t->form.code, t->rank, t->dim, to_writer, p->w, err));
	/* A quantised tensor stands for f32, f16 or bf16; the container has a field for the codes alone, the graph keeps the type. */
	DS_GOTO(ds_dsm_tensor_begin(p->w, &out, err));
	for (;;) {
		DS_GOTO(ds_dsm_payload(p->r, p->piece, PIECE, &got, err));
		if (!got)
			break;
		DS_GOTO(ds_qw_push(q, p->piece, got, err));
	}
	DS_GOTO(ds_qw_end(q, &st, err));
	DS_GOTO(ds_dsm_tensor_end(p->w, err));
	rc = tell_tensor(&p->a, p->s, t->name, &out, &st, err);
out:
	if (rc != DS_OK)
		ds_err_prefix(err, "tensor \"%.100s\"", t->name);
	ds_qw_free(q);
	return rc;
}

static ds_status on_tensor(pass *p, const ds_rec *rec, ds_err *err)
{
	const ds_tnsr *t = &rec->tensor;
	const ds_value *v = NULL;
	const char *why;
	ds_qrow row = { 0 };
	bool weight = true;
	if (p->g) {
		if (p->at_param >= p->n_param)
			return ds_fail(err, DS_E_INPUT, "more tensors than parameters");
		v = p->param[p->at_param++];
		weight = p->weight[v->id];
	}
	p->a.tensors++;
	DS_TRY(decide(p, t, v, weight, &row, &why, err));
	if (p->s->c.dry_run)
		return DS_OK;
	if (!why)
		return round_tensor(p, t, &row, err);
	ds_note("%s: as it is (%s)", t->name, why);
	return copy_tensor(p, t, err);
}

static ds_status on_graph(pass *p, ds_err *err)
{
	DS_TRY(ds_dsm_graph(p->r, &p->g, &p->param, &p->n_param, err));
	if (p->w)
		DS_TRY(ds_dsm_put_graph(p->w, p->g, NULL, NULL, err));
	return ds_q_weights(p->g, &p->weight, err);
}

static ds_status on_record(pass *p, const ds_rec *rec, ds_err *err)
{
	ds_meta meta = { 0 };
	ds_buffer *buf = NULL;
	ds_status rc = DS_OK;
	if (rec->type == DS_REC_GRPH)
		return on_graph(p, err);
	if (rec->type == DS_REC_TENSOR)
		return on_tensor(p, rec, err);
	if (!p->w || rec->type == DS_REC_OTHER)
		return DS_OK;           /* unknown ancillary records describe tensors that are changed here */
	if (rec->type == DS_REC_ASSET) {
		DS_GOTO(ds_dsm_payload_all(p->r, &buf, err));
		rc = ds_dsm_put_asset(p->w, &(ds_asset){ (char *)(uintptr_t)rec->asset_name, (char *)(uintptr_t)rec->asset_media, buf }, err);
	} else {
		DS_GOTO(ds_dsm_meta(p->r, &meta, err));
		rc = rec->type == DS_REC_META ? ds_dsm_put_meta(p->w, &meta, err) : ds_dsm_put_history(p->w, &meta, err);
	}
out:
	ds_buffer_unref(buf);
	ds_meta_done(&meta);
	return rc;
}

static ds_status put_own_history(settings *s, ds_dsm_writer *w, uint32_t crc, uint64_t len, ds_err *err)
{
	ds_meta h = { 0 };
	const char *effective;
	char *external;
	if (s->c.no_history)
		return DS_OK;
	ds_status rc = table_history(s, &effective, &external, err);
	const char *const ext[1] = { external };
	if (rc == DS_OK)
		rc = ds_history_make(&h, s->c.filter->name, effective, crc, len, ext, external != NULL, s->plan_text.data, err);
	if (rc == DS_OK)
		rc = ds_dsm_put_history(w, &h, err);
	ds_free(external);
	ds_meta_done(&h);
	return rc;
}

ds_status run_weights(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err)
{
	pass p = { .s = s, .a.report = report };
	ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	ds_rec rec;
	uint32_t crc;
	uint64_t len;
	ds_source *in = *src;
	*src = NULL;                            /* the reader takes it */
	ds_status rc = ds_dsm_open(&p.r, in, &ro, err);
	if (rc != DS_OK)
		return rc;
	p.piece = ds_malloc(PIECE);
	p.pool = ds_pool_new((int)s->c.threads);
	if (!p.piece || !p.pool) {
		rc = ds_fail_nomem(err, PIECE);
		goto out;
	}
	if (!s->c.dry_run)
		DS_GOTO(ds_dsm_create(&p.w, sink, &wo, err));
	while ((rc = ds_dsm_next(p.r, &rec, err)) == DS_OK)
		DS_GOTO(on_record(&p, &rec, err));
	if (rc != DS_END)
		goto out;
	ds_dsm_identity(p.r, &crc, &len);
	DS_GOTO(table_check(s, crc, len, err));
	if (s->c.dry_run) {
		rc = table_print(&p.table, crc, len, sink, err);
		goto out;
	}
	DS_GOTO(put_own_history(s, p.w, crc, len, err));
	DS_GOTO(ds_dsm_finish(p.w, err));
	rc = tell_end(&p.a, len, ds_sink_offset(sink), err);
out:
	ds_qplan_done(&p.table);
	ds_dsm_writer_free(p.w);
	ds_dsm_close(p.r);
	ds_pool_free(p.pool);
	ds_graph_free(p.g);
	ds_free(p.param);
	ds_free(p.weight);
	ds_free(p.piece);
	return rc;
}
