/* walk.h - walking several strided arrays of one shape together
 *
 * A walk is a shape with the strides of up to DS_WALK_MAX arrays, its axes merged wherever all arrays allow it.  The elements in order of the axes are
 * numbered; any range of numbers can be walked alone, so tasks are ranges of fixed size and the split depends on the shape only. */
#ifndef DS_OP_WALK_H
#define DS_OP_WALK_H

#include "../graph/op.h"

#define DS_WALK_MAX   4
#define DS_WALK_BLOCK 16384     /* elements per task */

typedef struct ds_walk {
	int     rank, n;                /* rank >= 1 after ds_walk_merge */
	int64_t dim[DS_MAX_RANK];
	int64_t stride[DS_WALK_MAX][DS_MAX_RANK];
	int64_t total;
} ds_walk;

typedef struct ds_walk_at {
	int64_t at[DS_MAX_RANK];
	int64_t off[DS_WALK_MAX];       /* element offsets of the current position */
	int64_t left;                   /* elements of the range not walked yet */
} ds_walk_at;

/* Axis d in order of memory of a tensor is axis ds_walk_axis(t, d) of its dims. */
static inline int ds_walk_axis(const ds_tensor *t, int d)
{
	if (t->layout != DS_CHANNELS_LAST || t->rank < 3 || d == 0)
		return d;
	return d == t->rank - 1 ? 1 : d + 1;
}

/* Drop axes of extent 1 and merge neighbours; sets total. */
void ds_walk_merge(ds_walk *w);
/* Number of tasks of DS_WALK_BLOCK elements; 0 for an empty shape. */
int  ds_walk_tasks(const ds_walk *w);
/* Start the range of a task. */
void ds_walk_start(const ds_walk *w, int task, ds_walk_at *p);
/* The elements that can be walked along the last axis from here; 0 at the end. */
static inline int64_t ds_walk_run(const ds_walk *w, const ds_walk_at *p)
{
	return DS_MIN(w->dim[w->rank - 1] - p->at[w->rank - 1], p->left);
}
/* Go on by `n` elements, n being what ds_walk_run said. */
void ds_walk_next(const ds_walk *w, ds_walk_at *p, int64_t n);

#endif
