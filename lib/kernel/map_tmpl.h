/* map_tmpl.h - template of the map_f32 rows: kernel/vmath.h over arrays, vectorised by the compiler for the instruction set of the including file.
 * NAME is the function.  vmath has no fused multiply-add and the build forbids contraction, so every width gives the same bits. */
#include "kernel.h"
#include "vmath.h"

enum { MAP_BLOCK = 32 };

#define MAP(fn) \
	for (; i + MAP_BLOCK <= n; i += MAP_BLOCK) { \
		float v[MAP_BLOCK]; \
		for (int k = 0; k < MAP_BLOCK; k++) \
			v[k] = fn(x[i + (size_t)k]); \
		memcpy(y + i, v, sizeof v); \
	} \
	if (i < n) { \
		/* the tail in a block of its own, so that it goes through the same code */ \
		float v[MAP_BLOCK] = { 0 }; \
		memcpy(v, x + i, (n - i) * sizeof *v); \
		for (int k = 0; k < MAP_BLOCK; k++) \
			v[k] = fn(v[k]); \
		memcpy(y + i, v, (n - i) * sizeof *v); \
	} \
	break

void NAME(float *y, const float *x, size_t n, int map)
{
	size_t i = 0;

	switch ((ds_map)map) {
	case DS_MAP_EXP: MAP(ds_vm_exp);
	case DS_MAP_LOG: MAP(ds_vm_log);
	case DS_MAP_SIGMOID: MAP(ds_vm_sigmoid);
	case DS_MAP_TANH: MAP(ds_vm_tanh);
	case DS_MAP_ERF: MAP(ds_vm_erf);
	case DS_MAP_COUNT: break;
	}
}
