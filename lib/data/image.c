/* image.c - the table of picture codecs, limits, EXIF orientation */
#include "local.h"

#include <string.h>

static const ds_image_codec *const codecs[] = {
	&ds_image_png,
#ifdef HAVE_JPEG
	&ds_image_jpeg,
#endif
};

bool ds_image_probe(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < DS_COUNTOF(codecs); i++) {
		if (codecs[i]->probe(p, n))
			return true;
	}
	return n >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff;  /* JPEG, also where it cannot be decoded */
}

ds_status ds_image_decode(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err)
{
	*out = (ds_image){ 0 };
	for (size_t i = 0; i < DS_COUNTOF(codecs); i++) {
		if (codecs[i]->probe(p, n))
			return codecs[i]->decode(out, p, n, max_pixels ? max_pixels : DS_MAX_PIXELS, err);
	}
	if (ds_image_probe(p, n))
		return ds_fail(err, DS_E_UNSUPPORTED, "a JPEG picture, and this build has no JPEG decoder");
	return ds_fail(err, DS_E_INPUT, n ? "not a picture in a known format" : "empty file");
}

void ds_image_done(ds_image *im)
{
	ds_free(im->px);
	*im = (ds_image){ 0 };
}

ds_status ds_image_alloc(ds_image *out, uint64_t w, uint64_t h, int channels, uint64_t max_pixels, ds_err *err)
{
	if (!w || !h)
		return ds_fail(err, DS_E_INPUT, "a picture without pixels");
	if (w > DS_MAX_SIDE || h > DS_MAX_SIDE || w * h > max_pixels)
		return ds_fail(err, DS_E_LIMIT, "a picture of %llu x %llu pixels is over the limit (%d a side, %llu in all: --max-pixels)",
			(unsigned long long)w, (unsigned long long)h, DS_MAX_SIDE, (unsigned long long)max_pixels);
	size_t bytes = (size_t)w * h * channels;
	out->px = ds_malloc(bytes);
	if (!out->px)
		return ds_fail_nomem(err, bytes);
	out->w = (int)w;
	out->h = (int)h;
	out->channels = channels;
	return DS_OK;
}

/* ---- EXIF ---------------------------------------------------------------------------------------------------------------------
 * EXIF is a TIFF file of its own: byte order mark, 42, offset of the first directory; a directory is a count and 12-byte entries
 * (tag, type, count, value).  Only tag 0x0112, Orientation, type SHORT, is of interest (EXIF 2.32, 4.6.4). */

static uint32_t tiff_get(const uint8_t *p, int bytes, bool big)
{
	uint32_t v = 0;
	for (int i = 0; i < bytes; i++)
		v |= (uint32_t)p[big ? bytes - 1 - i : i] << (8 * i);
	return v;
}

int ds_exif_orientation(const uint8_t *p, size_t n)
{
	if (n >= 6 && !memcmp(p, "Exif\0\0", 6)) {
		p += 6;
		n -= 6;
	}
	if (n < 8 || (memcmp(p, "II*\0", 4) && memcmp(p, "MM\0*", 4)))
		return 1;
	bool big = p[0] == 'M';
	size_t dir = tiff_get(p + 4, 4, big);
	if (dir > n || n - dir < 2)
		return 1;
	size_t count = tiff_get(p + dir, 2, big);
	for (size_t i = 0; i < count && n - dir - 2 >= 12 * (i + 1); i++) {
		const uint8_t *e = p + dir + 2 + 12 * i;
		if (tiff_get(e, 2, big) == 0x0112 && tiff_get(e + 2, 2, big) == 3) {
			uint32_t v = tiff_get(e + 8, 2, big);
			return v >= 1 && v <= 8 ? (int)v : 1;
		}
	}
	return 1;
}

/* Where the upright picture's pixel (x, y) is stored, by orientation: at (y, x) if `swap`, else (x, y); `flip_x` and `flip_y` then count stored
 * columns and rows from the other end. */
static const struct { bool swap, flip_x, flip_y; } turn[9] = {
	[2] = { false, true, false }, [3] = { false, true, true }, [4] = { false, false, true }, [5] = { true, false, false },
	[6] = { true, false, true },  [7] = { true, true, true },  [8] = { true, true, false },
};

ds_status ds_image_orient(ds_image *im, int o, ds_err *err)
{
	if (o < 2 || o > 8)
		return DS_OK;
	ds_image up = { .w = turn[o].swap ? im->h : im->w, .h = turn[o].swap ? im->w : im->h, .channels = im->channels };
	size_t bytes = (size_t)im->w * im->h * im->channels;
	up.px = ds_malloc(bytes);
	if (!up.px)
		return ds_fail_nomem(err, bytes);
	for (int y = 0; y < up.h; y++) {
		for (int x = 0; x < up.w; x++) {
			int sx = turn[o].swap ? y : x, sy = turn[o].swap ? x : y;
			if (turn[o].flip_x)
				sx = im->w - 1 - sx;
			if (turn[o].flip_y)
				sy = im->h - 1 - sy;
			memcpy(up.px + ((size_t)y * up.w + x) * im->channels, im->px + ((size_t)sy * im->w + sx) * im->channels, im->channels);
		}
	}
	ds_free(im->px);
	*im = up;
	return DS_OK;
}
