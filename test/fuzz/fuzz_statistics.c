/* fuzz_statistics.c - any bytes as a file of statistics: refused, or ranges can be fitted and what is written again reads as the same */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/stats.h"

#define LIMIT (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ds_status take(ds_statistics *s, const void *p, size_t n)
{
	ds_source *src;
	DS_TRY(ds_source_memory(&src, p, n, "fuzz", NULL));
	return ds_statistics_read(s, src, &(ds_dsm_opts){ .memory_limit = LIMIT }, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_statistics s, t;
	ds_buf b = { 0 };
	ds_sink *sink;
	if (take(&s, data, size) != DS_OK)
		return 0;
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < s.q.set[k].n; i++) {
			const ds_observer *o = &s.q.set[k].value[i].seen;
			ds_qparam p = ds_qrange_fit(o, &(ds_qrule){ i % 2 ? DS_RANGE_PERCENTILE : DS_RANGE_MINMAX, 99, 4 });
			if (o->count && (!(p.scale >= 0) || p.zero < 0 || p.zero > ds_qparam_top(&p)))
				abort();
		}
	if (ds_sink_memory(&sink, &b, NULL) != DS_OK)
		abort();
	if (ds_statistics_write(&s, sink, &(ds_dsm_wopts){ 0 }, NULL) != DS_OK || ds_sink_commit(sink, NULL) != DS_OK || take(&t, b.data, b.len) != DS_OK)
		abort();
	if (t.q.set[0].n != s.q.set[0].n || t.q.set[1].n != s.q.set[1].n || ds_statistics_merge(&t, &s, NULL) != DS_OK || t.q.set[1].n)
		abort();
	ds_statistics_done(&s);
	ds_statistics_done(&t);
	ds_buf_done(&b);
	return 0;
}
