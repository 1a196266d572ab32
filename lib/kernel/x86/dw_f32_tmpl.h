/* dw_f32_tmpl.h - depthwise rows for one register width (macros as in gemm_f32_tmpl.h): vectors over channels
 *
 * For kernels of 9 taps the weights of one or two (DW_TWO) vectors of channels stay in registers while the pixels of a row pass; larger kernels load
 * their weights again. */

/* Residual, clamp and store of one vector of n channels. */
INLINE void dw_finish(const ds_k_dw *d, int i, size_t c, V s, int n)
{
	if (d->res) {
		const float *r = (const float *)d->res + (size_t)i * d->ldr + c;
		s = ADD(s, n < VL ? LOADN(r, n) : LOAD(r));
	}
	s = MIN(SET1(d->hi), MAX(SET1(d->lo), s));  /* NaN stays */
	float *o = (float *)d->c + (size_t)i * d->ldc + c;
	if (n < VL)
		STOREN(o, s, n);
	else
		STORE(o, s);
}

INLINE V dw_x(const ds_k_dw *d, int i, int t, size_t c, int n)
{
	const float *x = (const float *)d->a[(size_t)i * (size_t)d->taps + (size_t)t] + c;
	return n < VL ? LOADN(x, n) : LOAD(x);
}

INLINE void dw_nine(const ds_k_dw *d, size_t c, const int nv)
{
	V w[9][2], b[2];
	#pragma GCC unroll 2
	for (int j = 0; j < nv; j++) {
		b[j] = d->bias ? LOAD(d->bias + c + (size_t)j * VL) : ZERO;
		#pragma GCC unroll 9
		for (int t = 0; t < 9; t++)
			w[t][j] = LOAD((const float *)d->w + (size_t)t * d->ldw + c + (size_t)j * VL);
	}
	const void *const *a = d->a;
	for (int i = 0; i < d->n; i++, a += 9) {
		V s[2];
		#pragma GCC unroll 2
		for (int j = 0; j < nv; j++)
			s[j] = b[j];
		#pragma GCC unroll 9
		for (int t = 0; t < 9; t++)
			#pragma GCC unroll 2
			for (int j = 0; j < nv; j++)
				s[j] = FMA(LOAD((const float *)a[t] + c + (size_t)j * VL), w[t][j], s[j]);
		#pragma GCC unroll 2
		for (int j = 0; j < nv; j++)
			dw_finish(d, i, c + (size_t)j * VL, s[j], VL);
	}
}

static void dw_any(const ds_k_dw *d, size_t c, int n)
{
	const float *w = (const float *)d->w + c;
	V b = ZERO;
	if (d->bias)
		b = n < VL ? LOADN(d->bias + c, n) : LOAD(d->bias + c);
	for (int i = 0; i < d->n; i++) {
		V s = b;
		for (int t = 0; t < d->taps; t++) {
			const float *wt = w + (size_t)t * d->ldw;
			s = FMA(dw_x(d, i, t, c, n), n < VL ? LOADN(wt, n) : LOAD(wt), s);
		}
		dw_finish(d, i, c, s, n);
	}
}

static void dw_rows(const ds_k_dw *d)
{
	size_t c = 0, n = (size_t)d->chans;
	if (d->taps == 9) {
		for (; c + 2 * VL <= n && DW_TWO; c += 2 * VL)
			dw_nine(d, c, 2);
		for (; c + VL <= n; c += VL)
			dw_nine(d, c, 1);
	}
	for (; c + VL <= n; c += VL)
		dw_any(d, c, VL);
	if (c < n)
		dw_any(d, c, (int)(n - c));
}
