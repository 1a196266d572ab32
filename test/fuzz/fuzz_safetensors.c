/* fuzz_safetensors.c - any bytes as a safetensors file: refused, or a tensor stream that our own reader accepts */
#include <stdlib.h>

#include "format/format.h"

extern const ds_format ds_format_safetensors;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool readable(const ds_buf *b)
{
	ds_source *src;
	ds_dsm_reader *r;
	ds_rec rec;
	ds_status rc;
	if (ds_source_memory(&src, b->data, b->len, "fuzz", NULL) != DS_OK || ds_dsm_open(&r, src, NULL, NULL) != DS_OK)
		return false;
	while ((rc = ds_dsm_next(r, &rec, NULL)) == DS_OK)
		;
	ds_dsm_close(r);
	return rc == DS_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_buf out = { 0 }, notes = { 0 };
	ds_sink *sink = NULL;
	ds_dsm_writer *w = NULL;
	ds_source *src = NULL;
	ds_err err;
	ds_format_safetensors.probe(data, size, (int64_t)size);
	if (ds_source_memory(&src, data, size, "fuzz", &err) == DS_OK && ds_sink_memory(&sink, &out, &err) == DS_OK &&
		ds_dsm_create(&w, sink, NULL, &err) == DS_OK && ds_format_safetensors.stream(src, w, &(ds_import){ .notes = &notes }, &err) == DS_OK)
		if (ds_dsm_finish(w, &err) != DS_OK || !readable(&out))
			abort();
	ds_dsm_writer_free(w);
	ds_sink_abort(sink);
	ds_source_close(src);
	ds_buf_done(&out);
	ds_buf_done(&notes);
	return 0;
}
