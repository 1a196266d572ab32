/* batch.h - items merged along dim 0 into batches */
#ifndef DS_DATA_BATCH_H
#define DS_DATA_BATCH_H

#include "data.h"

/* May the items of this model be computed together: is dim 0 of every input open?  (Models with a fixed batch run item by item.) */
bool      ds_batch_possible(const ds_model *m);
/* How many when nobody said: about 8 MiB of input, 1 to 64. */
int64_t   ds_batch_default(const ds_model *m, const ds_item *first);

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
