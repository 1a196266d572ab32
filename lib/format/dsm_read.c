/* dsm_read.c - records forward in
 *
 * Every byte of the stream is looked at once: header (CRC, sequence, chain, letters, flags, limits - in this order), descriptor, payload, pads, trailer.
 * Memory follows the bytes received, never a promise.  Whatever is wrong ends the stream: the reader answers no call after a failure. */
#include "dsm_int.h"

#include <stdio.h>

#define SCRATCH (64u << 10)
#define CHUNK   (1u << 20)              /* of a mapping that is checked without being copied */

typedef enum stage { S_START, S_META, S_GRAPH, S_ASSET, S_TENSOR, S_HIST, S_DONE } stage;

struct ds_dsm_reader {
	ds_source    *src;
	ds_dsm_opts   opts;
	stage         at;
	bool          dead;
	uint32_t      prev, seq, head_crc, id_crc;
	uint32_t      n_asset, n_hist;
	char          asset_name[DSM_MAX_NAME + 1], asset_media[DSM_MAX_KEY + 1];
	dsm_order     order;
	/* the present record */
	ds_rec        rec;
	const char   *name;             /* for messages, "" where there is none */
	uint64_t      data_left, raw_left;
	uint32_t      data_crc, raw_crc;
	bool          open, started, unverified;
	bool          have_meta;
	ds_meta       meta;
	ds_graph     *graph;
	ds_value    **param;
	int           n_param;
	dsm_fill      fill;
	ds_unzstd    *unzstd;
	size_t        in_at, in_n;      /* compressed bytes in `in` not decoded yet */
	bool          frame_done;
	uint8_t      *in, *scratch;     /* SCRATCH bytes each, made when first needed */
	uint8_t      *desc;
	char         *text;             /* names of the present tensor */
	size_t        desc_cap;
};

/* ---- failures: where, which record ---------------------------------------------------------------------------------------------------------- */
static ds_status in_record(ds_dsm_reader *r, ds_status rc, ds_err *err)
{
	r->dead = true;
	if (err && rc < 0) {
		bool named = r->name && *r->name;
		if (r->rec.letters[0])
			ds_err_prefix(err, "record %u (%s%s%.80s%s)", r->rec.seq, r->rec.letters, named ? " \"" : "", named ? r->name : "", named ? "\"" : "");
		if (err->offset < 0 && rc != DS_E_SYS && rc != DS_E_NOMEM)
			err->offset = r->rec.offset;
		ds_err_in(err, ds_source_name(r->src));
	}
	return rc;
}

#define BAD(r, err, ...) in_record(r, ds_fail(err, DS_E_INPUT, __VA_ARGS__), err)
/* Pass a failure on, with the record's name; the caller is one that users call. */
#define IN(r, err, expr) do { ds_status in_ = (expr); if (in_ != DS_OK) return in_record(r, in_, err); } while (0)

static ds_status truncated(ds_err *err, const ds_dsm_reader *r)
{
	return ds_fail_at(err, DS_E_INPUT, ds_source_offset(r->src), "truncated");
}

/* Exactly n bytes, or "truncated". */
static ds_status need(ds_dsm_reader *r, void *buf, size_t n, ds_err *err)
{
	ds_status rc = ds_source_read(r->src, buf, n, err);
	return rc == DS_END ? truncated(err, r) : rc;
}

/* ---- start of the stream --------------------------------------------------------------------------------------------------------------------- */
static ds_status preamble(ds_dsm_reader *r, ds_err *err)
{
	uint8_t h[64];
	const void *p;
	size_t got;
	DS_TRY(ds_source_peek(r->src, 64, &p, &got, err));
	if (got < 8 || memcmp(p, DSM_SIGNATURE, 8) != 0) {
		if (got >= 1 && got < 8 && memcmp(p, DSM_SIGNATURE, got) == 0)
			return ds_fail_at(err, DS_E_INPUT, (int64_t)got, "truncated");
		return dsm_not_ours(p, got, err);
	}
	DS_TRY(need(r, h, sizeof h, err));
	if (!dsm_crc_ok(dsm_get32(h + 60), ds_crc32c(0, h, 60)))
		return ds_fail_at(err, DS_E_INPUT, 0, "checksum of the first 64 bytes does not match");
	if (dsm_get32(h + 8) != DSM_VERSION)
		return ds_fail_at(err, DS_E_UNSUPPORTED, 8, "version %u of the format needs a newer ds", dsm_get32(h + 8));
	if (!dsm_zero(h + 12, 48))
		return ds_fail_at(err, DS_E_INPUT, 12, "a field that must be zero is not");
	r->prev = dsm_get32(h + 60);
	return DS_OK;
}

ds_status ds_dsm_open(ds_dsm_reader **out, ds_source *src, const ds_dsm_opts *o, ds_err *err)
{
	ds_dsm_reader *r = ds_calloc(1, sizeof *r);
	*out = NULL;
	if (!r) {
		ds_source_close(src);
		return ds_fail_nomem(err, sizeof *r);
	}
	r->src = src;
	r->opts = o ? *o : (ds_dsm_opts){ 0 };
	if (!r->opts.memory_limit)
		r->opts.memory_limit = DSM_LIMIT;
	ds_status rc = preamble(r, err);
	if (rc != DS_OK) {
		ds_err_in(err, ds_source_name(src));
		ds_dsm_close(r);
		return rc;
	}
	*out = r;
	return DS_OK;
}

static void drop_record(ds_dsm_reader *r)
{
	ds_meta_done(&r->meta);
	r->have_meta = false;
	ds_graph_free(r->graph);
	r->graph = NULL;
	ds_free(r->param);
	r->param = NULL;
	ds_unzstd_free(r->unzstd);
	r->unzstd = NULL;
}

void ds_dsm_close(ds_dsm_reader *r)
{
	if (!r)
		return;
	drop_record(r);
	dsm_order_done(&r->order);
	ds_source_close(r->src);
	ds_free(r->in);
	ds_free(r->scratch);
	ds_free(r->desc);
	ds_free(r->text);
	ds_free(r);
}

/* ---- payload and trailer ------------------------------------------------------------------------------------------------------------------------ */
/* The payload has passed: pad, trailer. */
static ds_status close_record(ds_dsm_reader *r, ds_err *err)
{
	uint8_t t[64];
	size_t pad = (size_t)(ds_pad64(r->rec.data_len) - r->rec.data_len);
	DS_TRY(need(r, t, pad, err));
	if (!dsm_zero(t, pad))
		return ds_fail_at(err, DS_E_INPUT, ds_source_offset(r->src) - (int64_t)pad, "padding of the payload is not zero");
	DS_TRY(need(r, t, sizeof t, err));
	int64_t at = ds_source_offset(r->src) - 64;
	if (!dsm_crc_ok(dsm_get32(t + 60), ds_crc32c(0, t, 60)))
		return ds_fail_at(err, DS_E_INPUT, at, "trailer checksum mismatch");
	if (memcmp(t, "TRLR", 4) != 0 || dsm_get32(t + 4) != r->rec.seq || !dsm_crc_ok(dsm_get32(t + 16), r->head_crc))
		return ds_fail_at(err, DS_E_INPUT, at, "trailer of another record");
	if (!dsm_zero(t + 20, 40))
		return ds_fail_at(err, DS_E_INPUT, at, "a field that must be zero is not");
	if (r->rec.codec == 0 && !dsm_crc_ok(dsm_get32(t + 12), dsm_get32(t + 8)))
		return ds_fail_at(err, DS_E_INPUT, at, "trailer has two checksums for one payload");
	if (!r->unverified && (!dsm_crc_ok(dsm_get32(t + 8), r->data_crc) || !dsm_crc_ok(dsm_get32(t + 12), r->raw_crc)))
		return ds_fail(err, DS_E_INPUT, "payload checksum mismatch");
	r->prev = dsm_get32(t + 60);
	r->open = false;
	return DS_OK;
}

static ds_status stored_payload(ds_dsm_reader *r, void *buf, size_t n, size_t *got, ds_err *err)
{
	n = (size_t)DS_MIN((uint64_t)n, r->data_left);
	DS_TRY(ds_source_some(r->src, buf, n, got, err));
	if (*got == 0 && n)
		return truncated(err, r);
	r->data_crc = ds_crc32c(r->data_crc, buf, *got);
	r->raw_crc = r->data_crc;
	r->data_left -= *got;
	r->raw_left -= *got;
	return DS_OK;
}

static ds_status have_block(uint8_t **p, ds_err *err)
{
	if (!*p)
		*p = ds_malloc(SCRATCH);
	return *p ? DS_OK : ds_fail_nomem(err, SCRATCH);
}

static ds_status zstd_payload(ds_dsm_reader *r, void *buf, size_t n, size_t *got, ds_err *err)
{
	if (!r->unzstd)
		DS_TRY(ds_unzstd_new(&r->unzstd, r->rec.raw_len, err));
	DS_TRY(have_block(&r->in, err));
	while (*got < n && !r->frame_done) {
		if (r->in_at == r->in_n && r->data_left) {
			r->in_at = 0;
			DS_TRY(ds_source_some(r->src, r->in, (size_t)DS_MIN((uint64_t)SCRATCH, r->data_left), &r->in_n, err));
			if (r->in_n == 0)
				return truncated(err, r);
			r->data_crc = ds_crc32c(r->data_crc, r->in, r->in_n);
			r->data_left -= r->in_n;
		}
		size_t in = r->in_n - r->in_at, out = n - *got;
		bool nothing_left = in == 0;
		DS_TRY(ds_unzstd_step(r->unzstd, r->in + r->in_at, &in, (uint8_t *)buf + *got, &out, &r->frame_done, err));
		r->in_at += in;
		*got += out;
		if (nothing_left && out == 0 && !r->frame_done)
			return ds_fail(err, DS_E_INPUT, "zstd frame is cut");
	}
	r->raw_crc = ds_crc32c(r->raw_crc, buf, *got);
	r->raw_left -= *got;
	if (r->frame_done && (r->data_left || r->in_at != r->in_n))
		return ds_fail(err, DS_E_INPUT, "bytes after the zstd frame");
	return DS_OK;
}

/* The next piece of the decoded payload; with its last bytes the trailer has been checked. */
static ds_status payload(ds_dsm_reader *r, void *buf, size_t n, size_t *got, ds_err *err)
{
	*got = 0;
	if (!r->open || (n == 0 && r->raw_left))
		return DS_OK;
	r->started = true;
	DS_TRY((r->rec.codec ? zstd_payload : stored_payload)(r, buf, n, got, err));
	if (!dsm_fill_check(&r->fill, buf, *got))
		return ds_fail(err, DS_E_INPUT, "bits between the codes are not zero");
	if (r->raw_left == 0 && r->rec.codec && !r->frame_done) {       /* content complete: the frame's last bytes */
		uint8_t none[1];
		size_t more = 0;
		DS_TRY(zstd_payload(r, none, 1, &more, err));
		if (more)
			return ds_fail(err, DS_E_INPUT, "zstd frame has more than it states");
	}
	return r->raw_left == 0 ? close_record(r, err) : DS_OK;
}

ds_status ds_dsm_payload(ds_dsm_reader *r, void *buf, size_t n, size_t *got, ds_err *err)
{
	*got = 0;
	if (r->dead)
		return ds_fail(err, DS_E_INTERNAL, "reading on after a failure");
	IN(r, err, payload(r, buf, n, got, err));
	return DS_OK;
}

/* Check bytes of the mapping without copying them. */
static ds_status check_mapped(ds_dsm_reader *r, const uint8_t *p, uint64_t n, ds_err *err)
{
	for (uint64_t at = 0; at < n; at += CHUNK) {
		size_t k = (size_t)DS_MIN((uint64_t)CHUNK, n - at);
		r->data_crc = ds_crc32c(r->data_crc, p + at, k);
		if (!dsm_fill_check(&r->fill, p + at, k))
			return ds_fail(err, DS_E_INPUT, "bits between the codes are not zero");
	}
	r->raw_crc = r->data_crc;
	r->data_left -= n;
	r->raw_left -= n;
	return DS_OK;
}

/* What was not read of the present record passes by. */
static ds_status skip_rest(ds_dsm_reader *r, ds_err *err)
{
	if (!r->open)
		return DS_OK;
	bool mapped = ds_source_mapped(r->src), whole = r->data_left == r->rec.data_len && !r->in_n;
	if (mapped && whole && r->opts.no_verify) {
		DS_TRY(ds_source_skip(r->src, r->data_left, err));
		r->unverified = true;
		return close_record(r, err);
	}
	if (mapped && r->rec.codec == 0) {
		const void *p;
		uint64_t n = r->data_left;
		DS_TRY(ds_source_borrow(r->src, n, &p, err));
		DS_TRY(check_mapped(r, p, n, err));
		return close_record(r, err);
	}
	DS_TRY(have_block(&r->scratch, err));
	while (r->open) {
		size_t got;
		DS_TRY(payload(r, r->scratch, SCRATCH, &got, err));
	}
	return DS_OK;
}

/* ---- whole payloads ------------------------------------------------------------------------------------------------------------------------------ */
static ds_status borrow_all(ds_dsm_reader *r, ds_buffer **out, ds_err *err)
{
	const void *p;
	uint64_t n = r->data_left;
	DS_TRY(ds_source_borrow(r->src, n, &p, err));
	if (r->opts.no_verify && r->rec.type == DS_REC_TENSOR)
		r->unverified = true;
	else
		DS_TRY(check_mapped(r, p, n, err));
	DS_TRY(close_record(r, err));
	void *owner = ds_source_keep(r->src);
	*out = ds_buffer_wrap((void *)(uintptr_t)p, (size_t)n, ds_source_drop, owner);
	if (!*out) {
		ds_source_drop(owner);
		return ds_fail_nomem(err, 64);
	}
	return DS_OK;
}

/* Grow with what arrives: at most twice the bytes received, or 1 MiB. */
static ds_status read_all(ds_dsm_reader *r, ds_buffer **out, ds_err *err)
{
	uint64_t len = r->rec.raw_len, have = 0, cap = DS_MIN(len, (uint64_t)CHUNK);
	if (len > r->opts.memory_limit)
		return ds_fail(err, DS_E_LIMIT, "needs %llu bytes of memory, --memory-limit is %llu", (unsigned long long)len,
			(unsigned long long)r->opts.memory_limit);
	uint8_t *p = ds_aligned((size_t)cap);
	if (!p)
		return ds_fail_nomem(err, (size_t)cap);
	while (r->open) {
		if (have == cap && have < len) {
			uint64_t more = DS_MIN(len, cap * 2);
			uint8_t *q = ds_aligned((size_t)more);
			if (!q) {
				ds_free(p);
				return ds_fail_nomem(err, (size_t)more);
			}
			memcpy(q, p, (size_t)have);
			ds_free(p);
			p = q;
			cap = more;
		}
		size_t got;
		ds_status rc = payload(r, p + have, (size_t)(cap - have), &got, err);
		if (rc != DS_OK) {
			ds_free(p);
			return rc;
		}
		have += got;
	}
	*out = ds_buffer_wrap(p, (size_t)len, ds_free, p);
	if (!*out) {
		ds_free(p);
		return ds_fail_nomem(err, 64);
	}
	return DS_OK;
}

static ds_status payload_all(ds_dsm_reader *r, ds_buffer **out, ds_err *err)
{
	*out = NULL;
	if (!r->open || r->started)
		return ds_fail(err, DS_E_INTERNAL, "the payload was read before");
	r->started = true;
	return r->rec.codec == 0 && ds_source_mapped(r->src) ? borrow_all(r, out, err) : read_all(r, out, err);
}

ds_status ds_dsm_payload_all(ds_dsm_reader *r, ds_buffer **out, ds_err *err)
{
	*out = NULL;
	if (r->dead)
		return ds_fail(err, DS_E_INTERNAL, "reading on after a failure");
	IN(r, err, payload_all(r, out, err));
	return DS_OK;
}

/* ---- record types ---------------------------------------------------------------------------------------------------------------------------------- */
static ds_status open_meta(ds_dsm_reader *r, ds_err *err)
{
	ds_buffer *b;
	if (r->rec.desc_len != 4 || r->rec.raw_len > DSM_MAX_META)
		return ds_fail(err, DS_E_INPUT, "descriptor of %llu bytes, payload of %llu", (unsigned long long)r->rec.desc_len, (unsigned long long)r->rec.raw_len);
	if (r->rec.type == DS_REC_HIST && ++r->n_hist > DSM_MAX_HIST)
		return ds_fail(err, DS_E_INPUT, "more than %d history records", DSM_MAX_HIST);
	DS_TRY(payload_all(r, &b, err));
	ds_status rc = dsm_meta_decode(ds_buffer_data(b), ds_buffer_size(b), dsm_get32(r->desc), &r->meta, err);
	ds_buffer_unref(b);
	r->have_meta = rc == DS_OK;
	if (rc == DS_OK && r->rec.type == DS_REC_META && !dsm_kind_parse(&r->meta, &r->order.kind))
		rc = ds_fail(err, DS_E_INPUT, "the kind of the stream is missing or not known");
	return rc;
}

static ds_status open_graph(ds_dsm_reader *r, ds_err *err)
{
	ds_buffer *b;
	if (r->rec.desc_len != 64 || r->rec.raw_len > DSM_MAX_GRPH)
		return ds_fail(err, DS_E_INPUT, "descriptor of %llu bytes, payload of %llu", (unsigned long long)r->rec.desc_len, (unsigned long long)r->rec.raw_len);
	DS_TRY(payload_all(r, &b, err));
	ds_status rc = dsm_graph_decode(r->desc, ds_buffer_data(b), ds_buffer_size(b), &r->graph, &r->param, &r->n_param, err);
	ds_buffer_unref(b);
	return rc == DS_OK ? dsm_order_params(&r->order, r->param, r->n_param, r->graph->n_input, err) : rc;
}

static ds_status open_asset(ds_dsm_reader *r, ds_err *err)
{
	const uint8_t *d = r->desc;
	size_t n = (size_t)r->rec.desc_len;
	if (n < 8 || r->rec.raw_len > DSM_MAX_ABYTES)
		return ds_fail(err, DS_E_INPUT, "descriptor of %zu bytes, payload of %llu", n, (unsigned long long)r->rec.raw_len);
	size_t name = dsm_get16(d), media = dsm_get16(d + 2);
	if (name < 1 || name > DSM_MAX_NAME || media > DSM_MAX_KEY || n != 8 + name + media || !dsm_zero(d + 4, 4) ||
		!ds_text_ok((const char *)d + 8, name, false) || !ds_text_ok((const char *)d + 8 + name, media, false))
		return ds_fail(err, DS_E_INPUT, "name or media type is not as it should be");
	char text[DSM_MAX_NAME + 1];
	memcpy(text, d + 8, name);
	text[name] = 0;
	if (++r->n_asset > DSM_MAX_ASSET || (r->n_asset > 1 && strcmp(text, r->asset_name) <= 0))
		return ds_fail(err, DS_E_INPUT, "more than %d assets, or their names do not rise", DSM_MAX_ASSET);
	memcpy(r->asset_name, text, name + 1);
	memcpy(r->asset_media, d + 8 + name, media);
	r->asset_media[media] = 0;
	r->rec.asset_name = r->name = r->asset_name;
	r->rec.asset_media = r->asset_media;
	return DS_OK;
}

static ds_status open_tensor(ds_dsm_reader *r, ds_err *err)
{
	ds_qsize size;
	ds_tnsr *t = &r->rec.tensor;
	ds_status rc = dsm_tnsr_decode(r->desc, (size_t)r->rec.desc_len, t, &size, r->text, err);
	r->name = t->name;
	DS_TRY(rc);
	if (r->rec.raw_len != t->raw_len)
		return ds_fail(err, DS_E_INPUT, "payload of %llu bytes, type and dimensions make %llu", (unsigned long long)r->rec.raw_len,
			(unsigned long long)t->raw_len);
	DS_TRY(dsm_order_tensor(&r->order, t, err));
	dsm_fill_init(&r->fill, t, &size);
	return DS_OK;
}

static const struct known { char letters[5]; ds_rec_type type; stage at; ds_status (*open)(ds_dsm_reader *, ds_err *); } known[] = {
	{ "META", DS_REC_META, S_META, open_meta }, { "GRPH", DS_REC_GRPH, S_GRAPH, open_graph }, { "aSSt", DS_REC_ASSET, S_ASSET, open_asset },
	{ "TNSR", DS_REC_TENSOR, S_TENSOR, open_tensor }, { "hISt", DS_REC_HIST, S_HIST, open_meta },
};

/* Is a record of this kind due?  Known types stand in a fixed order; others may stand anywhere after META, but not where GRPH must be. */
static ds_status check_order(ds_dsm_reader *r, stage at, ds_err *err)
{
	bool graph_due = r->at == S_META && dsm_has_graph(r->order.kind);
	bool good = r->at == S_START ? at == S_META : graph_due ? at == S_GRAPH : at > S_GRAPH && at >= r->at;
	if (!good)
		return ds_fail(err, DS_E_INPUT, "record is out of place");
	if (at >= S_HIST)
		DS_TRY(dsm_order_end(&r->order, err));
	r->at = at;
	return DS_OK;
}

/* ---- headers ------------------------------------------------------------------------------------------------------------------------------------------ */
static bool letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static ds_status read_header(ds_dsm_reader *r, uint8_t h[64], ds_err *err)
{
	r->rec = (ds_rec){ .offset = ds_source_offset(r->src), .seq = r->seq };
	r->name = "";
	ds_status rc = ds_source_read(r->src, h, 64, err);
	if (rc == DS_END)
		return ds_fail_at(err, DS_E_INPUT, r->rec.offset, "truncated: no DONE record");
	DS_TRY(rc);
	if (!dsm_crc_ok(dsm_get32(h + 60), ds_crc32c(0, h, 60)))
		return ds_fail(err, DS_E_INPUT, "header checksum mismatch in record %u", r->seq);
	memcpy(r->rec.letters, h, 4);
	r->head_crc = dsm_get32(h + 60);
	if (dsm_get32(h + 4) != r->seq || r->seq == DSM_NONE)
		return ds_fail(err, DS_E_INPUT, "has number %u: a record is missing, doubled or moved", dsm_get32(h + 4));
	if (!dsm_crc_ok(dsm_get32(h + 44), r->prev))
		return ds_fail(err, DS_E_INPUT, "does not follow the record before it: the stream was pieced together");
	r->seq++;
	if (!letter(h[0]) || !letter(h[1]) || !letter(h[2]) || !letter(h[3]) || h[2] >= 'a') {
		bool text = letter(h[0]) && letter(h[1]) && letter(h[2]) && letter(h[3]);
		if (!text)
			memset(r->rec.letters, 0, 4);
		return ds_fail(err, DS_E_INPUT, "record type is not one");
	}
	if (dsm_get32(h + 36) || dsm_get32(h + 32) > 1)
		return ds_fail(err, DS_E_UNSUPPORTED, "flags %u or codec %u need a newer version", dsm_get32(h + 36), dsm_get32(h + 32));
	if (!dsm_zero(h + 48, 12))
		return ds_fail(err, DS_E_INPUT, "a field that must be zero is not");
	r->rec.desc_len = dsm_get64(h + 8);
	r->rec.data_len = dsm_get64(h + 16);
	r->rec.raw_len = dsm_get64(h + 24);
	r->rec.codec = dsm_get32(h + 32);
	if (r->rec.desc_len > DSM_MAX_DESC || r->rec.data_len > DSM_MAX_DATA || r->rec.raw_len > DSM_MAX_DATA)
		return ds_fail(err, DS_E_INPUT, "lengths are over the limits");
	if (r->rec.codec == 0 && r->rec.raw_len != r->rec.data_len)
		return ds_fail(err, DS_E_INPUT, "a payload that is not compressed has two lengths");
	return DS_OK;
}

static ds_status end_of_stream(ds_dsm_reader *r, const uint8_t h[64], ds_err *err)
{
	const void *p;
	size_t got;
	if (!dsm_zero(h + 8, 36))
		return ds_fail(err, DS_E_INPUT, "DONE with a length");
	if (r->at == S_START || (r->at == S_META && dsm_has_graph(r->order.kind)))
		return ds_fail(err, DS_E_INPUT, "stream ends before its %s", r->at == S_START ? "metadata" : "graph");
	DS_TRY(dsm_order_end(&r->order, err));
	DS_TRY(ds_source_peek(r->src, 1, &p, &got, err));
	if (got)
		return ds_fail_at(err, DS_E_INPUT, ds_source_offset(r->src), "data after the end of the stream");
	r->at = S_DONE;
	r->id_crc = r->head_crc;
	return DS_END;
}

static ds_status read_descriptor(ds_dsm_reader *r, const uint8_t h[64], ds_err *err)
{
	size_t n = (size_t)r->rec.desc_len, padded = (size_t)ds_pad64(n);
	if (padded > r->desc_cap || !r->desc) {
		size_t cap = DS_MAX(padded, (size_t)512);
		uint8_t *desc = ds_realloc(r->desc, cap, 1);
		r->desc = desc ? desc : r->desc;
		char *text = ds_realloc(r->text, cap + DSM_MAX_NAME + 4, 1);
		r->text = text ? text : r->text;
		if (!desc || !text)
			return ds_fail_nomem(err, cap);
		r->desc_cap = cap;
	}
	DS_TRY(need(r, r->desc, padded, err));
	if (!dsm_crc_ok(dsm_get32(h + 40), ds_crc32c(0, r->desc, n)))
		return ds_fail(err, DS_E_INPUT, "descriptor checksum mismatch");
	if (!dsm_zero(r->desc + n, padded - n))
		return ds_fail(err, DS_E_INPUT, "padding of the descriptor is not zero");
	return DS_OK;
}

static ds_status next(ds_dsm_reader *r, ds_err *err)
{
	uint8_t h[64];
	DS_TRY(skip_rest(r, err));
	drop_record(r);
	DS_TRY(read_header(r, h, err));
	if (memcmp(h, "DONE", 4) == 0)
		return end_of_stream(r, h, err);
	DS_TRY(read_descriptor(r, h, err));
	int64_t size = ds_source_size(r->src);
	if (size >= 0 && (uint64_t)(size - ds_source_offset(r->src)) < ds_pad64(r->rec.data_len) + 64)
		return ds_fail_at(err, DS_E_INPUT, size, "truncated");
	r->data_left = r->rec.data_len;
	r->raw_left = r->rec.raw_len;
	r->data_crc = r->raw_crc = 0;
	r->open = true;
	r->started = r->unverified = r->frame_done = false;
	r->in_at = r->in_n = 0;
	r->fill = (dsm_fill){ 0 };
	for (size_t i = 0; i < DS_COUNTOF(known); i++)
		if (memcmp(h, known[i].letters, 4) == 0) {
			r->rec.type = known[i].type;
			DS_TRY(check_order(r, known[i].at, err));
			return known[i].open(r, err);
		}
	r->rec.type = DS_REC_OTHER;
	if (h[0] < 'a')
		return ds_fail(err, DS_E_UNSUPPORTED, "critical record of an unknown type needs a newer version");
	if (r->at == S_START || (r->at == S_META && dsm_has_graph(r->order.kind)))
		return ds_fail(err, DS_E_INPUT, "record is out of place");
	return DS_OK;
}

ds_status ds_dsm_next(ds_dsm_reader *r, ds_rec *rec, ds_err *err)
{
	if (r->dead)
		return ds_fail(err, DS_E_INTERNAL, "reading on after a failure");
	if (r->at == S_DONE)
		return DS_END;
	ds_status rc = next(r, err);
	if (rc < 0)
		return in_record(r, rc, err);
	*rec = r->rec;
	return rc;
}

/* ---- what was found ------------------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_dsm_meta(ds_dsm_reader *r, ds_meta *out, ds_err *err)
{
	*out = (ds_meta){ 0 };
	if (r->dead || !r->have_meta)
		return ds_fail(err, DS_E_INTERNAL, "the record holds no metadata");
	*out = r->meta;
	r->meta = (ds_meta){ 0 };
	r->have_meta = false;
	return DS_OK;
}

ds_status ds_dsm_graph(ds_dsm_reader *r, ds_graph **out, ds_value ***param, int *n_param, ds_err *err)
{
	*out = NULL;
	if (param)
		*param = NULL;
	if (r->dead || !r->graph)
		return ds_fail(err, DS_E_INTERNAL, "the record holds no graph");
	*out = r->graph;
	r->graph = NULL;
	if (n_param)
		*n_param = r->n_param;
	if (param) {
		*param = r->param;
		r->param = NULL;
	}
	return DS_OK;
}

void ds_dsm_identity(const ds_dsm_reader *r, uint32_t *crc, uint64_t *len)
{
	*crc = r->id_crc;
	*len = (uint64_t)ds_source_offset(r->src);
}

bool ds_dsm_verified(const ds_dsm_reader *r)
{
	return !(r->opts.no_verify && ds_source_mapped(r->src));
}

ds_status ds_dsm_copy(ds_dsm_writer *w, ds_dsm_reader *r, ds_err *err)
{
	if (r->dead || r->started || r->rec.type == DS_REC_META || r->rec.type == DS_REC_GRPH || r->rec.type == DS_REC_HIST)
		return ds_fail(err, DS_E_INTERNAL, "this record cannot be copied as it is");
	DS_TRY(r->rec.type == DS_REC_TENSOR ? ds_dsm_tensor_begin(w, &r->rec.tensor, err) :
		dsm_rec_begin(w, r->rec.letters, r->desc, (size_t)r->rec.desc_len, r->rec.raw_len, err));
	DS_TRY(have_block(&r->scratch, err));
	while (r->open) {
		size_t got;
		IN(r, err, payload(r, r->scratch, SCRATCH, &got, err));
		DS_TRY(dsm_rec_data(w, r->scratch, got, err));
	}
	return r->rec.type == DS_REC_TENSOR ? ds_dsm_tensor_end(w, err) : dsm_rec_end(w, err);
}
