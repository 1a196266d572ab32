/* gzip.c - inflating a gzip file in memory (RFC 1952; members one after another count as one file) */
#include "local.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

bool ds_is_gzip(const uint8_t *p, size_t n)
{
	return n >= 3 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8;
}

static voidpf get_memory(voidpf arg, uInt n, uInt size)
{
	return ds_calloc(n, size);
}

static void free_memory(voidpf arg, voidpf p)
{
	ds_free(p);
}

/* Room for more output: doubled, never above the limit. */
static ds_status more_room(uint8_t **buf, size_t used, size_t *cap, uint64_t limit, ds_err *err)
{
	if (used >= limit)
		return ds_fail(err, DS_E_LIMIT, "gzip data inflate to more than %llu bytes", (unsigned long long)limit);
	size_t want = *cap < 32768 ? 65536 : *cap * 2;
	if (want > limit)
		want = (size_t)limit;
	uint8_t *bigger = ds_realloc(*buf, want, 1);
	if (!bigger)
		return ds_fail_nomem(err, want);
	*buf = bigger;
	*cap = want;
	return DS_OK;
}

ds_status ds_gunzip(uint8_t **out, size_t *out_n, const uint8_t *p, size_t n, uint64_t limit, ds_err *err)
{
	z_stream z = { .zalloc = get_memory, .zfree = free_memory };
	size_t at = 0, used = 0, cap = 0;
	uint8_t *buf = NULL;
	ds_status rc = DS_OK;
	*out = NULL;
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return ds_fail_nomem(err, sizeof z);
	for (;;) {
		if (used == cap)
			DS_GOTO(more_room(&buf, used, &cap, limit, err));
		z.next_in = (Bytef *)(uintptr_t)(p + at);
		z.avail_in = (uInt)DS_MIN(n - at, (size_t)INT_MAX);
		z.next_out = buf + used;
		z.avail_out = (uInt)DS_MIN(cap - used, (size_t)INT_MAX);
		uInt in = z.avail_in, room = z.avail_out;
		int r = inflate(&z, Z_NO_FLUSH);
		at += in - z.avail_in;
		used += room - z.avail_out;
		if (r == Z_STREAM_END) {
			if (at == n)
				break;
			if (!ds_is_gzip(p + at, n - at)) {
				rc = ds_fail_at(err, DS_E_INPUT, (int64_t)at, "trailing data after the gzip stream");
				goto out;
			}
			inflateReset(&z);
		} else if (r == Z_MEM_ERROR) {
			rc = ds_fail_nomem(err, 1 << 15);
			goto out;
		} else if (r != Z_OK && r != Z_BUF_ERROR) {
			rc = ds_fail_at(err, DS_E_INPUT, (int64_t)at, "corrupt gzip data%s%s", z.msg ? ": " : "", z.msg ? z.msg : "");
			goto out;
		} else if (at == n && z.avail_out) {
			rc = ds_fail_at(err, DS_E_INPUT, (int64_t)at, "truncated gzip data");
			goto out;
		}
	}
	*out = buf;
	*out_n = used;
	buf = NULL;
out:
	inflateEnd(&z);
	ds_free(buf);
	return rc;
}
