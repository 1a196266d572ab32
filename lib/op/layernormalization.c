/* layernormalization.c - LayerNormalization (ONNX 17) and RMSNormalization (ONNX 23): over the axes from `axis` on.
 * Ba, Kiros & Hinton 2016; Zhang & Sennrich 2019 */
#include "draw.h"
#include "rownorm.h"

#include <string.h>

/* Number of elements before and from the axis on. */
static ds_status split(const ds_node *n, const ds_type *x, int *axis, int64_t *rows, int64_t *len, ds_err *err)
{
	DS_TRY(ds_nn_axis(n, DS_A(ds_norm_attr, n)->axis, x->rank, axis, err));
	*rows = *len = 1;
	for (int i = 0; i < x->rank; i++)
		*(i < *axis ? rows : len) *= x->dim[i];
	return DS_OK;
}

/* Expand a parameter that broadcasts to x[axis:] into dst, unless it has all elements already. */
static const float *expanded(const ds_tensor *p, const ds_tensor *x, int axis, int64_t len, float *dst)
{
	if (!p || ds_tensor_count(p) == len)
		return p ? p->data : NULL;
	for (int64_t i = 0; i < len; i++) {
		int64_t rest = i, at = 0, step = 1;

		for (int d = x->rank - 1, q = p->rank - 1; d >= axis && q >= 0; d--, q--) {
			int64_t k = rest % x->dim[d];

			rest /= x->dim[d];
			at += (p->dim[q] == 1 ? 0 : k) * step;
			step *= p->dim[q];
		}
		dst[i] = ((const float *)p->data)[at];
	}
	return dst;
}

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, bool rms)
{
	ds_type x = ds_type_of(in[0]);
	ds_rownorm r = { .x = in[0]->data, .y = out[0]->data, .epsilon = DS_A(ds_norm_attr, n)->epsilon, .no_mean = rms, .inner = 1 };
	float *work = env->scratch;
	int axis;

	DS_TRY(split(n, &x, &axis, &r.rows, &r.len, err));
	r.scale = expanded(in[1], in[0], axis, r.len, work);
	r.bias = expanded(!rms && n->n_in > 2 ? in[2] : NULL, in[0], axis, r.len, work + r.len);
	r.period = r.len;
	if (!rms) {
		r.mean = n->n_out > 1 && out[1] ? out[1]->data : NULL;
		r.inv = n->n_out > 2 && out[2] ? out[2]->data : NULL;
	}
	ds_rownorm_run(env->pool, &r);
	return DS_OK;
}

static ds_status layer_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, err, false);
}

static ds_status rms_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, err, true);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, strcmp(n->op_name, "RMSNormalization") == 0 ? rms_f32 : layer_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	int64_t rows, len;
	int axis;

	(void)threads;
	if (split(n, &in[0].type, &axis, &rows, &len, NULL) != DS_OK)
		len = 0;
	return ds_nn_in_f32_scratch(n, in, out) + 2 * sizeof(float) * (size_t)len;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;
	int axis;

	out[0] = *x;
	for (int i = 1; i < n->n_out; i++) {
		out[i] = *x;
		out[i].dtype = DS_F32;
	}
	if (!ds_nn_is_float(x->dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
	if (x->rank < 0)
		return DS_OK;
	DS_TRY(ds_nn_axis(n, DS_A(ds_norm_attr, n)->axis, x->rank, &axis, err));
	for (int i = 1; i < n->n_in; i++) {
		const ds_type *p = &in[i].type;

		if (!in[i].present || p->rank < 0)
			continue;
		if (p->rank > x->rank - axis)
			return ds_fail(err, p->rank > x->rank ? DS_E_INPUT : DS_E_UNSUPPORTED, "%s: input %d of rank %d", n->op_name, i, p->rank);
		for (int k = 0; k < p->rank; k++) {
			int64_t a = p->dim[k], b = x->dim[x->rank - p->rank + k];

			if (a >= 0 && b >= 0 && a != b && a != 1)
				return ds_fail(err, DS_E_INPUT, "%s: extents of input %d", n->op_name, i);
		}
	}
	for (int i = 1; i < n->n_out; i++)
		for (int k = axis; k < x->rank; k++)
			out[i].dim[k] = 1;
	return DS_OK;
}

/* The axes before `axis` stay; those that are normalised over are barriers. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k = 0;

	(void)in;
	if (ds_nn_axis(n, DS_A(ds_norm_attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < n->n_out; i++)
		k = ds_nn_same(link, cap, k, 0, DS_SLOT_OUT + i, 0, axis);
	return k;
}

static ds_status sample_of(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype d = ds_draw_dtype(&s, types, 3);
	bool rms = strcmp(op, "RMSNormalization") == 0;
	int rank = (int)ds_draw_in(&s, 1, 4), axis = (int)ds_draw_in(&s, 0, rank - 1);
	int64_t dim[4];
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, rank, seed % 2 ? 40 : 6, dim);
	in[0] = ds_draw_input(&s, d, rank, dim);
	in[1] = ds_draw_param(&s, d, rank - axis, dim + axis);
	in[2] = ds_draw_param(&s, d, seed % 4 == 3 ? 1 : rank - axis, seed % 4 == 3 ? dim + rank - 1 : dim + axis);
	n = ds_draw_node(&s, op, rms ? 2 : 3, in, rms ? 1 : 1 + (int)(seed % 3));
	ds_draw_i(&s, n, "axis", seed % 2 ? axis : axis - rank);
	return ds_draw_end(&s, n, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "LayerNormalization", err); }
static ds_status sample_rms(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "RMSNormalization", err); }

static const ds_opt attrs[] = {
	DS_NN_INT(ds_norm_attr, axis, "axis", "-1", 0, 0, "First of the axes to normalise over"),
	DS_NN_FLOAT(ds_norm_attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	DS_NN_INT(ds_norm_attr, stash_type, "stash_type", "1", 0, 0, "Type of the statistics (number of ONNX); f32 here"),
	{ 0 }
};

const ds_op ds_op_LayerNormalization = {
	.name = "LayerNormalization", .domain = "", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 3,
	.attr_size = sizeof(ds_norm_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = ds_rownorm_cost, .channels = channels, .gradient = ds_rownorm_gradient, .sample = sample,
};

const ds_op ds_op_RMSNormalization = {
	.name = "RMSNormalization", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_norm_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = ds_rownorm_cost, .channels = channels, .gradient = ds_rownorm_gradient, .sample = sample_rms,
};
