/* ahead.c - loading ahead: workers take the next file number while the window of slots has room
 *
 * Slot i % n_slot belongs to file i.  `taken` is the next file that a worker will load, `head` the next that the consumer wants; taken never
 * exceeds head + n_slot.  What a file becomes depends on the file only, so threads change the time and nothing else. */
#include "ahead.h"

#include <pthread.h>

#define MAX_THREADS 64

typedef struct slot { ds_loaded l; bool ready; } slot;
struct ds_ahead {
	const ds_list   *list;
	const ds_loader *ld;
	int              want, n_thread;
	pthread_t        thread[MAX_THREADS];
	pthread_mutex_t  lock;
	pthread_cond_t   room, ready;
	slot            *slot;
	size_t           n_slot, taken, head;
	bool             stop;
};

static void *work(void *arg)
{
	ds_ahead *a = arg;
	pthread_mutex_lock(&a->lock);
	for (;;) {
		while (!a->stop && (a->taken >= a->list->n || a->taken >= a->head + a->n_slot))
			pthread_cond_wait(&a->room, &a->lock);
		if (a->stop)
			break;
		size_t i = a->taken++;
		slot *s = &a->slot[i % a->n_slot];
		pthread_mutex_unlock(&a->lock);
		ds_load(&s->l, a->ld, &a->list->e[i]);
		pthread_mutex_lock(&a->lock);
		s->ready = true;
		pthread_cond_signal(&a->ready);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Threads start with the first file that is asked for, so that an iterator that is opened and not used costs nothing. */
static void start(ds_ahead *a)
{
	while (a->n_thread < a->want && !pthread_create(&a->thread[a->n_thread], NULL, work, a))
		a->n_thread++;
	if (!a->n_thread)
		a->want = 0;
}

static void stop(ds_ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->room);
	pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < a->n_thread; i++)
		pthread_join(a->thread[i], NULL);
	a->n_thread = 0;
	a->stop = false;
	for (size_t i = 0; i < a->n_slot; i++) {
		if (a->slot[i].ready)
			ds_loaded_done(&a->slot[i].l, a->ld->n_in);
		a->slot[i].ready = false;
	}
	a->taken = a->head = 0;
}

ds_status ds_ahead_new(ds_ahead **out, const ds_list *list, const ds_loader *ld, int threads, ds_err *err)
{
	ds_ahead *a = ds_calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return ds_fail_nomem(err, sizeof *a);
	a->list = list;
	a->ld = ld;
	a->want = list->n < 2 || threads < 2 ? 0 : DS_MIN(threads, MAX_THREADS);
	a->n_slot = (size_t)a->want * 2 + 2;
	a->slot = ds_calloc(a->n_slot, sizeof *a->slot);
	if (!a->slot) {
		ds_free(a);
		return ds_fail_nomem(err, sizeof *a->slot);
	}
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->room, NULL);
	pthread_cond_init(&a->ready, NULL);
	*out = a;
	return DS_OK;
}

ds_status ds_ahead_get(ds_ahead *a, size_t i, ds_loaded *l, ds_err *err)
{
	if (a->want && !a->n_thread)
		start(a);
	if (!a->n_thread) {
		ds_load(l, a->ld, &a->list->e[i]);
		return DS_OK;
	}
	if (i != a->head)
		return ds_fail(err, DS_E_INTERNAL, "files asked for out of turn");
	slot *s = &a->slot[i % a->n_slot];
	pthread_mutex_lock(&a->lock);
	while (!s->ready)
		pthread_cond_wait(&a->ready, &a->lock);
	*l = s->l;
	s->ready = false;
	a->head++;
	pthread_cond_broadcast(&a->room);
	pthread_mutex_unlock(&a->lock);
	return DS_OK;
}

void ds_ahead_reset(ds_ahead *a)
{
	stop(a);
}

void ds_ahead_free(ds_ahead *a)
{
	if (!a)
		return;
	stop(a);
	pthread_cond_destroy(&a->ready);
	pthread_cond_destroy(&a->room);
	pthread_mutex_destroy(&a->lock);
	ds_free(a->slot);
	ds_free(a);
}
