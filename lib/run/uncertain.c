/* uncertain.c - how good probabilities are: entropy, Brier, likelihood, temperature, calibration error */
#include "uncertain.h"
#include "../base/rng.h"

#include <math.h>
#include <stdlib.h>

#define Z95 1.959963984540054           /* 97.5 % point of the normal distribution */
#define LEAST_P 0x1p-126                /* smaller probabilities count as this */

/* ---- one item ----------------------------------------------------------------------------------------------------------------- */

double ds_entropy(const float *p, int64_t classes)
{
	double h = 0;
	for (int64_t i = 0; i < classes; i++)
		h -= p[i] > 0 ? p[i] * log(p[i]) : 0;
	return fmax(h, 0);              /* not the -0 of a sure one */
}

static double log_sum_exp(const float *z, int64_t classes, double b, double *mean, double *square)
{
	double max = -INFINITY, sum = 0;
	*mean = *square = 0;
	for (int64_t i = 0; i < classes; i++)
		max = fmax(max, z[i]);
	for (int64_t i = 0; i < classes; i++) {         /* moments of z - max: small numbers, nothing cancels */
		double d = z[i] - max, e = exp(b * d);
		sum += e;
		*mean += e > 0 ? e * d : 0;
		*square += e > 0 ? e * d * d : 0;
	}
	*mean = *mean / sum;
	*square = *square / sum;
	*mean += max;
	*square -= (*mean - max) * (*mean - max);
	return b * max + log(sum);
}

double ds_energy(const float *z, int64_t classes)
{
	double mean, square;
	return -log_sum_exp(z, classes, 1, &mean, &square);
}

double ds_brier(const float *p, int64_t classes, int64_t label)
{
	double sum = 0;
	for (int64_t i = 0; i < classes; i++) {
		double d = p[i] - (double)(i == label);
		sum += d * d;
	}
	return sum;
}

double ds_nll(const float *p, int64_t classes, int64_t label)
{
	return label < classes ? -log(fmax(p[label], LEAST_P)) : NAN;
}

void ds_log_p(const float *p, int64_t classes, float *z)
{
	for (int64_t i = 0; i < classes; i++)
		z[i] = (float)log(fmax(p[i], LEAST_P));
}

void ds_softmax_at(const float *z, int64_t classes, double t, float *p)
{
	double max = -INFINITY, sum = 0;
	for (int64_t i = 0; i < classes; i++)
		max = fmax(max, z[i]);
	for (int64_t i = 0; i < classes; i++)
		sum += exp((z[i] - max) / t);
	for (int64_t i = 0; i < classes; i++)
		p[i] = (float)(exp((z[i] - max) / t) / sum);
}

/* ---- temperature -------------------------------------------------------------------------------------------------------------- */

/* First and second derivative of the sum of the NLL by b = 1 / t: sums of E z - z[label] and of the variance of z under the softmax. */
static void derivatives(const float *z, const int64_t *label, int64_t n, int64_t classes, double b, double *first, double *second)
{
	*first = *second = 0;
	for (int64_t i = 0; i < n; i++) {
		const float *row = z + i * classes;
		double mean, square;
		log_sum_exp(row, classes, b, &mean, &square);
		*first += mean - row[label[i]];
		*second += square;
	}
}

ds_status ds_temperature_fit(const float *z, const int64_t *label, int64_t n, int64_t classes, double *t, ds_err *err)
{
	double low = 1. / DS_TEMPERATURE_MAX, high = 1 / DS_TEMPERATURE_MIN, b = 1;
	*t = 1;
	for (int64_t i = 0; i < n; i++) {
		if (label[i] < 0 || label[i] >= classes)
			return ds_fail(err, DS_E_INPUT, "label %lld where the model has %lld classes", (long long)label[i], (long long)classes);
		for (int64_t k = 0; k < classes; k++) {
			if (!isfinite(z[i * classes + k]))
				return ds_fail(err, DS_E_INPUT, "sample %lld: the output is not finite", (long long)i);
		}
	}
	double first, second;
	derivatives(z, label, n, classes, high, &first, &second);
	if (n && first <= 0)            /* all items are right: Newton's steps would be small ones for ever */
		b = low = high;
	for (int round = 0; n && low < high && round < 100; round++) {
		derivatives(z, label, n, classes, b, &first, &second);
		if (first > 0)
			high = b;
		else
			low = b;
		double next = second > 0 ? b - first / second : first > 0 ? low : high;
		if (!(next > low && next < high))
			next = sqrt(low * high);
		bool done = first == 0 || fabs(next - b) <= 1e-12 * b;
		b = next;
		if (done)
			break;
	}
	*t = 1 / b;
	return DS_OK;
}

/* ---- calibration error -------------------------------------------------------------------------------------------------------- */

static double gap(const ds_ece_bin *bin, int bins, int64_t n)
{
	double sum = 0;
	for (int i = 0; i < bins; i++)
		sum += fabs((double)bin[i].hits - bin[i].conf);
	return n ? sum / (double)n : NAN;
}

static int bin_of(double conf, int bins)
{
	int k = (int)ceil(conf * bins) - 1;
	return k < 0 ? 0 : k >= bins ? bins - 1 : k;
}

#define BINS_MAX 1000

double ds_ece(const double *conf, const bool *hit, int64_t n, int bins, ds_ece_bin *bin)
{
	ds_ece_bin own[BINS_MAX];
	bins = DS_MIN(bins, BINS_MAX);
	bin = bin ? bin : own;
	for (int i = 0; i < bins; i++)
		bin[i] = (ds_ece_bin){ .low = (double)i / bins, .high = (double)(i + 1) / bins };
	for (int64_t i = 0; i < n; i++) {
		ds_ece_bin *b = &bin[bin_of(conf[i], bins)];
		b->n++;
		b->hits += hit[i];
		b->conf += conf[i];
	}
	return gap(bin, bins, n);
}

/* An item with its place, so that equal confidences have one order. */
typedef struct point { double conf; int64_t at; bool hit; } point;

static int by_conf(const void *a, const void *b)
{
	const point *x = a, *y = b;
	return x->conf != y->conf ? (x->conf > y->conf) - (x->conf < y->conf) : (x->at > y->at) - (x->at < y->at);
}

static point *sorted(const double *conf, const bool *hit, int64_t n)
{
	point *p = ds_calloc((size_t)n, sizeof *p);
	for (int64_t i = 0; p && i < n; i++)
		p[i] = (point){ conf[i], i, hit[i] };
	if (p)
		qsort(p, (size_t)n, sizeof *p, by_conf);
	return p;
}

/* The bins of items in rising order, item i being there times[i] times (NULL: once); n of them altogether. */
static double equal_mass(const point *p, const uint32_t *times, int64_t points, int64_t n, int bins, ds_ece_bin *bin)
{
	int64_t at = 0;
	int k = 0;
	for (int i = 0; i < bins; i++)
		bin[i] = (ds_ece_bin){ 0 };
	for (int64_t i = 0; i < points; i++) {
		for (uint32_t r = times ? times[i] : 1; r; r--, at++) {
			while (k + 1 < bins && at >= n * (k + 1) / bins)
				k++;
			if (!bin[k].n++)
				bin[k].low = p[i].conf;
			bin[k].high = p[i].conf;
			bin[k].hits += p[i].hit;
			bin[k].conf += p[i].conf;
		}
	}
	return gap(bin, bins, n);
}

double ds_ece_adaptive(const double *conf, const bool *hit, int64_t n, int bins, ds_ece_bin *bin)
{
	ds_ece_bin own[BINS_MAX];
	point *p = sorted(conf, hit, n);
	double e = p ? equal_mass(p, NULL, n, n, DS_MIN(bins, BINS_MAX), bin ? bin : own) : NAN;
	ds_free(p);
	return e;
}

static double equal_width(const point *p, const uint32_t *times, int64_t n, int bins, ds_ece_bin *bin)
{
	for (int i = 0; i < bins; i++)
		bin[i] = (ds_ece_bin){ 0 };
	for (int64_t i = 0; i < n; i++) {
		ds_ece_bin *b = &bin[bin_of(p[i].conf, bins)];
		b->hits += p[i].hit ? times[i] : 0;
		b->conf += times[i] * p[i].conf;
	}
	return gap(bin, bins, n);
}

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

ds_status ds_ece_interval(const double *conf, const bool *hit, int64_t n, int bins, bool adaptive, int rounds, uint64_t seed, double *lo, double *hi, ds_err *err)
{
	ds_ece_bin bin[BINS_MAX];
	*lo = *hi = NAN;
	if (!n || rounds < 40)
		return DS_OK;
	bins = DS_MIN(bins, BINS_MAX);
	double e = adaptive ? ds_ece_adaptive(conf, hit, n, bins, NULL) : ds_ece(conf, hit, n, bins, NULL);
	point *p = sorted(conf, hit, n);
	uint32_t *times = ds_calloc((size_t)n, sizeof *times);
	double *v = ds_calloc((size_t)rounds, sizeof *v);
	ds_status rc = p && times && v && !isnan(e) ? DS_OK : ds_fail_nomem(err, (size_t)n * sizeof *p);
	for (int r = 0; rc == DS_OK && r < rounds; r++) {
		ds_rng rng = ds_rng_init(seed, (uint64_t)r);
		for (int64_t i = 0; i < n; i++)
			times[i] = 0;
		for (int64_t i = 0; i < n; i++)
			times[ds_rng_below(&rng, (uint64_t)n)]++;
		v[r] = adaptive ? equal_mass(p, times, n, n, bins, bin) : equal_width(p, times, n, bins, bin);
	}
	if (rc == DS_OK) {
		int cut = rounds / 40;          /* 2.5 % */
		qsort(v, (size_t)rounds, sizeof *v, rising);
		*lo = fmax(0, 2 * e - v[rounds - 1 - cut]);
		*hi = fmax(e, 2 * e - v[cut]);
	}
	ds_free(p);
	ds_free(times);
	ds_free(v);
	return rc;
}

double ds_normal_interval(const double *v, int64_t n, double *lo, double *hi)
{
	double mean = 0, square = 0;
	*lo = *hi = NAN;
	if (!n)
		return NAN;
	for (int64_t i = 0; i < n; i++)
		mean += v[i];
	mean /= (double)n;
	for (int64_t i = 0; i < n; i++)
		square += (v[i] - mean) * (v[i] - mean);
	if (n > 1) {
		double half = Z95 * sqrt(square / (double)(n - 1) / (double)n);
		*lo = mean - half;
		*hi = mean + half;
	}
	return mean;
}
