/* walk.c - walking several strided arrays of one shape together */
#include "walk.h"

void ds_walk_merge(ds_walk *w)
{
	int r = 0;

	w->total = 1;
	for (int d = 0; d < w->rank; d++) {
		bool join = r > 0;

		w->total *= w->dim[d];
		if (w->dim[d] == 1)
			continue;
		for (int i = 0; join && i < w->n; i++)
			join = w->stride[i][r - 1] == w->stride[i][d] * w->dim[d];
		if (join) {
			w->dim[r - 1] *= w->dim[d];
		} else {
			w->dim[r++] = w->dim[d];
		}
		for (int i = 0; i < w->n; i++)
			w->stride[i][r - 1] = w->stride[i][d];
	}
	if (r == 0) {
		w->dim[r++] = 1;
		for (int i = 0; i < w->n; i++)
			w->stride[i][0] = 1;
	}
	w->rank = r;
}

int ds_walk_tasks(const ds_walk *w)
{
	return (int)DS_MIN((w->total + DS_WALK_BLOCK - 1) / DS_WALK_BLOCK, INT32_MAX);
}

void ds_walk_start(const ds_walk *w, int task, ds_walk_at *p)
{
	int64_t first = (int64_t)task * DS_WALK_BLOCK;
	int64_t rest = first;

	p->left = DS_MIN(w->total - first, DS_WALK_BLOCK);
	for (int i = 0; i < w->n; i++)
		p->off[i] = 0;
	for (int d = w->rank - 1; d >= 0; d--) {
		p->at[d] = rest % w->dim[d];
		rest /= w->dim[d];
		for (int i = 0; i < w->n; i++)
			p->off[i] += p->at[d] * w->stride[i][d];
	}
}

void ds_walk_next(const ds_walk *w, ds_walk_at *p, int64_t n)
{
	int d = w->rank - 1;

	p->left -= n;
	p->at[d] += n;
	for (int i = 0; i < w->n; i++)
		p->off[i] += n * w->stride[i][d];
	for (; d > 0 && p->at[d] == w->dim[d]; d--) {
		p->at[d] = 0;
		p->at[d - 1]++;
		for (int i = 0; i < w->n; i++)
			p->off[i] += w->stride[i][d - 1] - w->dim[d] * w->stride[i][d];
	}
}
