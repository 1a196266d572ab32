/* draw.h - what the `sample` columns build their small random graphs with
 *
 * Allocation failures are remembered; ds_draw_end reports them, so a sample reads as one straight line. */
#ifndef DS_OP_DRAW_H
#define DS_OP_DRAW_H

#include "../base/rng.h"
#include "../graph/op.h"

typedef struct ds_draw {
	ds_graph *g;
	ds_rng    rng;
	uint64_t  seed;
	int       inputs;
	bool      oom;
} ds_draw;

ds_draw ds_draw_begin(ds_graph *g, uint64_t seed);
/* Uniform in [lo, hi]. */
int64_t   ds_draw_in(ds_draw *s, int64_t lo, int64_t hi);
/* One of n dtypes, going round with the seed so that every one has its turn. */
ds_dtype  ds_draw_dtype(const ds_draw *s, const ds_dtype *d, int n);
/* Random dims in [1, max]. */
void      ds_draw_dims(ds_draw *s, int rank, int64_t max, int64_t *dim);
ds_value *ds_draw_input(ds_draw *s, ds_dtype dtype, int rank, const int64_t *dim);         /* "x0", "x1", ... */
/* A parameter of random values: floats uniform in [-2, 2), integers in [-8, 8) or [0, 16), truth values. */
ds_value *ds_draw_param(ds_draw *s, ds_dtype dtype, int rank, const int64_t *dim);
/* A parameter of int8 codes, symmetric, with one scale per row (dim[0]) or for all. */
ds_value *ds_draw_coded(ds_draw *s, int rank, const int64_t *dim, bool per_row);
ds_value *ds_draw_ints(ds_draw *s, int64_t count, const int64_t *v);                        /* constant of i64, -1: scalar */
ds_value *ds_draw_f32(ds_draw *s, float v);
/* op: "Name", or "ds.Name" of our own.  NULL when memory is out (attributes set on it are then skipped: ds_draw_attr_*). */
ds_node  *ds_draw_node(ds_draw *s, const char *op, int n_in, ds_value *const *in, int n_out);
void      ds_draw_i(ds_draw *s, ds_node *n, const char *key, int64_t v);
void      ds_draw_f(ds_draw *s, ds_node *n, const char *key, double v);
void      ds_draw_s(ds_draw *s, ds_node *n, const char *key, const char *v);
void      ds_draw_is(ds_draw *s, ds_node *n, const char *key, int count, const int64_t *v);
/* Make the outputs of `n` those of the graph and parse it. */
ds_status ds_draw_end(ds_draw *s, ds_node *n, ds_err *err);

#endif
