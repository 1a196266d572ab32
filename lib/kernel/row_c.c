/* row_c.c - pooling rows in plain C */
#include "kernel.h"

#include <math.h>

void ds_k_pool_f32_c(float *y, const float *const *a, int taps, size_t n, int sum)
{
	for (size_t i = 0; i < n; i++) {
		float v = sum ? 0.0f : -INFINITY;

		for (int t = 0; t < taps; t++)
			v = sum ? v + a[t][i] : a[t][i] > v ? a[t][i] : v;
		y[i] = v;
	}
}

void ds_k_pool_u8_c(uint8_t *y, const uint8_t *const *a, int taps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t v = 0;

		for (int t = 0; t < taps; t++)
			v = a[t][i] > v ? a[t][i] : v;
		y[i] = v;
	}
}
