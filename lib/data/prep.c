/* prep.c - from a picture to the numbers a network wants, as META's input.N.* or a preset says */
#include "local.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const ds_prep_resize[] = { "none", "stretch", "short-side", "letterbox", NULL };
const char *const ds_prep_crop[] = { "none", "center", NULL };
const char *const ds_prep_color[] = { "RGB", "BGR", "gray", NULL };
const char *const ds_prep_layout[] = { "NCHW", "NHWC", NULL };

#define UNIT (1 / 255.0)
#define ONES { 1, 1, 1 }
#define IMAGENET_MEAN { 0.485, 0.456, 0.406 }
#define IMAGENET_STD  { 0.229, 0.224, 0.225 }

static const ds_preset presets[] = {
	{ "imagenet", { .h = 224, .w = 224, .resize = DS_RESIZE_SHORT, .resize_to = 256, .interpolation = DS_INTERP_BILINEAR_AA,
		.crop = DS_CROP_CENTER, .scale = UNIT, .mean = IMAGENET_MEAN, .std = IMAGENET_STD },
		"short side to 256, centre 224 x 224, RGB, ImageNet mean and deviation" },
	{ "cifar10", { .h = 32, .w = 32, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = UNIT,
		.mean = IMAGENET_MEAN, .std = IMAGENET_STD }, "32 x 32, RGB, ImageNet mean and deviation" },
	{ "mnist", { .h = 28, .w = 28, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = 1, .std = ONES,
		.color = DS_COLOR_GRAY }, "28 x 28, gray, 0..255" },
	{ "mnist-unit", { .h = 28, .w = 28, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = UNIT, .std = ONES,
		.color = DS_COLOR_GRAY }, "28 x 28, gray, 0..1" },
	{ "mnist-norm", { .h = 28, .w = 28, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = UNIT,
		.mean = { 0.1307, 0.1307, 0.1307 }, .std = { 0.3081, 0.3081, 0.3081 }, .color = DS_COLOR_GRAY },
		"28 x 28, gray, MNIST mean and deviation" },
	{ "unit", { .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = UNIT, .std = ONES },
		"size of the model, RGB, 0..1" },
	{ "raw", { .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = 1, .std = ONES, .layout = DS_NHWC },
		"size of the model, RGB, 0..255, channels last" },
	{ "yolox", { .h = 416, .w = 416, .resize = DS_RESIZE_LETTERBOX, .interpolation = DS_INTERP_BILINEAR, .fill = { 114, 114, 114 },
		.scale = 1, .std = ONES, .color = DS_COLOR_BGR }, "416 x 416 letterbox on 114, BGR, 0..255" },
	{ "ultraface", { .h = 240, .w = 320, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR, .scale = 1,
		.mean = { 127, 127, 127 }, .std = { 128, 128, 128 } }, "320 x 240, RGB, (x - 127) / 128" },
};

const ds_preset *ds_presets(int *n)
{
	*n = (int)DS_COUNTOF(presets);
	return presets;
}

const ds_preset *ds_preset_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(presets); i++) {
		if (!strcmp(presets[i].name, name))
			return &presets[i];
	}
	return NULL;
}

/* ---- META --------------------------------------------------------------------------------------------------------------------- */

/* One key below input.N., where it is kept, and how. */
typedef struct field {
	const char        *key;
	enum { INT, REAL, REAL3, WORD } kind;
	size_t             offset;
	const char *const *words;
} field;
#define OFF(m) offsetof(ds_prep_spec, m)
static const field fields[] = {
	{ "resize", WORD, OFF(resize), ds_prep_resize },  { "resize_to", INT, OFF(resize_to), NULL },
	{ "interpolation", WORD, OFF(interpolation), ds_prep_interp }, { "crop", WORD, OFF(crop), ds_prep_crop },
	{ "fill", REAL3, OFF(fill), NULL }, { "scale", REAL, OFF(scale), NULL }, { "mean", REAL3, OFF(mean), NULL }, { "std", REAL3, OFF(std), NULL },
	{ "color", WORD, OFF(color), ds_prep_color }, { "layout", WORD, OFF(layout), ds_prep_layout },
};

ds_status ds_prep_check(const ds_prep_spec *s, ds_err *err)
{
	if (s->h < 0 || s->w < 0 || s->h > DS_MAX_SIDE || s->w > DS_MAX_SIDE || !s->h != !s->w)
		return ds_fail(err, DS_E_USAGE, "input size %d x %d: both sides 0 or in 1..%d", s->h, s->w, DS_MAX_SIDE);
	if (s->resize_to < 0 || s->resize_to > DS_MAX_SIDE)
		return ds_fail(err, DS_E_USAGE, "length of the short side %d: not in 0..%d", s->resize_to, DS_MAX_SIDE);
	if (!isfinite(s->scale))
		return ds_fail(err, DS_E_USAGE, "input scale: not a number");
	for (int c = 0; c < 3; c++) {
		if (!isfinite(s->mean[c]) || !isfinite(s->std[c]) || s->std[c] == 0)
			return ds_fail(err, DS_E_USAGE, "input mean and deviation: must be finite, the deviation not 0");
		if (!(s->fill[c] >= 0 && s->fill[c] <= 255))
			return ds_fail(err, DS_E_USAGE, "letterbox colour: not in 0..255");
	}
	return DS_OK;
}

static ds_status get_field(ds_prep_spec *s, const field *f, const ds_kv *kv, ds_err *err)
{
	char *at = (char *)s + f->offset;
	if (f->kind == INT && kv->type == DS_KV_I64 && kv->n == 1 && kv->u.i[0] >= 0 && kv->u.i[0] <= DS_MAX_SIDE) {
		*(int *)(void *)at = (int)kv->u.i[0];
		return DS_OK;
	}
	if (f->kind == REAL && kv->type == DS_KV_F64 && kv->n == 1) {
		*(double *)(void *)at = kv->u.f[0];
		return DS_OK;
	}
	if (f->kind == REAL3 && kv->type == DS_KV_F64 && (kv->n == 1 || kv->n == 3)) {
		for (int c = 0; c < 3; c++)
			((double *)(void *)at)[c] = kv->u.f[kv->n == 3 ? c : 0];
		return DS_OK;
	}
	for (int i = 0; f->kind == WORD && kv->type == DS_KV_STR && f->words[i]; i++) {
		if (!strcmp(kv->u.s, f->words[i])) {
			*(int *)(void *)at = i;
			return DS_OK;
		}
	}
	return ds_fail(err, kv->type == DS_KV_STR && f->kind == WORD ? DS_E_UNSUPPORTED : DS_E_INPUT, "metadata %s: value not understood", kv->key);
}

ds_status ds_prep_from_meta(ds_prep_spec *s, const ds_meta *m, int input, bool *present, ds_err *err)
{
	char key[64];
	snprintf(key, sizeof key, "input.%d.kind", input);
	const char *kind = ds_meta_str(m, key);
	*present = kind && !strcmp(kind, "image");
	*s = (ds_prep_spec){ .scale = 1, .std = ONES, .interpolation = DS_INTERP_BILINEAR_AA };
	if (!*present)
		return DS_OK;
	snprintf(key, sizeof key, "input.%d.size", input);
	const ds_kv *kv = ds_meta_find(m, key);
	if (kv) {
		if (kv->type != DS_KV_I64 || kv->n != 2 || kv->u.i[0] < 0 || kv->u.i[0] > DS_MAX_SIDE || kv->u.i[1] < 0 || kv->u.i[1] > DS_MAX_SIDE)
			return ds_fail(err, DS_E_INPUT, "metadata %s: not two lengths of at most %d", key, DS_MAX_SIDE);
		s->h = (int)kv->u.i[0];
		s->w = (int)kv->u.i[1];
	}
	for (size_t i = 0; i < DS_COUNTOF(fields); i++) {
		snprintf(key, sizeof key, "input.%d.%s", input, fields[i].key);
		if ((kv = ds_meta_find(m, key)))
			DS_TRY(get_field(s, &fields[i], kv, err));
	}
	ds_status rc = ds_prep_check(s, err);
	if (rc == DS_E_USAGE && err)
		err->code = DS_E_INPUT;
	return rc == DS_E_USAGE ? DS_E_INPUT : rc;
}

ds_status ds_prep_to_meta(const ds_prep_spec *s, ds_meta *m, int input)
{
	char key[64];
	int64_t size[2] = { s->h, s->w };
	snprintf(key, sizeof key, "input.%d.kind", input);
	DS_TRY(ds_meta_set_str(m, key, "image"));
	snprintf(key, sizeof key, "input.%d.size", input);
	DS_TRY(ds_meta_set_i64(m, key, 2, size));
	for (size_t i = 0; i < DS_COUNTOF(fields); i++) {
		const field *f = &fields[i];
		const char *at = (const char *)s + f->offset;
		ds_status rc;
		snprintf(key, sizeof key, "input.%d.%s", input, f->key);
		if (f->kind == WORD) {
			rc = ds_meta_set_str(m, key, f->words[*(const int *)(const void *)at]);
		} else if (f->kind == INT) {
			int64_t v = *(const int *)(const void *)at;
			rc = ds_meta_set_i64(m, key, 1, &v);
		} else {
			rc = ds_meta_set_f64(m, key, f->kind == REAL ? 1 : 3, (const double *)(const void *)at);
		}
		DS_TRY(rc);
	}
	return DS_OK;
}

/* ---- pictures ----------------------------------------------------------------------------------------------------------------- */

/* Where the scaled picture lies relative to the result: result pixel (x, y) is scaled pixel (x + left, y + top), or fill outside. */
typedef struct place { int scaled_w, scaled_h, out_w, out_h, left, top; } place;

static int scaled_length(double v)
{
	return v < 1 ? 1 : v > 2.0 * DS_MAX_SIDE ? 2 * DS_MAX_SIDE : (int)v;    /* over the limit is refused when memory is asked for */
}

/* n * to / from, rounded to the nearest, halves to even. */
static double scaled_side(int n, int to, int from)
{
	return nearbyint((double)n * to / from);
}

/* Half of an excess (or, negative, of what is missing), rounded down. */
static int half(int d)
{
	return (d - (d & 1)) / 2;
}

static void scale_to(const ds_prep_spec *s, const ds_image *im, place *p)
{
	double f;
	switch (s->resize) {
	case DS_RESIZE_STRETCH:
		p->scaled_h = s->h ? s->h : im->h;
		p->scaled_w = s->w ? s->w : im->w;
		break;
	case DS_RESIZE_SHORT:
		if (s->resize_to) {
			int to = s->resize_to;
			p->scaled_w = im->w <= im->h ? to : scaled_length(scaled_side(im->w, to, im->h));
			p->scaled_h = im->w <= im->h ? scaled_length(scaled_side(im->h, to, im->w)) : to;
		} else if (s->h) {
			f = DS_MAX((double)s->h / im->h, (double)s->w / im->w);
			p->scaled_w = DS_MAX(s->w, scaled_length(im->w * f));
			p->scaled_h = DS_MAX(s->h, scaled_length(im->h * f));
		}
		break;
	case DS_RESIZE_LETTERBOX:
		if (s->h) {
			f = DS_MIN((double)s->h / im->h, (double)s->w / im->w);
			p->scaled_w = DS_MIN(s->w, scaled_length(im->w * f));
			p->scaled_h = DS_MIN(s->h, scaled_length(im->h * f));
		}
		break;
	default:
		break;
	}
}

static ds_status find_place(const ds_prep_spec *s, const ds_image *im, place *p, ds_err *err)
{
	*p = (place){ .scaled_w = im->w, .scaled_h = im->h };
	scale_to(s, im, p);
	p->out_h = s->h ? s->h : p->scaled_h;
	p->out_w = s->w ? s->w : p->scaled_w;
	bool fits = p->out_h == p->scaled_h && p->out_w == p->scaled_w;
	if (!fits && s->crop == DS_CROP_NONE && s->resize != DS_RESIZE_LETTERBOX)
		return ds_fail(err, DS_E_INPUT, "a picture of %d x %d pixels where the model wants %d x %d", im->w, im->h, p->out_w, p->out_h);
	if (s->crop == DS_CROP_CENTER) {
		p->left = half(p->scaled_w - p->out_w);
		p->top = half(p->scaled_h - p->out_h);
	}
	return DS_OK;
}

ds_status ds_prep_find(const ds_prep_spec *s, const ds_image *im, ds_prep_where *where, ds_err *err)
{
	place p;
	DS_TRY(find_place(s, im, &p, err));
	*where = (ds_prep_where){ p.scaled_w, p.scaled_h, p.left, p.top };
	return DS_OK;
}

ds_status ds_prep_size(const ds_prep_spec *s, const ds_image *im, int *h, int *w, ds_err *err)
{
	place p;
	DS_TRY(find_place(s, im, &p, err));
	*h = p.out_h;
	*w = p.out_w;
	return DS_OK;
}

/* Gray from RGB with the weights of ITU-R 601 in 16 fractional bits, as Pillow has them. */
static ds_status to_gray(ds_image *out, const ds_image *in, ds_err *err)
{
	DS_TRY(ds_image_alloc(out, in->w, in->h, 1, UINT64_MAX, err));
	size_t n = (size_t)in->w * in->h;
	for (size_t i = 0; i < n; i++)
		out->px[i] = (uint8_t)((in->px[3 * i] * 19595u + in->px[3 * i + 1] * 38470u + in->px[3 * i + 2] * 7471u + 0x8000) >> 16);
	return DS_OK;
}

static void write_planes(const ds_prep_spec *s, const ds_image *im, const place *p, float *dst)
{
	int channels = s->color == DS_COLOR_GRAY ? 1 : 3;
	size_t area = (size_t)p->out_h * p->out_w;
	for (int c = 0; c < channels; c++) {
		float value[256];       /* of the 256 possible pixels */
		for (int i = 0; i < 256; i++)
			value[i] = (float)((i * s->scale - s->mean[c]) / s->std[c]);
		int from = im->channels == 1 ? 0 : s->color == DS_COLOR_BGR ? 2 - c : c;
		float fill = (float)((s->fill[c] * s->scale - s->mean[c]) / s->std[c]);
		size_t step = s->layout == DS_NHWC ? channels : 1;
		float *d = s->layout == DS_NHWC ? dst + c : dst + area * c;
		for (int y = 0; y < p->out_h; y++) {
			int sy = y + p->top;
			bool row = sy >= 0 && sy < im->h;
			for (int x = 0; x < p->out_w; x++, d += step) {
				int sx = x + p->left;
				*d = row && sx >= 0 && sx < im->w ? value[im->px[((size_t)sy * im->w + sx) * im->channels + from]] : fill;
			}
		}
	}
}

ds_status ds_prep_image(const ds_prep_spec *s, const ds_image *im, float *dst, ds_err *err)
{
	place p;
	ds_image gray = { 0 }, scaled = { 0 };
	const ds_image *now = im;
	ds_status rc;
	DS_GOTO(find_place(s, im, &p, err));
	if (s->color == DS_COLOR_GRAY && im->channels == 3) {
		DS_GOTO(to_gray(&gray, im, err));
		now = &gray;
	}
	if (p.scaled_w != im->w || p.scaled_h != im->h) {
		DS_GOTO(ds_image_resize(&scaled, now, p.scaled_w, p.scaled_h, s->interpolation, err));
		now = &scaled;
	}
	write_planes(s, now, &p, dst);
out:
	ds_image_done(&gray);
	ds_image_done(&scaled);
	return rc;
}
