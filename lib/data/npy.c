/* npy.c - NumPy's array files, versions 1.0 to 3.0
 *
 * "\x93NUMPY", major, minor, length of the header (u16, from version 2 on u32), and a Python dictionary literal with the keys descr, fortran_order and
 * shape in any order; then the elements.  Only literals of this kind are read, nothing is evaluated. */
#include "local.h"

#include <stdio.h>
#include <string.h>

#define MAX_HEADER 65536

static const struct { char kind, size; ds_dtype dtype; } types[] = {
	{ 'f', 4, DS_F32 }, { 'f', 2, DS_F16 }, { 'f', 8, DS_F64 }, { 'i', 1, DS_I8 }, { 'u', 1, DS_U8 }, { 'i', 2, DS_I16 }, { 'u', 2, DS_U16 },
	{ 'i', 4, DS_I32 }, { 'u', 4, DS_U32 }, { 'i', 8, DS_I64 }, { 'u', 8, DS_U64 }, { 'b', 1, DS_BOOL },
};

typedef struct header {
	ds_dtype dtype;
	bool     big, fortran;
	int      rank;
	int64_t  dim[DS_MAX_RANK];
	size_t   data;          /* offset of the elements */
} header;

/* ---- the dictionary ----------------------------------------------------------------------------------------------------------- */
typedef struct text { const char *p, *end; } text;

static void spaces(text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t'))
		t->p++;
}

static bool eat(text *t, char c)
{
	spaces(t);
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

static bool word(text *t, const char *w)
{
	size_t n = strlen(w);
	spaces(t);
	if ((size_t)(t->end - t->p) < n || memcmp(t->p, w, n))
		return false;
	t->p += n;
	return true;
}

/* A quoted string without escapes. */
static bool quoted(text *t, char *buf, size_t size)
{
	spaces(t);
	if (t->p == t->end || (*t->p != '\'' && *t->p != '"'))
		return false;
	char q = *t->p++;
	size_t n = 0;
	while (t->p < t->end && *t->p != q && *t->p != '\\') {
		if (n + 1 >= size)
			return false;
		buf[n++] = *t->p++;
	}
	buf[n] = 0;
	return eat(t, q);
}

static bool shape(text *t, header *h)
{
	if (!eat(t, '('))
		return false;
	h->rank = 0;
	while (!eat(t, ')')) {
		int64_t v = 0;
		bool any = false;
		spaces(t);
		for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
			any = true;
			if (ds_mul_over(v, (int64_t)10, &v) || ds_add_over(v, (int64_t)(*t->p - '0'), &v))
				return false;
		}
		if (t->p < t->end && *t->p == 'L')      /* Python 2 */
			t->p++;
		if (!any || h->rank == DS_MAX_RANK)
			return false;
		h->dim[h->rank++] = v;
		if (!eat(t, ',')) {
			if (!eat(t, ')'))
				return false;
			break;
		}
	}
	return true;
}

static ds_status type_code(header *h, const char *d, ds_err *err)
{
	size_t i, n = strlen(d);
	if (n == 3 && strchr("<>|=", d[0])) {
		for (i = 0; i < DS_COUNTOF(types); i++) {
			if (types[i].kind == d[1] && types[i].size == d[2] - '0') {
				h->dtype = types[i].dtype;
				h->big = d[0] == '>';
				return DS_OK;
			}
		}
	}
	return ds_fail(err, DS_E_UNSUPPORTED, "npy: elements of type '%s' are not supported", d);
}

static ds_status dictionary(header *h, const char *p, size_t n, ds_err *err)
{
	text t = { p, p + n };
	char key[32], descr[32] = "";
	unsigned seen = 0;
	if (!eat(&t, '{'))
		goto bad;
	while (!eat(&t, '}')) {
		if (!quoted(&t, key, sizeof key) || !eat(&t, ':'))
			goto bad;
		if (!strcmp(key, "descr")) {
			seen |= 1;
			spaces(&t);
			if (t.p < t.end && *t.p == '[')
				return ds_fail(err, DS_E_UNSUPPORTED, "npy: records with fields are not supported");
			if (!quoted(&t, descr, sizeof descr))
				goto bad;
		} else if (!strcmp(key, "fortran_order")) {
			seen |= 2;
			h->fortran = word(&t, "True");
			if (!h->fortran && !word(&t, "False"))
				goto bad;
		} else if (!strcmp(key, "shape")) {
			seen |= 4;
			if (!shape(&t, h))
				goto bad;
		} else {
			goto bad;
		}
		if (!eat(&t, ',')) {
			if (!eat(&t, '}'))
				goto bad;
			break;
		}
	}
	spaces(&t);
	if (seen == 7 && t.p == t.end)
		return type_code(h, descr, err);
bad:
	return ds_fail_at(err, DS_E_INPUT, 10 + (t.p - p), "corrupt npy header");
}

static ds_status parse_header(header *h, const uint8_t *p, size_t n, ds_err *err)
{
	*h = (header){ 0 };
	if (!ds_is_npy(p, n))
		return ds_fail(err, DS_E_INPUT, "not an npy file");
	size_t head = p[6] == 1 ? 10 : 12, len;
	if (p[6] < 1 || p[6] > 3)
		return ds_fail_at(err, DS_E_UNSUPPORTED, 6, "npy version %d.%d is not supported", p[6], p[7]);
	if (n < head)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)n, "truncated npy header");
	len = p[8] | (size_t)p[9] << 8;
	if (head == 12)
		len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (len > MAX_HEADER)
		return ds_fail_at(err, DS_E_INPUT, 8, "npy header of %zu bytes", len);
	if (len > n - head)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)n, "truncated npy header");
	h->data = head + len;
	return dictionary(h, (const char *)p + head, len, err);
}

/* ---- elements ----------------------------------------------------------------------------------------------------------------- */

static void copy_elements(uint8_t *dst, const uint8_t *src, size_t n, size_t size, bool big)
{
	if (!big || size == 1) {
		if (n)
			memcpy(dst, src, n * size);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t b = 0; b < size; b++)
			dst[i * size + b] = src[i * size + size - 1 - b];
	}
}

/* Column-major source to row-major: walk the destination in order, keeping the source offset with an odometer. */
static void copy_fortran(uint8_t *dst, const uint8_t *src, const header *h, size_t count, size_t size)
{
	int64_t stride[DS_MAX_RANK], at[DS_MAX_RANK] = { 0 }, s = 1;
	for (int i = 0; i < h->rank; i++) {
		stride[i] = s;
		s *= h->dim[i];
	}
	int64_t off = 0;
	for (size_t k = 0; k < count; k++) {
		copy_elements(dst + k * size, src + off * (int64_t)size, 1, size, h->big);
		for (int i = h->rank - 1; i >= 0; i--) {
			off += stride[i];
			if (++at[i] < h->dim[i])
				break;
			off -= stride[i] * h->dim[i];
			at[i] = 0;
		}
	}
}

bool ds_is_npy(const uint8_t *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x93NUMPY", 6);
}

ds_status ds_npy_parse(ds_tensor *t, const uint8_t *p, size_t n, uint64_t limit, void *owner, bool *kept, ds_err *err)
{
	header h;
	uint64_t count = 1, bytes;
	*t = (ds_tensor){ 0 };
	*kept = false;
	DS_TRY(parse_header(&h, p, n, err));
	size_t size = ds_dtype_size(h.dtype), left = n - h.data;
	for (int i = 0; i < h.rank; i++) {
		if (ds_mul_over(count, (uint64_t)h.dim[i], &count))
			return ds_fail(err, DS_E_INPUT, "npy shape overflows");
	}
	if (ds_mul_over(count, (uint64_t)size, &bytes) || bytes > left)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)n, "truncated npy file: %llu elements of %zu bytes, %zu bytes are there", (unsigned long long)count, size, left);
	if (bytes < left)
		return ds_fail_at(err, DS_E_INPUT, (int64_t)(h.data + bytes), "trailing data after the npy array");
	if (bytes > limit)
		return ds_fail(err, DS_E_LIMIT, "an array of %llu bytes is over the limit", (unsigned long long)bytes);
	bool in_place = owner && !h.fortran && (!h.big || size == 1) && ((uintptr_t)(p + h.data) & 63) == 0 && h.rank <= DS_MAX_RANK;
	if (in_place) {
		ds_buffer *b = ds_buffer_wrap((void *)(uintptr_t)(p + h.data), bytes, ds_source_drop, owner);
		if (!b)
			return ds_fail_nomem(err, bytes);
		ds_tensor_borrow(t, h.dtype, h.rank, h.dim, (void *)(uintptr_t)(p + h.data));
		t->buf = b;
		*kept = true;
		return DS_OK;
	}
	DS_TRY(ds_tensor_new(t, h.dtype, h.rank, h.dim, err));
	if (h.fortran && h.rank > 1)
		copy_fortran(t->data, p + h.data, &h, count, size);
	else
		copy_elements(t->data, p + h.data, count, size, h.big);
	return DS_OK;
}

ds_status ds_npy_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	bool kept;
	*t = (ds_tensor){ 0 };
	DS_TRY(ds_source_all(src, limit > UINT64_MAX - MAX_HEADER - 12 ? limit : limit + MAX_HEADER + 12, &p, &n, &owner, err));
	ds_status rc = ds_npy_parse(t, p, n, limit, owner, &kept, err);
	if (rc != DS_OK || !kept)
		ds_source_drop(owner);
	if (rc != DS_OK)
		ds_err_in(err, ds_source_name(src));
	return rc;
}

ds_status ds_npy_write(ds_sink *s, const ds_tensor *t, ds_err *err)
{
	char head[512] = "\x93NUMPY\x01";
	char kind = 0;
	for (size_t i = 0; i < DS_COUNTOF(types); i++) {
		if (types[i].dtype == t->dtype)
			kind = types[i].kind;
	}
	if (!kind || t->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "npy has no element type %s", ds_dtype_name(t->dtype));
	if (t->layout != DS_PLAIN) {
		ds_tensor plain;
		DS_TRY(ds_tensor_new(&plain, t->dtype, t->rank, t->dim, err));
		ds_status rc = ds_tensor_relayout(t, &plain, err);
		if (rc == DS_OK)
			rc = ds_npy_write(s, &plain, err);
		ds_tensor_done(&plain);
		return rc;
	}
	size_t size = ds_dtype_size(t->dtype);
	int n = 10 + snprintf(head + 10, sizeof head - 10, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (", size == 1 ? '|' : '<', kind, size);
	for (int i = 0; i < t->rank; i++)
		n += snprintf(head + n, sizeof head - (size_t)n, "%lld,%s", (long long)t->dim[i], i + 1 < t->rank ? " " : "");
	n += snprintf(head + n, sizeof head - (size_t)n, "), }");
	int total = (n + 1 + 63) / 64 * 64;
	memset(head + n, ' ', (size_t)(total - n));
	head[total - 1] = '\n';
	head[8] = (char)((total - 10) & 255);
	head[9] = (char)((total - 10) >> 8);
	DS_TRY(ds_sink_write(s, head, (size_t)total, err));
	return ds_sink_write(s, t->data, ds_tensor_bytes(t), err);
}
