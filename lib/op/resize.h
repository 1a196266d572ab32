/* resize.h - attributes of Resize */
#ifndef DS_OP_RESIZE_H
#define DS_OP_RESIZE_H

#include "nn.h"

typedef struct ds_resize_attr {
	int64_t antialias, exclude_outside;
	ds_ints axes;
	double  cubic_a, extrapolation;
	int     mode, coords, nearest, aspect;  /* indices into the lists below */
} ds_resize_attr;

extern const ds_opt ds_resize_attrs[];
extern const char *const ds_resize_modes[], *const ds_resize_coords[], *const ds_resize_nearest[], *const ds_resize_aspect[];

/* What happens to one axis. */
typedef struct ds_resize_axis { int64_t in, out; double scale, roi0, roi1; bool same; } ds_resize_axis;
/* Weights of one axis: output o reads `taps` entries; index -1 in the first says extrapolation. */
typedef struct ds_resize_table { int taps; int32_t *index; float *weight; } ds_resize_table;

/* Output extents and scales from scales or sizes (either may be NULL).  dim may hold symbols: an extent that cannot be said is DS_DIM_UNKNOWN. */
ds_status ds_resize_extents(const ds_node *n, int rank, const int64_t *dim, const ds_tensor *scales, const ds_tensor *sizes, ds_resize_axis *ax, ds_err *err);
ds_status ds_resize_roi(const ds_node *n, const ds_tensor *roi, int rank, ds_resize_axis *ax, ds_err *err);
int       ds_resize_taps(const ds_resize_attr *a, int64_t in, int64_t out);
void      ds_resize_fill(const ds_resize_attr *a, const ds_resize_axis *x, ds_resize_table *t);
/* The gradient column (resizegrad.c). */
ds_status ds_resize_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
ds_status ds_resize_sample(ds_graph *g, uint64_t seed, ds_err *err);

#endif
