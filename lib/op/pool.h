/* pool.h - the pooling loops that MaxPool, AveragePool and LpPool share, for both layouts */
#ifndef DS_OP_POOL_H
#define DS_OP_POOL_H

#include "window.h"

typedef enum ds_pool_kind { DS_POOL_MAX, DS_POOL_AVG, DS_POOL_LP } ds_pool_kind;

/* Pool x into y (f32, f64; MAX also u8 and i8), both of the same layout, whichever that is.  index (may be NULL; MAX and plain layout only) gets
 * the flat position of each maximum, the last two axes swapped in the count when index_colmajor.  Sums run over the taps in ascending order, so
 * both layouts give the same bits. */
ds_status ds_pool_forward(const ds_env *env, const ds_node *n, ds_pool_kind kind, const ds_tensor *x, ds_tensor *y, int64_t *index, ds_err *err);
/* match of the channels-last variants: offered channels-last, same layout out. */
bool      ds_pool_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
void      ds_pool_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* N and C of input and output go together. */
int       ds_pool_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);

#endif
