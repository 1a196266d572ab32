/* plan.h - the table of bits per layer: what a model's layers are, what each gets, and the same as text that people edit (TSV)
 *
 * A quantisation is decided in one table before anything is rounded: rows come from the model, their bits from options, from an edited plan, or from a search
 * (profile/).  Weights only: one row for each weight, in the order of the container.  With activations: one row for each layer, in the order of the graph. */
#ifndef DS_QUANTIZE_PLAN_H
#define DS_QUANTIZE_PLAN_H

#include "quantize.h"

/* ---- bits as text --------------------------------------------------------------------------------------------------------------- */
/* "f32" (w 0), "w4" (a 0), "w4a8": w 2 3 4 5 6 8, a 2 to 8.  False: none of these. */
bool  ds_qbits_parse(const char *text, ds_qbits *b);
char *ds_qbits_text(char buf[16], ds_qbits b);
/* The rule as ds_qrule_parse reads it; buf of 48 bytes. */
char *ds_qrule_text(char *buf, const ds_qrule *r);

/* ---- the table ------------------------------------------------------------------------------------------------------------------ */
typedef struct ds_qrow {
	const char *node, *op, *weight; /* names; node and op "" in a bag of tensors; of a plan that was read: quoted as in the text */
	ds_qbits    bits;               /* w 0: stays as it is */
	int         group;              /* of the weight's scales, 0: rows; weights only */
	ds_qrule    range;              /* of the weight (weights only), or of what the layer reads */
	ds_dtype    dtype;              /* of the weight, as the next two; for bytes */
	int         rank;
	int64_t     dim[DS_MAX_RANK];
	bool        edge;               /* no other layer stands before it, or behind it */
	int         line;               /* of the text, from 1 */
	bool        used;               /* of a plan that was read: a layer has been found for it */
	const char *node_key, *weight_key; /* the names quoted */
} ds_qrow;

typedef struct ds_qkey { const char *node, *weight; int row; } ds_qkey;
typedef struct ds_qplan {
	ds_arena  arena;                /* of the names */
	ds_qrow  *row;
	int       n;
	size_t    cap;
	ds_qkey  *order;                /* of a plan that was read: rows by rising names */
	uint32_t  crc;                  /* identity of the model's stream; (0, 0): not said */
	uint64_t  len;
	const char *name;               /* of the text's file */
} ds_qplan;

void      ds_qplan_done(ds_qplan *p);
/* One more row; names are copied.  NULL: no memory. */
ds_qrow  *ds_qplan_add(ds_qplan *p, const char *node, const char *op, const char *weight, ds_dtype dtype, int rank, const int64_t *dim);
/* The rows of a model in memory.  Weights only: what ds_q_weights marks and is not quantised yet, with the first node that reads it.  With activations: the layers
 * that ds_q_calibrated would ask bits for (fake: with ds_q8_opts.fake).  Bits 0, ranges minmax; the caller fills them. */
ds_status ds_qplan_weights(ds_qplan *p, ds_graph *g, ds_err *err);
ds_status ds_qplan_layers(ds_qplan *p, const ds_graph *g, bool fake, ds_err *err);
/* The first node that reads v, in sub-graphs too; NULL: none. */
const ds_node *ds_q_reader(const ds_graph *g, const ds_value *v);
/* Bytes of the row's weight as it is, and with its bits (all planes and padding). */
ds_status ds_qrow_bytes(const ds_qrow *r, uint64_t *before, uint64_t *after, ds_err *err);
/* Does any row round activations? */
bool      ds_qplan_activations(const ds_qplan *p);

/* TSV: `# ds-quantize plan 1`, `# model` and the columns node, op, weight, bits, group, range, scheme, bytes_before, bytes.  What is read back are the names, bits, group and
 * range; the scheme must be the one there is, bytes are not looked at. */
ds_status ds_qplan_write(const ds_qplan *p, ds_buf *out, ds_err *err);
/* DS_E_INPUT, err->where being "name:line": not a plan, a row that cannot be, a layer twice, weights only beside activations.  `name` must live as long as p. */
ds_status ds_qplan_read(ds_qplan *p, const char *name, const char *text, size_t n, ds_err *err);
/* Give a model's row what the plan says.  DS_E_INPUT: the plan has no row for it; bits or group that its weight cannot have. */
ds_status ds_qplan_obey(ds_qplan *plan, ds_qrow *row, ds_err *err);
/* After all rows: was the plan made for this stream (force: any), has each of its rows found a layer?  DS_E_INPUT. */
ds_status ds_qplan_obeyed(const ds_qplan *plan, uint32_t crc, uint64_t len, bool force, ds_err *err);

#endif
