/* history.c - the record that every filter leaves in a model (hISt of ds-model(5)) */
#include "history.h"

#include "../io/io.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECORDS = 256 };     /* of the container */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The non-empty lines of `text` as the list `key`. */
static ds_status put_lines(ds_meta *out, const char *key, const char *text)
{
	size_t n = 0, cap = 1;
	char *copy = ds_strdup(text), *rest = copy;
	const char **line;

	for (const char *s = text; *s; s++)
		cap += *s == '\n';
	line = ds_calloc(cap, sizeof *line);
	ds_status rc = copy && line ? DS_OK : DS_E_NOMEM;
	while (rc == DS_OK && rest && *rest) {
		char *end = strchr(rest, '\n');
		if (end)
			*end = 0;
		if (*rest)
			line[n++] = rest;
		rest = end ? end + 1 : NULL;
	}
	if (rc == DS_OK)
		rc = ds_meta_set_list(out, key, (int)n, line);
	ds_free((void *)line);
	ds_free(copy);
	return rc;
}

static ds_status put_external(ds_meta *out, const char *const *external, int n)
{
	const char **sorted = ds_calloc((size_t)n, sizeof *sorted);

	if (!sorted)
		return DS_E_NOMEM;
	memcpy((void *)sorted, external, (size_t)n * sizeof *sorted);
	qsort((void *)sorted, (size_t)n, sizeof *sorted, by_text);
	ds_status rc = ds_meta_set_list(out, "external", n, sorted);
	ds_free((void *)sorted);
	return rc;
}

ds_status ds_history_make(ds_meta *out, const char *tool, const char *effective, uint32_t crc, uint64_t len, const char *const *external, int n_external,
	const char *plan, ds_err *err)
{
	char text[160];

	*out = (ds_meta){ 0 };
	snprintf(text, sizeof text, "%.120s %s", tool, DS_VERSION);
	ds_status rc = ds_meta_set_str(out, "tool", text);
	if (rc == DS_OK)
		rc = put_lines(out, "args", effective ? effective : "");
	if (rc == DS_OK && len > 0) {
		snprintf(text, sizeof text, "%08" PRIx32 ":%" PRIu64, crc, len);
		rc = ds_meta_set_str(out, "input", text);
	}
	if (rc == DS_OK && n_external > 0)
		rc = put_external(out, external, n_external);
	if (rc == DS_OK && plan)
		rc = ds_meta_set_str(out, "plan", plan);
	if (rc != DS_OK) {
		ds_meta_done(out);
		*out = (ds_meta){ 0 };
		return ds_fail(err, rc, rc == DS_E_NOMEM ? "no memory for the history record" : "a setting or the plan is not text that the history can hold");
	}
	return DS_OK;
}

ds_status ds_history_add(ds_model *m, const char *tool, const char *effective, const char *const *external, int n_external, const char *plan, ds_err *err)
{
	ds_meta entry;

	if (m->n_history >= MAX_RECORDS)
		return ds_fail(err, DS_E_LIMIT, "the model has %d history records, more than %d are not allowed (--no-history drops them)", m->n_history, MAX_RECORDS);
	DS_TRY(ds_history_make(&entry, tool, effective, m->id_crc, m->id_len, external, n_external, plan, err));
	ds_status rc = ds_model_history_add(m, &entry);
	if (rc != DS_OK) {
		ds_meta_done(&entry);
		return ds_fail_nomem(err, sizeof entry);
	}
	return DS_OK;
}

char *ds_history_external_sum(const char *role, const char sha256[65], uint64_t n)
{
	ds_buf b = { 0 };

	ds_buf_printf(&b, "%s %.64s %" PRIu64, role, sha256, n);
	if (b.oom) {
		ds_buf_done(&b);
		return NULL;
	}
	return b.data;
}

char *ds_history_external(const char *role, const void *p, size_t n)
{
	ds_sha256 s;
	char hex[65];

	ds_sha256_init(&s);
	ds_sha256_add(&s, p, n);
	ds_sha256_hex(&s, hex);
	return ds_history_external_sum(role, hex, n);
}
