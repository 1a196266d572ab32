/* drift.c - rank correlation, overlap of what is foremost, structural similarity; bootstrap of a mean */
#include "drift.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/mem.h"
#include "../base/rng.h"

typedef struct spot { float v; int64_t at; } spot;

static float tame(float v)
{
	return isnan(v) ? 0 : v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : v;
}

static int rising(const void *pa, const void *pb)
{
	const spot *a = pa, *b = pb;
	return a->v != b->v ? (a->v > b->v ? 1 : -1) : a->at > b->at ? 1 : -1;
}

static int falling(const void *pa, const void *pb)
{
	const spot *a = pa, *b = pb;
	return a->v != b->v ? (a->v < b->v ? 1 : -1) : a->at > b->at ? 1 : -1;
}

static void sorted(const float *v, int64_t n, spot *s, int (*order)(const void *, const void *))
{
	for (int64_t i = 0; i < n; i++)
		s[i] = (spot){ tame(v[i]), i };
	qsort(s, (size_t)n, sizeof *s, order);
}

/* rank[i] of v[i], 0 for the middle one; equal values share the mean of their ranks. */
static void ranks(const float *v, int64_t n, spot *s, double *rank)
{
	sorted(v, n, s, rising);
	for (int64_t i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && s[j].v == s[i].v; )
			j++;
		for (int64_t k = i; k < j; k++)
			rank[s[k].at] = ((double)(i + j - 1) - (double)(n - 1)) / 2;
	}
}

ds_status ds_map_rank(const float *a, const float *b, int64_t n, double *rho, ds_err *err)
{
	spot *s = ds_calloc((size_t)n, sizeof *s);
	double *ra = ds_calloc((size_t)n, sizeof *ra), *rb = ds_calloc((size_t)n, sizeof *rb), ab = 0, aa = 0, bb = 0;
	ds_status rc = DS_OK;
	if (!s || !ra || !rb) {
		rc = ds_fail_nomem(err, (size_t)n * sizeof *s);
		goto out;
	}
	ranks(a, n, s, ra);
	ranks(b, n, s, rb);
	for (int64_t i = 0; i < n; i++) {       /* their mean is 0 */
		ab += ra[i] * rb[i];
		aa += ra[i] * ra[i];
		bb += rb[i] * rb[i];
	}
	*rho = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : aa > 0 || bb > 0 ? 0 : 1;
out:
	ds_free(rb);
	ds_free(ra);
	ds_free(s);
	return rc;
}

ds_status ds_map_overlap(const float *a, const float *b, int64_t n, double share, double *overlap, ds_err *err)
{
	int64_t k = (int64_t)ceil(share * (double)n), both = 0;
	spot *s = ds_calloc((size_t)n, sizeof *s);
	bool *in = ds_calloc((size_t)n, sizeof *in);
	ds_status rc = DS_OK;
	if (!s || !in) {
		rc = ds_fail_nomem(err, (size_t)n * sizeof *s);
		goto out;
	}
	k = DS_MIN(DS_MAX(k, 1), n);
	sorted(a, n, s, falling);
	for (int64_t i = 0; i < k; i++)
		in[s[i].at] = true;
	sorted(b, n, s, falling);
	for (int64_t i = 0; i < k; i++)
		both += in[s[i].at];
	*overlap = k ? (double)both / (double)k : 1;
out:
	ds_free(in);
	ds_free(s);
	return rc;
}

/* ---- structural similarity ---------------------------------------------------------------------------------------------------- */

enum { REACH = 5 };

static void stretch(const float *v, int64_t n, double *out)
{
	double lo = INFINITY, hi = -INFINITY;
	for (int64_t i = 0; i < n; i++) {
		lo = fmin(lo, (double)tame(v[i]));
		hi = fmax(hi, (double)tame(v[i]));
	}
	for (int64_t i = 0; i < n; i++)
		out[i] = hi > lo ? ((double)tame(v[i]) - lo) / (hi - lo) : 0;
}

/* The Gaussian mean about each of n values that lie `step` apart; a window cut at the end has the rest of its weights. */
static void blur(const double *v, int64_t n, int64_t step, double *out)
{
	double weight[REACH + 1];
	for (int i = 0; i <= REACH; i++)
		weight[i] = exp(-i * i / (2 * 1.5 * 1.5));
	for (int64_t i = 0; i < n; i++) {
		double sum = 0, all = 0;
		for (int64_t j = DS_MAX(i - REACH, 0); j <= DS_MIN(i + REACH, n - 1); j++) {
			double k = weight[j > i ? j - i : i - j];
			sum += k * v[j * step];
			all += k;
		}
		out[i * step] = sum / all;
	}
}

static void smooth(const double *a, const double *b, int64_t h, int64_t w, double *across, double *product, double *out)
{
	for (int64_t i = 0; i < h * w; i++)
		product[i] = b ? a[i] * b[i] : a[i];
	for (int64_t y = 0; y < h; y++)
		blur(product + y * w, w, 1, across + y * w);
	for (int64_t x = 0; x < w; x++)
		blur(across + x, h, w, out + x);
}

ds_status ds_map_ssim(const float *a, const float *b, int64_t h, int64_t w, double *ssim, ds_err *err)
{
	const double c1 = .01 * .01, c2 = .03 * .03;
	int64_t n = h * w;
	double *all = ds_calloc((size_t)n, 9 * sizeof *all), *p[9], sum = 0;
	if (!all)
		return ds_fail_nomem(err, (size_t)n * 9 * sizeof *all);
	for (int i = 0; i < 9; i++)
		p[i] = all + i * n;
	double *x = p[0], *y = p[1], *mx = p[4], *my = p[5], *xx = p[6], *yy = p[7], *xy = p[8];
	stretch(a, n, x);
	stretch(b, n, y);
	smooth(x, NULL, h, w, p[2], p[3], mx);
	smooth(y, NULL, h, w, p[2], p[3], my);
	smooth(x, x, h, w, p[2], p[3], xx);
	smooth(y, y, h, w, p[2], p[3], yy);
	smooth(x, y, h, w, p[2], p[3], xy);
	for (int64_t i = 0; i < n; i++) {
		double vx = xx[i] - mx[i] * mx[i], vy = yy[i] - my[i] * my[i], c = xy[i] - mx[i] * my[i];
		sum += (2 * mx[i] * my[i] + c1) * (2 * c + c2) / ((mx[i] * mx[i] + my[i] * my[i] + c1) * (vx + vy + c2));
	}
	*ssim = n ? sum / (double)n : 1;
	ds_free(all);
	return DS_OK;
}

/* ---- the mean of several samples ----------------------------------------------------------------------------------------------- */

enum { DRAWS = 2000 };

static int by_value(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a > b) - (a < b);
}

ds_status ds_mean_interval(const double *v, int64_t n, uint64_t seed, double *mean, double *lo, double *hi, ds_err *err)
{
	double sum = 0;
	*mean = *lo = *hi = NAN;
	if (!n)
		return DS_OK;
	double *draw = ds_calloc(DRAWS, sizeof *draw);
	if (!draw)
		return ds_fail_nomem(err, DRAWS * sizeof *draw);
	for (int64_t i = 0; i < n; i++)
		sum += v[i];
	*mean = sum / (double)n;
	for (int k = 0; k < DRAWS; k++) {
		ds_rng r = ds_rng_init(seed, (uint64_t)k);
		sum = 0;
		for (int64_t i = 0; i < n; i++)
			sum += v[ds_rng_below(&r, (uint64_t)n)];
		draw[k] = sum / (double)n;
	}
	qsort(draw, DRAWS, sizeof *draw, by_value);
	*lo = draw[DRAWS / 40];
	*hi = draw[DRAWS - 1 - DRAWS / 40];
	ds_free(draw);
	return DS_OK;
}
