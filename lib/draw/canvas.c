/* canvas.c - pixels, rectangles, lines, scale bars, fields of numbers */
#include "draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ds_status ds_canvas_init(ds_canvas *c, int64_t w, int64_t h, ds_rgb fill, ds_err *err)
{
	*c = (ds_canvas){ 0 };
	if (w < 1 || h < 1 || w > DS_CANVAS_MAX || h > DS_CANVAS_MAX)
		return ds_fail(err, DS_E_LIMIT, "a picture of %lld x %lld pixels: sides of 1 to %d are possible", (long long)w, (long long)h, DS_CANVAS_MAX);
	c->px = ds_malloc((size_t)w * (size_t)h * 3);
	if (!c->px)
		return ds_fail_nomem(err, (size_t)w * (size_t)h * 3);
	c->w = (int)w;
	c->h = (int)h;
	ds_canvas_rect(c, 0, 0, c->w, c->h, fill);
	return DS_OK;
}

void ds_canvas_done(ds_canvas *c)
{
	ds_free(c->px);
	*c = (ds_canvas){ 0 };
}

void ds_canvas_set(ds_canvas *c, int x, int y, ds_rgb v)
{
	if (x < 0 || y < 0 || x >= c->w || y >= c->h)
		return;
	uint8_t *p = c->px + ((size_t)y * (size_t)c->w + (size_t)x) * 3;
	p[0] = v.r;
	p[1] = v.g;
	p[2] = v.b;
}

ds_rgb ds_canvas_get(const ds_canvas *c, int x, int y)
{
	if (x < 0 || y < 0 || x >= c->w || y >= c->h)
		return (ds_rgb){ 0 };
	const uint8_t *p = c->px + ((size_t)y * (size_t)c->w + (size_t)x) * 3;
	return (ds_rgb){ p[0], p[1], p[2] };
}

void ds_canvas_rect(ds_canvas *c, int x, int y, int w, int h, ds_rgb v)
{
	for (int j = DS_MAX(y, 0); j < DS_MIN(y + h, c->h); j++)
		for (int i = DS_MAX(x, 0); i < DS_MIN(x + w, c->w); i++)
			ds_canvas_set(c, i, j, v);
}

void ds_canvas_frame(ds_canvas *c, int x, int y, int w, int h, ds_rgb v)
{
	ds_canvas_rect(c, x, y, w, 1, v);
	ds_canvas_rect(c, x, y + h - 1, w, 1, v);
	ds_canvas_rect(c, x, y, 1, h, v);
	ds_canvas_rect(c, x + w - 1, y, 1, h, v);
}

void ds_canvas_line(ds_canvas *c, int x0, int y0, int x1, int y1, ds_rgb v)
{
	int dx = abs(x1 - x0), dy = -abs(y1 - y0), sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1, e = dx + dy;
	for (;;) {
		ds_canvas_set(c, x0, y0, v);
		if (x0 == x1 && y0 == y1)
			return;
		int twice = 2 * e;
		if (twice >= dy) {
			e += dy;
			x0 += sx;
		}
		if (twice <= dx) {
			e += dx;
			y0 += sy;
		}
	}
}

void ds_canvas_pixels(ds_canvas *c, int x, int y, const uint8_t *rgb, int w, int h, int scale)
{
	for (int j = 0; j < h; j++)
		for (int i = 0; i < w; i++, rgb += 3)
			ds_canvas_rect(c, x + i * scale, y + j * scale, scale, scale, (ds_rgb){ rgb[0], rgb[1], rgb[2] });
}

void ds_canvas_copy(ds_canvas *c, int x, int y, const ds_canvas *from)
{
	ds_canvas_pixels(c, x, y, from->px, from->w, from->h, 1);
}

char *ds_draw_number(char *buf, double v)
{
	snprintf(buf, 24, "%.4g", v == 0 ? 0.0 : v);
	return buf;
}

void ds_canvas_scale(ds_canvas *c, int x, int y, int w, int h, int size, const ds_colors *colors, double lo, double hi, ds_rgb ink)
{
	char text[24];
	for (int i = 0; i < w; i++)
		ds_canvas_rect(c, x + i, y, 1, h, ds_colors_at(colors, w > 1 ? (double)i / (w - 1) : 0));
	ds_canvas_frame(c, x, y, w, h, ink);
	ds_draw_number(text, lo);
	int left = ds_canvas_text(c, x, y + h + 2, size, ink, text, -1);
	ds_draw_number(text, hi);
	int right = ds_text_width(size, text, -1);
	ds_canvas_text(c, x + w - right, y + h + 2, size, ink, text, -1);
	ds_draw_number(text, (lo + hi) / 2);
	int middle = ds_text_width(size, text, -1);
	if (left + middle + right + 4 * DS_LETTER_W * size <= w) {
		ds_canvas_text(c, x + (w - middle) / 2, y + h + 2, size, ink, text, -1);
		ds_canvas_rect(c, x + w / 2, y + h, 1, 2, ink);
	}
}
