/* attention.h - attention inside a graph: bringing it into one form, finding its layers, and what is made of their maps
 *
 * Works on a graph whose types are concrete and whose known values are constants (a lens before gradients are added, explain.h).  In the one form every
 * layer is MatMul, what is done to scores, Softmax, MatMul; the probabilities are a value of the graph, so that they can be read and gradients with
 * respect to them exist. */
#ifndef DS_EXPLAIN_ATTENTION_H
#define DS_EXPLAIN_ATTENTION_H

#include "../exec/exec.h"
#include "../op/grad.h"

/* ---- one form ------------------------------------------------------------------------------------------------------------------ */
/* Fused operators (Attention with masks, causality, windows, grouped queries, soft cap, a cache) become their small steps, and Exp / ReduceSum / Div
 * becomes Softmax.  A softmax keeps the name of the node that it was in.  Nodes are sorted, parsed and inferred afterwards. */
ds_status ds_attention_unfold(ds_graph *g, ds_err *err);

/* ---- layers -------------------------------------------------------------------------------------------------------------------- */
/* A layer: a softmax of products whose probabilities weigh values in another product. */
typedef struct ds_attn {
	const char *name;               /* of the node with the softmax, lives in the graph */
	ds_value   *prob;               /* [..., queries, keys], or [..., keys, queries] where `flip` */
	int64_t     maps, tq, tk;       /* heads (times items and windows), queries, keys */
	bool        flip;
} ds_attn;
/* In execution order; fresh array (ds_free), NULL when there are none. */
ds_status ds_attention_find(ds_graph *g, ds_attn **layer, int *n, ds_err *err);
/* Layer by number (0 is the first) or by the name or a glob of it; -1: none. */
int       ds_attention_layer(const ds_attn *layer, int n, const char *which);
/* A value of the layer's dims (probabilities, their gradient) as f32 [maps, tq, tk], into out. */
ds_status ds_attention_map(const ds_attn *l, const ds_tensor *v, float *out, ds_err *err);

/* ---- what is made of maps ------------------------------------------------------------------------------------------------------ */
/* Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928): r := (0.5 mean of heads + 0.5 I) r, rows made to sum to one.  r: [t, t], the identity at first. */
ds_status ds_rollout_add(double *r, const float *map, int64_t heads, int64_t t, ds_err *err);
/* Attention weighted by gradient (Chefer et al. 2021, arXiv:2103.15679): r := r + mean of heads of the positive part of (gradient * map), times r. */
ds_status ds_attngrad_add(double *r, const float *map, const float *grad, int64_t heads, int64_t t, ds_err *err);

/* Places of a picture for tokens: tokens that are no place come first (class token, registers).  *first, *rows, *cols with first + rows * cols == t and
 * rows : cols as h : w; as few tokens as possible are no place.  False: no such grid with at most 8 other tokens. */
bool      ds_patch_grid(int64_t t, int64_t h, int64_t w, int64_t *first, int64_t *rows, int64_t *cols);

/* ---- relevance ------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_lrp_opts {
	double epsilon;                 /* of products with weights: R * z / (z + epsilon * sign z); 0: none */
	double gamma;                   /* of products with weights: how much more what agrees in sign with the result counts; 0: none */
} ds_lrp_opts;
/* What did not reach the inputs: biases and other constants that are added, softmaxes (their value at zero scores), the rule's epsilon.  Scalars f32. */
typedef struct ds_lrp_sinks { ds_value *bias, *softmax, *other; } ds_lrp_sinks;
/* Append nodes to g that compute relevance divided by value (so that value * grad[i] is the relevance of wrt[i]) by AttnLRP (Achtibat et al. 2024,
 * arXiv:2402.05602): the softmax by its Taylor expansion, products of two activations half and half, normalisations and functions through the origin by
 * the identity rule, products with weights by epsilon or gamma, everything else by its gradient.  seed: of the dims of y, what relevance / value begins with, NULL: ones.  The
 * contract otherwise is that of ds_train_backward.  sinks (may be NULL): what to add to the relevance of all inputs to get the sum of
 * seed * y. */
ds_status ds_lrp_backward(ds_graph *g, ds_value *y, ds_value *seed, ds_value *const *wrt, int n, ds_value **grad, const ds_lrp_opts *o, ds_lrp_sinks *sinks,
	ds_err *err);

#endif
