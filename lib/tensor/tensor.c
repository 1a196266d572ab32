/* tensor.c - buffers, tensors, types, layouts */
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

#define MAX_DIM   INT64_C(0x7FFFFFFF)
#define MAX_COUNT (INT64_C(1) << 40)

/* ---- buffers ------------------------------------------------------------------------------------------------------------------- */
struct ds_buffer {
	int    refs;            /* atomic */
	void  *data;
	size_t size;
	void (*release)(void *owner);
	void  *owner;
};

ds_buffer *ds_buffer_new(size_t bytes)
{
	ds_buffer *b = ds_calloc(1, sizeof *b);
	void *p = b ? ds_aligned(bytes) : NULL;
	if (!p) {
		ds_free(b);
		return NULL;
	}
	memset(p, 0, bytes ? ds_pad64(bytes) : 64);
	*b = (ds_buffer){ 1, p, bytes, ds_free, p };
	return b;
}

ds_buffer *ds_buffer_wrap(void *data, size_t bytes, void (*release)(void *owner), void *owner)
{
	ds_buffer *b = ds_calloc(1, sizeof *b);
	if (b)
		*b = (ds_buffer){ 1, data, bytes, release, owner };
	return b;
}

ds_buffer *ds_buffer_ref(ds_buffer *b)
{
	if (b)
		__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void ds_buffer_unref(ds_buffer *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		if (b->release)
			b->release(b->owner);
		ds_free(b);
	}
}

void *ds_buffer_data(ds_buffer *b)
{
	return b->data;
}

size_t ds_buffer_size(const ds_buffer *b)
{
	return b->size;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------- */
ds_status ds_tensor_new(ds_tensor *t, ds_dtype dtype, int rank, const int64_t *dim, ds_err *err)
{
	size_t size = ds_dtype_size(dtype);
	*t = (ds_tensor){ 0 };
	if (!size || rank < 0 || rank > DS_MAX_RANK)
		return ds_fail(err, DS_E_INPUT, "a tensor of type %s and rank %d cannot be made", ds_dtype_name(dtype), rank);
	int64_t n = 1, guard = 1;
	for (int i = 0; i < rank; i++) {
		if (dim[i] < 0 || dim[i] > MAX_DIM || ds_mul_over(guard, DS_MAX(dim[i], 1), &guard) || guard > MAX_COUNT)
			return ds_fail(err, DS_E_INPUT, "dimension %d of %" PRId64 " is over the limits", i, dim[i]);
		n *= dim[i];
		t->dim[i] = dim[i];
	}
	t->buf = ds_buffer_new((size_t)n * size);
	if (!t->buf)
		return ds_fail_nomem(err, (size_t)n * size);
	t->dtype = dtype;
	t->rank = rank;
	t->data = t->buf->data;
	return DS_OK;
}

void ds_tensor_borrow(ds_tensor *t, ds_dtype dtype, int rank, const int64_t *dim, void *data)
{
	*t = (ds_tensor){ .dtype = dtype, .rank = rank, .data = data };
	for (int i = 0; i < rank; i++)
		t->dim[i] = dim[i];
}

ds_tensor ds_tensor_ref(const ds_tensor *t)
{
	ds_buffer_ref(t->buf);
	return *t;
}

void ds_tensor_done(ds_tensor *t)
{
	ds_buffer_unref(t->buf);
	*t = (ds_tensor){ 0 };
}

int64_t ds_tensor_count(const ds_tensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

size_t ds_tensor_bytes(const ds_tensor *t)
{
	return (size_t)ds_tensor_count(t) * ds_dtype_size(t->dtype);
}

void ds_tensor_strides(const ds_tensor *t, int64_t stride[DS_MAX_RANK])
{
	int64_t s = 1;
	if (t->layout == DS_CHANNELS_LAST && t->rank >= 3) {
		stride[1] = 1;
		s = t->dim[1];
		for (int i = t->rank - 1; i >= 2; i--) {
			stride[i] = s;
			s *= t->dim[i];
		}
		stride[0] = s;
		return;
	}
	for (int i = t->rank - 1; i >= 0; i--) {
		stride[i] = s;
		s *= t->dim[i];
	}
}

/* Copy between layouts: seen as [outer, C, S] <-> [outer, S, C]. */
#define RELAYOUT(T) do { \
	const T *s = in->data; \
	T *d = out->data; \
	for (int64_t n = 0; n < outer; n++, s += C * S, d += C * S) \
		for (int64_t c0 = 0; c0 < C; c0 += 16) \
			for (int64_t p = 0; p < S; p++) \
				for (int64_t c = c0; c < DS_MIN(c0 + 16, C); c++) { \
					if (to_last) \
						d[p * C + c] = s[c * S + p]; \
					else \
						d[c * S + p] = s[p * C + c]; \
				} \
	} while (0)

ds_status ds_tensor_relayout(const ds_tensor *in, ds_tensor *out, ds_err *err)
{
	size_t size = ds_dtype_size(in->dtype);
	if (in->q || !size || in->dtype != out->dtype || in->rank != out->rank)
		return ds_fail(err, DS_E_INTERNAL, "relayout of unlike tensors");
	if (in->layout == out->layout || in->rank < 3) {
		memcpy(out->data, in->data, ds_tensor_bytes(in));
		return DS_OK;
	}
	int64_t outer = in->dim[0], C = in->dim[1], S = 1;
	for (int i = 2; i < in->rank; i++)
		S *= in->dim[i];
	bool to_last = out->layout == DS_CHANNELS_LAST;
	switch (size) {
	case 1: RELAYOUT(uint8_t); break;
	case 2: RELAYOUT(uint16_t); break;
	case 4: RELAYOUT(uint32_t); break;
	default: RELAYOUT(uint64_t); break;
	}
	return DS_OK;
}

ds_status ds_tensor_to_f32(const ds_tensor *t, ds_tensor *out, ds_err *err)
{
	DS_TRY(ds_tensor_new(out, DS_F32, t->rank, t->dim, err));
	ds_status rc = DS_OK;
	ds_tensor plain = { 0 };
	if (t->q) {
		ds_qsize s;
		DS_GOTO(ds_qform_size(t->q, t->rank, t->dim, &s, err));
		rc = ds_q_decode_rows(t->q, &s, t->data, 0, s.rows, out->data);
		if (rc != DS_OK)
			ds_fail(err, rc, "quantised data cannot be decoded");
		goto out;
	}
	const ds_tensor *src = t;
	if (t->layout != DS_PLAIN) {
		DS_GOTO(ds_tensor_new(&plain, t->dtype, t->rank, t->dim, err));
		DS_GOTO(ds_tensor_relayout(t, &plain, err));
		src = &plain;
	}
	rc = ds_convert(out->data, DS_F32, src->data, src->dtype, (size_t)ds_tensor_count(src), err);
out:
	ds_tensor_done(&plain);
	if (rc != DS_OK)
		ds_tensor_done(out);
	return rc;
}

/* ---- types --------------------------------------------------------------------------------------------------------------------- */
bool ds_type_concrete(const ds_type *t)
{
	if (t->dtype == DS_NONE || t->rank < 0)
		return false;
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] < 0)
			return false;
	return true;
}

int64_t ds_type_count(const ds_type *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

bool ds_type_same_dims(const ds_type *a, const ds_type *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

ds_type ds_type_make(ds_dtype dtype, int rank, const int64_t *dim)
{
	ds_type t = { .dtype = dtype, .rank = (int8_t)rank };
	for (int i = 0; i < rank; i++)
		t.dim[i] = dim[i];
	return t;
}

ds_type ds_type_of(const ds_tensor *t)
{
	return ds_type_make(t->dtype, t->rank, t->dim);
}

int64_t ds_dim_add(int64_t a, int64_t b)
{
	int64_t r;
	if (a >= 0 && b >= 0)
		return ds_add_over(a, b, &r) ? DS_DIM_UNKNOWN : r;
	return a == 0 ? b : b == 0 ? a : DS_DIM_UNKNOWN;
}

int64_t ds_dim_mul(int64_t a, int64_t b)
{
	int64_t r;
	if (a == 0 || b == 0)
		return 0;
	if (a > 0 && b > 0)
		return ds_mul_over(a, b, &r) ? DS_DIM_UNKNOWN : r;
	return a == 1 ? b : b == 1 ? a : DS_DIM_UNKNOWN;
}

int64_t ds_dim_div(int64_t a, int64_t b)
{
	if (a >= 0 && b > 0)
		return a / b;
	return b == 1 ? a : DS_DIM_UNKNOWN;
}

void ds_type_print(ds_buf *b, const ds_type *t, const char *const *names)
{
	ds_buf_str(b, ds_dtype_name(t->dtype));
	if (t->rank < 0) {
		ds_buf_str(b, "[...]");
		return;
	}
	ds_buf_str(b, "[");
	for (int i = 0; i < t->rank; i++) {
		if (i)
			ds_buf_str(b, ", ");
		if (t->dim[i] >= 0)
			ds_buf_printf(b, "%" PRId64, t->dim[i]);
		else if (t->dim[i] != DS_DIM_UNKNOWN && names && names[-1 - t->dim[i]] && names[-1 - t->dim[i]][0])
			ds_buf_str(b, names[-1 - t->dim[i]]);
		else
			ds_buf_str(b, "?");
	}
	ds_buf_str(b, "]");
}
