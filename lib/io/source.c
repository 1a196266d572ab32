/* source.c - byte streams in: descriptors, mappings, memory and own readers behind one forward-only interface */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW  (128u << 10)            /* read buffer; twice the longest peek, so that a refill rarely moves bytes */
#define PEEK    (64u << 10)
#define ONCE    (1u << 30)              /* most bytes asked of one read(2) */
#define FORGET  (16u << 20)

/* What a borrowed block keeps alive: a mapping or a heap block. */
typedef struct owner {
	atomic_int refs;
	void      *addr;
	size_t     len;
	bool       heap;
} owner;

struct ds_source {
	char          *name;
	const uint8_t *base;            /* mapped or in memory: the stream's bytes */
	uint64_t       size, pos, forgotten;
	bool           direct, borrowable;
	owner         *own;
	int            fd;
	bool           close_fd;
	int64_t      (*reader)(void *arg, void *buf, size_t n, ds_err *err);
	void         (*reader_done)(void *arg);
	void          *arg;
	int64_t        file_size;       /* of a regular file that is read, from where the stream starts; -1 */
	uint8_t       *win;             /* bytes read ahead: win[head..tail) */
	size_t         head, tail;
	bool           eof;
};

static ds_status source_new(ds_source **out, const char *name, ds_err *err)
{
	ds_source *s = ds_calloc(1, sizeof *s);
	*out = NULL;
	if (s)
		s->name = ds_strdup(name);
	if (!s || !s->name) {
		ds_free(s);
		return ds_fail_nomem(err, sizeof *s);
	}
	s->fd = -1;
	s->file_size = -1;
	*out = s;
	return DS_OK;
}

/* Map the rest of a regular file from its present position.  Anything that stands in the way means "read it instead". */
static void try_map(ds_source *s, const struct stat *st, int64_t at)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = (uint64_t)at / page * page;
	if (at % 64 || st->st_size <= at || (uint64_t)st->st_size - from > SIZE_MAX)
		return;
	size_t len = (size_t)((uint64_t)st->st_size - from);
	owner *o = ds_calloc(1, sizeof *o);
	if (!o)
		return;
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, s->fd, (off_t)from);
	if (p == MAP_FAILED) {
		ds_free(o);
		return;
	}
	o->addr = p;
	o->len = len;
	atomic_init(&o->refs, 1);
	s->own = o;
	s->base = (const uint8_t *)p + ((uint64_t)at - from);
	s->size = (uint64_t)(st->st_size - at);
	s->direct = s->borrowable = true;
}

ds_status ds_source_open(ds_source **out, const char *path, const ds_source_opts *o, ds_err *err)
{
	bool is_stdin = !path || strcmp(path, "-") == 0;
	ds_source *s;
	struct stat st;
	DS_TRY(source_new(&s, is_stdin ? "standard input" : path, err));
	ds_status rc = DS_OK;
	s->fd = is_stdin ? 0 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	s->close_fd = !is_stdin && s->fd >= 0;
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		DS_GOTO(ds_fail_sys(err, errno, "open"));
	if (S_ISDIR(st.st_mode))
		DS_GOTO(ds_fail(err, DS_E_INPUT, "is a directory"));
	if (S_ISREG(st.st_mode) && st.st_size > 0) {    /* size 0: empty, or a file of /proc */
		off_t at = lseek(s->fd, 0, SEEK_CUR);
		if (at >= 0) {
			s->file_size = at <= st.st_size ? st.st_size - at : 0;
			if (!o || !o->no_map)
				try_map(s, &st, at);
		}
	}
	if (!s->direct) {
		s->win = ds_malloc(WINDOW);
		if (!s->win)
			DS_GOTO(ds_fail_nomem(err, WINDOW));
	}
	*out = s;
	return DS_OK;
out:
	ds_err_in(err, s->name);
	ds_source_close(s);
	*out = NULL;
	return rc;
}

ds_status ds_source_memory(ds_source **out, const void *data, size_t size, const char *name, ds_err *err)
{
	DS_TRY(source_new(out, name, err));
	(*out)->base = data;
	(*out)->size = size;
	(*out)->direct = true;
	(*out)->borrowable = ((uintptr_t)data & 63) == 0;
	return DS_OK;
}

ds_status ds_source_custom(ds_source **out, int64_t (*reader)(void *arg, void *buf, size_t n, ds_err *err), void (*done)(void *arg), void *arg,
	const char *name, ds_err *err)
{
	ds_source *s;
	ds_status rc = source_new(&s, name, err);
	if (rc == DS_OK && !(s->win = ds_malloc(WINDOW))) {
		ds_source_close(s);
		rc = ds_fail_nomem(err, WINDOW);
	}
	*out = NULL;
	if (rc != DS_OK) {
		if (done)
			done(arg);
		return rc;
	}
	s->reader = reader;
	s->reader_done = done;
	s->arg = arg;
	*out = s;
	return DS_OK;
}

void ds_source_close(ds_source *s)
{
	if (!s)
		return;
	if (s->reader_done)
		s->reader_done(s->arg);
	if (s->close_fd)
		close(s->fd);
	ds_source_drop(s->own);
	ds_free(s->win);
	ds_free(s->name);
	ds_free(s);
}

const char *ds_source_name(const ds_source *s)
{
	return s->name;
}

int64_t ds_source_offset(const ds_source *s)
{
	return (int64_t)s->pos;
}

int64_t ds_source_size(const ds_source *s)
{
	return s->direct ? (int64_t)s->size : s->file_size;
}

bool ds_source_mapped(const ds_source *s)
{
	return s->borrowable;
}

/* One read of up to n bytes; 0 at the end.  Interrupted calls are repeated, a non-blocking descriptor that has nothing yet is waited for. */
static ds_status read_once(ds_source *s, void *buf, size_t n, size_t *got, ds_err *err)
{
	*got = 0;
	if (s->eof)
		return DS_OK;
	if (s->reader) {
		int64_t r = s->reader(s->arg, buf, n, err);
		if (r < 0) {
			ds_err_in(err, s->name);
			return err ? err->code : DS_E_SYS;
		}
		*got = (size_t)r;
		s->eof = r == 0;
		return DS_OK;
	}
	for (;;) {
		ssize_t r = read(s->fd, buf, DS_MIN(n, ONCE));
		if (r >= 0) {
			*got = (size_t)r;
			s->eof = r == 0;
			return DS_OK;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			struct pollfd p = { .fd = s->fd, .events = POLLIN };
			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			ds_status rc = ds_fail_sys(err, errno, "read error");
			ds_err_in(err, s->name);
			return rc;
		}
	}
}

ds_status ds_source_peek(ds_source *s, size_t n, const void **p, size_t *got, ds_err *err)
{
	n = DS_MIN(n, PEEK);
	if (s->direct) {
		*p = s->base + s->pos;
		*got = (size_t)DS_MIN((uint64_t)n, s->size - s->pos);
		return DS_OK;
	}
	if (s->head + n > WINDOW) {
		memmove(s->win, s->win + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}
	while (s->tail - s->head < n) {
		size_t r;
		DS_TRY(read_once(s, s->win + s->tail, WINDOW - s->tail, &r, err));
		if (r == 0)
			break;
		s->tail += r;
	}
	*p = s->win + s->head;
	*got = DS_MIN(n, s->tail - s->head);
	return DS_OK;
}

/* Who copies a mapped file in pieces should not come to hold all of it: pages that were copied are given back now and then.  They stay in the page
 * cache, and what somebody borrowed is there again when it is touched. */
static void forget(ds_source *s)
{
	if (!s->own || s->pos - s->forgotten < FORGET)
		return;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)s->base + s->forgotten) / page * page;
	uintptr_t to = ((uintptr_t)s->base + s->pos) / page * page;
	madvise((void *)from, to - from, MADV_DONTNEED);
	s->forgotten = s->pos;
}

ds_status ds_source_some(ds_source *s, void *buf, size_t n, size_t *got, ds_err *err)
{
	*got = 0;
	if (n == 0)
		return DS_OK;
	if (s->direct) {
		*got = (size_t)DS_MIN((uint64_t)n, s->size - s->pos);
		if (*got)
			memcpy(buf, s->base + s->pos, *got);
		s->pos += *got;
		forget(s);
		return DS_OK;
	}
	if (s->head == s->tail) {
		if (n >= WINDOW) {      /* large: past the window, straight to where it belongs */
			DS_TRY(read_once(s, buf, n, got, err));
			s->pos += *got;
			return DS_OK;
		}
		size_t r;
		DS_TRY(read_once(s, s->win, WINDOW, &r, err));
		s->head = 0;
		s->tail = r;
	}
	*got = DS_MIN(n, s->tail - s->head);
	memcpy(buf, s->win + s->head, *got);
	s->head += *got;
	s->pos += *got;
	return DS_OK;
}

static ds_status truncated(const ds_source *s, ds_err *err)
{
	ds_status rc = ds_fail_at(err, DS_E_INPUT, (int64_t)s->pos, "truncated");
	ds_err_in(err, s->name);
	return rc;
}

ds_status ds_source_read(ds_source *s, void *buf, size_t n, ds_err *err)
{
	size_t have = 0;
	while (have < n) {
		size_t r;
		DS_TRY(ds_source_some(s, (uint8_t *)buf + have, n - have, &r, err));
		if (r == 0)
			return have == 0 ? DS_END : truncated(s, err);
		have += r;
	}
	return DS_OK;
}

ds_status ds_source_borrow(ds_source *s, uint64_t n, const void **p, ds_err *err)
{
	*p = NULL;
	if (!s->direct)
		return ds_fail(err, DS_E_INTERNAL, "borrowing from a stream that is not mapped");
	if (n > s->size - s->pos)
		return truncated(s, err);
	*p = s->base + s->pos;
	s->pos += n;
	return DS_OK;
}

ds_status ds_source_skip(ds_source *s, uint64_t n, ds_err *err)
{
	if (s->direct) {
		if (n > s->size - s->pos)
			return truncated(s, err);
		s->pos += n;
		return DS_OK;
	}
	while (n) {
		if (s->head == s->tail) {
			size_t r;
			DS_TRY(read_once(s, s->win, WINDOW, &r, err));
			if (r == 0)
				return truncated(s, err);
			s->head = 0;
			s->tail = r;
		}
		size_t take = (size_t)DS_MIN(n, (uint64_t)(s->tail - s->head));
		s->head += take;
		s->pos += take;
		n -= take;
	}
	return DS_OK;
}

void *ds_source_keep(ds_source *s)
{
	if (s->own)
		atomic_fetch_add(&s->own->refs, 1);
	return s->own;
}

void ds_source_drop(void *p)
{
	owner *o = p;
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	if (o->heap)
		ds_free(o->addr);
	else
		munmap(o->addr, o->len);
	ds_free(o);
}

/* The rest of a stream that is read: one block that doubles, so that memory follows the bytes received and not a promise. */
static ds_status read_all(ds_source *s, uint64_t limit, owner *o, ds_err *err)
{
	size_t cap = 0;
	for (;;) {
		size_t r;
		if (o->len == cap) {
			cap = cap ? cap * 2 : 256u << 10;
			void *p = cap > o->len ? ds_realloc(o->addr, cap, 1) : NULL;
			if (!p)
				return ds_fail_nomem(err, cap);
			o->addr = p;
		}
		DS_TRY(ds_source_some(s, (uint8_t *)o->addr + o->len, cap - o->len, &r, err));
		if (r == 0)
			return DS_OK;
		o->len += r;
		if (o->len > limit) {
			ds_status rc = ds_fail_at(err, DS_E_LIMIT, (int64_t)s->pos, "larger than --memory-limit (%llu bytes)", (unsigned long long)limit);
			ds_err_in(err, s->name);
			return rc;
		}
	}
}

ds_status ds_source_all(ds_source *s, uint64_t limit, const void **p, size_t *n, void **own, ds_err *err)
{
	*p = NULL;
	*n = 0;
	*own = NULL;
	if (s->direct) {
		*n = (size_t)(s->size - s->pos);
		DS_TRY(ds_source_borrow(s, *n, p, err));
		*own = ds_source_keep(s);
		return DS_OK;
	}
	owner *o = ds_calloc(1, sizeof *o);
	if (!o)
		return ds_fail_nomem(err, sizeof *o);
	o->heap = true;
	atomic_init(&o->refs, 1);
	ds_status rc = read_all(s, limit, o, err);
	if (rc != DS_OK) {
		ds_source_drop(o);
		return rc;
	}
	*p = o->addr;
	*n = o->len;
	*own = o;
	return DS_OK;
}
