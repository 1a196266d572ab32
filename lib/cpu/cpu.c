/* cpu.c - finds the instruction sets of the machine and applies the mask of DS_CPU */
#include "cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static const struct { const char *name; unsigned bit; } levels[] = {
	{ "c", DS_ISA_C }, { "avx2", DS_ISA_AVX2 }, { "avxvnni", DS_ISA_AVXVNNI }, { "avx512", DS_ISA_AVX512 },
	{ "vnni", DS_ISA_VNNI }, { "amx", DS_ISA_AMX }, { "bf16", DS_ISA_BF16 }, { "amxbf16", DS_ISA_AMXBF16 }, { "neon", DS_ISA_NEON },
};

#if defined(__x86_64__)
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_TILEDATA   18

static uint64_t xcr0(void)
{
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/* A feature counts when the processor has it and the system saves its registers. */
static unsigned find(void)
{
	unsigned a, b, c, d, found = DS_ISA_C;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) /* OSXSAVE */
		return found;
	bool fma = c & 1u << 12, f16c = c & 1u << 29;
	uint64_t state = xcr0();
	if ((state & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return found;
	unsigned b7 = b, c7 = c, d7 = d, a71 = 0;
	if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
		a71 = a;
	if (fma && f16c && (b7 & 1u << 5))
		found |= DS_ISA_AVX2;
	if ((found & DS_ISA_AVX2) && (a71 & 1u << 4))
		found |= DS_ISA_AVXVNNI;
	const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;      /* F DQ BW VL */
	if ((found & DS_ISA_AVX2) && (state & 0xe0) == 0xe0 && (b7 & avx512) == avx512)
		found |= DS_ISA_AVX512;
	if ((found & DS_ISA_AVX512) && (c7 & 1u << 11))
		found |= DS_ISA_VNNI;
	const unsigned amx = 1u << 24 | 1u << 25;                               /* TILE INT8 */
	if ((found & DS_ISA_VNNI) && (d7 & amx) == amx && (state & 0x60000) == 0x60000 &&
		syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILEDATA) == 0)
		found |= DS_ISA_AMX;
	if ((found & DS_ISA_AVX512) && (a71 & 1u << 5))
		found |= DS_ISA_BF16;
	if ((found & DS_ISA_AMX) && (found & DS_ISA_BF16) && (d7 & 1u << 22))
		found |= DS_ISA_AMXBF16;
	return found;
}
#elif defined(__aarch64__)
static unsigned find(void) { return DS_ISA_NEON; }
#else
static unsigned find(void) { return DS_ISA_C; }
#endif

/* Both answers are cached with a mark in the top bit; threads that race compute the same value. */
#define KNOWN 0x80000000u

unsigned ds_cpu_found(void)
{
	static _Atomic unsigned cache;
	unsigned v = atomic_load_explicit(&cache, memory_order_relaxed);
	if (!v) {
		v = find() | KNOWN;
		atomic_store_explicit(&cache, v, memory_order_relaxed);
	}
	return v & ~KNOWN;
}

unsigned ds_cpu_allowed(void)
{
	static _Atomic unsigned cache;
	unsigned v = atomic_load_explicit(&cache, memory_order_relaxed);
	if (!v) {
		unsigned mask = ~0u;
		const char *list = getenv("DS_CPU");
		/* A list that cannot be read must not silently mean "everything": plain C is always right. */
		if (list && *list && ds_cpu_parse(list, &mask, NULL) != DS_OK)
			mask = DS_ISA_C;
		v = (ds_cpu_found() & mask) | KNOWN;
		atomic_store_explicit(&cache, v, memory_order_relaxed);
	}
	return v & ~KNOWN;
}

ds_status ds_cpu_parse(const char *list, unsigned *mask, ds_err *err)
{
	*mask = DS_ISA_C;
	while (*list) {
		size_t n = strcspn(list, ","), i;
		for (i = 0; i < DS_COUNTOF(levels); i++)
			if (strlen(levels[i].name) == n && !memcmp(list, levels[i].name, n))
				break;
		if (i == DS_COUNTOF(levels))
			return ds_fail(err, DS_E_USAGE, "no such instruction set: %.*s (known: c avx2 avxvnni avx512 vnni amx bf16 amxbf16 neon)", (int)n, list);
		*mask |= levels[i].bit;
		list += n + (list[n] == ',');
	}
	return DS_OK;
}

const char *ds_cpu_text(unsigned mask, char buf[64])
{
	size_t at = 0;
	for (size_t i = 0; i < DS_COUNTOF(levels); i++)
		if ((mask & levels[i].bit) == levels[i].bit)
			at += (size_t)snprintf(buf + at, 64 - at, "%s%s", at ? "," : "", levels[i].name);
	return buf;
}

const char *ds_cpu_model(char *buf, size_t n)
{
#if defined(__x86_64__)
	unsigned r[13] = { 0 };
	if ((unsigned)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u) {
		for (unsigned i = 0; i < 3; i++)
			__get_cpuid(0x80000002u + i, &r[i * 4], &r[i * 4 + 1], &r[i * 4 + 2], &r[i * 4 + 3]);
		const char *s = (const char *)r;
		snprintf(buf, n, "%s", s + strspn(s, " "));
		return buf;
	}
#endif
	snprintf(buf, n, "unknown");
	return buf;
}
