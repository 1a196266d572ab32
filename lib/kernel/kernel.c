/* kernel.c - the table of kernels, the choice among them, and packing of right operands into panels */
#include "kernel.h"

#include <string.h>

#define FIELD_gemm_f32 gemm
#define FIELD_gemm_i8  gemm
#define FIELD_gemm_bf16 gemm
#define FIELD_dw_f32   dw
#define FIELD_dw_i8    dw
#define FIELD_act_f32  act
#define FIELD_pool_f32 pool
#define FIELD_pool_u8  pool_u8
#define FIELD_gemm_tn_f32 tn
#define FIELD_dwg_f32  dwg
#define FIELD_norm_f32 norm
#define FIELD_blocks_f32 blocks
#define FIELD_half    half
#define FIELD_slope_f32 slope
#define ROW(slot, isa, f, nr, step, tol) { DS_K_##slot, #slot, #f, isa, nr, step, tol, { .FIELD_##slot = f } },
#define DS_KERN(slot, isa, f, nr, step, tol) ROW(slot, isa, f, nr, step, tol)
static const ds_kernel table[] = {
#include "kernel.def"
};
#undef DS_KERN

const ds_kernel *ds_kernel_all(int *n)
{
	*n = (int)DS_COUNTOF(table);
	return table;
}

const ds_kernel *ds_kernel_pick(ds_kslot slot, unsigned mask)
{
	const ds_kernel *best = NULL;
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (table[i].slot == slot && (table[i].needs & mask) == table[i].needs)
			best = &table[i];
	return best;
}

int ds_k_panel_width(const ds_kernel *kn, int64_t n, int64_t p)
{
	int64_t left = n - p * kn->nr;
	return left >= kn->nr ? kn->nr : (int)((left + kn->step - 1) / kn->step * kn->step);
}

size_t ds_k_panels_size(const ds_kernel *kn, int64_t k, int64_t n)
{
	int64_t last = ds_k_panel_count(kn, n) - 1;
	return last < 0 ? 0 : (size_t)k * (size_t)(last * kn->nr + ds_k_panel_width(kn, n, last));
}

/* dst[i * width + j] = b[i + j * sn] for 4 x 4 elements */
static inline void turn4(float *dst, size_t width, const float *b, size_t sn)
{
	typedef float four __attribute__((vector_size(16)));
	four r[4];
	for (size_t j = 0; j < 4; j++)
		memcpy(&r[j], b + j * sn, sizeof r[j]);
	four a0 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), a1 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
	four a2 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), a3 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
	four t[4] = { __builtin_shufflevector(a0, a1, 0, 1, 4, 5), __builtin_shufflevector(a0, a1, 2, 3, 6, 7), __builtin_shufflevector(a2, a3, 0, 1, 4, 5),
		__builtin_shufflevector(a2, a3, 2, 3, 6, 7) };
	for (size_t i = 0; i < 4; i++)
		memcpy(dst + i * width, &t[i], sizeof t[i]);
}

/* The same with rows of b that lie one after the other in memory: 4 x 4 elements at a time; k and the columns are multiples of 4. */
static void pack_turned(float *dst, const float *b, int64_t k, int64_t cols, int64_t width, int64_t sn)
{
	enum { STRETCH = 64 };          /* of k: what is written stays near while the columns pass */
	for (int64_t k0 = 0; k0 < k; k0 += STRETCH)
		for (int64_t j = 0; j < cols; j += 4)
			for (int64_t i = k0; i < DS_MIN(k, k0 + STRETCH); i += 4)
				turn4(dst + i * width + j, (size_t)width, b + i + j * sn, (size_t)sn);
}

void ds_k_pack_f32(const ds_kernel *kn, float *dst, const float *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn)
{
	int64_t width = ds_k_panel_width(kn, n, p), cols = DS_MIN(n - p * kn->nr, width);
	b += p * kn->nr * sn;
	if (sk == 1 && sn != 1 && k % 4 == 0 && cols == width) {
		pack_turned(dst, b, k, cols, width, sn);
		return;
	}
	for (int64_t kk = 0; kk < k; kk++, dst += width, b += sk) {
		if (sn == 1)
			memcpy(dst, b, (size_t)cols * sizeof *dst);
		else
			for (int64_t j = 0; j < cols; j++)
				dst[j] = b[j * sn];
		for (int64_t j = cols; j < width; j++)
			dst[j] = 0;
	}
}

/* To the nearest bf16, ties to even; a NaN stays one. */
static uint16_t to_bf16(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void ds_k_pack_bf16(const ds_kernel *kn, uint16_t *dst, const float *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn)
{
	int64_t width = ds_k_panel_width(kn, n, p), cols = DS_MIN(n - p * kn->nr, width);
	b += p * kn->nr * sn;
	for (int64_t kk = 0; kk < k; kk += 2, dst += width * 2, b += 2 * sk) {
		for (int64_t j = 0; j < cols; j++) {
			dst[2 * j] = to_bf16(b[j * sn]);
			dst[2 * j + 1] = to_bf16(b[sk + j * sn]);
		}
		memset(dst + 2 * cols, 0, (size_t)(width - cols) * 2 * sizeof *dst);
	}
}

void ds_k_pack_i8(const ds_kernel *kn, int8_t *dst, const int8_t *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn)
{
	int64_t width = ds_k_panel_width(kn, n, p), cols = DS_MIN(n - p * kn->nr, width);
	b += p * kn->nr * sn;
	for (int64_t kk = 0; kk < k; kk += 4, dst += width * 4)
		for (int64_t j = 0; j < width; j++)
			for (int64_t i = 0; i < 4; i++)
				dst[j * 4 + i] = j < cols && kk + i < k ? b[(kk + i) * sk + j * sn] : 0;
}
