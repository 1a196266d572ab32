/* trainset.h - samples made into training batches: kept in memory, shuffled in every epoch, changed at random, gathered ahead of their use
 *
 * All samples are read once when the set is opened, which is when bad ones are told.  They stay in memory in a compact form (a byte per value where an input has 256
 * different values or fewer per channel, as pictures do) unless they are windows that the iterator can find again by itself.  Sets that do not fit are read again in
 * every epoch and shuffled through a window of the size that fits.  The order of samples and what happens to each follow from (seed, epoch, number of the
 * sample) alone.  The last samples of an epoch that do not fill a batch are left out; which ones, changes with the epoch. */
#ifndef DS_TRAINSET_H
#define DS_TRAINSET_H

#include "augment.h"
#include "data.h"

typedef enum ds_goal {                  /* what a batch's target is made of */
	DS_GOAL_NONE,
	DS_GOAL_CLASS,                  /* the label, i64 [N] (f32 [N, classes] with mixup); or where items bring i64 targets, those: [N, ...] */
	DS_GOAL_VALUES,                 /* f32 of the output's dims: what items bring; else the label as a number or, where the output has several values, as 1 among 0s */
	DS_GOAL_INPUT,                  /* f32 of the output's dims: the first input as it is before noise */
	DS_GOAL_TOKENS,                 /* i64 [N, ...] that items bring */
	DS_GOAL_AUTO,                   /* VALUES where the first sample brings numbers, else CLASS */
} ds_goal;

typedef struct ds_trainset_opts {
	ds_goal     goal;
	int64_t     classes;            /* labels and i64 targets must be below it; 0: not known */
	ds_type     output;             /* the model's output 0: dims of values, dim 0 is the batch; rank -1: not known */
	ds_augment  augment;
	bool        channels_last;      /* layout of pictures in input 0 */
	uint64_t    seed;
	int64_t     batch;              /* made smaller when there are fewer samples */
	double      holdout;            /* share of the samples that is kept apart, chosen by the seed; 1: all */
	uint64_t    memory;             /* bytes that samples may take, 0: any */
	/* A sample that cannot be used, in the pass at the start only. */
	void      (*bad)(void *arg, const ds_item *item, const ds_err *err);
	void       *bad_arg;
} ds_trainset_opts;

typedef struct ds_minibatch {
	ds_tensor *in; int n_in;        /* [n, ...] each */
	ds_tensor  target;              /* empty: none */
	int64_t    n;
	int64_t   *number;              /* of each item in input order, bad ones counted */
	int64_t   *label;               /* -1: none */
} ds_minibatch;

typedef struct ds_trainset ds_trainset;
/* Reads everything.  The samples are the set's from now on (freed with it, in every case).  DS_E_INPUT: no sample is left. */
ds_status ds_trainset_open(ds_trainset **t, ds_samples *s, const ds_trainset_opts *o, ds_err *err);
void      ds_trainset_free(ds_trainset *t);

int64_t   ds_trainset_batch(const ds_trainset *t);      /* items of a batch */
int64_t   ds_trainset_batches(const ds_trainset *t);    /* of an epoch */
int64_t   ds_trainset_items(const ds_trainset *t);      /* for training; held: kept apart; bad: told at the start */
int64_t   ds_trainset_held(const ds_trainset *t);
int64_t   ds_trainset_bad(const ds_trainset *t);
uint64_t  ds_trainset_bytes(const ds_trainset *t);      /* memory that samples take */
int64_t   ds_trainset_window(const ds_trainset *t);     /* samples of the shuffle window, 0: everything is in memory */
ds_goal   ds_trainset_goal(const ds_trainset *t);       /* never AUTO */
/* Are class targets probabilities (mixup)? */
bool      ds_trainset_soft(const ds_trainset *t);
/* Items by class (opts.classes numbers), NULL without classes or labels. */
const int64_t *ds_trainset_counts(const ds_trainset *t);
/* SHA-256 over the content of all samples and how many bytes that were (history). */
void      ds_trainset_sum(const ds_trainset *t, char hex[65], uint64_t *n);

/* Go to batch `batch` of epoch `epoch`, both from 0. */
ds_status ds_trainset_start(ds_trainset *t, int64_t epoch, int64_t batch, ds_err *err);
/* The next batch, valid until the next call; DS_END after the last of the epoch. */
ds_status ds_trainset_next(ds_trainset *t, const ds_minibatch **b, ds_err *err);
/* Up to n of the items kept apart, from number `from` of them on, in input order and without random changes.  b is filled anew; free with ds_minibatch_done. */
ds_status ds_trainset_gather_held(ds_trainset *t, int64_t from, int64_t n, ds_minibatch *b, ds_err *err);
void      ds_minibatch_done(ds_minibatch *b);

#endif
