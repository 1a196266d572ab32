/* conv_ref.h - plain convolution loops: the reference of every convolution operator */
#ifndef DS_OP_CONV_REF_H
#define DS_OP_CONV_REF_H

#include "conv_shape.h"

/* y = conv(x, w) + b, row-major, f32 or f64; the chain starts at the bias and takes the taps in the order kd, kh, kw, c, zeros of the padding
 * included.  Tasks are (image, output channel) pairs. */
void ds_conv_ref_f32(ds_pool *pool, const ds_conv_geo *g, const float *x, const float *w, const float *b, float *y);
void ds_conv_ref_f64(ds_pool *pool, const ds_conv_geo *g, const double *x, const double *w, const double *b, double *y);

/* Integer sums: sum of (x - x_zp) * (w - w_zp[o]) (+ b[o]) in int32, wrapping.  x and w are i8 or u8. */
typedef struct ds_conv_ints {
	const void    *x, *w;
	bool           x_signed, w_signed;
	int32_t        x_zp;
	const int32_t *w_zp;            /* [oc], NULL: 0 */
	const int32_t *b;               /* [oc], NULL: 0 */
	int64_t        w_stride;        /* bytes from output channel to output channel of w, 0: dense */
} ds_conv_ints;
void ds_conv_ref_int(ds_pool *pool, const ds_conv_geo *g, const ds_conv_ints *p, int32_t *y);

#endif
