/* panels.c - what panels share: headings, the name of a file, fitting text; and the panel of a text */
#include "panels.h"

#include <math.h>
#include <string.h>

const ds_rgb ex_paper = { 255, 255, 255 }, ex_ink = { 24, 24, 24 }, ex_pale = { 96, 96, 96 };

ds_status ex_line(ds_canvas *c, int x, int y, int size, int width, ds_rgb color, const ds_buf *text, ds_err *err)
{
	ds_buf b = { 0 };
	ds_text_fit(&b, size, width, text->data ? text->data : "", (int64_t)text->len);
	if (b.oom || text->oom) {
		ds_buf_done(&b);
		return ds_fail_nomem(err, 64);
	}
	ds_canvas_text(c, x, y, size, color, b.data ? b.data : "", -1);
	ds_buf_done(&b);
	return DS_OK;
}

ds_status ex_heading(const job *j, const ex_result *r, const ds_map *m, const char *what, ds_canvas *c, int size, ds_err *err)
{
	ds_buf b = { 0 };
	char num[24];
	int step = (DS_LETTER_H + 2) * size, y = EX_GAP;
	int64_t class_ = ex_class(j, m);
	const char *file = r->item->name;
	size_t n = r->item->name_len;
	for (size_t i = 0; i < r->item->path_len && i < r->item->name_len; i++)         /* the last part of the path */
		if (r->item->name[i] == '/' && i + 1 < r->item->name_len) {
			file = r->item->name + i + 1;
			n = r->item->name_len - i - 1;
		}
	ds_text_quote(&b, file, n);
	ds_status rc = ex_line(c, EX_GAP, y, size, c->w - 2 * EX_GAP, ex_pale, &b, err);
	ds_buf_reset(&b);
	ex_class_text(j, class_, &b);
	if (isfinite(m->probability))
		ds_buf_printf(&b, " %s", ds_draw_number(num, m->probability));
	if (rc == DS_OK)
		rc = ex_line(c, EX_GAP, y + step, size, c->w - 2 * EX_GAP, ex_ink, &b, err);
	ds_buf_reset(&b);
	ds_buf_str(&b, what);
	if (rc == DS_OK)
		rc = ex_line(c, EX_GAP, y + 2 * step, size, c->w - 2 * EX_GAP, ex_pale, &b, err);
	ds_buf_done(&b);
	return rc;
}

int ex_heading_height(int size) { return 3 * (DS_LETTER_H + 2) * size + 2 * EX_GAP; }

/* ---- a text ---------------------------------------------------------------------------------------------------------------------------- */
enum { COLUMNS = 64, SIZE = 2, ROW = 3 * DS_LETTER_H };

/* Lay the tokens out; with a canvas, draw them.  Answers the number of lines. */
static int lay(const job *j, const ex_result *r, const float *v, int64_t n, double top, ds_canvas *c, int y0, ds_buf *b)
{
	int col = 0, line = 0;
	bool join = ex_tokens_join(j);
	for (int64_t i = 0; i < n; i++) {
		int64_t id = ex_token_id(j, r, i);
		ds_buf_reset(b);
		if (id >= 0)
			ex_token_shown(j, id, b);
		else
			ds_buf_printf(b, "[%lld]", (long long)i);
		bool breaks = id >= 0 && b->len >= 3 && !memcmp(b->data + b->len - 3, "\xe2\x86\xb5", 3);
		if (breaks) {                   /* no letter of ours: an empty box stands for the end of a line */
			b->len -= 3;
			ds_buf_str(b, " ");
		}
		int w = ds_text_width(SIZE, b->data ? b->data : "", (int64_t)b->len) / (DS_LETTER_W * SIZE);
		if (col && col + w > COLUMNS) {
			col = 0;
			line++;
		}
		if (c) {
			int x = EX_GAP + col * DS_LETTER_W * SIZE, y = y0 + line * ROW;
			ds_canvas_rect(c, x, y, w * DS_LETTER_W * SIZE, ROW - 4, ex_heat(top > 0 ? (double)v[i] / top : 0));
			ds_canvas_text(c, x, y + (ROW - 4 - DS_LETTER_H * SIZE) / 2, SIZE, ex_ink, b->data ? b->data : "", (int64_t)b->len);
		}
		col += w + !join;
		if (breaks) {
			col = 0;
			line++;
		}
	}
	return line + (col > 0);
}

/* The colours of ex_heat between lo and top. */
static void heat_scale(ds_canvas *c, int y, int w, double top, bool has_sign)
{
	ds_colors colors = { .diverging = has_sign };
	for (int i = 0; i < 256; i++)
		colors.at[i] = ex_heat(has_sign ? i / 127.5 - 1 : i / 255.0);
	ds_canvas_scale(c, EX_GAP, y, w, 12, 1, &colors, has_sign ? -top : 0, top, ex_ink);
}

ds_status ex_panel_tokens(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	const float *v;
	int64_t n;
	ds_buf b = { 0 }, what = { 0 };
	*c = (ds_canvas){ 0 };
	if (!ex_token_scores(j, m, &v, &n))
		return ds_fail(err, DS_E_UNSUPPORTED, "a map of %s is not about tokens", j->method->name);
	double top = ds_field_top(v, n, 1);
	int lines = lay(j, r, v, n, top, NULL, 0, &b), head = ex_heading_height(SIZE);
	ds_status rc = ds_canvas_init(c, COLUMNS * DS_LETTER_W * SIZE + 2 * EX_GAP, head + (int64_t)lines * ROW + 40, ex_paper, err);
	ds_buf_str(&what, j->method->name);
	if (m->layer)
		ds_buf_printf(&what, " of layer %d (%s)", m->layer_index, m->layer);
	if (m->head >= 0)
		ds_buf_printf(&what, " head %d", m->head);
	if (isfinite(m->gap))
		ds_buf_printf(&what, ", gap %.2g %%", 100 * m->gap);
	if (rc == DS_OK)
		rc = what.oom ? ds_fail_nomem(err, 0) : ex_heading(j, r, m, what.data, c, SIZE, err);
	if (rc == DS_OK) {
		lay(j, r, v, n, top, c, head, &b);
		heat_scale(c, head + lines * ROW + EX_GAP, 256, top, m->has_sign);
	}
	ds_buf_done(&b);
	ds_buf_done(&what);
	if (rc != DS_OK)
		ds_canvas_done(c);
	return rc;
}
