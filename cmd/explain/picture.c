/* picture.c - maps of pictures as a page of panels: what the network saw, the map over it, its scale, what it says */
#include "panels.h"
#include "overlay.h"

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
	ex_overlay o;
	int        zoom, size, w;       /* pixels of a place, size of letters, width of the panel */
} panel;

static ds_status line(const panel *k, ds_canvas *c, int y, ds_rgb color, const ds_buf *text, ds_err *err)
{
	ds_buf b = { 0 };
	const char *s = text->data ? text->data : "";
	int size = ds_text_width(k->size, s, -1) > k->w - 2 * GAP ? 1 : k->size;        /* what is long is rather small than cut off */
	ds_text_fit(&b, size, k->w - 2 * GAP, s, -1);
	if (b.oom || text->oom) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, 64);
	}
	ds_canvas_text(c, GAP, y, size, color, b.data ? b.data : "", -1);
	ds_buf_done(&b);
	return DS_OK;
}

/* File; class and probability; method, layer, completeness. */
static ds_status labels(const job *j, const panel *k, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	ds_buf b = { 0 };
	int step = (DS_LETTER_H + 2) * k->size, y = GAP;
	ex_caption_file(r, &b);
	ds_status rc = line(k, c, y, pale, &b, err);
	ds_buf_reset(&b);
	ex_caption_class(j, m, &b);
	if (rc == DS_OK)
		rc = line(k, c, y + step, ink, &b, err);
	ds_buf_reset(&b);
	ex_caption_method(j, m, &b);
	if (k->o.blur > 0)
		ds_buf_printf(&b, ", blur %.2g", k->o.blur);
	if (rc == DS_OK)
		rc = line(k, c, y + 2 * step, pale, &b, err);
	ds_buf_done(&b);
	return rc;
}

static ds_status draw_panel(const job *j, panel *k, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	const ex_overlay *o = &k->o;
	int64_t w = (int64_t)o->w * k->zoom, h = (int64_t)o->h * k->zoom;
	int pictures = j->s->view == EX_PAIR || j->s->view == EX_MATRIX ? 2 : 1;
	int64_t width = pictures * w + (pictures + 1) * GAP;
	if (width > DS_CANVAS_MAX || h > DS_CANVAS_MAX - 400)
		return ds_fail(err, DS_E_LIMIT, "a map of %d x %d places, %d times as large, is too large to draw", o->w, o->h, k->zoom);
	k->w = (int)width;
	k->size = width >= 440 ? 2 : 1;
	int head = 3 * (DS_LETTER_H + 2) * k->size + 2 * GAP, foot = GAP + BAR + 2 + DS_LETTER_H * k->size + GAP;
	DS_TRY(ds_canvas_init(c, width, h + head + foot, paper, err));
	DS_TRY(labels(j, k, r, m, c, err));
	int x = GAP;
	if (pictures == 2) {
		ds_canvas_pixels(c, x, head, o->seen, o->w, o->h, k->zoom);
		x += (int)w + GAP;
	}
	ds_canvas_pixels(c, x, head, o->rgb, o->w, o->h, k->zoom);
	ds_canvas_scale(c, x, head + (int)h + GAP, (int)w, BAR, k->size > 1 && w > 300 ? 2 : 1, &o->colors, o->has_sign ? -o->top : 0, o->top, ink);
	return DS_OK;
}

static ds_status panel_of(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	panel k = { 0 };
	*c = (ds_canvas){ 0 };
	if (m->kind == DS_MAP_TOKENS)
		return ex_panel_tokens(j, r, m, c, err);
	if (j->sound)
		return ex_panel_sound(j, r, m, c, err);
	DS_TRY(ex_overlay_make(j, r, m, &k.o, err));
	k.zoom = j->s->zoom > 0 ? (int)j->s->zoom : DS_MAX(1, (LEAST + k.o.w - 1) / DS_MAX(k.o.w, 1));
	ds_status rc = draw_panel(j, &k, r, m, c, err);
	if (rc != DS_OK)
		ds_canvas_done(c);
	ex_overlay_done(&k.o);
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
