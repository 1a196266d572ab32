/* dw_i8_tmpl.h - int8 depthwise rows for one register width, after gemm_i8_tmpl.h
 *
 * Further macros: PAIR(p, q, n) makes 16-bit pairs (p[i], q[i]) of the first n unsigned bytes, SPAIR of signed ones (q NULL: 0); MADD is the sum of the
 * products of pairs. */

/* VL channels at a time: two taps side by side for one multiply-add. */
static void dw_lanes(const ds_k_dw *d, size_t c, int n)
{
	enum { TAPS = 26 };
	V w[TAPS / 2];
	int pairs = (d->taps + 1) / 2;
	const int8_t *wp = (const int8_t *)d->w + c;
	const VF mult = FLOAD(d->mult + c), bias = d->bias ? FLOAD(d->bias + c) : FZERO, lo = FSET1(d->lo), hi = FSET1(d->hi), rm = FSET1(d->res_mult);
	const V init = d->init ? LOAD(d->init + c) : ZERO, zp = SET1(d->zp), rz = SET1(d->res_zp);
	for (int t = 0; t < pairs && t < TAPS / 2; t++)
		w[t] = SPAIR(wp + (size_t)(2 * t) * d->ldw, 2 * t + 1 < d->taps ? wp + (size_t)(2 * t + 1) * d->ldw : NULL, n);
	const void *const *a = d->a;
	for (int i = 0; i < d->n; i++, a += d->taps) {
		V s = init;
		for (int t = 0; t < pairs; t++) {
			const uint8_t *p = (const uint8_t *)a[2 * t] + c, *q = 2 * t + 1 < d->taps ? (const uint8_t *)a[2 * t + 1] + c : NULL;
			V wt = t < TAPS / 2 ? w[t] : SPAIR(wp + (size_t)(2 * t) * d->ldw, q ? wp + (size_t)(2 * t + 1) * d->ldw : NULL, n);
			s = ADD(s, MADD(PAIR(p, q, n), wt));
		}
		size_t at = (size_t)i * d->ldc + c;
		finish(s, mult, bias, d->res ? (const uint8_t *)d->res + (size_t)i * d->ldr + c : NULL, rz, rm, lo, hi, zp,
			(char *)d->c + (d->f32_out ? at * 4 : at), d->f32_out, n);
	}
}

/* The rest of a row of channels from c on. */
static void dw_from(const ds_k_dw *d, size_t c)
{
	size_t n = (size_t)d->chans;
	for (; c + VL <= n; c += VL)
		dw_lanes(d, c, VL);
	if (c < n)
		dw_lanes(d, c, (int)(n - c));
}
