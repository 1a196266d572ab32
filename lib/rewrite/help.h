/* help.h - inside rewrite: what several rewrites ask of a graph */
#ifndef DS_REWRITE_HELP_H
#define DS_REWRITE_HELP_H

#include "rewrite.h"

bool ds_rw_is(const ds_node *n, const char *domain, const char *op);           /* n may be NULL */
bool ds_rw_constant(const ds_value *v);                                        /* a weight with data at hand */
/* The value of a one-element constant; false if v is anything else.  v == NULL gives `absent`. */
bool ds_rw_scalar(const ds_value *v, double absent, double *out);
bool ds_rw_is_output(const ds_graph *g, const ds_value *v);
void ds_rw_log(ds_buf *log, const char *rewrite, const ds_node *n, const char *fmt, ...) DS_PRINTF(4, 5);
/* A new f32 parameter named after `like` (or after the node), unique by suffix.  Takes t. */
ds_value *ds_rw_param(ds_graph *g, const char *name, ds_tensor *t);

/* The activation that n applies to its input value `x` (its only use there): fills act (enum ds_act of kernel.h), a, b and answers the node's output.
 * `Mul(x, Sigmoid(x))` is found from the value x itself.  NULL: none. */
typedef struct ds_rw_act { int act; double a, b; ds_node *node, *second; } ds_rw_act;
bool ds_rw_activation(const ds_graph *g, const ds_value *x, ds_rw_act *out);
/* Copy the attributes that act stands for onto a fused node. */
ds_status ds_rw_set_act(ds_node *n, const ds_rw_act *act);
/* The pads of a Conv with auto_pad resolved (SAME needs the spatial sizes); pads has room for 2 * DS_MAX_RANK.  False: *why says what is missing. */
bool ds_rw_pads(const ds_node *n, int64_t *pads, int *n_pads, const char **why);

#endif
