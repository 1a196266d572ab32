/* stft.c - STFT: the discrete Fourier transform of frames of a signal (ONNX 17)
 *
 * Signal [N, T, 1 | 2] (or [N, T]), frame_step, window [w] (absent: ones), frame_length (absent: w): [N, (T - length) / step + 1, bins, 2]. */
#include "draw.h"
#include "fft.h"
#include "infer.h"
#include "nn.h"

#include <string.h>

struct attr { int64_t onesided; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, onesided, "1", "Only the first n / 2 + 1 bins, which tell the others of a real signal"),
	DS_ATTR_END
};

static ds_status scalar(const ds_arg *a, const char *what, int64_t *v, ds_err *err)
{
	*v = DS_DIM_UNKNOWN;
	if (!a->value)
		return DS_OK;
	if (ds_tensor_count(a->value) != 1 || (*v = ds_tensor_i64(a->value, 0)) < 1)
		return ds_fail(err, DS_E_INPUT, "STFT: the %s is no positive number", what);
	return DS_OK;
}

/* The length of a frame; DS_DIM_UNKNOWN: not known yet. */
static ds_status frame_length(const ds_arg *in, int n_in, int64_t *n, ds_err *err)
{
	bool window = n_in > 2 && in[2].present, length = n_in > 3 && in[3].present;
	*n = DS_DIM_UNKNOWN;
	if (!window && !length)
		return ds_fail(err, DS_E_INPUT, "STFT with neither a window nor a length");
	if (window && in[2].type.rank >= 0 && in[2].type.rank != 1)
		return ds_fail(err, DS_E_INPUT, "STFT: a window of rank %d", in[2].type.rank);
	if (length)
		DS_TRY(scalar(&in[3], "length", n, err));
	else if (in[2].type.rank == 1)
		*n = in[2].type.dim[0];
	if (window && *n >= 0 && in[2].type.rank == 1 && in[2].type.dim[0] >= 0 && in[2].type.dim[0] != *n)
		return ds_fail(err, DS_E_INPUT, "STFT: a window of %lld for frames of %lld", (long long)in[2].type.dim[0], (long long)*n);
	return *n == 0 || (*n > 0 && !ds_fft_table(*n)) ? ds_fail(err, DS_E_INPUT, "STFT of the length %lld", (long long)*n) : DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t step, len;
	if (!ds_nn_is_float(t->dtype))
		return ds_fail(err, DS_E_INPUT, "STFT of %s", ds_dtype_name(t->dtype));
	ds_infer_unknown(&out[0], t->dtype, 4);
	out[0].dim[3] = 2;
	DS_TRY(scalar(&in[1], "step", &step, err));
	DS_TRY(frame_length(in, n->n_in, &len, err));
	if (t->rank < 0)
		return DS_OK;
	if (t->rank != 2 && t->rank != 3)
		return ds_fail(err, DS_E_INPUT, "STFT of a tensor of rank %d", t->rank);
	int64_t parts = t->rank == 3 ? t->dim[2] : 1;
	if (parts >= 0 && (parts < 1 || parts > 2 || (parts == 2 && DS_A(struct attr, n)->onesided)))
		return ds_fail(err, DS_E_INPUT, "STFT: a last dim of %lld", (long long)parts);
	out[0].dim[0] = t->dim[0];
	if (len > 0)
		out[0].dim[2] = DS_A(struct attr, n)->onesided ? len / 2 + 1 : len;
	if (len > 0 && step > 0 && t->dim[1] >= 0)
		out[0].dim[1] = t->dim[1] < len ? 0 : (t->dim[1] - len) / step + 1;
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	int64_t len;
	size_t own = ds_nn_in_f32_scratch(n, in, out);
	if (frame_length(in, n->n_in, &len, NULL) != DS_OK || len < 1)
		return own;
	return own + (ds_fft_table(len) + (size_t)threads * (ds_fft_work(len) + 2 * (size_t)len)) * sizeof(double);
}

typedef struct job {
	const float *x, *window;        /* window NULL: ones */
	float       *y;
	double      *work;              /* of each worker */
	size_t       size;
	ds_fft       fft;
	int64_t      n, step, samples, frames, bins;
	int          parts;
} job;

static void frames(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	double *v = j->work + (size_t)worker * j->size, *work = v + 2 * j->n;
	for (int64_t i = i0; i < i1; i++) {
		const float *x = j->x + (i / j->frames * j->samples + i % j->frames * j->step) * j->parts;
		float *y = j->y + i * j->bins * 2;
		for (int64_t k = 0; k < j->n; k++) {
			double w = j->window ? (double)j->window[k] : 1;
			v[2 * k] = (double)x[k * j->parts] * w;
			v[2 * k + 1] = j->parts == 2 ? (double)x[k * 2 + 1] * w : 0;
		}
		ds_fft_run(&j->fft, v, work, 0);
		for (int64_t k = 0; k < 2 * j->bins; k++)
			y[k] = (float)v[k];
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	job j = { .x = in[0]->data, .y = out[0]->data, .samples = in[0]->dim[1], .frames = out[0]->dim[1], .bins = out[0]->dim[2], .step = ds_tensor_i64(in[1], 0) };
	j.parts = in[0]->rank == 3 ? (int)in[0]->dim[2] : 1;
	j.window = n->n_in > 2 && in[2] ? in[2]->data : NULL;
	j.n = n->n_in > 3 && in[3] ? ds_tensor_i64(in[3], 0) : in[2]->dim[0];
	j.work = (double *)env->scratch + ds_fft_table(j.n);
	j.size = ds_fft_work(j.n) + 2 * (size_t)j.n;
	ds_fft_plan(&j.fft, j.n, env->scratch);
	int64_t all = in[0]->dim[0] * j.frames;
	ds_nn_for(env->pool, all, ds_nn_grain(all, 40.0 * (double)j.n), frames, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t len = ds_draw_in(&s, 1, 40), step = ds_draw_in(&s, 1, 12), complex = seed % 3 == 0;
	int64_t dim[3] = { ds_draw_in(&s, 1, 3), ds_draw_in(&s, len, 80), 1 + complex };
	ds_value *in[4] = { ds_draw_input(&s, DS_F32, seed & 4 && !complex ? 2 : 3, dim), ds_draw_ints(&s, -1, &step), seed & 1 ? ds_draw_param(&s, DS_F32, 1, &len) : NULL,
		seed & 1 && seed & 2 ? NULL : ds_draw_ints(&s, -1, &len) };
	ds_node *n = ds_draw_node(&s, "STFT", in[3] ? 4 : 3, in, 1);
	ds_draw_i(&s, n, "onesided", !complex && seed & 2);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_STFT = {
	.name = "STFT", .domain = "", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .sample = sample,
};
