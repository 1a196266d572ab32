/* curves.c - --curves: the mean curves of deletion and insertion beside those of random orders, as a picture */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

enum { POINTS = 101, FINE = 3 };        /* of a curve, over the share of patches; the lines are drawn FINE times as large */
enum { PLOT_W = 300, PLOT_H = 220, LEFT = 44, TOP = 64, BETWEEN = 60, RIGHT = 16, BELOW = 46 };

static const ds_rgb paper = { 255, 255, 255 }, ink = { 24, 24, 24 }, pale = { 110, 110, 110 }, faint = { 226, 226, 226 };
static const ds_rgb colors[] = { { 0, 90, 181 }, { 214, 94, 0 } }, chance = { 128, 128, 128 };

/* p[0..steps] at share t of the way. */
static double along(const double *p, int64_t steps, double t)
{
	double at = t * (double)steps;
	int64_t i = DS_MIN((int64_t)at, steps - 1);
	return p[i] + (p[i + 1] - p[i]) * (at - (double)i);
}

ds_status ex_curves_add(ex_curves *c, const ds_faith *f, ds_err *err)
{
	if (!c->p && !(c->p = ds_calloc(4 * POINTS, sizeof *c->p)))
		return ds_fail_nomem(err, 4 * POINTS * sizeof *c->p);
	c->n++;
	c->chance += f->random != NULL;
	for (int i = 0; i < POINTS; i++) {
		double t = (double)i / (POINTS - 1);
		c->p[i] += along(f->deletion, f->steps, t);
		c->p[POINTS + i] += along(f->insertion, f->steps, t);
		c->p[2 * POINTS + i] += f->random ? along(f->random, f->steps, t) : 0;
		c->p[3 * POINTS + i] += f->random ? along(f->random, f->steps, 1 - t) : 0;
	}
	return DS_OK;
}

void ex_curves_done(ex_curves *c)
{
	ds_free(c->p);
	*c = (ex_curves){ 0 };
}

/* A line `width` pixels thick. */
static void thick(ds_canvas *c, double x0, double y0, double x1, double y1, int width, ds_rgb v)
{
	int steps = (int)ceil(fmax(fabs(x1 - x0), fabs(y1 - y0))) + 1;
	for (int i = 0; i <= steps; i++) {
		double t = (double)i / steps;
		ds_canvas_rect(c, (int)lround(x0 + (x1 - x0) * t) - width / 2, (int)lround(y0 + (y1 - y0) * t) - width / 2, width, width, v);
	}
}

/* One curve into a plot of fine pixels; dashed: every other piece. */
static void trace(ds_canvas *c, const double *sum, uint64_t n, bool dashed, ds_rgb v)
{
	for (int i = 0; i + 1 < POINTS; i++) {
		if (dashed && i / 3 % 2)
			continue;
		double x0 = (double)i / (POINTS - 1) * (c->w - 1), x1 = (double)(i + 1) / (POINTS - 1) * (c->w - 1);
		thick(c, x0, (1 - sum[i] / (double)n) * (c->h - 1), x1, (1 - sum[i + 1] / (double)n) * (c->h - 1), 2 * FINE, v);
	}
}

/* Every FINE x FINE pixels become their mean. */
static void shrink(ds_canvas *to, int x, int y, const ds_canvas *fine)
{
	for (int v = 0; v < fine->h / FINE; v++)
		for (int u = 0; u < fine->w / FINE; u++) {
			int sum[3] = { 0 };
			for (int k = 0; k < FINE * FINE; k++) {
				ds_rgb p = ds_canvas_get(fine, u * FINE + k % FINE, v * FINE + k / FINE);
				sum[0] += p.r;
				sum[1] += p.g;
				sum[2] += p.b;
			}
			ds_canvas_set(to, x + u, y + v, (ds_rgb){ (uint8_t)(sum[0] / FINE / FINE), (uint8_t)(sum[1] / FINE / FINE), (uint8_t)(sum[2] / FINE / FINE) });
		}
}

static double area(const double *sum, uint64_t n)
{
	double a = (sum[0] + sum[POINTS - 1]) / 2;
	for (int i = 1; i + 1 < POINTS; i++)
		a += sum[i];
	return a / (POINTS - 1) / (double)n;
}

static ds_status plot(const ex_curves *c, int which, ds_canvas *page, int left, ds_err *err)
{
	static const char *const titles[] = { "deletion (low is good)", "insertion (high is good)" }, *const axes[] = { "share of patches taken away", "share of patches put back" };
	const double *mine = c->p + which * POINTS, *random = c->p + (2 + which) * POINTS;
	ds_canvas fine;
	char text[64];
	DS_TRY(ds_canvas_init(&fine, PLOT_W * FINE, PLOT_H * FINE, paper, err));
	for (int i = 0; i <= 4; i++) {
		ds_canvas_rect(&fine, 0, i * (fine.h - FINE) / 4, fine.w, FINE, faint);
		ds_canvas_rect(&fine, i * (fine.w - FINE) / 4, 0, FINE, fine.h, faint);
	}
	if (c->chance)
		trace(&fine, random, c->chance, true, chance);
	trace(&fine, mine, c->n, false, colors[which]);
	shrink(page, left, TOP, &fine);
	ds_canvas_done(&fine);
	for (int i = 0; i <= 4; i++) {
		snprintf(text, sizeof text, "%.2f", 1 - i * .25);
		ds_canvas_text(page, left - ds_text_width(1, text, -1) - 6, TOP + i * (PLOT_H - 1) / 4 - DS_LETTER_H / 2, 1, pale, text, -1);
		snprintf(text, sizeof text, "%d %%", i * 25);
		ds_canvas_text(page, left + i * (PLOT_W - 1) / 4 - ds_text_width(1, text, -1) / 2, TOP + PLOT_H + 6, 1, pale, text, -1);
	}
	ds_canvas_text(page, left, TOP - 34, 1, ink, titles[which], -1);
	int x = left;
	snprintf(text, sizeof text, "map %.3f   ", area(mine, c->n));
	x += ds_canvas_text(page, x, TOP - 18, 1, colors[which], text, -1);
	if (c->chance) {
		snprintf(text, sizeof text, "random orders %.3f", area(random, c->chance));
		ds_canvas_text(page, x, TOP - 18, 1, pale, text, -1);
	}
	ds_canvas_text(page, left + (PLOT_W - ds_text_width(1, axes[which], -1)) / 2, TOP + PLOT_H + 24, 1, ink, axes[which], -1);
	return DS_OK;
}

ds_status ex_curves_draw(const job *j, const ex_curves *c, ds_err *err)
{
	static const char *const text[] = { "Software", "ds-explain", NULL };
	ds_canvas page;
	ds_sink *out = NULL;
	char title[160];
	if (!c->n)
		return DS_OK;
	DS_TRY(ds_canvas_init(&page, LEFT + PLOT_W + BETWEEN + PLOT_W + RIGHT, TOP + PLOT_H + BELOW, paper, err));
	snprintf(title, sizeof title, "%.60s: probability of the class, mean of %llu maps", j->method->name, (unsigned long long)c->n);
	ds_canvas_text(&page, LEFT, 10, 1, ink, title, -1);
	ds_status rc = plot(c, 0, &page, LEFT, err);
	if (rc == DS_OK)
		rc = plot(c, 1, &page, LEFT + PLOT_W + BETWEEN, err);
	if (rc == DS_OK)
		rc = ds_sink_open(&out, j->s->curves, err);
	if (rc == DS_OK)
		rc = ds_png_write(out, &page, text, err);
	ds_canvas_done(&page);
	if (rc == DS_OK)
		return ds_sink_commit(out, err);
	ds_sink_abort(out);
	return rc;
}
