/* qtwo.h - the columns that QAdd and QMul share: DS_Q2_OP(Name) after the file's static row() */
#ifndef DS_OP_QTWO_H
#define DS_OP_QTWO_H

#include <string.h>

#define DS_Q2_OP(Name) \
	static const ds_ew ew = { .fn = { [DS_U8] = row } }; \
	static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) \
	{ \
		const ds_q2_attr *q = n->a; \
		if (!(q->a_scale > 0) || !(q->b_scale > 0) || !(q->y_scale > 0) || q->q_min > q->q_max) \
			return ds_fail(err, DS_E_INPUT, "%s: scales must be positive", n->op_name); \
		return ds_ew_infer(&ew, n, in, out, err); \
	} \
	static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return ds_ew_run(&ew, env->pool, 2, in, out[0], n->a, err); \
	} \
	static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) \
	{ \
		return ds_sample_q2(g, seed, #Name, err); \
	} \
	static const ds_opt attrs[] = { \
		DS_NN_FLOAT(ds_q2_attr, a_scale, "a_scale", "1", "Scale of the first input"), \
		DS_NN_INT(ds_q2_attr, a_zp, "a_zp", "0", 0, 255, "Zero point of the first input"), \
		DS_NN_FLOAT(ds_q2_attr, b_scale, "b_scale", "1", "Scale of the second input"), \
		DS_NN_INT(ds_q2_attr, b_zp, "b_zp", "0", 0, 255, "Zero point of the second input"), \
		DS_NN_INT(ds_q2_attr, q_max, "q_max", "255", 0, 255, "Largest code of the result"), \
		DS_NN_INT(ds_q2_attr, q_min, "q_min", "0", 0, 255, "Smallest code of the result"), \
		DS_NN_FLOAT(ds_q2_attr, y_scale, "y_scale", "1", "Scale of the result"), \
		DS_NN_INT(ds_q2_attr, y_zp, "y_zp", "0", 0, 255, "Zero point of the result"), \
		{ 0 } \
	}; \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, \
		.flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE, .attr_size = sizeof(ds_q2_attr), .attrs = attrs, \
		.infer = infer, .forward = forward, .sample = sample, \
	};

#endif
