/* read.c - reading memory as fast as the allowed instructions can, for bandwidth ceilings */
#include "read.h"
#include "../cpu/cpu.h"

#include <stdint.h>

/* Eight chains of vectors of `bytes` bytes that are independent of each other: nothing but the loads limits the loop. */
#define READER(name, bytes, attributes) \
	attributes static void name(const void *p, size_t n, volatile uint64_t *sink) \
	{ \
		typedef uint64_t vec __attribute__((vector_size(bytes), aligned(bytes))); \
		const vec *x = p; \
		vec a = { 0 }, b = a, c = a, d = a, e = a, f = a, g = a, h = a; \
		for (size_t i = 0; i + 8 <= n / sizeof *x; i += 8) { \
			a |= x[i]; \
			b |= x[i + 1]; \
			c |= x[i + 2]; \
			d |= x[i + 3]; \
			e |= x[i + 4]; \
			f |= x[i + 5]; \
			g |= x[i + 6]; \
			h |= x[i + 7]; \
		} \
		a |= b | c | d | e | f | g | h; \
		for (size_t k = 0; k < sizeof a / sizeof a[0]; k++) \
			*sink = a[k]; \
	}

READER(read_c, 16, )
#if defined(__x86_64__)
READER(read_avx2, 32, __attribute__((target("avx2"))))
READER(read_avx512, 64, __attribute__((target("avx512f"))))
#endif

void ds_read_memory(const void *p, size_t n)
{
	volatile uint64_t sink;
#if defined(__x86_64__)
	if (ds_cpu_allowed() & DS_ISA_AVX512)
		read_avx512(p, n, &sink);
	else if (ds_cpu_allowed() & DS_ISA_AVX2)
		read_avx2(p, n, &sink);
	else
#endif
		read_c(p, n, &sink);
}
