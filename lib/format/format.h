/* format.h - foreign model containers: one file each, one row each in formats.def */
#ifndef DS_FORMAT_H
#define DS_FORMAT_H

#include "dsm.h"

typedef struct ds_import {
	const char *path;               /* of the model when it is a file, else NULL: external data are looked for beside it */
	uint64_t    memory_limit;
	uint64_t    seed;               /* of parameters that are made (spec) */
	const char *const *set;         /* NAME=VALUE: parameters of a description (spec) */
	int         n_set;
	/* Metadata of a picture as the preprocessing that is called `name` has it; DS_E_USAGE: no such name.  NULL: there are no names. */
	ds_status (*preset)(const char *name, int input, ds_meta *meta, ds_err *err);
	bool        check_only;         /* report missing operators and stop */
	ds_buf     *missing;            /* one line per unsupported operator (ds_graph_verify) */
	ds_buf     *notes;              /* what the import changed, one line each (-v) */
} ds_import;

typedef struct ds_format {
	const char *name;               /* "onnx" */
	const char *help;
	bool        complete;           /* it says what its outputs mean: nothing is guessed */
	/* Could this be such a file?  `p` are the first n bytes (up to 64 KiB) and size the whole size or -1. */
	bool      (*probe)(const uint8_t *p, size_t n, int64_t size);
	/* Read a model (the source is taken).  NULL for formats that hold only tensors. */
	ds_status (*read)(ds_model **m, ds_source *src, const ds_import *o, ds_err *err);
	/* Formats that are bags of tensors: write straight to a DSM stream of kind `tensors`, in one pass: META and the
	 * tensors; history and DONE (ds_dsm_finish) are the caller's.  The source stays open. */
	ds_status (*stream)(ds_source *src, ds_dsm_writer *w, const ds_import *o, ds_err *err);
} ds_format;

const ds_format *ds_format_find(const char *name);
const ds_format *ds_format_probe(const uint8_t *p, size_t n, int64_t size);
const ds_format *const *ds_format_all(int *n);

#endif
