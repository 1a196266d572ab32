/* op.h - what an operator is: one row per operator, one file in lib/op each, listed in lib/op/ops.def
 *
 * Rows are const.  Functions get everything through their arguments: no globals, no allocation in forward, no printing.  Columns may be NULL:
 * whoever needs one says "not supported" with the node's name. */
#ifndef DS_OP_H
#define DS_OP_H

#include "graph.h"
#include "../base/thread.h"

/* What forward may use. */
typedef struct ds_env {
	ds_pool    *pool;               /* share out work in tasks that depend on shapes only */
	void       *scratch;            /* scratch() bytes, 64-byte aligned, not cleared */
	size_t      scratch_size;
	const void *prep;               /* what prepare made of the constant inputs, NULL if there is no prepare */
	bool        known;              /* in planning: outputs are being computed to be folded (small) */
} ds_env;

/* An input as inference sees it. */
typedef struct ds_arg {
	bool             present;
	ds_type          type;
	const ds_tensor *value;         /* plain row-major data when the value is known (constant, folded), else NULL; weights
	                                 * may be quantised (value->q != NULL) */
} ds_arg;

/* Cost of one run: multiply-adds, other arithmetic, bytes of weights and activations touched. */
typedef struct ds_cost { double macs, flops, weight_bytes, act_bytes; } ds_cost;

/* Which indices of which axes go together when something is cut out (structured pruning).
 * Tensors are named by slot: 0 .. n_in-1 are inputs, DS_SLOT_OUT + i is output i.
 * Every axis of extent > 1 that no link names is a barrier: it cannot be cut. */
#define DS_SLOT_OUT 64
typedef enum ds_link_kind {
	DS_LINK_SAME,   /* index p of a goes with index p of b */
	DS_LINK_BLOCK,  /* index p of a goes with p*n .. p*n+n-1 of b (flatten; n = size of a block) */
	DS_LINK_SHIFT,  /* index p of a goes with p+n of b (concat, slice; only where 0 <= p+n < extent of b) */
	DS_LINK_GROUP,  /* index p of a goes with p mod (extent of b) of b; b may only lose an index that goes in all n groups of a
	                 * (input axis of a grouped convolution's weight, n = number of groups) */
	DS_LINK_CYCLE,  /* index p of a goes with p mod n of the same axis (b unused): a grouped convolution's outputs leave every group alike; n = extent of a
	                 * group */
	DS_LINK_FREE,   /* axis a of slot a may be cut by itself (b unused): output channels of a weight are where cutting starts */
} ds_link_kind;
typedef struct ds_link { ds_link_kind kind; int8_t a, a_axis, b, b_axis; int64_t n; } ds_link;

/* A faster way to run an operator for some types, judged against the reference forward. */
typedef struct ds_variant {
	const char *name;                                       /* "conv.f32.igemm" as --dump=kernels and ds-profile print it */
	/* Does it apply?  Types are concrete; `layout` are the layouts of the inputs that the planner offers (all DS_PLAIN at first).  A variant that
	 * wants or makes another layout says so in want (per input) and *out_layout. */
	bool      (*match)  (const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
	/* Pack constant inputs once; *prep is freed with free_prep.  Runs at planning, may allocate.  The result is shared by all plans of a session, so it may
	 * depend on constant inputs, attributes and every dim but dim 0 of inputs and outputs (the batch, the rows of a product).  A variant with prepare may find
	 * quantised tensors among forward's in[]; without prepare (and for the reference) they have been decoded to f32. */
	ds_status (*prepare)(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err);
	void      (*free_prep)(void *prep);
	size_t    (*scratch)(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
	ds_status (*forward)(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
} ds_variant;

enum {
	/* out[0] may share memory with in[0] (same type, same layout, elementwise access order) */
	DS_OP_INPLACE = 1u,
	/* Computes element by element (with broadcasting) and handles any layout through strides: the planner gives out[0] the layout of the
	 * inputs that have out's full shape when those agree, and the op sees each tensor's `layout`. */
	DS_OP_ANY_LAYOUT = 2u,
	/* out[0] is in[0] with other dims: no data moves when in place (Reshape, Flatten, Squeeze, Unsqueeze, Identity). Plain layout only. */
	DS_OP_VIEW = 4u,
	/* Result depends on more than the inputs (random) - never folded. */
	DS_OP_IMPURE = 8u,
	/* Result depends on the types of the inputs only (Shape, Size): computed as soon as those are concrete; in[i]->data may be NULL. */
	DS_OP_SHAPE_ONLY = 16u,
};

struct ds_op {
	const char   *name;             /* ONNX's operator name wherever ONNX has one */
	const char   *domain;           /* "" or "ds" */
	int8_t        min_in, max_in;   /* max -1: any number */
	int8_t        min_out, max_out;
	uint32_t      flags;
	size_t        attr_size;        /* sizeof of the attribute struct, 0: none */
	const ds_opt *attrs;            /* NULL: none */
	/* Types of the outputs from those of the inputs.  Dims may be symbolic: pass them through; answer DS_DIM_UNKNOWN where arithmetic on them would
	 * be needed; rank -1 when even that is unknown.  All present inputs have dtype; rank may be -1 only if dims are unknown.  Contradictions: DS_E_INPUT. */
	ds_status (*infer)   (const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
	/* Reference: plain C, correct for every type the operator allows, used by the checker, by folding and wherever no variant matches. */
	size_t    (*scratch) (const ds_node *n, const ds_arg *in, const ds_type *out, int threads);
	ds_status (*forward) (const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
	const ds_variant *variants;     /* NULL-name terminated, first match wins */
	ds_status (*gradient)(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
	void      (*cost)    (const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);   /* NULL: elementwise default */
	/* Fill links (at most cap), return how many.  Types concrete.  Elementwise operators with DS_OP_ANY_LAYOUT may leave it NULL: same indices of
	 * aligned axes (broadcasting axes of extent 1 excepted) are linked for them. */
	int       (*channels)(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
	/* After a cut: make constants that spell out extents (Reshape's shape, Split's sizes) agree with the types wanted now.  NULL: nothing to do. */
	ds_status (*recut)   (ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err);
	/* Build small random graphs, each ending in this operator, for the generic tests: calls with seed 0, 1, 2, ... give different ones. */
	ds_status (*sample)  (ds_graph *g, uint64_t seed, ds_err *err);
};

const ds_op *ds_op_find(const char *domain, const char *name);         /* implemented in op/ (the table); NULL: no such operator */
const ds_op *const *ds_op_all(int *n);

#define DS_A(type, node) ((const type *)(node)->a)      /* the node's parsed attributes */

#endif
