/* chanstat.h - sums per channel over batch and positions, and maps with one constant per channel, for both layouts
 *
 * The positions of a tensor [N, C, spatial...] count image by image; they are cut into pieces by shape.  Each piece is one f64 chain per channel in ascending order and the
 * pieces are added in their order, so that layout and threads change no bit. */
#ifndef DS_OP_CHANSTAT_H
#define DS_OP_CHANSTAT_H

#include "nn.h"
#include "../kernel/kernel.h"

typedef struct ds_chan { int64_t batch, channels, inner; bool last; } ds_chan;

/* rank 1: one channel; rank 2 lies as channels-last. */
ds_chan ds_chan_of(const ds_type *t, ds_layout layout);
/* Bytes for ds_chan_sums. */
size_t  ds_chan_scratch(const ds_type *t);
/* k->what SUM, MOMENTS or GRAD over k->x (and dy): totals in sum[0 .. C) and sum[C .. 2C), which lie at the beginning of the scratch. */
void    ds_chan_sums(ds_pool *pool, const ds_chan *c, const ds_k_norm *k, double *scratch);
/* k->what APPLY or BACK from k->x (and dy) to k->y. */
void    ds_chan_map(ds_pool *pool, const ds_chan *c, const ds_k_norm *k);

#endif
