/* page_chart.c - the roofline and the memory over time as drawings */
#include "page_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { W = 960, LEFT = 70, RIGHT = 20 };

/* ---- roofline -------------------------------------------------------------------------------------------------------------------------- */

typedef struct logaxis { double lo, hi, from, to; } logaxis;           /* decades lo..hi drawn from..to */

static double at(const logaxis *a, double v)
{
	return a->from + (log10(v) - a->lo) / (a->hi - a->lo) * (a->to - a->from);
}

static bool has_dot(const ds_page_node *n)
{
	return n->kind == DS_PAGE_STEP && n->seconds > 0 && n->ops > 0 && n->bytes > 0;
}

static double most(const ds_page_ceiling *c, int n)
{
	double v = 0;
	for (int i = 0; i < n; i++)
		v = fmax(v, c[i].rate);
	return v;
}

static void widen(double *lo, double *hi, double v)
{
	*lo = fmin(*lo, v);
	*hi = fmax(*hi, v);
}

/* Decades that hold all dots and the bends of the ceilings, with a little air. */
static void axes(const ds_page *p, logaxis *x, logaxis *y)
{
	double x0 = 1, x1 = 10, y0 = INFINITY, y1 = 0, top = most(p->compute, p->n_compute);
	for (int i = 0; i < p->n_node; i++)
		if (has_dot(&p->node[i])) {
			widen(&x0, &x1, p->node[i].ops / p->node[i].bytes);
			widen(&y0, &y1, p->node[i].ops / p->node[i].seconds);
		}
	for (int i = 0; i < p->n_memory; i++)
		if (p->memory[i].rate > 0 && top > 0)
			widen(&x0, &x1, top / p->memory[i].rate);
	if (top > 0)
		widen(&y0, &y1, top * 1.6);
	if (!(y1 > 0)) {
		y0 = 1e9;
		y1 = 1e10;
	}
	*x = (logaxis){ fmax(floor(log10(x0) * 2) / 2, -4), ceil(log10(x1) * 2 + 0.2) / 2, LEFT, W - RIGHT };
	*y = (logaxis){ fmax(floor(log10(y0) * 2 - 0.2) / 2, log10(y1) - 6), ceil(log10(y1) * 4) / 4, 430, 14 };
}

static void tick_text(ds_buf *b, double x, double y, const char *anchor, double v)
{
	ds_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.6g</text>", x, y, anchor, v);
}

static void grid(ds_buf *b, const logaxis *x, const logaxis *y)
{
	for (int e = (int)ceil(x->lo); e <= (int)floor(x->hi); e++) {
		double px = at(x, pow(10, e));
		ds_buf_printf(b, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", px, y->to, y->from);
		tick_text(b, px, y->from + 16, "middle", pow(10, e));
	}
	for (int e = (int)ceil(y->lo); e <= (int)floor(y->hi); e++) {
		double py = at(y, pow(10, e));
		ds_buf_printf(b, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", x->from, py, x->to);
		tick_text(b, x->from - 6, py + 4, "end", pow(10, e - 9));
	}
	ds_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">operations per byte touched</text>"
		"<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>\n", (x->from + x->to) / 2, y->from + 34, (y->from + y->to) / 2);
}

/* Slopes end where the highest flat ceiling begins; flat ceilings begin where the steepest slope reaches them. */
static void ceilings(ds_buf *b, const ds_page *p, const logaxis *x, const logaxis *y)
{
	double top = most(p->compute, p->n_compute), steep = most(p->memory, p->n_memory);
	double slope = -atan2((y->from - y->to) / (y->hi - y->lo), (x->to - x->from) / (x->hi - x->lo)) * 180 / acos(-1);
	double x0 = pow(10, x->lo), x1 = pow(10, x->hi);
	for (int i = 0; i < p->n_memory; i++) {
		double r = p->memory[i].rate, from = fmax(x0, pow(10, y->lo) / r), to = top > 0 ? fmin(top / r, x1) : x1;
		if (!(r > 0) || from >= to)
			continue;
		ds_buf_printf(b, "<path class=\"ceiling\" d=\"M%.1f %.1fL%.1f %.1f\"/>", at(x, from), at(y, from * r), at(x, to), at(y, to * r));
		ds_buf_printf(b, "<text class=\"ceiling\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" dx=\"10\" dy=\"-5\">", at(x, from), at(y, from * r), slope);
		ds_page_text(b, p->memory[i].name);
		ds_buf_printf(b, " %.3g GB/s</text>\n", r * 1e-9);
	}
	for (int i = 0; i < p->n_compute; i++) {
		double c = p->compute[i].rate, from = steep > 0 ? fmax(x0, c / steep) : x0;
		if (!(c > 0) || from >= x1)
			continue;
		ds_buf_printf(b, "<path class=\"ceiling\" d=\"M%.1f %.1fH%.1f\"/><text class=\"ceiling\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", at(x, from), at(y, c), x->to, x->to - 4,
			at(y, c) - 5);
		ds_page_text(b, p->compute[i].name);
		ds_buf_printf(b, " %.4g GFLOP/s</text>\n", c * 1e-9);
	}
}

static void color_legend(ds_buf *b, const ds_page_view *v)
{
	ds_buf_str(b, "<p class=\"legend\">");
	for (int i = 0; i < DS_MIN(v->n_op, DS_PAGE_COLORS); i++) {
		bool rest = i == DS_PAGE_COLORS - 1 && v->n_op > DS_PAGE_COLORS;
		ds_buf_printf(b, "<span><i class=\"dot c%d\"></i>", i);
		ds_page_text(b, rest ? "others" : v->op[i].op);
		ds_buf_str(b, "</span> ");
	}
	ds_buf_str(b, "</p>\n");
}

void ds_page_roofline(ds_buf *b, const ds_page_view *v)
{
	const ds_page *p = v->p;
	logaxis x, y;
	int dots = 0;
	for (int i = 0; i < p->n_node; i++)
		dots += has_dot(&p->node[i]);
	if (!p->n_compute && !p->n_memory)
		ds_buf_str(b, "<p>The ceilings of this machine were not measured.</p>\n");
	if (!dots) {
		ds_buf_str(b, "<p>No step was measured that computes anything.</p>\n");
		return;
	}
	axes(p, &x, &y);
	ds_buf_str(b, "<p>Each dot is a step, as large as the time it takes; what lies far below the lines could be faster.</p>\n");
	color_legend(b, v);
	ds_buf_printf(b, "<svg class=\"chart\" viewBox=\"0 0 %d 474\" role=\"img\" aria-label=\"roofline\">\n", W);
	grid(b, &x, &y);
	ceilings(b, p, &x, &y);
	/* large dots first, so that small ones can be pointed at; three passes by size are enough */
	for (int pass = 0; pass < 3; pass++)
		for (int i = 0; i < p->n_node; i++) {
			const ds_page_node *n = &p->node[i];
			double r = has_dot(n) ? 3 + 11 * sqrt(n->seconds / v->most) : 0;
			if (!has_dot(n) || (r > 9 ? 0 : r > 5 ? 1 : 2) != pass)
				continue;
			double cy = fmin(at(&y, n->ops / n->seconds), y.from);
			ds_buf_printf(b, "<circle class=\"d c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", v->color[i], fmax(at(&x, n->ops / n->bytes), x.from), cy, r);
			ds_page_mark(b, v, i);
			ds_buf_str(b, "/>\n");
		}
	ds_buf_str(b, "</svg>\n");
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------------- */

/* A round step that divides `top` into 3 to 6 parts, in powers of 2 as bytes are counted. */
static double byte_tick(double top)
{
	double t = 1;
	while (top / t > 6)
		t *= 2;
	return t;
}

static char *tick_bytes(char *buf, double v)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB" };
	int u = 0;
	for (; u < 3 && v >= 1024; u++)
		v /= 1024;
	snprintf(buf, 32, "%.4g %s", v, unit[u]);
	return buf;
}

static void byte_axis(ds_buf *b, double top, double y0, double y1)
{
	char text[32];
	for (double v = 0, tick = byte_tick(top); v <= top * 1.0001; v += tick) {
		double y = y0 + (y1 - y0) * v / top;
		ds_buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT, y, W - RIGHT, LEFT - 6, y + 4, tick_bytes(text, v));
	}
	ds_buf_str(b, "\n");
}

typedef struct holder { const ds_page_block *block; } holder;

static int larger(const void *a, const void *b)
{
	const ds_page_block *x = ((const holder *)a)->block, *y = ((const holder *)b)->block;
	return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : x->first - y->first;
}

/* The blocks that are there at the peak, largest first. */
static void holders(ds_buf *b, const ds_page *p, int step)
{
	enum { SHOWN = 8 };
	holder *h = ds_calloc((size_t)p->n_block + 1, sizeof *h);
	char text[32];
	int n = 0;
	for (int i = 0; h && i < p->n_block; i++)
		if (p->block[i].first <= step && step <= p->block[i].last)
			h[n++].block = &p->block[i];
	if (n) {
		qsort(h, (size_t)n, sizeof *h, larger);
		ds_buf_str(b, "<h3>Who holds the peak</h3>\n<table>\n<thead><tr><th>value</th><th>&#160;</th><th class=\"r\">bytes</th><th class=\"r\">steps</th></tr></thead>\n<tbody>\n");
		for (int i = 0; i < DS_MIN(n, SHOWN); i++) {
			ds_buf_str(b, "<tr><td>");
			ds_page_text(b, h[i].block->name);
			ds_buf_printf(b, "</td><td class=\"bar\"><i class=\"c0\" style=\"width:%.2f%%\"></i></td><td class=\"r\">%s</td><td class=\"r\">%d\xE2\x80\x93%d</td></tr>\n",
				100 * h[i].block->bytes / h[0].block->bytes, ds_page_bytes(text, h[i].block->bytes), h[i].block->first + 1, h[i].block->last + 1);
		}
		ds_buf_str(b, "</tbody>\n</table>\n");
	}
	b->oom |= !h;
	ds_free(h);
}

/* What lies where in the arena: a rectangle from first to last step, from its offset up. */
static void arena(ds_buf *b, const ds_page *p, int n_step, double width)
{
	double top = 0, y0 = 240, y1 = 10;
	char text[32];
	for (int i = 0; i < p->n_block; i++)
		top = fmax(top, p->block[i].offset + p->block[i].bytes);
	if (!(top > 0))
		return;
	ds_buf_printf(b, "<h3>Places in the arena</h3>\n<svg class=\"chart\" viewBox=\"0 0 %d 262\" role=\"img\" aria-label=\"values in the arena over time\">\n", W);
	byte_axis(b, top, y0, y1);
	for (int i = 0; i < p->n_block; i++) {
		const ds_page_block *k = &p->block[i];
		int last = DS_MIN(k->last, n_step - 1), first = DS_MAX(k->first, 0);
		if (first > last)
			continue;
		double h = (y0 - y1) * k->bytes / top;
		ds_buf_printf(b, "<rect class=\"block b%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" data-t=\"", i % 2, LEFT + first * width, y0 - (y0 - y1) * k->offset / top - h,
			(last - first + 1) * width, fmax(h, 0.5));
		ds_page_text(b, k->name);
		ds_buf_printf(b, "&#10;%s, steps %d to %d\"/>\n", ds_page_bytes(text, k->bytes), first + 1, last + 1);
	}
	ds_buf_printf(b, "<text x=\"%d\" y=\"258\" text-anchor=\"middle\">step</text></svg>\n", (LEFT + W - RIGHT) / 2);
}

void ds_page_memory(ds_buf *b, const ds_page_view *v)
{
	const ds_page *p = v->p;
	double peak = 0, y0 = 240, y1 = 14;
	int n_step = 0, peak_step = 0, peak_node = 0;
	char text[32], other[32];
	for (int i = 0; i < p->n_node; i++) {
		if (p->node[i].kind != DS_PAGE_STEP)
			continue;
		if (p->node[i].live > peak) {
			peak = p->node[i].live;
			peak_step = n_step;
			peak_node = i;
		}
		n_step++;
	}
	if (!(peak > 0)) {
		ds_buf_str(b, "<p>No memory for intermediate values.</p>\n");
		return;
	}
	double width = (double)(W - LEFT - RIGHT) / n_step, top = fmax(peak, isnan(p->planned) ? 0 : p->planned) * 1.08;
	if (p->planned > 0) {
		ds_buf_printf(b, "<p>Planned: %s; ", ds_page_bytes(text, p->planned));
		ds_buf_printf(b, "without reuse of memory it would be %s.</p>\n", ds_page_bytes(other, p->naive));
	}
	ds_buf_printf(b, "<svg class=\"chart\" viewBox=\"0 0 %d 272\" role=\"img\" aria-label=\"memory over time\">\n", W);
	byte_axis(b, top, y0, y1);
	ds_buf_printf(b, "<path class=\"area\" d=\"M%d %.1f", LEFT, y0);
	for (int i = 0, s = 0; i < p->n_node; i++)
		if (p->node[i].kind == DS_PAGE_STEP) {
			ds_buf_printf(b, "V%.1fH%.1f", y0 - (y0 - y1) * (isnan(p->node[i].live) ? 0 : p->node[i].live) / top, LEFT + (s + 1) * width);
			s++;
		}
	ds_buf_printf(b, "V%.1fZ\"/>\n", y0);
	for (int i = 0, s = 0; i < p->n_node; i++)
		if (p->node[i].kind == DS_PAGE_STEP) {
			ds_buf_printf(b, "<rect class=\"hit\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" data-i=\"%d\" data-t=\"", LEFT + s * width, y1, width, y0 - y1, i);
			ds_page_text(b, p->node[i].name ? p->node[i].name : "");
			ds_buf_printf(b, "&#10;step %d of %d: %s\"/>\n", s + 1, n_step, ds_page_bytes(text, p->node[i].live));
			s++;
		}
	double py = y0 - (y0 - y1) * peak / top, px = LEFT + (peak_step + 0.5) * width;
	bool right = px > W * 0.6;
	ds_buf_printf(b, "<path class=\"peak\" d=\"M%d %.1fH%d\"/><circle class=\"peak\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/><text class=\"peak\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">peak %s in ", LEFT, py,
		W - RIGHT, px, py, px + (right ? -8 : 8), py - 5, right ? "end" : "start", ds_page_bytes(text, peak));
	ds_page_short(b, p->node[peak_node].name ? p->node[peak_node].name : "", 40);
	ds_buf_printf(b, "</text>\n<text x=\"%d\" y=\"262\" text-anchor=\"middle\">step</text></svg>\n", (LEFT + W - RIGHT) / 2);
	arena(b, p, n_step, width);
	holders(b, p, peak_step);
}
