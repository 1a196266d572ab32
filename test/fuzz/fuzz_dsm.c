/* fuzz_dsm.c - any bytes as a DSM stream: refused, or read to the end the same way as a pipe and as a mapping; a model that loads is saved, and what was
 * saved loads again to the same bytes.  Checksums are not compared in fuzzing builds (FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION). */
#include <stdlib.h>
#include <string.h>

#include "format/dsm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every record, payloads in odd pieces; answers the status of the last call, folds what was seen into *sum. */
static ds_status walk(const uint8_t *p, size_t n, size_t piece, uint32_t *sum)
{
	ds_source *src = NULL;
	ds_dsm_reader *r = NULL;
	ds_rec rec;
	ds_err err;
	uint8_t buf[4096];
	ds_status rc = ds_source_memory(&src, p, n, "fuzz", &err);
	if (rc == DS_OK)
		rc = ds_dsm_open(&r, src, &(ds_dsm_opts){ .memory_limit = 64 << 20 }, &err);
	while (rc == DS_OK && (rc = ds_dsm_next(r, &rec, &err)) == DS_OK) {
		size_t got = rec.type == DS_REC_META || rec.type == DS_REC_GRPH || rec.type == DS_REC_HIST ? 0 : 1;
		while (rc == DS_OK && got) {
			rc = ds_dsm_payload(r, buf, piece, &got, &err);
			*sum = rc == DS_OK ? ds_crc32c(*sum, buf, got) : *sum;
		}
	}
	ds_dsm_close(r);
	return rc;
}

static ds_model *load(const void *p, size_t n)
{
	ds_source *src;
	ds_model *m = NULL;
	ds_err err;
	if (ds_source_memory(&src, p, n, "fuzz", &err) != DS_OK)
		return NULL;
	return ds_model_load(&m, src, &(ds_dsm_opts){ .memory_limit = 64 << 20, .any_op = true }, &err) == DS_OK ? m : NULL;
}

static bool save(const ds_model *m, ds_buf *out)
{
	ds_sink *s;
	ds_err err;
	if (ds_sink_memory(&s, out, &err) != DS_OK)
		return false;
	bool good = ds_model_save(m, s, NULL, &err) == DS_OK;
	ds_sink_abort(s);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *map = ds_aligned(size + 1);            /* aligned memory counts as a mapping */
	uint32_t a = 0, b = 0;
	if (!map)
		return 0;
	memcpy(map + 1, data, size);
	ds_status pipe = walk(map + 1, size, 61, &a);
	memcpy(map, data, size);
	ds_status mapped = walk(map, size, 4096, &b);
	if ((pipe == DS_END) != (mapped == DS_END) || (pipe == DS_END && a != b))
		abort();
	ds_model *m = pipe == DS_END ? load(map, size) : NULL;
	if (m) {
		ds_buf out = { 0 }, again = { 0 };
		if (!save(m, &out))
			abort();
		ds_model *n = load(out.data, out.len);
		if (!n || !save(n, &again) || out.len != again.len || memcmp(out.data, again.data, out.len) != 0)
			abort();
		(void)!(ds_graph_infer(n->graph, NULL) == DS_OK);
		ds_model_free(n);
		ds_model_free(m);
		ds_buf_done(&out);
		ds_buf_done(&again);
	}
	ds_free(map);
	return 0;
}
