/* convert.h - one run of ds-convert: its settings, and what its parts do for each other */
#ifndef DS_CONVERT_H
#define DS_CONVERT_H

#include "cli/cli.h"
#include "data/data.h"
#include "format/dsm_pass.h"
#include "format/format.h"
#include "format/history.h"
#include "graph/op.h"

typedef struct settings {
	ds_common   c;
	int         from, to;
	bool        check;
	ds_strs     set;
	const char *size, *resize, *mean, *std, *scale, *fill, *preset, *labels;
	int         interpolation, crop, color, layout, values;
	int         kind, tokens, items;
	const char *columns, *target, *vocabulary;
	ds_strs     state;
	int64_t     window, hop, context, rate, horizon;
	/* derived by check() */
	bool        rows;               /* an option about rows was given */
	bool         prep;              /* an option about preprocessing was given */
	ds_prep_spec spec;
} settings;

enum { LAYOUT_ROWS = 2 };       /* of --layout: from here on ds_axes_names */
enum { VALUES_AUTO, VALUES_LOGITS, VALUES_PROBABILITIES, VALUES_NUMBERS };
extern const char *const convert_value_names[];        /* by these, NULL-terminated */

/* ---- words: what options say in more than one word ---------------------------------------------------------------------------- */
/* Options about pictures -> s->prep, s->spec; about rows -> s->rows.  DS_E_USAGE. */
ds_status convert_parse_prep(settings *s, ds_err *err);
ds_status convert_check_rows(settings *s, ds_err *err);

/* ---- meta: what the model learns ------------------------------------------------------------------------------------------------ */
/* The file of --labels: its bytes, how many there are; for history, how it and the text of --vocabulary are called. */
typedef struct labels { ds_buffer *data; char *external, *vocabulary; int n; } labels;
ds_status convert_read_labels(const settings *s, labels *l, ds_err *err);
ds_status convert_sum_vocabulary(const settings *s, labels *l, ds_err *err);
void      convert_labels_done(labels *l);
/* Everything that the options add to META.  guess: output.0.values is set even without an option. */
ds_status convert_put_meta(const settings *s, const ds_graph *g, const labels *l, bool guess, ds_meta *meta, ds_err *err);
/* --state: pairs of an output and an input of the graph. */
ds_status convert_put_states(const settings *s, ds_graph *g, ds_err *err);

/* ---- operators: --check ----------------------------------------------------------------------------------------------------------- */
/* A row for each operator; *missing counts those that are not supported, of which convert_check_result makes a failure. */
ds_status convert_print_check(const settings *s, const ds_graph *g, ds_sink *sink, int *missing, ds_err *err);
ds_status convert_check_result(int missing, ds_err *err);

/* ---- from: one way for each kind of format.  The source is taken. ------------------------------------------------------------------ */
ds_status convert_from_graph(const settings *s, const ds_format *f, ds_source *in, const labels *l, ds_sink *out, ds_err *err);
ds_status convert_from_tensors(const settings *s, const ds_format *f, ds_source *in, ds_sink *out, ds_err *err);
/* DSM record by record; and whole, where the graph or what depends on all of it changes. */
ds_status convert_from_dsm(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err);
ds_status convert_from_dsm_whole(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err);

#endif
