/* picture.c - maps of pictures as a page of panels: what the network saw, the map over it, its scale, what it says */
#include "panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIR, OVERLAY, HEAT };           /* --view */
enum { GAP = 8, BAR = 12, LEAST = 224 };

static const ds_rgb paper = { 255, 255, 255 }, ink = { 24, 24, 24 }, pale = { 96, 96, 96 };

typedef struct state { ds_canvas *panel; size_t n, cap; } state;

static bool chosen(const job *j)
{
	(void)j;
	return true;
}

static ds_status start(job *j, ds_err *err)
{
	j->state = ds_calloc(1, sizeof(state));
	return j->state ? DS_OK : ds_fail_nomem(err, sizeof(state));
}

/* ---- one panel -------------------------------------------------------------------------------------------------------------------- */
typedef struct panel {
	ds_plane   p;
	uint8_t   *seen;
	float     *v;                   /* h * w */
	double     top;                 /* of the scale */
	bool       has_sign;
	ds_colors  colors;
	int        zoom, size, w;       /* size of letters, width of the panel */
} panel;

static ds_rgb over(const job *j, const panel *k, int64_t i)
{
	double t = k->top > 0 ? (double)k->v[i] / k->top : 0;
	double at = k->has_sign ? 0.5 + 0.5 * t : t, a = j->s->opacity;
	ds_rgb heat = ds_colors_at(&k->colors, at);
	if (j->s->view == HEAT)
		return heat;
	const uint8_t *s = k->seen + 3 * i;
	ds_rgb base = ds_gray_of((ds_rgb){ s[0], s[1], s[2] });
	if (k->has_sign)                /* where nothing speaks for or against, the picture itself is seen */
		a *= fmin(1, 0.15 + 1.7 * fabs(isfinite(t) ? t : 0));
	return ds_mix(base, heat, a);
}

static void draw_map(const job *j, const panel *k, ds_canvas *c, int x, int y)
{
	for (int64_t v = 0; v < k->p.h; v++)
		for (int64_t u = 0; u < k->p.w; u++)
			ds_canvas_rect(c, x + (int)u * k->zoom, y + (int)v * k->zoom, k->zoom, k->zoom, over(j, k, v * k->p.w + u));
}

static ds_status line(const panel *k, ds_canvas *c, int y, ds_rgb color, const ds_buf *text, ds_err *err)
{
	ds_buf b = { 0 };
	ds_text_fit(&b, k->size, k->w - 2 * GAP, text->data ? text->data : "", (int64_t)text->len);
	if (b.oom || text->oom) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, 64);
	}
	ds_canvas_text(c, GAP, y, k->size, color, b.data ? b.data : "", -1);
	ds_buf_done(&b);
	return DS_OK;
}

/* File; class and probability; method, layer, completeness. */
static ds_status labels(const job *j, const panel *k, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	ds_buf b = { 0 };
	char num[24];
	int step = (DS_LETTER_H + 2) * k->size, y = GAP;
	int64_t class_ = ex_class(j, m);
	const char *name = ex_label(j, class_);
	const char *file = r->item->name;
	size_t n = r->item->name_len;
	for (size_t i = 0; i < r->item->path_len && i < r->item->name_len; i++)         /* the last part of the path */
		if (r->item->name[i] == '/' && i + 1 < r->item->name_len) {
			file = r->item->name + i + 1;
			n = r->item->name_len - i - 1;
		}
	ds_text_quote(&b, file, n);
	ds_status rc = line(k, c, y, pale, &b, err);
	ds_buf_reset(&b);
	if (name)
		ds_text_quote(&b, name, strlen(name));
	else
		ds_buf_printf(&b, "class %lld", (long long)class_);
	if (isfinite(m->probability))
		ds_buf_printf(&b, " %s", ds_draw_number(num, m->probability));
	if (rc == DS_OK)
		rc = line(k, c, y + step, ink, &b, err);
	ds_buf_reset(&b);
	ds_buf_str(&b, j->method->name);
	if (m->layer)
		ds_buf_printf(&b, " of %s", m->layer);
	if (m->head >= 0)
		ds_buf_printf(&b, " head %d", m->head);
	if (isfinite(m->gap))
		ds_buf_printf(&b, ", gap %.2g %%", 100 * m->gap);
	if (rc == DS_OK)
		rc = line(k, c, y + 2 * step, pale, &b, err);
	ds_buf_done(&b);
	return rc;
}

static ds_status draw_panel(const job *j, panel *k, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	int64_t w = k->p.w * k->zoom, h = k->p.h * k->zoom;
	int pictures = j->s->view == PAIR ? 2 : 1;
	int64_t width = pictures * w + (pictures + 1) * GAP;
	if (width > DS_CANVAS_MAX || h > DS_CANVAS_MAX - 400)
		return ds_fail(err, DS_E_LIMIT, "a map of %lld x %lld places is too large to draw", (long long)k->p.w, (long long)k->p.h);
	k->w = (int)width;
	k->size = width >= 440 ? 2 : 1;
	int head = 3 * (DS_LETTER_H + 2) * k->size + 2 * GAP, foot = GAP + BAR + 2 + DS_LETTER_H * k->size + GAP;
	DS_TRY(ds_canvas_init(c, width, h + head + foot, paper, err));
	DS_TRY(labels(j, k, r, m, c, err));
	int x = GAP;
	if (pictures == 2) {
		ds_canvas_pixels(c, x, head, k->seen, (int)k->p.w, (int)k->p.h, k->zoom);
		x += (int)w + GAP;
	}
	draw_map(j, k, c, x, head);
	ds_canvas_scale(c, x, head + (int)h + GAP, (int)w, BAR, k->size > 1 && w > 300 ? 2 : 1, &k->colors, k->has_sign ? -k->top : 0, k->top, ink);
	return DS_OK;
}

static ds_status panel_of(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	panel k = { .has_sign = m->has_sign };
	const char *colors = j->s->colors;
	int n;
	ds_status rc;
	*c = (ds_canvas){ 0 };
	if (m->kind == DS_MAP_TOKENS)
		return ex_panel_tokens(j, r, m, c, err);
	if (j->sound)
		return ex_panel_sound(j, r, m, c, err);
	if (m->kind != DS_MAP_PLANE && m->kind != DS_MAP_INPUT)
		return ds_fail(err, DS_E_UNSUPPORTED, "maps of %s are no pictures; use --tsv, --json or --raw", j->method->name);
	if (!ds_explain_plane(j->x, &r->it.in[m->input], &k.p))
		return ds_fail(err, DS_E_UNSUPPORTED, "an input of more axes than a picture has; use --tsv, --json or --raw");
	if (!colors)
		for (int i = 0; !colors; i++)
			colors = ds_colormaps(&n)[i].diverging == m->has_sign ? ds_colormaps(&n)[i].name : NULL;
	if (!ds_colors_make(&k.colors, colors))
		return ds_fail(err, DS_E_USAGE, "no colours are called \"%.60s\"", colors);
	k.zoom = j->s->zoom > 0 ? (int)j->s->zoom : (int)DS_MAX(1, (LEAST + k.p.w - 1) / DS_MAX(k.p.w, 1));
	k.v = ds_malloc((size_t)(k.p.h * k.p.w + 1) * sizeof *k.v);
	if (!k.v)
		return ds_fail_nomem(err, 0);
	DS_GOTO(ds_map_places(m, &k.p, k.v, err));
	DS_GOTO(ex_seen(j, r, &k.p, &k.seen, err));
	k.top = ds_field_top(k.v, k.p.h * k.p.w, j->s->clip);
	rc = draw_panel(j, &k, r, m, c, err);
out:
	if (rc != DS_OK)
		ds_canvas_done(c);
	ds_free(k.v);
	ds_free(k.seen);
	return rc;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	state *st = j->state;
	for (size_t i = 0, n; i < r->maps.n; i += n) {
		const ds_map *m = &r->maps.m[i];
		if (!ds_grow((void **)&st->panel, st->n, &st->cap, sizeof *st->panel))
			return ds_fail_nomem(err, sizeof *st->panel);
		n = 1;
		while (m->kind == DS_MAP_ATTENTION && i + n < r->maps.n && m[n].kind == DS_MAP_ATTENTION && m[n].target == m->target)
			n++;                    /* layers and heads for one target are one panel */
		DS_TRY(m->kind == DS_MAP_ATTENTION ? ex_panel_grid(j, r, m, n, &st->panel[st->n], err) : panel_of(j, r, m, &st->panel[st->n], err));
		st->n++;
	}
	return DS_OK;
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------------ */
/* Panels from the left, then down; a row is as high as its highest panel, a column as wide as its widest. */
static ds_status end(job *j, ds_err *err)
{
	static const char *const text[] = { "Software", "ds-explain", NULL };
	state *st = j->state;
	ds_canvas page;
	if (!st->n)
		return ds_fail(err, DS_E_INPUT, "nothing to draw");
	int columns = j->s->columns > 0 ? (int)j->s->columns : st->n <= 2 ? 1 : st->n <= 6 ? 2 : 4;
	columns = (int)DS_MIN((size_t)columns, st->n);
	int64_t w = 0, h = 0, y = 0;
	for (size_t i = 0; i < st->n; i++)
		w = DS_MAX(w, st->panel[i].w);
	for (size_t i = 0; i < st->n; i += (size_t)columns) {
		int tallest = 0;
		for (size_t k = i; k < st->n && k < i + (size_t)columns; k++)
			tallest = DS_MAX(tallest, st->panel[k].h);
		h += tallest;
	}
	DS_TRY(ds_canvas_init(&page, w * columns, h, paper, err));
	for (size_t i = 0; i < st->n; i += (size_t)columns) {
		int tallest = 0;
		for (size_t k = i; k < st->n && k < i + (size_t)columns; k++) {
			ds_canvas_copy(&page, (int)((int64_t)(k - i) * w), (int)y, &st->panel[k]);
			tallest = DS_MAX(tallest, st->panel[k].h);
		}
		y += tallest;
	}
	ds_status rc = ds_png_write(j->out, &page, text, err);
	ds_canvas_done(&page);
	return rc;
}

static void drop(job *j)
{
	state *st = j->state;
	if (!st)
		return;
	for (size_t i = 0; i < st->n; i++)
		ds_canvas_done(&st->panel[i]);
	ds_free(st->panel);
	ds_free(st);
	j->state = NULL;
}

const ex_output ex_output_picture = { "picture", true, chosen, start, item, end, drop };
