/* failing.h - an allocator that fails at the N-th call, for a program that is linked with --wrap=malloc and its companions (Makefile) */
#ifndef DS_TEST_FAILING_H
#define DS_TEST_FAILING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int   __real_posix_memalign(void **p, size_t align, size_t n);
void  __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int   __wrap_posix_memalign(void **p, size_t align, size_t n);
void  __wrap_free(void *p);

static atomic_long calls, live;         /* allocations asked for while armed; blocks that exist */
static atomic_bool armed;
static long fail_at;                    /* 0: none */
static bool persistent;

/* A debugger stops here. */
static bool __attribute__((noinline)) refused(void)
{
	__asm__ volatile("");
	return true;
}

static bool refuse(void)
{
	if (!atomic_load(&armed))
		return false;
	long n = atomic_fetch_add(&calls, 1) + 1;
	return fail_at && (n == fail_at || (persistent && n > fail_at)) && refused();
}

void *__wrap_malloc(size_t n)
{
	void *p = refuse() ? NULL : __real_malloc(n);
	atomic_fetch_add(&live, p != NULL);
	return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p = refuse() ? NULL : __real_calloc(n, size);
	atomic_fetch_add(&live, p != NULL);
	return p;
}

void *__wrap_realloc(void *old, size_t n)
{
	void *p = refuse() ? NULL : __real_realloc(old, n);
	atomic_fetch_add(&live, p != NULL && old == NULL);
	return p;
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
	int rc = refuse() ? ENOMEM : __real_posix_memalign(p, align, n);
	atomic_fetch_add(&live, rc == 0);
	return rc;
}

void __wrap_free(void *p)
{
	atomic_fetch_sub(&live, p != NULL);
	__real_free(p);
}

#endif
