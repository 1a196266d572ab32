/* conv_shape.c - geometry shared by the convolutions: attributes, padding rules, output sizes, channel links */
#include "conv_shape.h"
#include "infer.h"

enum { NOTSET, SAME_UPPER, SAME_LOWER, VALID };

static int64_t item(const ds_ints *l, int i, int64_t def) { return i < l->n ? l->v[i] : def; }

static bool lists_ok(const ds_conv_attr *a, int sp)
{
	if ((a->dilations.n && a->dilations.n != sp) || (a->strides.n && a->strides.n != sp) || (a->pads.n && a->pads.n != 2 * sp) ||
		(a->kernel_shape.n && a->kernel_shape.n != sp))
		return false;
	for (int i = 0; i < sp; i++) {
		int64_t d = item(&a->dilations, i, 1), s = item(&a->strides, i, 1);
		if (d < 1 || s < 1 || d > 1 << 20 || s > 1 << 20)
			return false;
	}
	for (int i = 0; i < a->pads.n; i++)
		if (a->pads.v[i] < 0 || a->pads.v[i] > 1 << 20)
			return false;
	return true;
}

/* One spatial axis: padding before it and size of the output; -1 when the kernel does not fit. */
static int64_t axis_out(const ds_conv_attr *a, int i, int sp, int64_t x, int64_t k, int64_t *pad)
{
	int64_t s = item(&a->strides, i, 1), span = (k - 1) * item(&a->dilations, i, 1) + 1, total;
	*pad = 0;
	switch (a->auto_pad) {
	case SAME_UPPER:
	case SAME_LOWER: {
		int64_t out = (x + s - 1) / s;
		total = DS_MAX((out - 1) * s + span - x, 0);
		*pad = a->auto_pad == SAME_UPPER ? total / 2 : total - total / 2;
		return out;
	}
	case VALID:
		total = 0;
		break;
	default:
		*pad = item(&a->pads, i, 0);
		total = *pad + item(&a->pads, sp + i, 0);
	}
	return x + total < span ? -1 : (x + total - span) / s + 1;
}

ds_status ds_conv_infer(const ds_conv_attr *a, const ds_type *x, const ds_type *w, ds_type *out, ds_err *err)
{
	*out = (ds_type){ .dtype = x->dtype, .rank = -1 };
	int rank = x->rank >= 0 ? x->rank : w->rank;
	if (rank < 0)
		return DS_OK;
	if (rank < 3 || (w->rank >= 0 && w->rank != rank))
		return ds_fail(err, DS_E_INPUT, "convolution of rank %d with a weight of rank %d", x->rank, w->rank);
	if (rank > 5)
		return ds_fail(err, DS_E_UNSUPPORTED, "convolution over %d spatial axes", rank - 2);
	int sp = rank - 2;
	if (!lists_ok(a, sp))
		return ds_fail(err, DS_E_INPUT, "convolution: attributes do not fit %d spatial axes", sp);
	ds_infer_unknown(out, x->dtype, rank);
	if (x->rank >= 0)
		out->dim[0] = x->dim[0];
	if (w->rank < 0)
		return DS_OK;
	out->dim[1] = w->dim[0];
	if (x->rank >= 0 && x->dim[1] >= 0 && w->dim[1] >= 0 && w->dim[0] >= 0 && (x->dim[1] != w->dim[1] * a->group || w->dim[0] % a->group))
		return ds_fail(err, DS_E_INPUT, "convolution of %lld channels with a weight for %lld in %lld groups", (long long)x->dim[1],
			(long long)w->dim[1], (long long)a->group);
	for (int i = 0; i < sp && x->rank >= 0; i++) {
		int64_t xd = x->dim[2 + i], k = item(&a->kernel_shape, i, w->dim[2 + i]), pad;
		if (k < 0)
			continue;
		if (k == 0 || (w->dim[2 + i] >= 0 && w->dim[2 + i] != k))
			return ds_fail(err, DS_E_INPUT, "convolution: kernel_shape does not fit the weight");
		if (xd >= 0) {
			out->dim[2 + i] = axis_out(a, i, sp, xd, k, &pad);
			if (out->dim[2 + i] < 0)
				return ds_fail(err, DS_E_INPUT, "convolution: the kernel is larger than the padded input");
		} else if (xd != DS_DIM_UNKNOWN && item(&a->strides, i, 1) == 1) {
			/* stride 1: the size changes by a constant, which may be 0 for any size */
			int64_t span = (k - 1) * item(&a->dilations, i, 1), sum = item(&a->pads, i, 0) + item(&a->pads, sp + i, 0);
			if (a->auto_pad == SAME_UPPER || a->auto_pad == SAME_LOWER || (a->auto_pad == NOTSET && sum == span) || span == 0)
				out->dim[2 + i] = xd;
		}
	}
	return DS_OK;
}

ds_conv_geo ds_conv_geometry(const ds_conv_attr *a, const ds_type *x, const ds_type *w, const ds_type *out)
{
	ds_conv_geo g = { .n = x->dim[0], .ic = x->dim[1], .oc = w->dim[0], .groups = a->group, .spatial = x->rank - 2 };
	for (int i = 0; i < 3; i++) {
		int ax = i - (3 - g.spatial);
		g.in[i] = g.out[i] = g.k[i] = g.stride[i] = g.dil[i] = 1;
		if (ax < 0)
			continue;
		g.in[i] = x->dim[2 + ax];
		g.k[i] = w->dim[2 + ax];
		g.stride[i] = item(&a->strides, ax, 1);
		g.dil[i] = item(&a->dilations, ax, 1);
		axis_out(a, ax, g.spatial, g.in[i], g.k[i], &g.pad[i]);
		g.out[i] = out->dim[2 + ax];
	}
	return g;
}

int ds_conv_links(const ds_conv_attr *a, const ds_type *x, const ds_type *wt, int w, int b, int r, ds_link *link, int cap)
{
	int n = 0;
	bool depthwise = a->group > 1 && wt->dim[1] == 1;
	if (depthwise) {
		/* channel p in makes channels p*m .. p*m+m-1 out; the group count follows the extents (recut) */
		int64_t m = wt->dim[0] / a->group;
		n = ds_link_add(link, n, cap, m == 1 ? DS_LINK_SAME : DS_LINK_BLOCK, 0, 1, w, 0, m == 1 ? 0 : m);
	} else if (a->group == 1) {
		n = ds_link_add(link, n, cap, DS_LINK_SAME, 0, 1, w, 1, 0);
		n = ds_link_add(link, n, cap, DS_LINK_FREE, w, 0, w, 0, 0);
	} else {
		n = ds_link_add(link, n, cap, DS_LINK_GROUP, 0, 1, w, 1, a->group);
		n = ds_link_add(link, n, cap, DS_LINK_CYCLE, w, 0, w, 0, wt->dim[0] / a->group);
		n = ds_link_add(link, n, cap, DS_LINK_FREE, w, 0, w, 0, 0);
	}
	n = ds_link_add(link, n, cap, DS_LINK_SAME, w, 0, DS_SLOT_OUT, 1, 0);
	if (b >= 0)
		n = ds_link_add(link, n, cap, DS_LINK_SAME, w, 0, b, 0, 0);
	if (r >= 0)
		n = ds_link_add(link, n, cap, DS_LINK_SAME, r, 1, DS_SLOT_OUT, 1, 0);
	return n;
}

void ds_conv_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	const ds_type *w = &in[1].type, *x = &in[0].type;
	double per = 1, wn = (double)ds_type_count(w), bits = (double)ds_dtype_size(w->dtype);
	for (int i = 1; i < w->rank; i++)
		per *= (double)w->dim[i];
	*cost = (ds_cost){ .macs = per * (double)ds_type_count(out), .weight_bytes = wn * bits,
		.act_bytes = (double)ds_type_count(x) * (double)ds_dtype_size(x->dtype) + (double)ds_type_count(out) * (double)ds_dtype_size(out->dtype) };
}

ds_status ds_conv_recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	/* Only a depthwise convolution spells out an extent: as many groups as input channels. */
	if (DS_A(ds_conv_attr, n)->group > 1 && in[1].dim[1] == 1 && in[0].dim[1] != DS_A(ds_conv_attr, n)->group) {
		DS_TRY(ds_attr_i(n, "group", in[0].dim[1]));
		return ds_node_parse(n, err);
	}
	return DS_OK;
}
