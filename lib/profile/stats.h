/* stats.h - files of calibration statistics: streams of kind `statistics` (ds-model(5)), written, read, merged
 *
 * What calibration looks at, for every value of the model (quantize.h, ds_qstats), with the identity of the model and a digest of the samples.  The file has the same bytes
 * for any order of the samples and any division of them into files that are merged. */
#ifndef DS_PROFILE_STATS_H
#define DS_PROFILE_STATS_H

#include "../format/dsm.h"
#include "../quantize/quantize.h"

/* Which samples: the sum of the SHA-256 of each, modulo 2^256, in any order; and their bytes. */
typedef struct ds_digest { uint32_t word[8]; uint64_t bytes; } ds_digest;       /* word[7] is the lowest */
void ds_digest_add(ds_digest *d, const ds_tensor *in, int n_in);                /* one sample */
void ds_digest_merge(ds_digest *to, const ds_digest *from);
void ds_digest_hex(const ds_digest *d, char out[65]);

typedef struct ds_statistics {
	ds_qstats q;
	uint32_t  crc;                  /* identity of the model's stream */
	uint64_t  len;
	ds_digest of;
} ds_statistics;
void      ds_statistics_done(ds_statistics *s);
/* The sink stays the caller's.  DS_E_UNSUPPORTED: a value's name is too long for the container. */
ds_status ds_statistics_write(const ds_statistics *s, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err);
/* The source is taken.  DS_E_INPUT: another stream, or numbers that cannot be. */
ds_status ds_statistics_read(ds_statistics *s, ds_source *src, const ds_dsm_opts *o, ds_err *err);
/* DS_E_INPUT: of another model, or of other values. */
ds_status ds_statistics_merge(ds_statistics *to, const ds_statistics *from, ds_err *err);
/* Is the file at `path` a DSM stream of kind `statistics`?  False for everything else, unreadable files among it. */
bool      ds_statistics_at(const char *path);

#endif
