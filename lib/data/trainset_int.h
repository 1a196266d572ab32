/* trainset_int.h - what the two halves of the training set share: samples in memory, batches made of them */
#ifndef DS_TRAINSET_INT_H
#define DS_TRAINSET_INT_H

#include "stock.h"
#include "trainset.h"

#include <pthread.h>

#define AHEAD 3         /* batches in the ring: one in use, one ready, one being made */

/* What random numbers are for: streams of the seed. */
enum { FOR_HOLDOUT = 101, FOR_ORDER, FOR_ITEM, FOR_MIX, FOR_WINDOW };

typedef struct slot { ds_minibatch b; ds_status rc; ds_err err; } slot;

struct ds_trainset {
	ds_samples      *src;
	ds_trainset_opts o;
	ds_aug_shape     shape;
	/* samples in memory, by position: all of them, or (streamed) those kept apart and behind them the window */
	int              n_in;
	ds_stock        *in, target;
	bool             has_target;    /* items bring one */
	int64_t         *label, *number;
	size_t           n, cap_label, cap_number;
	int64_t         *train, *held;  /* positions */
	size_t           n_train, n_held, cap_train, cap_held;
	int64_t          bad;
	int64_t         *counts;        /* by class */
	ds_sha256        sum;
	uint64_t         summed;
	/* windows: the source finds them again, nothing is kept in `in` and `target` but what they are like */
	bool             seeks;
	int64_t          last_row;      /* of the window before, -1: none */
	pthread_mutex_t  source;        /* src, which the thread and ds_trainset_gather_held both ask */
	/* streamed */
	int64_t          window;        /* samples, 0: all are in memory */
	int64_t          items;         /* for training */
	/* an epoch */
	int64_t          epoch, batch;  /* the batch that is made next */
	int64_t         *order;         /* positions of the epoch */
	int64_t          drawn, filled; /* streamed: samples drawn so far, samples in the window */
	bool             dry;           /* streamed: nothing left to read */
	float           *tmp, *mix;     /* a sample; the first input of a batch */
	slot             ring[AHEAD];
	int64_t          head, tail;    /* batches taken, batches made */
	bool             stop, threaded;
	bool             finished;      /* the thread makes no more */
	bool             lent;          /* the consumer has batch `head` */
	pthread_t        thread;
	pthread_mutex_t  lock;
	pthread_cond_t   changed;
};

/* trainset.c: the next sample that is good; number: of it.  For streaming, where bad samples have been told before. */
ds_status ds_trainset_read(ds_trainset *t, ds_item *item, bool tell, ds_err *err);
bool      ds_trainset_is_held(const ds_trainset *t, uint64_t number);

#endif
