/* draw.c - draws the sample's pictures: `draw SET DIR` writes DIR/SET-images-idx3-ubyte[.gz] and -labels-idx1-ubyte[.gz]; sets: train, calib, test, pictures
 *
 * Each picture is a digit written by a hand: strokes through points that the hand has moved about, with its pen, its slant and its habits (a bar through the 7, an
 * open 4).  The picture adds size, turn, place, contrast, a scrap of another digit at an edge, blur and noise.  The hands of the sets are different ones, so that the
 * pictures of the test are by hands that training has not seen.  Numbers come from a counter and no function of libm but sqrt is asked: the same bytes everywhere. */
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/rng.h"

enum { SIZE = 28, LEVELS = 8, POINTS = 14, STROKES = 3, STEPS = 8, SEGMENTS = STROKES * POINTS * STEPS };

/* ---- how digits are written ------------------------------------------------------------------------------------------------------------ */
typedef struct point { double x, y; } point;                   /* 0 .. 1, y down */
typedef struct stroke { int n; bool smooth, closed; point p[POINTS]; } stroke;
typedef struct glyph { int digit, n; stroke s[STROKES]; } glyph;

static const glyph glyphs[] = {
	{ 0, 1, { { 8, true, true, { { .5, 0 }, { .88, .13 }, { 1, .5 }, { .88, .87 }, { .5, 1 }, { .12, .87 }, { 0, .5 }, { .12, .13 } } } } },
	{ 1, 1, { { 2, false, false, { { .5, 0 }, { .5, 1 } } } } },
	{ 1, 1, { { 3, false, false, { { .15, .28 }, { .52, 0 }, { .52, 1 } } } } },
	{ 1, 2, { { 3, false, false, { { .2, .2 }, { .5, 0 }, { .5, 1 } } }, { 2, false, false, { { .15, 1 }, { .85, 1 } } } } },
	{ 2, 2, { { 8, true, false, { { .05, .26 }, { .2, .05 }, { .52, 0 }, { .86, .1 }, { .94, .32 }, { .75, .56 }, { .38, .8 }, { .02, 1 } } },
		{ 2, false, false, { { .02, 1 }, { 1, 1 } } } } },
	{ 2, 1, { { 9, true, false, { { .1, .2 }, { .45, 0 }, { .9, .2 }, { .7, .6 }, { .2, .95 }, { .05, .88 }, { .25, .82 }, { .6, .95 }, { 1, .92 } } } } },
	{ 3, 2, { { 6, true, false, { { .08, .14 }, { .35, 0 }, { .75, .03 }, { .92, .22 }, { .78, .42 }, { .4, .48 } } },
		{ 7, true, false, { { .4, .48 }, { .84, .55 }, { 1, .76 }, { .82, .96 }, { .48, 1 }, { .18, .96 }, { 0, .83 } } } } },
	{ 3, 2, { { 3, false, false, { { .06, 0 }, { .92, 0 }, { .45, .4 } } },
		{ 7, true, false, { { .45, .4 }, { .85, .5 }, { 1, .73 }, { .82, .95 }, { .48, 1 }, { .18, .96 }, { 0, .84 } } } } },
	{ 4, 1, { { 4, false, false, { { .72, 1 }, { .72, 0 }, { 0, .7 }, { 1, .7 } } } } },
	{ 4, 2, { { 3, false, false, { { .16, 0 }, { .06, .58 }, { 1, .56 } } }, { 2, false, false, { { .74, .18 }, { .7, 1 } } } } },
	{ 5, 2, { { 3, false, false, { { .92, 0 }, { .2, 0 }, { .12, .46 } } },
		{ 8, true, false, { { .12, .46 }, { .48, .36 }, { .88, .47 }, { 1, .7 }, { .86, .92 }, { .5, 1 }, { .2, .96 }, { 0, .84 } } } } },
	{ 6, 1, { { 12, true, false, { { .84, .05 }, { .45, .12 }, { .13, .42 }, { .02, .7 }, { .14, .92 }, { .5, 1 }, { .87, .92 }, { .98, .69 }, { .83, .48 },
		{ .5, .41 }, { .17, .5 }, { .03, .7 } } } } },
	{ 6, 1, { { 9, true, false, { { .55, 0 }, { .15, .4 }, { .02, .7 }, { .2, .95 }, { .6, 1 }, { .95, .82 }, { .88, .58 }, { .5, .5 }, { .08, .7 } } } } },
	{ 7, 1, { { 3, false, false, { { 0, 0 }, { 1, 0 }, { .36, 1 } } } } },
	{ 7, 2, { { 3, false, false, { { 0, .02 }, { .96, 0 }, { .3, 1 } } }, { 2, false, false, { { .3, .5 }, { .86, .48 } } } } },
	{ 8, 2, { { 6, true, true, { { .5, 0 }, { .86, .1 }, { .86, .36 }, { .5, .47 }, { .14, .36 }, { .14, .1 } } },
		{ 6, true, true, { { .5, .47 }, { .95, .6 }, { .96, .87 }, { .5, 1 }, { .04, .87 }, { .05, .6 } } } } },
	{ 9, 1, { { 12, true, false, { { .16, .95 }, { .55, .88 }, { .87, .58 }, { .98, .3 }, { .86, .08 }, { .5, 0 }, { .13, .08 }, { .02, .31 }, { .17, .52 },
		{ .5, .59 }, { .83, .5 }, { .97, .3 } } } } },
	{ 9, 2, { { 8, true, true, { { .5, 0 }, { .84, .08 }, { .95, .3 }, { .84, .5 }, { .5, .58 }, { .14, .5 }, { .03, .3 }, { .15, .08 } } },
		{ 2, false, false, { { .95, .28 }, { .88, 1 } } } } },
};

/* ---- hands and pictures ---------------------------------------------------------------------------------------------------------------- */
typedef struct hand { const glyph *of[10]; point shift[10][STROKES][POINTS]; double pen, flat, slant, narrow; } hand;
typedef struct set { const char *name; uint64_t seed; int n, hands; bool gz; } set;
typedef struct segment { point a, b; } segment;
typedef struct canvas { double mask[SIZE][SIZE]; } canvas;

static double within(ds_rng *r, double lo, double hi) { return lo + (hi - lo) * ds_rng_f64(r); }

/* Nearly normal, from sums alone. */
static double bell(ds_rng *r)
{
	double sum = -6;
	for (int i = 0; i < 12; i++)
		sum += ds_rng_f64(r);
	return sum;
}

static void sine(double a, double *s, double *c)        /* small angles */
{
	double q = a * a;
	*s = a * (1 - q / 6 * (1 - q / 20 * (1 - q / 42)));
	*c = 1 - q / 2 * (1 - q / 12 * (1 - q / 30));
}

static hand make_hand(ds_rng *r)
{
	hand h = { .pen = within(r, 1.2, 3.6), .flat = within(r, .55, 1), .slant = within(r, -.25, .35), .narrow = within(r, .5, .8) };
	for (int d = 0; d < 10; d++) {
		int n = 0;
		for (size_t i = 0; i < DS_COUNTOF(glyphs); i++) {
			if (glyphs[i].digit == d && ds_rng_below(r, (uint64_t)++n) == 0)
				h.of[d] = &glyphs[i];
		}
		for (int i = 0; i < STROKES * POINTS; i++)
			h.shift[d][i / POINTS][i % POINTS] = (point){ .055 * bell(r), .045 * bell(r) };
	}
	return h;
}

/* The line from p[1] to p[2] at t, through its neighbours (Catmull & Rom 1974). */
static point spline(const point p[4], double t)
{
	double w[4] = { t * (-.5 + t * (1 - .5 * t)), 1 + t * t * (-2.5 + 1.5 * t), t * (.5 + t * (2 - 1.5 * t)), t * t * (-.5 + .5 * t) };
	point q = { 0, 0 };
	for (int i = 0; i < 4; i++) {
		q.x += w[i] * p[i].x;
		q.y += w[i] * p[i].y;
	}
	return q;
}

static int segments(const hand *h, int digit, segment *out)
{
	const glyph *g = h->of[digit];
	int n = 0;
	for (int k = 0; k < g->n; k++) {
		const stroke *s = &g->s[k];
		point p[POINTS], from;
		for (int i = 0; i < s->n; i++)
			p[i] = (point){ s->p[i].x + h->shift[digit][k][i].x, s->p[i].y + h->shift[digit][k][i].y };
		from = p[0];
		for (int i = 0; i < s->n - !s->closed; i++) {
			int steps = s->smooth ? STEPS : 1;
			for (int j = 1; j <= steps; j++) {
				point q[4];
				for (int m = 0; m < 4; m++) {
					int at = i + m - 1;
					q[m] = p[s->closed ? (at + s->n) % s->n : at < 0 ? 0 : at >= s->n ? s->n - 1 : at];
				}
				point to = s->smooth ? spline(q, (double)j / steps) : q[2];
				out[n++] = (segment){ from, to };
				from = to;
			}
		}
	}
	return n;
}

static double distance(const segment *s, double x, double y)
{
	double dx = s->b.x - s->a.x, dy = s->b.y - s->a.y, q = dx * dx + dy * dy, t = q > 0 ? ((x - s->a.x) * dx + (y - s->a.y) * dy) / q : 0;
	t = t < 0 ? 0 : t > 1 ? 1 : t;
	double ex = s->a.x + t * dx - x, ey = s->a.y + t * dy - y;
	return sqrt(ex * ex + ey * ey);
}

/* A digit with its middle at (cx, cy). */
static void write_digit(canvas *c, const hand *h, int digit, double cx, double cy, ds_rng *r)
{
	segment s[SEGMENTS];
	int n = segments(h, digit, s);
	double high = within(r, 12, 20), wide = high * h->narrow * within(r, .9, 1.1), sn, cs, slant = h->slant + within(r, -.1, .1);
	sine(within(r, -.3, .3), &sn, &cs);
	for (int i = 0; i < 2 * n; i++) {
		point *p = i % 2 ? &s[i / 2].b : &s[i / 2].a;
		double v = (p->y - .5) * high, u = (p->x - .5) * wide - slant * v;
		*p = (point){ cx + cs * u - sn * v, (cy + sn * u + cs * v) * h->flat };
	}
	for (int y = 0; y < SIZE; y++) {
		for (int x = 0; x < SIZE; x++) {
			double d = 1e9;
			for (int i = 0; i < n; i++) {
				double e = distance(&s[i], x + .5, (y + .5) * h->flat);
				d = e < d ? e : d;
			}
			double m = .5 + h->pen / 2 - d;
			m = m < 0 ? 0 : m > 1 ? 1 : m;
			c->mask[y][x] = m > c->mask[y][x] ? m : c->mask[y][x];
		}
	}
}

/* Each pixel with its neighbours, in shares of `b` on either side. */
static void blur(double v[SIZE][SIZE], double b)
{
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < SIZE; i++) {
			double row[SIZE];
			for (int k = 0; k < SIZE; k++)
				row[k] = pass ? v[k][i] : v[i][k];
			for (int k = 0; k < SIZE; k++) {
				double w = (1 - 2 * b) * row[k] + b * (row[k ? k - 1 : 0] + row[k < SIZE - 1 ? k + 1 : k]);
				*(pass ? &v[k][i] : &v[i][k]) = w;
			}
		}
	}
}

static void picture(uint8_t *out, const hand *h, const hand *other, int digit, ds_rng *r)
{
	canvas c = { 0 };
	write_digit(&c, h, digit, SIZE / 2.0 + within(r, -4, 4), SIZE / 2.0 + within(r, -4, 4), r);
	if (ds_rng_f64(r) < .6) {               /* a scrap of a neighbour */
		double far = within(r, 15, 21) * (ds_rng_below(r, 2) ? 1 : -1), side = within(r, -4, 4);
		bool beside = ds_rng_below(r, 2);
		write_digit(&c, other, (int)ds_rng_below(r, 10), SIZE / 2.0 + (beside ? far : side), SIZE / 2.0 + (beside ? side : far), r);
	}
	double paper = within(r, 120, 255), ink = within(r, 0, 90), gx = within(r, -1.5, 1.5), gy = within(r, -1.5, 1.5), noise = within(r, 4, 44);
	bool inverse = ds_rng_f64(r) < .3;
	for (int y = 0; y < SIZE; y++) {
		for (int x = 0; x < SIZE; x++) {
			double m = c.mask[y][x], v = (paper + gx * (x - SIZE / 2) + gy * (y - SIZE / 2)) * (1 - m) + ink * m;
			c.mask[y][x] = inverse ? 255 - v : v;
		}
	}
	blur(c.mask, within(r, 0, .25));
	for (int i = 0; i < SIZE * SIZE; i++) {
		double v = c.mask[i / SIZE][i % SIZE] + noise * bell(r);
		v = v < 0 ? 0 : v > 255 ? 255 : v;
		out[i] = (uint8_t)((int)v * LEVELS / 256 * (255 / (LEVELS - 1)));
	}
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------ */
static bool save(const char *dir, const set *s, const char *kind, const uint8_t *head, size_t n_head, const uint8_t *p, size_t n)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s-%s-ubyte%s", dir, s->name, kind, s->gz ? ".gz" : "");
	gzFile f = gzopen(path, s->gz ? "wb9" : "wbT");
	bool good = f && gzwrite(f, head, (unsigned)n_head) == (int)n_head && gzwrite(f, p, (unsigned)n) == (int)n;
	good = (!f || gzclose(f) == Z_OK) && good;
	if (!good)
		fprintf(stderr, "draw: %s cannot be written\n", path);
	return good;
}

/* Three times as large, as a picture file. */
static bool save_png(const char *dir, int i, int digit, const uint8_t *p)
{
	enum { BIG = SIZE * 3 };
	uint8_t big[BIG * BIG];
	char path[4096];
	png_image image = { .version = PNG_IMAGE_VERSION, .width = BIG, .height = BIG, .format = PNG_FORMAT_GRAY };
	for (int k = 0; k < BIG * BIG; k++)
		big[k] = p[k / BIG / 3 * SIZE + k % BIG / 3];
	snprintf(path, sizeof path, "%s/%c-is-%d.png", dir, 'a' + i, digit);
	bool good = png_image_write_to_file(&image, path, 0, big, 0, NULL);
	if (!good)
		fprintf(stderr, "draw: %s cannot be written\n", path);
	return good;
}

static bool draw(const set *s, const char *dir, bool files)
{
	ds_rng r = ds_rng_init(s->seed, 0);
	hand *h = ds_calloc((size_t)s->hands, sizeof *h);
	uint8_t *x = ds_calloc((size_t)s->n, SIZE * SIZE), *y = ds_calloc((size_t)s->n, 1);
	bool good = h && x && y;
	for (int i = 0; good && i < s->hands; i++)
		h[i] = make_hand(&r);
	for (int i = 0; good && i < s->n; i++)
		y[i] = (uint8_t)(i % 10);
	for (int i = s->n; good && i > 1; i--) {
		int k = (int)ds_rng_below(&r, (uint64_t)i);
		uint8_t v = y[i - 1];
		y[i - 1] = y[k];
		y[k] = v;
	}
	for (int i = 0; good && i < s->n; i++) {
		const hand *own = &h[ds_rng_below(&r, (uint64_t)s->hands)], *other = &h[ds_rng_below(&r, (uint64_t)s->hands)];
		picture(x + (size_t)i * SIZE * SIZE, own, other, y[i], &r);
	}
	uint8_t images[16] = { 0, 0, 8, 3, 0, 0, (uint8_t)(s->n >> 8), (uint8_t)s->n, [11] = SIZE, [15] = SIZE };
	uint8_t labels[8] = { 0, 0, 8, 1, 0, 0, (uint8_t)(s->n >> 8), (uint8_t)s->n };
	if (good && !files)
		good = save(dir, s, "images-idx3", images, sizeof images, x, (size_t)s->n * SIZE * SIZE) && save(dir, s, "labels-idx1", labels, sizeof labels, y, (size_t)s->n);
	for (int i = 0; good && files && i < 12; i++)
		good = save_png(dir, i, y[i], x + (size_t)i * SIZE * SIZE);
	ds_free(h);
	ds_free(x);
	ds_free(y);
	return good;
}

int main(int argc, char **argv)
{
	static const set sets[] = { { "train", 1, 10000, 200, false }, { "calib", 2, 500, 20, true }, { "test", 3, 1500, 60, true } };
	bool pictures = argc == 3 && !strcmp(argv[1], "pictures");      /* the first ones of the test */
	for (size_t i = 0; argc == 3 && i < DS_COUNTOF(sets); i++) {
		if (!strcmp(argv[1], pictures ? "pictures" : sets[i].name) && (!pictures || i == 2))
			return draw(&sets[i], argv[2], pictures) ? 0 : 1;
	}
	fprintf(stderr, "usage: draw train|calib|test|pictures DIR\n");
	return 2;
}
