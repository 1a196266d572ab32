/* reduce.h - reductions over axes
 *
 * Every output element is one chain of operations over its inputs in ascending order, in f64 for floats and in 64-bit integers for integers, whatever the
 * order of loops: the bits do not depend on which axes are reduced together, on threads or on the batch. */
#ifndef DS_OP_REDUCE_H
#define DS_OP_REDUCE_H

#include "infer.h"
#include "move.h"

typedef enum ds_reduce_kind {
	DS_R_SUM, DS_R_MEAN, DS_R_MAX, DS_R_MIN, DS_R_PROD, DS_R_L1, DS_R_L2, DS_R_LOG_SUM, DS_R_LOG_SUM_EXP, DS_R_SUM_SQUARE,
} ds_reduce_kind;

typedef struct ds_reduce_attr { int64_t keepdims, noop_with_empty_axes; } ds_reduce_attr;
extern const ds_opt ds_reduce_attrs[];

ds_status ds_reduce_infer(ds_reduce_kind kind, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
ds_status ds_reduce_forward(ds_reduce_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
void      ds_reduce_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
int       ds_reduce_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
ds_status ds_reduce_gradient(ds_reduce_kind kind, ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
ds_status ds_reduce_sample(ds_reduce_kind kind, ds_graph *g, const char *op_name, uint64_t seed, ds_err *err);

#define DS_REDUCE_OP(Name, kind) \
	static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) \
	{ \
		return ds_reduce_infer(kind, n, in, out, err); \
	} \
	static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return ds_reduce_forward(kind, env, n, in, out, err); \
	} \
	static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) \
	{ \
		return ds_reduce_sample(kind, g, #Name, seed, err); \
	} \
	static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err) \
	{ \
		return ds_reduce_gradient(kind, g, n, dout, din, err); \
	} \
	static const ds_variant variants[] = { \
		{ .name = #Name ".last", .match = ds_move_match_from_last, .forward = forward }, \
		{ .name = NULL }, \
	}; \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "", .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, \
		.attr_size = sizeof(ds_reduce_attr), .attrs = ds_reduce_attrs, .infer = infer, .forward = forward, .cost = ds_reduce_cost, \
		.variants = variants, .channels = ds_reduce_channels, .gradient = gradient, .sample = sample, \
	};

#endif
