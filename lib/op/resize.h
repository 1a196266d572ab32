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

extern const char *const ds_resize_modes[], *const ds_resize_coords[], *const ds_resize_nearest[], *const ds_resize_aspect[];

#endif
