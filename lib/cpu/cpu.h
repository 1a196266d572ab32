/* cpu.h - which instruction sets exist and which are allowed (DS_CPU=c,avx2,avx512,vnni,amx masks the others) */
#ifndef DS_CPU_H
#define DS_CPU_H

#include "../base/status.h"

enum {
	DS_ISA_C = 0,
	DS_ISA_AVX2 = 1u << 0,          /* AVX2 + FMA */
	DS_ISA_AVXVNNI = 1u << 1,       /* 256-bit VNNI */
	DS_ISA_AVX512 = 1u << 2,        /* F BW DQ VL */
	DS_ISA_VNNI = 1u << 3,          /* AVX-512 VNNI */
	DS_ISA_AMX = 1u << 4,           /* AMX tiles with int8, permission obtained */
	DS_ISA_BF16 = 1u << 5,          /* AVX-512 BF16 */
	DS_ISA_AMXBF16 = 1u << 6,       /* AMX tiles with bf16, permission obtained */
	DS_ISA_NEON = 1u << 8,
};
unsigned    ds_cpu_found(void);         /* of this machine */
unsigned    ds_cpu_allowed(void);       /* found, less what DS_CPU masks; read once */
ds_status   ds_cpu_parse(const char *list, unsigned *mask, ds_err *err);        /* "c,avx2" */
const char *ds_cpu_text(unsigned mask, char buf[64]);
const char *ds_cpu_model(char *buf, size_t n);  /* processor's name */

#endif
