/* graph.h - inside train: the training graph of a model for one set of batch shapes */
#ifndef DS_TRAIN_GRAPH_H
#define DS_TRAIN_GRAPH_H

#include "train.h"

/* Inputs of g in order: the model's, target (if any), extra, the step (i64), parameters, states.  Outputs: loss, predictions, new states, gradients of the parameters. */
typedef struct ds_tgraph {
	ds_graph *g;
	int       n_in, target, extra, step, param, state;      /* first input of each kind; target -1: none */
	int       n_pred, n_state, n_param;
	int      *param_of, *state_of;  /* position in the model's list of weights */
	char     *norm;                 /* by parameter: a batch normalisation's scale */
	char     *hidden;               /* by parameter: a weight that is neither the first (an embedding) nor feeds an output */
} ds_tgraph;

/* in[]: the types of the model's inputs for a micro-batch.  segments: into how many the forward pass is cut for recomputation, 1: everything is kept.  On failure nothing is left. */
ds_status ds_tgraph_new(ds_tgraph *t, const ds_graph *model, const ds_train_opts *o, const ds_type *in, int segments, ds_err *err);
void      ds_tgraph_done(ds_tgraph *t);

/* Make inner values of the first `forward` nodes again where later nodes read them (recompute.c).  Types are inferred; outputs stand. */
ds_status ds_train_recompute(ds_graph *g, int forward, int segments, ds_err *err);
/* bf16 products, and bf16 for large values of the first `forward` nodes that later nodes read (half.c).  Types are inferred but those of nodes behind. */
ds_status ds_train_halve(ds_graph *g, int forward, ds_err *err);

#endif
