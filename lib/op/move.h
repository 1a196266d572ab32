/* move.h - operators that only move elements: views, strided copies, and the element size independent copy */
#ifndef DS_OP_MOVE_H
#define DS_OP_MOVE_H

#include "../graph/op.h"

/* out[0] gets the bytes of in[0] unless it has them already. */
ds_status ds_view_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
/* din[0] = dout[0] with the dims of in[0]. */
ds_status ds_view_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
void      ds_view_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* Input 0 and output 0 have the same axes. */
int       ds_same_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);

/* No arithmetic; activations are read and written once. */
void      ds_move_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);

/* Matches of variants whose forward walks strides and so reads channels-last tensors as they are.
 * _last: every input of the output's rank is wanted channels-last, and so is the output, when one of them is offered so.
 * _from_last: input 0 is taken as it is offered, the output is plain. */
bool      ds_move_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
bool      ds_move_match_from_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);

/* Copy an array of `rank` dims of elements of `size` bytes (1, 2, 4, 8): element (i0, i1, ...) goes from src + sum i*ss to dst + sum i*ds (strides in
 * elements, may be negative or zero for src).  dst elements must be distinct.  Tasks are split by the shape. */
void      ds_move_strided(ds_pool *pool, size_t size, int rank, const int64_t *dim, void *dst, const int64_t *ds, const void *src, const int64_t *ss);
/* Copy `in` to `out`, whatever their layouts; axes of extent 1 or missing in front are broadcast. */
void      ds_move_tensor(ds_pool *pool, const ds_tensor *in, ds_tensor *out);
/* Strides of a dense row-major array. */
void      ds_move_dense(int rank, const int64_t *dim, int64_t *stride);

#endif
