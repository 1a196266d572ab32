/* window.h - geometry of sliding windows (pooling): kernel, strides, dilations, pads, automatic padding, rounding up */
#ifndef DS_OP_WINDOW_H
#define DS_OP_WINDOW_H

#include "nn.h"

/* Attributes of all pooling operators; each operator's table lists those that it has. */
typedef struct ds_pool_attr {
	ds_ints kernel, strides, dilations, pads;
	int     auto_pad;               /* index into ds_auto_pad_names */
	int64_t ceil_mode, count_include_pad, storage_order, p;
} ds_pool_attr;

enum { DS_PAD_NOTSET, DS_PAD_SAME_UPPER, DS_PAD_SAME_LOWER, DS_PAD_VALID };
extern const char *const ds_auto_pad_names[];

#define DS_WINDOW_ROWS \
	DS_NN_INTS(ds_pool_attr, kernel, "kernel_shape", DS_OPT_REQUIRED, "Extents of the window"), \
	DS_NN_INTS(ds_pool_attr, strides, "strides", 0, "Steps of the window, default 1 each"), \
	DS_NN_INTS(ds_pool_attr, pads, "pads", 0, "Padding at the begin of each axis, then at the end"), \
	DS_NN_INTS(ds_pool_attr, dilations, "dilations", 0, "Distance of the taps, default 1 each"), \
	DS_NN_CHOICE(ds_pool_attr, auto_pad, "auto_pad", "NOTSET", ds_auto_pad_names, "Padding computed from the extents"), \
	DS_NN_INT(ds_pool_attr, ceil_mode, "ceil_mode", "0", 0, 1, "Round output extents up")

/* A window over three spatial axes (fewer are filled with extents of 1 in front). */
typedef struct ds_window {
	int64_t in[3], out[3], k[3], s[3], d[3], pb[3], pe[3];
} ds_window;

/* Check the attributes against nd spatial axes and give the output extent of each; in[i] may be symbolic, then out[i] is what can be said.
 * w (may be NULL) is filled when all extents are concrete.  DS_E_INPUT; DS_E_UNSUPPORTED beyond three axes. */
ds_status ds_window_make(const ds_node *n, const ds_pool_attr *a, int nd, const int64_t *in, int64_t *out, ds_window *w, ds_err *err);
/* Taps [*k0, *k1) along axis i that lie inside the input for output position o; *first is the input coordinate of tap 0. */
static inline void ds_window_taps(const ds_window *w, int i, int64_t o, int64_t *k0, int64_t *k1, int64_t *first)
{
	int64_t p = o * w->s[i] - w->pb[i], d = w->d[i];
	int64_t lo = p < 0 ? (-p + d - 1) / d : 0;
	int64_t hi = p >= w->in[i] ? 0 : (w->in[i] - p + d - 1) / d;

	*first = p;
	*k0 = lo;
	*k1 = hi < w->k[i] ? hi : w->k[i];
	if (*k1 < *k0)
		*k1 = *k0;
}
/* Infer for a pooling operator: [N, C, spatial...] -> [N, C, windows...]. */
ds_status ds_window_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
/* Geometry of a run. */
ds_status ds_window_of(const ds_node *n, const ds_tensor *x, ds_window *w, ds_err *err);

#endif
