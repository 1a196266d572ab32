/* taper.h - HannWindow, HammingWindow, BlackmanWindow: a0 - a1 cos(2 pi k / n) + a2 cos(4 pi k / n) (ONNX 17) */
#ifndef DS_OP_TAPER_H
#define DS_OP_TAPER_H

#include "../graph/op.h"

typedef struct ds_taper_attr { int64_t output_datatype, periodic; } ds_taper_attr;
extern const ds_opt ds_taper_attrs[];
ds_status ds_taper_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
/* The window of a[0], a[1], a[2] into out. */
ds_status ds_taper_forward(const ds_node *n, const ds_tensor *size, const double a[3], ds_tensor *out, ds_err *err);
ds_status ds_taper_sample(ds_graph *g, const char *op, uint64_t seed, ds_err *err);

#define DS_TAPER_OP(Name, a0, a1, a2) \
	static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		static const double a[3] = { a0, a1, a2 }; \
		return ds_taper_forward(n, in[0], a, out[0], err); \
	} \
	static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_taper_sample(g, #Name, seed, err); } \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_taper_attr), .attrs = ds_taper_attrs, \
		.infer = ds_taper_infer, .forward = forward, .sample = sample, \
	};

#endif
