/* baseline.c - what stands for "nothing there": zeros, the mean of each channel, the picture out of focus, or given numbers */
#include "explain_int.h"

#include <math.h>
#include <string.h>

/* The mean of each channel in all its places. */
static void means(const ds_plane *p, const float *v, float *out)
{
	for (int64_t c = 0; c < p->channels; c++) {
		double sum = 0;
		for (int64_t y = 0; y < p->h; y++)
			for (int64_t x = 0; x < p->w; x++)
				sum += (double)v[c * p->sc + y * p->sy + x * p->sx];
		for (int64_t y = 0; y < p->h; y++)
			for (int64_t x = 0; x < p->w; x++)
				out[c * p->sc + y * p->sy + x * p->sx] = (float)(sum / (double)(p->h * p->w));
	}
}

/* n numbers, `step` apart, as weighted sums over 2 r + 1 neighbours; beyond the ends the last number goes on. */
static void smooth(const float *v, float *out, int64_t n, int64_t step, const double *w, int64_t r)
{
	for (int64_t i = 0; i < n; i++) {
		double sum = 0;
		for (int64_t k = -r; k <= r; k++)
			sum += w[k + r] * (double)v[DS_MIN(DS_MAX(i + k, 0), n - 1) * step];
		out[i * step] = (float)sum;
	}
}

/* A Gaussian whose standard deviation is an eighth of the longer side: shapes go, colours stay. */
static ds_status blur(const ds_plane *p, const float *v, float *out, ds_err *err)
{
	double sigma = fmax((double)DS_MAX(p->h, p->w) / 8, 0.5), sum = 0;
	int64_t r = (int64_t)(3 * sigma) + 1, n = p->channels * p->h * p->w;
	double *w = ds_calloc((size_t)(2 * r + 1), sizeof *w);
	float *half = ds_malloc((size_t)(n + 1) * sizeof *half);
	if (!w || !half) {
		ds_free(w);
		ds_free(half);
		return ds_fail_nomem(err, 0);
	}
	for (int64_t k = -r; k <= r; k++)
		sum += w[k + r] = exp(-(double)(k * k) / (2 * sigma * sigma));
	for (int64_t k = 0; k <= 2 * r; k++)
		w[k] /= sum;
	for (int64_t c = 0; c < p->channels; c++) {
		for (int64_t y = 0; y < p->h; y++)
			smooth(v + c * p->sc + y * p->sy, half + c * p->sc + y * p->sy, p->w, p->sx, w, r);
		for (int64_t x = 0; x < p->w; x++)
			smooth(half + c * p->sc + x * p->sx, out + c * p->sc + x * p->sx, p->h, p->sy ? p->sy : 1, w, p->h > 1 ? r : 0);
	}
	if (p->h == 1)                          /* one row: nothing above or below */
		memcpy(out, half, (size_t)n * sizeof *out);
	ds_free(w);
	ds_free(half);
	return DS_OK;
}

ds_status ds_explain_baseline(const ds_explainer *x, const ds_tensor *in, float *out, ds_err *err)
{
	int64_t n = ds_tensor_count(in);
	ds_plane p;
	ds_tensor f;
	if (x->o.base == DS_BASE_ZERO) {
		memset(out, 0, (size_t)n * sizeof *out);
		return DS_OK;
	}
	if (x->o.base == DS_BASE_TENSOR) {
		if (ds_tensor_count(&x->o.base_tensor) != n || x->o.base_tensor.dtype != DS_F32)
			return ds_fail(err, DS_E_USAGE, "a baseline of %lld numbers for an input of %lld", (long long)ds_tensor_count(&x->o.base_tensor), (long long)n);
		memcpy(out, x->o.base_tensor.data, (size_t)n * sizeof *out);
		return DS_OK;
	}
	if (!ds_explain_plane(x, in, &p))
		return ds_fail(err, DS_E_UNSUPPORTED, "the mean or blur of an input of %d axes", in->rank);
	DS_TRY(ds_tensor_to_f32(in, &f, err));
	ds_status rc = DS_OK;
	if (x->o.base == DS_BASE_MEAN)
		means(&p, f.data, out);
	else
		rc = blur(&p, f.data, out, err);
	ds_tensor_done(&f);
	return rc;
}
