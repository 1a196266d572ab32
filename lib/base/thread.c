/* thread.c - a fixed pool of workers that share out numbered tasks
 *
 * One job at a time.  Workers take task numbers from an atomic counter; the caller works too.  A worker that finds no job spins for a short
 * while before it sleeps, because the layers of a network follow each other within microseconds. */
#include "thread.h"
#include "mem.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ds_pool {
	int              n;              /* threads, the caller among them */
	pthread_t       *thread;
	struct worker   *worker;
	pthread_mutex_t  lock;
	pthread_cond_t   wake;
	atomic_uint      epoch;          /* number of the job; changes when one is ready */
	atomic_int       left;           /* helpers that have not finished the job */
	atomic_int       next;           /* next task */
	int              tasks;
	atomic_bool      stop;
	int              sleeping;       /* under lock */
	void           (*fn)(void *arg, int task, int worker);
	void            *arg;
};
struct worker { ds_pool *pool; int id; };

enum { SPINS = 4000 };

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void work(ds_pool *p, int id)
{
	int t;
	while ((t = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->tasks)
		p->fn(p->arg, t, id);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	ds_pool *p = w->pool;
	unsigned seen = 0;
	for (;;) {
		for (int i = 0; i < SPINS && atomic_load_explicit(&p->epoch, memory_order_acquire) == seen; i++)
			relax();
		if (atomic_load_explicit(&p->epoch, memory_order_acquire) == seen) {
			pthread_mutex_lock(&p->lock);
			p->sleeping++;
			while (atomic_load_explicit(&p->epoch, memory_order_acquire) == seen)
				pthread_cond_wait(&p->wake, &p->lock);
			p->sleeping--;
			pthread_mutex_unlock(&p->lock);
		}
		seen = atomic_load_explicit(&p->epoch, memory_order_acquire);
		if (atomic_load(&p->stop))
			return NULL;
		work(p, w->id);
		atomic_fetch_sub_explicit(&p->left, 1, memory_order_release);
	}
}

/* The cgroup's quota in processors (version 2, then 1), or INT_MAX. */
static int quota(void)
{
	long long q = -1, period = 100000;
	char word[32];
	FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
	if (f) {
		if (fscanf(f, "%31s %lld", word, &period) == 2 && strcmp(word, "max") != 0 && sscanf(word, "%lld", &q) != 1)
			q = -1;
		fclose(f);
	} else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"))) {
		if (fscanf(f, "%lld", &q) != 1)
			q = -1;
		fclose(f);
		if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re"))) {
			if (fscanf(f, "%lld", &period) != 1)
				period = 100000;
			fclose(f);
		}
	}
	if (q <= 0 || period <= 0)
		return INT_MAX;
	long long n = (q + period - 1) / period;
	return n < 1 ? 1 : n > INT_MAX ? INT_MAX : (int)n;
}

int ds_cpu_count(void)
{
	int n;
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	n = DS_MIN(n, quota());
	return DS_MAX(n, 1);
}

ds_pool *ds_pool_new(int n)
{
	if (n <= 0)
		n = ds_cpu_count();
	n = DS_MIN(n, 1024);
	ds_pool *p = ds_calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->thread = ds_calloc((size_t)n, sizeof *p->thread);
	p->worker = ds_calloc((size_t)n, sizeof *p->worker);
	if (!p->thread || !p->worker) {
		ds_free(p->thread);
		ds_free(p->worker);
		ds_free(p);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->n = 1;
	for (int i = 1; i < n; i++) {
		p->worker[i] = (struct worker){ p, i };
		if (pthread_create(&p->thread[i], NULL, worker_main, &p->worker[i]) != 0)
			break;          /* fewer threads, the same result */
		p->n++;
	}
	return p;
}

static void announce(ds_pool *p)
{
	atomic_fetch_add_explicit(&p->epoch, 1, memory_order_release);
	pthread_mutex_lock(&p->lock);
	if (p->sleeping)
		pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void ds_pool_free(ds_pool *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	announce(p);
	for (int i = 1; i < p->n; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	ds_free(p->thread);
	ds_free(p->worker);
	ds_free(p);
}

int ds_pool_threads(const ds_pool *p)
{
	return p ? p->n : 1;
}

void ds_pool_run(ds_pool *p, int n, void (*fn)(void *arg, int task, int worker), void *arg)
{
	if (!p || p->n == 1 || n <= 1) {
		for (int i = 0; i < n; i++)
			fn(arg, i, 0);
		return;
	}
	p->fn = fn;
	p->arg = arg;
	p->tasks = n;
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	atomic_store_explicit(&p->left, p->n - 1, memory_order_relaxed);
	announce(p);
	work(p, 0);
	for (int i = 0; atomic_load_explicit(&p->left, memory_order_acquire) > 0; i++) {
		if (i < SPINS)
			relax();
		else
			sched_yield();
	}
}
