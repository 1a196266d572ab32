/* window.c - geometry of sliding windows (window.h) */
#include "window.h"

const char *const ds_auto_pad_names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL };

static ds_status check_ints(const ds_node *n, const char *what, ds_ints v, int want, int64_t least, ds_err *err)
{
	if (v.n != 0 && v.n != want)
		return ds_fail(err, DS_E_INPUT, "%s: %s has %d numbers, %d expected", n->op_name, what, v.n, want);
	for (int i = 0; i < v.n; i++)
		if (v.v[i] < least || v.v[i] > INT32_MAX)
			return ds_fail(err, DS_E_INPUT, "%s: %s %lld out of range", n->op_name, what, (long long)v.v[i]);
	return DS_OK;
}

/* Output extent along one axis and the padding that makes it so. */
static ds_status axis_out(const ds_node *n, const ds_pool_attr *a, int64_t in, int64_t eff, int64_t stride, int64_t *pb, int64_t *pe, int64_t *out,
	ds_err *err)
{
	int64_t room, total;

	switch (a->auto_pad) {
	case DS_PAD_SAME_UPPER:
	case DS_PAD_SAME_LOWER:
		*out = (in + stride - 1) / stride;
		total = DS_MAX((*out - 1) * stride + eff - in, 0);
		*pb = a->auto_pad == DS_PAD_SAME_UPPER ? total / 2 : total - total / 2;
		*pe = total - *pb;
		return DS_OK;
	case DS_PAD_VALID:
		*pb = *pe = 0;
		break;
	default:
		break;
	}
	room = in + *pb + *pe - eff;
	if (room < 0 && !(a->ceil_mode && room > -stride))
		return ds_fail(err, DS_E_INPUT, "%s: window of %lld over an axis of %lld", n->op_name, (long long)eff, (long long)(in + *pb + *pe));
	*out = (a->ceil_mode && room >= 0 ? room + stride - 1 : DS_MAX(room, 0)) / stride + 1;
	/* a window that starts in the padding behind the input does not count */
	if (a->ceil_mode && *out > 1 && (*out - 1) * stride >= in + *pb)
		*out -= 1;
	return DS_OK;
}

ds_status ds_window_make(const ds_node *n, const ds_pool_attr *a, int nd, const int64_t *in, int64_t *out, ds_window *w, ds_err *err)
{
	int shift = 3 - nd;
	bool concrete = true;

	if (nd < 1 || a->kernel.n != nd)
		return ds_fail(err, DS_E_INPUT, "%s: kernel_shape has %d numbers for %d spatial axes", n->op_name, a->kernel.n, nd);
	if (nd > 3)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s: more than three spatial axes", n->op_name);
	DS_TRY(check_ints(n, "kernel_shape", a->kernel, nd, 1, err));
	DS_TRY(check_ints(n, "strides", a->strides, nd, 1, err));
	DS_TRY(check_ints(n, "dilations", a->dilations, nd, 1, err));
	DS_TRY(check_ints(n, "pads", a->pads, 2 * nd, 0, err));
	if (w)
		*w = (ds_window){ { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0 }, { 0 } };
	for (int i = 0; i < nd; i++) {
		int64_t s = a->strides.n ? a->strides.v[i] : 1, d = a->dilations.n ? a->dilations.v[i] : 1;
		int64_t pb = a->pads.n ? a->pads.v[i] : 0, pe = a->pads.n ? a->pads.v[nd + i] : 0;
		int64_t eff = (a->kernel.v[i] - 1) * d + 1;

		if (in[i] < 0) {
			/* a window that keeps the extent keeps the symbol */
			bool same = s == 1 && (a->auto_pad == DS_PAD_SAME_UPPER || a->auto_pad == DS_PAD_SAME_LOWER
				|| (a->auto_pad == DS_PAD_NOTSET && pb + pe == eff - 1) || (a->auto_pad == DS_PAD_VALID && eff == 1));

			out[i] = same ? in[i] : DS_DIM_UNKNOWN;
			concrete = false;
			continue;
		}
		DS_TRY(axis_out(n, a, in[i], eff, s, &pb, &pe, &out[i], err));
		if (w) {
			w->in[shift + i] = in[i];
			w->out[shift + i] = out[i];
			w->k[shift + i] = a->kernel.v[i];
			w->s[shift + i] = s;
			w->d[shift + i] = d;
			w->pb[shift + i] = pb;
			w->pe[shift + i] = pe;
		}
	}
	if (w && !concrete)
		return ds_fail(err, DS_E_INTERNAL, "%s: extents are not known", n->op_name);
	return DS_OK;
}

ds_status ds_window_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;

	for (int i = 0; i < n->n_out; i++)
		out[i] = (ds_type){ i == 0 ? x->dtype : DS_I64, -1, { 0 } };
	if (x->rank < 0)
		return DS_OK;
	if (x->rank < 3)
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d", n->op_name, x->rank);
	out[0].rank = x->rank;
	out[0].dim[0] = x->dim[0];
	out[0].dim[1] = x->dim[1];
	DS_TRY(ds_window_make(n, n->a, x->rank - 2, x->dim + 2, out[0].dim + 2, NULL, err));
	for (int i = 1; i < n->n_out; i++) {
		out[i] = out[0];
		out[i].dtype = DS_I64;
	}
	return DS_OK;
}

ds_status ds_window_of(const ds_node *n, const ds_tensor *x, ds_window *w, ds_err *err)
{
	int64_t out[3];

	return ds_window_make(n, n->a, x->rank - 2, x->dim + 2, out, w, err);
}
