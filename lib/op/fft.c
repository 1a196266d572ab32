/* fft.c - the discrete Fourier transform of any length, in f64 */
#include "fft.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define LONGEST ((int64_t)1 << 32)

typedef struct complex { double re, im; } complex;

static inline complex times(complex a, complex b) { return (complex){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re }; }
static inline complex plus(complex a, complex b) { return (complex){ a.re + b.re, a.im + b.im }; }
static inline complex minus(complex a, complex b) { return (complex){ a.re - b.re, a.im - b.im }; }

/* Factors of n, fours first; 0: one of them is a prime above FFT_PRIME. */
static int factors(int64_t n, int *factor)
{
	int k = 0;
	for (; n % 4 == 0; n /= 4)
		factor[k++] = 4;
	for (int p = 2; p <= FFT_PRIME; p++) {
		for (; n % p == 0; n /= p)
			factor[k++] = p;
	}
	return n == 1 ? k : 0;
}

/* Length of the convolution for Bluestein, 0: not needed. */
static int64_t convolution(int64_t n)
{
	int f[48];
	int64_t m = 1;
	if (n == 1 || factors(n, f))
		return 0;
	while (m < 2 * n - 1)
		m *= 2;
	return m;
}

size_t ds_fft_table(int64_t n)
{
	if (n < 1 || n > LONGEST)
		return 0;
	int64_t m = convolution(n);
	return (size_t)(2 * (m ? m + n + m : n)) + (m ? ds_fft_work(m) : 0);
}

size_t ds_fft_work(int64_t n)
{
	if (n < 1 || n > LONGEST)
		return 0;
	int64_t m = convolution(n);
	return (size_t)(2 * (m ? 2 * m : n));
}

/* exp(-2 pi i k / n) with the angle brought into the first eighth of the circle, so that what should be equal is. */
static complex turned(int64_t k, int64_t n)
{
	int64_t eighths = 8 * k / n;
	double part = (double)(8 * k - eighths * n) / (double)n * (PI / 4);     /* 0 .. pi/4 */
	double rest = (double)((eighths + 1) * n - 8 * k) / (double)n * (PI / 4);
	double c = eighths & 1 ? sin(rest) : cos(part), s = eighths & 1 ? cos(rest) : sin(part);
	switch (eighths >> 1) {
	case 0:  return (complex){ c, -s };
	case 1:  return (complex){ -s, -c };
	case 2:  return (complex){ -c, s };
	default: return (complex){ s, c };
	}
}

/* ---- by factors ---------------------------------------------------------------------------------------------------------------- */

typedef struct pass { const complex *turn; const int *factor; int64_t n; } pass;        /* n: of the whole */

static void two(complex *x, int64_t m, const pass *p, int64_t step)
{
	for (int64_t u = 0; u < m; u++) {
		complex a = x[u], b = times(x[u + m], p->turn[u * step]);
		x[u] = plus(a, b);
		x[u + m] = minus(a, b);
	}
}

static void four(complex *x, int64_t m, const pass *p, int64_t step)
{
	for (int64_t u = 0; u < m; u++) {
		complex a = x[u], b = times(x[u + m], p->turn[u * step]), c = times(x[u + 2 * m], p->turn[2 * u * step]), d = times(x[u + 3 * m], p->turn[3 * u * step]);
		complex s = plus(a, c), t = minus(a, c), v = plus(b, d), w = minus(b, d);
		complex turn = { w.im, -w.re };         /* -i w */
		x[u] = plus(s, v);
		x[u + m] = plus(t, turn);
		x[u + 2 * m] = minus(s, v);
		x[u + 3 * m] = minus(t, turn);
	}
}

static void many(complex *x, int q, int64_t m, const pass *p, int64_t step)
{
	complex a[FFT_PRIME];
	for (int64_t u = 0; u < m; u++) {
		for (int i = 0; i < q; i++)
			a[i] = times(x[u + i * m], p->turn[i * u * step % p->n]);
		for (int k = 0; k < q; k++) {
			complex sum = a[0];
			for (int i = 1; i < q; i++)
				sum = plus(sum, times(a[i], p->turn[(int64_t)i * k % q * (p->n / q)]));
			x[u + k * m] = sum;
		}
	}
}

/* out[0 .. n) = transform of in[0], in[step], ...; n is the product of the factors from `at` on. */
static void transform(complex *out, const complex *in, int64_t n, int64_t step, int at, const pass *p)
{
	if (n == 1) {
		*out = *in;
		return;
	}
	int q = p->factor[at];
	int64_t m = n / q;
	for (int i = 0; i < q; i++)
		transform(out + i * m, in + i * step, m, step * q, at + 1, p);
	if (q == 2)
		two(out, m, p, step);
	else if (q == 4)
		four(out, m, p, step);
	else
		many(out, q, m, p, step);
}

static void by_factors(const ds_fft *f, int64_t n, complex *x, complex *work)
{
	const pass p = { (const complex *)(const void *)f->turn, f->factor, n };
	memcpy(work, x, (size_t)n * sizeof *x);
	transform(x, work, n, 1, 0, &p);
}

/* ---- any length ---------------------------------------------------------------------------------------------------------------- */

void ds_fft_plan(ds_fft *f, int64_t n, double *table)
{
	int64_t m = convolution(n), len = m ? m : n;
	complex *turn = (complex *)(void *)table, *chirp = turn + len, *filter = chirp + n;
	*f = (ds_fft){ .n = n, .m = m, .turn = table };
	f->n_factor = factors(len, f->factor);
	for (int64_t k = 0; k < len; k++)
		turn[k] = turned(k, len);
	if (!m)
		return;
	f->chirp = &chirp->re;
	f->filter = &filter->re;
	memset(filter, 0, (size_t)m * sizeof *filter);
	for (int64_t k = 0; k < n; k++) {       /* k^2 mod 2 n, without running over */
		int64_t square = (int64_t)((unsigned __int128)k * (unsigned __int128)k % (unsigned __int128)(2 * n));
		chirp[k] = turned(square, 2 * n);
		filter[k] = (complex){ chirp[k].re, -chirp[k].im };
		if (k)
			filter[m - k] = filter[k];
	}
	by_factors(f, m, filter, filter + m);
}

static void bluestein(const ds_fft *f, complex *x, complex *work)
{
	const complex *chirp = (const complex *)(const void *)f->chirp, *filter = (const complex *)(const void *)f->filter;
	complex *a = work, *rest = work + f->m;
	memset(a, 0, (size_t)f->m * sizeof *a);
	for (int64_t k = 0; k < f->n; k++)
		a[k] = times(x[k], chirp[k]);
	by_factors(f, f->m, a, rest);
	for (int64_t k = 0; k < f->m; k++) {    /* the inverse transform is that of the conjugate, conjugated */
		complex v = times(a[k], filter[k]);
		a[k] = (complex){ v.re, -v.im };
	}
	by_factors(f, f->m, a, rest);
	for (int64_t k = 0; k < f->n; k++)
		x[k] = times((complex){ a[k].re / (double)f->m, -a[k].im / (double)f->m }, chirp[k]);
}

void ds_fft_run(const ds_fft *f, double *x, double *work, int inverse)
{
	complex *v = (complex *)(void *)x;
	for (int64_t k = 0; inverse && k < f->n; k++)
		v[k].im = -v[k].im;
	if (f->m)
		bluestein(f, v, (complex *)(void *)work);
	else
		by_factors(f, f->n, v, (complex *)(void *)work);
	for (int64_t k = 0; inverse && k < f->n; k++)
		v[k] = (complex){ v[k].re / (double)f->n, -v[k].im / (double)f->n };
}
