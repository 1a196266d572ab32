/* page_graph.c - the graph as a drawing: boxes coloured by their share of the time, edges through the layers */
#include "page_int.h"
#include "layout.h"

#include <math.h>
#include <string.h>

#define BOX_H 40.0
#define BOX_MIN 96.0
#define BOX_MAX 196.0
#define MARGIN 16.0
enum { NAME_MOST = 28, OP_MOST = 18, HEATS = 10 };

/* Characters as far as a box of text cares. */
static double characters(const char *s, int most)
{
	size_t n = s ? strlen(s) : 0;
	return (double)DS_MIN(n, (size_t)most);
}

static double box_width(const ds_page_node *n)
{
	double share = n->kind == DS_PAGE_STEP ? 46 : 8;
	double w = fmax(characters(n->op, OP_MOST) * 7.6 + share, characters(n->name, NAME_MOST) * 6.1) + 24;
	return fmin(fmax(w, BOX_MIN), BOX_MAX);
}

/* Roots spread the small shares, which are many, over the colours. */
static int heat(const ds_page_view *v, const ds_page_node *n)
{
	if (!(v->most > 0) || isnan(n->seconds))
		return 0;
	return (int)fmin(sqrt(n->seconds / v->most) * HEATS, HEATS - 1);
}

static void draw_edge(ds_buf *b, const ds_layout_graph *g, const ds_layout_edge *e)
{
	const ds_layout_node *from = &g->node[e->from], *to = &g->node[e->to];
	double x = from->x, y = from->y + from->h / 2;
	ds_buf_printf(b, "<path data-e=\"%d %d\" d=\"M", e->from, e->to);
	ds_page_xy(b, x, y);
	for (int i = 0; i <= e->n_bend; i++) {
		bool last = i == e->n_bend;
		double x1 = last ? to->x : e->bend[i].x, y1 = last ? to->y - to->h / 2 - 5 : e->bend[i].y - BOX_H / 2;
		if (fabs(x1 - x) < 0.5) {
			ds_buf_str(b, "L");
		} else {
			ds_buf_printf(b, "C%.1f %.1f %.1f %.1f ", x, (y + y1) / 2, x1, (y + y1) / 2);
		}
		ds_page_xy(b, x1, y1);
		x = x1;
		y = y1;
		if (!last && e->bend[i].y + BOX_H / 2 > y) {
			y = e->bend[i].y + BOX_H / 2;
			ds_buf_str(b, "L");
			ds_page_xy(b, x, y);
		}
	}
	ds_buf_str(b, "\" marker-end=\"url(#a)\"/>\n");
}

static void draw_node(ds_buf *b, const ds_page_view *v, int i, const ds_layout_node *box)
{
	const ds_page_node *n = &v->p->node[i];
	bool step = n->kind == DS_PAGE_STEP;
	double x = box->x - box->w / 2, y = box->y - box->h / 2;
	ds_buf_printf(b, "<g class=\"n %s%d\"", step ? "h" : "io h", step ? heat(v, n) : 0);
	ds_page_mark(b, v, i);
	ds_buf_printf(b, "><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%d\"/>", x, y, box->w, box->h, step ? 5 : 20);
	if (step)
		ds_buf_printf(b, "<rect class=\"c%d\" x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"%.1f\" rx=\"2\"/>", v->color[i], x + 2, y + 4, box->h - 8);
	ds_buf_printf(b, "<text class=\"op\" x=\"%.1f\" y=\"%.1f\">", x + 12, y + 17);
	ds_page_short(b, n->op ? n->op : "", OP_MOST);
	ds_buf_printf(b, "</text><text x=\"%.1f\" y=\"%.1f\">", x + 12, y + 32);
	ds_page_short(b, n->name ? n->name : "", NAME_MOST);
	ds_buf_str(b, "</text>");
	if (step && !isnan(n->seconds))
		ds_buf_printf(b, "<text class=\"pc\" x=\"%.1f\" y=\"%.1f\">%.1f %%</text>", x + box->w - 8, y + 17, 100 * n->seconds / v->p->wall);
	ds_buf_str(b, "</g>\n");
}

static void legend(ds_buf *b)
{
	ds_buf_str(b, "<div class=\"bar-above\"><span class=\"legend\">share of the time: less <svg width=\"160\" height=\"12\" role=\"img\" aria-label=\"colours of the share of time\">");
	for (int i = 0; i < HEATS; i++)
		ds_buf_printf(b, "<rect class=\"key h%d\" x=\"%d\" y=\"0\" width=\"16\" height=\"12\"/>", i, i * 16);
	ds_buf_str(b, "</svg> more</span><span class=\"zoom\"><button type=\"button\" data-z=\"0.8\">\xE2\x88\x92</button><button type=\"button\" data-z=\"1.25\">+</button>"
		"<button type=\"button\" data-z=\"1\">1:1</button><button type=\"button\" data-z=\"0\">whole</button></span></div>\n");
}

ds_status ds_page_graph(ds_buf *b, const ds_page_view *v, ds_err *err)
{
	const ds_page *p = v->p;
	ds_layout_graph g = { .n_node = p->n_node, .n_edge = p->n_edge, .gap_x = 18, .gap_y = 26 };
	ds_status rc = DS_OK;
	g.node = ds_calloc((size_t)p->n_node + 1, sizeof *g.node);
	g.edge = ds_calloc((size_t)p->n_edge + 1, sizeof *g.edge);
	if (!g.node || !g.edge)
		rc = ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < p->n_node; i++)
		g.node[i] = (ds_layout_node){ .w = box_width(&p->node[i]), .h = BOX_H };
	for (int i = 0; rc == DS_OK && i < p->n_edge; i++)
		g.edge[i] = (ds_layout_edge){ .from = p->edge[i].from, .to = p->edge[i].to };
	if (rc == DS_OK)
		rc = ds_layout_make(&g, err);
	if (rc == DS_OK) {
		double w = g.width + 2 * MARGIN, h = g.height + 2 * MARGIN;
		legend(b);
		ds_buf_printf(b, "<div class=\"scroll\" id=\"view\"><svg id=\"net\" width=\"%.0f\" height=\"%.0f\" viewBox=\"%.1f %.1f %.1f %.1f\" role=\"img\" aria-label=\"graph of the model\">\n"
			"<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"2\" refY=\"4\" markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8Z\"/></marker></defs>\n"
			"<g class=\"edges\">\n", w, h, -MARGIN, -MARGIN, w, h);
		for (int i = 0; i < g.n_edge; i++)
			draw_edge(b, &g, &g.edge[i]);
		ds_buf_str(b, "</g>\n");
		for (int i = 0; i < g.n_node; i++)
			draw_node(b, v, i, &g.node[i]);
		ds_buf_str(b, "</svg></div>\n");
		ds_layout_done(&g);
	}
	ds_free(g.node);
	ds_free(g.edge);
	return rc;
}
