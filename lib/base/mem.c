/* mem.c - allocation, arenas, growing byte strings */
#include "mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *ds_calloc(size_t n, size_t size)
{
	return calloc(n ? n : 1, size ? size : 1);
}

void *ds_malloc(size_t bytes)
{
	return malloc(bytes ? bytes : 1);
}

void *ds_realloc(void *p, size_t n, size_t size)
{
	size_t bytes;
	if (ds_mul_over(n, size, &bytes))
		return NULL;
	return realloc(p, bytes ? bytes : 1);
}

void *ds_aligned(size_t bytes)
{
	enum { PAGE = 2 << 20 };        /* a large page: kernels that walk many rows at once miss the table of small ones */
	void *p;
	bool large = bytes >= 4 * (size_t)PAGE;
	if (bytes > SIZE_MAX - 64)
		return NULL;
	if (posix_memalign(&p, large ? PAGE : 64, bytes ? ds_pad64(bytes) : 64) != 0)
		return NULL;
#ifdef MADV_HUGEPAGE
	if (large)
		(void)madvise(p, bytes / PAGE * PAGE, MADV_HUGEPAGE);   /* a wish */
#endif
	return p;
}

void ds_free(void *p)
{
	free(p);
}

char *ds_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = ds_malloc(n);
	return p ? memcpy(p, s, n) : NULL;
}

bool ds_grow(void **items, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t want = *cap ? *cap * 2 : 8;
	void *p = want > *cap ? ds_realloc(*items, want, size) : NULL;
	if (!p)
		return false;
	*items = p;
	*cap = want;
	return true;
}

/* ---- arena: a list of blocks that double in size up to 256 KiB; large objects get a block of their own ------------------------- */
struct ds_arena_block { struct ds_arena_block *next; size_t used, cap; };
enum { HEAD = (sizeof(struct ds_arena_block) + 15) & ~(size_t)15 };

void ds_arena_init(ds_arena *a)
{
	a->head = NULL;
}

void ds_arena_done(ds_arena *a)
{
	for (struct ds_arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		ds_free(b);
	}
	a->head = NULL;
}

void *ds_arena_alloc(ds_arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (ds_mul_over(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	struct ds_arena_block *b = a->head;
	if (!b || b->cap - b->used < bytes) {
		size_t cap = b ? DS_MIN(b->cap * 2, (size_t)1 << 18) : 4096;
		bool large = bytes > cap / 2;
		if (large)
			cap = bytes;
		struct ds_arena_block *fresh = ds_malloc(HEAD + cap);
		if (!fresh)
			return NULL;
		fresh->used = 0;
		fresh->cap = cap;
		if (large && b) {               /* keep filling the block that was open */
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->head = fresh;
		}
		b = fresh;
	}
	void *p = (char *)b + HEAD + b->used;
	b->used += bytes;
	return memset(p, 0, bytes);
}

char *ds_arena_strndup(ds_arena *a, const char *s, size_t n)
{
	if (n == SIZE_MAX)
		return NULL;
	char *p = ds_arena_alloc(a, n + 1, 1);
	if (p && n)
		memcpy(p, s, n);
	return p;
}

char *ds_arena_strdup(ds_arena *a, const char *s)
{
	return ds_arena_strndup(a, s, strlen(s));
}

char *ds_arena_printf(ds_arena *a, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	if ((size_t)n < sizeof buf)
		return ds_arena_strndup(a, buf, (size_t)n);
	char *p = ds_arena_alloc(a, (size_t)n + 1, 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

/* ---- byte strings -------------------------------------------------------------------------------------------------------------- */
void ds_buf_done(ds_buf *b)
{
	ds_free(b->data);
	*b = (ds_buf){ 0 };
}

void ds_buf_reset(ds_buf *b)
{
	b->len = 0;
	b->oom = false;
	if (b->data)
		b->data[0] = 0;
}

static bool room(ds_buf *b, size_t n)
{
	size_t want;
	if (b->oom || ds_add_over(b->len, n, &want) || ds_add_over(want, (size_t)1, &want)) {
		b->oom = true;
		return false;
	}
	if (want <= b->cap)
		return true;
	size_t cap = b->cap > SIZE_MAX / 2 ? want : DS_MAX(b->cap * 2, DS_MAX(want, (size_t)64));
	char *p = ds_realloc(b->data, cap, 1);
	if (!p) {
		b->oom = true;
		return false;
	}
	b->data = p;
	b->cap = cap;
	return true;
}

void ds_buf_add(ds_buf *b, const void *p, size_t n)
{
	if (!room(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = 0;
}

void ds_buf_str(ds_buf *b, const char *s)
{
	ds_buf_add(b, s, strlen(s));
}

void ds_buf_printf(ds_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !room(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}
