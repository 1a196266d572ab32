/* thread.h - a fixed pool of workers that share out numbered tasks */
#ifndef DS_BASE_THREAD_H
#define DS_BASE_THREAD_H

#include "status.h"

typedef struct ds_pool ds_pool;

/* n threads in all, the caller among them; n == 0: as many as the affinity mask and the cgroup's quota allow.  If threads cannot be
 * created the pool has fewer.  NULL: no memory. */
ds_pool *ds_pool_new(int n);
void     ds_pool_free(ds_pool *p);             /* NULL is allowed, and means one thread everywhere */
int      ds_pool_threads(const ds_pool *p);
int      ds_cpu_count(void);                   /* what n == 0 means */

/* Call fn(arg, task, worker) for task 0 .. n-1, each once, in any order, on any worker (0 <= worker < threads); returns when all are done.
 * The caller's split into tasks depends on the shape of the work only, never on the number of threads.  Calls do not nest. */
void     ds_pool_run(ds_pool *p, int n, void (*fn)(void *arg, int task, int worker), void *arg);

#endif
