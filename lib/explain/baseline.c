/* baseline.c - what stands for "nothing there": zeros, the mean of each channel, the picture out of focus, or given numbers */
#include "explain_int.h"

#include "../draw/draw.h"

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

/* A Gaussian whose standard deviation is an eighth of the longer side: shapes go, colours stay. */
static ds_status blur(const ds_plane *p, const float *v, float *out, ds_err *err)
{
	float *field = ds_malloc((size_t)(p->h * p->w + 1) * sizeof *field);
	ds_status rc = field ? DS_OK : ds_fail_nomem(err, (size_t)(p->h * p->w) * sizeof *field);
	for (int64_t c = 0; rc == DS_OK && c < p->channels; c++) {
		for (int64_t i = 0; i < p->h * p->w; i++)
			field[i] = v[c * p->sc + i / p->w * p->sy + i % p->w * p->sx];
		rc = ds_field_blur(field, p->h, p->w, fmax((double)DS_MAX(p->h, p->w) / 8, 0.5), err);
		for (int64_t i = 0; rc == DS_OK && i < p->h * p->w; i++)
			out[c * p->sc + i / p->w * p->sy + i % p->w * p->sx] = field[i];
	}
	ds_free(field);
	return rc;
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
