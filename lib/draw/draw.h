/* draw.h - pictures of results: canvas, colour maps, letters, PNG
 *
 * A canvas is 8-bit sRGB, rows top down.  Everything is clipped to it.  The same calls give the same bytes everywhere: no fonts, colour profiles or
 * libraries of the system take part but libpng, whose compression settings are fixed here. */
#ifndef DS_DRAW_H
#define DS_DRAW_H

#include "../base/mem.h"
#include "../io/io.h"

typedef struct ds_rgb { uint8_t r, g, b; } ds_rgb;

/* ---- colour maps ---------------------------------------------------------------------------------------------------------------- */
/* 256 colours at equal steps of perceived difference (Euclidean in OKLab).  Lightness rises along the whole of a sequential map and from either end of a diverging
 * one to its middle, so that maps survive gray printing; hues run from purple or blue to yellow or orange, which the common colour deficiencies keep apart. */
typedef struct ds_colors { ds_rgb at[256]; bool diverging; } ds_colors;
typedef struct ds_colormap { const char *name; bool diverging; const char *help; } ds_colormap;
const ds_colormap *ds_colormaps(int *n);                        /* the first sequential one and the first diverging one are the defaults */
/* false: no such map. */
bool      ds_colors_make(ds_colors *c, const char *name);
/* t in 0..1 (clamped; NaN: 0); of a diverging map .5 is its middle. */
ds_rgb    ds_colors_at(const ds_colors *c, double t);
/* OKLab (B. Ottosson, "A perceptual color space for image processing", 2020): lightness 0..1, a green to red, b blue to yellow.  To sRGB: colours outside lose chroma. */
ds_rgb    ds_oklab(double l, double a, double b);
void      ds_to_oklab(ds_rgb c, double lab[3]);
/* a + (b - a) * t, in sRGB. */
ds_rgb    ds_mix(ds_rgb a, ds_rgb b, double t);
ds_rgb    ds_gray_of(ds_rgb c);                                 /* of the same luminance */

/* ---- canvas ----------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_canvas { int w, h; uint8_t *px; } ds_canvas;
#define DS_CANVAS_MAX 32768                                      /* of each side */
/* DS_E_LIMIT: larger; DS_E_NOMEM. */
ds_status ds_canvas_init(ds_canvas *c, int64_t w, int64_t h, ds_rgb fill, ds_err *err);
void      ds_canvas_done(ds_canvas *c);
void      ds_canvas_set(ds_canvas *c, int x, int y, ds_rgb v);
ds_rgb    ds_canvas_get(const ds_canvas *c, int x, int y);      /* outside: black */
void      ds_canvas_rect(ds_canvas *c, int x, int y, int w, int h, ds_rgb v);
void      ds_canvas_frame(ds_canvas *c, int x, int y, int w, int h, ds_rgb v);          /* one pixel wide */
void      ds_canvas_line(ds_canvas *c, int x0, int y0, int x1, int y1, ds_rgb v);
/* RGB rows of w * h pixels, each `scale` pixels wide and high. */
void      ds_canvas_pixels(ds_canvas *c, int x, int y, const uint8_t *rgb, int w, int h, int scale);
void      ds_canvas_copy(ds_canvas *c, int x, int y, const ds_canvas *from);

/* Letters of 6 x 10 pixels times size, ASCII 32..126; a character of UTF-8 that is none of these takes one box.  Text ends at n bytes or, when n < 0, at its zero.
 * Answers the width in pixels. */
#define DS_LETTER_W 6
#define DS_LETTER_H 10
int       ds_canvas_text(ds_canvas *c, int x, int y, int size, ds_rgb v, const char *s, int64_t n);
int       ds_text_width(int size, const char *s, int64_t n);
/* Cut to fit `width` pixels, with ".." at its end; into b. */
void      ds_text_fit(ds_buf *b, int size, int width, const char *s, int64_t n);
/* A bar of colours with numbers at its ends (and the middle), for values lo..hi: horizontal, w pixels long, h high; numbers stand below, DS_LETTER_H * size more. */
void      ds_canvas_scale(ds_canvas *c, int x, int y, int w, int h, int size, const ds_colors *colors, double lo, double hi, ds_rgb ink);
/* A number for people: 4 significant digits at most; buf of 24 bytes. */
char     *ds_draw_number(char *buf, double v);

/* ---- fields of numbers ---------------------------------------------------------------------------------------------------------------- */
/* Bilinear scaling with half-pixel centres, edges repeated: in [h, w] to out [oh, ow]. */
void      ds_field_resize(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow);
/* Gaussian of standard deviation `sigma` places, in place; edges weigh what is there.  sigma 0: nothing. */
ds_status ds_field_blur(float *v, int64_t h, int64_t w, double sigma, ds_err *err);
/* The largest absolute value that is finite, and 0 if there is none; of n numbers.  With share < 1: that which this share of the numbers does not exceed. */
double    ds_field_top(const float *v, int64_t n, double share);

/* ---- files ----------------------------------------------------------------------------------------------------------------------------- */
/* PNG (8-bit RGB) to a sink.  text: NULL, or keyword, text, keyword, text, ..., NULL, written as iTXt (UTF-8). */
ds_status ds_png_write(ds_sink *s, const ds_canvas *c, const char *const *text, ds_err *err);

#endif
