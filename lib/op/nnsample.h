/* nnsample.h - building the small random graphs of the operators' `sample` column */
#ifndef DS_OP_NNSAMPLE_H
#define DS_OP_NNSAMPLE_H

#include "nn.h"
#include "../base/rng.h"

/* A random number generator for one sample; streams of different operators differ by their name. */
ds_rng    ds_sample_rng(const char *op, uint64_t seed);
/* A graph input named "x<k>" with a random small number of channels is what most samples start from. */
ds_value *ds_sample_input(ds_graph *g, ds_dtype d, int rank, const int64_t *dim);
/* A parameter with values uniform in [lo, hi) (integers: rounded down). */
ds_value *ds_sample_weight(ds_graph *g, ds_rng *r, ds_dtype d, int rank, const int64_t *dim, double lo, double hi);
/* A node whose outputs are all outputs of the graph.  NULL inputs are absent ones.  Not parsed yet: attributes may follow. */
ds_node  *ds_sample_node(ds_graph *g, const char *domain, const char *op, int n_in, ds_value *const *in, int n_out);
/* A pooling operator over a random window. */
ds_status ds_sample_window(ds_graph *g, uint64_t seed, const char *op, ds_dtype d, ds_err *err);
ds_status ds_sample_window_in(ds_graph *g, uint64_t seed, const char *domain, const char *op, ds_dtype d, ds_err *err);
/* QAdd or QMul with random scales, half of them with broadcasting. */
ds_status ds_sample_q2(ds_graph *g, uint64_t seed, const char *op, ds_err *err);

static inline int64_t ds_sample_int(ds_rng *r, int64_t lo, int64_t hi) { return lo + (int64_t)ds_rng_below(r, (uint64_t)(hi - lo + 1)); }

#endif
