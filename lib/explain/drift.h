/* drift.h - how alike two maps of the same sample are: by rank, by what is foremost in them, by structure; the mean over samples and its interval */
#ifndef DS_EXPLAIN_DRIFT_H
#define DS_EXPLAIN_DRIFT_H

#include "../base/status.h"

/* Maps are n values in any order of positions, the same in both; a larger value is more relevance.  NaN counts as 0, infinities as the largest finite numbers. */

/* Spearman's rank correlation, ties with their mean rank.  A constant map ranks nothing: 0 against any other, 1 against another constant one. */
ds_status ds_map_rank(const float *a, const float *b, int64_t n, double *rho, ds_err *err);
/* The share of the positions that are foremost in both, of those that are foremost in a: the ceil(share * n) largest values, ties by position.
 * 1: the same positions; two maps by chance: `share`.  0 < share <= 1. */
ds_status ds_map_overlap(const float *a, const float *b, int64_t n, double share, double *overlap, ds_err *err);
/* Structural similarity (Wang, Bovik, Sheikh & Simoncelli 2004) of two maps of h x w, each first stretched to 0 .. 1 (a constant one is 0): Gaussian windows of
 * 11 x 11, sigma 1.5, cut at the border; K1 = .01, K2 = .03; the mean over all positions. */
ds_status ds_map_ssim(const float *a, const float *b, int64_t h, int64_t w, double *ssim, ds_err *err);

/* The mean of v and its 95 % interval: percentiles of 2,000 means of n values drawn anew (Efron 1979).  With n = 1 the interval is the value, with 0 all is NaN. */
ds_status ds_mean_interval(const double *v, int64_t n, uint64_t seed, double *mean, double *lo, double *hi, ds_err *err);

#endif
