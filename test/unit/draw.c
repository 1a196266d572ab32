/* draw.c - colours at even steps, letters, clipping, scaling, and a PNG that reads back as it was drawn */
#include "data/data.h"
#include "draw/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok draw_%s\n" : "not ok draw_%s: " #cond "\n", name); \
} while (0)

static const ds_rgb white = { 255, 255, 255 }, black = { 0, 0, 0 }, red = { 255, 0, 0 };

static double apart(ds_rgb a, ds_rgb b)
{
	double p[3], q[3];
	ds_to_oklab(a, p);
	ds_to_oklab(b, q);
	return sqrt((p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]) + (p[2] - q[2]) * (p[2] - q[2]));
}

static double light(ds_rgb c)
{
	double p[3];
	ds_to_oklab(c, p);
	return p[0];
}

/* What an eye without one kind of cone sees, in linear light (Vienot, Brettel & Mollon 1999): protan 0, deutan 1. */
static ds_rgb seen_by(ds_rgb c, int kind)
{
	static const double m[2][3][3] = {
		{ { 0.11238, 0.88762, 0 }, { 0.11238, 0.88762, 0 }, { 0.00401, -0.00401, 1 } },
		{ { 0.29275, 0.70725, 0 }, { 0.29275, 0.70725, 0 }, { -0.02234, 0.02234, 1 } } };
	double v[3] = { pow(c.r / 255.0, 2.2), pow(c.g / 255.0, 2.2), pow(c.b / 255.0, 2.2) };
	uint8_t out[3];
	for (int i = 0; i < 3; i++) {
		double s = m[kind][i][0] * v[0] + m[kind][i][1] * v[1] + m[kind][i][2] * v[2];
		out[i] = (uint8_t)(255 * pow(fmin(fmax(s, 0), 1), 1 / 2.2) + 0.5);
	}
	return (ds_rgb){ out[0], out[1], out[2] };
}

static void colors(void)
{
	int n;
	const ds_colormap *maps = ds_colormaps(&n);
	char name[64];
	for (int k = 0; k < n; k++) {
		ds_colors c;
		double least = 9, most = 0, rise = 9, blind = 9;
		if (!ds_colors_make(&c, maps[k].name))
			continue;
		for (int i = 0; i + 16 < 256; i += 16) {        /* sixteenths: single steps are coarse in 8 bits */
			double d = apart(c.at[i], c.at[i + 16]);
			least = fmin(least, d);
			most = fmax(most, d);
			double up = light(c.at[i + 16]) - light(c.at[i]);
			if (c.diverging && i + 8 >= 128)
				up = -up;
			if (!c.diverging || i + 16 <= 127 || i >= 128)
				rise = fmin(rise, up);
			for (int kind = 0; kind < 2; kind++)
				blind = fmin(blind, apart(seen_by(c.at[i], kind), seen_by(c.at[i + 16], kind)));
		}
		snprintf(name, sizeof name, "even_steps_%s", maps[k].name);
		CHECK(name, least > 0.02 && most / least < 1.5);
		snprintf(name, sizeof name, "lightness_%s", maps[k].name);
		CHECK(name, rise > 0.005);
		snprintf(name, sizeof name, "color_blind_%s", maps[k].name);
		CHECK(name, blind > 0.015);
		for (int kind = 0; kind < 2 && c.diverging; kind++) {
			snprintf(name, sizeof name, "ends_apart_%d", kind);
			CHECK(name, apart(seen_by(c.at[0], kind), seen_by(c.at[255], kind)) > 0.2);
		}
	}
	ds_colors c;
	CHECK("no_map", !ds_colors_make(&c, "rainbow") && !ds_colors_make(&c, ""));
	ds_colors_make(&c, "gray");
	CHECK("ends", ds_colors_at(&c, NAN).r == 0 && ds_colors_at(&c, -3).r == 0 && ds_colors_at(&c, 9).r == 255 && ds_colors_at(&c, 0.5).r == c.at[128].r);
	double lab[3];
	bool there = true;
	for (int i = 0; i < 256; i += 5) {
		ds_rgb v = { (uint8_t)i, (uint8_t)(255 - i), (uint8_t)(i * 7) };
		ds_to_oklab(v, lab);
		ds_rgb w = ds_oklab(lab[0], lab[1], lab[2]);
		there &= v.r == w.r && v.g == w.g && v.b == w.b;
	}
	CHECK("there_and_back", there);
}

static int count(const ds_canvas *c, ds_rgb v)
{
	int n = 0;
	for (int y = 0; y < c->h; y++)
		for (int x = 0; x < c->w; x++) {
			ds_rgb p = ds_canvas_get(c, x, y);
			n += p.r == v.r && p.g == v.g && p.b == v.b;
		}
	return n;
}

static void canvas(void)
{
	ds_canvas c;
	ds_err err = { 0 };
	CHECK("sizes", ds_canvas_init(&c, 0, 5, white, &err) == DS_E_LIMIT && ds_canvas_init(&c, DS_CANVAS_MAX + 1, 5, white, &err) == DS_E_LIMIT);
	if (ds_canvas_init(&c, 40, 30, white, &err) != DS_OK)
		return;
	ds_canvas_rect(&c, -5, -5, 10, 10, red);
	ds_canvas_rect(&c, 38, 28, 100, 100, red);
	CHECK("clipped", count(&c, red) == 25 + 4);
	ds_canvas_line(&c, 0, 29, 29, 0, black);
	ds_canvas_line(&c, -10, 10, 60, 10, black);
	CHECK("lines", count(&c, black) == 30 + 40 - 1);
	ds_canvas_frame(&c, 100, 100, 5, 5, red);
	ds_canvas_set(&c, -1, 0, red);
	CHECK("outside", count(&c, red) <= 29);
	ds_canvas_done(&c);
}

static void letters(void)
{
	ds_canvas c;
	ds_err err = { 0 };
	bool drawn = true, apart_ = true;
	uint8_t seen[95][DS_LETTER_W * DS_LETTER_H];
	for (int i = 0; i < 95; i++) {
		char text[2] = { (char)(32 + i), 0 };
		if (ds_canvas_init(&c, DS_LETTER_W, DS_LETTER_H, white, &err) != DS_OK)
			return;
		int w = ds_canvas_text(&c, 0, 0, 1, black, text, -1);
		drawn &= w == DS_LETTER_W && (count(&c, black) > 0) == (i > 0);
		for (int k = 0; k < DS_LETTER_W * DS_LETTER_H; k++)
			seen[i][k] = c.px[3 * k];
		for (int k = 0; k < DS_LETTER_H; k++)           /* a column is left between letters */
			drawn &= ds_canvas_get(&c, DS_LETTER_W - 1, k).r == 255;
		for (int k = 0; k < i; k++)
			apart_ &= memcmp(seen[i], seen[k], sizeof seen[i]) != 0;
		ds_canvas_done(&c);
	}
	CHECK("letters_drawn", drawn);
	CHECK("letters_differ", apart_);
	CHECK("width", ds_text_width(2, "abc", -1) == 3 * 2 * DS_LETTER_W && ds_text_width(1, "a\xc3\xa9z", -1) == 3 * DS_LETTER_W && ds_text_width(1, "\xff\xfe", 2) == 2 * DS_LETTER_W);
	ds_buf b = { 0 };
	ds_text_fit(&b, 1, 5 * DS_LETTER_W, "abcdefgh", -1);
	CHECK("fit", b.data && !strcmp(b.data, "abc.."));
	ds_buf_reset(&b);
	ds_text_fit(&b, 1, 8 * DS_LETTER_W, "abcdefgh", -1);
	CHECK("fits", b.data && !strcmp(b.data, "abcdefgh"));
	ds_buf_done(&b);
	char num[24];
	CHECK("numbers", !strcmp(ds_draw_number(num, -0.0), "0") && !strcmp(ds_draw_number(num, 1234567), "1.235e+06"));
}

static void fields(void)
{
	const float in[6] = { 0, 1, 2, 3, 4, 5 };
	float out[24], level[6];
	ds_field_resize(in, 2, 3, out, 2, 3);
	CHECK("same_size", !memcmp(in, out, sizeof in));
	ds_field_resize(in, 2, 3, out, 4, 6);
	CHECK("half_pixels", out[0] == 0 && out[1] == 0.25f && out[2] == 0.75f && out[23] == 5 && out[6] == 0.75f);
	ds_field_resize(in, 1, 1, level, 2, 3);
	CHECK("one_place", level[0] == 0 && level[5] == 0);
	const float v[5] = { -3, 1, NAN, 2, INFINITY };
	CHECK("top", ds_field_top(v, 5, 1) == 3 && ds_field_top(v, 0, 1) == 0 && ds_field_top(v + 2, 1, 1) == 0);
	float many[100];
	for (int i = 0; i < 100; i++)
		many[i] = i == 50 ? 1000 : (float)(i % 10);
	CHECK("top_share", ds_field_top(many, 100, 0.98) == 9);
}

static void png(void)
{
	static const char *const text[] = { "Title", "a \xc3\xa9", NULL };
	ds_canvas c;
	ds_err err = { 0 };
	ds_buf a = { 0 }, b = { 0 };
	ds_sink *s;
	ds_colors colors;
	ds_image im = { 0 };
	ds_colors_make(&colors, "ember");
	if (ds_canvas_init(&c, 123, 45, white, &err) != DS_OK)
		return;
	ds_canvas_scale(&c, 5, 5, 100, 10, 1, &colors, -1.5, 2.5, black);
	for (int i = 0; i < 2; i++) {
		ds_status rc = ds_sink_memory(&s, i ? &b : &a, &err);
		if (rc == DS_OK)
			rc = ds_png_write(s, &c, text, &err);
		CHECK("png_written", rc == DS_OK && ds_sink_commit(s, &err) == DS_OK);
	}
	CHECK("png_same", a.len == b.len && a.data && !memcmp(a.data, b.data, a.len));
	CHECK("png_read", a.data && ds_image_decode(&im, (const uint8_t *)a.data, a.len, 0, &err) == DS_OK && im.w == 123 && im.h == 45 && im.channels == 3 &&
		!memcmp(im.px, c.px, 123 * 45 * 3));
	ds_image_done(&im);
	ds_buf_done(&a);
	ds_buf_done(&b);
	ds_canvas_done(&c);
}

int main(void)
{
	colors();
	canvas();
	letters();
	fields();
	png();
	return failures > 0;
}
