/* info.h - one run of ds-info: its settings, sections of rows, and the parts that show one thing each */
#ifndef DS_INFO_H
#define DS_INFO_H

#include "cli/cli.h"
#include "format/dsm.h"

typedef struct settings {
	ds_common   c;
	bool        tensors, graph, history, verify, replay;
	const char *diff, *at;
	int64_t     offset;
} settings;

/* ---- sections: rows for people (a table) and for programs (TSV, JSON Lines) --------------------------------------------------------- */
typedef struct section {
	const settings *s;
	ds_sink        *sink;
	ds_rows        *rows;
	ds_table        table;
	bool            plain;          /* a table */
	int             n;              /* sections so far */
} section;
/* Columns of the table, and the keys that programs see.  Ends the section before. */
ds_status info_section_begin(section *o, const char *const *columns, const char *const *keys, ds_err *err);
ds_status info_section_end(section *o, ds_err *err);
void      info_cell_str(section *o, const char *s, size_t n);
void      info_cell_text(section *o, const char *s);
void      info_cell_buf(section *o, ds_buf *b);         /* and empties b */
void      info_cell_i64(section *o, int64_t v);
void      info_cell_bits(section *o, double bytes, double elements);    /* bits per element; nothing for empty tensors */
ds_status info_row_end(section *o, ds_err *err);

/* ---- parts.  A source is taken. ------------------------------------------------------------------------------------------------------- */
ds_status info_show_graph(section *o, ds_graph *g, ds_err *err);
/* A value as "name:type[dims]"; the names of symbolic dims of g, by number (ds_free). */
void      info_value_text(ds_buf *b, const ds_value *v, const char *const *symbols);
ds_status info_symbol_names(ds_graph *g, const char ***out, ds_err *err);
ds_status info_show_at(section *o, ds_source *src, ds_err *err);
ds_status info_show_diff(section *o, ds_source *src, ds_err *err);      /* DS_E_CHECK: there are differences, which have been shown */

/* --replay: the records of history one after the other, then the identity of the stream that they made. */
typedef struct replay replay;
ds_status info_replay_new(replay **r, ds_err *err);
ds_status info_replay_add(replay *r, const ds_meta *entry, ds_err *err);
ds_status info_replay_write(const replay *r, uint32_t crc, uint64_t len, ds_sink *sink, ds_err *err);
void      info_replay_free(replay *r);

#endif
