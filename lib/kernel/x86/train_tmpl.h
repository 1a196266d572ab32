/* train_tmpl.h - kernels of training for one register width
 *
 * The including file defines V (vector of floats), VL (floats), D (vector of VL/2 doubles), MR (rows at a time), LOAD STORE SET1 FMA ADD SUB MUL ZERO, LOADN STOREN,
 * RELU(y) (0 where y <= 0, else y), KEEP(g, y) (0 where y <= 0, else g), DLO DHI (halves of a V as doubles), DADD DMUL DLOAD DSTORE DZERO. */
#define INLINE static inline __attribute__((always_inline))

/* Every element that is read is written first: no time for clearing the rest of an array. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define RAW __attribute__((uninitialized))
#endif
#endif
#ifndef RAW
#define RAW
#endif

/* ---- c += a^T b: mr x nv vectors of sums stay in registers while the pixels run --------------------------------------------------- */
/* part: floats of the last vector of each tap's run, VL: all. */
typedef struct column { const void *const *b; size_t off, at; int n; } column;

INLINE void tn_micro(const ds_k_tn *g, const column *col, size_t r0, const int mr, const int nv, const bool part)
{
	RAW V s[8][3];
	float *c = g->c + r0 * g->ldc;
	const float *a = g->a + r0;
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++)
			s[i][j] = g->first ? ZERO : part ? LOADN(c + (size_t)i * g->ldc + col[j].at, col[j].n) : LOAD(c + (size_t)i * g->ldc + col[j].at);
	for (int p = 0; p < g->pixels; p++, a += g->lda) {
		RAW V v[3];
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++) {
			const float *b = (const float *)col[j].b[p] + col[j].off;
			v[j] = part ? LOADN(b, col[j].n) : LOAD(b);
		}
		#pragma GCC unroll 8
		for (int i = 0; i < mr; i++) {
			V x = SET1(a[i]);
			#pragma GCC unroll 3
			for (int j = 0; j < nv; j++)
				s[i][j] = FMA(x, v[j], s[i][j]);
		}
	}
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++) {
			if (part)
				STOREN(c + (size_t)i * g->ldc + col[j].at, s[i][j], col[j].n);
			else
				STORE(c + (size_t)i * g->ldc + col[j].at, s[i][j]);
		}
}

#define TN_ROWS(nv, part, suffix) \
static __attribute__((noinline)) void tn_##nv##suffix(const ds_k_tn *g, const column *col) \
{ \
	for (int r = 0; r < g->rows; r += MR) \
		switch (DS_MIN(g->rows - r, MR)) { \
		case 1: tn_micro(g, col, (size_t)r, 1, nv, part); break; \
		case 2: tn_micro(g, col, (size_t)r, 2, nv, part); break; \
		case 3: tn_micro(g, col, (size_t)r, 3, nv, part); break; \
		case 4: tn_micro(g, col, (size_t)r, 4, nv, part); break; \
		case 5: if (MR >= 5) tn_micro(g, col, (size_t)r, MR >= 5 ? 5 : 1, nv, part); break; \
		case 6: if (MR >= 6) tn_micro(g, col, (size_t)r, MR >= 6 ? 6 : 1, nv, part); break; \
		case 7: if (MR >= 7) tn_micro(g, col, (size_t)r, MR >= 7 ? 7 : 1, nv, part); break; \
		case 8: if (MR >= 8) tn_micro(g, col, (size_t)r, MR >= 8 ? 8 : 1, nv, part); break; \
		} \
}
TN_ROWS(1, false, full)
TN_ROWS(2, false, full)
TN_ROWS(3, false, full)
TN_ROWS(1, true, part)
TN_ROWS(2, true, part)
TN_ROWS(3, true, part)

/* ---- the same of packed operands: nv blocks of columns, n: floats of the last of them --------------------------------------------------------- */
INLINE void packed_step(V s[8][3], const float *a, const float *b, size_t block, const int mr, const int nv)
{
	RAW V v[3];
	#pragma GCC unroll 3
	for (int j = 0; j < nv; j++)
		v[j] = LOAD(b + (size_t)j * block);
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++) {
		V x = SET1(a[i]);
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++)
			s[i][j] = FMA(x, v[j], s[i][j]);
	}
}

INLINE void packed_micro(const ds_k_tn *g, const float *b, float *c, size_t r0, int n, const int mr, const int nv)
{
	RAW V s[8][3];
	const float *a = g->a + r0 / DS_TN_ROWS * g->lda + r0 % DS_TN_ROWS;
	c += r0 * g->ldc;
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++)
			s[i][j] = g->first ? ZERO : j == nv - 1 && n < VL ? LOADN(c + (size_t)i * g->ldc + j * VL, n) : LOAD(c + (size_t)i * g->ldc + j * VL);
	size_t p = (size_t)g->pixels;
	for (; p >= 4; p -= 4, a += 4 * DS_TN_ROWS, b += 4 * VL)
		#pragma GCC unroll 4
		for (int u = 0; u < 4; u++)
			packed_step(s, a + u * DS_TN_ROWS, b + u * VL, g->b_block, mr, nv);
	for (; p > 0; p--, a += DS_TN_ROWS, b += VL)
		packed_step(s, a, b, g->b_block, mr, nv);
	#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
		#pragma GCC unroll 3
		for (int j = 0; j < nv; j++) {
			if (j == nv - 1 && n < VL)
				STOREN(c + (size_t)i * g->ldc + j * VL, s[i][j], n);
			else
				STORE(c + (size_t)i * g->ldc + j * VL, s[i][j]);
		}
}

#define PACKED_ROWS(nv) \
static __attribute__((noinline)) void packed_##nv(const ds_k_tn *g, const float *b, float *c, int n) \
{ \
	for (int r = 0; r < g->rows; r += MR) \
		switch (DS_MIN(g->rows - r, MR)) { \
		case 1: packed_micro(g, b, c, (size_t)r, n, 1, nv); break; \
		case 2: packed_micro(g, b, c, (size_t)r, n, 2, nv); break; \
		case 3: packed_micro(g, b, c, (size_t)r, n, 3, nv); break; \
		case 4: packed_micro(g, b, c, (size_t)r, n, 4, nv); break; \
		case 5: if (MR >= 5) packed_micro(g, b, c, (size_t)r, n, MR >= 5 ? 5 : 1, nv); break; \
		case 6: if (MR >= 6) packed_micro(g, b, c, (size_t)r, n, MR >= 6 ? 6 : 1, nv); break; \
		case 7: if (MR >= 7) packed_micro(g, b, c, (size_t)r, n, MR >= 7 ? 7 : 1, nv); break; \
		case 8: if (MR >= 8) packed_micro(g, b, c, (size_t)r, n, MR >= 8 ? 8 : 1, nv); break; \
		} \
}
PACKED_ROWS(1)
PACKED_ROWS(2)
PACKED_ROWS(3)

/* Blocks in threes; four that are left: two and two. */
static void packed_run(const ds_k_tn *g)
{
	int left = (g->kc + VL - 1) / VL;
	const float *b = g->packed;
	for (int j = 0, nv; left > 0; left -= nv, j += nv * VL, b += (size_t)nv * g->b_block) {
		int n = DS_MIN(g->kc - j - (DS_MIN(left, 3) - 1) * VL, VL);
		nv = left == 4 ? 2 : DS_MIN(left, 3);
		switch (nv) {
		case 1: packed_1(g, b, g->c + j, n); break;
		case 2: packed_2(g, b, g->c + j, left == 4 ? VL : n); break;
		default: packed_3(g, b, g->c + j, n); break;
		}
	}
}

/* Columns in threes: of three taps (neighbouring pixels as a rule, so that their lines are fetched once), or else of one run. */
static void tn_run(const ds_k_tn *g)
{
	column col[3];
	int n = 0, per = (g->kc + VL - 1) / VL, all = per * g->taps;
	bool part = false;
	const bool by_taps = g->taps % 3 == 0;
	if (!g->b) {
		packed_run(g);
		return;
	}
	for (int i = 0; i < all; i++) {
		int t = by_taps ? i % g->taps : i / per, k = by_taps ? i / g->taps : i % per;
		col[n] = (column){ g->b + (size_t)t * g->ldb, g->b_off + (size_t)k * (g->b_block ? g->b_block : VL), (size_t)t * (size_t)g->kc + (size_t)k * VL, DS_MIN(g->kc - k * VL, VL) };
		part = part || col[n].n < VL;
		/* four are left: two and two */
		if (++n < 3 && i + 1 < all && !(n == 2 && all - i - 1 == 2))
			continue;
		switch (n) {
		case 1: (part ? tn_1part : tn_1full)(g, col); break;
		case 2: (part ? tn_2part : tn_2full)(g, col); break;
		default: (part ? tn_3part : tn_3full)(g, col); break;
		}
		n = 0;
		part = false;
	}
}

/* ---- rows cut into blocks of one vector (of any width: by parts) --------------------------------------------------------------------------- */
enum { BLOCK_ROWS = 8 };
static void blocks_run(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans)
{
	if (width != VL) {
		ds_k_blocks_f32_c(y, block, width, x, ld, pixels, chans);
		return;
	}
	/* a few rows at a time, from end to end: many columns of one vector each would be fetched line by line */
	for (size_t p0 = 0; p0 < pixels; p0 += BLOCK_ROWS) {
		size_t p1 = DS_MIN(p0 + BLOCK_ROWS, pixels);
		for (size_t c = 0; c < chans; c += VL) {
			const float *from = x + c;
			float *to = y + c / VL * block;
			int n = (int)DS_MIN(chans - c, (size_t)VL);
			if (n == VL)
				for (size_t p = p0; p < p1; p++)
					STORE(to + p * VL, LOAD(from + p * ld));
			else
				for (size_t p = p0; p < p1; p++)
					STORE(to + p * VL, LOADN(from + p * ld, n));
		}
	}
}

/* ---- depthwise: c[t] += a * b[t], channel by channel -------------------------------------------------------------------------------- */
INLINE void dwg_micro(const ds_k_dwg *g, int t0, int c0, const int nt, const int nv, int tail)
{
	RAW V s[3][2];
	#pragma GCC unroll 3
	for (int t = 0; t < nt; t++)
		#pragma GCC unroll 2
		for (int j = 0; j < nv; j++)
			s[t][j] = g->first ? ZERO : LOADN(g->c + (size_t)(t0 + t) * g->ldc + c0 + j * VL, j == nv - 1 ? tail : VL);
	const float *a = g->a + c0;
	for (int p = 0; p < g->pixels; p++, a += g->lda) {
		V v[2];
		#pragma GCC unroll 2
		for (int j = 0; j < nv; j++)
			v[j] = LOADN(a + j * VL, j == nv - 1 ? tail : VL);
		#pragma GCC unroll 3
		for (int t = 0; t < nt; t++) {
			const float *b = (const float *)g->b[(size_t)(t0 + t) * g->ldb + (size_t)p] + c0;
			#pragma GCC unroll 2
			for (int j = 0; j < nv; j++)
				s[t][j] = FMA(v[j], LOADN(b + j * VL, j == nv - 1 ? tail : VL), s[t][j]);
		}
	}
	#pragma GCC unroll 3
	for (int t = 0; t < nt; t++)
		#pragma GCC unroll 2
		for (int j = 0; j < nv; j++)
			STOREN(g->c + (size_t)(t0 + t) * g->ldc + c0 + j * VL, s[t][j], j == nv - 1 ? tail : VL);
}

static void dwg_run(const ds_k_dwg *g)
{
	for (int c = 0; c < g->chans; c += 2 * VL) {
		int left = DS_MIN(g->chans - c, 2 * VL), nv = left > VL ? 2 : 1, tail = left - (nv - 1) * VL;
		for (int t = 0; t < g->taps; t += 3) {
			int nt = DS_MIN(g->taps - t, 3);
			if (nv == 2 && nt == 3)
				dwg_micro(g, t, c, 3, 2, tail);
			else if (nv == 2 && nt == 2)
				dwg_micro(g, t, c, 2, 2, tail);
			else if (nv == 2)
				dwg_micro(g, t, c, 1, 2, tail);
			else if (nt == 3)
				dwg_micro(g, t, c, 3, 1, tail);
			else if (nt == 2)
				dwg_micro(g, t, c, 2, 1, tail);
			else
				dwg_micro(g, t, c, 1, 1, tail);
		}
	}
}

/* ---- normalisation ------------------------------------------------------------------------------------------------------------------ */
/* What becomes of one vector of channels c .. c + n of all pixels; nv vectors at a time.  Sums of doubles lie in arrays of whole vectors. */
INLINE void norm_sums(const ds_k_norm *n, size_t c, const int nv, int tail, const int what, const bool relu)
{
	D s[4][2], q[4][2];
	V mean[4], a[4], b[4];
	double lane[VL];
	#pragma GCC unroll 4
	for (int j = 0; j < nv; j++) {
		int k = j == nv - 1 ? tail : VL;
		for (int i = 0; i < VL; i++)
			lane[i] = i < k ? n->sum[c + (size_t)(j * VL + i)] : 0;
		s[j][0] = DLOAD(lane);
		s[j][1] = DLOAD(lane + VL / 2);
		for (int i = 0; i < VL; i++)
			lane[i] = i < k && what != DS_NORM_SUM ? n->sum2[c + (size_t)(j * VL + i)] : 0;
		q[j][0] = DLOAD(lane);
		q[j][1] = DLOAD(lane + VL / 2);
		if (what == DS_NORM_GRAD)
			mean[j] = LOADN(n->mean + c + j * VL, k);
		if (what == DS_NORM_GRAD && relu) {
			a[j] = LOADN(n->a + c + j * VL, k);
			b[j] = LOADN(n->b + c + j * VL, k);
		}
	}
	for (size_t p = 0; p < n->pixels; p++) {
		const float *x = n->x + p * n->ld + c, *dy = what == DS_NORM_GRAD ? n->dy + p * n->ld + c : NULL;
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++) {
			int k = j == nv - 1 ? tail : VL;
			V v = LOADN(x + j * VL, k), u = v;
			if (what == DS_NORM_GRAD) {
				u = SUB(v, mean[j]);
				v = LOADN(dy + j * VL, k);
				if (relu)
					v = KEEP(v, ADD(MUL(u, a[j]), b[j]));
			}
			s[j][0] = DADD(s[j][0], DLO(v));
			s[j][1] = DADD(s[j][1], DHI(v));
			if (what != DS_NORM_SUM) {
				q[j][0] = DADD(q[j][0], DMUL(DLO(v), DLO(u)));
				q[j][1] = DADD(q[j][1], DMUL(DHI(v), DHI(u)));
			}
		}
	}
	#pragma GCC unroll 4
	for (int j = 0; j < nv; j++) {
		int k = j == nv - 1 ? tail : VL;
		DSTORE(lane, s[j][0]);
		DSTORE(lane + VL / 2, s[j][1]);
		for (int i = 0; i < k; i++)
			n->sum[c + (size_t)(j * VL + i)] = lane[i];
		DSTORE(lane, q[j][0]);
		DSTORE(lane + VL / 2, q[j][1]);
		for (int i = 0; i < k && what != DS_NORM_SUM; i++)
			n->sum2[c + (size_t)(j * VL + i)] = lane[i];
	}
}

INLINE void norm_map(const ds_k_norm *n, size_t c, const int nv, int tail, const int what, const bool relu)
{
	V mean[4], a[4], b[4], k1[4], k2[4], k3[4];
	#pragma GCC unroll 4
	for (int j = 0; j < nv; j++) {
		int k = j == nv - 1 ? tail : VL;
		mean[j] = LOADN(n->mean + c + j * VL, k);
		if (what == DS_NORM_APPLY || relu) {
			a[j] = LOADN(n->a + c + j * VL, k);
			b[j] = LOADN(n->b + c + j * VL, k);
		}
		if (what == DS_NORM_BACK) {
			k1[j] = LOADN(n->k1 + c + j * VL, k);
			k2[j] = LOADN(n->k2 + c + j * VL, k);
			k3[j] = LOADN(n->k3 + c + j * VL, k);
		}
	}
	for (size_t p = 0; p < n->pixels; p++) {
		size_t at = p * n->ld + c;
		#pragma GCC unroll 4
		for (int j = 0; j < nv; j++, at += VL) {
			int k = j == nv - 1 ? tail : VL;
			V u = SUB(LOADN(n->x + at, k), mean[j]), y;
			if (what == DS_NORM_APPLY) {
				y = ADD(MUL(u, a[j]), b[j]);
				y = relu ? RELU(y) : y;
			} else {
				V g = LOADN(n->dy + at, k);
				if (relu)
					g = KEEP(g, ADD(MUL(u, a[j]), b[j]));
				y = SUB(SUB(MUL(g, k1[j]), k2[j]), MUL(u, k3[j]));
			}
			STOREN(n->y + at, y, k);
		}
	}
}

/* Channels in blocks of at most four vectors (constant, so that the values of a channel stay in registers). */
#define NORM_BLOCK(fn, what, relu) do { \
	for (size_t c = 0; c < n->chans;) { \
		size_t left = n->chans - c; \
		int nv = left >= NORM_NV * VL ? NORM_NV : (int)((left + VL - 1) / VL), tail = left >= (size_t)(nv * VL) ? VL : (int)left - (nv - 1) * VL; \
		switch (nv) { \
		case 1: fn(n, c, 1, tail, what, relu); break; \
		case 2: fn(n, c, 2, tail, what, relu); break; \
		case 3: fn(n, c, NORM_NV >= 3 ? 3 : 1, tail, what, relu); break; \
		default: fn(n, c, NORM_NV >= 4 ? 4 : 1, tail, what, relu); break; \
		} \
		c += (size_t)(nv * VL); \
	} \
} while (0)

static __attribute__((noinline)) void norm_sum(const ds_k_norm *n) { NORM_BLOCK(norm_sums, DS_NORM_SUM, false); }
static __attribute__((noinline)) void norm_moments(const ds_k_norm *n) { NORM_BLOCK(norm_sums, DS_NORM_MOMENTS, false); }
static __attribute__((noinline)) void norm_grad(const ds_k_norm *n) { NORM_BLOCK(norm_sums, DS_NORM_GRAD, false); }
static __attribute__((noinline)) void norm_grad_relu(const ds_k_norm *n) { NORM_BLOCK(norm_sums, DS_NORM_GRAD, true); }
static __attribute__((noinline)) void norm_apply(const ds_k_norm *n) { NORM_BLOCK(norm_map, DS_NORM_APPLY, false); }
static __attribute__((noinline)) void norm_apply_relu(const ds_k_norm *n) { NORM_BLOCK(norm_map, DS_NORM_APPLY, true); }
static __attribute__((noinline)) void norm_back(const ds_k_norm *n) { NORM_BLOCK(norm_map, DS_NORM_BACK, false); }
static __attribute__((noinline)) void norm_back_relu(const ds_k_norm *n) { NORM_BLOCK(norm_map, DS_NORM_BACK, true); }

static void norm_run(const ds_k_norm *n)
{
	switch (n->what) {
	case DS_NORM_SUM: norm_sum(n); break;
	case DS_NORM_MOMENTS: norm_moments(n); break;
	case DS_NORM_GRAD: (n->relu ? norm_grad_relu : norm_grad)(n); break;
	case DS_NORM_APPLY: (n->relu ? norm_apply_relu : norm_apply)(n); break;
	case DS_NORM_BACK: (n->relu ? norm_back_relu : norm_back)(n); break;
	}
}
