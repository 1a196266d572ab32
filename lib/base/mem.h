/* mem.h - allocation: every allocation of the library goes through here, so that failures can be injected */
#ifndef DS_BASE_MEM_H
#define DS_BASE_MEM_H

#include "status.h"

/* Zeroed memory for n items of size bytes; NULL on overflow or when there is none.  n == 0 gives a valid pointer. */
void *ds_calloc(size_t n, size_t size);
/* Memory that is not cleared. */
void *ds_malloc(size_t bytes);
/* Grow or shrink; on NULL the old block stays valid. */
void *ds_realloc(void *p, size_t n, size_t size);
/* Not cleared, aligned to 64 bytes, length rounded up to 64. */
void *ds_aligned(size_t bytes);
void  ds_free(void *p);                /* for all of the above */
char *ds_strdup(const char *s);

/* Make room for one more item in a growing array: doubles *cap.  Returns false when there is no memory; the array stays valid. */
bool  ds_grow(void **items, size_t n, size_t *cap, size_t size);

/* An arena: many small objects freed together. */
typedef struct ds_arena { struct ds_arena_block *head; } ds_arena;
void  ds_arena_init(ds_arena *a);
void  ds_arena_done(ds_arena *a);
void *ds_arena_alloc(ds_arena *a, size_t n, size_t size);        /* zeroed, 16-byte aligned; NULL: none */
char *ds_arena_strdup(ds_arena *a, const char *s);
char *ds_arena_strndup(ds_arena *a, const char *s, size_t n);
char *ds_arena_printf(ds_arena *a, const char *fmt, ...) DS_PRINTF(2, 3);

/* A growing byte string.  `data` is always terminated by a zero byte that len does not count (NULL while empty). */
typedef struct ds_buf { char *data; size_t len, cap; bool oom; } ds_buf;
void ds_buf_done(ds_buf *b);
void ds_buf_add(ds_buf *b, const void *p, size_t n);             /* sets oom instead of failing; check once at the end */
void ds_buf_str(ds_buf *b, const char *s);
void ds_buf_printf(ds_buf *b, const char *fmt, ...) DS_PRINTF(2, 3);
void ds_buf_reset(ds_buf *b);

#endif
