/* rng.h - random numbers by counter: the n-th number of a stream depends on (seed, stream, n) only */
#ifndef DS_BASE_RNG_H
#define DS_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct ds_rng { uint64_t seed, stream, n; } ds_rng;

static inline ds_rng ds_rng_init(uint64_t seed, uint64_t stream) { return (ds_rng){ seed, stream, 0 }; }
uint64_t ds_rng_at(uint64_t seed, uint64_t stream, uint64_t n);         /* SplitMix64 finaliser over the mixed key */
uint64_t ds_rng_u64(ds_rng *r);
uint64_t ds_rng_below(ds_rng *r, uint64_t n);                           /* uniform in [0, n), no bias; n > 0 */
double   ds_rng_f64(ds_rng *r);                                         /* uniform in [0, 1) */
double   ds_rng_normal(ds_rng *r);                                      /* mean 0, variance 1 */
uint64_t ds_hash64(const void *p, size_t n, uint64_t seed);             /* for tables, not for security */

#endif
