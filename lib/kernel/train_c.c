/* train_c.c - kernels of training in plain C: the reference of the kernel checker, and what runs everywhere */
#include "kernel.h"

#include <math.h>
#include <string.h>

enum { C_WIDTH = 16 };          /* of a block of columns: nr of the row in C */

static void tn_packed(const ds_k_tn *g)
{
	for (int r = 0; r < g->rows; r++)
		for (int j = 0; j < g->kc; j++) {
			const float *a = g->a + (size_t)(r / DS_TN_ROWS) * g->lda + r % DS_TN_ROWS, *b = g->packed + (size_t)(j / C_WIDTH) * g->b_block + j % C_WIDTH;
			float *c = g->c + (size_t)r * g->ldc + (size_t)j, s = g->first ? 0.0f : *c;
			for (int p = 0; p < g->pixels; p++)
				s = fmaf(a[p * DS_TN_ROWS], b[p * C_WIDTH], s);
			*c = s;
		}
}

void ds_k_gemm_tn_f32_c(const ds_k_tn *g)
{
	if (!g->b) {
		tn_packed(g);
		return;
	}
	for (int r = 0; r < g->rows; r++)
		for (int t = 0; t < g->taps; t++)
			for (int j = 0; j < g->kc; j++) {
				float *c = g->c + (size_t)r * g->ldc + (size_t)t * (size_t)g->kc + (size_t)j, s = g->first ? 0.0f : *c;
				size_t at = g->b_off + (g->b_block ? (size_t)(j / C_WIDTH) * g->b_block + (size_t)(j % C_WIDTH) : (size_t)j);
				for (int p = 0; p < g->pixels; p++)
					s = fmaf(g->a[(size_t)p * g->lda + (size_t)r], ((const float *)g->b[(size_t)t * g->ldb + (size_t)p])[at], s);
				*c = s;
			}
}

void ds_k_dwg_f32_c(const ds_k_dwg *g)
{
	for (int t = 0; t < g->taps; t++)
		for (int j = 0; j < g->chans; j++) {
			float *c = g->c + (size_t)t * g->ldc + (size_t)j, s = g->first ? 0.0f : *c;
			for (int p = 0; p < g->pixels; p++)
				s = fmaf(g->a[(size_t)p * g->lda + (size_t)j], ((const float *)g->b[(size_t)t * g->ldb + (size_t)p])[j], s);
			*c = s;
		}
}

void ds_k_norm_f32_c(const ds_k_norm *n)
{
	for (size_t p = 0; p < n->pixels; p++)
		for (size_t c = 0; c < n->chans; c++) {
			float x = n->x[p * n->ld + c], u, g;
			if (n->what <= DS_NORM_MOMENTS) {
				n->sum[c] += (double)x;
				if (n->what == DS_NORM_MOMENTS)
					n->sum2[c] += (double)x * (double)x;
				continue;
			}
			u = x - n->mean[c];
			if (n->what == DS_NORM_APPLY) {
				float y = u * n->a[c] + n->b[c];
				n->y[p * n->ld + c] = n->relu && y <= 0 ? 0.0f : y;
				continue;
			}
			g = n->dy[p * n->ld + c];
			if (n->relu && u * n->a[c] + n->b[c] <= 0)
				g = 0;
			if (n->what == DS_NORM_GRAD) {
				n->sum[c] += (double)g;
				n->sum2[c] += (double)g * (double)u;
			} else {
				n->y[p * n->ld + c] = (g * n->k1[c] - n->k2[c]) - u * n->k3[c];
			}
		}
}

void ds_k_blocks_f32_c(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans)
{
	for (size_t p = 0; p < pixels; p++)
		for (size_t j = 0; j < (chans + width - 1) / width * width; j++)
			y[j / width * block + p * width + j % width] = j < chans ? x[p * ld + j] : 0.0f;
}

void ds_k_half_c(void *y, const void *x, size_t n, bool to_bf16)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t u = 0;
		uint16_t h;
		if (to_bf16) {
			memcpy(&u, (const char *)x + 4 * i, 4);
			h = (uint16_t)((u & 0x7FFFFFFF) > 0x7F800000 ? u >> 16 | 0x40 : (u + 0x7FFF + (u >> 16 & 1)) >> 16);
			memcpy((char *)y + 2 * i, &h, 2);
		} else {
			memcpy(&h, (const char *)x + 2 * i, 2);
			u = (uint32_t)h << 16;
			memcpy((char *)y + 4 * i, &u, 4);
		}
	}
}
