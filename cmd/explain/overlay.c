/* overlay.c - a map over what it is about: the picture as the network saw it, or as it was before it was scaled and cut */
#include "overlay.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 1024 };                /* side of an original picture that is drawn */

void ex_overlay_done(ex_overlay *o)
{
	ds_free(o->seen);
	ds_free(o->rgb);
	ds_free(o->v);
	*o = (ex_overlay){ 0 };
}

/* Gradients jump from place to place; maps of a number for each of many places are seen better when neighbours are averaged a little.  -1: chosen. */
static double blur_of(const job *j, const ds_map *m, const ds_plane *p)
{
	if (j->s->blur >= 0)
		return j->s->blur;
	return m->kind == DS_MAP_INPUT && DS_MIN(p->h, p->w) >= 112 ? (double)DS_MIN(p->h, p->w) / 112 : 0;
}

static ds_status values(const job *j, const ex_result *r, const ds_map *m, ex_overlay *o, ds_err *err)
{
	size_t n = (size_t)(o->p.h * o->p.w);
	o->v = ds_malloc((n + 1) * sizeof *o->v);
	if (!o->v)
		return ds_fail_nomem(err, n * sizeof *o->v);
	DS_TRY(ds_map_places(m, &o->p, o->v, err));
	o->blur = blur_of(j, m, &o->p);
	DS_TRY(ds_field_blur(o->v, o->p.h, o->p.w, o->blur, err));
	o->top = ds_field_top(o->v, o->p.h * o->p.w, j->s->clip);
	(void)r;
	return DS_OK;
}

static ds_status choose_colors(const job *j, ex_overlay *o, ds_err *err)
{
	const char *name = j->s->colors;
	int n;
	const ds_colormap *maps = ds_colormaps(&n);
	for (int i = 0; !name && i < n; i++)
		if (maps[i].diverging == o->has_sign)
			name = maps[i].name;
	return ds_colors_make(&o->colors, name) ? DS_OK : ds_fail(err, DS_E_USAGE, "no colours are called \"%.60s\"", name);
}

/* ---- the original picture ------------------------------------------------------------------------------------------------------------ */
/* Its pixels, each the mean of k x k where it is large. */
static ds_status shrink(const ds_image *im, ex_overlay *o, int k, ds_err *err)
{
	o->w = DS_MAX(im->w / k, 1);
	o->h = DS_MAX(im->h / k, 1);
	o->seen = ds_malloc((size_t)o->w * (size_t)o->h * 3);
	if (!o->seen)
		return ds_fail_nomem(err, (size_t)o->w * (size_t)o->h * 3);
	for (int y = 0; y < o->h; y++)
		for (int x = 0; x < o->w; x++)
			for (int c = 0; c < 3; c++) {
				unsigned sum = 0, n = 0;
				for (int v = y * k; v < DS_MIN((y + 1) * k, im->h); v++)
					for (int u = x * k; u < DS_MIN((x + 1) * k, im->w); u++, n++)
						sum += im->px[((size_t)v * (size_t)im->w + (size_t)u) * (size_t)im->channels + (size_t)(im->channels == 3 ? c : 0)];
				o->seen[((size_t)y * (size_t)o->w + (size_t)x) * 3 + (size_t)c] = (uint8_t)((sum + n / 2) / DS_MAX(n, 1u));
			}
	return DS_OK;
}

static ds_status load_original(const job *j, const ex_result *r, ds_image *im, ds_err *err)
{
	ds_source *src;
	const void *p;
	size_t n;
	void *owner = NULL;
	char *path = ds_malloc(r->item->path_len + 1);
	if (!path)
		return ds_fail_nomem(err, r->item->path_len);
	memcpy(path, r->item->name, r->item->path_len);
	path[r->item->path_len] = 0;
	ds_status rc = j->picture && strcmp(path, "-") ? ds_source_open(&src, path, NULL, err) :
		ds_fail(err, DS_E_INPUT, "--on=original needs a file that is a picture");
	if (rc == DS_OK) {
		rc = ds_source_all(src, j->s->c.memory_limit, &p, &n, &owner, err);
		ds_source_close(src);
	}
	if (rc == DS_OK) {
		rc = ds_image_probe(p, n) ? ds_image_decode(im, p, n, j->s->max_pixels, err) : ds_fail(err, DS_E_INPUT, "--on=original needs a file that is a picture");
		ds_source_drop(owner);
	}
	ds_free(path);
	return rc;
}

/* What the map says at (u, v) of the network's input, between places; NaN: the network did not see it. */
static double sample(const ex_overlay *o, double u, double v)
{
	if (u < -0.5 || v < -0.5 || u >= (double)o->p.w - 0.5 || v >= (double)o->p.h - 0.5)
		return NAN;
	u = fmin(fmax(u, 0), (double)(o->p.w - 1));
	v = fmin(fmax(v, 0), (double)(o->p.h - 1));
	int64_t x = (int64_t)u, y = (int64_t)v, x1 = DS_MIN(x + 1, o->p.w - 1), y1 = DS_MIN(y + 1, o->p.h - 1);
	double a = u - (double)x, b = v - (double)y;
	return ((double)o->v[y * o->p.w + x] * (1 - a) + (double)o->v[y * o->p.w + x1] * a) * (1 - b) +
		((double)o->v[y1 * o->p.w + x] * (1 - a) + (double)o->v[y1 * o->p.w + x1] * a) * b;
}

static ds_status on_original(const job *j, const ex_result *r, ex_overlay *o, ds_err *err)
{
	ds_image im = { 0 };
	ds_prep_where at;
	float *v = NULL;
	DS_TRY(load_original(j, r, &im, err));
	int k = (DS_MAX(im.w, im.h) + LONGEST - 1) / LONGEST;
	ds_status rc = ds_prep_find(&j->prep, &im, &at, err);
	if (rc == DS_OK)
		rc = shrink(&im, o, k, err);
	if (rc == DS_OK && !(v = ds_malloc((size_t)o->w * (size_t)o->h * sizeof *v)))
		rc = ds_fail_nomem(err, 0);
	for (int y = 0; rc == DS_OK && y < o->h; y++)
		for (int x = 0; x < o->w; x++)
			v[(size_t)y * (size_t)o->w + (size_t)x] = (float)sample(o, (x + 0.5) * k * at.w / im.w - 0.5 - at.left, (y + 0.5) * k * at.h / im.h - 0.5 - at.top);
	if (rc == DS_OK) {
		ds_free(o->v);
		o->v = v;
	}
	ds_image_done(&im);
	return rc;
}

/* ---- both together ----------------------------------------------------------------------------------------------------------------------- */
static ds_rgb over(const job *j, const ex_overlay *o, size_t i)
{
	const uint8_t *s = o->seen + 3 * i;
	ds_rgb base = ds_gray_of((ds_rgb){ s[0], s[1], s[2] });
	if (isnan(o->v[i]))
		return ds_mix(base, (ds_rgb){ 128, 128, 128 }, 0.7);
	double t = o->top > 0 ? (double)o->v[i] / o->top : 0, a = j->s->opacity;
	ds_rgb heat = ds_colors_at(&o->colors, o->has_sign ? 0.5 + 0.5 * t : t);
	if (j->s->view == EX_HEAT)
		return heat;
	if (o->has_sign)                /* where nothing speaks for or against, the picture itself is seen */
		a *= fmin(1, 0.15 + 1.7 * fabs(t));
	return ds_mix(base, heat, a);
}

ds_status ex_overlay_make(const job *j, const ex_result *r, const ds_map *m, ex_overlay *o, ds_err *err)
{
	ds_status rc;
	*o = (ex_overlay){ .has_sign = m->has_sign };
	if (m->kind != DS_MAP_PLANE && m->kind != DS_MAP_INPUT)
		return ds_fail(err, DS_E_UNSUPPORTED, "maps of %s are no pictures; use --tsv, --json or --raw", j->method->name);
	if (!ds_explain_plane(j->x, &r->it.in[m->input], &o->p))
		return ds_fail(err, DS_E_UNSUPPORTED, "an input of more axes than a picture has; use --tsv, --json or --raw");
	if (o->p.w > DS_CANVAS_MAX || o->p.h > DS_CANVAS_MAX)
		return ds_fail(err, DS_E_LIMIT, "a map of %lld x %lld places is too large to draw", (long long)o->p.w, (long long)o->p.h);
	DS_GOTO(choose_colors(j, o, err));
	DS_GOTO(values(j, r, m, o, err));
	if (j->s->on == EX_ORIGINAL) {
		DS_GOTO(on_original(j, r, o, err));
	} else {
		o->w = (int)o->p.w;
		o->h = (int)o->p.h;
		DS_GOTO(ex_seen(j, r, &o->p, &o->seen, err));
	}
	size_t n = (size_t)o->w * (size_t)o->h;
	o->rgb = ds_malloc(n * 3 + 1);
	if (!o->rgb) {
		rc = ds_fail_nomem(err, n * 3);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		ds_rgb c = over(j, o, i);
		o->rgb[3 * i] = c.r;
		o->rgb[3 * i + 1] = c.g;
		o->rgb[3 * i + 2] = c.b;
	}
	return DS_OK;
out:
	ex_overlay_done(o);
	return rc;
}
