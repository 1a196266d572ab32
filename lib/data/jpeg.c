/* jpeg.c - JPEG pictures through libjpeg (an optional library: HAVE_JPEG)
 *
 * Baseline and progressive; gray, YCbCr, RGB, CMYK and YCCK.  The inverse DCT is the accurate integer one and chroma is interpolated ("fancy
 * upsampling"), which is what most programs do and what the networks saw in training.  Four-colour files are taken as inverted, as Adobe's are.
 * A file that ends early or has a broken code is a failed picture, though libjpeg would only warn. */
#include "local.h"

#ifdef HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define MAX_SCANS 500   /* of a progressive file: each costs a pass over the whole picture */
#define MAX_EXIF 65533

typedef struct reader {
	struct jpeg_error_mgr mgr;      /* first: libjpeg hands it back */
	struct jpeg_progress_mgr progress;
	jmp_buf               jump;
	bool                  cut, many_scans;
	char                  text[JMSG_LENGTH_MAX];
	uint8_t              *row;      /* of a CMYK picture */
} reader;

static void on_error(j_common_ptr c)
{
	reader *r = (reader *)c->err;
	c->err->format_message(c, r->text);
	longjmp(r->jump, 1);
}

/* Warnings that mean lost pixels fail the picture; the others (odd versions, bytes between segments) pass in silence. */
static void on_message(j_common_ptr c, int level)
{
	if (level >= 0)
		return;
	switch (c->err->msg_code) {
	case JWRN_JPEG_EOF:
		((reader *)c->err)->cut = true;
		on_error(c);
		break;
	case JWRN_HIT_MARKER:
	case JWRN_HUFF_BAD_CODE:
	case JWRN_MUST_RESYNC:
	case JWRN_BOGUS_PROGRESSION:
	case JWRN_ARITH_BAD_CODE:
	case JWRN_TOO_MUCH_DATA:
		on_error(c);
		break;
	default:
		break;
	}
}

static void on_output(j_common_ptr c)
{
}

static void on_progress(j_common_ptr c)
{
	reader *r = (reader *)c->err;
	if (((j_decompress_ptr)c)->input_scan_number > MAX_SCANS) {
		r->many_scans = true;
		longjmp(r->jump, 1);
	}
}

static bool probe(const uint8_t *p, size_t n)
{
	return n >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff;
}

static int mul255(int a, int b)         /* a * b / 255, rounded */
{
	int t = a * b + 128;
	return (t + (t >> 8)) >> 8;
}

static void cmyk_row(uint8_t *dst, const uint8_t *src, int w)
{
	for (int x = 0; x < w; x++) {
		int k = src[4 * x + 3];         /* inverted: 255 is no ink */
		for (int c = 0; c < 3; c++) {
			int v = k - mul255(255 - src[4 * x + c], k);
			dst[3 * x + c] = (uint8_t)(v < 0 ? 0 : v);
		}
	}
}

static int orientation_of(j_decompress_ptr j)
{
	for (jpeg_saved_marker_ptr m = j->marker_list; m; m = m->next) {
		if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && !memcmp(m->data, "Exif\0\0", 6))
			return ds_exif_orientation(m->data, m->data_length);
	}
	return 1;
}

/* Everything that may longjmp.  Allocated memory hangs on *out and *r. */
static ds_status read_all(j_decompress_ptr j, reader *r, ds_image *out, int *orientation, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err)
{
	if (setjmp(r->jump))
		return DS_E_INPUT;      /* the caller words it */
	jpeg_create_decompress(j);
	j->mem->max_memory_to_use = 1l << 30;
	j->progress = &r->progress;
	jpeg_mem_src(j, p, (unsigned long)n);
	jpeg_save_markers(j, JPEG_APP0 + 1, MAX_EXIF);
	jpeg_read_header(j, TRUE);
	*orientation = orientation_of(j);
	bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
	j->out_color_space = cmyk ? JCS_CMYK : j->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
	j->dct_method = JDCT_ISLOW;
	j->do_fancy_upsampling = TRUE;
	int channels = j->out_color_space == JCS_GRAYSCALE ? 1 : 3;
	DS_TRY(ds_image_alloc(out, j->image_width, j->image_height, channels, max_pixels, err));
	if (cmyk && !(r->row = ds_malloc((size_t)out->w * 4)))
		return ds_fail_nomem(err, (size_t)out->w * 4);
	jpeg_start_decompress(j);
	while (j->output_scanline < j->output_height) {
		uint8_t *dst = out->px + (size_t)out->w * channels * j->output_scanline;
		JSAMPROW row = cmyk ? r->row : dst;
		jpeg_read_scanlines(j, &row, 1);
		if (cmyk)
			cmyk_row(dst, r->row, out->w);
	}
	jpeg_finish_decompress(j);
	return DS_OK;
}

static ds_status decode(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err)
{
	struct jpeg_decompress_struct j;
	reader r;
	ds_err why = { 0 };
	int orientation = 1;
	memset(&j, 0, sizeof j);
	memset(&r, 0, sizeof r);
	*out = (ds_image){ 0 };
	j.err = jpeg_std_error(&r.mgr);
	r.mgr.error_exit = on_error;
	r.mgr.emit_message = on_message;
	r.mgr.output_message = on_output;
	r.progress.progress_monitor = on_progress;
	ds_status rc = read_all(&j, &r, out, &orientation, p, n, max_pixels, &why);
	unsigned long row = j.output_scanline, rows = j.output_height;
	jpeg_destroy_decompress(&j);
	ds_free(r.row);
	if (rc != DS_OK && why.code == DS_OK) {
		if (r.many_scans)
			rc = ds_fail(err, DS_E_LIMIT, "a progressive JPEG of more than %d scans", MAX_SCANS);
		else if (r.cut)
			rc = rows ? ds_fail(err, DS_E_INPUT, "truncated JPEG (row %lu of %lu)", row, rows) : ds_fail(err, DS_E_INPUT, "truncated JPEG");
		else
			rc = ds_fail(err, DS_E_INPUT, "corrupt JPEG: %s", r.text);
	} else if (rc != DS_OK && err) {
		*err = why;
	}
	if (rc == DS_OK)
		rc = ds_image_orient(out, orientation, err);
	if (rc != DS_OK)
		ds_image_done(out);
	return rc;
}

const ds_image_codec ds_image_jpeg = { "jpeg", probe, decode };
#else
typedef int no_jpeg;    /* a translation unit may not be empty */
#endif
