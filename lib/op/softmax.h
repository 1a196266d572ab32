/* softmax.h - Softmax, LogSoftmax and Hardmax over one axis share one file of loops */
#ifndef DS_OP_SOFTMAX_H
#define DS_OP_SOFTMAX_H

#include "nn.h"

typedef struct ds_softmax_attr { int64_t axis; } ds_softmax_attr;
typedef enum ds_softmax_kind { DS_SOFTMAX, DS_LOGSOFTMAX, DS_HARDMAX } ds_softmax_kind;

extern const ds_opt ds_softmax_attrs[];
/* x, y: f32, plain.  exp is the kernel table's, sums are f64 in a fixed order. */
ds_status ds_softmax_forward(const ds_env *env, const ds_node *n, ds_softmax_kind kind, const ds_tensor *x, ds_tensor *y, ds_err *err);
/* The same along a given axis. */
void      ds_softmax_along(ds_pool *pool, ds_softmax_kind kind, const ds_tensor *x, ds_tensor *y, int axis);
size_t    ds_softmax_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
ds_status ds_softmax_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
void      ds_softmax_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* The axis itself is a barrier, the others go together. */
int       ds_softmax_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
/* Of Softmax and LogSoftmax (softmax_grad.c). */
ds_status ds_softmax_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
ds_status ds_softmax_sample(ds_graph *g, uint64_t seed, const char *op, ds_err *err);

#endif
