/* gemm_i8_tmpl.h - u8 x s8 matrix product with int32 sums for one register width
 *
 * The including file defines V (integer vector), VF (float vector), VL (32-bit lanes), MR(nv), LOAD STORE ADD SUB SET1 ZERO of 32-bit lanes,
 * QUAD(p) (four bytes at p in every lane), W (an operand prepared for DOT; V where the machine has the instruction), LEFT(v), RIGHT(v), DOT(s, a, b);
 * FLOAT(v), ROUND(f), FLOAD FSET1 FZERO FADD FMUL FMIN FMAX, FSTORE(p, f, n), PUT8(p, v, n) (low bytes of the first n lanes), GET8(p, n). */
#define INLINE static inline __attribute__((always_inline))

/* The steps after the sum, as kernel.h states them.  n: columns of this vector that are stored. */
INLINE void finish(V s, VF mult, VF bias, const uint8_t *res, V res_zp, VF res_mult, VF lo, VF hi, V zp, void *c, bool f32, int n)
{
	VF y = FADD(FMUL(FLOAT(s), mult), bias);
	if (res)
		y = FADD(y, FMUL(FLOAT(SUB(GET8(res, n), res_zp)), res_mult));
	y = FMIN(FMAX(y, lo), hi);
	if (f32)
		FSTORE((float *)c, y, n);
	else
		PUT8((uint8_t *)c, ADD(ROUND(y), zp), n);
}

INLINE void micro(const ds_k_gemm *g, size_t r0, const int mr, const int nv)
{
	V s[8][4];
	const size_t w = (size_t)nv * VL * 4;
	const int8_t *b = g->b;
	int32_t *acc = (int32_t *)g->acc + r0 * g->ld_acc;
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = !g->first ? LOAD(acc + (size_t)i * g->ld_acc + j * VL) : g->init ? LOAD(g->init + j * VL) : ZERO;
	for (int t = 0; t < g->taps; t++) {
		const uint8_t *a[8];
		#pragma GCC unroll 8
		for (int i = 0; i < mr; i++)
			a[i] = (const uint8_t *)g->a[(size_t)t * g->a_rows + r0 + (size_t)i] + g->a_off;
		for (size_t k = 0; k < (size_t)g->kc; k += 4, b += w) {
			W v[4];
			#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				v[j] = RIGHT(LOAD((const int32_t *)(const void *)b + j * VL));
			#pragma GCC unroll 8
			for (int i = 0; i < mr; i++) {
				W x = LEFT(QUAD(a[i] + k));
				#pragma GCC unroll 4
				for (int j = 0; j < nv; j++)
					s[i][j] = DOT(s[i][j], x, v[j]);
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
	const VF lo = FSET1(g->lo), hi = FSET1(g->hi), rm = FSET1(g->res_mult);
	const V zp = SET1(g->zp), rz = SET1(g->res_zp);
	#pragma GCC unroll 4
	for (int j = 0; j < nv; j++) {
		VF mult = FLOAD(g->mult + j * VL), bias = g->bias ? FLOAD(g->bias + j * VL) : FZERO;
		int n = g->cols - j * VL < VL ? g->cols - j * VL : VL;
		#pragma GCC unroll 8
		for (int i = 0; i < mr; i++) {
			size_t at = (r0 + (size_t)i) * g->ldc + (size_t)j * VL;
			const uint8_t *res = g->res ? (const uint8_t *)g->res + (r0 + (size_t)i) * g->ldr + j * VL : NULL;
			finish(s[i][j], mult, bias, res, rz, rm, lo, hi, zp, (char *)g->c + (g->f32_out ? at * 4 : at), g->f32_out, n);
		}
	}
}

#define ROWS(nv) \
static __attribute__((noinline)) void rows_##nv(const ds_k_gemm *g) \
{ \
	int steps = (g->rows + MR(nv) - 1) / MR(nv); \
	for (int i = 0, r = 0; i < steps; i++) { \
		int next = (int)((int64_t)g->rows * (i + 1) / steps); \
		switch (next - r) { \
		case 1: micro(g, (size_t)r, 1, nv); break; \
		case 2: micro(g, (size_t)r, 2, nv); break; \
		case 3: micro(g, (size_t)r, 3, nv); break; \
		case 4: micro(g, (size_t)r, 4, nv); break; \
		case 5: if (MR(nv) >= 5) micro(g, (size_t)r, MR(nv) >= 5 ? 5 : 1, nv); break; \
		case 6: if (MR(nv) >= 6) micro(g, (size_t)r, MR(nv) >= 6 ? 6 : 1, nv); break; \
		case 7: if (MR(nv) >= 7) micro(g, (size_t)r, MR(nv) >= 7 ? 7 : 1, nv); break; \
		case 8: if (MR(nv) >= 8) micro(g, (size_t)r, MR(nv) >= 8 ? 8 : 1, nv); break; \
		} \
		r = next; \
	} \
}
