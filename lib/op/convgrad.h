/* convgrad.h - gradients of convolutions: ds.ConvGradInput, ds.ConvGradWeight
 *
 * ConvGradInput  dY, W    attributes of Conv, shape = dims of X       -> dX
 *         dX[n, c, i] = sum over the taps k (ascending kd, kh, kw) that reach i, over the output channels o of c's group: dY[n, o, (i + pad - k*dilation) / stride] * W[o, c, k];
 *         one chain of fused multiply-adds from 0.  A tap whose division leaves a rest is no term; one that falls outside of dY is a term with 0.
 * ConvGradWeight dY, X    attributes of Conv, shape = dims of W       -> dW
 *         dW[o, c, k] = sum over the output positions (n, od, oh, ow) of dY * X at the tap (0 in the padding).  The positions are cut into ds_conv_grad_parts pieces;
 *         each is one chain from 0, and the pieces are added in f32 in their order. */
#ifndef DS_OP_CONVGRAD_H
#define DS_OP_CONVGRAD_H

#include "conv_shape.h"
#include "grad.h"

typedef struct ds_conv_grad_attr { ds_conv_attr conv; ds_ints shape; int64_t bf16; } ds_conv_grad_attr;
extern const ds_opt ds_conv_grad_attrs[];

/* Pieces of the sum of a weight gradient; piece i has the output lines [L*i/parts, L*(i+1)/parts) of the L = n * out[0] * out[1] lines. */
int64_t   ds_conv_grad_parts(const ds_conv_geo *g);
/* dY against what the convolution of x with w would give. */
ds_status ds_conv_grad_check(const ds_node *n, const ds_type *x, const ds_type *w, const ds_type *dy, ds_err *err);
/* The type that attribute `shape` spells. */
ds_type   ds_conv_grad_type(const ds_node *n, ds_dtype dtype);
/* The loops of the definitions above, row-major f32 or f64. */
void      ds_conv_grad_input_ref(ds_pool *pool, const ds_conv_geo *g, ds_dtype t, const void *dy, const void *w, void *dx);
void      ds_conv_grad_weight_ref(ds_pool *pool, const ds_conv_geo *g, ds_dtype t, const void *dy, const void *x, void *dw);
/* A random convolution: its geometry as attributes on a node of `op` with inputs dY and W (or X). */
ds_status ds_conv_grad_sample(ds_graph *g, const char *op, uint64_t seed, ds_err *err);
/* Gradients of Y = conv(x, w) with the attributes of node `like`, dy being that of Y. */
void      ds_conv_grad_emit(ds_emit *e, const ds_node *like, ds_value *dy, ds_value *x, ds_value *w, ds_value **dx, ds_value **dw);
void      ds_conv_grad_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);

/* The fast way of ConvGradInput, also that of ConvTranspose: dY [n, oc, out], W [oc][ic/groups][k] -> dX [n, ic, in], channels-last; bias [ic] is where the sums start, NULL: 0.
 * false: none for this geometry. */
bool      ds_conv_grad_fast_ok(const ds_conv_geo *g);
size_t    ds_conv_grad_fast_scratch(const ds_conv_geo *g, bool bf16, int threads);
void      ds_conv_grad_fast_go(const ds_env *env, const ds_conv_geo *g, bool bf16, const float *dy, const float *w, const float *bias, float *dx);

extern const ds_variant ds_conv_grad_input_variants[];
extern const ds_variant ds_conv_grad_weight_variants[];

#endif
