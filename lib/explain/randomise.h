/* randomise.h - a model that has forgotten its upper layers: does a map depend on what was learned?
 *
 * The check by randomised parameters (Adebayo, Gilmer, Muelly, Goodfellow, Hardt & Kim 2018), from the top down: a map that stays the same while layer after layer
 * loses what it has learned shows the sample and not the model. */
#ifndef DS_EXPLAIN_RANDOMISE_H
#define DS_EXPLAIN_RANDOMISE_H

#include "../graph/model.h"

/* A layer here is a parameter of two axes or more (weights of convolutions, products, recurrent cells, tables; not biases nor what normalises).  The top is the
 * one that is read last in execution order; a weight that is dequantised, cast or transposed first counts where the outcome is read.  0: none. */
int         ds_forget_layers(const ds_graph *g);
/* The name of the k-th from the top, 0 ... ; valid as long as the graph. */
const char *ds_forget_name(const ds_graph *g, int k);

/* A copy of the graph (ds_graph_free) in which the elements of each of the upper `layers` have changed places at random: their distribution stays, what they say goes.
 * Quantised planes come out as plain numbers.  The other tensors are shared. */
ds_status   ds_forget(ds_graph **out, const ds_graph *g, int layers, uint64_t seed, ds_err *err);

#endif
