/* fuzz_spec.c - any text as a description of a network: refused, or a graph that verifies */
#include <stdlib.h>

#include "format/format.h"

extern const ds_format ds_format_spec;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const set[] = { "width=8" };
	ds_buf missing = { 0 }, notes = { 0 }, dump = { 0 };
	const ds_import o = { .memory_limit = 1 << 20, .missing = &missing, .notes = &notes, .set = set, .n_set = size > 0 && data[size - 1] % 2 };
	ds_source *src = NULL;
	ds_model *m = NULL;
	ds_err err = { 0 };

	ds_format_spec.probe(data, size, (int64_t)size);
	if (ds_source_memory(&src, data, size, "fuzz", &err) != DS_OK)
		return 0;
	if (ds_format_spec.read(&m, src, &o, &err) == DS_OK) {
		ds_graph_dump(m->graph, &dump);
		if (ds_graph_verify(m->graph, NULL, &err) != DS_OK)
			abort();
	}
	ds_model_free(m);
	ds_buf_done(&missing);
	ds_buf_done(&notes);
	ds_buf_done(&dump);
	return 0;
}
