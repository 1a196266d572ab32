/* local.h - inside quantize: what the parts of a calibrated quantisation tell each other */
#ifndef DS_QUANTIZE_LOCAL_H
#define DS_QUANTIZE_LOCAL_H

#include "quantize.h"
#include "../exec/exec.h"

/* What an operator means for 8-bit activations. */
typedef enum dsq_role {
	DSQ_OTHER,      /* computed in f32 */
	DSQ_LINEAR,     /* Conv or Gemm with a constant weight: runs on integers */
	DSQ_ADD,        /* sum of two activations */
	DSQ_CONCAT,     /* parts get one common scale */
	DSQ_MOVE,       /* values only change their place (or are dropped): input and output share the scale */
	DSQ_AVERAGE,    /* pooling with a scale of its own */
	DSQ_ACT,        /* Relu or Clip with constant bounds: part of the operator before it */
} dsq_role;

/* One activation that is quantised, and the narrower grids behind it that layers of fewer bits read. */
typedef struct dsq_point {
	ds_value    *v;
	int          group;             /* points of one group share scale and zero point: index of the first */
	int          bits;              /* of q */
	const ds_qrule *rule;           /* of the group's first point: as ds_q8_opts.rule says, NULL: ds_q8_opts.range */
	const ds_node  *ruler;          /* the layer that said it */
	bool         moved;             /* v is made by a move from another point of the group: its values are codes already */
	ds_observer *seen;
	ds_qparam    q, low[9];         /* low[b].bits == b: layers read b bits, b < q.bits */
} dsq_point;

typedef struct dsq_places {
	dsq_role  *role;                /* by node id */
	ds_qbits  *bits;                /* by node id, of DSQ_LINEAR */
	int       *point_of;            /* by value id: index of the point, -1 */
	dsq_point *point;
	int        n_point;
	size_t     cap_point;
} dsq_places;

/* Fold batch normalisation, infer, name and number. */
ds_status dsq_fold(ds_graph *g, ds_buf *log, ds_err *err);
/* Choose the activations to quantise; the graph must be numbered, inferred and named.  Layers for which keep answers true count as DSQ_OTHER. */
ds_status dsq_places_find(dsq_places *p, ds_graph *g, const ds_q8_opts *o, ds_err *err);
void      dsq_places_done(dsq_places *p);
/* The grid that layer n (DSQ_LINEAR) reads. */
const ds_qparam *dsq_reads(const dsq_places *p, const ds_node *n);
/* Put FakeQuantize nodes behind the points, which have their scale; p may be that of another graph whose values and nodes have the same names.
 * Scales are parameters that can be trained, or constants. */
ds_status dsq_places_insert(dsq_places *p, const ds_graph *of, ds_graph *g, bool trained, ds_err *err);
/* FakeQuantize behind a weight of g, with scales that fit it; fills l. */
ds_status dsq_fake_weight(ds_graph *g, ds_node *n, int bits, ds_qrange range, ds_qlayer *l, ds_err *err);
/* A node's own f32 copy of an operand (of a bias that does not exist yet: count zeros), and putting one back: in place when nobody else reads it,
 * else as a new parameter named after the node.  put takes t. */
ds_status dsq_own_f32(const ds_node *n, int slot, int64_t count, ds_tensor *out, ds_err *err);
ds_status dsq_put_operand(ds_graph *g, ds_node *n, int slot, const char *suffix, ds_tensor *t, ds_err *err);
/* Gemm's [in, out] weight as [out, in], so that rows are outputs; sets transB. */
ds_status dsq_transpose_gemm(ds_node *n, ds_tensor *w, ds_err *err);

/* Fill every point's observer, sums per channel included: from o->stats, or by running all samples through g in f32.  set: which of the statistics g is the graph of.
 * *count: samples. */
ds_status dsq_look(dsq_places *p, const ds_graph *g, const ds_q8_opts *o, int set, const ds_qsamples *samples, int64_t *count, ds_err *err);
/* The points' observers from a set.  DS_E_INPUT: it lacks one. */
ds_status dsq_recall(dsq_places *p, const ds_qset *set, ds_err *err);
/* One pass: everything that is in the set is looked at. */
ds_status dsq_watch(ds_qset *set, const ds_graph *g, int threads, const ds_qsamples *samples, int64_t *count, ds_err *err);
/* A number that two graphs share when their weights are the same. */
uint64_t dsq_print_of(const ds_graph *g);

/* Equalise the channels of quantised activations by what was observed (equalize.c); *count sets of channels were scaled.  The function of the graph stays as it is, but
 * for rounding; observations are void afterwards. */
ds_status dsq_equalize(ds_graph *g, const dsq_places *p, int *count, ds_buf *log, ds_err *err);

/* A second pass: every layer with quantised input and weight on the input of the f32 graph, against its f32 output.  `before` is the graph as it was observed, `after`
 * the one whose weights and biases are done and whose pairs are not in yet.  Fills out_sq and out_err. */
ds_status dsq_local_error(ds_graph *before, const ds_graph *after, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer *layer, int n_layer, ds_err *err);

/* Is n an LSTM with constant weights?  Each such becomes ds.QLSTM, in place, with a line of the account. */
bool dsq_recurrent(const ds_node *n);
ds_status dsq_round_recurrent(ds_graph *g, const ds_q8_opts *o, ds_qlayer *layer, int *n_layer, ds_err *err);

/* Is n a Relu, or a Clip with constant bounds?  *top: its upper bound (HUGE_VAL for Relu), *bottom its lower. */
bool dsq_act(const ds_node *n, double *bottom, double *top);
bool dsq_constant(const ds_value *v);
bool dsq_is_output(const ds_graph *g, const ds_value *v);

#endif
