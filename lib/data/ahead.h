/* ahead.h - files loaded ahead of their use, on threads, in bounded number */
#ifndef DS_DATA_AHEAD_H
#define DS_DATA_AHEAD_H

#include "local.h"

typedef struct ds_ahead ds_ahead;

/* list and ld stay the caller's and must not change.  threads 1, or no thread to be had: files are loaded when they are asked for. */
ds_status ds_ahead_new(ds_ahead **a, const ds_list *list, const ds_loader *ld, int threads, ds_err *err);
/* File i, for i = 0, 1, 2, ... in turn; the caller owns *l. */
ds_status ds_ahead_get(ds_ahead *a, size_t i, ds_loaded *l, ds_err *err);
/* Start again at file 0. */
void      ds_ahead_reset(ds_ahead *a);
void      ds_ahead_free(ds_ahead *a);

#endif
