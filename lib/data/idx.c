/* idx.c - IDX arrays (the format of MNIST): two zero bytes, type, rank, big-endian u32 dims, big-endian elements */
#include "local.h"

#include <string.h>

static const struct { uint8_t code; ds_dtype dtype; } types[] = {
	{ 0x08, DS_U8 }, { 0x09, DS_I8 }, { 0x0B, DS_I16 }, { 0x0C, DS_I32 }, { 0x0D, DS_F32 }, { 0x0E, DS_F64 },
};

static ds_dtype type_of(uint8_t code)
{
	for (size_t i = 0; i < DS_COUNTOF(types); i++) {
		if (types[i].code == code)
			return types[i].dtype;
	}
	return DS_NONE;
}

bool ds_is_idx(const uint8_t *p, size_t n)
{
	return n >= 4 && !p[0] && !p[1] && type_of(p[2]) != DS_NONE && p[3] >= 1 && p[3] <= DS_MAX_RANK && n >= 4 + 4u * p[3];
}

static void copy_swapped(uint8_t *dst, const uint8_t *src, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t b = 0; b < size; b++)
			dst[i * size + b] = src[i * size + size - 1 - b];
	}
}

ds_status ds_idx_parse(ds_tensor *t, const uint8_t *p, size_t n, uint64_t limit, ds_err *err)
{
	int64_t dim[DS_MAX_RANK];
	uint64_t bytes;
	*t = (ds_tensor){ 0 };
	if (!ds_is_idx(p, n))
		return ds_fail(err, DS_E_INPUT, "not an IDX file");
	ds_dtype dtype = type_of(p[2]);
	int rank = p[3];
	size_t head = 4 + 4 * (size_t)rank, size = ds_dtype_size(dtype);
	bytes = size;
	for (int i = 0; i < rank; i++) {
		const uint8_t *d = p + 4 + 4 * i;
		dim[i] = (int64_t)((uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3]);
		if (ds_mul_over(bytes, (uint64_t)dim[i], &bytes))
			return ds_fail_at(err, DS_E_INPUT, 4 + 4 * i, "IDX dimensions overflow");
	}
	if (bytes > n - head)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)n, "truncated IDX file: %llu bytes of elements, %zu are there", (unsigned long long)bytes, n - head);
	if (bytes < n - head)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)(head + bytes), "trailing data after the IDX array");
	if (bytes > limit)
		return ds_fail(err, DS_E_LIMIT, "an array of %llu bytes is over the limit", (unsigned long long)bytes);
	DS_TRY(ds_tensor_new(t, dtype, rank, dim, err));
	if (size == 1 && bytes)
		memcpy(t->data, p + head, bytes);
	else
		copy_swapped(t->data, p + head, bytes / size, size);
	return DS_OK;
}

ds_status ds_idx_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	uint8_t *plain = NULL;
	*t = (ds_tensor){ 0 };
	DS_TRY(ds_source_all(src, limit, &p, &n, &owner, err));
	ds_status rc = DS_OK;
	if (ds_is_gzip(p, n)) {
		rc = ds_gunzip(&plain, &n, p, n, limit, err);
		p = plain;
	}
	if (rc == DS_OK)
		rc = ds_idx_parse(t, p, n, limit, err);
	ds_free(plain);
	ds_source_drop(owner);
	if (rc != DS_OK)
		ds_err_in(err, ds_source_name(src));
	return rc;
}
