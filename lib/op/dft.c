/* dft.c - DFT: the discrete Fourier transform along an axis (ONNX 20)
 *
 * Input [..., n, ..., 1 | 2]: the last dim holds real parts, or real and imaginary ones.  Cut or filled with zeros to dft_length. */
#include "draw.h"
#include "fft.h"
#include "infer.h"
#include "nn.h"

#include <string.h>

struct attr { int64_t inverse, onesided; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, inverse, "0", "The inverse transform, with 1 / n"),
	DS_ATTR_FLAG(struct attr, onesided, "0", "Only the first n / 2 + 1 bins, which tell the others of a real signal"),
	DS_ATTR_END
};

/* The axis, -1: not known yet. */
static ds_status find_axis(const ds_arg *in, int n_in, int *axis, ds_err *err)
{
	int64_t a = -2;
	*axis = -1;
	if (in[0].type.rank < 0)
		return DS_OK;
	if (n_in > 2 && in[2].present) {
		if (!in[2].value)
			return DS_OK;
		if (ds_tensor_count(in[2].value) != 1)
			return ds_fail(err, DS_E_INPUT, "DFT: the axis is no scalar");
		a = ds_tensor_i64(in[2].value, 0);
	}
	DS_TRY(ds_axis(a, in[0].type.rank, axis, err));
	return *axis == in[0].type.rank - 1 ? ds_fail(err, DS_E_INPUT, "DFT along the dim of real and imaginary parts") : DS_OK;
}

/* The length of the transform; DS_DIM_UNKNOWN: not known yet. */
static ds_status find_length(const ds_arg *in, int n_in, int axis, int64_t *n, ds_err *err)
{
	*n = in[0].type.dim[axis];
	if (n_in > 1 && in[1].present) {
		*n = DS_DIM_UNKNOWN;
		if (!in[1].value)
			return DS_OK;
		if (ds_tensor_count(in[1].value) != 1)
			return ds_fail(err, DS_E_INPUT, "DFT: the length is no scalar");
		*n = ds_tensor_i64(in[1].value, 0);
		if (*n < 1)
			return ds_fail(err, DS_E_INPUT, "DFT of the length %lld", (long long)*n);
	}
	return *n == 0 || (*n > 0 && !ds_fft_table(*n)) ? ds_fail(err, DS_E_INPUT, "DFT of the length %lld", (long long)*n) : DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	const ds_type *t = &in[0].type;
	int axis;
	int64_t len;
	if (!ds_nn_is_float(t->dtype))
		return ds_fail(err, DS_E_INPUT, "DFT of %s", ds_dtype_name(t->dtype));
	ds_infer_unknown(&out[0], t->dtype, t->rank);
	DS_TRY(find_axis(in, n->n_in, &axis, err));
	if (t->rank < 0)
		return DS_OK;
	int64_t parts = t->dim[t->rank - 1];
	if (parts >= 0 && parts != 1 && parts != 2)
		return ds_fail(err, DS_E_INPUT, "DFT: the last dim is %lld and holds neither real nor complex numbers", (long long)parts);
	if (a->onesided && (parts == 2 || a->inverse))
		return ds_fail(err, DS_E_INPUT, "DFT: half of the bins tell nothing of a complex signal or an inverse transform");
	out[0].dim[t->rank - 1] = 2;
	if (axis < 0)
		return DS_OK;
	for (int i = 0; i + 1 < t->rank; i++)
		out[0].dim[i] = t->dim[i];
	DS_TRY(find_length(in, n->n_in, axis, &len, err));
	out[0].dim[axis] = !a->onesided ? len : len > 0 ? len / 2 + 1 : DS_DIM_UNKNOWN;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	int axis;
	int64_t len;
	size_t own = ds_nn_in_f32_scratch(n, in, out);
	if (find_axis(in, n->n_in, &axis, NULL) != DS_OK || axis < 0 || find_length(in, n->n_in, axis, &len, NULL) != DS_OK || len < 1)
		return own;
	return own + (ds_fft_table(len) + (size_t)threads * (ds_fft_work(len) + 2 * (size_t)len)) * sizeof(double);
}

typedef struct job {
	const float *x;
	float       *y;
	double      *work;              /* of each worker */
	size_t       size;
	ds_fft       fft;
	int64_t      n, have, bins, inner;      /* length, samples that are there, bins that are wanted */
	int          parts, inverse;
} job;

static void lines(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	double *v = j->work + (size_t)worker * j->size, *work = v + 2 * j->n;
	for (int64_t i = i0; i < i1; i++) {
		int64_t outer = i / j->inner, inner = i % j->inner, have = DS_MIN(j->have, j->n);
		const float *x = j->x + (outer * j->have * j->inner + inner) * j->parts;
		float *y = j->y + (outer * j->bins * j->inner + inner) * 2;
		memset(v, 0, 2 * (size_t)j->n * sizeof *v);
		for (int64_t k = 0; k < have; k++) {
			v[2 * k] = (double)x[k * j->inner * j->parts];
			v[2 * k + 1] = j->parts == 2 ? (double)x[k * j->inner * j->parts + 1] : 0;
		}
		ds_fft_run(&j->fft, v, work, j->inverse);
		for (int64_t k = 0; k < j->bins; k++) {
			y[k * j->inner * 2] = (float)v[2 * k];
			y[k * j->inner * 2 + 1] = (float)v[2 * k + 1];
		}
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int axis, rank = in[0]->rank;
	int64_t outer = 1;
	job j = { .x = in[0]->data, .y = out[0]->data, .inner = 1, .inverse = (int)DS_A(struct attr, n)->inverse };
	DS_TRY(ds_axis(n->n_in > 2 && in[2] ? ds_tensor_i64(in[2], 0) : -2, rank, &axis, err));
	j.parts = (int)in[0]->dim[rank - 1];
	j.have = in[0]->dim[axis];
	j.n = n->n_in > 1 && in[1] ? ds_tensor_i64(in[1], 0) : j.have;
	j.bins = out[0]->dim[axis];
	for (int i = 0; i < axis; i++)
		outer *= in[0]->dim[i];
	for (int i = axis + 1; i + 1 < rank; i++)
		j.inner *= in[0]->dim[i];
	j.work = (double *)env->scratch + ds_fft_table(j.n);
	j.size = ds_fft_work(j.n) + 2 * (size_t)j.n;
	ds_fft_plan(&j.fft, j.n, env->scratch);
	ds_nn_for(env->pool, outer * j.inner, ds_nn_grain(outer * j.inner, 40.0 * (double)j.n), lines, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int axis = (int)ds_draw_in(&s, 0, 1);
	bool real = seed % 3 != 0, one = real && seed & 1;
	int64_t dim[3] = { ds_draw_in(&s, 1, 3), ds_draw_in(&s, 1, 40), real ? 1 : 2 }, len = ds_draw_in(&s, 1, 74), where = axis;
	if (axis == 0)
		dim[0] = ds_draw_in(&s, 1, 37);
	ds_value *in[3] = { ds_draw_input(&s, DS_F32, 3, dim), seed & 2 ? ds_draw_ints(&s, -1, &len) : NULL, ds_draw_ints(&s, -1, &where) };
	ds_node *n = ds_draw_node(&s, "DFT", 3, in, 1);
	ds_draw_i(&s, n, "onesided", one);
	ds_draw_i(&s, n, "inverse", !one && seed & 4);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_DFT = {
	.name = "DFT", .domain = "", .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .sample = sample,
};
