/* gather.h - what the operators that pick elements by index share */
#ifndef DS_OP_GATHER_H
#define DS_OP_GATHER_H

#include "infer.h"

/* Check that every index lies in [-extent, extent); DS_E_INPUT names the first that does not. */
ds_status ds_index_check(const ds_tensor *index, int64_t extent, ds_err *err);
/* Index i, negative ones counted from the end; it has been checked. */
static inline int64_t ds_index_at(const ds_tensor *index, int64_t i, int64_t extent)
{
	int64_t v = index->dtype == DS_I64 ? ((const int64_t *)index->data)[i] : ((const int32_t *)index->data)[i];

	return v < 0 ? v + extent : v;
}
/* Indices are i32 or i64. */
ds_status ds_index_type(const ds_node *n, const ds_arg *in, int i, ds_err *err);

/* How a value is put where one is already (ScatterElements, ScatterND). */
extern const char *const ds_scatter_kinds[];    /* "none", "add", "mul", "max", "min" */
typedef void (*ds_scatter_fn)(void *dst, const void *src, int64_t n);
/* The function for n elements of a type; NULL: not for this type. */
ds_scatter_fn ds_scatter_of(int kind, ds_dtype dtype);
/* The gradient column of both (scatter_grad.c); kind: index of ds_scatter_kinds. */
ds_status ds_scatter_gradient(ds_graph *g, const ds_node *n, int64_t axis, int kind, ds_value *const *dout, ds_value **din, ds_err *err);

#endif
