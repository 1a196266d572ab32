/* reshape.c - Reshape: the same elements under other dims; 0 copies a dim (unless allowzero), -1 is inferred, also across symbols */
#include "draw.h"
#include "infer.h"
#include "move.h"

#include <string.h>

struct attr { int64_t allowzero; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, allowzero, "0", "a 0 means no elements instead of a copied dim"),
	DS_ATTR_END
};

/* Product of in's dims over the product of out's dims other than `skip`, symbols cancelled; DS_DIM_UNKNOWN if symbols remain where they cannot. */
static ds_status quotient(const ds_type *in, const ds_type *out, int skip, int64_t *q, ds_err *err)
{
	bool used[DS_MAX_RANK] = { false };
	int64_t num = 1, den = 1, symbol = 0;
	int left = 0;

	*q = DS_DIM_UNKNOWN;
	for (int i = 0; i < out->rank; i++) {
		int64_t d = out->dim[i];
		int k = 0;

		if (i == skip)
			continue;
		if (d >= 0) {
			den *= d;
			continue;
		}
		while (k < in->rank && (used[k] || in->dim[k] != d || d == DS_DIM_UNKNOWN))
			k++;
		if (k == in->rank)
			return DS_OK;
		used[k] = true;
	}
	for (int i = 0; i < in->rank; i++) {
		if (in->dim[i] >= 0) {
			num *= in->dim[i];
		} else if (!used[i]) {
			symbol = in->dim[i];
			left++;
		}
	}
	if (left == 1 && num == den) {
		*q = symbol;
	} else if (left == 0) {
		if (den == 0 || num % den)
			return ds_fail(err, DS_E_INPUT, "Reshape: %lld elements cannot be split by %lld", (long long)num, (long long)den);
		*q = num / den;
	}
	return DS_OK;
}

/* Dims as shape arithmetic spells them, symbols included: numbers, dims asked of a tensor (Shape, Gather), their concatenation.  Appends at n; -1: not followed. */
static int spelt(const ds_value *v, int n, int64_t *dim, bool *asked, int depth)
{
	const ds_node *p = v ? v->node : NULL;
	if (!v || depth > 8)
		return -1;
	if (v->data.data && !v->data.q && v->data.rank <= 1 && (v->data.dtype == DS_I64 || v->data.dtype == DS_I32)) {
		for (int64_t i = 0; i < ds_tensor_count(&v->data); i++) {
			if (n == DS_MAX_RANK)
				return -1;
			asked[n] = false;
			dim[n++] = ds_tensor_i64(&v->data, i);
		}
		return n;
	}
	if (!p || p->domain[0])
		return -1;
	if (!strcmp(p->op_name, "Unsqueeze") || !strcmp(p->op_name, "Squeeze") || !strcmp(p->op_name, "Cast") || !strcmp(p->op_name, "Identity"))
		return spelt(p->in[0], n, dim, asked, depth + 1);
	if (!strcmp(p->op_name, "Concat")) {
		for (int i = 0; i < p->n_in && n >= 0; i++)
			n = spelt(p->in[i], n, dim, asked, depth + 1);
		return n;
	}
	if (!strcmp(p->op_name, "Gather") && p->in[0] && p->in[0]->node && !strcmp(p->in[0]->node->op_name, "Shape") && p->in[0]->node->n_attr == 0) {
		const ds_type *of = &p->in[0]->node->in[0]->type;
		const ds_tensor *at = p->in[1] ? &p->in[1]->data : NULL;
		int64_t k = at && at->data && !at->q && ds_tensor_count(at) == 1 ? ds_tensor_i64(at, 0) : DS_MAX_RANK;
		k += k < 0 && of->rank > 0 ? of->rank : 0;
		if (n == DS_MAX_RANK || of->rank < 0 || k < 0 || k >= of->rank || of->dim[k] == DS_DIM_UNKNOWN)
			return -1;
		asked[n] = true;
		dim[n++] = of->dim[k];
		return n;
	}
	return -1;
}

/* A shape that is not known but spelt: a symbol where the input has the same one says what 0 says. */
static int with_symbols(const ds_node *n, const ds_type *t, int64_t *v)
{
	bool asked[DS_MAX_RANK];
	int count = DS_A(struct attr, n)->allowzero || n->n_in < 2 ? -1 : spelt(n->in[1], 0, v, asked, 0);
	for (int i = 0; i < count; i++) {
		if (!asked[i] || v[i] > 0)
			continue;
		if (i >= t->rank || t->dim[i] != v[i])
			return -1;
		v[i] = 0;
	}
	return count;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t v[DS_MAX_RANK], len = ds_known_length(&in[1]);
	int count, minus = -1;

	out[0].dtype = t->dtype;
	out[0].rank = -1;
	DS_TRY(ds_known_ints(&in[1], DS_MAX_RANK, v, &count, err));
	if (count < 0)
		count = with_symbols(n, t, v);
	if (count < 0) {
		if (len > DS_MAX_RANK)
			return ds_fail(err, DS_E_UNSUPPORTED, "Reshape to rank %lld", (long long)len);
		if (len >= 0)
			ds_infer_unknown(&out[0], t->dtype, (int)len);
		return DS_OK;
	}
	ds_infer_unknown(&out[0], t->dtype, count);
	for (int i = 0; i < count; i++) {
		if (v[i] < -1 || (v[i] == -1 && minus >= 0))
			return ds_fail(err, DS_E_INPUT, "Reshape: dim %d of the shape is %lld", i, (long long)v[i]);
		if (v[i] == -1) {
			minus = i;
		} else if (v[i] == 0 && !DS_A(struct attr, n)->allowzero) {
			if (t->rank >= 0 && i >= t->rank)
				return ds_fail(err, DS_E_INPUT, "Reshape: dim %d of the shape copies one that the input lacks", i);
			out[0].dim[i] = t->rank < 0 ? DS_DIM_UNKNOWN : t->dim[i];
		} else {
			out[0].dim[i] = v[i];
		}
	}
	if (minus >= 0 && t->rank >= 0)
		DS_TRY(quotient(t, &out[0], minus, &out[0].dim[minus], err));
	if (ds_type_concrete(t) && ds_type_concrete(&out[0]) && ds_type_count(t) != ds_type_count(&out[0]))
		return ds_fail(err, DS_E_INPUT, "Reshape: %lld elements do not become %lld", (long long)ds_type_count(t), (long long)ds_type_count(&out[0]));
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_reshape(link, 0, cap, &in[0].type, &out[0]);
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	return ds_recut_dims(g, n, 1, &in[0], &want[0], err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], to[4];
	ds_value *in[2];
	int count;

	ds_draw_dims(&s, 3, 5, dim);
	dim[1] *= 2;
	switch (seed % 4) {
	case 0: to[0] = 0; to[1] = -1; count = 2; break;
	case 1: to[0] = dim[0]; to[1] = 2; to[2] = dim[1] / 2; to[3] = dim[2]; count = 4; break;
	case 2: to[0] = dim[0] * dim[1]; to[1] = dim[2]; count = 2; break;
	default: to[0] = -1; count = 1; break;
	}
	in[0] = ds_draw_input(&s, seed & 4 ? DS_I64 : DS_F32, 3, dim);
	in[1] = ds_draw_ints(&s, count, to);
	return ds_draw_end(&s, ds_draw_node(&s, "Reshape", 2, in, 1), err);
}

const ds_op ds_op_Reshape = {
	.name = "Reshape", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_VIEW,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = ds_view_forward, .cost = ds_view_cost,
	.channels = channels, .recut = recut, .gradient = ds_view_gradient, .sample = sample,
};
