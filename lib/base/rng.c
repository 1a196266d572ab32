/* rng.c - counter-based random numbers: the SplitMix64 finaliser (Steele, Lea, Flood 2014) over a mixed key */
#include "rng.h"

#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

uint64_t ds_rng_at(uint64_t seed, uint64_t stream, uint64_t n)
{
	uint64_t key = mix(seed + 0x9E3779B97F4A7C15u) ^ mix(stream * 0xD1342543DE82EF95u + 0x632BE59BD9B4E019u);
	return mix(key + (n + 1) * 0x9E3779B97F4A7C15u);
}

uint64_t ds_rng_u64(ds_rng *r)
{
	return ds_rng_at(r->seed, r->stream, r->n++);
}

uint64_t ds_rng_below(ds_rng *r, uint64_t n)
{
	uint64_t x, limit = UINT64_MAX - UINT64_MAX % n;
	do
		x = ds_rng_u64(r);
	while (x >= limit);
	return x % n;
}

double ds_rng_f64(ds_rng *r)
{
	return (double)(ds_rng_u64(r) >> 11) * 0x1p-53;
}

double ds_rng_normal(ds_rng *r)
{
	double u = 1.0 - ds_rng_f64(r), v = ds_rng_f64(r);     /* Box and Muller; u > 0 */
	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t ds_hash64(const void *p, size_t n, uint64_t seed)
{
	const unsigned char *s = p;
	uint64_t h = mix(seed ^ (uint64_t)n * 0x9E3779B97F4A7C15u), w;
	for (; n >= 8; n -= 8, s += 8) {
		memcpy(&w, s, 8);
		h = mix(h ^ w);
	}
	w = 0;
	if (n)
		memcpy(&w, s, n);
	return mix(h ^ w ^ (uint64_t)n << 56);
}
