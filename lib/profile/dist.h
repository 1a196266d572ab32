/* dist.h - a distribution of durations: any number of them in bounded memory, percentiles with the intervals that the data allow
 *
 * Up to DS_DIST_RAW values are kept as they came; when there are more, a logarithmic histogram takes all of them and percentiles are read from it, at most 0.2 % off. */
#ifndef DS_PROFILE_DIST_H
#define DS_PROFILE_DIST_H

#include "../base/mem.h"

enum { DS_DIST_RAW = 1 << 20 };

typedef struct ds_dist {
	double   *raw;                  /* the first values in the order they came */
	size_t    n_raw, cap;
	uint64_t *bin;                  /* NULL while all values are raw */
	uint64_t  n;
	double    sum, min, max;
} ds_dist;

typedef struct ds_quantile {
	double   p, value;              /* the p-quantile: the value of rank ceil(p n); NaN when there are no values */
	double   lo, hi;                /* 95 % interval from order statistics; hi is INFINITY, lo 0, when the values are too few to bound it */
	double   inflation;             /* by what the variance is larger than that of independent values, 1 or more */
} ds_quantile;

/* v: finite, not negative, else DS_E_INTERNAL.  DS_E_NOMEM. */
ds_status ds_dist_add(ds_dist *d, double v, ds_err *err);
/* Fill value, lo, hi, inflation of q[0..n) from its p (0 < p < 1).
 *
 * The interval is the one without assumptions: the number of values below the true quantile is binomial, so two order statistics enclose it.  Values that follow each other
 * in a queue are not independent; the variance of the share above the quantile in up to 32 stretches of time, compared with the binomial one, says how many
 * independent values they are worth (batch means; Law & Kelton, Simulation Modeling and Analysis, ch. 9). */
ds_status ds_dist_quantiles(const ds_dist *d, ds_quantile *q, int n, ds_err *err);
/* Mean with its 95 % interval by the same stretches (Student's t); NaN without values, an interval of NaN with fewer than 8. */
void      ds_dist_mean(const ds_dist *d, double *mean, double *lo, double *hi);
/* How many independent values it takes until the p-quantile has an upper bound at 95 %. */
int64_t   ds_dist_needed(double p);
void      ds_dist_done(ds_dist *d);

/* Ranks (1-based) of n independent values that enclose the p-quantile with 95 %: *lo 0 and *hi n+1 mean that there is no such value. */
void      ds_dist_ranks(uint64_t n, double p, uint64_t *lo, uint64_t *hi);

#endif
