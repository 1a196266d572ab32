/* sound.c - a sound with heat: its waveform, the heat of each moment behind it, and where maps are about the spectrogram that too, over seconds */
#include "panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 640, WAVE = 120, BANDS = 160, AXIS = 22, BAR = 12, SIZE = 2 };

typedef struct sound {
	const ds_map *m;
	float    *wave, *heat;          /* of `samples`; of h * w places */
	ds_tensor seen;                 /* the spectrogram */
	int64_t   samples;
	ds_plane  p;
	bool      spectrum, turned;     /* the map has bands; its first axis is time */
	float     column[WIDTH];        /* heat of each column of pixels */
	double    top, column_top;
	ds_colors colors;
} sound;

static int64_t steps(const sound *s) { return s->turned ? s->p.h : s->p.w; }
static int64_t bands(const sound *s) { return !s->spectrum ? 1 : s->turned ? s->p.w : s->p.h; }
static int64_t place(const sound *s, int64_t t, int64_t band) { return s->turned ? t * s->p.w + band : band * s->p.w + t; }

/* Columns of pixels: the mean of what falls into each (a column at least as narrow as a step: that step), all bands together. */
static void columns(sound *s)
{
	int64_t n = steps(s), b = bands(s);
	for (int x = 0; x < WIDTH; x++) {
		int64_t from = x * n / WIDTH, to = DS_MAX((x + 1) * n / WIDTH, from + 1);
		double sum = 0;
		for (int64_t t = from; t < to; t++)
			for (int64_t k = 0; k < b; k++)
				sum += (double)s->heat[place(s, t, k)];
		s->column[x] = (float)(sum / (double)(to - from));
	}
	s->column_top = ds_field_top(s->column, WIDTH, 1);
}

static ds_status gather(const job *j, const ex_result *r, const ds_map *m, sound *s, ds_err *err)
{
	ds_tensor w;
	*s = (sound){ .m = m, .spectrum = j->frames > 0 };
	if ((m->kind != DS_MAP_INPUT && m->kind != DS_MAP_PLANE) || !ds_explain_plane(j->x, &r->it.in[m->input], &s->p))
		return ds_fail(err, DS_E_UNSUPPORTED, "a map of %s is not about a sound: use --tsv, --json or --raw", j->method->name);
	if (!s->spectrum && s->p.h > 1)
		return ds_fail(err, DS_E_UNSUPPORTED, "a sound of several rows: use --tsv, --json or --raw");
	s->turned = s->spectrum && j->frames == r->it.in[m->input].rank - 2;
	s->samples = ds_tensor_count(&r->item->in[j->source]);
	DS_TRY(ds_tensor_to_f32(&r->item->in[j->source], &w, err));
	s->wave = ds_malloc((size_t)(s->samples + 1) * sizeof *s->wave);
	s->heat = ds_malloc((size_t)(s->p.h * s->p.w + 1) * sizeof *s->heat);
	if (s->wave)
		memcpy(s->wave, w.data, (size_t)s->samples * sizeof *s->wave);
	ds_tensor_done(&w);
	if (!s->wave || !s->heat)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_map_places(m, &s->p, s->heat, err));
	s->top = ds_field_top(s->heat, s->p.h * s->p.w, j->s->clip);
	columns(s);
	return s->spectrum ? ds_tensor_to_f32(&r->it.in[m->input], &s->seen, err) : DS_OK;
}

/* The envelope: from the smallest to the largest sample of each column. */
static void draw_wave(const sound *s, ds_canvas *c, int x0, int y0)
{
	double peak = ds_field_top(s->wave, s->samples, 1);
	for (int x = 0; x < WIDTH; x++) {
		int64_t from = x * s->samples / WIDTH, to = DS_MAX((x + 1) * s->samples / WIDTH, from + 1);
		double lo = HUGE_VAL, hi = -HUGE_VAL;
		for (int64_t i = from; i < DS_MIN(to, s->samples); i++) {
			lo = fmin(lo, (double)s->wave[i]);
			hi = fmax(hi, (double)s->wave[i]);
		}
		ds_canvas_rect(c, x0 + x, y0, 1, WAVE, ex_heat(s->column_top > 0 ? (double)s->column[x] / s->column_top : 0));
		if (!(lo <= hi) || !(peak > 0))
			lo = hi = 0;
		int top = y0 + WAVE / 2 - (int)(hi / (peak > 0 ? peak : 1) * (WAVE / 2 - 4)), bottom = y0 + WAVE / 2 - (int)(lo / (peak > 0 ? peak : 1) * (WAVE / 2 - 4));
		ds_canvas_rect(c, x0 + x, top, 1, bottom - top + 1, (ds_rgb){ 48, 48, 56 });
	}
	ds_canvas_frame(c, x0 - 1, y0 - 1, WIDTH + 2, WAVE + 2, ex_pale);
}

/* The spectrogram, low bands at the bottom; `over`: with the map over it. */
static void draw_spectrum(const job *j, const sound *s, ds_canvas *c, int x0, int y0, bool over)
{
	double lo = HUGE_VAL, hi = -HUGE_VAL;
	const float *v = s->seen.data;
	int64_t n = s->p.h * s->p.w, nt = steps(s), nb = bands(s);
	for (int64_t i = 0; i < n; i++) {
		lo = fmin(lo, (double)v[i]);
		hi = fmax(hi, (double)v[i]);
	}
	for (int y = 0; y < BANDS; y++)
		for (int x = 0; x < WIDTH; x++) {
			int64_t at = place(s, x * nt / WIDTH, (BANDS - 1 - y) * nb / BANDS);
			double u = hi > lo ? ((double)v[at] - lo) / (hi - lo) : 0, t = s->top > 0 ? (double)s->heat[at] / s->top : 0, a = j->s->opacity;
			uint8_t g = (uint8_t)(u * 255 + .5);
			ds_rgb px = { g, g, g };
			if (s->m->has_sign)
				a *= fmin(1, .1 + 1.6 * fabs(isfinite(t) ? t : 0));
			if (over)
				px = ds_mix(px, ds_colors_at(&s->colors, s->m->has_sign ? .5 + .5 * t : t), a);
			ds_canvas_set(c, x0 + x, y0 + y, px);
		}
	ds_canvas_frame(c, x0 - 1, y0 - 1, WIDTH + 2, BANDS + 2, ex_pale);
}

/* Seconds (samples where the rate is not known) under a picture that ends at y. */
static void draw_axis(const job *j, const sound *s, ds_canvas *c, int x0, int y)
{
	static const double unit[] = { 1, 2, 5 };
	double whole = j->rate > 0 ? (double)s->samples / (double)j->rate : (double)s->samples, step = 1e-6;
	char text[40], num[24];
	for (int k = 0; whole / step > 10; k++)
		step = unit[k % 3] * pow(10, k / 3 - 6);
	for (int i = 0; i * step <= whole * (1 + 1e-9); i++) {
		int x = x0 + (int)(i * step / whole * WIDTH), last = (i + 1) * step > whole * (1 + 1e-9);
		ds_canvas_rect(c, x, y + 1, 1, 5, ex_pale);
		snprintf(text, sizeof text, "%s%s", ds_draw_number(num, i * step), !last ? "" : j->rate > 0 ? " s" : " samples");
		int w = ds_text_width(1, text, -1);
		ds_canvas_text(c, DS_MIN(DS_MAX(x - w / 2, 0), c->w - w), y + 8, 1, ex_ink, text, -1);
	}
}

static ds_status draw(const job *j, const ex_result *r, const sound *s, ds_canvas *c, ds_err *err)
{
	int x = EX_GAP, y = ex_heading_height(SIZE);
	ds_colors wave = { .diverging = s->m->has_sign };
	ds_buf what = { 0 };
	ds_buf_printf(&what, "%s of the %s", j->method->name, s->spectrum ? "spectrogram" : "waveform");
	if (isfinite(s->m->gap))
		ds_buf_printf(&what, ", gap %.2g %%", 100 * s->m->gap);
	ds_status rc = what.oom ? ds_fail_nomem(err, 0) : ex_heading(j, r, s->m, what.data, c, SIZE, err);
	ds_buf_done(&what);
	for (int i = 0; i < 256; i++)
		wave.at[i] = ex_heat(s->m->has_sign ? i / 127.5 - 1 : i / 255.0);
	draw_wave(s, c, x, y);
	draw_axis(j, s, c, x, y + WAVE);
	y += WAVE + AXIS;
	ds_canvas_scale(c, x, y, 200, BAR, 1, &wave, s->m->has_sign ? -s->column_top : 0, s->column_top, ex_ink);
	ds_canvas_text(c, x + 216, y + 1, 1, ex_pale, s->spectrum ? "behind the waveform: each moment, all bands together" : "behind the waveform: mean of each moment", -1);
	y += BAR + DS_LETTER_H + 2 * EX_GAP;
	if (!s->spectrum || rc != DS_OK)
		return rc;
	draw_spectrum(j, s, c, x, y, false);
	y += BANDS + EX_GAP;
	draw_spectrum(j, s, c, x, y, true);
	draw_axis(j, s, c, x, y + BANDS);
	y += BANDS + AXIS;
	ds_canvas_scale(c, x, y, 200, BAR, 1, &s->colors, s->m->has_sign ? -s->top : 0, s->top, ex_ink);
	ds_canvas_text(c, x + 216, y + 1, 1, ex_pale, "over the spectrogram, low frequencies at the bottom", -1);
	return DS_OK;
}

ds_status ex_panel_sound(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err)
{
	sound *s = ds_calloc(1, sizeof *s);
	const char *colors = j->s->colors;
	int n;
	*c = (ds_canvas){ 0 };
	if (!s)
		return ds_fail_nomem(err, sizeof *s);
	ds_status rc = gather(j, r, m, s, err);
	for (int i = 0; !colors; i++)
		colors = ds_colormaps(&n)[i].diverging == m->has_sign ? ds_colormaps(&n)[i].name : NULL;
	if (rc == DS_OK && !ds_colors_make(&s->colors, colors))
		rc = ds_fail(err, DS_E_USAGE, "no colours are called \"%.60s\"", colors);
	int scale = BAR + DS_LETTER_H + 2 * EX_GAP, h = ex_heading_height(SIZE) + WAVE + AXIS + scale + (j->frames > 0 ? 2 * BANDS + EX_GAP + AXIS + scale : 0);
	if (rc == DS_OK)
		rc = ds_canvas_init(c, WIDTH + 2 * EX_GAP, h, ex_paper, err);
	if (rc == DS_OK)
		rc = draw(j, r, s, c, err);
	if (rc != DS_OK)
		ds_canvas_done(c);
	ds_tensor_done(&s->seen);
	ds_free(s->wave);
	ds_free(s->heat);
	ds_free(s);
	return rc;
}
