/* conv_shape.h - geometry shared by the convolutions: attributes, padding rules, output sizes */
#ifndef DS_OP_CONV_SHAPE_H
#define DS_OP_CONV_SHAPE_H

#include "fused.h"
#include "window.h"

/* A convolution with 1 to 3 spatial axes, seen as three (d, h, w): missing ones in front have extent 1. */
typedef struct ds_conv_geo {
	int64_t n, ic, oc, groups;
	int64_t in[3], out[3], k[3], stride[3], dil[3], pad[3];         /* pad: at the beginning of each axis */
	int     spatial;
} ds_conv_geo;

/* The rows of ds_conv_attr at member `m` of struct s. */
#define DS_CONV_ATTRS(s, m) \
	{ "auto_pad", .type = DS_T_CHOICE, .offset = offsetof(s, m.auto_pad), .def = "NOTSET", .choices = ds_auto_pad_names, \
		.help = "how to pad: as pads says, to keep ceil(size/stride), or not at all" }, \
	{ "dilations", .type = DS_T_INTS, .offset = offsetof(s, m.dilations), .help = "distance between taps, per spatial axis" }, \
	{ "group", .type = DS_T_INT, .offset = offsetof(s, m.group), .def = "1", .min = 1, .max = 1 << 24, .help = "number of channel groups" }, \
	{ "kernel_shape", .type = DS_T_INTS, .offset = offsetof(s, m.kernel_shape), .help = "taps per spatial axis" }, \
	{ "pads", .type = DS_T_INTS, .offset = offsetof(s, m.pads), .help = "zeros before and after each spatial axis" }, \
	{ "strides", .type = DS_T_INTS, .offset = offsetof(s, m.strides), .help = "step per spatial axis" }
#define DS_ACT_ATTRS(s, m) \
	{ "act", .type = DS_T_CHOICE, .offset = offsetof(s, m.act), .def = "none", .choices = ds_act_names, .help = "activation of the result" }, \
	{ "act_a", .type = DS_T_FLOAT, .offset = offsetof(s, m.a), .def = "0", .help = "its first parameter" }, \
	{ "act_b", .type = DS_T_FLOAT, .offset = offsetof(s, m.b), .def = "0", .help = "its second parameter" }
#define DS_Q_ATTRS(s, m) \
	{ "x_scale", .type = DS_T_FLOAT, .flags = DS_OPT_REQUIRED, .offset = offsetof(s, m.x_scale), .help = "step of the input's codes" }, \
	{ "x_zp", .type = DS_T_INT, .offset = offsetof(s, m.x_zp), .def = "0", .max = 255, .help = "code of the input's zero" }, \
	{ "y_scale", .type = DS_T_FLOAT, .offset = offsetof(s, m.y_scale), .def = "0", .help = "step of the output's codes; 0: output in f32" }, \
	{ "y_zp", .type = DS_T_INT, .offset = offsetof(s, m.y_zp), .def = "0", .max = 255, .help = "code of the output's zero" }, \
	{ "r_scale", .type = DS_T_FLOAT, .offset = offsetof(s, m.r_scale), .def = "0", .help = "step of the residual's codes" }, \
	{ "r_zp", .type = DS_T_INT, .offset = offsetof(s, m.r_zp), .def = "0", .max = 255, .help = "code of the residual's zero" }, \
	{ "q_min", .type = DS_T_INT, .offset = offsetof(s, m.q_min), .def = "0", .max = 255, .help = "smallest code of the output" }, \
	{ "q_max", .type = DS_T_INT, .offset = offsetof(s, m.q_max), .def = "255", .max = 255, .help = "largest code of the output" }

/* Dims of the output from those of x and w (symbols pass where that is exact).  out->dtype is set to x's.  DS_E_INPUT: shapes that contradict each other;
 * DS_E_UNSUPPORTED: more than three spatial axes. */
ds_status ds_conv_infer(const ds_conv_attr *a, const ds_type *x, const ds_type *w, ds_type *out, ds_err *err);
/* Geometry of concrete types.  Cannot fail after ds_conv_infer has passed on the same types. */
ds_conv_geo ds_conv_geometry(const ds_conv_attr *a, const ds_type *x, const ds_type *w, const ds_type *out);
/* Links between X (slot 0), W (slot w), bias (slot b or -1), residual (slot r or -1) and the output. */
int       ds_conv_links(const ds_conv_attr *a, const ds_type *x, const ds_type *wt, int w, int b, int r, ds_link *link, int cap);
void      ds_conv_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* Sets `group` of a depthwise convolution to its new number of channels (attributes start with ds_conv_attr). */
ds_status ds_conv_recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err);

#endif
