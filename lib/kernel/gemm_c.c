/* gemm_c.c - matrix products and depthwise convolution in plain C: the reference of the kernel checker, and what runs everywhere */
#include "kernel.h"

#include <math.h>
#include <string.h>

/* f32 results: NaN stays, so that a network that has gone wrong says so. */
static float clamp_f32(float y, float lo, float hi)
{
	y = y < lo ? lo : y;
	return y > hi ? hi : y;
}

static float clamp(float y, float lo, float hi)
{
	y = y > lo ? y : lo;            /* the operand order of maxps and minps: a NaN becomes the bound */
	return y < hi ? y : hi;
}

void ds_k_gemm_f32_c(const ds_k_gemm *g)
{
	const size_t w = (size_t)g->width;
	const int n = g->last ? g->cols : g->width;
	for (int r = 0; r < g->rows; r++) {
		float *acc = (float *)g->acc + (size_t)r * g->ld_acc, *c = g->c_rows ? (float *)g->c_rows[r] + g->c_off : (float *)g->c + (size_t)r * g->ldc;
		for (int j = 0; j < n; j++) {
			const float *b = (const float *)g->b + j;
			float s = !g->first ? acc[j] : g->bias ? g->bias[j] : 0.0f;
			for (int t = 0; t < g->taps; t++) {
				const float *a = (const float *)g->a[(size_t)t * g->a_rows + (size_t)r] + g->a_off;
				for (int k = 0; k < g->kc; k++, b += w)
					s = fmaf(a[k], *b, s);
			}
			if (!g->last) {
				acc[j] = s;
				continue;
			}
			if (g->res)
				s += ((const float *)g->res)[(size_t)r * g->ldr + (size_t)j];
			c[j] = clamp_f32(s, g->lo, g->hi);
		}
	}
}

static float as_bf16(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	u = (u & 0x7fffffff) > 0x7f800000 ? (u | 0x400000) & 0xffff0000u : (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
	memcpy(&f, &u, 4);
	return f;
}

static float from_bf16(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;
	memcpy(&f, &u, 4);
	return f;
}

void ds_k_gemm_bf16_c(const ds_k_gemm *g)
{
	const size_t w = (size_t)g->width * 2;
	const int n = g->last ? g->cols : g->width;
	for (int r = 0; r < g->rows; r++) {
		float *acc = (float *)g->acc + (size_t)r * g->ld_acc, *c = g->c_rows ? (float *)g->c_rows[r] + g->c_off : (float *)g->c + (size_t)r * g->ldc;
		for (int j = 0; j < n; j++) {
			const uint16_t *b = (const uint16_t *)g->b + 2 * j;
			float s = !g->first ? acc[j] : g->bias ? g->bias[j] : 0.0f;
			for (int t = 0; t < g->taps; t++) {
				const float *a = (const float *)g->a[(size_t)t * g->a_rows + (size_t)r] + g->a_off;
				for (int k = 0; k < g->kc; k += 2, b += w)
					s = fmaf(as_bf16(a[k + 1]), from_bf16(b[1]), fmaf(as_bf16(a[k]), from_bf16(b[0]), s));
			}
			if (!g->last) {
				acc[j] = s;
				continue;
			}
			if (g->res)
				s += ((const float *)g->res)[(size_t)r * g->ldr + (size_t)j];
			c[j] = clamp(s, g->lo, g->hi);
		}
	}
}

void ds_k_gemm_i8_c(const ds_k_gemm *g)
{
	const size_t w = (size_t)g->width * 4;
	const int n = g->last ? g->cols : g->width;
	for (int r = 0; r < g->rows; r++) {
		int32_t *acc = (int32_t *)g->acc + (size_t)r * g->ld_acc;
		for (int j = 0; j < n; j++) {
			const int8_t *b = (const int8_t *)g->b + (size_t)j * 4;
			int32_t s = !g->first ? acc[j] : g->init ? g->init[j] : 0;
			for (int t = 0; t < g->taps; t++) {
				const uint8_t *a = (const uint8_t *)g->a[(size_t)t * g->a_rows + (size_t)r] + g->a_off;
				for (int k = 0; k < g->kc; k += 4, b += w)
					s += a[k] * b[0] + a[k + 1] * b[1] + a[k + 2] * b[2] + a[k + 3] * b[3];
			}
			if (!g->last) {
				acc[j] = s;
				continue;
			}
			float y = (float)s * g->mult[j] + (g->bias ? g->bias[j] : 0.0f);
			if (g->res)
				y += (float)(((const uint8_t *)g->res)[(size_t)r * g->ldr + (size_t)j] - g->res_zp) * g->res_mult;
			y = clamp(y, g->lo, g->hi);
			if (g->f32_out)
				((float *)g->c)[(size_t)r * g->ldc + (size_t)j] = y;
			else
				((uint8_t *)g->c)[(size_t)r * g->ldc + (size_t)j] = (uint8_t)((int32_t)rintf(y) + g->zp);
		}
	}
}

void ds_k_dw_f32_c(const ds_k_dw *d)
{
	for (int i = 0; i < d->n; i++)
		for (int c = 0; c < d->chans; c++) {
			float s = d->bias ? d->bias[c] : 0.0f;
			for (int t = 0; t < d->taps; t++)
				s = fmaf(((const float *)d->a[i * d->taps + t])[c], ((const float *)d->w)[(size_t)t * d->ldw + (size_t)c], s);
			if (d->res)
				s += ((const float *)d->res)[(size_t)i * d->ldr + (size_t)c];
			((float *)d->c)[(size_t)i * d->ldc + (size_t)c] = clamp_f32(s, d->lo, d->hi);
		}
}

void ds_k_dw_i8_c(const ds_k_dw *d)
{
	for (int i = 0; i < d->n; i++)
		for (int c = 0; c < d->chans; c++) {
			int32_t s = d->init ? d->init[c] : 0;
			for (int t = 0; t < d->taps; t++)
				s += ((const uint8_t *)d->a[i * d->taps + t])[c] * ((const int8_t *)d->w)[(size_t)t * d->ldw + (size_t)c];
			float y = (float)s * d->mult[c] + (d->bias ? d->bias[c] : 0.0f);
			if (d->res)
				y += (float)(((const uint8_t *)d->res)[(size_t)i * d->ldr + (size_t)c] - d->res_zp) * d->res_mult;
			y = clamp(y, d->lo, d->hi);
			if (d->f32_out)
				((float *)d->c)[(size_t)i * d->ldc + (size_t)c] = y;
			else
				((uint8_t *)d->c)[(size_t)i * d->ldc + (size_t)c] = (uint8_t)((int32_t)rintf(y) + d->zp);
		}
}
