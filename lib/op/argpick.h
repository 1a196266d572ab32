/* argpick.h - ArgMax and ArgMin */
#ifndef DS_OP_ARGPICK_H
#define DS_OP_ARGPICK_H

#include "infer.h"

typedef struct ds_arg_attr { int64_t axis, keepdims, select_last_index; } ds_arg_attr;
extern const ds_opt ds_arg_attrs[];

ds_status ds_arg_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
ds_status ds_arg_forward(bool largest, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
int       ds_arg_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
ds_status ds_arg_sample(ds_graph *g, const char *op_name, uint64_t seed, ds_err *err);

#define DS_ARG_OP(Name, largest) \
	static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return ds_arg_forward(largest, env, n, in, out, err); \
	} \
	static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) \
	{ \
		return ds_arg_sample(g, #Name, seed, err); \
	} \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, \
		.attr_size = sizeof(ds_arg_attr), .attrs = ds_arg_attrs, .infer = ds_arg_infer, .forward = forward, \
		.channels = ds_arg_channels, .sample = sample, \
	};

#endif
