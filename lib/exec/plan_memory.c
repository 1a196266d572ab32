/* plan_memory.c - offsets for everything that lives during a run
 *
 * Storages have lifetimes [first, last] in steps.  Largest first, each is put at the lowest offset where it overlaps no storage that is alive at the same
 * time (greedy by size; Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). */
#include "plan.h"

#include <stdlib.h>

typedef struct order { int slot; size_t bytes; } order;

static int by_size(const void *a, const void *b)
{
	const order *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->slot - y->slot;
}

static int by_offset(const void *a, const void *b)
{
	const order *x = a, *y = b;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

ds_status ds_plan_memory(ds_plan *p, bool reuse, ds_err *err)
{
	enum { SLACK = 64 };    /* vector kernels may read past the end of a row */
	int n = 0;
	order *list = ds_calloc((size_t)p->n_slot + 1, sizeof *list), *near = ds_calloc((size_t)p->n_slot + 1, sizeof *near);
	if (!list || !near) {
		ds_free(list);
		ds_free(near);
		return ds_fail_nomem(err, 0);
	}
	for (int i = 0; i < p->n_slot; i++)
		if (p->slot[i].where == DS_AT_ARENA && p->slot[i].storage == i)
			list[n++] = (order){ i, ds_pad64(p->slot[i].bytes + SLACK) };
	qsort(list, (size_t)n, sizeof *list, by_size);
	size_t top = 0;
	for (int i = 0; i < n; i++) {
		ds_slot *s = &p->slot[list[i].slot];
		size_t at = 0;
		if (!reuse) {
			at = top;
		} else {
			int m = 0;
			for (int k = 0; k < i; k++) {
				const ds_slot *o = &p->slot[list[k].slot];
				if (o->first <= s->last && s->first <= o->last)
					near[m++] = (order){ k, o->offset };
			}
			qsort(near, (size_t)m, sizeof *near, by_offset);
			for (int k = 0; k < m; k++) {
				if (near[k].bytes >= at + list[i].bytes)
					break;
				at = DS_MAX(at, near[k].bytes + list[near[k].slot].bytes);
			}
		}
		s->offset = at;
		s->room = list[i].bytes;
		top = DS_MAX(top, at + list[i].bytes);
		p->naive_bytes += list[i].bytes;
	}
	p->block_bytes = top;
	ds_free(list);
	ds_free(near);
	return DS_OK;
}
