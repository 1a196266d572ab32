/* rownorm.h - rows normalised by their mean and variance: the loops of Layer-, RMS-, Instance- and GroupNormalization */
#ifndef DS_OP_ROWNORM_H
#define DS_OP_ROWNORM_H

#include "nn.h"

typedef struct ds_norm_attr { double epsilon; int64_t axis, num_groups, stash_type; } ds_norm_attr;

typedef struct ds_rownorm {
	int64_t      rows, len;
	const float *x;
	float       *y;
	const float *scale, *bias;      /* NULL: 1, 0 */
	int64_t      period;            /* of scale and bias in elements over the whole tensor, counted from its start: element i uses i / inner % period */
	int64_t      inner;
	double       epsilon;
	bool         no_mean;           /* RMS */
	float       *mean, *inv;        /* per row, may be NULL */
} ds_rownorm;

/* y = (x - mean) * (1 / sqrt(var + epsilon)) * scale + bias; sums are f64 in a fixed order. */
void      ds_rownorm_run(ds_pool *pool, const ds_rownorm *r);
/* All norms but Layer and RMS: [N, C, ...] with parameters of one dim. */
ds_status ds_rownorm_infer_channels(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
void      ds_rownorm_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* Of all four (normgrad.c). */
ds_status ds_rownorm_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
size_t    ds_rownorm_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads);

#endif
