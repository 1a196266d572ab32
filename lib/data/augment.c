/* augment.c - random changes to training samples: flip, crop, cutout, shift, noise; mixup's parameter */
#include "augment.h"

#include "../base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Value (c, y, x) of a picture. */
static inline int64_t at(const ds_aug_shape *z, int64_t c, int64_t y, int64_t x)
{
	return z->last ? (y * z->w + x) * z->c + c : (c * z->h + y) * z->w + x;
}

/* Left and right change places in every second picture. */
static void flip(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	if (ds_rng_u64(r) >> 63)
		return;
	for (int64_t c = 0; c < z->c; c++) {
		for (int64_t y = 0; y < z->h; y++) {
			for (int64_t i = 0, j = z->w - 1; i < j; i++, j--) {
				float *a = &x[at(z, c, y, i)], *b = &x[at(z, c, y, j)], t = *a;
				*a = *b;
				*b = t;
			}
		}
	}
}

/* Index i of an axis of n values, mirrored at both ends without repeating the outermost. */
static int64_t mirror(int64_t i, int64_t n)
{
	while (i < 0 || i >= n)
		i = n == 1 ? 0 : i < 0 ? -i : 2 * (n - 1) - i;
	return i;
}

/* The picture with a border of N, and of that a window of its size somewhere: a shift by up to N each way. */
static void crop(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	int64_t pad = (int64_t)s->value, dy = (int64_t)ds_rng_below(r, (uint64_t)(2 * pad + 1)) - pad, dx = (int64_t)ds_rng_below(r, (uint64_t)(2 * pad + 1)) - pad;
	if (!dy && !dx)
		return;
	memcpy(tmp, x, (size_t)z->n * sizeof *x);
	for (int64_t c = 0; c < z->c; c++) {
		for (int64_t y = 0; y < z->h; y++) {
			int64_t from = y + dy;
			for (int64_t i = 0; i < z->w; i++) {
				int64_t j = i + dx;
				bool inside = from >= 0 && from < z->h && j >= 0 && j < z->w;
				x[at(z, c, y, i)] = inside ? tmp[at(z, c, from, j)] : s->reflect ? tmp[at(z, c, mirror(from, z->h), mirror(j, z->w))] : 0;
			}
		}
	}
}

/* A square of N x N somewhere becomes zero; its middle lies in the picture (DeVries and Taylor 2017). */
static void cutout(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	int64_t n = (int64_t)s->value, cy = (int64_t)ds_rng_below(r, (uint64_t)z->h), cx = (int64_t)ds_rng_below(r, (uint64_t)z->w);
	int64_t y0 = DS_MAX(cy - n / 2, 0), y1 = DS_MIN(cy - n / 2 + n, z->h), x0 = DS_MAX(cx - n / 2, 0), x1 = DS_MIN(cx - n / 2 + n, z->w);
	for (int64_t c = 0; c < z->c; c++) {
		for (int64_t y = y0; y < y1; y++) {
			for (int64_t i = x0; i < x1; i++)
				x[at(z, c, y, i)] = 0;
		}
	}
}

/* Up to N steps later or earlier along the last axis, zeros where nothing was. */
static void shift(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	int64_t most = (int64_t)s->value, d = (int64_t)ds_rng_below(r, (uint64_t)(2 * most + 1)) - most;
	d = DS_MIN(DS_MAX(d, -z->len), z->len);
	for (float *row = x; d && row < x + z->n; row += z->len) {
		size_t keep = (size_t)(z->len - (d < 0 ? -d : d)), gap = (size_t)(d < 0 ? -d : d);
		memmove(row + (d > 0 ? gap : 0), row + (d > 0 ? 0 : gap), keep * sizeof *row);
		memset(row + (d > 0 ? 0 : keep), 0, gap * sizeof *row);
	}
}

/* Loudness, brightness: all values times 1 +- S. */
static void gain(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	float f = (float)(1 + s->value * (2 * ds_rng_f64(r) - 1));
	for (int64_t i = 0; i < z->n; i++)
		x[i] *= f;
}

static void noise(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r)
{
	for (int64_t i = 0; i < z->n; i++)
		x[i] += (float)(s->value * ds_rng_normal(r));
}

static const ds_aug_row rows[] = {
	{ .name = "flip", .picture = true, .apply = flip, .help = "every second picture is mirrored, left to right" },
	{ .name = "crop", .value = "N", .min = 1, .max = 4096, .picture = true, .whole = true, .reflect = true, .apply = crop,
		.help = "a picture moves up to N pixels each way; zeros come in, or with :reflect its mirror image" },
	{ .name = "cutout", .value = "N", .min = 1, .max = 16384, .picture = true, .whole = true, .apply = cutout, .help = "a square of N pixels becomes zero" },
	{ .name = "shift", .value = "N", .min = 1, .max = 1e9, .whole = true, .apply = shift, .help = "a sample moves up to N steps along its last axis; zeros come in" },
	{ .name = "gain", .value = "S", .min = 0, .max = 10, .apply = gain, .help = "all values are multiplied by one number from 1 - S to 1 + S" },
	{ .name = "noise", .value = "S", .min = 0, .max = 1e6, .input_only = true, .apply = noise, .help = "normal noise of deviation S is added to the input" },
	{ .name = "mixup", .value = "A", .min = 0, .max = 100, .help = "two samples and their labels are mixed, in shares of the distribution Beta(A, A)" },
};

const ds_aug_row *ds_aug_rows(int *n)
{
	*n = (int)DS_COUNTOF(rows);
	return rows;
}

static ds_status unknown(const char *word, size_t n, ds_err *err)
{
	ds_buf b = { 0 };
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		ds_buf_printf(&b, "%s%s%s%s", i ? ", " : "", rows[i].name, rows[i].value ? ":" : "", rows[i].value ? rows[i].value : "");
	ds_status rc = ds_fail(err, DS_E_USAGE, "--augment: '%.*s' is none of %s", (int)DS_MIN(n, (size_t)60), word, b.data ? b.data : "");
	ds_buf_done(&b);
	return rc;
}

/* One word: NAME, NAME:VALUE or NAME:VALUE:reflect. */
static ds_status parse_word(ds_augment *a, const char *word, size_t n, ds_err *err)
{
	char buf[64], *value, *more = NULL;
	const ds_aug_row *row = NULL;
	ds_aug_step s = { 0 };
	if (n >= sizeof buf)
		return unknown(word, n, err);
	memcpy(buf, word, n);
	buf[n] = 0;
	if ((value = strchr(buf, ':'))) {
		*value++ = 0;
		if ((more = strchr(value, ':')))
			*more++ = 0;
	}
	for (size_t i = 0; i < DS_COUNTOF(rows); i++) {
		if (!strcmp(rows[i].name, buf))
			row = &rows[i];
	}
	if (!row)
		return unknown(word, n, err);
	if (row->value ? !value || !ds_parse_f64(value, &s.value) || s.value < row->min || s.value > row->max || (row->whole && s.value != floor(s.value)) : value != NULL)
		return ds_fail(err, DS_E_USAGE, row->value ? "--augment: '%.*s' is not %s:%s with %s%s from %g to %g" : "--augment: '%.*s': %s takes no value",
			(int)n, word, row->name, row->value, row->whole ? "whole " : "", row->value, row->min, row->max);
	if (more && (!row->reflect || strcmp(more, "reflect")))
		return ds_fail(err, DS_E_USAGE, "--augment: '%.*s': nothing is known about ':%s'", (int)n, word, more);
	s.row = row;
	s.reflect = more != NULL;
	if (!row->apply)
		a->mixup = s.value;
	else if (a->n == DS_AUG_MAX)
		return ds_fail(err, DS_E_USAGE, "--augment: more than %d steps", DS_AUG_MAX);
	else
		a->step[a->n++] = s;
	return DS_OK;
}

ds_status ds_augment_parse(ds_augment *a, const char *text, ds_err *err)
{
	*a = (ds_augment){ 0 };
	for (const char *s = text; s && *s;) {
		size_t n = strcspn(s, ",");
		DS_TRY(parse_word(a, s, n, err));
		s += n + (s[n] == ',');
	}
	return DS_OK;
}

ds_status ds_augment_check(const ds_augment *a, const ds_aug_shape *z, ds_err *err)
{
	for (int i = 0; i < a->n; i++) {
		if (a->step[i].row->picture && !z->picture)
			return ds_fail(err, DS_E_USAGE, "--augment: %s is for pictures, and the model's first input takes none", a->step[i].row->name);
	}
	return DS_OK;
}

void ds_augment_item(const ds_augment *a, const ds_aug_shape *z, float *x, float *tmp, bool input_only, ds_rng *r)
{
	for (int i = 0; i < a->n; i++) {
		if (a->step[i].row->input_only == input_only)
			a->step[i].row->apply(&a->step[i], z, x, tmp, r);
	}
}

/* Gamma(a) by Marsaglia and Tsang (2000); below 1 from Gamma(a + 1) and a uniform number. */
static double gamma_of(ds_rng *r, double a)
{
	double boost = a < 1 ? pow(1 - ds_rng_f64(r), 1 / a) : 1, d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
	for (;;) {
		double x = ds_rng_normal(r), v = 1 + c * x, u = 1 - ds_rng_f64(r);
		if (v <= 0)
			continue;
		v = v * v * v;
		if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
			return boost * d * v;
	}
}

double ds_rng_beta(ds_rng *r, double a)
{
	double x = gamma_of(r, a), y = gamma_of(r, a), s = x + y;
	return s > 0 ? x / s : ds_rng_f64(r) < 0.5 ? 0 : 1;     /* both underflowed: a tiny, one side takes all */
}
