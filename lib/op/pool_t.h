/* pool_t.h - template of the pooling loops for one element type; included by pool.c with T, LOWEST and NAME() defined.
 * Channels-last works on blocks of BLOCK channels held in a small array (constant trip counts, so that compilers vectorise them). */

/* One plane [c] of a plain tensor, output rows in order. */
static void NAME(plain)(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const ds_window *w = &j->w;
	int64_t in_plane = w->in[0] * w->in[1] * w->in[2], out_plane = w->out[0] * w->out[1] * w->out[2];

	(void)worker;
	for (int64_t p = i0; p < i1; p++) {
		const T *x = (const T *)j->x + p * in_plane;
		T *y = (T *)j->y + p * out_plane;
		int64_t *index = j->index ? j->index + p * out_plane : NULL;
		int64_t k[3][2], f[3];

		for (int64_t o = 0; o < out_plane; o++) {
			int64_t best = -1;
			T max = LOWEST;
			ACC sum = 0;

			ds_window_taps(w, 0, o / (w->out[1] * w->out[2]), &k[0][0], &k[0][1], &f[0]);
			ds_window_taps(w, 1, o / w->out[2] % w->out[1], &k[1][0], &k[1][1], &f[1]);
			ds_window_taps(w, 2, o % w->out[2], &k[2][0], &k[2][1], &f[2]);
			for (int64_t a = k[0][0]; a < k[0][1]; a++)
				for (int64_t b = k[1][0]; b < k[1][1]; b++) {
					const T *row = x + ((f[0] + a * w->d[0]) * w->in[1] + f[1] + b * w->d[1]) * w->in[2] + f[2];

					for (int64_t c = k[2][0]; c < k[2][1]; c++) {
						T v = row[c * w->d[2]];

						if (j->kind == DS_POOL_AVG)
							sum += v;
						else if (j->kind == DS_POOL_LP)
							sum += (ACC)lp_term((double)v, j->p);
						else if (best < 0 || v > max) {
							max = v;
							best = row + c * w->d[2] - x;
						}
					}
				}
			if (j->kind == DS_POOL_AVG)
				sum /= (ACC)divisor(j, o, k);
			else if (j->kind == DS_POOL_LP)
				sum = (ACC)lp_root((double)sum, j->p);
			y[o] = j->kind == DS_POOL_MAX ? max : (T)sum;
			if (index)
				index[o] = p * in_plane + (best < 0 ? 0 : j->colmajor ? swap_last(w, best) : best);
		}
	}
}

static inline void NAME(max_block)(T *restrict acc, const T *restrict x)
{
	for (int i = 0; i < BLOCK; i++)
		acc[i] = x[i] > acc[i] ? x[i] : acc[i];
}

static inline void NAME(sum_block)(ACC *restrict acc, const T *restrict x)
{
	for (int i = 0; i < BLOCK; i++)
		acc[i] += x[i];
}

/* One output position of a channels-last tensor, channels [c0, c0 + nc) with nc <= BLOCK. */
static void NAME(last_block)(const struct job *j, const T *x, T *y, int64_t o, int64_t (*k)[2], const int64_t *f, int64_t c0, int64_t nc)
{
	const ds_window *w = &j->w;
	T max[BLOCK];
	ACC sum[BLOCK];

	for (int i = 0; i < BLOCK; i++) {
		max[i] = LOWEST;
		sum[i] = 0;
	}
	for (int64_t a = k[0][0]; a < k[0][1]; a++)
		for (int64_t b = k[1][0]; b < k[1][1]; b++)
			for (int64_t c = k[2][0]; c < k[2][1]; c++) {
				const T *v = x + (((f[0] + a * w->d[0]) * w->in[1] + f[1] + b * w->d[1]) * w->in[2] + f[2] + c * w->d[2]) * j->channels + c0;

				if (j->kind == DS_POOL_MAX && nc == BLOCK)
					NAME(max_block)(max, v);
				else if (j->kind == DS_POOL_AVG && nc == BLOCK)
					NAME(sum_block)(sum, v);
				else
					for (int64_t i = 0; i < nc; i++) {
						if (j->kind == DS_POOL_MAX)
							max[i] = v[i] > max[i] ? v[i] : max[i];
						else
							sum[i] += j->kind == DS_POOL_AVG ? (ACC)v[i] : (ACC)lp_term((double)v[i], j->p);
					}
			}
	if (j->kind == DS_POOL_AVG) {
		ACC div = (ACC)divisor(j, o, k);

		for (int i = 0; i < BLOCK; i++)
			sum[i] /= div;
	} else if (j->kind == DS_POOL_LP) {
		for (int64_t i = 0; i < nc; i++)
			sum[i] = (ACC)lp_root((double)sum[i], j->p);
	}
	for (int64_t i = 0; i < nc; i++)
		y[c0 + i] = j->kind == DS_POOL_MAX ? max[i] : (T)sum[i];
}

/* Output rows [i0, i1) of (n, z, y) of a channels-last tensor. */
static void NAME(last)(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const ds_window *w = &j->w;
	int64_t in_plane = w->in[0] * w->in[1] * w->in[2], rows = w->out[0] * w->out[1];

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const T *x = (const T *)j->x + r / rows * in_plane * j->channels;
		T *y = (T *)j->y + r * w->out[2] * j->channels;
		int64_t k[3][2], f[3], row = r % rows;

		ds_window_taps(w, 0, row / w->out[1], &k[0][0], &k[0][1], &f[0]);
		ds_window_taps(w, 1, row % w->out[1], &k[1][0], &k[1][1], &f[1]);
		for (int64_t o = 0; o < w->out[2]; o++, y += j->channels) {
			ds_window_taps(w, 2, o, &k[2][0], &k[2][1], &f[2]);
			for (int64_t c = 0; c < j->channels; c += BLOCK)
				NAME(last_block)(j, x, y, row * w->out[2] + o, k, f, c, DS_MIN(BLOCK, j->channels - c));
		}
	}
}

#undef T
#undef ACC
#undef LOWEST
#undef BLOCK
#undef NAME
