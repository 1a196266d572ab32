/* infer.c - what type inference, channel links and recutting of many operators share */
#include "infer.h"

bool ds_infer_dim(int64_t a, int64_t b, int64_t *out)
{
	if (a == b || b == 1) {
		*out = a;
	} else if (a == 1) {
		*out = b;
	} else if (a >= 0 && b >= 0) {
		return false;
	} else if (a >= 0) {
		*out = a;
	} else {
		*out = b >= 0 ? b : DS_DIM_UNKNOWN;
	}
	return true;
}

ds_status ds_infer_broadcast(const ds_arg *in, int n, ds_type *out, ds_err *err)
{
	int rank = 0;

	for (int i = 0; i < n; i++) {
		if (!in[i].present)
			continue;
		if (in[i].type.rank < 0) {
			out->rank = -1;
			return DS_OK;
		}
		rank = DS_MAX(rank, in[i].type.rank);
	}
	out->rank = (int8_t)rank;
	for (int d = 0; d < rank; d++) {
		int64_t dim = 1;

		for (int i = 0; i < n; i++) {
			int at = d - (rank - in[i].type.rank);

			if (!in[i].present || at < 0)
				continue;
			if (!ds_infer_dim(dim, in[i].type.dim[at], &dim))
				return ds_fail(err, DS_E_INPUT, "shapes do not broadcast: axis %d is both %lld and %lld", d, (long long)dim,
					(long long)in[i].type.dim[at]);
		}
		out->dim[d] = dim;
	}
	return DS_OK;
}

ds_status ds_infer_same(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	return DS_OK;
}

ds_status ds_axis(int64_t axis, int rank, int *out, ds_err *err)
{
	if (axis < -(int64_t)rank || axis >= rank)
		return ds_fail(err, DS_E_INPUT, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
	*out = (int)(axis < 0 ? axis + rank : axis);
	return DS_OK;
}

ds_status ds_axes(const int64_t *axis, int n, int rank, unsigned *mask, ds_err *err)
{
	*mask = 0;
	for (int i = 0; i < n; i++) {
		int a = 0;

		DS_TRY(ds_axis(axis[i], rank, &a, err));
		if (*mask >> a & 1)
			return ds_fail(err, DS_E_INPUT, "axis %d is given twice", a);
		*mask |= 1u << a;
	}
	return DS_OK;
}

ds_status ds_known_ints(const ds_arg *a, int cap, int64_t *v, int *n, ds_err *err)
{
	int64_t count;

	*n = -1;
	if (!a->value)
		return DS_OK;
	count = ds_tensor_count(a->value);
	if (a->value->dtype == DS_BOOL || !ds_dtype_of(a->value->dtype) || ds_dtype_of(a->value->dtype)->is_float)
		return ds_fail(err, DS_E_INPUT, "an input of sizes or axes is of type %s", ds_dtype_name(a->value->dtype));
	if (count > cap)
		return ds_fail(err, DS_E_INPUT, "%lld sizes or axes, at most %d are possible", (long long)count, cap);
	for (int64_t i = 0; i < count; i++)
		v[i] = ds_tensor_i64(a->value, i);
	*n = (int)count;
	return DS_OK;
}

ds_status ds_infer_given(const ds_arg *dims, ds_dtype dtype, ds_type *out, ds_err *err)
{
	int64_t v[DS_MAX_RANK];
	int count;

	*out = (ds_type){ .dtype = dtype, .rank = -1 };
	DS_TRY(ds_known_ints(dims, DS_MAX_RANK, v, &count, err));
	for (int i = 0; i < count; i++)
		if (v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "an extent of %lld", (long long)v[i]);
	if (count >= 0)
		*out = ds_type_make(dtype, count, v);
	return DS_OK;
}

int64_t ds_known_length(const ds_arg *a)
{
	if (!a->present || a->type.rank < 0)
		return -1;
	if (a->type.rank == 0)
		return 1;
	return a->type.dim[0] >= 0 ? a->type.dim[0] : -1;
}

void ds_infer_unknown(ds_type *t, ds_dtype dtype, int rank)
{
	t->dtype = dtype;
	t->rank = (int8_t)rank;
	for (int i = 0; i < rank; i++)
		t->dim[i] = DS_DIM_UNKNOWN;
}

int64_t ds_infer_product(const ds_type *t, int from, int to)
{
	int64_t p = 1;

	for (int i = from; i < to; i++)
		p = ds_dim_mul(p, t->dim[i]);
	return p;
}

int ds_link_add(ds_link *link, int n, int cap, ds_link_kind kind, int a, int a_axis, int b, int b_axis, int64_t count)
{
	if (n < cap)
		link[n++] = (ds_link){ kind, (int8_t)a, (int8_t)a_axis, (int8_t)b, (int8_t)b_axis, count };
	return n;
}

int ds_link_same(ds_link *link, int n, int cap, int a, const ds_type *ta, int b, const ds_type *tb, unsigned mask)
{
	for (int i = 0; i < ta->rank && i < tb->rank; i++)
		if (mask >> i & 1 && ta->dim[i] == tb->dim[i] && ta->dim[i] != 1)
			n = ds_link_add(link, n, cap, DS_LINK_SAME, a, i, b, i, 0);
	return n;
}

static const ds_tensor *constant(const ds_node *n, int i)
{
	const ds_value *v = i < n->n_in ? n->in[i] : NULL;

	return v && (v->kind == DS_V_CONST || v->kind == DS_V_PARAM) && v->data.data ? &v->data : NULL;
}

ds_status ds_recut_read(const ds_node *n, int i, int cap, int64_t *v, int *count, ds_err *err)
{
	ds_arg a = { .present = true, .value = constant(n, i) };

	return ds_known_ints(&a, cap, v, count, err);
}

ds_status ds_recut_ints(ds_graph *g, ds_node *n, int i, int count, const int64_t *v, ds_err *err)
{
	const ds_tensor *old = constant(n, i);
	int64_t dim = count < 0 ? 1 : count;
	ds_value *fresh;

	if (!old)
		return ds_fail(err, DS_E_UNSUPPORTED, "extents that are computed cannot be changed");
	if (old->dtype == DS_I64) {
		fresh = ds_graph_const_i64(g, count, v);
	} else {
		ds_tensor t;
		ds_status rc;

		DS_TRY(ds_tensor_new(&t, old->dtype, count < 0 ? 0 : 1, &dim, err));
		rc = ds_convert(t.data, old->dtype, v, DS_I64, (size_t)dim, err);
		fresh = rc == DS_OK ? ds_graph_weight(g, DS_V_CONST, "", &t) : NULL;
		if (rc != DS_OK) {
			ds_tensor_done(&t);
			return rc;
		}
	}
	if (!fresh)
		return ds_fail_nomem(err, sizeof(ds_value));
	n->in[i] = fresh;
	return DS_OK;
}

int ds_link_reshape(ds_link *link, int n, int cap, const ds_type *in, const ds_type *out)
{
	int i = 0, j = 0;

	while (i < in->rank && j < out->rank) {
		int i0, j0, i1 = 0, j1 = 0;             /* first axes of the group and how many of extent > 1 it has */
		int64_t p = 1, q = 1;

		/* the smallest group of neighbouring axes with the same product on both sides; axes of extent 1 belong to no group */
		while (i < in->rank && in->dim[i] == 1)
			i++;
		while (j < out->rank && out->dim[j] == 1)
			j++;
		if (i == in->rank || j == out->rank)
			break;
		i0 = i;
		j0 = j;
		do {
			if (p <= q && i < in->rank) {
				i1 += in->dim[i] != 1;
				p *= in->dim[i++];
			} else if (j < out->rank) {
				j1 += out->dim[j] != 1;
				q *= out->dim[j++];
			} else {
				return n;               /* cannot be: the products of all dims agree (or one is 0) */
			}
		} while (p != q || j == j0);
		if (i1 == 1 && j1 == 1)
			n = ds_link_add(link, n, cap, DS_LINK_SAME, 0, i0, DS_SLOT_OUT, j0, 0);
		else if (j1 == 1 && in->dim[i0] > 0)
			n = ds_link_add(link, n, cap, DS_LINK_BLOCK, 0, i0, DS_SLOT_OUT, j0, p / in->dim[i0]);
		else if (i1 == 1 && out->dim[j0] > 0)
			n = ds_link_add(link, n, cap, DS_LINK_BLOCK, DS_SLOT_OUT, j0, 0, i0, q / out->dim[j0]);
	}
	return n;
}

ds_status ds_recut_dims(ds_graph *g, ds_node *n, int i, const ds_type *in, const ds_type *want, ds_err *err)
{
	int64_t v[DS_MAX_RANK];
	int count;
	bool change = false;

	DS_TRY(ds_recut_read(n, i, DS_MAX_RANK, v, &count, err));
	if (count < 0)
		return DS_OK;                   /* computed from other extents, which change with it */
	if (count > want->rank)
		return ds_fail(err, DS_E_INTERNAL, "%d dims where %d are wanted", count, want->rank);
	for (int d = 0; d < count; d++) {
		int64_t w = want->dim[d + want->rank - count];

		if (v[d] <= 0 || w < 0 || v[d] == w)
			continue;               /* taken from the input, inferred, or symbolic */
		v[d] = w;
		change = true;
	}
	/* A 0 copies the input's extent at its place: still right, as Reshape links that axis with itself. */
	return change ? ds_recut_ints(g, n, i, count, v, err) : DS_OK;
}
