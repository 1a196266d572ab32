/* ceiling.h - the most that this machine does, measured with the kernels of the library: arithmetic per second by type, bytes read per second by level of memory
 *
 * The roofline (Williams, Waterman and Patterson, 2009): a step with so much arithmetic and so many bytes takes at least max(arithmetic / peak, bytes / bandwidth). */
#ifndef DS_PROFILE_CEILING_H
#define DS_PROFILE_CEILING_H

#include "time.h"

typedef enum ds_level { DS_LEVEL_L1, DS_LEVEL_L2, DS_LEVEL_L3, DS_LEVEL_DRAM, DS_LEVEL_COUNT } ds_level;
extern const char *const ds_level_names[DS_LEVEL_COUNT + 1];    /* "L1", "L2", "L3", "DRAM" */

typedef struct ds_ceilings {
	int    threads;
	double ops[DS_NUM_COUNT];       /* operations (a multiply-add is two) per second of all threads together */
	double bytes[DS_LEVEL_COUNT];   /* read per second, all threads together */
	double size[DS_LEVEL_COUNT];    /* bytes that fit into the level, over all threads; DRAM: infinite; a level that is not there is 0 */
} ds_ceilings;

/* Measure with the kernels that are allowed (ds_cpu_allowed), about a second. */
ds_status ds_ceilings_measure(ds_ceilings *c, ds_pool *pool, ds_err *err);
/* What a set of ceilings belongs to: processor, allowed instruction sets, threads, version of the library.  One line. */
ds_status ds_ceilings_key(ds_buf *key, int threads, ds_err *err);
/* As text for a cache: the key, the figures, a checksum. */
ds_status ds_ceilings_write(const ds_ceilings *c, const char *key, ds_buf *out, ds_err *err);
/* DS_E_INPUT: not such a text, damaged, or of another key. */
ds_status ds_ceilings_read(ds_ceilings *c, const char *key, const char *text, size_t n, ds_err *err);
/* Seconds that so many operations on so many bytes take at least; *bound says by what: the name of the type or of the level. */
double    ds_ceilings_least(const ds_ceilings *c, ds_number number, double ops, double bytes, const char **bound);

#endif
