/* faithful.h - is a map true: how the model's answer falls when what the map names is taken away, and rises when it is put back, against chance
 *
 * Deletion and insertion curves (Petsiuk, Das & Saenko 2018), over patches instead of pixels, with the same blank for both.  Deletion blanks the patches one after
 * another from the most relevant on; insertion begins with the blank and puts them back in the same order.  What is measured is the area under the probability of one
 * class, over the share of patches from 0 to 1, by trapezia: low for the deletion of a true map, high for its insertion.  The control is the same with K random orders.
 * A random order backwards is a random order too, and inserting by the one shows the same samples as deleting by the other: one curve and one area for both. */
#ifndef DS_EXPLAIN_FAITHFUL_H
#define DS_EXPLAIN_FAITHFUL_H

#include "explain.h"

/* p[i] = the probability of the class that is explained, for n samples one after another in x.  n is at most the batch below; the caller's arg knows the class. */
typedef ds_status (*ds_score_fn)(void *arg, const float *x, int64_t n, double *p, ds_err *err);

typedef struct ds_faith_opts {
	ds_plane plane;
	int64_t  grid;          /* so many square patches lie along the longer side; 0: 7, of a plane with h = 1 49 */
	int      orders;        /* random ones, 0: no control */
	int64_t  steps;         /* points of a curve after its first; 0: one for each patch, at most 100 */
	int64_t  batch;         /* samples scored together, 1 or more */
	uint64_t seed;          /* of this sample: the random orders, and the order of patches that are equally relevant */
} ds_faith_opts;

typedef struct ds_faith {
	int64_t patches, steps;
	double *deletion, *insertion;                   /* steps + 1 probabilities each, from 0 to all patches */
	double *random;                                 /* deletion in random orders, their mean (backwards: insertion); NULL without them */
	double  deletion_auc, insertion_auc, random_auc;        /* the last NaN without orders */
	double  whole, blank;                           /* the probability of the sample and of nothing */
} ds_faith;
/* x: the sample, channels * h * w values as the plane says; blank: what stands where a patch is taken away, as many.  map: h * w values, the larger the more
 * relevant; a patch counts with the sum of its values.  DS_E_INPUT: fewer than two patches. */
ds_status ds_faithful(ds_faith *out, const ds_faith_opts *o, const float *x, const float *blank, const float *map, ds_score_fn score, void *arg, ds_err *err);
void      ds_faith_done(ds_faith *f);

#endif
