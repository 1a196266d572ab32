/* rollout.c - what is made of maps of attention: rollout, attention weighted by gradient, the grid of patches */
#include "attention.h"

#include <math.h>
#include <string.h>

/* r := a r for matrices [t, t], row by row through `row`.  a is lower triangular or full: zeros are passed over. */
static void multiply(const double *a, double *r, double *to, int64_t t)
{
	for (int64_t i = 0; i < t; i++) {
		double *row = to + i * t;
		memset(row, 0, (size_t)t * sizeof *row);
		for (int64_t k = 0; k < t; k++)
			for (int64_t j = 0; a[i * t + k] != 0 && j < t; j++)
				row[j] += a[i * t + k] * r[k * t + j];
	}
}

/* Two matrices [t, t]. */
static double *room(int64_t t, ds_err *err)
{
	size_t n;
	double *m = ds_mul_over((size_t)t, (size_t)t, &n) ? NULL : ds_calloc(n, 2 * sizeof *m);
	if (!m)
		(void)ds_fail_nomem(err, 0);
	return m;
}

ds_status ds_rollout_add(double *r, const float *map, int64_t heads, int64_t t, ds_err *err)
{
	double *a = room(t, err), *to = a + t * t;
	if (!a)
		return DS_E_NOMEM;
	for (int64_t h = 0; h < heads; h++)
		for (int64_t i = 0; i < t * t; i++)
			a[i] += (double)map[h * t * t + i];
	for (int64_t i = 0; i < t; i++) {
		double sum = 0;
		for (int64_t j = 0; j < t; j++)
			sum += a[i * t + j] = .5 * a[i * t + j] / (double)heads + (i == j ? .5 : 0);
		for (int64_t j = 0; j < t; j++)
			a[i * t + j] /= sum;
	}
	multiply(a, r, to, t);
	memcpy(r, to, (size_t)(t * t) * sizeof *r);
	ds_free(a);
	return DS_OK;
}

ds_status ds_attngrad_add(double *r, const float *map, const float *grad, int64_t heads, int64_t t, ds_err *err)
{
	double *a = room(t, err), *to = a + t * t;
	if (!a)
		return DS_E_NOMEM;
	for (int64_t h = 0; h < heads; h++)
		for (int64_t i = 0; i < t * t; i++) {
			double v = (double)map[h * t * t + i] * (double)grad[h * t * t + i];
			a[i] += v > 0 ? v / (double)heads : 0;
		}
	multiply(a, r, to, t);
	for (int64_t i = 0; i < t * t; i++)
		r[i] += to[i];
	ds_free(a);
	return DS_OK;
}

bool ds_patch_grid(int64_t t, int64_t h, int64_t w, int64_t *first, int64_t *rows, int64_t *cols)
{
	for (int64_t other = 0; other <= 8 && other < t; other++)
		for (int64_t r = 1; r <= t - other && r <= h; r++) {
			int64_t c = (t - other) / r;
			/* patches are square: rows of them to columns as h to w, within the rounding of a side that they do not fill */
			if (r * c != t - other || c > w || h / r != w / c)
				continue;
			*first = other;
			*rows = r;
			*cols = c;
			return true;
		}
	return false;
}
