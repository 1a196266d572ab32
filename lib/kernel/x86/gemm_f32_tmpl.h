/* gemm_f32_tmpl.h - f32 matrix product for one register width
 *
 * The including file defines V (vector type), VL (floats), MR(nv) (rows per step for nv vectors), LOAD STORE SET1 FMA ADD MIN MAX ZERO, and LOADN(p, n),
 * STOREN(p, v, n) for the first n < VL elements.  Weights of a panel are vectors, activations are broadcast: mr rows x nv vectors of sums stay in
 * registers while k runs. */
#define INLINE static inline __attribute__((always_inline))

/* ahead: how far in front of b to fetch; the last rows of a block fetch the block that follows it in memory, the others nothing new. */
INLINE void micro(const ds_k_gemm *g, size_t r0, size_t ahead, const int mr, const int nv)
{
	V s[8][4];
	const size_t w = (size_t)nv * VL;
	const float *b = g->b;
	float *acc = (float *)g->acc + r0 * g->ld_acc;
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = !g->first ? LOAD(acc + (size_t)i * g->ld_acc + j * VL) : g->bias ? LOAD(g->bias + j * VL) : ZERO;
	for (int t = 0; t < g->taps; t++) {
		const float *a[8];
		#pragma GCC unroll 8
		for (int i = 0; i < mr; i++)
			a[i] = (const float *)g->a[(size_t)t * g->a_rows + r0 + (size_t)i] + g->a_off;
		for (size_t k = 0; k < (size_t)g->kc; k++, b += w) {
			V v[4];
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				v[j] = LOAD(b + j * VL);
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j += 16 / VL)
				_mm_prefetch((const char *)(b + j * VL) + ahead, _MM_HINT_T0);
			#pragma GCC unroll 8
			for (int i = 0; i < mr; i++) {
				V x = SET1(a[i][k]);
				#pragma GCC unroll 4
				for (int j = 0; j < nv; j++)
					s[i][j] = FMA(x, v[j], s[i][j]);
			}
		}
	}
	if (!g->last) {
		#pragma GCC unroll 8
		for (int i = 0; i < mr; i++)
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				STORE(acc + (size_t)i * g->ld_acc + j * VL, s[i][j]);
		return;
	}
	const V lo = SET1(g->lo), hi = SET1(g->hi);
	const int tail = g->cols - (nv - 1) * VL;       /* columns of the last vector, 1 .. VL */
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++) {
		float *c = (float *)g->c + (r0 + (size_t)i) * g->ldc;
		const float *res = g->res ? (const float *)g->res + (r0 + (size_t)i) * g->ldr : NULL;
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++) {
			bool part = j == nv - 1 && tail < VL;
			V y = s[i][j];
			if (res)
				y = ADD(y, part ? LOADN(res + j * VL, tail) : LOAD(res + j * VL));
			y = MIN(MAX(y, lo), hi);
			if (part)
				STOREN(c + j * VL, y, tail);
			else
				STORE(c + j * VL, y);
		}
	}
}

/* Rows in steps of at most MR(nv), as equal as they can be: no step of one row is left over, which could not fill the pipelines. */
#define ROWS(nv) \
static __attribute__((noinline)) void rows_##nv(const ds_k_gemm *g) \
{ \
	int steps = (g->rows + MR(nv) - 1) / MR(nv); \
	size_t block = (size_t)g->taps * (size_t)g->kc * nv * VL * sizeof(float); \
	for (int i = 0, r = 0; i < steps; i++) { \
		int next = (int)((int64_t)g->rows * (i + 1) / steps); \
		size_t ahead = steps == 1 ? 4096 : i == steps - 1 ? block : 0; \
		switch (next - r) { \
		case 1: micro(g, (size_t)r, ahead, 1, nv); break; \
		case 2: micro(g, (size_t)r, ahead, 2, nv); break; \
		case 3: micro(g, (size_t)r, ahead, 3, nv); break; \
		case 4: micro(g, (size_t)r, ahead, 4, nv); break; \
		case 5: micro(g, (size_t)r, ahead, 5, nv); break; \
		case 6: micro(g, (size_t)r, ahead, 6, nv); break; \
		case 7: if (MR(nv) >= 7) micro(g, (size_t)r, ahead, MR(nv) >= 7 ? 7 : 1, nv); break; \
		case 8: if (MR(nv) >= 8) micro(g, (size_t)r, ahead, MR(nv) >= 8 ? 8 : 1, nv); break; \
		} \
		r = next; \
	} \
}
