/* conv_fast.h - a planned fast convolution: shared by f32 (Conv, ConvAct) and int8 (QConv) */
#ifndef DS_OP_CONV_FAST_H
#define DS_OP_CONV_FAST_H

#include "igemm.h"

typedef enum ds_conv_how {
	DS_CONV_TAPS,           /* row pointers per tap into the channels-last input */
	DS_CONV_STAGED,         /* few channels: a padded channels-last copy first, then one pointer per kernel row */
	DS_CONV_DEPTHWISE,
} ds_conv_how;

/* Taps that packing at each run allows; beyond it the reference runs. */
enum { DS_CONV_TAPS_MAX = 512 };

typedef struct ds_conv_fast {
	ds_igemm        mm;             /* mm.kn == NULL for depthwise */
	ds_conv_how     how;
	const ds_kernel *dw;
	size_t          elem;
	void           *dw_w, *zero;    /* depthwise weights [taps][ldw]; a row of zeros (int8: of x_zp) for the padding */
	size_t          ldw;
	int64_t         cp;             /* channels of a staged pixel */
	size_t          bytes;
} ds_conv_fast;

/* How a convolution of this geometry would run; false: no fast way. */
bool      ds_conv_fast_how(const ds_conv_geo *g, bool i8, ds_conv_how *how);
/* Allocate and pack (nothing of it depends on the spatial extents: one packing serves every input size); f32: w f32 row-major [oc][icg][k...]; int8: codes. */
ds_status ds_conv_fast_new(ds_conv_fast *f, const ds_conv_geo *g, bool i8, const void *w, int32_t x_zp, ds_err *err);
/* The same over memory of the caller (at == NULL: bytes needed, nothing written), f32; ds_conv_fast_weights packs w and bias (NULL: none) of one run. */
size_t    ds_conv_fast_place(ds_conv_fast *f, const ds_conv_geo *g, bool bf16, void *at);
void      ds_conv_fast_weights(ds_pool *pool, ds_conv_fast *f, const ds_conv_geo *g, const float *w, const float *bias);
/* Pointers to channel c0 of every tap of output pixels [m0, m0 + rows) in channels-last x of elem-byte elements, `zero` where the padding is; tap t of row r goes to
 * p[t * stride + r * step]. */
void      ds_conv_tap_rows(const ds_conv_geo *g, const void *x, const void *zero, size_t elem, int64_t c0, int64_t m0, int rows, const void **p, size_t stride, size_t step);
/* n pointers to pixels ix, ix + by, ... of a line of `width` pixels of px bytes; `zero` for those outside, and for all where line is NULL. */
void      ds_conv_line(const void **q, size_t step, int n, const char *line, int64_t ix, int64_t by, int64_t width, size_t px, const void *zero);
/* Staging of f32: a channels-last copy of x with its padding, and pointers into it: one per kernel row where its taps touch (dilation 1), else one per tap. */
size_t    ds_conv_stage_bytes(const ds_conv_geo *g);
void      ds_conv_stage(ds_pool *pool, const ds_conv_geo *g, const ds_tensor *x, float *to);
void      ds_conv_stage_rows(const ds_conv_geo *g, const void *staged, int64_t cp, size_t elem, int64_t m0, int rows, const void **p, size_t stride);
void      ds_conv_fast_done(ds_conv_fast *f);
size_t    ds_conv_fast_scratch(const ds_conv_geo *g, bool i8, int threads);
/* Of a placed one, beside its own memory. */
size_t    ds_conv_fast_run_scratch(const ds_conv_fast *f, const ds_conv_geo *g, int threads);
/* x plain or channels-last as `how` wants (staged: both), y channels-last. */
void      ds_conv_fast_go(const ds_env *env, const ds_conv_fast *f, const ds_conv_geo *g, const ds_tensor *x, const void *res, void *y);

#endif
