/* diff.c - ds-info --diff: what differs from another stream */
#include <stdio.h>

#include "info.h"

static ds_status diff_row(void *arg, const char *what, const char *name, const char *text, ds_err *err)
{
	section *o = arg;
	info_cell_text(o, what);
	info_cell_text(o, name);
	info_cell_text(o, text);
	return info_row_end(o, err);
}

ds_status info_show_diff(section *o, ds_source *src, ds_err *err)
{
	static const char *const keys[] = { "what", "name", "difference", NULL };
	ds_source *other;
	int64_t n = 0;
	char name[100];
	snprintf(name, sizeof name, "%.90s", o->s->diff);
	ds_status rc = ds_open_file(&other, &o->s->c, o->s->diff, err);
	if (rc != DS_OK) {
		ds_source_close(src);
		return rc;
	}
	rc = info_section_begin(o, keys, keys, err);
	if (rc != DS_OK) {
		ds_source_close(src);
		ds_source_close(other);
		return rc;
	}
	DS_TRY(ds_dsm_diff(src, other, &(ds_dsm_opts){ .memory_limit = o->s->c.memory_limit }, diff_row, o, &n, err));
	if (n == 0 && o->plain) {               /* nothing to say: no heading either */
		o->table.columns = NULL;
		return DS_OK;
	}
	DS_TRY(info_section_end(o, err));
	return n ? ds_fail(err, DS_E_CHECK, "%lld difference%s from %s", (long long)n, n == 1 ? "" : "s", name) : DS_OK;
}
