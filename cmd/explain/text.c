/* text.c - heat on the tokens of a text: colours in a terminal, digits where there are none, a page for a browser */
#include "job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 72 };                    /* columns of a line, terminal or not */

static int width_of(const char *s)
{
	int n = 0;
	for (; s && *s; s++)
		n += (*s & 0xC0) != 0x80;
	return n;
}

static bool about_tokens(const ex_result *r)
{
	for (size_t i = 0; i < r->maps.n; i++)
		if (r->maps.m[i].kind != DS_MAP_TOKENS && r->maps.m[i].kind != DS_MAP_ATTENTION)
			return false;
	return r->maps.n > 0;
}

/* "poem.txt: e 0.42, rollout" */
static void heading(const job *j, const ex_result *r, const ds_map *m, ds_buf *b)
{
	char num[24];
	int64_t c = ex_class(j, m);
	ds_text_quote(b, r->item->name, r->item->name_len);
	ds_buf_str(b, ": ");
	ex_class_text(j, c, b);
	if (isfinite(m->probability))
		ds_buf_printf(b, " %s", ds_draw_number(num, m->probability));
	ds_buf_printf(b, ", %s", j->method->name);
	if (m->layer)
		ds_buf_printf(b, " of layer %d (%s)", m->layer_index, m->layer);
	if (m->head >= 0)
		ds_buf_printf(b, " head %d", m->head);
	if (isfinite(m->gap))
		ds_buf_printf(b, ", gap %.2g %%", 100 * m->gap);
}

/* ---- text ----------------------------------------------------------------------------------------------------------------------------- */
typedef struct lines {
	ds_buf *out, line, marks;
	int     column, depth;          /* of colour: 0 none, 8, 24 bit */
} lines;

static void flush(lines *l)
{
	ds_buf_add(l->out, l->line.data, l->line.len);
	ds_buf_str(l->out, "\n");
	while (l->marks.len && l->marks.data[l->marks.len - 1] == ' ')
		l->marks.len--;
	if (l->depth == 0 && l->marks.len) {
		ds_buf_add(l->out, l->marks.data, l->marks.len);
		ds_buf_str(l->out, "\n");
	}
	ds_buf_reset(&l->line);
	ds_buf_reset(&l->marks);
	l->column = 0;
}

/* t in -1 .. 1: 1 to 9 for what speaks for the class, a to i against. */
static char mark(double t)
{
	int level = (int)(fmin(fabs(isfinite(t) ? t : 0), 1) * 9 + .5);
	return (char)(level == 0 ? ' ' : t > 0 ? '0' + level : 'a' + level - 1);
}

static void color(ds_buf *b, int depth, double t)
{
	ds_rgb c = ex_heat(t);
	if (depth == 24)
		ds_buf_printf(b, "\033[38;2;0;0;0;48;2;%d;%d;%dm", c.r, c.g, c.b);
	else
		ds_buf_printf(b, "\033[38;5;16;48;5;%dm", 16 + 36 * ((c.r * 5 + 127) / 255) + 6 * ((c.g * 5 + 127) / 255) + (c.b * 5 + 127) / 255);
}

static void put_token(lines *l, const char *text, double t, bool breaks)
{
	int w = width_of(text);
	if (l->column && l->column + w > WIDTH)
		flush(l);
	bool hot = l->depth && fabs(t) >= .04;
	if (hot)
		color(&l->line, l->depth, t);
	ds_buf_str(&l->line, text);
	if (hot)
		ds_buf_str(&l->line, "\033[0m");
	for (int i = 0; i < w; i++)
		ds_buf_printf(&l->marks, "%c", mark(t));
	l->column += w;
	if (breaks)
		flush(l);
}

static int depth_of(const job *j)
{
	const char *c = getenv("COLORTERM");
	if (!ds_color(&j->s->c, 1))
		return 0;
	return c && (strstr(c, "truecolor") || strstr(c, "24bit")) ? 24 : 8;
}

static void text_of(const job *j, const ex_result *r, const ds_map *m, const float *v, int64_t n, ds_buf *out)
{
	lines l = { .out = out, .depth = depth_of(j) };
	double top = ds_field_top(v, n, 1);
	char num[24];
	ds_buf b = { 0 };
	bool join = ex_tokens_join(j);
	heading(j, r, m, out);
	ds_buf_printf(out, ", %s is %s\n", l.depth ? "full colour" : "9", ds_draw_number(num, top));
	for (int64_t i = 0; i < n; i++) {
		int64_t id = ex_token_id(j, r, i);
		ds_buf_reset(&b);
		if (!join && l.column)
			put_token(&l, " ", 0, false);
		if (id >= 0)
			ex_token_shown(j, id, &b);
		else
			ds_buf_printf(&b, "[%lld]", (long long)i);
		/* a line of the text ends where it ended */
		bool breaks = id >= 0 && b.len >= 3 && !memcmp(b.data + b.len - 3, "\xe2\x86\xb5", 3);
		put_token(&l, b.data ? b.data : "", top > 0 ? (double)v[i] / top : 0, breaks);
	}
	if (l.column)
		flush(&l);
	ds_buf_str(out, "\n");
	out->oom |= b.oom || l.line.oom || l.marks.oom;
	ds_buf_done(&b);
	ds_buf_done(&l.line);
	ds_buf_done(&l.marks);
}

static bool text_chosen(const job *j)
{
	return j->s->to == EX_TEXT || (j->s->to < 0 && j->token.on);
}

static ds_status nothing(job *j, ds_err *err)
{
	(void)j;
	(void)err;
	return DS_OK;
}

typedef void write_fn(const job *j, const ex_result *r, const ds_map *m, const float *v, int64_t n, ds_buf *out);

static ds_status each(job *j, const ex_result *r, write_fn *fn, ds_err *err)
{
	const float *v;
	int64_t n;
	if (!about_tokens(r))
		return ds_fail(err, DS_E_UNSUPPORTED, "maps of %s are not about tokens: use --to=png, --tsv, --json or --raw", j->method->name);
	for (size_t i = 0; i < r->maps.n; i++) {
		ds_buf b = { 0 };
		ds_status rc = DS_OK;
		if (ex_token_scores(j, &r->maps.m[i], &v, &n))
			fn(j, r, &r->maps.m[i], v, n, &b);
		if (b.len || b.oom)
			rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(j->out, b.data, b.len, err);
		ds_buf_done(&b);
		DS_TRY(rc);
	}
	return DS_OK;
}

static ds_status text_item(job *j, const ex_result *r, ds_err *err)
{
	return each(j, r, text_of, err);
}

static void drop(job *j)
{
	(void)j;
}

const ex_output ex_output_text = { "text", false, text_chosen, nothing, text_item, NULL, drop };

/* ---- a page --------------------------------------------------------------------------------------------------------------------------- */
static const char top_of_page[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<meta name=\"generator\" content=\"ds-explain\">\n<title>ds-explain</title>\n<style>\n"
	"body { font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #181818; background: #fff }\n"
	"h2 { font-size: 1em; margin: 2em 0 .3em; overflow-wrap: anywhere }\n"
	".t { font: 15px/1.9 monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }\n"
	".t span { border-radius: 2px; padding: .15em 0 }\n.t.w span { padding: .15em .2em; margin-right: .25em }\n"
	".s { display: flex; font-size: .8em; margin: .5em 0 0; color: #555; align-items: center; gap: .5em }\n"
	".s i { display: inline-block; width: 1.1em; height: .8em }\n.s b { font-weight: normal; display: flex }\n"
	"</style>\n</head>\n<body>\n";

static void escape(ds_buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '<')
			ds_buf_str(b, "&lt;");
		else if (s[i] == '>')
			ds_buf_str(b, "&gt;");
		else if (s[i] == '&')
			ds_buf_str(b, "&amp;");
		else if (s[i] == '"')
			ds_buf_str(b, "&quot;");
		else
			ds_buf_add(b, s + i, 1);
	}
}

/* From what speaks most against to what speaks most for the class. */
static void page_scale(ds_buf *out, double top, bool has_sign)
{
	char num[24];
	ds_buf_printf(out, "<div class=\"s\">%s<b>", has_sign ? ds_draw_number(num, -top) : "0");
	for (int i = has_sign ? -8 : 0; i <= 8; i++) {
		ds_rgb c = ex_heat(i / 8.0);
		ds_buf_printf(out, "<i style=\"background:#%02x%02x%02x\"></i>", c.r, c.g, c.b);
	}
	ds_buf_printf(out, "</b>%s</div>\n", ds_draw_number(num, top));
}

static void section(const job *j, const ex_result *r, const ds_map *m, const float *v, int64_t n, ds_buf *out)
{
	double top = ds_field_top(v, n, 1);
	bool join = ex_tokens_join(j);
	char num[32];
	ds_buf b = { 0 };
	heading(j, r, m, &b);
	ds_buf_str(out, "<h2>");
	escape(out, b.data, b.len);
	ds_buf_printf(out, "</h2>\n<p class=\"t%s\">", join ? "" : " w");
	for (int64_t i = 0; i < n; i++) {
		int64_t id = ex_token_id(j, r, i);
		ds_rgb c = ex_heat(top > 0 ? (double)v[i] / top : 0);
		ds_buf_reset(&b);
		if (id >= 0)
			ex_token_shown(j, id, &b);
		else
			ds_buf_printf(&b, "[%lld]", (long long)i);
		ds_buf_printf(out, "<span style=\"background:#%02x%02x%02x\" title=\"token %lld", c.r, c.g, c.b, (long long)i);
		if (id >= 0)
			ds_buf_printf(out, " (#%lld)", (long long)id);
		ds_buf_printf(out, ": %s\">", ds_fmt_f32(num, v[i]));
		escape(out, b.data ? b.data : "", b.len);
		ds_buf_str(out, "</span>");
		if (b.len >= 3 && !memcmp(b.data + b.len - 3, "\xe2\x86\xb5", 3))
			ds_buf_str(out, "\n");
	}
	ds_buf_str(out, "</p>\n");
	page_scale(out, top, m->has_sign);
	out->oom |= b.oom;
	ds_buf_done(&b);
}

static bool page_chosen(const job *j)
{
	return j->s->to == EX_HTML;
}

static ds_status page_start(job *j, ds_err *err)
{
	return ds_sink_write(j->out, top_of_page, sizeof top_of_page - 1, err);
}

static ds_status page_item(job *j, const ex_result *r, ds_err *err)
{
	return each(j, r, section, err);
}

static ds_status page_end(job *j, ds_err *err)
{
	static const char tail[] = "</body>\n</html>\n";
	return ds_sink_write(j->out, tail, sizeof tail - 1, err);
}

const ex_output ex_output_html = { "html", false, page_chosen, page_start, page_item, page_end, drop };
