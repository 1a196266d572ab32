/* fuzz_idx.c - any bytes as an IDX array, plain or gzipped, and as label text */
#include "data/local.h"

#define LIMIT (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_source *s;
	ds_tensor t;
	ds_labels l;
	ds_err err = { 0 };
	if (ds_source_memory(&s, data, size, "fuzz", &err) != DS_OK)
		return 0;
	if (ds_idx_read(&t, s, LIMIT, &err) == DS_OK && ds_tensor_bytes(&t) > LIMIT)
		__builtin_trap();
	ds_tensor_done(&t);
	ds_source_close(s);
	if (ds_labels_parse(&l, (const char *)data, size, &err) == DS_OK) {
		if (ds_labels_find(&l, l.name[0]) != 0)
			__builtin_trap();
		ds_labels_done(&l);
	}
	return 0;
}
