/* field.c - fields of numbers on their way to colours: scaling, smoothing, the end of a scale */
#include "draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ds_field_resize(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow)
{
	for (int64_t y = 0; y < oh; y++) {
		double v = fmin(fmax(((double)y + 0.5) * (double)h / (double)oh - 0.5, 0), (double)(h - 1));
		int64_t y0 = (int64_t)v, y1 = DS_MIN(y0 + 1, h - 1);
		double fy = v - (double)y0;
		for (int64_t x = 0; x < ow; x++) {
			double u = fmin(fmax(((double)x + 0.5) * (double)w / (double)ow - 0.5, 0), (double)(w - 1));
			int64_t x0 = (int64_t)u, x1 = DS_MIN(x0 + 1, w - 1);
			double fx = u - (double)x0;
			double top = (double)in[y0 * w + x0] * (1 - fx) + (double)in[y0 * w + x1] * fx;
			double low = (double)in[y1 * w + x0] * (1 - fx) + (double)in[y1 * w + x1] * fx;
			out[y * ow + x] = (float)(top * (1 - fy) + low * fy);
		}
	}
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

double ds_field_top(const float *v, int64_t n, double share)
{
	double top = 0;
	float *sorted = share < 1 ? ds_malloc((size_t)DS_MAX(n, 1) * sizeof *sorted) : NULL;
	int64_t k = 0;
	for (int64_t i = 0; i < n; i++) {
		if (!isfinite(v[i]))
			continue;
		top = fmax(top, fabs((double)v[i]));
		if (sorted)
			sorted[k++] = fabsf(v[i]);
	}
	if (sorted && k) {
		qsort(sorted, (size_t)k, sizeof *sorted, by_value);
		double cut = sorted[DS_MIN(k - 1, (int64_t)((double)k * share))];
		top = cut > 0 ? cut : top;
	}
	ds_free(sorted);
	return top;
}

/* n numbers, `step` apart, into out: weighted means of those within r. */
static void smooth(const float *v, float *out, int64_t n, int64_t step, const double *w, int64_t r)
{
	for (int64_t i = 0; i < n; i++) {
		double sum = 0, all = 0;
		for (int64_t k = DS_MAX(-r, -i); k <= DS_MIN(r, n - 1 - i); k++) {
			sum += w[DS_MAX(k, -k)] * (double)v[(i + k) * step];
			all += w[DS_MAX(k, -k)];
		}
		out[i * step] = (float)(sum / all);
	}
}

ds_status ds_field_blur(float *v, int64_t h, int64_t w, double sigma, ds_err *err)
{
	if (!(sigma > 0) || h < 1 || w < 1)
		return DS_OK;
	int64_t r = (int64_t)fmin(3 * sigma + 1, (double)DS_MAX(h, w));
	double *weight = ds_malloc((size_t)(r + 1) * sizeof *weight);
	float *half = ds_malloc((size_t)h * (size_t)w * sizeof *half);
	if (!weight || !half) {
		ds_free(weight);
		ds_free(half);
		return ds_fail_nomem(err, (size_t)h * (size_t)w * sizeof *half);
	}
	for (int64_t k = 0; k <= r; k++)
		weight[k] = exp(-(double)(k * k) / (2 * sigma * sigma));
	for (int64_t y = 0; y < h; y++)
		smooth(v + y * w, half + y * w, w, 1, weight, r);
	for (int64_t x = 0; x < w; x++)
		smooth(half + x, v + x, h, w, weight, r);
	ds_free(weight);
	ds_free(half);
	return DS_OK;
}
