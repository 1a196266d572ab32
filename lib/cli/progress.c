/* progress.c - how far the work is, on one line of the terminal that goes away at the end */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

struct ds_progress {
	const char *what;
	int64_t     total;
	double      start, next;        /* seconds; next: when the line may be drawn again */
	int64_t     first;              /* what was done before the start (a run that goes on), -1: not known yet */
	int         width;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_pipe(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int columns(void)
{
	struct winsize w;
	int64_t n;
	const char *env = getenv("COLUMNS");
	if (env && ds_parse_i64(env, &n) && n >= 20 && n <= 1000)
		return (int)n;
	return ioctl(2, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

ds_progress *ds_progress_new(const ds_common *c, const char *what, int64_t total)
{
	if (c->quiet || c->progress == 2 || (c->progress == 0 && (!isatty(2) || is_pipe(1))))
		return NULL;
	ds_progress *p = ds_calloc(1, sizeof *p);
	if (!p)
		return NULL;    /* progress is a courtesy */
	p->what = what;
	p->total = total;
	p->first = -1;
	p->start = now();
	p->next = c->progress == 1 ? 0 : p->start + 1;
	p->width = columns();
	return p;
}

static void draw(ds_progress *p, int64_t done, const char *note, double t)
{
	ds_buf b = { 0 };
	double spent = t - p->start;
	ds_buf_printf(&b, "%s %lld", p->what, (long long)done);
	if (p->total > 0) {
		ds_buf_printf(&b, "/%lld %d%%", (long long)p->total, (int)(100.0 * (double)done / (double)p->total));
		if (done > p->first && done < p->total && spent > 1)
			ds_buf_printf(&b, " %.0f s left", spent * (double)(p->total - done) / (double)(done - p->first));
	}
	if (note && *note) {
		ds_buf_str(&b, " ");
		ds_text_quote(&b, note, strlen(note));
	}
	/* cut to the terminal's width, but not inside a character */
	size_t n = 0;
	int col = 0;
	while (b.data && n < b.len && (col < p->width - 1 || ((unsigned char)b.data[n] & 0xc0) == 0x80))
		col += ((unsigned char)b.data[n++] & 0xc0) != 0x80;
	ds_cli_wipe();
	if (b.data && write(2, b.data, n) > 0)
		ds_cli.progress_shown = true;
	ds_buf_done(&b);
}

void ds_progress_at(ds_progress *p, int64_t done, const char *note)
{
	double t;
	if (!p)
		return;
	if (p->first < 0)               /* the first call may come after the first piece of work */
		p->first = done > 1 ? done - 1 : 0;
	if ((t = now()) < p->next)
		return;
	p->next = t + 0.1;
	draw(p, done, note, t);
}

void ds_cli_wipe(void)
{
	if (!ds_cli.progress_shown)
		return;
	ds_cli.progress_shown = false;
	(void)!write(2, "\r\033[K", 4);
}

void ds_progress_free(ds_progress *p)
{
	ds_cli_wipe();
	ds_free(p);
}
