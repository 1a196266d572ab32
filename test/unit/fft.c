/* fft.c - the transform against the sum that defines it, for lengths of all kinds */
#include "op/fft.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Largest difference from the definition, relative to the largest value; then of the way back. */
static double error(int64_t n, double *back)
{
	double *table = ds_calloc(ds_fft_table(n), sizeof *table), *work = ds_calloc(ds_fft_work(n), sizeof *work);
	double *x = ds_calloc((size_t)n * 2, sizeof *x), *y = ds_calloc((size_t)n * 2, sizeof *y), worst = 0, top = 1e-30;
	ds_rng r = ds_rng_init(7, (uint64_t)n);
	ds_fft f;
	for (int64_t i = 0; i < 2 * n; i++)
		y[i] = x[i] = ds_rng_normal(&r);
	ds_fft_plan(&f, n, table);
	ds_fft_run(&f, y, work, 0);
	for (int64_t k = 0; k < n; k++) {
		long double re = 0, im = 0;
		for (int64_t i = 0; i < n; i++) {
			long double a = -2 * 3.14159265358979323846L * (long double)(i * k % n) / (long double)n, c = cosl(a), s = sinl(a);
			re += x[2 * i] * c - x[2 * i + 1] * s;
			im += x[2 * i] * s + x[2 * i + 1] * c;
		}
		worst = fmax(worst, fmax(fabs((double)(re - y[2 * k])), fabs((double)(im - y[2 * k + 1]))));
		top = fmax(top, fabs((double)re));
	}
	ds_fft_run(&f, y, work, 1);
	*back = 0;
	for (int64_t i = 0; i < 2 * n; i++)
		*back = fmax(*back, fabs(x[i] - y[i]));
	ds_free(table);
	ds_free(work);
	ds_free(x);
	ds_free(y);
	return worst / top;
}

int main(void)
{
	static const int64_t odd[] = { 97, 100, 127, 128, 200, 222, 251, 256, 400, 480, 512, 600, 1009, 1024, 1369 };
	double worst = 0, back, worst_back = 0;
	int failed = 0;
	for (int64_t n = 1; n <= 80; n++) {
		worst = fmax(worst, error(n, &back));
		worst_back = fmax(worst_back, back);
	}
	for (size_t i = 0; i < DS_COUNTOF(odd); i++) {
		worst = fmax(worst, error(odd[i], &back));
		worst_back = fmax(worst_back, back);
	}
	failed |= !(worst < 1e-13) || !(worst_back < 1e-13);
	printf("%s fft of 95 lengths: off by %.1e, there and back %.1e\n", failed ? "not ok" : "ok", worst, worst_back);
	bool refused = !ds_fft_table(0) && !ds_fft_table(-1) && !ds_fft_table((int64_t)1 << 40);
	printf("%s fft lengths that are none\n", refused ? "ok" : "not ok");
	return failed || !refused;
}
