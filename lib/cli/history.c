/* history.c - the history record of this run (hISt of ds-model(5)) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../graph/model.h"
#include "internal.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines of c->effective as a list. */
static ds_status put_args(ds_meta *out, const ds_common *c, ds_err *err)
{
	int n = 0, k = 0;
	for (const char *s = c->effective; *s; s++)
		n += *s == '\n';
	ds_status rc = DS_OK;
	char *text = ds_strdup(c->effective);
	const char **line = ds_calloc((size_t)n, sizeof *line);
	if (!text || !line)
		DS_GOTO(ds_fail_nomem(err, strlen(c->effective)));
	for (char *s = text; k < n; s = strchr(s, 0) + 1) {
		line[k++] = s;
		*strchr(s, '\n') = 0;
	}
	rc = ds_meta_set_list(out, "args", n, line);
	if (rc != DS_OK)
		ds_fail(err, rc, "an option's value does not fit into the history record");
out:
	ds_free((void *)line);
	ds_free(text);
	return rc;
}

ds_status ds_history_entry(ds_meta *out, const ds_common *c, uint32_t input_crc, uint64_t input_len, const char **external, int n_external, ds_err *err)
{
	char text[64];
	snprintf(text, sizeof text, "%s %s", c->filter->name, DS_VERSION);
	ds_status rc = ds_meta_set_str(out, "tool", text);
	if (rc == DS_OK && input_len > 0) {
		snprintf(text, sizeof text, "%08x:%llu", (unsigned)input_crc, (unsigned long long)input_len);
		rc = ds_meta_set_str(out, "input", text);
	}
	if (rc == DS_OK && n_external > 0) {
		qsort((void *)external, (size_t)n_external, sizeof *external, by_text);
		rc = ds_meta_set_list(out, "external", n_external, external);
	}
	if (rc != DS_OK)
		return ds_fail(err, rc, "cannot make the history record");
	return put_args(out, c, err);
}
