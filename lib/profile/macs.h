/* macs.h - what a model is made of: parameters, bytes, multiply-adds by layer, counted and not measured */
#ifndef DS_PROFILE_MACS_H
#define DS_PROFILE_MACS_H

#include "../exec/exec.h"

/* A layer: a node that multiplies or has parameters.  A parameter that several nodes share counts for the first; what a node gets from parameters through nodes that
 * only change them (DequantizeLinear, Transpose, ...) are its own. */
typedef struct ds_layer_row {
	const char *node, *op;
	const char *out;                /* "f32[1, 64, 55, 55]" of its first output */
	double      params;             /* elements; scales and zero points of quantisation are none, nor are shapes, indices and single numbers */
	double      zeros;              /* ... of these that are zero */
	double      bytes;              /* of all constants as they are stored */
	ds_cost     cost;               /* of one run with these inputs: macs, flops; weight_bytes and act_bytes as if all were f32 where the graph says so */
} ds_layer_row;

typedef struct ds_layers {
	ds_arena      arena;
	ds_layer_row *row;  int n_row;  /* in execution order */
	ds_layer_row  others;           /* the nodes that are no layers, added up */
	int           n_others;
	ds_layer_row  sum;
} ds_layers;

/* in: concrete types of the graph's inputs.  The graph is not changed. */
ds_status ds_layers_count(ds_layers *l, const ds_graph *g, const ds_type *in, ds_err *err);
void      ds_layers_done(ds_layers *l);

#endif
