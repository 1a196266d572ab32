/* dsm_write.c - records forward out
 *
 * A header goes out before its payload and the checksums after it, so that a tensor of any size passes in pieces.  With `compress` a payload is
 * held in memory instead, because its compressed length stands in the header; one that does not shrink is stored as it is.  META, GRPH and hISt
 * are never compressed. */
#include "dsm_int.h"

struct ds_dsm_writer {
	ds_sink     *sink;
	ds_dsm_wopts opts;
	uint32_t     prev, seq;
	bool         have_meta, have_graph, finished;
	dsm_order    order;
	uint32_t     n_hist, n_asset;
	/* the record that is open */
	bool         open, held;        /* held: the payload is collected */
	char         letters[4];
	uint8_t     *desc;
	size_t       desc_len;
	uint64_t     raw_len, given;
	uint32_t     crc, head_crc;
	ds_buf       pend;
};

static const uint8_t zeros[64];

ds_status ds_dsm_create(ds_dsm_writer **out, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err)
{
	uint8_t h[64] = { 0 };
	ds_dsm_writer *w = ds_calloc(1, sizeof *w);
	*out = NULL;
	if (w)
		w->desc = ds_malloc(DSM_MAX_DESC);
	if (!w || !w->desc) {
		ds_free(w);
		return ds_fail_nomem(err, sizeof *w);
	}
	w->sink = sink;
	w->opts = o ? *o : (ds_dsm_wopts){ 0 };
	if (!w->opts.memory_limit)
		w->opts.memory_limit = DSM_LIMIT;
	memcpy(h, DSM_SIGNATURE, 8);
	dsm_put32(h + 8, DSM_VERSION);
	dsm_put32(h + 60, w->prev = ds_crc32c(0, h, 60));
	ds_status rc = ds_sink_write(sink, h, sizeof h, err);
	if (rc != DS_OK) {
		ds_dsm_writer_free(w);
		return rc;
	}
	*out = w;
	return DS_OK;
}

void ds_dsm_writer_free(ds_dsm_writer *w)
{
	if (!w)
		return;
	dsm_order_done(&w->order);
	ds_buf_done(&w->pend);
	ds_free(w->desc);
	ds_free(w);
}

/* ---- one record ---------------------------------------------------------------------------------------------------------------------------- */
static ds_status put_header(ds_dsm_writer *w, uint64_t data_len, uint64_t raw_len, uint32_t codec, ds_err *err)
{
	uint8_t h[64] = { 0 };
	memcpy(h, w->letters, 4);
	dsm_put32(h + 4, w->seq);
	dsm_put64(h + 8, w->desc_len);
	dsm_put64(h + 16, data_len);
	dsm_put64(h + 24, raw_len);
	dsm_put32(h + 32, codec);
	dsm_put32(h + 40, ds_crc32c(0, w->desc, w->desc_len));
	dsm_put32(h + 44, w->prev);
	dsm_put32(h + 60, w->head_crc = ds_crc32c(0, h, 60));
	DS_TRY(ds_sink_write(w->sink, h, sizeof h, err));
	DS_TRY(ds_sink_write(w->sink, w->desc, w->desc_len, err));
	return ds_sink_write(w->sink, zeros, -w->desc_len & 63, err);
}

static ds_status put_trailer(ds_dsm_writer *w, uint64_t data_len, uint32_t data_crc, uint32_t raw_crc, ds_err *err)
{
	uint8_t t[64] = { 0 };
	memcpy(t, "TRLR", 4);
	dsm_put32(t + 4, w->seq++);
	dsm_put32(t + 8, data_crc);
	dsm_put32(t + 12, raw_crc);
	dsm_put32(t + 16, w->head_crc);
	dsm_put32(t + 60, w->prev = ds_crc32c(0, t, 60));
	DS_TRY(ds_sink_write(w->sink, zeros, (size_t)(-data_len & 63), err));
	return ds_sink_write(w->sink, t, sizeof t, err);
}

static ds_status begin(ds_dsm_writer *w, const char letters[4], size_t desc_len, uint64_t raw_len, bool held, ds_err *err)
{
	if (w->open || w->finished || (!w->have_meta && memcmp(letters, "META", 4) != 0) || w->seq >= DSM_NONE - 1)
		return ds_fail(err, DS_E_INTERNAL, "record %.4s out of order", letters);
	memcpy(w->letters, letters, 4);
	w->desc_len = desc_len;
	w->raw_len = raw_len;
	w->given = 0;
	w->crc = 0;
	w->held = held;
	if (held && raw_len > w->opts.memory_limit)
		return ds_fail(err, DS_E_LIMIT, "compressing needs %llu bytes of memory, --memory-limit is %llu", (unsigned long long)raw_len,
			(unsigned long long)w->opts.memory_limit);
	ds_buf_reset(&w->pend);
	if (!held)
		DS_TRY(put_header(w, raw_len, raw_len, 0, err));
	w->open = true;
	return DS_OK;
}

ds_status dsm_rec_begin(ds_dsm_writer *w, const char letters[4], const uint8_t *desc, size_t desc_len, uint64_t raw_len, ds_err *err)
{
	if (desc_len > DSM_MAX_DESC || (dsm_has_graph(w->order.kind) && !w->have_graph))
		return ds_fail(err, DS_E_INTERNAL, "record %.4s out of order", letters);
	memcpy(w->desc, desc, desc_len);
	return begin(w, letters, desc_len, raw_len, w->opts.compress && raw_len, err);
}

ds_status dsm_rec_data(ds_dsm_writer *w, const void *p, size_t n, ds_err *err)
{
	if (!w->open || n > w->raw_len - w->given)
		return ds_fail(err, DS_E_INTERNAL, "%zu bytes more than the record was announced with", n);
	w->crc = ds_crc32c(w->crc, p, n);
	w->given += n;
	if (!w->held)
		return ds_sink_write(w->sink, p, n, err);
	ds_buf_add(&w->pend, p, n);
	return w->pend.oom ? ds_fail_nomem(err, w->pend.len + n) : DS_OK;
}

ds_status dsm_rec_end(ds_dsm_writer *w, ds_err *err)
{
	if (!w->open || w->given != w->raw_len)
		return ds_fail(err, DS_E_INTERNAL, "record ends after %llu of %llu bytes", (unsigned long long)w->given, (unsigned long long)w->raw_len);
	w->open = false;
	if (!w->held)
		return put_trailer(w, w->raw_len, w->crc, w->crc, err);
	void *z;
	size_t n;
	DS_TRY(ds_zstd_compress(w->pend.data, w->pend.len, &z, &n, err));
	bool small = n < w->raw_len;
	ds_status rc = put_header(w, small ? n : w->raw_len, w->raw_len, small ? 1 : 0, err);
	if (rc == DS_OK)
		rc = ds_sink_write(w->sink, small ? z : w->pend.data, small ? n : (size_t)w->raw_len, err);
	if (rc == DS_OK)
		rc = put_trailer(w, small ? n : w->raw_len, small ? ds_crc32c(0, z, n) : w->crc, w->crc, err);
	ds_free(z);
	return rc;
}

/* A record that is in memory and never compressed; the descriptor lies in w->desc. */
static ds_status put_plain(ds_dsm_writer *w, const char letters[4], size_t desc_len, const void *p, size_t n, ds_err *err)
{
	DS_TRY(begin(w, letters, desc_len, n, false, err));
	if (n)
		DS_TRY(dsm_rec_data(w, p, n, err));
	return dsm_rec_end(w, err);
}

/* ---- record types ----------------------------------------------------------------------------------------------------------------------------- */
static ds_status put_entries(ds_dsm_writer *w, const char letters[4], const ds_meta *m, ds_err *err)
{
	ds_buf b = { 0 };
	ds_status rc = dsm_meta_encode(m, &b, err);
	dsm_put32(w->desc, (uint32_t)m->n);
	if (rc == DS_OK)
		rc = put_plain(w, letters, 4, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}

ds_status ds_dsm_put_meta(ds_dsm_writer *w, const ds_meta *m, ds_err *err)
{
	if (w->have_meta || !dsm_kind_parse(m, &w->order.kind))
		return ds_fail(err, DS_E_INTERNAL, "metadata twice, or without a kind");
	DS_TRY(put_entries(w, "META", m, err));
	w->have_meta = true;
	return DS_OK;
}

ds_status ds_dsm_put_graph(ds_dsm_writer *w, ds_graph *g, ds_value ***param, int *n_param, ds_err *err)
{
	ds_buf b = { 0 };
	ds_value **p = NULL;
	int n = 0;
	ds_status rc = DS_OK;
	if (param)
		*param = NULL;
	if (!w->have_meta || w->have_graph || !dsm_has_graph(w->order.kind))
		return ds_fail(err, DS_E_INTERNAL, "a graph in a stream that has none, or twice");
	DS_GOTO(dsm_graph_encode(g, w->desc, &b, &p, &n, err));
	DS_GOTO(dsm_order_params(&w->order, p, n, g->n_input, err));
	w->have_graph = true;
	DS_GOTO(put_plain(w, "GRPH", 64, b.data, b.len, err));
	if (n_param)
		*n_param = n;
	if (param) {
		*param = p;
		p = NULL;
	}
out:
	ds_free(p);
	ds_buf_done(&b);
	return rc;
}

ds_status ds_dsm_put_asset(ds_dsm_writer *w, const ds_asset *a, ds_err *err)
{
	size_t name = strlen(a->name), media = strlen(a->media), n = ds_buffer_size(a->data);
	if (name < 1 || name > DSM_MAX_NAME || media > DSM_MAX_KEY || n > DSM_MAX_ABYTES || ++w->n_asset > DSM_MAX_ASSET ||
		!ds_text_ok(a->name, name, false) || !ds_text_ok(a->media, media, false))
		return ds_fail(err, DS_E_INPUT, "asset \"%.100s\" is one too many, too large or has no proper name", a->name);
	uint8_t d[8 + DSM_MAX_NAME + DSM_MAX_KEY] = { 0 };
	dsm_put16(d, (uint16_t)name);
	dsm_put16(d + 2, (uint16_t)media);
	memcpy(d + 8, a->name, name);
	memcpy(d + 8 + name, a->media, media);
	DS_TRY(dsm_rec_begin(w, "aSSt", d, 8 + name + media, n, err));
	DS_TRY(dsm_rec_data(w, ds_buffer_data(a->data), n, err));
	return dsm_rec_end(w, err);
}

ds_status ds_dsm_put_history(ds_dsm_writer *w, const ds_meta *m, ds_err *err)
{
	if (++w->n_hist > DSM_MAX_HIST)
		return ds_fail(err, DS_E_INPUT, "more than %d history records: drop them (--no-history)", DSM_MAX_HIST);
	DS_TRY(dsm_order_end(&w->order, err));
	return put_entries(w, "hISt", m, err);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_dsm_tensor_begin(ds_dsm_writer *w, const ds_tnsr *desc, ds_err *err)
{
	ds_tnsr t = *desc;
	ds_qsize size;
	uint8_t d[DSM_MAX_DESC];
	size_t n;
	/* numbers and item fields are the format's business where there is a graph */
	t.value = DSM_NONE;
	if (!dsm_has_items(w->order.kind)) {
		t.item = DSM_NONE;
		t.item_name = NULL;
		if (w->order.n_tensor < w->order.n_param)
			t.value = w->order.param[w->order.n_tensor].value;
	}
	ds_status rc = dsm_tnsr_check(&t, &size, err);
	if (rc == DS_OK)
		rc = dsm_order_tensor(&w->order, &t, err);
	if (rc == DS_OK)
		rc = dsm_tnsr_encode(&t, d, &n, err);
	if (rc != DS_OK) {
		ds_err_prefix(err, "writing tensor \"%.200s\"", t.name ? t.name : "");
		return rc;
	}
	return dsm_rec_begin(w, "TNSR", d, n, t.raw_len, err);
}

ds_status ds_dsm_tensor_data(ds_dsm_writer *w, const void *p, size_t n, ds_err *err)
{
	return dsm_rec_data(w, p, n, err);
}

ds_status ds_dsm_tensor_end(ds_dsm_writer *w, ds_err *err)
{
	return dsm_rec_end(w, err);
}

static ds_status put(ds_dsm_writer *w, const ds_tensor *t, ds_tnsr *d, ds_err *err)
{
	ds_qsize size;
	d->form = t->q ? *t->q : (ds_qform){ .code = t->dtype };
	d->rank = t->rank;
	memcpy(d->dim, t->dim, sizeof d->dim);
	if (t->layout != DS_PLAIN)
		return ds_fail(err, DS_E_INTERNAL, "tensor \"%.200s\" is not in plain layout", d->name);
	DS_TRY(ds_dsm_tensor_begin(w, d, err));
	DS_TRY(ds_qform_size(&d->form, d->rank, d->dim, &size, err));
	if (size.total && !t->data)
		return ds_fail(err, DS_E_INTERNAL, "tensor \"%.200s\" has no data", d->name);
	if (size.total)
		DS_TRY(dsm_rec_data(w, t->data, (size_t)size.total, err));
	return dsm_rec_end(w, err);
}

ds_status ds_dsm_put_tensor(ds_dsm_writer *w, const ds_tensor *t, const char *name, uint32_t item, const char *item_name, size_t item_len, ds_err *err)
{
	ds_tnsr d = { .name = (char *)(uintptr_t)name, .item = item, .item_name = item_len ? (char *)(uintptr_t)item_name : NULL, .item_len = item_len };
	return put(w, t, &d, err);
}

ds_status ds_dsm_put_param(ds_dsm_writer *w, const ds_value *v, ds_err *err)
{
	ds_tnsr d = { .name = (char *)(uintptr_t)v->name, .item = DSM_NONE };
	return put(w, &v->data, &d, err);
}

ds_status ds_dsm_finish(ds_dsm_writer *w, ds_err *err)
{
	uint8_t h[64] = { 0 };
	if (w->open || !w->have_meta || w->finished || (dsm_has_graph(w->order.kind) && !w->have_graph))
		return ds_fail(err, DS_E_INTERNAL, "the stream is not complete");
	DS_TRY(dsm_order_end(&w->order, err));
	memcpy(h, "DONE", 4);
	dsm_put32(h + 4, w->seq);
	dsm_put32(h + 44, w->prev);
	dsm_put32(h + 60, ds_crc32c(0, h, 60));
	w->finished = true;
	return ds_sink_write(w->sink, h, sizeof h, err);
}
