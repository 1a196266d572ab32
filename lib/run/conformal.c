/* conformal.c - split conformal prediction: scores of classes, quantiles of scores */
#include "uncertain.h"
#include "../base/rng.h"

#include <math.h>
#include <stdlib.h>

const char *const ds_set_names[] = { "lac", "aps", "raps", NULL };

ds_set_rule ds_set_rule_for(ds_set_score score, int64_t classes)
{
	int64_t k = classes / 20;
	return (ds_set_rule){ score, 0.1, k < 1 ? 1 : k > 5 ? 5 : k };
}

/* Heap sort by falling probability, ties by number: needs no memory and no global for the comparison. */
static bool later(const float *p, int64_t a, int64_t b)
{
	return p[a] < p[b] || (p[a] == p[b] && a > b);
}

static void sink(const float *p, int64_t *o, int64_t at, int64_t n)
{
	for (int64_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && later(p, o[child + 1], o[child]))
			child++;
		if (!later(p, o[child], o[at]))
			return;
		int64_t t = o[child];
		o[child] = o[at];
		o[at] = t;
	}
}

static void order_classes(const float *p, int64_t n, int64_t *o)
{
	for (int64_t i = 0; i < n; i++)
		o[i] = i;
	for (int64_t i = n / 2; i-- > 0;)
		sink(p, o, i, n);
	for (int64_t end = n - 1; end > 0; end--) {
		int64_t t = o[0];
		o[0] = o[end];
		o[end] = t;
		sink(p, o, 0, end);
	}
}

void ds_set_scores(const ds_set_rule *r, const float *p, int64_t classes, int64_t *order, double *score)
{
	double before = 0, u = (double)(ds_hash64(p, (size_t)classes * sizeof *p, 0) >> 11) * 0x1p-53;
	order_classes(p, classes, order);
	for (int64_t rank = 0; rank < classes; rank++) {
		int64_t y = order[rank];
		if (r->score == DS_SET_LAC) {
			score[y] = 1 - (double)p[y];
			continue;
		}
		score[y] = before + u * p[y];
		if (r->score == DS_SET_RAPS && rank + 1 > r->k)
			score[y] += r->lambda * (double)(rank + 1 - r->k);
		before += p[y];
	}
}

double ds_conformal_quantile(const double *rising, int64_t n, double alpha)
{
	/* n + 1 - floor((n + 1) alpha), in which a product such as 10 * 0.3 that is a whole number stays one */
	int64_t l = (int64_t)floor((double)(n + 1) * alpha * (1 + 1e-12)), k = n + 1 - l;
	if (k < 1)
		return -INFINITY;
	return k > n ? INFINITY : rising[k - 1];
}

void ds_coverage_range(int64_t n, int64_t m, double alpha, double *lo, double *hi)
{
	double l = floor((double)(n + 1) * alpha * (1 + 1e-12)), mean = ((double)(n + 1) - l) / (double)(n + 1), beta = mean * (1 - mean) / (double)(n + 2);
	double half = 1.959963984540054 * sqrt(beta + (mean * (1 - mean) - beta) / (double)m);
	*lo = m ? fmax(0, mean - half) : 0;
	*hi = m ? fmin(1, mean + half) : 1;
}

double ds_alpha_at(int i)
{
	static const double small[] = { 0.001, 0.002, 0.005 };
	return i < 3 ? small[i] : (i - 2) / 100.;
}

int ds_alpha_index(double alpha)
{
	int i = -1;
	while (i + 1 < DS_ALPHAS && ds_alpha_at(i + 1) <= alpha)
		i++;
	return i;
}

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void ds_conformal_table(double *score, int64_t n, double q[DS_ALPHAS])
{
	qsort(score, (size_t)n, sizeof *score, rising);
	for (int i = 0; i < DS_ALPHAS; i++)
		q[i] = ds_conformal_quantile(score, n, ds_alpha_at(i));
}
