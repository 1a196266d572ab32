/* history.h - the record that every filter leaves in a model (hISt of ds-model(5)) */
#ifndef DS_HISTORY_H
#define DS_HISTORY_H

#include "../graph/model.h"

/* Fill an empty *out: `tool` is "ds-prune" (the version is added), `effective` the settings of the run, one per line in canonical spelling without threads, paths and
 * progress, (crc, len) the identity of the input stream (len 0: it was none), `external` lines "role sha256 length" as ds_history_external makes them (sorted
 * here), `plan` its text or NULL.  DS_E_NOMEM, DS_E_INPUT when a text breaks the text rule; *out is then empty. */
ds_status ds_history_make(ds_meta *out, const char *tool, const char *effective, uint32_t crc, uint64_t len, const char *const *external, int n_external,
	const char *plan, ds_err *err);
/* The same as the newest record of m, whose stream identity is the input.  DS_E_LIMIT when the model has as many records as the container allows. */
ds_status ds_history_add(ds_model *m, const char *tool, const char *effective, const char *const *external, int n_external, const char *plan, ds_err *err);
/* "role sha256 length" of the bytes p[0, n); freed with ds_free; NULL: no memory. */
char     *ds_history_external(const char *role, const void *p, size_t n);
/* The same from a finished sum. */
char     *ds_history_external_sum(const char *role, const char sha256[65], uint64_t n);

#endif
