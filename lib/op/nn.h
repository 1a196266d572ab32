/* nn.h - what the neural-network operators share: rows of attribute tables, running half and double floats through f32, task splitting */
#ifndef DS_OP_NN_H
#define DS_OP_NN_H

#include "../graph/op.h"
#include "../base/mem.h"

/* ---- rows of attribute tables: T is the operator's struct, m the member ------------------------------------------------------- */
#define DS_NN_INT(T, m, key, deflt, lo, hi, text) \
	{ .name = key, .type = DS_T_INT, .offset = offsetof(T, m), .def = deflt, .min = lo, .max = hi, .help = text }
#define DS_NN_FLOAT(T, m, key, deflt, text) { .name = key, .type = DS_T_FLOAT, .offset = offsetof(T, m), .def = deflt, .help = text }
#define DS_NN_INTS(T, m, key, flag, text) { .name = key, .type = DS_T_INTS, .flags = flag, .offset = offsetof(T, m), .help = text }
#define DS_NN_FLOATS(T, m, key, text) { .name = key, .type = DS_T_FLOATS, .offset = offsetof(T, m), .help = text }
#define DS_NN_STRS(T, m, key, text) { .name = key, .type = DS_T_STRS, .offset = offsetof(T, m), .help = text }
#define DS_NN_CHOICE(T, m, key, deflt, list, text) \
	{ .name = key, .type = DS_T_CHOICE, .offset = offsetof(T, m), .def = deflt, .choices = list, .help = text }

/* ---- floats other than f32 ---------------------------------------------------------------------------------------------------- */
typedef ds_status ds_forward_fn(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);

/* Bytes of scratch that ds_nn_in_f32 takes before what `fn` itself needs. */
size_t    ds_nn_in_f32_scratch(const ds_node *n, const ds_arg *in, const ds_type *out);
/* Run fn with every f16, bf16 and f64 input and output replaced by an f32 copy; other types pass through.  Results are rounded once, at the end.
 * (f64 loses precision to f32: models use it for small helper tensors only.)  At most 16 inputs and 8 outputs. */
ds_status ds_nn_in_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, ds_forward_fn *fn);

/* ---- small helpers ------------------------------------------------------------------------------------------------------------ */
/* Axis in [0, rank) from an attribute in [-rank, rank); DS_E_INPUT names the node's operator. */
ds_status ds_nn_axis(const ds_node *n, int64_t axis, int rank, int *out, ds_err *err);
/* [outer][extent][inner] of a tensor around logical axis `axis`, as it lies in memory (layout respected). */
void      ds_nn_split(const ds_tensor *t, int axis, int64_t *outer, int64_t *extent, int64_t *inner);
/* out = in, whole type. */
ds_status ds_nn_infer_same(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
/* DS_LINK_SAME between equal axes [from, to) of two slots; returns the new count. */
int       ds_nn_same(ds_link *link, int cap, int k, int a, int b, int from, int to);

/* Sum of x, and of (x - mean)^2, in f64: eight lanes, then the lanes in order, so the result depends on n alone. */
double    ds_nn_sum(const float *x, int64_t n);
double    ds_nn_sum_sq(const float *x, double mean, int64_t n);

/* Tasks over `items` equal pieces of about `cost` operations each: how many pieces per task.  Depends on its arguments only. */
static inline int64_t ds_nn_grain(int64_t items, double cost)
{
	double per = 32768.0 / (cost < 1 ? 1 : cost);
	int64_t g = per < 1 ? 1 : (int64_t)per;
	int64_t least = (items + 1023) / 1024;         /* never more than 1024 tasks */

	return g < least ? least : g;
}
/* Call fn(arg, i0, i1, worker) over [0, items) in pieces of `grain`. */
typedef void ds_nn_range_fn(void *arg, int64_t i0, int64_t i1, int worker);
void ds_nn_for(ds_pool *pool, int64_t items, int64_t grain, ds_nn_range_fn *fn, void *arg);

static inline bool ds_nn_is_float(ds_dtype d) { return d == DS_F32 || d == DS_F16 || d == DS_BF16 || d == DS_F64; }

#endif
