/* dsm.h - the container: records forward in, records forward out (ds-model(5))
 *
 * Reader and writer never seek.  A tensor's payload passes in blocks of any size; the reader gives a record to its user only after header,
 * descriptor and structure were checked, and says DS_END only after DONE and end of file. */
#ifndef DS_DSM_H
#define DS_DSM_H

#include "../graph/model.h"
#include "../io/io.h"

/* One TNSR descriptor. */
typedef struct ds_tnsr {
	ds_qform    form;               /* scheme 0: form.code is the plain dtype */
	int         rank;
	int64_t     dim[DS_MAX_RANK];
	uint8_t     sparsity;
	uint32_t    value;              /* value id of the parameter or DS_NO_SYMBOL (NONE) */
	uint32_t    item;               /* NONE in models */
	char       *name;               /* owned by the reader, valid until the next record */
	char       *item_name; size_t item_len;        /* any bytes after unescaping; NULL: none */
	uint64_t    raw_len;            /* payload bytes: follows from form and dims */
} ds_tnsr;

typedef struct ds_dsm_opts {
	uint64_t memory_limit;          /* bytes for decoded payloads and tables; 0: 2 GiB */
	bool     no_verify;             /* payload checksums of mapped records are not looked at */
	bool     any_op;                /* ds_model_load: operators without a row are no reason to refuse (their node->op is NULL) */
} ds_dsm_opts;

typedef struct ds_dsm_reader ds_dsm_reader;
typedef enum ds_rec_type { DS_REC_META, DS_REC_GRPH, DS_REC_ASSET, DS_REC_TENSOR, DS_REC_HIST, DS_REC_OTHER } ds_rec_type;
typedef struct ds_rec {
	ds_rec_type type;
	char        letters[5];
	uint32_t    seq;
	int64_t     offset;             /* of the header in the stream */
	uint64_t    desc_len, data_len, raw_len;
	uint32_t    codec;
	ds_tnsr     tensor;             /* type TENSOR */
	const char *asset_name, *asset_media;   /* type ASSET */
} ds_rec;

/* Takes the source (closed with the reader, in every case).  Reads the preamble: not a DSM stream -> DS_E_INPUT that says what it looks like. */
ds_status ds_dsm_open(ds_dsm_reader **r, ds_source *src, const ds_dsm_opts *o, ds_err *err);
void      ds_dsm_close(ds_dsm_reader *r);
/* Next record; the payload of the one before is skipped (and verified) if it was not read.  DS_END after DONE.  META, GRPH, asset and history
 * payloads are decoded by the functions below before the next call. */
ds_status ds_dsm_next(ds_dsm_reader *r, ds_rec *rec, ds_err *err);
/* Read payload bytes (decoded): up to n, *got == 0 at the end, where the trailer has been checked. */
ds_status ds_dsm_payload(ds_dsm_reader *r, void *buf, size_t n, size_t *got, ds_err *err);
/* The whole payload as a buffer: borrowed from the mapping where possible (codec 0), else read and decoded. */
ds_status ds_dsm_payload_all(ds_dsm_reader *r, ds_buffer **out, ds_err *err);
ds_status ds_dsm_meta(ds_dsm_reader *r, ds_meta *out, ds_err *err);             /* after META or HIST */
/* After GRPH: the graph with weights without data, and in order (k-th parameter = k-th TNSR) the parameters' values. */
ds_status ds_dsm_graph(ds_dsm_reader *r, ds_graph **out, ds_value ***param, int *n_param, ds_err *err);
/* Were payloads looked at (false: no_verify and the input is mapped)? */
bool      ds_dsm_verified(const ds_dsm_reader *r);
/* Identity of the stream, after DS_END: DONE's head_crc and the length. */
void      ds_dsm_identity(const ds_dsm_reader *r, uint32_t *crc, uint64_t *len);

typedef struct ds_dsm_writer ds_dsm_writer;
typedef struct ds_dsm_wopts { bool compress; uint64_t memory_limit; } ds_dsm_wopts;
/* The sink stays the caller's (commit or abort it after). */
ds_status ds_dsm_create(ds_dsm_writer **w, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err);
ds_status ds_dsm_put_meta(ds_dsm_writer *w, const ds_meta *m, ds_err *err);
/* Orders and numbers the graph canonically; *param (may be NULL) gets the parameters in TNSR order; free with ds_free. */
ds_status ds_dsm_put_graph(ds_dsm_writer *w, ds_graph *g, ds_value ***param, int *n_param, ds_err *err);
ds_status ds_dsm_put_asset(ds_dsm_writer *w, const ds_asset *a, ds_err *err);
/* A tensor: begin with its descriptor, then raw_len bytes in pieces of any size, then end. */
ds_status ds_dsm_tensor_begin(ds_dsm_writer *w, const ds_tnsr *t, ds_err *err);
ds_status ds_dsm_tensor_data(ds_dsm_writer *w, const void *p, size_t n, ds_err *err);
ds_status ds_dsm_tensor_end(ds_dsm_writer *w, ds_err *err);
/* A tensor with data in memory under a label (item streams: item, item_name) or as the parameter v. */
ds_status ds_dsm_put_tensor(ds_dsm_writer *w, const ds_tensor *t, const char *name, uint32_t item, const char *item_name, size_t item_len, ds_err *err);
ds_status ds_dsm_put_param(ds_dsm_writer *w, const ds_value *v, ds_err *err);
ds_status ds_dsm_put_history(ds_dsm_writer *w, const ds_meta *m, ds_err *err);
/* The reader's present record as it is, payload still unread: a tensor, an asset, or a record of a type that we do not know (a filter that
 * changed something passes on only those whose fourth letter is lower case). */
ds_status ds_dsm_copy(ds_dsm_writer *w, ds_dsm_reader *r, ds_err *err);
/* DONE.  No further record may follow. */
ds_status ds_dsm_finish(ds_dsm_writer *w, ds_err *err);
void      ds_dsm_writer_free(ds_dsm_writer *w);

/* What differs between two streams (both sources are taken): one call per difference - "meta" KEY, "graph" LINE, "asset" NAME, "tensor" NAME, "history"
 * NUMBER - with a sentence.  *n counts them. */
typedef ds_status (*ds_diff_fn)(void *arg, const char *what, const char *name, const char *text, ds_err *err);
ds_status ds_dsm_diff(ds_source *a, ds_source *b, const ds_dsm_opts *o, ds_diff_fn fn, void *arg, int64_t *n, ds_err *err);

/* A whole model of kind `model`; the source is taken.  Weights are borrowed from the mapping where possible. */
ds_status ds_model_load(ds_model **m, ds_source *src, const ds_dsm_opts *o, ds_err *err);
ds_status ds_model_save(const ds_model *m, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err);

#endif
