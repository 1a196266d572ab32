/* sink.c - byte streams out; a named file appears complete or not at all
 *
 * A regular target is written into an unnamed file of the same directory (O_TMPFILE), made durable, and then linked to its name; when the name
 * exists already, it is linked to a hidden name that is renamed over it at once.  Where unnamed files do not exist, the hidden name is used
 * from the start.  Whatever dies before the commit therefore leaves nothing behind, and the old file is never truncated. */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER  (256u << 10)
#define ONCE    (1u << 30)
#define LINKS   40                      /* symbolic links followed before we call it a loop, as the kernel does */

struct ds_sink {
	char    *name;                  /* for messages */
	int      fd;
	bool     close_fd;
	ds_buf  *memory;
	uint8_t *buf;
	size_t   len;
	uint64_t offset;
	/* files that appear on commit */
	bool     file, unnamed, replaces;
	int      dir;                   /* directory of the target */
	char     base[NAME_MAX + 1], temp[NAME_MAX + 1];
	int      slot;                  /* in `pending`, -1: none */
};

/* Hidden names that exist right now, for the signal handlers: a slot is taken by setting `dir`, and its name is complete before that. */
static struct pending {
	atomic_int state;               /* 0 free, 1 being filled, 2 valid */
	int        dir;
	char       name[NAME_MAX + 1];
} pending[32];

static void pending_add(ds_sink *s)
{
	for (int i = 0; i < (int)DS_COUNTOF(pending); i++) {
		int free_ = 0;
		if (!atomic_compare_exchange_strong(&pending[i].state, &free_, 1))
			continue;
		pending[i].dir = s->dir;
		memcpy(pending[i].name, s->temp, sizeof s->temp);
		atomic_store(&pending[i].state, 2);
		s->slot = i;
		return;
	}
}

static void pending_remove(ds_sink *s)
{
	if (s->slot >= 0)
		atomic_store(&pending[s->slot].state, 0);
	s->slot = -1;
}

void ds_sink_cleanup_signal(void)
{
	for (size_t i = 0; i < DS_COUNTOF(pending); i++)
		if (atomic_load(&pending[i].state) == 2)
			unlinkat(pending[i].dir, pending[i].name, 0);
}

static void sink_free(ds_sink *s)
{
	pending_remove(s);
	if (s->close_fd)
		close(s->fd);
	if (s->dir >= 0)
		close(s->dir);
	ds_free(s->buf);
	ds_free(s->name);
	ds_free(s);
}

static ds_status sink_new(ds_sink **out, const char *name, bool buffered, ds_err *err)
{
	ds_sink *s = ds_calloc(1, sizeof *s);
	*out = NULL;
	if (!s)
		return ds_fail_nomem(err, sizeof *s);
	s->fd = s->dir = s->slot = -1;
	s->name = ds_strdup(name);
	s->buf = buffered ? ds_malloc(BUFFER) : NULL;
	if (!s->name || (buffered && !s->buf)) {
		sink_free(s);
		return ds_fail_nomem(err, BUFFER);
	}
	*out = s;
	return DS_OK;
}

/* Follow symbolic links by hand, so that one that points nowhere yet gets its target made: *path becomes the last name.  DS_E_SYS. */
static ds_status follow(char path[PATH_MAX], const char *from, ds_err *err)
{
	if (strlen(from) >= PATH_MAX)
		return ds_fail_sys(err, ENAMETOOLONG, "open");
	memcpy(path, from, strlen(from) + 1);
	for (int hop = 0;; hop++) {
		char to[PATH_MAX], joined[PATH_MAX];
		ssize_t n = readlink(path, to, sizeof to - 1);
		if (n < 0)
			return DS_OK;           /* not a link, or nothing there */
		if (hop == LINKS)
			return ds_fail_sys(err, ELOOP, "open");
		to[n] = 0;
		const char *slash = strrchr(path, '/');
		int dir = to[0] == '/' || !slash ? 0 : (int)(slash - path) + 1;
		if (snprintf(joined, sizeof joined, "%.*s%s", dir, path, to) >= (int)sizeof joined)
			return ds_fail_sys(err, ENAMETOOLONG, "open");
		memcpy(path, joined, sizeof joined);
	}
}

/* A hidden name that says which program and process it belongs to. */
static void hidden_name(ds_sink *s, int attempt)
{
	snprintf(s->temp, sizeof s->temp, ".%.64s.%ld.%d.tmp", program_invocation_short_name, (long)getpid(), attempt);
}

static bool can_link_unnamed(int fd)
{
	char path[64];
	struct stat a, b;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static ds_status open_temp(ds_sink *s, ds_err *err)
{
	s->fd = openat(s->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (s->fd >= 0 && can_link_unnamed(s->fd)) {
		s->close_fd = s->unnamed = true;
		return DS_OK;
	}
	if (s->fd >= 0)
		close(s->fd);
	for (int i = 0; i < 100; i++) {
		hidden_name(s, i);
		s->fd = openat(s->dir, s->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (s->fd >= 0) {
			s->close_fd = true;
			pending_add(s);
			return DS_OK;
		}
		if (errno != EEXIST)
			break;
	}
	return ds_fail_sys(err, errno, "open");
}

/* A regular or new file: split its real path, make the temporary beside it. */
static ds_status open_file(ds_sink *s, const char *path, const struct stat *old, ds_err *err)
{
	char real[PATH_MAX], dir[PATH_MAX];
	DS_TRY(follow(real, path, err));
	const char *slash = strrchr(real, '/'), *base = slash ? slash + 1 : real;
	int dir_len = slash ? (int)(slash - real) + 1 : 0;
	if (!*base)
		return ds_fail_sys(err, old ? EISDIR : ENOENT, "open");
	if (strlen(base) > NAME_MAX)
		return ds_fail_sys(err, ENAMETOOLONG, "open");
	memcpy(s->base, base, strlen(base) + 1);
	snprintf(dir, sizeof dir, "%.*s", dir_len ? dir_len : 1, dir_len ? real : ".");
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return ds_fail_sys(err, errno, "open");
	/* a file that may not be written is not replaced either, although the directory would allow it */
	if (old && faccessat(s->dir, s->base, W_OK, AT_EACCESS) != 0)
		return ds_fail_sys(err, errno, "open");
	s->file = true;
	s->replaces = old != NULL;
	DS_TRY(open_temp(s, err));
	if (old && fchmod(s->fd, old->st_mode & 0777) != 0)
		return ds_fail_sys(err, errno, "chmod");
	return DS_OK;
}

ds_status ds_sink_open(ds_sink **out, const char *path, ds_err *err)
{
	bool to_stdout = !path || strcmp(path, "-") == 0;
	ds_sink *s;
	struct stat st;
	ds_status rc;
	DS_TRY(sink_new(&s, to_stdout ? "standard output" : path, true, err));
	*out = NULL;
	if (to_stdout) {
		s->fd = 1;
		if (fcntl(1, F_GETFD) < 0)
			DS_GOTO(ds_fail_sys(err, errno, "write error"));
	} else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			DS_GOTO(ds_fail_sys(err, EISDIR, "open"));
		do
			s->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		while (s->fd < 0 && errno == EINTR);
		if (s->fd < 0)
			DS_GOTO(ds_fail_sys(err, errno, "open"));
		s->close_fd = true;
	} else {
		bool exists = stat(path, &st) == 0;
		DS_GOTO(open_file(s, path, exists ? &st : NULL, err));
	}
	*out = s;
	return DS_OK;
out:
	ds_err_in(err, s->name);
	ds_sink_abort(s);
	return rc;
}

ds_status ds_sink_log(ds_sink **out, const char *path, uint64_t keep, ds_err *err)
{
	struct stat st;
	ds_status rc;
	if (!path || strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode)))
		return ds_sink_open(out, path, err);
	DS_TRY(sink_new(out, path, true, err));
	ds_sink *s = *out;
	*out = NULL;
	do
		s->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	while (s->fd < 0 && errno == EINTR);
	if (s->fd < 0)
		DS_GOTO(ds_fail_sys(err, errno, "open"));
	s->close_fd = true;
	if (fstat(s->fd, &st) != 0)
		DS_GOTO(ds_fail_sys(err, errno, "open"));
	if ((uint64_t)st.st_size < keep)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "shorter than it was at the checkpoint"));
	if (ftruncate(s->fd, (off_t)keep) != 0 || lseek(s->fd, (off_t)keep, SEEK_SET) < 0)
		DS_GOTO(ds_fail_sys(err, errno, "write error"));
	s->offset = keep;
	*out = s;
	return DS_OK;
out:
	ds_err_in(err, s->name);
	ds_sink_abort(s);
	return rc;
}

ds_status ds_sink_memory(ds_sink **out, ds_buf *to, ds_err *err)
{
	DS_TRY(sink_new(out, "memory", false, err));
	(*out)->memory = to;
	return DS_OK;
}

/* write(2) answers EFAULT where the bytes lie in a mapped file that has shrunk.  Looking at them raises the SIGBUS that says which file it was. */
static void touch(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 512)
		(void)*(const volatile uint8_t *)(p + i);
}

static ds_status write_all(ds_sink *s, const uint8_t *p, size_t n, ds_err *err)
{
	while (n) {
		ssize_t w = write(s->fd, p, DS_MIN(n, ONCE));
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		} else if (w < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			struct pollfd f = { .fd = s->fd, .events = POLLOUT };
			poll(&f, 1, -1);
		} else if (w == 0 || errno != EINTR) {
			const int why = w == 0 ? EIO : errno;
			if (why == EFAULT)
				touch(p, n);
			ds_status rc = ds_fail_sys(err, why, "write error");
			ds_err_in(err, s->name);
			return rc;
		}
	}
	return DS_OK;
}

ds_status ds_sink_flush(ds_sink *s, ds_err *err)
{
	size_t n = s->len;
	s->len = 0;
	return n ? write_all(s, s->buf, n, err) : DS_OK;
}

ds_status ds_sink_write(ds_sink *s, const void *p, size_t n, ds_err *err)
{
	if (n == 0)
		return DS_OK;
	s->offset += n;
	if (s->memory) {
		ds_buf_add(s->memory, p, n);
		return s->memory->oom ? ds_fail_nomem(err, s->memory->len + n) : DS_OK;
	}
	if (n <= BUFFER - s->len) {
		memcpy(s->buf + s->len, p, n);
		s->len += n;
		return DS_OK;
	}
	DS_TRY(ds_sink_flush(s, err));
	if (n >= BUFFER)
		return write_all(s, p, n, err);
	memcpy(s->buf, p, n);
	s->len = n;
	return DS_OK;
}

uint64_t ds_sink_offset(const ds_sink *s)
{
	return s->offset;
}

/* Give the unnamed file the target's name if that is new, else a hidden one. */
static ds_status link_unnamed(ds_sink *s, ds_err *err)
{
	char self[64];
	snprintf(self, sizeof self, "/proc/self/fd/%d", s->fd);
	if (!s->replaces) {
		if (linkat(AT_FDCWD, self, s->dir, s->base, AT_SYMLINK_FOLLOW) == 0)
			return DS_OK;
		if (errno != EEXIST)
			return ds_fail_sys(err, errno, "link");
		s->replaces = true;     /* it has come into being since we looked */
	}
	for (int i = 0; i < 100; i++) {
		hidden_name(s, i);
		pending_add(s);         /* before it exists: a signal in between must find it */
		if (linkat(AT_FDCWD, self, s->dir, s->temp, AT_SYMLINK_FOLLOW) == 0)
			return DS_OK;
		pending_remove(s);
		if (errno != EEXIST)
			break;
	}
	s->temp[0] = 0;
	return ds_fail_sys(err, errno, "link");
}

static ds_status commit_file(ds_sink *s, ds_err *err)
{
	while (fsync(s->fd) != 0)
		if (errno == EINVAL || errno == EROFS || errno == ENOTSUP)
			break;                  /* a file system that cannot */
		else if (errno != EINTR)
			return ds_fail_sys(err, errno, "write error");
	if (s->unnamed)
		DS_TRY(link_unnamed(s, err));
	s->close_fd = false;
	if (close(s->fd) != 0 && errno != EINTR)
		return ds_fail_sys(err, errno, "write error");
	if (s->temp[0]) {
		if (renameat(s->dir, s->temp, s->dir, s->base) != 0)
			return ds_fail_sys(err, errno, "rename");
		s->temp[0] = 0;
		pending_remove(s);
	}
	while (fsync(s->dir) != 0)
		if (errno == EINVAL || errno == EROFS || errno == ENOTSUP)
			break;
		else if (errno != EINTR)
			return ds_fail_sys(err, errno, "write error");
	return DS_OK;
}

ds_status ds_sink_commit(ds_sink *s, ds_err *err)
{
	ds_status rc = DS_OK;
	DS_GOTO(ds_sink_flush(s, err));
	if (s->file) {
		DS_GOTO(commit_file(s, err));
	} else if (!s->memory) {
		/* some file systems report a failed write only at close: close a duplicate, so that standard output itself stays open */
		int copy = dup(s->fd);
		if (copy >= 0 && close(copy) != 0 && errno != EINTR)
			rc = ds_fail_sys(err, errno, "write error");
	}
out:
	if (rc != DS_OK)
		ds_err_in(err, s->name);
	ds_sink_abort(s);
	return rc;
}

void ds_sink_abort(ds_sink *s)
{
	if (!s)
		return;
	if (s->file && s->temp[0])
		unlinkat(s->dir, s->temp, 0);
	sink_free(s);
}
