/* poolgrad.h - gradients of pooling
 *
 * MaxPoolGrad dY, X, Y          attributes of MaxPool: the gradient of each window goes to its first position, in ascending order, whose value is the maximum Y
 * AveragePoolGrad dY            attributes of AveragePool, shape = dims of X: dY / count at each position of the window; windows in ascending order
 * GlobalAveragePoolGrad dY      shape = dims of X: dY times (1 / positions) everywhere.   f32. */
#ifndef DS_OP_POOLGRAD_H
#define DS_OP_POOLGRAD_H

#include "grad.h"
#include "window.h"

enum { DS_POOL_BLOCK = 64 };    /* channels of a task */

/* x and y: NULL for the mean.  All tensors have the layout of dx. */
ds_status ds_pool_grad(const ds_env *env, const ds_node *n, const ds_tensor *dy, const ds_tensor *x, const ds_tensor *y, ds_tensor *dx, ds_err *err);
/* dy [N, C, 1...], whose layouts are the same bytes. */
ds_status ds_global_average_grad(const ds_env *env, const ds_tensor *dy, ds_tensor *dx);
void      ds_pool_grad_emit(ds_emit *e, const ds_node *n, ds_value *dy, bool max, ds_value **dx);
ds_status ds_pool_grad_sample(ds_graph *g, uint64_t seed, const char *op, bool max, ds_err *err);

#endif
