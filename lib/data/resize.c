/* resize.c - scaling 8-bit pictures
 *
 * Separable resampling in two passes, rows first, each pass rounded to 8 bits.  For an output pixel at centre c = (x + 1/2) * scale the weights of the
 * input pixels i are filter((i + 1/2 - c) / s), s = max(scale, 1) with antialiasing and 1 without, cut at the picture's edge and normalised to 1.
 * Weights are rounded to 22 fractional bits and sums to the nearest integer.  With antialiasing this is, pixel for pixel, the resize of Pillow
 * (`Image.resize` with BILINEAR and BICUBIC), which the published networks were trained and evaluated with; integers make it the same everywhere. */
#include "local.h"

#include <math.h>

const char *const ds_prep_interp[] = { "nearest", "bilinear", "bilinear-antialias", "bicubic-antialias", NULL };    /* order of rules[] */

#define FRACTION 22

static double triangle(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

static double cubic(double x)          /* Keys' kernel with a = -1/2 */
{
	const double a = -0.5;
	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const struct rule { double (*filter)(double); double support; bool antialias; } rules[] = {
	{ NULL, 0, false }, { triangle, 1, false }, { triangle, 1, true }, { cubic, 2, true },
};

/* The weights of one axis: output i reads n[i] inputs from first[i] on. */
typedef struct taps { int *first, *n; int32_t *w; int per; } taps;

static void taps_done(taps *t)
{
	ds_free(t->first);
	ds_free(t->n);
	ds_free(t->w);
}

static ds_status taps_make(taps *t, const struct rule *r, int in, int out, ds_err *err)
{
	double scale = (double)in / out, stretch = r->antialias && scale > 1 ? scale : 1, support = r->support * stretch;
	*t = (taps){ .per = (int)ceil(support) * 2 + 1 };
	t->first = ds_calloc(out, sizeof *t->first);
	t->n = ds_calloc(out, sizeof *t->n);
	t->w = ds_calloc((size_t)out * t->per, sizeof *t->w);
	double *w = ds_calloc(t->per, sizeof *w);
	if (!t->first || !t->n || !t->w || !w) {
		taps_done(t);
		ds_free(w);
		return ds_fail_nomem(err, (size_t)out * t->per * sizeof *t->w);
	}
	for (int x = 0; x < out; x++) {
		double centre = (x + 0.5) * scale, sum = 0;
		int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
		lo = DS_MAX(lo, 0);
		hi = DS_MIN(hi, in);
		for (int i = lo; i < hi; i++)
			sum += w[i - lo] = r->filter((i - centre + 0.5) * (1 / stretch));
		for (int i = lo; i < hi; i++) {
			double v = (sum != 0 ? w[i - lo] / sum : w[i - lo]) * (1 << FRACTION);
			t->w[(size_t)x * t->per + i - lo] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
		}
		t->first[x] = lo;
		t->n[x] = hi - lo;
	}
	ds_free(w);
	return DS_OK;
}

static uint8_t round8(int32_t sum)
{
	sum >>= FRACTION;
	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One row of `channels`-interleaved pixels to out pixels. */
static void row_pass(uint8_t *dst, const uint8_t *src, const taps *t, int out, int channels)
{
	for (int x = 0; x < out; x++) {
		const int32_t *w = t->w + (size_t)x * t->per;
		const uint8_t *s = src + (size_t)t->first[x] * channels;
		for (int c = 0; c < channels; c++) {
			int32_t sum = 1 << (FRACTION - 1);
			for (int i = 0; i < t->n[x]; i++)
				sum += w[i] * s[(size_t)i * channels + c];
			*dst++ = round8(sum);
		}
	}
}

/* Output row y from the rows of src, which is `width` bytes wide; acc is scratch of that many sums. */
static void column_pass(uint8_t *dst, const uint8_t *src, size_t width, const taps *t, int y, int32_t *acc)
{
	for (size_t x = 0; x < width; x++)
		acc[x] = 1 << (FRACTION - 1);
	for (int i = 0; i < t->n[y]; i++) {
		const uint8_t *s = src + width * (t->first[y] + i);
		int32_t w = t->w[(size_t)y * t->per + i];
		for (size_t x = 0; x < width; x++)
			acc[x] += w * s[x];
	}
	for (size_t x = 0; x < width; x++)
		dst[x] = round8(acc[x]);
}

static void nearest(ds_image *out, const ds_image *in)
{
	for (int y = 0; y < out->h; y++) {
		int sy = DS_MIN((int)((y + 0.5) * in->h / out->h), in->h - 1);
		for (int x = 0; x < out->w; x++) {
			int sx = DS_MIN((int)((x + 0.5) * in->w / out->w), in->w - 1);
			for (int c = 0; c < in->channels; c++)
				out->px[((size_t)y * out->w + x) * in->channels + c] = in->px[((size_t)sy * in->w + sx) * in->channels + c];
		}
	}
}

static ds_status rows(ds_image *out, const ds_image *in, const struct rule *r, ds_err *err)
{
	taps t;
	DS_TRY(taps_make(&t, r, in->w, out->w, err));
	for (int y = 0; y < in->h; y++)
		row_pass(out->px + (size_t)y * out->w * in->channels, in->px + (size_t)y * in->w * in->channels, &t, out->w, in->channels);
	taps_done(&t);
	return DS_OK;
}

static ds_status columns(ds_image *out, const ds_image *in, const struct rule *r, ds_err *err)
{
	taps t;
	size_t width = (size_t)in->w * in->channels;
	DS_TRY(taps_make(&t, r, in->h, out->h, err));
	int32_t *acc = ds_calloc(width, sizeof *acc);
	if (acc) {
		for (int y = 0; y < out->h; y++)
			column_pass(out->px + width * y, in->px, width, &t, y, acc);
	}
	ds_free(acc);
	taps_done(&t);
	return acc ? DS_OK : ds_fail_nomem(err, width * sizeof *acc);
}

ds_status ds_image_resize(ds_image *out, const ds_image *in, int w, int h, int interpolation, ds_err *err)
{
	const struct rule *r = &rules[interpolation];
	const uint64_t any = UINT64_MAX;        /* the target size is the network's, not the file's */
	ds_image wide = { 0 };
	ds_status rc = DS_OK;
	*out = (ds_image){ 0 };
	if (!r->filter) {
		DS_TRY(ds_image_alloc(out, w, h, in->channels, any, err));
		nearest(out, in);
		return DS_OK;
	}
	/* a pass that would not change the size is left out */
	if (w != in->w) {
		DS_GOTO(ds_image_alloc(&wide, w, in->h, in->channels, any, err));
		DS_GOTO(rows(&wide, in, r, err));
	}
	if (h != in->h) {
		DS_GOTO(ds_image_alloc(out, w, h, in->channels, any, err));
		DS_GOTO(columns(out, wide.px ? &wide : in, r, err));
	} else if (wide.px) {
		*out = wide;
		wide.px = NULL;
	} else {
		DS_GOTO(ds_image_alloc(out, w, h, in->channels, any, err));
		for (size_t i = 0; i < (size_t)w * h * in->channels; i++)
			out->px[i] = in->px[i];
	}
out:
	ds_image_done(&wide);
	if (rc != DS_OK)
		ds_image_done(out);
	return rc;
}
