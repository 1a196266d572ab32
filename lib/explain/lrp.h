/* lrp.h - inside explain: what the rules of relevance are given */
#ifndef DS_EXPLAIN_LRP_H
#define DS_EXPLAIN_LRP_H

#include "attention.h"

typedef struct ds_lrp {
	ds_graph    *g;
	ds_err      *err;
	ds_lrp_opts  o;
	char        *needs, *data;      /* by value id: made from a wanted value; made from anything the model is given */
	ds_value   **grad;              /* by value id: relevance / value so far, NULL: none */
	int          values, nodes;     /* of the graph before the pass */
	ds_lrp_sinks sinks;
} ds_lrp;

/* As a gradient column (op.h).  What a rule gives for a constant input is counted as relevance of that constant (a bias); so a rule leaves weights NULL. */
typedef struct ds_lrp_rule {
	const char *op;
	ds_status (*fn)(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
} ds_lrp_rule;

/* Is it made from what the model is given? */
bool      ds_lrp_moves(const ds_lrp *p, const ds_value *v);
ds_status ds_lrp_by_gradient(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
/* sum of g * x: a scalar f32.  NULL when either is. */
ds_value *ds_lrp_relevance(ds_emit *e, ds_value *g, ds_value *x);
void      ds_lrp_sink(ds_emit *e, ds_value **sink, ds_value *r);

/* lrp_rules.c */
ds_status ds_lrp_sum(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_identity(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_bend(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_clip(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_affine(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_mul(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_div(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_square(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_softmax(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
ds_status ds_lrp_norm(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);
/* lrp_linear.c */
/* The addition of a constant that is the only reader of a product with weights: its bias, written as a node of its own.  NULL: none. */
const ds_node *ds_lrp_bias_of(const ds_lrp *p, const ds_node *product);
ds_status ds_lrp_product(ds_lrp *p, const ds_node *n, ds_value *const *dout, ds_value **din);

#endif
