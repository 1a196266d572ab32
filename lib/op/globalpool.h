/* globalpool.h - pooling over all spatial axes, shared by GlobalAveragePool, GlobalMaxPool and GlobalLpPool */
#ifndef DS_OP_GLOBALPOOL_H
#define DS_OP_GLOBALPOOL_H

#include "grad.h"
#include "pool.h"

/* Pool [N, C, spatial...] to [N, C, 1...].  Sums are f64 over ascending positions, rounded once: both layouts give the same bits. */
ds_status ds_global_forward(const ds_env *env, const ds_node *n, ds_pool_kind kind, int64_t p, const ds_tensor *x, ds_tensor *y, ds_err *err);
ds_status ds_global_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
bool      ds_global_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
size_t    ds_global_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
void      ds_global_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* Of a p-norm y of x: dy y^(1-p) and sign(x) |x|^(p-1), whose product, summed over the windows, is the gradient; nothing where y is 0. */
ds_value *ds_lp_share(ds_emit *e, int64_t p, ds_value *y, ds_value *dy, ds_dtype d);
ds_value *ds_lp_slope(ds_emit *e, int64_t p, ds_value *x);
ds_status ds_global_sample(ds_graph *g, uint64_t seed, const char *op, ds_err *err);

#endif
