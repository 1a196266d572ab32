/* fuzz_latency.c - any bytes as a table of latencies and as the head of a plan; what was read is asked for times everywhere and written again */
#include <math.h>

#include "../../lib/prune/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_latency *t = NULL;
	ds_prune_plan_head h;
	ds_model m = { .id_crc = 1 };
	ds_buf b = { 0 };
	(void)ds_prune_plan_head_read((const char *)data, size, &h, NULL);
	if (ds_latency_read(&t, (const char *)data, size, &m, true, NULL) != DS_OK)
		return 0;
	int node = ds_latency_find(t, "x");
	for (int64_t i = 0; node >= 0 && i < 100; i += 7)
		for (int64_t j = 0; j < 100; j += 9) {
			double s = ds_latency_at(t, node, i, j);
			if (!isfinite(s) || s < 0)
				__builtin_trap();
		}
	ds_latency_write(t, &m, &b);
	if (!b.oom && !b.len)
		__builtin_trap();
	ds_buf_done(&b);
	ds_latency_free(t);
	return 0;
}
