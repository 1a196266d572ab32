/* page.c - the page as a whole: head, tiles, tables with bars; the drawings are in page_graph.c and page_chart.c */
#include "page_int.h"
#include "../base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts and numbers ----------------------------------------------------------------------------------------------------------------- */

static void escaped(ds_buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		switch (s[i]) {
		case '&':  ds_buf_str(b, "&amp;");  break;
		case '<':  ds_buf_str(b, "&lt;");   break;
		case '>':  ds_buf_str(b, "&gt;");   break;
		case '"':  ds_buf_str(b, "&quot;"); break;
		case '\'': ds_buf_str(b, "&#39;");  break;
		default:   ds_buf_add(b, s + i, 1);
		}
	}
}

void ds_page_text(ds_buf *b, const char *s)
{
	ds_buf q = { 0 };
	ds_text_quote(&q, s, strlen(s));
	if (q.len)
		escaped(b, q.data, q.len);
	b->oom |= q.oom;
	ds_buf_done(&q);
}

void ds_page_short(ds_buf *b, const char *s, int most)
{
	ds_buf q = { 0 };
	int n = 0;
	ds_text_quote(&q, s, strlen(s));
	for (size_t i = 0; i < q.len; i++)
		n += (q.data[i] & 0xC0) != 0x80;        /* characters, not bytes */
	if (n <= most) {
		if (q.len)
			escaped(b, q.data, q.len);
	} else {
		int head = (most - 1) / 3, tail = most - 1 - head, at = 0;      /* the end of a layer's name tells more than its beginning */
		size_t a = 0, z = q.len;
		for (size_t i = 0; i < q.len; i++) {
			if ((q.data[i] & 0xC0) == 0x80)
				continue;
			if (at == head)
				a = i;
			if (at == n - tail)
				z = i;
			at++;
		}
		escaped(b, q.data, a);
		ds_buf_str(b, "\xE2\x80\xA6");
		escaped(b, q.data + z, q.len - z);
	}
	b->oom |= q.oom;
	ds_buf_done(&q);
}

static char *scaled(char *buf, double v, const char *const *unit, const double *factor, int n)
{
	int i = 0;
	while (i + 1 < n && fabs(v) < factor[i] * 0.9995)
		i++;
	v /= factor[i];
	snprintf(buf, 32, fabs(v) >= 99.95 || v == 0 ? "%.0f%s" : fabs(v) >= 9.995 ? "%.1f%s" : "%.2f%s", v, unit[i]);
	return buf;
}

char *ds_page_seconds(char *buf, double v)
{
	static const char *const unit[] = { " s", " ms", " \xC2\xB5s", " ns" };
	static const double factor[] = { 1, 1e-3, 1e-6, 1e-9 };
	return scaled(buf, v, unit, factor, v == 0 ? 1 : 4);
}

char *ds_page_count(char *buf, double v)
{
	static const char *const unit[] = { " T", " G", " M", " k", "" };
	static const double factor[] = { 1e12, 1e9, 1e6, 1e3, 1 };
	return scaled(buf, v, unit, factor, 5);
}

char *ds_page_bytes(char *buf, double v)
{
	static const char *const unit[] = { " GiB", " MiB", " KiB", " B" };
	static const double factor[] = { 1073741824, 1048576, 1024, 1 };
	return scaled(buf, v, unit, factor, 4);
}

void ds_page_xy(ds_buf *b, double x, double y)
{
	ds_buf_printf(b, "%.1f %.1f", x, y);
}

static const char *known(const char *s) { return s ? s : ""; }

void ds_page_mark(ds_buf *b, const ds_page_view *v, int i)
{
	const ds_page_node *n = &v->p->node[i];
	char t[32], u[32], w[32];
	ds_buf_printf(b, " data-i=\"%d\" data-t=\"", i);
	ds_page_text(b, known(n->name));
	ds_buf_str(b, "&#10;");
	ds_page_text(b, known(n->op));
	if (n->kernel && *n->kernel) {
		ds_buf_str(b, " \xC2\xB7 ");
		ds_page_text(b, n->kernel);
	}
	if (n->out && *n->out) {
		ds_buf_str(b, "&#10;");
		ds_page_text(b, n->out);
	}
	if (n->kind == DS_PAGE_STEP && !isnan(n->seconds)) {
		ds_buf_printf(b, "&#10;%s (quartiles %s to %s)&#10;%.1f %% of the run", ds_page_seconds(t, n->seconds), ds_page_seconds(u, n->q1), ds_page_seconds(w, n->q3),
			100 * n->seconds / v->p->wall);
		if (n->seconds > 0 && n->ops > 0)
			ds_buf_printf(b, "&#10;%.3g GFLOP/s, %.3g GB/s", n->ops / n->seconds * 1e-9, n->bytes / n->seconds * 1e-9);
		if (n->least > 0 && n->seconds > 0) {
			ds_buf_printf(b, "&#10;%.0f %% of the ceiling of ", 100 * n->least / n->seconds);
			ds_page_text(b, n->bound && *n->bound ? n->bound : "this machine");
		}
	}
	ds_buf_str(b, "\"");
}

/* ---- what is derived once -------------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const ds_page_op *x = a, *y = b;
	return x->seconds != y->seconds ? (x->seconds < y->seconds) - (x->seconds > y->seconds) : strcmp(x->op, y->op);
}

static double not_nan(double v) { return isnan(v) ? 0 : v; }

static ds_status derive(ds_page_view *v, const ds_page *p, ds_err *err)
{
	v->p = p;
	v->op = ds_calloc((size_t)p->n_node + 1, sizeof *v->op);
	v->color = ds_calloc((size_t)p->n_node + 1, sizeof *v->color);
	if (!v->op || !v->color)
		return ds_fail_nomem(err, (size_t)p->n_node);
	for (int i = 0; i < p->n_node; i++) {
		const ds_page_node *n = &p->node[i];
		int k = 0;
		if (n->kind != DS_PAGE_STEP)
			continue;
		while (k < v->n_op && strcmp(v->op[k].op, known(n->op)) != 0)
			k++;
		if (k == v->n_op)
			v->op[v->n_op++].op = known(n->op);
		v->op[k].n++;
		v->op[k].seconds += not_nan(n->seconds);
		v->op[k].ops += not_nan(n->ops);
		v->op[k].bytes += not_nan(n->bytes);
		v->most = fmax(v->most, not_nan(n->seconds));
	}
	qsort(v->op, (size_t)v->n_op, sizeof *v->op, by_time);
	for (int i = 0; i < p->n_node; i++) {
		int k = 0;
		while (p->node[i].kind == DS_PAGE_STEP && strcmp(v->op[k].op, known(p->node[i].op)) != 0)
			k++;
		v->color[i] = p->node[i].kind == DS_PAGE_STEP ? DS_MIN(k, DS_PAGE_COLORS - 1) : DS_PAGE_COLORS - 1;
	}
	return DS_OK;
}

/* ---- sections -------------------------------------------------------------------------------------------------------------------------- */

static void head(ds_buf *b, const ds_page *p)
{
	ds_buf_str(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>");
	ds_page_text(b, p->title);
	ds_buf_str(b, " \xE2\x80\x93 ds-profile</title>\n<style>\n");
	ds_buf_str(b, ds_page_style);
	ds_buf_str(b, "</style>\n</head>\n<body>\n<header>\n<h1>");
	ds_page_text(b, p->title);
	ds_buf_str(b, "</h1>\n<div class=\"tiles\">\n");
	for (int i = 0; i < p->n_tile; i++) {
		ds_buf_str(b, "<div><b>");
		ds_page_text(b, p->tile[i].value);
		ds_buf_str(b, "</b><span>");
		ds_page_text(b, p->tile[i].key);
		ds_buf_str(b, "</span></div>\n");
	}
	ds_buf_str(b, "</div>\n<details><summary>Machine and versions</summary>\n<table class=\"facts\">\n");
	for (int i = 0; i < p->n_fact; i++) {
		ds_buf_str(b, "<tr><th>");
		ds_page_text(b, p->fact[i].key);
		ds_buf_str(b, "</th><td>");
		ds_page_text(b, p->fact[i].value);
		ds_buf_str(b, "</td></tr>\n");
	}
	ds_buf_str(b, "</table>\n</details>\n<nav><a href=\"#graph\">Graph</a> <a href=\"#time\">Time</a> <a href=\"#roofline\">Roofline</a> <a href=\"#memory\">Memory</a></nav>\n"
		"</header>\n<main>\n");
}

static void bar(ds_buf *b, int color, double share)
{
	ds_buf_printf(b, "<td class=\"bar\"><i class=\"c%d\" style=\"width:%.2f%%\"></i></td>", color, 100 * fmin(fmax(not_nan(share), 0), 1));
}

/* A cell that sorts by v and shows `text`. */
static void cell(ds_buf *b, double v, const char *fmt, ...) DS_PRINTF(3, 4);
static void cell(ds_buf *b, double v, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (isnan(v) || isinf(v))
		ds_buf_str(b, "<td class=\"r\" data-v=\"-1\">\xE2\x80\x93</td>");
	else
		ds_buf_printf(b, "<td class=\"r\" data-v=\"%.9g\">%s</td>", v, text);
}

static void cell_text(ds_buf *b, const char *s, const char *tag)
{
	ds_buf_printf(b, "<%s>", tag);
	ds_page_text(b, known(s));
	ds_buf_printf(b, "</%s>", tag);
}

/* A row of time that no operator took. */
static void rest(ds_buf *b, const ds_page *p, const char *what, double v, double most)
{
	char t[32];
	ds_buf_printf(b, "<tr><td class=\"muted\">%s</td><td></td>", what);
	bar(b, DS_PAGE_COLORS - 1, most > 0 ? v / most : 0);
	cell(b, v, "%s", ds_page_seconds(t, v));
	cell(b, v / p->wall, "%.1f %%", 100 * v / p->wall);
	ds_buf_str(b, "<td></td><td></td></tr>\n");
}

static void operators(ds_buf *b, const ds_page_view *v)
{
	const ds_page *p = v->p;
	char t[32];
	double most = fmax(fmax(v->n_op ? v->op[0].seconds : 0, not_nan(p->overhead)), not_nan(p->variation));
	ds_buf_str(b, "<h3>By type of operator</h3>\n<table class=\"sort\">\n<thead><tr><th>operator</th><th class=\"r\">nodes</th><th>&#160;</th><th class=\"r\">time</th>"
		"<th class=\"r\">share</th><th class=\"r\">GFLOP/s</th><th class=\"r\">GB/s</th></tr></thead>\n<tbody>\n");
	for (int i = 0; i < v->n_op; i++) {
		const ds_page_op *o = &v->op[i];
		ds_buf_str(b, "<tr>");
		cell_text(b, o->op, "td");
		cell(b, o->n, "%d", o->n);
		bar(b, DS_MIN(i, DS_PAGE_COLORS - 1), most > 0 ? o->seconds / most : 0);
		cell(b, o->seconds, "%s", ds_page_seconds(t, o->seconds));
		cell(b, o->seconds / p->wall, "%.1f %%", 100 * o->seconds / p->wall);
		cell(b, o->ops / o->seconds, "%.3g", o->ops / o->seconds * 1e-9);
		cell(b, o->bytes / o->seconds, "%.3g", o->bytes / o->seconds * 1e-9);
		ds_buf_str(b, "</tr>\n");
	}
	rest(b, p, "around the steps", p->overhead, most);
	if (!isnan(p->variation))
		rest(b, p, "variation of the medians", p->variation, most);
	ds_buf_str(b, "</tbody>\n</table>\n");
}

static void nodes(ds_buf *b, const ds_page_view *v)
{
	const ds_page *p = v->p;
	char t[32], q[32], r[32];
	ds_buf_str(b, "<h3>By node</h3>\n<div class=\"scroll rows\"><table class=\"sort\" id=\"nodes\">\n<thead><tr><th class=\"r\">#</th><th>node</th><th>operator</th><th>kernel</th>"
		"<th>output</th><th>&#160;</th><th class=\"r\">time</th><th class=\"r\">quartiles</th><th class=\"r\">share</th><th class=\"r\">GFLOP/s</th><th class=\"r\">GB/s</th>"
		"<th class=\"r\">of ceiling</th><th>limit</th></tr></thead>\n<tbody>\n");
	for (int i = 0, step = 0; i < p->n_node; i++) {
		const ds_page_node *n = &p->node[i];
		if (n->kind != DS_PAGE_STEP)
			continue;
		ds_buf_printf(b, "<tr data-i=\"%d\">", i);
		step++;
		cell(b, step, "%d", step);
		cell_text(b, n->name, "td");
		cell_text(b, n->op, "td");
		cell_text(b, n->kernel, "td");
		cell_text(b, n->out, "td");
		bar(b, v->color[i], v->most > 0 ? n->seconds / v->most : 0);
		cell(b, n->seconds, "%s", ds_page_seconds(t, n->seconds));
		cell(b, n->q3 - n->q1, "%s\xE2\x80\x93%s", ds_page_seconds(q, n->q1), ds_page_seconds(r, n->q3));
		cell(b, n->seconds / p->wall, "%.1f %%", 100 * n->seconds / p->wall);
		cell(b, n->ops / n->seconds, "%.3g", n->ops / n->seconds * 1e-9);
		cell(b, n->bytes / n->seconds, "%.3g", n->bytes / n->seconds * 1e-9);
		cell(b, n->least > 0 ? n->least / n->seconds : NAN, "%.0f %%", 100 * n->least / n->seconds);
		cell_text(b, n->bound, "td");
		ds_buf_str(b, "</tr>\n");
	}
	ds_buf_str(b, "</tbody>\n</table></div>\n");
}

/* Figures that can be drawn: what is negative, infinite or beyond reason is taken as not known. */
static double sane(double v) { return v >= 0 && v < 1e18 ? v : NAN; }

static ds_page_node sane_node(const ds_page_node *n)
{
	ds_page_node o = *n;
	double *const figure[] = { &o.seconds, &o.q1, &o.q3, &o.ops, &o.bytes, &o.least, &o.live };
	for (size_t i = 0; i < DS_COUNTOF(figure); i++)
		*figure[i] = sane(*figure[i]);
	return o;
}

ds_status ds_page_write(const ds_page *given, ds_buf *out, ds_err *err)
{
	ds_page_view v = { 0 };
	ds_page page = *given;
	const ds_page *p = &page;
	ds_page_node *node = ds_calloc((size_t)p->n_node + 1, sizeof *node);
	ds_status rc;
	if (!node)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < p->n_node; i++)
		node[i] = sane_node(&given->node[i]);
	page.node = node;
	page.wall = sane(page.wall);
	page.overhead = sane(page.overhead);
	page.variation = isfinite(page.variation) ? page.variation : NAN;
	page.planned = sane(page.planned);
	page.naive = sane(page.naive);
	DS_GOTO(derive(&v, p, err));
	head(out, p);
	ds_buf_str(out, "<section id=\"graph\">\n<h2>Graph</h2>\n");
	DS_GOTO(ds_page_graph(out, &v, err));
	ds_buf_str(out, "</section>\n<section id=\"time\">\n<h2>Time</h2>\n");
	operators(out, &v);
	nodes(out, &v);
	ds_buf_str(out, "</section>\n<section id=\"roofline\">\n<h2>Roofline</h2>\n");
	ds_page_roofline(out, &v);
	ds_buf_str(out, "</section>\n<section id=\"memory\">\n<h2>Memory</h2>\n");
	ds_page_memory(out, &v);
	ds_buf_str(out, "</section>\n</main>\n<div id=\"tip\"></div>\n<script>\n/*<![CDATA[*/\n");
	ds_buf_str(out, ds_page_script);
	ds_buf_str(out, "/*]]>*/\n</script>\n</body>\n</html>\n");
	rc = out->oom ? ds_fail_nomem(err, out->len) : DS_OK;
out:
	ds_free(node);
	ds_free(v.op);
	ds_free(v.color);
	return rc;
}
