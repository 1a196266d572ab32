/* png.c - a canvas as PNG, through libpng's row interface */
#include "draw.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct writer {
	ds_sink  *sink;
	ds_status rc;
	ds_err   *err;
	char      text[160];
} writer;

static png_voidp get_memory(png_structp png, png_alloc_size_t n)
{
	(void)png;
	return ds_malloc(n);
}

static void free_memory(png_structp png, png_voidp p)
{
	(void)png;
	ds_free(p);
}

static void on_error(png_structp png, png_const_charp text)
{
	writer *w = png_get_error_ptr(png);
	snprintf(w->text, sizeof w->text, "%s", text);
	longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static void write_bytes(png_structp png, png_bytep p, size_t n)
{
	writer *w = png_get_io_ptr(png);
	w->rc = ds_sink_write(w->sink, p, n, w->err);
	if (w->rc != DS_OK)
		png_error(png, "write");
}

static void flush(png_structp png)
{
	(void)png;
}

/* Everything that may longjmp. */
static bool write_all(png_structp png, png_infop info, writer *w, const ds_canvas *c, const char *const *text)
{
	if (setjmp(png_jmpbuf(png)))
		return false;
	png_set_write_fn(png, w, write_bytes, flush);
	png_set_IHDR(png, info, (png_uint_32)c->w, (png_uint_32)c->h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
	png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
	png_set_compression_level(png, 6);
	for (int i = 0; text && text[i]; i += 2) {
		png_text t = { .compression = PNG_ITXT_COMPRESSION_NONE };
		t.key = (png_charp)(uintptr_t)text[i];
		t.text = (png_charp)(uintptr_t)text[i + 1];
		t.itxt_length = strlen(text[i + 1]);
		t.lang = t.lang_key = NULL;
		png_set_text(png, info, &t, 1);
	}
	png_write_info(png, info);
	for (int y = 0; y < c->h; y++)
		png_write_row(png, c->px + (size_t)y * (size_t)c->w * 3);
	png_write_end(png, NULL);
	return true;
}

ds_status ds_png_write(ds_sink *s, const ds_canvas *c, const char *const *text, ds_err *err)
{
	writer w = { .sink = s, .err = err };
	png_structp png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning, &w, get_memory, free_memory);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	if (!info) {
		png_destroy_write_struct(&png, NULL);
		return ds_fail_nomem(err, sizeof w);
	}
	bool ok = write_all(png, info, &w, c, text);
	png_destroy_write_struct(&png, &info);
	if (ok)
		return DS_OK;
	return w.rc != DS_OK ? w.rc : ds_fail(err, DS_E_INTERNAL, "PNG: %s", w.text);
}
