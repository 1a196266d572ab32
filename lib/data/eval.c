/* eval.c - the figures of an evaluation: intervals, paired tests, best classes */
#include "data.h"

#include <math.h>

#define Z95 1.959963984540054           /* 97.5 % point of the normal distribution */

void ds_wilson(uint64_t k, uint64_t n, double *lo, double *hi)
{
	*lo = 0;
	*hi = 1;
	if (!n)
		return;
	double p = (double)k / n, z2 = Z95 * Z95 / n, centre = (p + z2 / 2) / (1 + z2);
	double half = Z95 * sqrt(p * (1 - p) / n + z2 / (4.0 * n)) / (1 + z2);
	*lo = k ? fmax(0, centre - half) : 0;
	*hi = k < n ? fmin(1, centre + half) : 1;
}

/* Under the null hypothesis b is binomial(b + c, 1/2).  Terms are summed from the tail in falling size, scaled by the largest. */
double ds_mcnemar(uint64_t b, uint64_t c)
{
	uint64_t n = b + c, k = DS_MIN(b, c);
	if (b == c)
		return 1;
	double first = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * log(2.0), sum = 0, term = 1;
	for (uint64_t i = k;; i--) {
		sum += term;
		if (!i || term < sum * 1e-17)
			break;
		term *= (double)i / (n - i + 1);
	}
	return fmin(1, 2 * exp(first) * sum);
}

void ds_paired_diff(uint64_t b, uint64_t c, uint64_t n, double *lo, double *hi)
{
	*lo = -1;
	*hi = 1;
	if (!n)
		return;
	double nb = b + 0.5, nc = c + 0.5, nn = n + 2.0;       /* four cells of half an item each */
	double d = (nb - nc) / nn, half = Z95 * sqrt(nb + nc - (nb - nc) * (nb - nc) / nn) / nn;
	*lo = fmax(-1, d - half);
	*hi = fmin(1, d + half);
}

static bool before(const float *v, int64_t a, int64_t b)       /* should a stand before b? */
{
	if (isnan(v[a]) || isnan(v[b]))
		return isnan(v[a]) ? isnan(v[b]) && a < b : true;
	return v[a] > v[b] || (v[a] == v[b] && a < b);
}

void ds_top_k(const float *v, int64_t n, int k, int64_t *index)
{
	int have = 0;
	for (int64_t i = 0; i < n; i++) {
		if (have == k && !before(v, i, index[k - 1]))
			continue;
		int at = have < k ? have++ : k - 1;
		for (; at && before(v, i, index[at - 1]); at--)
			index[at] = index[at - 1];
		index[at] = i;
	}
}

void ds_softmax(const float *v, int64_t n, float *p)
{
	float max = -INFINITY;
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)v[i] - max);
	for (int64_t i = 0; i < n; i++)
		p[i] = (float)(exp((double)v[i] - max) / sum);
}
