/* words.c - ds-convert: options whose text says more than one thing: sizes, channels, presets; which of them go together */
#include <string.h>

#include "convert.h"

/* A number, or a quotient such as 1/255. */
static bool parse_real(const char *text, size_t n, double *v)
{
	char buf[64], *slash;
	double den = 1;
	if (n == 0 || n >= sizeof buf)
		return false;
	memcpy(buf, text, n);
	buf[n] = 0;
	slash = strchr(buf, '/');
	if (slash) {
		*slash = 0;
		if (!ds_parse_f64(slash + 1, &den) || den == 0)
			return false;
	}
	if (!ds_parse_f64(buf, v))
		return false;
	*v /= den;
	return true;
}

/* One number for all channels or three. */
static ds_status parse_channels(const char *option, const char *text, double v[3], ds_err *err)
{
	int n = 0;
	for (const char *s = text; s && n <= 3; n++) {
		const char *end = strchrnul(s, ',');
		if (n == 3 || !parse_real(s, (size_t)(end - s), &v[n]))
			return ds_fail(err, DS_E_USAGE, "--%s '%s': one number, or three with commas between them", option, text);
		s = *end ? end + 1 : NULL;
	}
	if (n == 2)
		return ds_fail(err, DS_E_USAGE, "--%s '%s': one number, or three with commas between them", option, text);
	for (; n < 3; n++)
		v[n] = v[0];
	return DS_OK;
}

static ds_status parse_size(const char *text, ds_prep_spec *s, ds_err *err)
{
	const char *x = strchr(text, 'x');
	double h, w;
	if (!x || !parse_real(text, (size_t)(x - text), &h) || !parse_real(x + 1, strlen(x + 1), &w) || h < 1 || w < 1 || h > 65535 || w > 65535 ||
		h != (int)h || w != (int)w)
		return ds_fail(err, DS_E_USAGE, "--input-size '%s': not HEIGHTxWIDTH", text);
	s->h = (int)h;
	s->w = (int)w;
	return DS_OK;
}

static ds_status parse_resize(const char *text, ds_prep_spec *s, ds_err *err)
{
	size_t n = strcspn(text, ":");
	double to = 0;
	for (int i = 0; ds_prep_resize[i]; i++) {
		if (strlen(ds_prep_resize[i]) != n || strncmp(ds_prep_resize[i], text, n) != 0)
			continue;
		if (text[n] && (i != DS_RESIZE_SHORT || !parse_real(text + n + 1, strlen(text + n + 1), &to) || to < 1 || to > 65535 || to != (int)to))
			break;
		s->resize = i;
		s->resize_to = (int)to;
		return DS_OK;
	}
	return ds_fail(err, DS_E_USAGE, "--resize '%s': not none, stretch, short-side, short-side:N or letterbox", text);
}

static ds_status presets_text(ds_err *err, const char *name)
{
	ds_buf b = { 0 };
	int n;
	const ds_preset *p = ds_presets(&n);
	for (int i = 0; i < n; i++)
		ds_buf_printf(&b, "%s%s", i ? ", " : "", p[i].name);
	ds_status rc = ds_fail(err, DS_E_USAGE, "--input-preset '%s': the names are %s", name, b.data ? b.data : "");
	ds_buf_done(&b);
	return rc;
}

ds_status convert_parse_prep(settings *s, ds_err *err)
{
	static const char *const given[] = { "input-preset", "input-size", "resize", "interpolation", "crop", "fill", "input-color", "input-scale", "input-mean",
		"input-std" };
	ds_prep_spec *p = &s->spec;
	double scale[3];
	for (size_t i = 0; i < DS_COUNTOF(given); i++)
		s->prep |= ds_given(given[i]);
	s->prep |= s->layout >= 0 && s->layout < LAYOUT_ROWS;
	*p = (ds_prep_spec){ .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = 1, .std = { 1, 1, 1 } };
	if (s->preset && strcmp(s->preset, "help") == 0)
		return DS_OK;                   /* run prints the table */
	if (s->preset) {
		const ds_preset *preset = ds_preset_find(s->preset);
		if (!preset)
			return presets_text(err, s->preset);
		*p = preset->spec;
	}
	if (s->size)
		DS_TRY(parse_size(s->size, p, err));
	if (s->resize)
		DS_TRY(parse_resize(s->resize, p, err));
	if (s->scale) {
		DS_TRY(parse_channels("input-scale", s->scale, scale, err));
		p->scale = scale[0];
	}
	if (s->mean)
		DS_TRY(parse_channels("input-mean", s->mean, p->mean, err));
	if (s->std)
		DS_TRY(parse_channels("input-std", s->std, p->std, err));
	if (s->fill)
		DS_TRY(parse_channels("fill", s->fill, p->fill, err));
	p->interpolation = s->interpolation >= 0 ? s->interpolation : p->interpolation;
	p->crop = s->crop >= 0 ? s->crop : p->resize == DS_RESIZE_SHORT && !s->preset ? DS_CROP_CENTER : p->crop;
	p->color = s->color >= 0 ? s->color : p->color;
	p->layout = s->layout >= 0 && s->layout < LAYOUT_ROWS ? s->layout : p->layout;
	return ds_prep_check(p, err);
}

/* Options that say something of rows, and what kinds they are for. */
ds_status convert_check_rows(settings *s, ds_err *err)
{
	static const struct { const char *name; unsigned kinds; } given[] = {
		{ "columns", 1u << DS_KIND_TABLE }, { "target", 1u << DS_KIND_TABLE }, { "horizon", 1u << DS_KIND_TABLE },
		{ "window", 1u << DS_KIND_TABLE | 1u << DS_KIND_TEXT | 1u << DS_KIND_SOUND }, { "hop", 1u << DS_KIND_TABLE | 1u << DS_KIND_TEXT | 1u << DS_KIND_SOUND },
		{ "context", 1u << DS_KIND_TABLE | 1u << DS_KIND_SOUND }, { "rate", 1u << DS_KIND_SOUND }, { "tokens", 1u << DS_KIND_TEXT },
		{ "vocabulary", 1u << DS_KIND_TEXT }, { "items", 1u << DS_KIND_TEXT },
	};
	s->rows = s->kind >= 0 || s->layout >= LAYOUT_ROWS;
	for (size_t i = 0; i < DS_COUNTOF(given); i++) {
		if (!ds_given(given[i].name))
			continue;
		s->rows = true;
		if (s->kind >= 0 && !(given[i].kinds & 1u << s->kind))
			return ds_fail(err, DS_E_USAGE, "--%s has no meaning with --input-kind %s", given[i].name, ds_kind_names[s->kind]);
	}
	if (s->rows && s->prep)
		return ds_fail(err, DS_E_USAGE, "options about pictures and about rows cannot be combined");
	if (s->vocabulary && s->tokens == DS_TOKENS_BYTES)
		return ds_fail(err, DS_E_USAGE, "--tokens bytes needs no --vocabulary");
	return DS_OK;
}
