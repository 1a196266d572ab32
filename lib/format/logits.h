/* logits.h - streams of kind `logits`: what a model answered to each sample, whole or its K best classes (ds-model(5))
 *
 * Item i is sample i in input order and carries its name.  Whole: `logits` f32 [C], or [T, C] where a sample has T positions.  The best K: `classes` i32 [K],
 * `logits` f32 [K], and `rest` f32 [], the logit that each other class would have if they shared what is left alike: log of the sum of their exponentials less
 * log of their number; with T positions [T, K], [T, K], [T].  A sample that could not be computed is an empty `logits` [0].
 * META: logits.classes (C), logits.top (K; absent: whole), logits.model (identity of the model's stream, "crc:length"). */
#ifndef DS_LOGITS_H
#define DS_LOGITS_H

#include "dsm.h"

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */
typedef struct ds_logits_writer ds_logits_writer;
/* The sink stays the caller's.  m: whose answers they are; top: K, 0 (or C and more): whole. */
ds_status ds_logits_create(ds_logits_writer **w, ds_sink *sink, const ds_model *m, int64_t top, const ds_dsm_wopts *o, ds_err *err);
/* The next sample: t is output 0 for it, dims [1, C], [1, T, C] or any with one axis of classes; NULL: it could not be computed.  DS_E_INPUT: another number of
 * classes than before, DS_E_UNSUPPORTED: not such dims; nothing was written then. */
ds_status ds_logits_put(ds_logits_writer *w, const ds_tensor *t, const char *name, size_t name_len, ds_err *err);
ds_status ds_logits_finish(ds_logits_writer *w, ds_err *err);
void      ds_logits_writer_free(ds_logits_writer *w);

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */
typedef struct ds_logits {
	int64_t  classes, top;          /* top 0: whole */
	int64_t  positions;             /* of every sample, 1 where it has one answer */
	int64_t  items, missing;        /* samples, and how many of them have no answer */
	char     model[32];             /* "crc:length", empty: the stream does not say */
	uint32_t id_crc;                /* of the stream */
	uint64_t id_len;
	float   *value;                 /* [items, positions, width], width = top or classes */
	int32_t *index;                 /* the same of class numbers; NULL: whole */
	float   *rest;                  /* [items, positions] */
	bool    *there;                 /* [items] */
} ds_logits;
/* The source is taken.  Everything is kept in memory, DS_E_LIMIT when that is more than o->memory_limit.  DS_E_INPUT: another stream, classes that do not exist,
 * numbers that are not finite. */
ds_status ds_logits_load(ds_logits **l, ds_source *src, const ds_dsm_opts *o, ds_err *err);
/* The answer to a sample as f32 [positions, classes].  DS_E_INPUT: there is none. */
ds_status ds_logits_get(const ds_logits *l, int64_t item, float *dst, ds_err *err);
void      ds_logits_free(ds_logits *l);

#endif
