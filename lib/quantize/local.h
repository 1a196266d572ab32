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

/* One activation that gets a QuantizeLinear/DequantizeLinear pair. */
typedef struct dsq_point {
	ds_value    *v;
	int          group;             /* points of one group share scale and zero point: index of the first */
	ds_observer *seen;
	ds_qparam    q;
} dsq_point;

typedef struct dsq_places {
	dsq_role  *role;                /* by node id */
	int       *point_of;            /* by value id: index of the point, -1 */
	dsq_point *point;
	int        n_point;
	size_t     cap_point;
} dsq_places;

/* Choose the activations to quantise; the graph must be numbered, inferred and named.  Layers for which keep answers true count as DSQ_OTHER. */
ds_status dsq_places_find(dsq_places *p, ds_graph *g, const ds_q8_opts *o, ds_err *err);
void      dsq_places_done(dsq_places *p);
/* Put the pairs in; points have their scale. */
ds_status dsq_places_insert(dsq_places *p, ds_graph *g, ds_err *err);

/* Run all samples through g in f32; every point's observer is filled, sums per channel included.  *samples counts. */
ds_status dsq_observe(dsq_places *p, const ds_graph *g, const ds_q8_opts *o, const ds_qsamples *samples, int64_t *count, ds_err *err);

/* Equalise the channels of quantised activations by what was observed (equalize.c); *count sets of channels were scaled.  The function of the graph stays as it is, but
 * for rounding; observations are void afterwards. */
ds_status dsq_equalize(ds_graph *g, const dsq_places *p, int *count, ds_buf *log, ds_err *err);

/* A second pass: every layer with quantised input and weight on the input of the f32 graph, against its f32 output.  `before` is the graph as it was observed, `after`
 * the one whose weights and biases are done and whose pairs are not in yet.  Fills out_sq and out_err. */
ds_status dsq_local_error(ds_graph *before, const ds_graph *after, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer *layer, int n_layer, ds_err *err);

/* Is n a Relu, or a Clip with constant bounds?  *top: its upper bound (HUGE_VAL for Relu), *bottom its lower. */
bool dsq_act(const ds_node *n, double *bottom, double *top);
bool dsq_constant(const ds_value *v);
bool dsq_is_output(const ds_graph *g, const ds_value *v);

#endif
