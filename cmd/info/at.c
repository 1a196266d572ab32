/* at.c - ds-info --at: what lies at a byte of the stream */
#include "info.h"

/* Element or plane at byte `at` of a tensor's payload. */
static void where_in_tensor(ds_buf *b, const ds_tnsr *t, uint64_t at)
{
	ds_qsize q;
	if (ds_qform_size(&t->form, t->rank, t->dim, &q, NULL) != DS_OK)
		return;
	if (t->form.scheme == DS_Q_PLAIN) {
		size_t size = ds_dtype_size(t->form.code);
		uint64_t e = at / size;
		ds_buf_printf(b, ", element %llu [", (unsigned long long)e);
		uint64_t below = 1;
		for (int i = 0; i < t->rank; i++)
			below *= (uint64_t)t->dim[i];
		for (int i = 0; i < t->rank; i++) {
			below /= (uint64_t)t->dim[i];
			ds_buf_printf(b, "%s%llu", i ? ", " : "", (unsigned long long)(e / below));
			e %= below;
		}
		ds_buf_printf(b, "], its byte %llu", (unsigned long long)(at % size));
	} else if (at < q.code_bytes) {
		ds_buf_printf(b, ", codes of row %llu, byte %llu", (unsigned long long)(at / q.code_stride), (unsigned long long)(at % q.code_stride));
	} else if (at < q.zero_off) {
		ds_buf_printf(b, ", scale %llu", (unsigned long long)((at - q.scale_off) / ds_dtype_size(t->form.scale_dtype)));
	} else if (at < q.book_off) {
		ds_buf_printf(b, ", zero point %llu", (unsigned long long)((at - q.zero_off) / ds_dtype_size(t->form.zero_dtype)));
	} else {
		ds_buf_printf(b, ", codebook entry %llu", (unsigned long long)((at - q.book_off) / ds_dtype_size(t->form.scale_dtype)));
	}
}

static void where_in_record(ds_buf *b, const ds_rec *rec, uint64_t at)
{
	uint64_t desc = 64 + ds_pad64(rec->desc_len), data = desc + ds_pad64(rec->data_len);
	const char *name = rec->type == DS_REC_TENSOR ? rec->tensor.name : rec->type == DS_REC_ASSET ? rec->asset_name : NULL;
	ds_buf_printf(b, "record %u (%s%s%s%s): ", rec->seq, rec->letters, name ? " \"" : "", name ? name : "", name ? "\"" : "");
	if (at < 64)
		ds_buf_printf(b, "header, byte %llu", (unsigned long long)at);
	else if (at < desc)
		ds_buf_printf(b, "%s, byte %llu", at - 64 < rec->desc_len ? "descriptor" : "padding of the descriptor", (unsigned long long)(at - 64));
	else if (at < data && at - desc < rec->data_len) {
		ds_buf_printf(b, "payload, byte %llu", (unsigned long long)(at - desc));
		if (rec->type == DS_REC_TENSOR && !rec->codec)
			where_in_tensor(b, &rec->tensor, at - desc);
	} else if (at < data)
		ds_buf_str(b, "padding of the payload");
	else
		ds_buf_printf(b, "trailer, byte %llu", (unsigned long long)(at - data));
}

ds_status info_show_at(section *o, ds_source *src, ds_err *err)
{
	ds_dsm_reader *r;
	ds_rec rec;
	ds_buf b = { 0 };
	uint64_t at = (uint64_t)o->s->offset;
	ds_status rc;
	DS_TRY(ds_dsm_open(&r, src, &(ds_dsm_opts){ .memory_limit = o->s->c.memory_limit, .no_verify = true }, err));
	if (at < 64)
		ds_buf_printf(&b, "first 64 bytes (signature, version), byte %llu", (unsigned long long)at);
	while (!b.len && (rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		uint64_t end = (uint64_t)rec.offset + 128 + ds_pad64(rec.desc_len) + ds_pad64(rec.data_len);
		if (at < end)
			where_in_record(&b, &rec, at - (uint64_t)rec.offset);
	}
	if (!b.len && rc == DS_END) {
		uint32_t crc;
		uint64_t len;
		ds_dsm_identity(r, &crc, &len);
		if (at < len)
			ds_buf_printf(&b, "record %u (DONE): header, byte %llu", rec.seq, (unsigned long long)(at - (len - 64)));
		else
			rc = ds_fail(err, DS_E_INPUT, "the stream has only %llu bytes", (unsigned long long)len);
	}
	if (b.len) {
		ds_buf quoted = { 0 };
		ds_text_quote(&quoted, b.data, b.len);
		ds_buf_str(&quoted, "\n");
		rc = quoted.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(o->sink, quoted.data, quoted.len, err);
		ds_buf_done(&quoted);
	}
	ds_buf_done(&b);
	ds_dsm_close(r);
	return rc;
}
