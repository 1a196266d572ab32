/* process.c - what a filter owes the system around it: descriptors, signals, job tokens */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* Descriptors 0-2 must exist, or a data file would become standard output.  A closed one is replaced by one that fails in the direction it is used,
 * so that "closed" stays an error (EBADF) where it matters. */
void ds_cli_guard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
			if (got >= 0 && got != fd)
				close(got);
		}
}

/* Descriptors that a shell or another program left non-blocking are waited for. */
bool ds_cli_write(int fd, const void *p, size_t n)
{
	const char *at = p;
	while (n > 0) {
		ssize_t k = write(fd, at, n);
		if (k >= 0) {
			at += k;
			n -= (size_t)k;
		} else if (errno == EAGAIN) {
			struct pollfd f = { .fd = fd, .events = POLLOUT };
			poll(&f, 1, -1);
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

static void die_by(int sig)
{
	int keep = errno;
	ds_sink_cleanup_signal();
	ds_cli_jobserver_done();
	signal(sig, SIG_DFL);
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	kill(getpid(), sig);
	raise(sig);
	errno = keep;
}

/* ---- a mapped file that shrinks -------------------------------------------------------------------------------------------------- */

/* Reads "7f00-7f80 r--p 0 08:01 123  /path" lines of /proc/self/maps with nothing but read(2), for use in a handler. */
typedef struct maps_reader { int fd; int at, n; char buf[1024]; } maps_reader;

static int next_char(maps_reader *m)
{
	if (m->at == m->n) {
		m->n = (int)read(m->fd, m->buf, sizeof m->buf);
		m->at = 0;
		if (m->n <= 0)
			return -1;
	}
	return (unsigned char)m->buf[m->at++];
}

static int read_hex(maps_reader *m, uintptr_t *v)
{
	int ch;
	*v = 0;
	while ((ch = next_char(m)) >= 0) {
		int digit = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
		if (digit < 0)
			break;
		*v = *v << 4 | (uintptr_t)digit;
	}
	return ch;
}

/* The path of the file mapped at addr into out; false when it is not a file's. */
static bool mapped_path(uintptr_t addr, char *out, size_t size)
{
	maps_reader m = { .fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC) };
	bool found = false;
	int ch = 0;
	while (m.fd >= 0 && ch >= 0 && !found) {
		uintptr_t lo, hi;
		if (read_hex(&m, &lo) < 0 || read_hex(&m, &hi) < 0)
			break;
		size_t n = 0;
		bool path = false;
		while ((ch = next_char(&m)) >= 0 && ch != '\n') {
			path |= ch == '/';
			if (path && n + 1 < size)
				out[n++] = ch < 0x20 || ch == 0x7f ? '?' : (char)ch;
		}
		out[n] = 0;
		found = path && addr >= lo && addr < hi;
	}
	if (m.fd >= 0)
		close(m.fd);
	return found;
}

/* Somebody truncated a file that we read through a mapping: an ordinary error, told without anything that is unsafe in a handler. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
	static char path[1024], line[1400];
	static const char tail[] = ": changed while in use\n";
	if (info->si_code <= 0 || !mapped_path((uintptr_t)info->si_addr, path, sizeof path)) {
		die_by(sig);
		return;
	}
	size_t n = 0;
	const char *part[] = { ds_cli.name, ": ", path, tail };
	for (size_t i = 0; i < DS_COUNTOF(part); i++)
		for (const char *s = part[i]; *s && n < sizeof line; s++)
			line[n++] = *s;
	ds_sink_cleanup_signal();
	ds_cli_jobserver_done();
	(void)!write(2, line, n);
	_exit(1);
}

/* Signals that end a process remove our temporaries first and then kill us as they would have; whatever the parent chose to ignore (nohup, a Python
 * parent's SIGPIPE) stays ignored.  SIGXFSZ becomes the error EFBIG of write. */
void ds_cli_signals(void)
{
	static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGXCPU };
	struct sigaction old, sa;
	memset(&sa, 0, sizeof sa);
	sigfillset(&sa.sa_mask);
	sa.sa_handler = die_by;
	for (size_t i = 0; i < DS_COUNTOF(deadly); i++)
		if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &sa, NULL);
	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGXFSZ, &sa, NULL);
	sa.sa_sigaction = on_bus;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGBUS, &sa, NULL);
}

/* ---- make's job tokens ----------------------------------------------------------------------------------------------------------- */

/* Under `make -jN` each process owns one token and may read more from the jobserver's pipe, one byte each, to be written back at the end.  Only
 * when the user did not say -j; without a jobserver nothing changes. */
static struct { int in, out, n; char token[256]; } job = { -1, -1, 0, { 0 } };

static bool jobserver_open(const char *auth)
{
	if (strncmp(auth, "fifo:", 5) == 0) {
		char path[256];
		size_t n = strcspn(auth + 5, " ");
		if (n >= sizeof path)
			return false;
		memcpy(path, auth + 5, n);
		path[n] = 0;
		job.in = job.out = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		return job.in >= 0;
	}
	char *end, path[64];
	struct stat st;
	long in = strtol(auth, &end, 10);
	if (*end != ',' || in < 3 || in > 65535)
		return false;
	long out = strtol(end + 1, &end, 10);
	/* descriptors of these numbers may be something else by now: only pipes count */
	if (out < 3 || out > 65535 || fstat((int)out, &st) != 0 || !S_ISFIFO(st.st_mode) || fstat((int)in, &st) != 0 || !S_ISFIFO(st.st_mode))
		return false;
	/* the pipe is shared with make and its children, so its flags must stay; a description of our own can be non-blocking */
	snprintf(path, sizeof path, "/proc/self/fd/%ld", in);
	job.in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	job.out = (int)out;
	return job.in >= 0;
}

void ds_cli_jobserver(ds_common *c)
{
	const char *flags = getenv("MAKEFLAGS");
	const char *auth = flags ? strstr(flags, "--jobserver-auth=") : NULL;
	if (!(ds_cli.f->common & DS_C_THREADS) || c->threads != 0 || !auth || !jobserver_open(auth + strlen("--jobserver-auth=")))
		return;
	while (job.n < (int)sizeof job.token && read(job.in, &job.token[job.n], 1) == 1)
		job.n++;
	c->threads = job.n + 1;
}

void ds_cli_jobserver_done(void)
{
	for (int i = 0; i < job.n; i++)
		(void)!write(job.out, &job.token[i], 1);
	job.n = 0;
}
