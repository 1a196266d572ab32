/* loss.h - losses against class labels: what NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss share */
#ifndef DS_OP_LOSS_H
#define DS_OP_LOSS_H

#include "grad.h"
#include "nn.h"

typedef struct ds_loss_attr { int reduction; int64_t ignore_index; } ds_loss_attr;

extern const ds_opt ds_loss_attrs[];
/* loss = -weight[label] * logp[label] at every position of logp [N, C, ...], reduced as the attribute says; positions whose label is ignore_index
 * (if the node has that attribute) count as nothing.  The mean is over the weights.  Sums are f64 in ascending order. */
ds_status ds_loss_run(const ds_node *n, const ds_tensor *logp, const ds_tensor *label, const ds_tensor *weight, ds_tensor *loss, ds_err *err);
/* Output 0 of both; checks the shapes. */
ds_status ds_loss_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
void      ds_loss_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* The gradient of the loss for logp, as nodes: -weight[label] / what was divided by, at the labels, times dloss. */
ds_value *ds_loss_back(ds_emit *e, const ds_node *n, ds_value *dloss);
ds_status ds_loss_sample(ds_graph *g, uint64_t seed, const char *op, int n_out, ds_err *err);

#endif
