/* infer.h - what type inference of many operators shares: broadcasting with symbols, axes, known small values */
#ifndef DS_OP_INFER_H
#define DS_OP_INFER_H

#include "../graph/op.h"

/* Rows of attribute tables: T is the operator's attribute struct, m its member of the same name as the attribute. */
#define DS_ATTR_INT(T, m, deflt, text)   { .name = #m, .type = DS_T_INT, .offset = offsetof(T, m), .def = deflt, .help = text }
#define DS_ATTR_FLAG(T, m, deflt, text)  { .name = #m, .type = DS_T_INT, .offset = offsetof(T, m), .def = deflt, .min = 0, .max = 1, .help = text }
#define DS_ATTR_MUST(T, m, text)         { .name = #m, .type = DS_T_INT, .flags = DS_OPT_REQUIRED, .offset = offsetof(T, m), .help = text }
#define DS_ATTR_FLOAT(T, m, deflt, text) { .name = #m, .type = DS_T_FLOAT, .offset = offsetof(T, m), .def = deflt, .help = text }
#define DS_ATTR_INTS(T, m, text)         { .name = #m, .type = DS_T_INTS, .offset = offsetof(T, m), .help = text }
#define DS_ATTR_CHOICE(T, m, deflt, list, text) \
	{ .name = #m, .type = DS_T_CHOICE, .offset = offsetof(T, m), .def = deflt, .choices = list, .help = text }
#define DS_ATTR_END                      { .name = NULL }

/* Dim of two broadcast dims: equal ones stay, 1 gives way, a number above 1 wins over a symbol (which can only be 1 or that number), two different
 * symbols are DS_DIM_UNKNOWN.  Two different numbers: false. */
bool      ds_infer_dim(int64_t a, int64_t b, int64_t *out);
/* The numpy-broadcast shape of n inputs into out (dtype untouched); rank -1 when one of them has none.  Absent inputs are skipped. */
ds_status ds_infer_broadcast(const ds_arg *in, int n, ds_type *out, ds_err *err);
/* out[0] = type of in[0]. */
ds_status ds_infer_same(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);

/* -rank <= axis < rank made non-negative; DS_E_INPUT otherwise. */
ds_status ds_axis(int64_t axis, int rank, int *out, ds_err *err);
/* The same for a list; no axis twice.  mask gets bit i for axis i. */
ds_status ds_axes(const int64_t *axis, int n, int rank, unsigned *mask, ds_err *err);
/* A present input of integers whose value is known, as at most `cap` numbers: *n of them, or -1 when the value is not known. */
ds_status ds_known_ints(const ds_arg *a, int cap, int64_t *v, int *n, ds_err *err);
/* *out = a tensor with the dims that an input of integers spells out; rank -1 when it is not known. */
ds_status ds_infer_given(const ds_arg *dims, ds_dtype dtype, ds_type *out, ds_err *err);
/* How many numbers a rank-1 input holds, -1 when that is not known. */
int64_t   ds_known_length(const ds_arg *a);
/* rank dims, all unknown. */
void      ds_infer_unknown(ds_type *t, ds_dtype dtype, int rank);
/* Product of dims [from, to), exact for numbers and one symbol, else DS_DIM_UNKNOWN. */
int64_t   ds_infer_product(const ds_type *t, int from, int to);

/* Links SAME of axis i of `a` with axis i of `b` for every axis in mask whose extents agree and are above 1; returns how many were added at n. */
int       ds_link_same(ds_link *link, int n, int cap, int a, const ds_type *ta, int b, const ds_type *tb, unsigned mask);
/* Append one link if there is room; returns the new count. */
int       ds_link_add(ds_link *link, int n, int cap, ds_link_kind kind, int a, int a_axis, int b, int b_axis, int64_t count);
/* Replace constant input i of a node by a constant of rank 1 (or a scalar: count -1) with its integer type.  DS_E_UNSUPPORTED if the input is computed. */
ds_status ds_recut_ints(ds_graph *g, ds_node *n, int i, int count, const int64_t *v, ds_err *err);
/* The values of constant input i, *count -1 if it is absent or not constant. */
ds_status ds_recut_read(const ds_node *n, int i, int cap, int64_t *v, int *count, ds_err *err);

/* Links between a tensor and the same elements under other dims (Reshape and its kind): axes that stay are SAME, the leading axis of merged or split
 * axes is a BLOCK. */
int       ds_link_reshape(ds_link *link, int n, int cap, const ds_type *in, const ds_type *out);
/* Make constant input i, which spells the output's dims (Reshape, ConstantOfShape), say `want`; entries -1 and 0 stay. */
ds_status ds_recut_dims(ds_graph *g, ds_node *n, int i, const ds_type *in, const ds_type *want, ds_err *err);

#endif
