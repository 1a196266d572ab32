/* zstd.c - the one place that knows libzstd */
#include "io.h"

#include <string.h>
#include <zstd.h>

#define LEVEL       3
#define WINDOW_LOG  27                  /* largest window a reader accepts */

ds_status ds_zstd_compress(const void *p, size_t n, void **out, size_t *out_n, ds_err *err)
{
	size_t cap = ZSTD_compressBound(n);
	*out = NULL;
	*out_n = 0;
	if (ZSTD_isError(cap))
		return ds_fail(err, DS_E_LIMIT, "%zu bytes are too many for zstd", n);
	void *buf = ds_malloc(cap);
	if (!buf)
		return ds_fail_nomem(err, cap);
	size_t r = ZSTD_compress(buf, cap, p, n, LEVEL);        /* states the content size, no checksum, no dictionary */
	if (ZSTD_isError(r)) {
		ds_free(buf);
		return ds_fail(err, DS_E_NOMEM, "zstd: %s", ZSTD_getErrorName(r));
	}
	*out = buf;
	*out_n = r;
	return DS_OK;
}

struct ds_unzstd {
	ZSTD_DCtx *d;
	uint64_t   raw_len, given;
	uint8_t    head[18];            /* the frame header, collected before libzstd sees a byte */
	size_t     have, fed;           /* of head: bytes collected, bytes passed on */
	bool       checked, done;
};

ds_status ds_unzstd_new(ds_unzstd **out, uint64_t raw_len, ds_err *err)
{
	ds_unzstd *z = ds_calloc(1, sizeof *z);
	*out = NULL;
	if (z)
		z->d = ZSTD_createDCtx();
	if (!z || !z->d) {
		ds_free(z);
		return ds_fail_nomem(err, sizeof *z);
	}
	ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, WINDOW_LOG);
	z->raw_len = raw_len;
	*out = z;
	return DS_OK;
}

void ds_unzstd_free(ds_unzstd *z)
{
	if (!z)
		return;
	ZSTD_freeDCtx(z->d);
	ds_free(z);
}

/* Length of the frame header that starts with these bytes (5 or more); 0: not the kind of frame we allow (RFC 8878, 3.1.1.1). */
static size_t header_len(const uint8_t *h)
{
	static const uint8_t size_of[4] = { 0, 2, 4, 8 };
	if (memcmp(h, "\x28\xb5\x2f\xfd", 4) != 0)
		return 0;
	uint8_t d = h[4];
	bool single = d >> 5 & 1;
	if (d & 0x0f)                   /* dictionary, checksum, reserved bit */
		return 0;
	size_t size = d >> 6 == 0 && single ? 1 : size_of[d >> 6];
	return size ? 5 + !single + size : 0;
}

static ds_status check_header(const ds_unzstd *z, size_t len, ds_err *err)
{
	const uint8_t *h = z->head;
	bool single = h[4] >> 5 & 1;
	size_t n = len - 5 - !single;
	uint64_t size = n == 2 ? 256 : 0;
	for (size_t i = 0; i < n; i++)
		size += (uint64_t)h[len - n + i] << (8 * i);
	uint64_t window = size;
	if (!single) {
		uint64_t one = 1ull << (10 + (h[5] >> 3));
		window = one + (one >> 3) * (h[5] & 7);
	}
	if (size != z->raw_len)
		return ds_fail(err, DS_E_INPUT, "zstd frame states %llu bytes, the record %llu", (unsigned long long)size, (unsigned long long)z->raw_len);
	if (window > 1ull << WINDOW_LOG)
		return ds_fail(err, DS_E_INPUT, "zstd window above 128 MiB");
	return DS_OK;
}

ds_status ds_unzstd_step(ds_unzstd *z, const void *in, size_t *in_n, void *out, size_t *out_n, bool *done, ds_err *err)
{
	size_t avail = *in_n, room = *out_n, want = 5;
	const uint8_t *p = in;
	*in_n = *out_n = 0;
	*done = z->done;
	if (z->done)
		return DS_OK;
	while (!z->checked) {
		for (; z->have < want && avail; avail--, ++*in_n)
			z->head[z->have++] = *p++;
		if (z->have < want)
			return DS_OK;
		size_t len = header_len(z->head);
		if (len == 0)
			return ds_fail(err, DS_E_INPUT, "not the one zstd frame with content size that a record may hold");
		want = len;
		if (z->have == len) {
			DS_TRY(check_header(z, len, err));
			z->checked = true;
		}
	}
	/* the collected header goes first */
	bool from_head = z->fed < z->have;
	ZSTD_inBuffer  src = { from_head ? (const void *)(z->head + z->fed) : p, from_head ? z->have - z->fed : avail, 0 };
	ZSTD_outBuffer dst = { out, (size_t)DS_MIN((uint64_t)room, z->raw_len - z->given), 0 };
	size_t r = ZSTD_decompressStream(z->d, &dst, &src);
	if (ZSTD_isError(r))
		return ds_fail(err, DS_E_INPUT, "zstd: %s", ZSTD_getErrorName(r));
	if (r != 0 && z->given == z->raw_len && src.size && src.pos == 0 && dst.pos == 0)
		return ds_fail(err, DS_E_INPUT, "zstd frame has more than the %llu bytes it states", (unsigned long long)z->raw_len);
	if (from_head)
		z->fed += src.pos;
	else
		*in_n += src.pos;
	*out_n = dst.pos;
	z->given += dst.pos;
	if (r == 0) {
		if (z->given != z->raw_len)
			return ds_fail(err, DS_E_INPUT, "zstd frame ends after %llu of %llu bytes", (unsigned long long)z->given, (unsigned long long)z->raw_len);
		z->done = *done = true;
	}
	return DS_OK;
}

const char *ds_zstd_version(void)
{
	return ZSTD_VERSION_STRING;
}
