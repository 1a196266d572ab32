/* gemm_f32_tmpl.h - f32 matrix product for one register width
 *
 * The including file defines V (vector type), VL (floats), MR(nv) (rows per step for nv vectors, at most MR_MAX), LOAD STORE SET1 FMA ADD MIN MAX ZERO, and LOADN(p, n),
 * STOREN(p, v, n) for the first n < VL elements, UNROLL.  Weights of a panel are vectors, activations are broadcast: mr rows x nv vectors of sums stay in
 * registers while k runs. */
#define INLINE static inline __attribute__((always_inline))

/* Every element that is read is written first: no time for clearing the rest of the array. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define RAW __attribute__((uninitialized))
#endif
#endif
#ifndef RAW
#define RAW
#endif

/* One element of the sum: element k of each row times one row of the panel. */
INLINE void gemm_step(V s[MR_MAX][4], const float *const a[MR_MAX], size_t k, const float *b, size_t ahead, const bool fetch, const int mr, const int nv)
{
	RAW V v[4];
	#pragma GCC unroll 4
	for (int j = 0; j < nv; j++)
		v[j] = LOAD(b + j * VL);
	if (fetch) {
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j += 16 / VL)
			_mm_prefetch((const char *)(b + j * VL) + ahead, _MM_HINT_T0);
	}
	#pragma GCC unroll 12
	for (int i = 0; i < mr; i++) {
		V x = SET1(a[i][k]);
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = FMA(x, v[j], s[i][j]);
	}
}

/* ahead: how far in front of b to fetch (fetch): the last rows of a block fetch the block that follows it in memory, the others nothing.  Short sums (the channels of a tap)
 * run in steps of UNROLL, so that their loop ends where the processor expects it. */
INLINE void micro(const ds_k_gemm *g, size_t r0, size_t ahead, const bool fetch, const int mr, const int nv)
{
	RAW V s[MR_MAX][4];
	const size_t w = (size_t)nv * VL;
	const float *b = g->b;
	float *acc = (float *)g->acc + r0 * g->ld_acc;
	#pragma GCC unroll 12
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = !g->first ? LOAD(acc + (size_t)i * g->ld_acc + j * VL) : g->bias ? LOAD(g->bias + j * VL) : ZERO;
	for (int t = 0; t < g->taps; t++) {
		RAW const float *a[MR_MAX];
		#pragma GCC unroll 12
		for (int i = 0; i < mr; i++)
			a[i] = (const float *)g->a[(size_t)t * g->a_rows + r0 + (size_t)i] + g->a_off;
		size_t k = 0, kc = (size_t)g->kc;
		for (; k + UNROLL <= kc; k += UNROLL, b += UNROLL * w)
			#pragma GCC unroll 8
			for (size_t u = 0; u < UNROLL; u++)
				gemm_step(s, a, k + u, b + u * w, ahead, fetch, mr, nv);
		for (; k < kc; k++, b += w)
			gemm_step(s, a, k, b, ahead, fetch, mr, nv);
	}
	if (!g->last) {
		#pragma GCC unroll 12
		for (int i = 0; i < mr; i++)
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				STORE(acc + (size_t)i * g->ld_acc + j * VL, s[i][j]);
		return;
	}
	const V lo = SET1(g->lo), hi = SET1(g->hi);
	const int tail = g->cols - (nv - 1) * VL;       /* columns of the last vector, 1 .. VL */
	#pragma GCC unroll 12
	for (int i = 0; i < mr; i++) {
		float *c = g->c_rows ? (float *)g->c_rows[r0 + (size_t)i] + g->c_off : (float *)g->c + (r0 + (size_t)i) * g->ldc;
		const float *res = g->res ? (const float *)g->res + (r0 + (size_t)i) * g->ldr : NULL;
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++) {
			bool part = j == nv - 1 && tail < VL;
			V y = s[i][j];
			if (res)
				y = ADD(y, part ? LOADN(res + j * VL, tail) : LOAD(res + j * VL));
			y = MIN(hi, MAX(lo, y));              /* the second operand is taken when one is NaN: NaN stays */
			if (part)
				STOREN(c + j * VL, y, tail);
			else
				STORE(c + j * VL, y);
		}
	}
}

/* Rows in steps of at most MR(nv), as equal as they can be: no step of one row is left over, which could not fill the pipelines. */
#define STEP(n, nv, fetch) case n: if (MR(nv) >= n) micro(g, (size_t)r, ahead, fetch, MR(nv) >= n ? n : 1, nv); break;
#define STEPS(nv, fetch) \
	switch (next - r) { \
	STEP(1, nv, fetch) STEP(2, nv, fetch) STEP(3, nv, fetch) STEP(4, nv, fetch) STEP(5, nv, fetch) STEP(6, nv, fetch) STEP(7, nv, fetch) STEP(8, nv, fetch) \
	STEP(9, nv, fetch) STEP(10, nv, fetch) STEP(11, nv, fetch) STEP(12, nv, fetch) \
	}
#define ROWS(nv) \
static __attribute__((noinline)) void rows_##nv(const ds_k_gemm *g) \
{ \
	int steps = (g->rows + MR(nv) - 1) / MR(nv); \
	size_t ahead = steps == 1 ? 4096 : (size_t)g->taps * (size_t)g->kc * nv * VL * sizeof(float); \
	for (int i = 0, r = 0; i < steps; i++) { \
		int next = (int)((int64_t)g->rows * (i + 1) / steps); \
		if (i == steps - 1) { \
			STEPS(nv, true) \
		} else { \
			STEPS(nv, false) \
		} \
		r = next; \
	} \
}
