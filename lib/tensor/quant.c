/* quant.c - quantised planes: sizes, packing, decoding (ds-model(5), TNSR) */
#include "tensor.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_DIM   INT64_C(0x7FFFFFFF)
#define MAX_COUNT (INT64_C(1) << 40)

static int code_bits(ds_dtype d)
{
	return d == DS_I8 ? 8 : d >= DS_U2 && d <= DS_U6 ? (int)d - 0x40 : 0;
}

ds_status ds_qform_size(const ds_qform *q, int rank, const int64_t *dim, ds_qsize *s, ds_err *err)
{
	*s = (ds_qsize){ .rows = 1, .cols = 1, .groups = 1, .scales = 1 };
	if (rank < 0 || rank > DS_MAX_RANK || q->row_dims > rank)
		return ds_fail(err, DS_E_INPUT, "rank %d with %d row dimensions", rank, q->row_dims);
	int64_t guard = 1;
	for (int i = 0; i < rank; i++) {
		if (dim[i] < 0 || dim[i] > MAX_DIM || ds_mul_over(guard, DS_MAX(dim[i], 1), &guard) || guard > MAX_COUNT)
			return ds_fail(err, DS_E_INPUT, "dimension %d of %" PRId64 " is over the limits", i, dim[i]);
		*(i < q->row_dims ? &s->rows : &s->cols) *= dim[i];
	}
	if (q->scheme == DS_Q_PLAIN) {
		size_t size = ds_dtype_size(q->code);
		if (!size)
			return ds_fail(err, DS_E_INPUT, "element type %d is not a plain type", (int)q->code);
		s->code_stride = (uint64_t)s->cols * size;
		s->code_bytes = s->total = (uint64_t)s->rows * s->code_stride;
		return DS_OK;
	}
	int b = code_bits(q->code);
	size_t scale = ds_dtype_size(q->scale_dtype), zero = q->zero_dtype ? ds_dtype_size(q->zero_dtype) : 0;
	if (!b || !scale || (q->gran == DS_Q_GROUP && !q->group) || (q->joined && b != 2 && b != 4 && b != 8))
		return ds_fail(err, DS_E_INPUT, "quantised form with %d-bit codes is not valid", b);
	if (q->gran == DS_Q_GROUP)
		s->groups = (s->cols + q->group - 1) / q->group;
	s->scales = q->gran == DS_Q_TENSOR ? 1 : s->rows * s->groups;
	int64_t run = q->joined ? s->rows * s->cols : s->cols;
	s->code_stride = ds_pad64((uint64_t)((run + 31) / 32) * 4 * (unsigned)b);
	s->code_bytes = q->joined ? s->code_stride : (uint64_t)s->rows * s->code_stride;
	s->scale_off = s->code_bytes;
	s->scale_bytes = ds_pad64((uint64_t)s->scales * scale);
	s->zero_off = s->scale_off + s->scale_bytes;
	s->zero_bytes = q->scheme == DS_Q_ASYM || q->scheme == DS_Q_MINIMA ? ds_pad64((uint64_t)s->scales * zero) : 0;
	s->book_off = s->zero_off + s->zero_bytes;
	s->book_bytes = q->scheme == DS_Q_CODEBOOK ? ds_pad64(((uint64_t)1 << b) * scale) : 0;
	s->total = s->book_off + s->book_bytes;
	return DS_OK;
}

/* ---- packing: a plane of width w in {8,4,2,1} has code i of a block of 32 in byte i mod 4w at bit w*(i / 4w) ----------------------- */
static void pack_plane(int w, int shift, const uint8_t *code, int64_t n, uint8_t *dst)
{
	int bytes = 4 * w;
	unsigned mask = (1u << w) - 1;
	for (int64_t k = 0; k < n; k += 32, dst += bytes)
		for (int i = 0; i < 32 && k + i < n; i++)
			dst[i % bytes] = (uint8_t)(dst[i % bytes] | (code[k + i] >> shift & mask) << (w * (i / bytes)));
}

static void unpack_plane(int w, int shift, const uint8_t *src, int64_t n, uint8_t *code)
{
	int bytes = 4 * w;
	unsigned mask = (1u << w) - 1;
	for (int64_t k = 0; k < n; k += 32, src += bytes)
		for (int i = 0; i < 32 && k + i < n; i++)
			code[k + i] = (uint8_t)(code[k + i] | (src[i % bytes] >> (w * (i / bytes)) & mask) << shift);
}

/* The widths that a code of `bits` is split into, low plane first: 3 = 2+1, 5 = 4+1, 6 = 4+2. */
static int low_width(int bits)
{
	return bits == 3 ? 2 : bits == 5 || bits == 6 ? 4 : bits;
}

void ds_q_pack(int bits, const uint8_t *code, int64_t n, uint8_t *dst, uint64_t stride)
{
	int lo = low_width(bits);
	int64_t blocks = (n + 31) / 32;
	memset(dst, 0, stride);
	if (bits == 8) {
		memcpy(dst, code, (size_t)n);
		return;
	}
	pack_plane(lo, 0, code, n, dst);
	if (lo < bits)
		pack_plane(bits - lo, lo, code, n, dst + blocks * 4 * lo);
}

void ds_q_unpack(int bits, const uint8_t *src, uint64_t stride, int64_t n, uint8_t *code)
{
	int lo = low_width(bits);
	int64_t blocks = (n + 31) / 32;
	(void)stride;
	if (bits == 8) {
		memcpy(code, src, (size_t)n);
		return;
	}
	memset(code, 0, (size_t)n);
	unpack_plane(lo, 0, src, n, code);
	if (lo < bits)
		unpack_plane(bits - lo, lo, src + blocks * 4 * lo, n, code);
}

/* ---- decoding ------------------------------------------------------------------------------------------------------------------ */
static float plane_f32(ds_dtype d, const void *p, int64_t i)
{
	float f;
	ds_dtype_of(d)->to_f32(&f, (const char *)p + (size_t)i * ds_dtype_size(d), 1);
	return f;
}

/* One row of codes (unpacked) into values; scale index base is row*groups (0 for one scale per tensor). */
static void decode_codes(const ds_qform *q, const ds_qsize *s, const uint8_t *data, int64_t row, const uint8_t *code, float *dst)
{
	int b = code_bits(q->code);
	int64_t step = q->gran == DS_Q_GROUP ? q->group : s->cols;
	for (int64_t g = 0; g * step < s->cols; g++) {
		int64_t si = q->gran == DS_Q_TENSOR ? 0 : row * s->groups + g, end = DS_MIN((g + 1) * step, s->cols);
		float scale = plane_f32(q->scale_dtype, data + s->scale_off, si), zero = 0;
		if (q->scheme == DS_Q_ASYM)
			zero = (float)((const uint8_t *)(data + s->zero_off))[si];
		else if (q->scheme == DS_Q_MINIMA)
			zero = plane_f32(q->zero_dtype, data + s->zero_off, si);
		for (int64_t c = g * step; c < end; c++) {
			float v = b == 8 ? (float)(int8_t)code[c] : (float)code[c];
			switch (q->scheme) {
			case DS_Q_SYM:      dst[c] = scale * (b == 8 ? v : v - (float)(1 << (b - 1))); break;
			case DS_Q_ASYM:     dst[c] = scale * (v - zero); break;
			case DS_Q_CODEBOOK: dst[c] = scale * plane_f32(q->scale_dtype, data + s->book_off, code[c]); break;
			default:            dst[c] = fmaf(scale, v, zero); break;
			}
		}
	}
}

ds_status ds_q_decode_rows(const ds_qform *q, const ds_qsize *s, const void *data, int64_t row0, int64_t n, float *dst)
{
	const uint8_t *p = data;
	if (s->cols == 0)               /* no value, and with groups no scale either */
		return DS_OK;
	if (q->scheme == DS_Q_PLAIN) {
		const ds_dtype_row *d = ds_dtype_of(q->code);
		d->to_f32(dst, p + (uint64_t)row0 * s->code_stride, (size_t)(n * s->cols));
		return DS_OK;
	}
	int b = code_bits(q->code);
	uint8_t *code = ds_malloc((size_t)(q->joined ? s->rows * s->cols : s->cols));
	if (!code)
		return DS_E_NOMEM;
	if (q->joined)
		ds_q_unpack(b, p, s->code_stride, s->rows * s->cols, code);
	for (int64_t r = row0; r < row0 + n; r++, dst += s->cols) {
		if (!q->joined)
			ds_q_unpack(b, p + (uint64_t)r * s->code_stride, s->code_stride, s->cols, code);
		decode_codes(q, s, p, r, q->joined ? code + r * s->cols : code, dst);
	}
	ds_free(code);
	return DS_OK;
}
