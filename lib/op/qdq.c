/* qdq.c - scales and zero points of QuantizeLinear and DequantizeLinear (qdq.h) */
#include "qdq.h"

#include <limits.h>

enum { PIECE = 16384 };         /* elements per task */

ds_status ds_qdq_make(const ds_node *n, const ds_tensor *x, const ds_tensor *scale, ds_qdq_split *s, ds_err *err)
{
	const ds_qdq_attr *a = n->a;
	int axis;

	*s = (ds_qdq_split){ .outer = 1, .extent = 1, .inner = ds_tensor_count(x), .tensor = true };
	if (ds_tensor_count(scale) == 1 && scale->rank <= 1 && a->block_size == 0)
		return DS_OK;
	s->tensor = false;
	DS_TRY(ds_nn_axis(n, a->axis, x->rank, &axis, err));
	ds_nn_split(x, axis, &s->outer, &s->extent, &s->inner);
	if (scale->rank > 1 && scale->rank != x->rank)
		return ds_fail(err, DS_E_INPUT, "%s: scale of rank %d for a tensor of rank %d", n->op_name, scale->rank, x->rank);
	if (scale->rank > 1) {
		s->block = a->block_size ? a->block_size : (x->dim[axis] + scale->dim[axis] - 1) / DS_MAX(scale->dim[axis], 1);
		if (s->block < 1 || (x->dim[axis] + s->block - 1) / s->block != scale->dim[axis])
			return ds_fail(err, DS_E_INPUT, "%s: block size %lld does not fit", n->op_name, (long long)s->block);
		for (int d = 0; d < x->rank; d++)
			if (scale->rank != x->rank || (d != axis && scale->dim[d] != x->dim[d]))
				return ds_fail(err, DS_E_INPUT, "%s: scales of blocks do not fit", n->op_name);
		if (x->layout != DS_PLAIN) {
			s->x = x;
			s->scale = scale;
			s->axis = axis;
		}
	} else if (ds_tensor_count(scale) != s->extent) {
		return ds_fail(err, DS_E_INPUT, "%s: %lld scales for an axis of %lld", n->op_name, (long long)ds_tensor_count(scale), (long long)s->extent);
	}
	return DS_OK;
}

/* Rare: blocks in a channels-last tensor, element by element; scale and zero point have the same layout as each other. */
static void scattered(const ds_qdq_split *s, ds_qdq_fn *fn, void *arg)
{
	int64_t stride[DS_MAX_RANK], scale_stride[DS_MAX_RANK], count = ds_tensor_count(s->x);

	ds_tensor_strides(s->x, stride);
	ds_tensor_strides(s->scale, scale_stride);
	for (int64_t i = 0; i < count; i++) {
		int64_t rest = i, at = 0, index = 0;

		for (int d = s->x->rank - 1; d >= 0; d--) {
			int64_t p = rest % s->x->dim[d];

			rest /= s->x->dim[d];
			at += p * stride[d];
			index += (d == s->axis ? p / s->block : p) * scale_stride[d];
		}
		fn(arg, at, 1, index, 0);
	}
}

struct each { const ds_qdq_split *s; ds_qdq_fn *fn; void *arg; };

static void pieces(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct each *e = arg;
	const ds_qdq_split *s = e->s;

	(void)worker;
	if (s->tensor) {
		for (int64_t i = i0; i < i1; i++)
			e->fn(e->arg, i * PIECE, DS_MIN(PIECE, s->inner - i * PIECE), 0, 0);
		return;
	}
	/* a piece is one row of `inner`, or of `extent` where that is innermost */
	for (int64_t r = i0; r < i1; r++) {
		if (s->block && s->inner == 1) {
			int64_t groups = (s->extent + s->block - 1) / s->block;

			for (int64_t g = 0; g < groups; g++)
				e->fn(e->arg, r * s->extent + g * s->block, DS_MIN(s->block, s->extent - g * s->block), r * groups + g, 0);
		} else if (s->inner == 1) {
			e->fn(e->arg, r * s->extent, s->extent, 0, 1);
		} else if (s->block) {
			int64_t groups = (s->extent + s->block - 1) / s->block;

			e->fn(e->arg, r * s->inner, s->inner, (r / s->extent * groups + r % s->extent / s->block) * s->inner, 1);
		} else {
			e->fn(e->arg, r * s->inner, s->inner, r % s->extent, 0);
		}
	}
}

void ds_qdq_each(ds_pool *pool, const ds_qdq_split *s, ds_qdq_fn *fn, void *arg)
{
	struct each e = { s, fn, arg };
	int64_t rows = s->outer * (s->inner == 1 ? 1 : s->extent), len = s->inner == 1 ? s->extent : s->inner;

	if (s->x)
		scattered(s, fn, arg);
	else if (s->tensor)
		ds_nn_for(pool, (s->inner + PIECE - 1) / PIECE, 1, pieces, &e);
	else
		ds_nn_for(pool, len ? rows : 0, ds_nn_grain(rows, (double)len), pieces, &e);
}

ds_status ds_qdq_check(const ds_node *n, const ds_arg *in, ds_err *err)
{
	const ds_type *s = &in[1].type;
	const ds_qdq_attr *a = n->a;
	int axis;

	if (n->n_in > 2 && in[2].present && s->rank >= 0 && in[2].type.rank >= 0 && s->rank != in[2].type.rank && s->rank + in[2].type.rank > 1)
		return ds_fail(err, DS_E_INPUT, "%s: scale of rank %d, zero point of rank %d", n->op_name, s->rank, in[2].type.rank);
	if (s->rank == 1 && in[0].type.rank > 0 && s->dim[0] > 1) {
		DS_TRY(ds_nn_axis(n, a->axis, in[0].type.rank, &axis, err));
		if (in[0].type.dim[axis] >= 0 && in[0].type.dim[axis] != s->dim[0])
			return ds_fail(err, DS_E_INPUT, "%s: %lld scales for an axis of %lld", n->op_name, (long long)s->dim[0],
				(long long)in[0].type.dim[axis]);
	}
	if (s->rank > 1 && in[0].type.rank >= 0 && s->rank != in[0].type.rank)
		return ds_fail(err, DS_E_INPUT, "%s: scale of rank %d for a tensor of rank %d", n->op_name, s->rank, in[0].type.rank);
	return DS_OK;
}

int ds_qdq_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank), axis;

	if (ds_nn_axis(n, DS_A(ds_qdq_attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return k;
	for (int i = 1; i < n->n_in && i < 3; i++) {
		if (!in[i].present || ds_type_count(&in[i].type) <= 1)
			continue;
		if (in[i].type.rank == 1 && k < cap)
			link[k++] = (ds_link){ DS_LINK_SAME, 0, (int8_t)axis, (int8_t)i, 0, 0 };
		else if (in[i].type.rank == out[0].rank)
			for (int d = 0; d < out[0].rank && k < cap; d++)
				if (d != axis)
					link[k++] = (ds_link){ DS_LINK_SAME, 0, (int8_t)d, (int8_t)i, (int8_t)d, 0 };
	}
	return k;
}

ds_status ds_q_join(ds_qform *form, int rank, const int64_t *dim, ds_err *err)
{
	int bits = form->code == DS_I8 ? 8 : form->code - DS_U2 + 2;
	ds_qsize rows, one;

	form->joined = false;
	DS_TRY(ds_qform_size(form, rank, dim, &rows, err));
	if ((bits != 2 && bits != 4 && bits != 8) || !form->row_dims)
		return DS_OK;
	form->joined = true;
	DS_TRY(ds_qform_size(form, rank, dim, &one, err));
	form->joined = rows.code_bytes - rows.code_bytes / 17 > one.code_bytes;
	return DS_OK;
}

bool ds_qdq_range(ds_dtype d, int32_t *lo, int32_t *hi)
{
	static const struct { ds_dtype d; int32_t lo, hi; } rows[] = {
		{ DS_U8, 0, 255 }, { DS_I8, -128, 127 }, { DS_U16, 0, 65535 }, { DS_I16, -32768, 32767 },
	};

	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (rows[i].d == d) {
			*lo = rows[i].lo;
			*hi = rows[i].hi;
			return true;
		}
	return false;
}
