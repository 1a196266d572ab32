/* batch.h - items merged along dim 0 into batches */
#ifndef DS_DATA_BATCH_H
#define DS_DATA_BATCH_H

#include "data.h"

/* Can items be merged: does an open dim 0 of every input count samples?  (Models with a fixed batch run item by item; the samples of an input of rank 1 are
 * whole arrays.)  Whether they then stay apart inside, ds_graph_items_apart tells. */
bool      ds_batch_possible(const ds_model *m);
typedef struct ds_batch {
	ds_tensor *in;  int n_in;       /* [items, ...] each; owned by the batch */
	int64_t    items, cap;
	void      *priv;
} ds_batch;

/* Fill b with up to `max` items whose types agree (an item of another type waits for the next call).  Bad items are given to `bad` (may be NULL: they are
 * skipped) and do not count.  DS_END when there is nothing left. */
ds_status ds_batch_next(ds_batch *b, ds_samples *s, int64_t max, void (*bad)(void *arg, const ds_item *item, const ds_err *err), void *arg, ds_err *err);
void      ds_batch_done(ds_batch *b);

#endif
