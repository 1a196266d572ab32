/* fuzz_npy.c - any bytes as an npy array; what is read is written and read again */
#include <string.h>

#include "data/data.h"

#define LIMIT (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_npy(ds_tensor *t, const void *p, size_t n)
{
	ds_source *s;
	if (ds_source_memory(&s, p, n, "fuzz", NULL) != DS_OK)
		return false;
	bool ok = ds_npy_read(t, s, LIMIT, NULL) == DS_OK;
	ds_source_close(s);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_tensor t, u;
	ds_sink *sink;
	ds_buf b = { 0 };
	if (!read_npy(&t, data, size))
		return 0;
	if (ds_sink_memory(&sink, &b, NULL) == DS_OK && ds_npy_write(sink, &t, NULL) == DS_OK && ds_sink_commit(sink, NULL) == DS_OK) {
		if (!read_npy(&u, b.data, b.len) || u.rank != t.rank || u.dtype != t.dtype || ds_tensor_bytes(&u) != ds_tensor_bytes(&t) ||
			(ds_tensor_bytes(&t) && memcmp(u.data, t.data, ds_tensor_bytes(&t))))
			__builtin_trap();
		ds_tensor_done(&u);
	}
	ds_buf_done(&b);
	ds_tensor_done(&t);
	return 0;
}
