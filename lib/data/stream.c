/* stream.c - DSM tensor streams (ds-model(5), kinds `tensors` and `logits`) as samples */
#include "local.h"
#include "../format/dsm.h"

#include <string.h>

bool ds_is_stream(const uint8_t *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x89" "DSM\r\n\x1a\n", 8);
}

/* Which input a tensor of a stream feeds: the one of its name; where the model has one input, any. */
static int input_for(const ds_loader *ld, const char *name, bool *exact)
{
	*exact = true;
	for (int k = 0; k < ld->n_in; k++) {
		if (!strcmp(ld->in[k].name, name))
			return k;
	}
	*exact = false;
	return ld->n_in == 1 ? 0 : -1;
}

/* The payload of the record as a plain tensor of its own: what the reader gives may lie in the bytes of the file, which go when it is loaded. */
static ds_status record_tensor(ds_tensor *t, ds_dsm_reader *r, const ds_rec *rec, ds_err *err)
{
	ds_buffer *b;
	*t = (ds_tensor){ 0 };
	DS_TRY(ds_dsm_payload_all(r, &b, err));
	ds_tensor raw;
	ds_tensor_borrow(&raw, rec->tensor.form.code, rec->tensor.rank, rec->tensor.dim, ds_buffer_data(b));
	raw.buf = b;
	ds_status rc;
	if (rec->tensor.form.scheme == DS_Q_PLAIN) {
		rc = ds_tensor_new(t, raw.dtype, raw.rank, raw.dim, err);
		if (rc == DS_OK)
			memcpy(t->data, raw.data, ds_tensor_bytes(&raw));
	} else {
		raw.dtype = DS_F32;
		raw.q = &rec->tensor.form;
		rc = ds_tensor_to_f32(&raw, t, err);
	}
	ds_tensor_done(&raw);
	return rc;
}

static ds_status check_kind(ds_dsm_reader *r, ds_err *err)
{
	ds_meta m = { 0 };
	DS_TRY(ds_dsm_meta(r, &m, err));
	const char *kind = ds_meta_str(&m, "kind");
	ds_status rc = DS_OK;
	if (!kind || (strcmp(kind, "tensors") && strcmp(kind, "logits")))
		rc = ds_fail(err, DS_E_INPUT, "a DSM stream of kind '%s' where samples were expected%s", kind ? kind : "?",
			kind && !strcmp(kind, "model") ? " (a model is given with -m)" : "");
	ds_meta_done(&m);
	return rc;
}

static ds_status add_record(ds_loaded *l, size_t *cap, const ds_loader *ld, ds_dsm_reader *r, const ds_rec *rec, ds_err *err)
{
	bool exact;
	int k = input_for(ld, rec->tensor.name ? rec->tensor.name : "", &exact);
	int64_t item = rec->tensor.item == DS_NO_SYMBOL ? 0 : (int64_t)rec->tensor.item;
	while (l->n <= item) {
		/* numbers rise by one (the reader checks), so this adds one row */
		size_t rows = (size_t)l->n;
		if (!ds_grow((void **)&l->part, rows, cap, sizeof *l->part * (size_t)ld->n_in))
			return ds_fail_nomem(err, sizeof *l->part);
		memset(l->part + rows * ld->n_in, 0, sizeof *l->part * (size_t)ld->n_in);
		l->n++;
	}
	if (k < 0)
		return DS_OK;
	ds_part *p = &l->part[(size_t)item * ld->n_in + k], got;
	if (p->t.data && !exact)
		return DS_OK;
	ds_tensor t;
	DS_TRY(record_tensor(&t, r, rec, err));
	ds_status rc = ds_part_make(&got, &t, &ld->in[k], err);
	ds_tensor_done(&t);
	if (rc != DS_OK)
		return rc;
	ds_part_done(p);
	*p = got;
	return DS_OK;
}

/* One item may be a bag of arrays, each with samples in a row; of several items each tensor is one sample. */
static ds_status settle_items(ds_loaded *l, const ds_loader *ld, ds_err *err)
{
	if (!l->n)
		return ds_fail(err, DS_E_INPUT, "a DSM stream without tensors");
	if (l->n == 1) {
		l->per_item = false;
		for (int k = 0; k < ld->n_in; k++) {
			int64_t n = l->part[k].n;
			if (l->part[k].t.data && n != 1 && l->n != 1 && n != l->n)
				return ds_fail(err, DS_E_INPUT, "arrays of %lld and of %lld samples", (long long)l->n, (long long)n);
			if (l->part[k].t.data && n != 1)
				l->n = n;
		}
		return DS_OK;
	}
	for (int64_t i = 0; i < l->n * ld->n_in; i++) {
		if (l->part[i].t.data && l->part[i].n != 1)
			return ds_fail(err, DS_E_INPUT, "item %lld holds %lld samples", (long long)(i / ld->n_in), (long long)l->part[i].n);
	}
	return DS_OK;
}

ds_status ds_load_stream(ds_loaded *l, const ds_loader *ld, const uint8_t *p, size_t n, const char *path, ds_err *err)
{
	ds_source *src;
	ds_dsm_reader *r;
	ds_dsm_opts o = { .memory_limit = ld->limit };
	ds_rec rec;
	size_t cap = 0;
	ds_status rc;
	DS_TRY(ds_source_memory(&src, p, n, path, err));
	DS_TRY(ds_dsm_open(&r, src, &o, err));
	l->per_item = true;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		if (rec.type == DS_REC_META)
			DS_GOTO(check_kind(r, err));
		else if (rec.type == DS_REC_TENSOR)
			DS_GOTO(add_record(l, &cap, ld, r, &rec, err));
	}
	if (rc == DS_END)
		rc = settle_items(l, ld, err);
out:
	ds_dsm_close(r);
	return rc;
}
