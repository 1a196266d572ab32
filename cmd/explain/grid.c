/* grid.c - attention as a grid: a row for each layer, a column for each head, one scale for all
 *
 * Of pictures cut into patches a cell is the picture with the attention of one token (the class token, --position's, else the mean of all) on its patches; of everything
 * else, or with --view=matrix, it is the map itself: queries down, keys to the right. */
#include "panels.h"
#include "explain/attention.h"

#include <math.h>
#include <string.h>

typedef struct grid {
	const ds_map *m;
	size_t   n;
	int      rows, cols;            /* layers, heads */
	bool     patches;
	ds_plane p;                     /* patches: the picture */
	int64_t  first, ph, pw;         /* tokens before the patches, patches */
	uint8_t *seen;
	int      cw, ch, zoom;          /* of a cell */
	double   top;
	ds_colors colors;
} grid;

enum { LEFT = 9 * DS_LETTER_W, CELL = 112, MAP = 160 };      /* CELL, MAP: sides of cells */

static int layers(const grid *g)
{
	int n = 0, last = -1;
	for (size_t i = 0; i < g->n; i++)
		if (g->m[i].layer_index != last) {
			last = g->m[i].layer_index;
			n++;
		}
	return n;
}

/* What cell i shows: f32 of *h rows and *w columns; `own` room for one row. */
static const float *field(const job *j, const grid *g, size_t i, float *own, int64_t *h, int64_t *w)
{
	const ds_map *m = &g->m[i];
	const float *v = m->t.data;
	int64_t tq = m->t.dim[0], tk = m->t.dim[1], row = g->first > 0 ? 0 : -1;
	if (!g->patches) {
		*h = tq;
		*w = tk;
		return v;
	}
	if (ds_given("position"))
		row = DS_MIN(DS_MAX(j->s->position + (j->s->position < 0 ? tq : 0), 0), tq - 1);
	memset(own, 0, (size_t)tk * sizeof *own);
	for (int64_t q = 0; q < tq; q++)
		for (int64_t k = 0; k < tk && (row < 0 || q == row); k++)
			own[k] += v[q * tk + k] / (float)(row < 0 ? tq : 1);
	*h = g->ph;
	*w = g->pw;
	return own + g->first;
}

static bool measure(const job *j, const ex_result *r, grid *g, ds_err *err, ds_status *rc)
{
	int64_t tq = g->m[0].t.dim[0], tk = g->m[0].t.dim[1];
	int most = 0, last = -1, run = 0;
	*rc = DS_OK;
	for (size_t i = 0; i < g->n; i++) {
		run = g->m[i].layer_index == last ? run + 1 : 1;
		last = g->m[i].layer_index;
		most = DS_MAX(most, run);
	}
	g->rows = layers(g);
	g->cols = most;
	g->patches = j->picture && j->s->view != EX_MATRIX && ds_explain_plane(j->x, &r->it.in[g->m[0].input], &g->p) && g->p.h > 1 && tq == tk
		&& ds_patch_grid(tk, g->p.h, g->p.w, &g->first, &g->ph, &g->pw);
	for (size_t i = 0; i < g->n; i++)
		g->patches &= g->m[i].t.dim[0] == tq && g->m[i].t.dim[1] == tk;
	if (g->patches) {
		g->zoom = (int)DS_MAX(1, CELL / DS_MAX(g->p.w, 1));
		g->cw = (int)g->p.w * g->zoom;
		g->ch = (int)g->p.h * g->zoom;
		*rc = ex_seen(j, r, &g->p, &g->seen, err);
		return *rc == DS_OK;
	}
	for (size_t i = 0; i < g->n; i++) {
		tq = DS_MAX(tq, g->m[i].t.dim[0]);
		tk = DS_MAX(tk, g->m[i].t.dim[1]);
	}
	g->zoom = (int)DS_MAX(1, MAP / DS_MAX(DS_MAX(tq, tk), 1));
	if (tq > 512 || tk > 512) {
		*rc = ds_fail(err, DS_E_LIMIT, "attention between %lld tokens is too large to draw: use --raw, or --layer and --head with --top-tokens", (long long)DS_MAX(tq, tk));
		return false;
	}
	g->cw = (int)tk * g->zoom;
	g->ch = (int)tq * g->zoom;
	return true;
}

/* The scale ends where the share --clip of all cells does not go beyond. */
static ds_status scale(const job *j, grid *g, ds_err *err)
{
	int64_t total = 0, h, w, most = 0;
	for (size_t i = 0; i < g->n; i++) {
		total += g->patches ? g->ph * g->pw : ds_tensor_count(&g->m[i].t);
		most = DS_MAX(most, g->m[i].t.dim[1]);
	}
	float *all = ds_malloc((size_t)(total + most + 1) * sizeof *all), *own = all ? all + total : NULL;
	if (!all)
		return ds_fail_nomem(err, 0);
	total = 0;
	for (size_t i = 0; i < g->n; i++) {
		const float *v = field(j, g, i, own, &h, &w);
		memcpy(all + total, v, (size_t)(h * w) * sizeof *all);
		total += h * w;
	}
	g->top = ds_field_top(all, total, j->s->clip);
	ds_free(all);
	return DS_OK;
}

static void draw_cell(const job *j, const grid *g, const float *v, int64_t h, int64_t w, ds_canvas *c, int x, int y)
{
	if (!g->patches) {
		for (int64_t q = 0; q < h; q++)
			for (int64_t k = 0; k < w; k++)
				ds_canvas_rect(c, x + (int)k * g->zoom, y + (int)q * g->zoom, g->zoom, g->zoom, ds_colors_at(&g->colors, g->top > 0 ? (double)v[q * w + k] / g->top : 0));
		return;
	}
	for (int64_t q = 0; q < g->p.h; q++)
		for (int64_t k = 0; k < g->p.w; k++) {
			const uint8_t *s = g->seen + 3 * (q * g->p.w + k);
			int64_t py = DS_MIN(q * h / g->p.h, h - 1), px = DS_MIN(k * w / g->p.w, w - 1);
			ds_rgb heat = ds_colors_at(&g->colors, g->top > 0 ? (double)v[py * w + px] / g->top : 0);
			if (j->s->view != EX_HEAT)
				heat = ds_mix(ds_gray_of((ds_rgb){ s[0], s[1], s[2] }), heat, j->s->opacity);
			ds_canvas_rect(c, x + (int)k * g->zoom, y + (int)q * g->zoom, g->zoom, g->zoom, heat);
		}
}

static ds_status draw(const job *j, const ex_result *r, const grid *g, ds_canvas *c, ds_err *err)
{
	int size = c->w >= 440 ? 2 : 1, head = ex_heading_height(size), step_x = g->cw + EX_GAP, step_y = g->ch + EX_GAP, row = -1, col = 0, last = -1;
	int64_t h, w, most = 0;
	ds_buf b = { 0 };
	for (size_t i = 0; i < g->n; i++)
		most = DS_MAX(most, g->m[i].t.dim[1]);
	float *own = ds_calloc((size_t)most + 1, sizeof *own);
	if (!own)
		return ds_fail_nomem(err, 0);
	ds_status rc = ex_heading(j, r, &g->m[0], g->patches ? "attention to patches: rows layers, columns heads" : "attention: queries down, keys across", c, size, err);
	for (size_t i = 0; i < g->n && rc == DS_OK; i++) {
		const ds_map *m = &g->m[i];
		bool first = m->layer_index != last;
		row += first;
		col = first ? 0 : col + 1;
		last = m->layer_index;
		int x = EX_GAP + LEFT + col * step_x, y = head + DS_LETTER_H + 4 + row * step_y;
		ds_buf_reset(&b);
		if (first) {
			ds_buf_printf(&b, "layer %d", m->layer_index);
			rc = ex_line(c, EX_GAP, y + g->ch / 2 - DS_LETTER_H / 2, 1, LEFT, ex_ink, &b, err);
		}
		ds_buf_reset(&b);
		ds_buf_printf(&b, "head %d", m->head);
		if (row == 0 && rc == DS_OK)
			rc = ex_line(c, x, y - DS_LETTER_H - 4, 1, g->cw, ex_ink, &b, err);
		const float *v = field(j, g, i, own, &h, &w);
		draw_cell(j, g, v, h, w, c, x, y);
	}
	ds_canvas_scale(c, EX_GAP + LEFT, head + DS_LETTER_H + 4 + g->rows * step_y, DS_MIN(256, c->w - 2 * EX_GAP - LEFT), 12, 1, &g->colors, 0, g->top, ex_ink);
	ds_buf_done(&b);
	ds_free(own);
	return rc;
}

ds_status ex_panel_grid(const job *j, const ex_result *r, const ds_map *m, size_t n, ds_canvas *c, ds_err *err)
{
	grid g = { .m = m, .n = n };
	int some;
	ds_status rc;
	*c = (ds_canvas){ 0 };
	if (!ds_colors_make(&g.colors, j->s->colors ? j->s->colors : ds_colormaps(&some)[0].name))
		return ds_fail(err, DS_E_USAGE, "no colours are called \"%.60s\"", j->s->colors);
	if (!measure(j, r, &g, err, &rc))
		return rc;
	DS_GOTO(scale(j, &g, err));
	int64_t width = EX_GAP + LEFT + (int64_t)g.cols * (g.cw + EX_GAP), size = width >= 440 ? 2 : 1;
	DS_GOTO(ds_canvas_init(c, DS_MAX(width, 320), ex_heading_height((int)size) + DS_LETTER_H + 4 + (int64_t)g.rows * (g.ch + EX_GAP) + 40, ex_paper, err));
	rc = draw(j, r, &g, c, err);
out:
	if (rc != DS_OK)
		ds_canvas_done(c);
	ds_free(g.seen);
	return rc;
}
