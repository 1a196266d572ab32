/* batchnorm.h - what ds.BatchNormTrain and ds.BatchNormGrad share */
#ifndef DS_OP_BATCHNORM_H
#define DS_OP_BATCHNORM_H

#include "chanstat.h"

/* Factor of (x - mean): both operators compute the same bits, because the sign of the result decides where a rectifier lets gradients through. */
static inline float ds_batchnorm_factor(float scale, float inv_std) { return (float)((double)scale * (double)inv_std); }
/* Input 0 is a float of rank 1 or more; inputs [from, to) that are present are [C] of its type. */
ds_status ds_batchnorm_check(const ds_node *n, const ds_arg *in, int from, int to, ds_err *err);

#endif
