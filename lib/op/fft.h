/* fft.h - the discrete Fourier transform of any length, in f64
 *
 * Cooley & Tukey 1965 by the factors of the length; a length with a prime factor above FFT_PRIME goes through a convolution of a power of two (Bluestein 1970).
 * A plan is numbers in memory of the caller; it is read by any number of threads, each with working memory of its own.  The result depends on the input alone. */
#ifndef DS_OP_FFT_H
#define DS_OP_FFT_H

#include <stddef.h>
#include <stdint.h>

#define FFT_PRIME 31

typedef struct ds_fft {
	int64_t       n, m;             /* length; that of the convolution, 0: none */
	int           n_factor;
	int           factor[48];       /* of n, or of m */
	const double *turn;             /* exp(-2 pi i k / n), k < n (m where there is a convolution): re, im */
	const double *chirp, *filter;   /* Bluestein's: exp(-pi i k^2 / n), k < n; the transform of its conjugate, m */
} ds_fft;

/* Doubles of memory: of the plan, and of each thread.  0: more than can be counted. */
size_t ds_fft_table(int64_t n);
size_t ds_fft_work(int64_t n);
void   ds_fft_plan(ds_fft *f, int64_t n, double *table);
/* x: n complex numbers (re, im), in place.  inverse: the other sign, and 1 / n. */
void   ds_fft_run(const ds_fft *f, double *x, double *work, int inverse);

#endif
