/* gathergrad.c - ds.GatherGrad and ds.GatherNDGrad: zeros, with what was picked by each index added where it was taken from
 *
 * GatherGrad(dout, dims of data, indices; axis), GatherNDGrad(dout, dims of data, indices; batch_dims): floats.  Additions are made in the order of the
 * indices, for each element of the result; tasks share out the result, not the indices, so that no sum depends on threads. */
#include "draw.h"
#include "gather.h"
#include "move.h"
#include "nn.h"

#include <string.h>

enum { COLUMNS = 256 };

typedef struct attr { int64_t axis, batch_dims; } attr;
static const ds_opt attrs[] = {
	DS_ATTR_INT(attr, axis, "0", "axis that was indexed"),
	DS_ATTR_END
};
static const ds_opt attrs_nd[] = {
	DS_ATTR_INT(attr, batch_dims, "0", "leading axes that data and indices share"),
	DS_ATTR_END
};

struct job {
	ds_scatter_fn    add;
	const ds_tensor *index;
	const char      *src;
	char            *dst;
	size_t           size;
	int64_t          count, extent, inner, blocks;          /* indices per item, extent of an item's axis, elements of a slice */
	int              tuple;                                 /* GatherND: indices of a slice, with the extents and strides of their axes */
	int64_t          dim[DS_MAX_RANK], stride[DS_MAX_RANK];
};

/* Where the slice of index i of an item begins, in slices; -1: outside. */
static int64_t place(const struct job *j, int64_t i)
{
	int64_t at = 0;

	for (int k = 0; k < j->tuple; k++) {
		int64_t v = ds_index_at(j->index, i * j->tuple + k, j->dim[k]);

		if (v < 0 || v >= j->dim[k])
			return -1;
		at += v * j->stride[k];
	}
	return at;
}

/* A block of columns of the slices of one item. */
static void run_blocks(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	for (int64_t b = i0; b < i1; b++) {
		int64_t item = b / j->blocks, c = b % j->blocks * COLUMNS, n = DS_MIN(COLUMNS, j->inner - c);
		char *dst = j->dst + (size_t)(item * j->extent * j->inner + c) * j->size;
		const char *src = j->src + (size_t)(item * j->count * j->inner + c) * j->size;
		int64_t first = j->tuple ? item * j->count : 0;         /* Gather uses the same indices for every item */

		for (int64_t i = 0; i < j->extent; i++)
			memset(dst + (size_t)(i * j->inner) * j->size, 0, (size_t)n * j->size);
		for (int64_t i = 0; i < j->count; i++) {
			int64_t at = j->tuple ? place(j, first + i) : ds_index_at(j->index, i, j->extent);

			j->add(dst + (size_t)(at * j->inner) * j->size, src + (size_t)(i * j->inner) * j->size, n);
		}
	}
}

static void share_out(const ds_env *env, struct job *j, int64_t items)
{
	j->blocks = (j->inner + COLUMNS - 1) / COLUMNS;
	ds_nn_for(env->pool, items * j->blocks, ds_nn_grain(items * j->blocks, (double)(j->extent + j->count) * (double)DS_MIN(j->inner, COLUMNS)),
		run_blocks, j);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .add = ds_scatter_of(1, in[0]->dtype), .index = in[2], .src = in[0]->data, .dst = out[0]->data,
		.size = ds_dtype_size(in[0]->dtype), .count = ds_tensor_count(in[2]), .inner = 1 };
	int64_t items = 1;
	int axis;

	DS_TRY(ds_axis(DS_A(attr, n)->axis, out[0]->rank, &axis, err));
	j.extent = out[0]->dim[axis];
	DS_TRY(ds_index_check(in[2], j.extent, err));
	for (int i = 0; i < out[0]->rank; i++)
		if (i != axis)
			*(i < axis ? &items : &j.inner) *= out[0]->dim[i];
	if (ds_tensor_count(in[0]) != items * j.count * j.inner)
		return ds_fail(err, DS_E_INPUT, "%s: dout and indices do not fit", n->op_name);
	share_out(env, &j, items);
	return DS_OK;
}

static ds_status forward_nd(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .add = ds_scatter_of(1, in[0]->dtype), .index = in[2], .src = in[0]->data, .dst = out[0]->data,
		.size = ds_dtype_size(in[0]->dtype), .count = 1, .extent = 1, .inner = 1 };
	const ds_tensor *x = in[2];
	int64_t items = 1;
	int b = (int)DS_A(attr, n)->batch_dims;

	if (x->rank < 1 || b < 0 || b >= x->rank || x->dim[x->rank - 1] > out[0]->rank - b)
		return ds_fail(err, DS_E_INPUT, "%s: ranks of data and indices", n->op_name);
	j.tuple = (int)x->dim[x->rank - 1];
	for (int i = 0; i < x->rank - 1; i++)
		*(i < b ? &items : &j.count) *= x->dim[i];
	for (int k = j.tuple - 1; k >= 0; k--) {
		j.dim[k] = out[0]->dim[b + k];
		j.stride[k] = j.extent;
		j.extent *= j.dim[k];
	}
	for (int i = b + j.tuple; i < out[0]->rank; i++)
		j.inner *= out[0]->dim[i];
	if (ds_tensor_count(in[0]) != items * j.count * j.inner || ds_tensor_count(out[0]) != items * j.extent * j.inner)
		return ds_fail(err, DS_E_INPUT, "%s: dout and indices do not fit", n->op_name);
	for (int64_t i = 0; i < items * j.count; i++)
		if (place(&j, i) < 0)
			return ds_fail(err, DS_E_INPUT, "%s: an index is outside its axis", n->op_name);
	share_out(env, &j, items);
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(ds_index_type(n, in, 2, err));
	if (!ds_nn_is_float(in[0].type.dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	return ds_infer_given(&in[1], in[0].type.dtype, &out[0], err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_F64, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], to[3], at[5], axis = ds_draw_in(&s, 0, 2);
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 3, seed % 4 == 3 ? 300 / (1 + 20 * (seed % 3)) : 6, dim);
	memcpy(to, dim, sizeof to);
	for (int i = 0; i < 5; i++)
		at[i] = ds_draw_in(&s, -dim[axis], dim[axis] - 1);
	dim[axis] = 5;
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 3), 3, dim);
	in[1] = ds_draw_ints(&s, 3, to);
	in[2] = ds_draw_ints(&s, 5, at);
	n = ds_draw_node(&s, "ds.GatherGrad", 3, in, 1);
	ds_draw_i(&s, n, "axis", axis - (seed & 2 ? 3 : 0));
	return ds_draw_end(&s, n, err);
}

static ds_status sample_nd(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int b = (int)(seed / 3 % 2), tuple = 1 + (int)(seed % (3 - (uint64_t)b));
	int64_t dim[3], xdim[3] = { 0, 4, tuple }, ddim[4];
	ds_tensor t;
	ds_value *in[3];
	ds_node *n;
	int r = 0;

	ds_draw_dims(&s, 3, 5, dim);
	xdim[0] = dim[0];
	DS_TRY(ds_tensor_new(&t, DS_I64, 2 + b, xdim + 1 - b, err));
	for (int64_t i = 0; i < ds_tensor_count(&t); i++)
		((int64_t *)t.data)[i] = ds_draw_in(&s, -dim[b + i % tuple], dim[b + i % tuple] - 1);
	if (b)
		ddim[r++] = dim[0];
	ddim[r++] = 4;
	for (int i = b + tuple; i < 3; i++)
		ddim[r++] = dim[i];
	in[0] = ds_draw_input(&s, DS_F32, r, ddim);
	in[1] = ds_draw_ints(&s, 3, dim);
	in[2] = ds_graph_weight(g, DS_V_PARAM, "index", &t);
	s.oom = s.oom || !in[2];
	n = ds_draw_node(&s, "ds.GatherNDGrad", 3, in, 1);
	ds_draw_i(&s, n, "batch_dims", b);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_GatherGrad = {
	.name = "GatherGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost, .sample = sample,
};

const ds_op ds_op_GatherNDGrad = {
	.name = "GatherNDGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(attr), .attrs = attrs_nd, .infer = infer, .forward = forward_nd, .cost = ds_move_cost, .sample = sample_nd,
};
