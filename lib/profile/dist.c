/* dist.c - durations in bounded memory, their percentiles and the intervals of these */
#include "dist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bins: 2^-40 s (a picosecond) to 2^24 s (half a year), every octave in 256 equal parts; a bin's middle is within 1/512 of what is in it. */
enum { OCTAVES = 64, LOWEST = -40, PARTS = 256, BINS = OCTAVES * PARTS, STRETCHES = 32, STRETCH_LEAST = 20 };

static int bin_of(double v)
{
	int e;
	double m = frexp(v, &e);                /* v = m 2^e, m in [1/2, 1) */
	if (v <= 0 || e <= LOWEST)
		return 0;
	if (e > LOWEST + OCTAVES)
		return BINS - 1;
	return (e - 1 - LOWEST) * PARTS + (int)((m * 2 - 1) * PARTS);
}

static double middle(int bin)
{
	return ldexp(1 + (bin % PARTS + 0.5) / PARTS, bin / PARTS + LOWEST);
}

ds_status ds_dist_add(ds_dist *d, double v, ds_err *err)
{
	if (!isfinite(v) || v < 0)
		return ds_fail(err, DS_E_INTERNAL, "a duration of %g s", v);
	if (d->n_raw < DS_DIST_RAW) {
		if (!ds_grow((void **)&d->raw, d->n_raw, &d->cap, sizeof *d->raw))
			return ds_fail_nomem(err, 0);
		d->raw[d->n_raw++] = v;
	} else {
		if (!d->bin) {
			d->bin = ds_calloc(BINS, sizeof *d->bin);
			if (!d->bin)
				return ds_fail_nomem(err, BINS * sizeof *d->bin);
			for (size_t i = 0; i < d->n_raw; i++)
				d->bin[bin_of(d->raw[i])]++;
		}
		d->bin[bin_of(v)]++;
	}
	d->min = d->n ? fmin(d->min, v) : v;
	d->max = d->n ? fmax(d->max, v) : v;
	d->sum += v;
	d->n++;
	return DS_OK;
}

void ds_dist_done(ds_dist *d)
{
	ds_free(d->raw);
	ds_free(d->bin);
	*d = (ds_dist){ 0 };
}

/* Walk the binomial distribution from ten standard deviations below its mean, where nothing that matters lies before. */
void ds_dist_ranks(uint64_t n, double p, uint64_t *lo, uint64_t *hi)
{
	double mean = (double)n * p, sd = sqrt(mean * (1 - p)), from = floor(mean - 10 * sd - 10);
	uint64_t k = from > 0 ? (uint64_t)from : 0;
	int sign;
	double log_pmf = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) - lgamma_r((double)(n - k) + 1, &sign)
		+ (double)k * log(p) + (double)(n - k) * log1p(-p);
	double cdf = 0, odds = log(p) - log1p(-p);
	*lo = 0;
	*hi = n + 1;
	for (; k < n; k++) {
		cdf += exp(log_pmf);                    /* P(B <= k) */
		if (cdf <= 0.025)
			*lo = k + 1;                    /* P(X(lo) > quantile) = P(B <= lo - 1) */
		if (cdf >= 0.975) {
			*hi = k + 1;                    /* P(X(hi) <= quantile) = P(B >= hi) */
			return;
		}
		log_pmf += log((double)(n - k)) - log((double)k + 1) + odds;
	}
}

int64_t ds_dist_needed(double p)
{
	return (int64_t)ceil(log(0.025) / log(p));
}

/* Stretches of time that the raw values are divided into; 0: too few values. */
static size_t stretches(const ds_dist *d)
{
	size_t k = DS_MIN(d->n_raw / STRETCH_LEAST, (size_t)STRETCHES);
	return k >= 4 ? k : 0;
}

static double inflation(const ds_dist *d, double q)
{
	size_t k = stretches(d), all = 0, m = k ? d->n_raw / k : 0;
	double square = 0;
	if (!k)
		return 1;
	for (size_t i = 0; i < k * m; i++)
		all += d->raw[i] > q;
	double share = (double)all / (double)(k * m);
	for (size_t b = 0; b < k; b++) {
		size_t above = 0;
		for (size_t i = 0; i < m; i++)
			above += d->raw[b * m + i] > q;
		double off = (double)above / (double)m - share;
		square += off * off;
	}
	double independent = share * (1 - share) / (double)m;
	return independent > 0 ? fmax(1, square / (double)(k - 1) / independent) : 1;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The value of a rank from 1 to n. */
static double at_rank(const ds_dist *d, const double *sorted, uint64_t rank)
{
	if (rank <= 1)
		return d->min;
	if (rank >= d->n)
		return d->max;
	if (sorted)
		return sorted[rank - 1];
	uint64_t seen = 0;
	for (int i = 0; i < BINS; i++) {
		seen += d->bin[i];
		if (seen >= rank)
			return fmin(fmax(middle(i), d->min), d->max);
	}
	return d->max;
}

static uint64_t scaled(uint64_t rank, uint64_t of, uint64_t to)
{
	return of == to ? rank : (uint64_t)((double)rank / (double)of * (double)to);
}

ds_status ds_dist_quantiles(const ds_dist *d, ds_quantile *q, int n, ds_err *err)
{
	double *sorted = NULL;
	if (d->n && !d->bin) {
		sorted = ds_malloc(d->n_raw * sizeof *sorted);
		if (!sorted)
			return ds_fail_nomem(err, d->n_raw * sizeof *sorted);
		memcpy(sorted, d->raw, d->n_raw * sizeof *sorted);
		qsort(sorted, d->n_raw, sizeof *sorted, by_value);
	}
	for (int i = 0; i < n; i++) {
		uint64_t lo, hi, worth;
		q[i].value = q[i].lo = q[i].hi = NAN;
		q[i].inflation = 1;
		if (!d->n)
			continue;
		q[i].value = at_rank(d, sorted, (uint64_t)ceil(q[i].p * (double)d->n));
		q[i].inflation = inflation(d, q[i].value);
		worth = DS_MAX((uint64_t)((double)d->n / q[i].inflation), (uint64_t)1);
		ds_dist_ranks(worth, q[i].p, &lo, &hi);
		q[i].lo = lo ? at_rank(d, sorted, scaled(lo, worth, d->n)) : 0;
		q[i].hi = hi <= worth ? at_rank(d, sorted, DS_MIN(scaled(hi, worth, d->n) + (worth != d->n), d->n)) : INFINITY;
	}
	ds_free(sorted);
	return DS_OK;
}

/* Upper 97.5 % point of Student's t (Hill's expansion; within 0.3 % from 3 degrees of freedom on). */
static double student(double f)
{
	double z = 1.959964, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
	return z + (z3 + z) / (4 * f) + (5 * z5 + 16 * z3 + 3 * z) / (96 * f * f) + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * f * f * f);
}

void ds_dist_mean(const ds_dist *d, double *mean, double *lo, double *hi)
{
	size_t k = stretches(d);
	*mean = d->n ? d->sum / (double)d->n : NAN;
	*lo = *hi = NAN;
	if (!k && d->n_raw >= 8)
		k = d->n_raw;                   /* few: each for itself */
	if (!k)
		return;
	size_t m = d->n_raw / k;
	double square = 0, all = 0;
	for (int pass = 0; pass < 2; pass++)
		for (size_t b = 0; b < k; b++) {
			double sum = 0;
			for (size_t i = 0; i < m; i++)
				sum += d->raw[b * m + i];
			if (pass == 0)
				all += sum / (double)m / (double)k;
			else
				square += (sum / (double)m - all) * (sum / (double)m - all);
		}
	double half = student((double)(k - 1)) * sqrt(square / (double)(k - 1) / (double)k);
	*lo = *mean - half;
	*hi = *mean + half;
}
