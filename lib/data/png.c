/* png.c - PNG pictures through libpng's row interface
 *
 * The input is hostile: memory comes from our allocator, sizes are limited before anything is allocated, unknown chunks are not kept, a wrong
 * checksum in any chunk fails the picture.  Everything becomes 8-bit gray or RGB: 16 bit keeps the high byte, alpha and transparency are dropped,
 * palettes are looked up.  No gamma or colour profile is applied. */
#include "local.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct reader {
	const uint8_t *p;
	size_t         n, at;
	int            row, pass, rows;         /* for the message: which row was being read, -1 before */
	bool           cut, nomem;
	char           text[160];
} reader;

/* libpng asks for the length that an eXIf chunk claims to have before it looks for its bytes, and no limit of its own applies: nothing that it needs
 * for pictures within our limits is larger than this. */
#define ALLOC_MAX (16u << 20)

static png_voidp get_memory(png_structp png, png_alloc_size_t n)
{
	reader *r = png_get_mem_ptr(png);
	void *p = n <= ALLOC_MAX ? ds_malloc(n) : NULL;
	r->nomem |= !p && n <= ALLOC_MAX;
	return p;
}

static void free_memory(png_structp png, png_voidp p)
{
	ds_free(p);
}

static void on_error(png_structp png, png_const_charp text)
{
	reader *r = png_get_error_ptr(png);
	snprintf(r->text, sizeof r->text, "%s", text);
	longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
}

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
	reader *r = png_get_io_ptr(png);
	if (n > r->n - r->at) {
		r->cut = true;
		png_error(png, "truncated");
	}
	memcpy(to, r->p + r->at, n);
	r->at += n;
}

static bool probe(const uint8_t *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8);
}

static void set_limits(png_structp png)
{
	png_set_user_limits(png, DS_MAX_SIDE, DS_MAX_SIDE);
	png_set_chunk_malloc_max(png, 8u << 20);
	png_set_chunk_cache_max(png, 64);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
#else
	png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
#endif
}

/* Ask for 8-bit gray or RGB without alpha; answers the channels. */
static int set_transforms(png_structp png, png_infop info)
{
	int color = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
	if (depth == 16)
		png_set_strip_16(png);
	if (color == PNG_COLOR_TYPE_PALETTE)
		png_set_palette_to_rgb(png);
	if (color == PNG_COLOR_TYPE_GRAY && depth < 8)
		png_set_expand_gray_1_2_4_to_8(png);
	if (color & PNG_COLOR_MASK_ALPHA || color == PNG_COLOR_TYPE_PALETTE)
		png_set_strip_alpha(png);
	return color & PNG_COLOR_MASK_COLOR ? 3 : 1;
}

/* Everything that may longjmp; locals that change after setjmp live in *r and *out. */
static ds_status read_all(png_structp png, png_infop info, reader *r, ds_image *out, int *orientation, uint64_t max_pixels, ds_err *err)
{
	if (setjmp(png_jmpbuf(png)))
		return DS_E_INPUT;      /* the caller words it */
	set_limits(png);
	png_set_read_fn(png, r, read_bytes);
	png_read_info(png, info);
	int channels = set_transforms(png, info);
	int passes = png_set_interlace_handling(png);
	png_read_update_info(png, info);
	DS_TRY(ds_image_alloc(out, png_get_image_width(png, info), png_get_image_height(png, info), channels, max_pixels, err));
	size_t stride = (size_t)out->w * channels;
	if (png_get_rowbytes(png, info) != stride)
		return ds_fail(err, DS_E_INTERNAL, "PNG rows of %zu bytes where %zu were expected", png_get_rowbytes(png, info), stride);
	r->rows = out->h;
	for (r->pass = 0; r->pass < passes; r->pass++) {
		for (r->row = 0; r->row < out->h; r->row++)
			png_read_row(png, out->px + stride * r->row, NULL);
	}
	r->row = -1;
	png_read_end(png, info);
#ifdef PNG_eXIf_SUPPORTED
	png_uint_32 n;
	png_bytep exif;
	if (png_get_eXIf_1(png, info, &n, &exif) & PNG_INFO_eXIf)
		*orientation = ds_exif_orientation(exif, n);
#endif
	return DS_OK;
}

static ds_status decode(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err)
{
	reader r = { .p = p, .n = n, .row = -1 };
	ds_err why = { 0 };
	int orientation = 1;
	*out = (ds_image){ 0 };
	png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, get_memory, free_memory);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	if (!info) {
		png_destroy_read_struct(&png, NULL, NULL);
		return ds_fail_nomem(err, sizeof r);
	}
	ds_status rc = read_all(png, info, &r, out, &orientation, max_pixels, &why);
	png_destroy_read_struct(&png, &info, NULL);
	if (r.nomem) {          /* libpng calls it a bad file, or leaves out what it had no memory for */
		rc = ds_fail_nomem(err, 0);
	} else if (rc != DS_OK && why.code == DS_OK) {
		if (r.row >= 0)
			rc = ds_fail_at(err, DS_E_INPUT, -1, "%s PNG%s%s (row %d of %d)", r.cut ? "truncated" : "corrupt", r.cut ? "" : ": ", r.cut ? "" : r.text,
				r.row, r.rows);
		else
			rc = ds_fail_at(err, DS_E_INPUT, -1, "%s PNG%s%s", r.cut ? "truncated" : "corrupt", r.cut ? "" : ": ", r.cut ? "" : r.text);
	} else if (rc != DS_OK && err) {
		*err = why;
	}
	if (rc == DS_OK)
		rc = ds_image_orient(out, orientation, err);
	if (rc != DS_OK)
		ds_image_done(out);
	return rc;
}

const ds_image_codec ds_image_png = { "png", probe, decode };
