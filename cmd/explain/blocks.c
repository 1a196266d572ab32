/* blocks.c - maps of pictures in a terminal: two places above each other in a character, or letters where there are no colours */
#include "overlay.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { ACROSS = 72 };                   /* characters at most */

static bool terminal(const ds_common *c)
{
	return (!c->output || !strcmp(c->output, "-")) && (c->fake_tty || isatty(1));
}

static bool chosen(const job *j)
{
	return !j->token.on && !j->sound && (j->s->to == EX_TEXT || (j->s->to < 0 && !j->s->out_dir && terminal(&j->s->c)));
}

static ds_status start(job *j, ds_err *err)
{
	(void)j;
	(void)err;
	return DS_OK;
}

/* What is drawn as cell (x, y) of w x h: the pixels [from, to) of n along one axis. */
static void span(int i, int cells, int n, int *from, int *to)
{
	*from = (int)((int64_t)i * n / cells);
	*to = DS_MAX((int)((int64_t)(i + 1) * n / cells), *from + 1);
}

static ds_rgb color_of(const ex_overlay *o, int x, int y, int w, int h)
{
	int x0, x1, y0, y1;
	unsigned sum[3] = { 0 }, n = 0;
	span(x, w, o->w, &x0, &x1);
	span(y, h, o->h, &y0, &y1);
	for (int v = y0; v < y1; v++)
		for (int u = x0; u < x1; u++, n++)
			for (int c = 0; c < 3; c++)
				sum[c] += o->rgb[((size_t)v * (size_t)o->w + (size_t)u) * 3 + (size_t)c];
	return (ds_rgb){ (uint8_t)(sum[0] / n), (uint8_t)(sum[1] / n), (uint8_t)(sum[2] / n) };
}

/* More of the scale, more ink; what speaks against has letters of its own. */
static char letter_of(const ex_overlay *o, int x, int y, int w, int h)
{
	static const char with[] = " .:+*#", against[] = " `-~o0";
	int x0, x1, y0, y1, n = 0;
	double sum = 0;
	span(x, w, o->w, &x0, &x1);
	span(y, h, o->h, &y0, &y1);
	for (int v = y0; v < y1; v++)
		for (int u = x0; u < x1; u++, n++)
			sum += isfinite(o->v[(size_t)v * (size_t)o->w + (size_t)u]) ? (double)o->v[(size_t)v * (size_t)o->w + (size_t)u] : 0;
	double t = o->top > 0 ? sum / n / o->top : 0;
	int k = (int)fmin(fabs(t) * 6, 5);
	return t < 0 ? against[k] : with[k];
}

static void picture(ds_buf *b, const ex_overlay *o, bool colors)
{
	int w = o->w < ACROSS ? o->w * (ACROSS / o->w) : ACROSS, h = DS_MAX((int)((int64_t)o->h * w / o->w), 1);
	for (int y = 0; y < h; y += 2) {
		for (int x = 0; x < w; x++) {
			if (!colors) {                  /* a letter is about twice as high as wide */
				ds_buf_printf(b, "%c", letter_of(o, x, y / 2, w, (h + 1) / 2));
				continue;
			}
			ds_rgb up = color_of(o, x, y, w, h), low = y + 1 < h ? color_of(o, x, y + 1, w, h) : (ds_rgb){ 0 };
			ds_buf_printf(b, "\033[38;2;%d;%d;%d;48;2;%d;%d;%dm\xe2\x96\x80", up.r, up.g, up.b, low.r, low.g, low.b);
		}
		ds_buf_str(b, colors ? "\033[0m\n" : "\n");
	}
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	ds_buf b = { 0 };
	char num[24];
	ds_status rc = DS_OK;
	for (size_t i = 0; i < r->maps.n && rc == DS_OK; i++) {
		const ds_map *m = &r->maps.m[i];
		ex_overlay o;
		rc = ex_overlay_make(j, r, m, &o, err);
		if (rc != DS_OK)
			break;
		ex_caption_file(r, &b);
		ds_buf_str(&b, ": ");
		ex_caption_class(j, m, &b);
		ds_buf_str(&b, ", ");
		ex_caption_method(j, m, &b);
		ds_buf_printf(&b, ", scale to %s\n", ds_draw_number(num, o.top));
		picture(&b, &o, ds_color(&j->s->c, 1));
		ex_overlay_done(&o);
	}
	if (rc == DS_OK)
		rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(j->out, b.data ? b.data : "", b.len, err);
	ds_buf_done(&b);
	return rc;
}

static void drop(job *j)
{
	(void)j;
}

const ex_output ex_output_blocks = { "text", false, chosen, start, item, NULL, drop };
