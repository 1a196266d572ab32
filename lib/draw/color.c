/* color.c - colour maps, computed as paths through OKLab
 *
 * A path is a formula: lightness, chroma and hue over s in 0..1.  It is walked in small steps, the perceived length is added up, and the colours are taken at equal
 * parts of it, so that equal differences of numbers look equally different. */
#include "draw.h"

#include <math.h>
#include <string.h>

static double linear(uint8_t v)
{
	double c = v / 255.0;
	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double companded(double c)
{
	return c <= 0.0031308 ? 12.92 * c : 1.055 * pow(c, 1 / 2.4) - 0.055;
}

void ds_to_oklab(ds_rgb v, double lab[3])
{
	double r = linear(v.r), g = linear(v.g), b = linear(v.b);
	double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
	double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
	double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
	lab[0] = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
	lab[1] = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
	lab[2] = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
}

/* Linear RGB; false: outside of sRGB. */
static bool to_linear(double lightness, double a, double b, double rgb[3])
{
	double l = lightness + 0.3963377774 * a + 0.2158037573 * b, m = lightness - 0.1055613458 * a - 0.0638541728 * b,
		s = lightness - 0.0894841775 * a - 1.2914855480 * b;
	l *= l * l;
	m *= m * m;
	s *= s * s;
	rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
	rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
	rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
	return rgb[0] >= -1e-6 && rgb[1] >= -1e-6 && rgb[2] >= -1e-6 && rgb[0] <= 1 + 1e-6 && rgb[1] <= 1 + 1e-6 && rgb[2] <= 1 + 1e-6;
}

static uint8_t byte(double c)
{
	double v = 255 * companded(fmin(fmax(c, 0), 1));
	return (uint8_t)(v + 0.5);
}

ds_rgb ds_oklab(double l, double a, double b)
{
	double rgb[3], lo = 0, hi = 1;
	l = fmin(fmax(l, 0), 1);
	if (!to_linear(l, a, b, rgb))
		for (int i = 0; i < 24; i++) {          /* as much chroma as there is */
			double k = (lo + hi) / 2;
			if (to_linear(l, a * k, b * k, rgb))
				lo = k;
			else
				hi = k;
			if (i == 23)
				(void)to_linear(l, a * lo, b * lo, rgb);
		}
	return (ds_rgb){ byte(rgb[0]), byte(rgb[1]), byte(rgb[2]) };
}

ds_rgb ds_mix(ds_rgb a, ds_rgb b, double t)
{
	t = t > 0 ? fmin(t, 1) : 0;
	return (ds_rgb){ (uint8_t)(a.r + (b.r - a.r) * t + 0.5), (uint8_t)(a.g + (b.g - a.g) * t + 0.5), (uint8_t)(a.b + (b.b - a.b) * t + 0.5) };
}

ds_rgb ds_gray_of(ds_rgb c)
{
	uint8_t y = byte(0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b));
	return (ds_rgb){ y, y, y };
}

/* ---- the maps ------------------------------------------------------------------------------------------------------------------- */
#define PI 3.14159265358979323846

typedef struct path {
	double l0, l1;                  /* lightness at s = 0 and 1; of a diverging map at the ends and the middle */
	double h0, h1;                  /* hue in degrees at both ends */
	double c0, c1, bulge;           /* chroma at both ends, and what is added between them */
} path;

static const ds_colormap maps[] = {
	{ "ember", false, "black through purple and orange to light yellow" },
	{ "tide", true, "blue for what speaks against, white for nothing, orange for what speaks for" },
	{ "dusk", false, "dark blue through gray to yellow, which all eyes see alike" },
	{ "gray", false, "black to white" },
};
static const path paths[DS_COUNTOF(maps)] = {   /* in the order of maps */
	{ 0.13, 0.96, 285, 460, 0.03, 0.07, 0.14 },
	{ 0.42, 0.97, 258, 52, 0.17, 0, 0 },
	{ 0.20, 0.93, 262, 102, 0.09, 0.14, 0 },
	{ 0, 1, 0, 0, 0, 0, 0 },
};

const ds_colormap *ds_colormaps(int *n)
{
	*n = (int)DS_COUNTOF(maps);
	return maps;
}

/* A straight line where the bulge is 0 and both ends have a chroma; else lightness and hue are even. */
static void place(const path *p, bool diverging, double s, double lab[3])
{
	double h0 = p->h0 * PI / 180, h1 = p->h1 * PI / 180, c, h;
	if (diverging) {
		double k = fabs(2 * s - 1);
		lab[0] = p->l1 + (p->l0 - p->l1) * k;
		h = s < 0.5 ? h0 : h1;
		c = p->c0 * k;
	} else if (p->bulge == 0) {
		lab[0] = p->l0 + (p->l1 - p->l0) * s;
		lab[1] = p->c0 * cos(h0) * (1 - s) + p->c1 * cos(h1) * s;
		lab[2] = p->c0 * sin(h0) * (1 - s) + p->c1 * sin(h1) * s;
		return;
	} else {
		lab[0] = p->l0 + (p->l1 - p->l0) * s;
		h = h0 + (h1 - h0) * s;
		c = p->c0 + (p->c1 - p->c0) * s + p->bulge * sin(PI * s);
	}
	lab[1] = c * cos(h);
	lab[2] = c * sin(h);
}

enum { STEPS = 2048 };

bool ds_colors_make(ds_colors *c, const char *name)
{
	double length[STEPS + 1], was[3], lab[3];
	const path *p = NULL;
	for (size_t i = 0; i < DS_COUNTOF(paths); i++)
		if (!strcmp(maps[i].name, name)) {
			p = &paths[i];
			c->diverging = maps[i].diverging;
		}
	if (!p)
		return false;
	length[0] = 0;
	for (int i = 0; i <= STEPS; i++) {
		place(p, c->diverging, (double)i / STEPS, lab);
		if (i)
			length[i] = length[i - 1] + sqrt((lab[0] - was[0]) * (lab[0] - was[0]) + (lab[1] - was[1]) * (lab[1] - was[1]) +
				(lab[2] - was[2]) * (lab[2] - was[2]));
		memcpy(was, lab, sizeof was);
	}
	for (int i = 0, k = 0; i < 256; i++) {
		double want = length[STEPS] * i / 255;
		while (k < STEPS - 1 && length[k + 1] < want)
			k++;
		double part = length[k + 1] > length[k] ? (want - length[k]) / (length[k + 1] - length[k]) : 0;
		place(p, c->diverging, (k + part) / STEPS, lab);
		c->at[i] = ds_oklab(lab[0], lab[1], lab[2]);
	}
	return true;
}

ds_rgb ds_colors_at(const ds_colors *c, double t)
{
	double v = 255 * t + 0.5;
	return c->at[v >= 255 ? 255 : v > 0 ? (int)v : 0];
}
