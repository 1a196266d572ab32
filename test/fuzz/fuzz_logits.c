/* fuzz_logits.c - any bytes as a stream of logits: refused, or every answer can be had, in dims and classes that are what it says */
#include <math.h>
#include <stdlib.h>

#include "format/logits.h"

#define LIMIT (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_source *s;
	ds_logits *l;
	if (ds_source_memory(&s, data, size, "fuzz", NULL) != DS_OK || ds_logits_load(&l, s, &(ds_dsm_opts){ .memory_limit = LIMIT }, NULL) != DS_OK)
		return 0;
	int64_t n = l->positions * l->classes, found = 0;
	float *v = n < LIMIT ? ds_calloc((size_t)n, sizeof *v) : NULL;
	for (int64_t i = 0; v && i < l->items; i++) {
		if (ds_logits_get(l, i, v, NULL) != DS_OK)
			continue;
		found++;
		for (int64_t c = 0; c < n; c++) {
			if (!isfinite(v[c]))
				abort();
		}
	}
	if (v && found != l->items - l->missing)
		abort();
	ds_free(v);
	ds_logits_free(l);
	return 0;
}
