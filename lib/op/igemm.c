/* igemm.c - the driver of packed matrix products: memory, tiles, blocks of the sum, row pointers */
#include "igemm.h"

#include <float.h>
#include <math.h>
#include <string.h>

ds_status ds_igemm_new(ds_igemm *g, bool i8, int64_t groups, int64_t n, int64_t taps, int64_t kc, ds_err *err)
{
	*g = (ds_igemm){ .kn = ds_kernel_pick(i8 ? DS_K_gemm_i8 : DS_K_gemm_f32, ds_cpu_allowed()),
		.act_kn = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed()),
		.i8 = i8, .groups = groups, .n = n, .taps = taps, .kc = kc, .elem = i8 ? 1 : 4, .lo = -INFINITY, .hi = INFINITY };
	g->n_pad = ds_k_panel_count(g->kn, n) * g->kn->nr;
	g->group_size = ds_k_panels_size(g->kn, taps * kc, n);
	size_t vec = (size_t)(groups * g->n_pad) * sizeof(float), all;
	if (ds_mul_over(g->group_size * g->elem, (size_t)groups, &all))
		return ds_fail_nomem(err, SIZE_MAX);
	g->b = ds_aligned(all + 64);
	g->bias = ds_aligned(vec);
	g->mult = i8 ? ds_aligned(vec) : NULL;
	g->init = i8 ? ds_aligned(vec) : NULL;
	if (!g->b || !g->bias || (i8 && (!g->mult || !g->init))) {
		ds_igemm_done(g);
		return ds_fail_nomem(err, all);
	}
	memset(g->bias, 0, vec);
	if (i8) {
		memset(g->mult, 0, vec);
		memset(g->init, 0, vec);
	}
	g->bytes = all + vec * (i8 ? 3 : 1);
	return DS_OK;
}

void ds_igemm_done(ds_igemm *g)
{
	ds_free(g->b);
	ds_free(g->bias);
	ds_free(g->mult);
	ds_free(g->init);
	*g = (ds_igemm){ 0 };
}

size_t ds_igemm_place(ds_igemm *g, bool bf16, int64_t groups, int64_t n, int64_t taps, int64_t kc, void *at)
{
	const ds_kernel *half = ds_kernel_pick(DS_K_gemm_bf16, ds_cpu_allowed());
	bf16 = bf16 && half->needs != DS_ISA_C && kc % 2 == 0;
	*g = (ds_igemm){ .kn = bf16 ? half : ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), .act_kn = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed()), .groups = groups, .n = n, .taps = taps,
		.kc = kc, .elem = bf16 ? 2 : 4, .lo = -INFINITY, .hi = INFINITY };
	g->n_pad = ds_k_panel_count(g->kn, n) * g->kn->nr;
	g->group_size = ds_k_panels_size(g->kn, taps * kc, n);
	/* kernels fetch ahead of the panels, and read whole vectors of the bias */
	size_t all = (size_t)ds_pad64(g->group_size * (size_t)groups * g->elem + 64), vec = (size_t)ds_pad64((uint64_t)(groups * g->n_pad) * sizeof(float));
	g->b = at;
	g->bias = at ? (float *)(void *)((char *)at + all) : NULL;
	return all + vec;
}

typedef struct fill { ds_igemm *g; const ds_igemm_w *w; int64_t panels; } fill;

/* One tap of one panel. */
static void fill_task(void *arg, int task, int worker)
{
	const fill *f = arg;
	const ds_igemm *g = f->g;
	const ds_igemm_w *w = f->w;
	int64_t tap = task % w->taps, p = task / w->taps % f->panels, group = task / w->taps / f->panels, k = g->taps * g->kc, part = k / w->taps;
	const float *from = w->w + group * w->s_group + w->tap[tap];
	void *dst = (char *)g->b + ((size_t)group * g->group_size + ds_k_panel_at(g->kn, k, p) + (size_t)(tap * part) * (size_t)ds_k_panel_width(g->kn, g->n, p)) * g->elem;
	if (g->elem == 2)
		ds_k_pack_bf16(g->kn, dst, from, part, g->n, p, w->s_c, w->s_n);
	else
		ds_k_pack_f32(g->kn, dst, from, part, g->n, p, w->s_c, w->s_n);
}

void ds_igemm_weights(ds_pool *pool, ds_igemm *g, const ds_igemm_w *w)
{
	fill f = { g, w, ds_k_panel_count(g->kn, g->n) };
	for (int64_t i = 0; i < g->groups; i++)
		for (int64_t j = 0; j < g->n_pad; j++)
			g->bias[i * g->n_pad + j] = w->bias && j < g->n ? w->bias[i * g->n + j] : 0;
	ds_pool_run(pool, (int)(g->groups * f.panels * w->taps), fill_task, &f);
}

void ds_igemm_act(ds_igemm *g, const ds_act_attr *a)
{
	g->act = DS_ACT_NONE;
	if (a->act == DS_ACT_RELU) {
		g->lo = 0;
	} else if (a->act == DS_ACT_CLIP && a->a <= a->b) {
		g->lo = (float)a->a;
		g->hi = (float)a->b;
	} else {
		g->act = a->act;
		g->act_a = (float)a->a;
		g->act_b = (float)a->b;
	}
}

void ds_igemm_pack_f32(ds_igemm *g, int64_t group, const float *w, int64_t sk, int64_t sn)
{
	float *dst = (float *)g->b + (size_t)group * g->group_size;
	int64_t k = g->taps * g->kc;
	for (int64_t p = 0; p < ds_k_panel_count(g->kn, g->n); p++)
		ds_k_pack_f32(g->kn, dst + ds_k_panel_at(g->kn, k, p), w, k, g->n, p, sk, sn);
}

void ds_igemm_pack_i8(ds_igemm *g, int64_t group, const int8_t *w, int64_t sk, int64_t sn)
{
	int8_t *dst = (int8_t *)g->b + (size_t)group * g->group_size;
	int64_t k = g->taps * g->kc;
	for (int64_t p = 0; p < ds_k_panel_count(g->kn, g->n); p++)
		ds_k_pack_i8(g->kn, dst + ds_k_panel_at(g->kn, k, p), w, k, g->n, p, sk, sn);
}

void ds_igemm_requant(ds_igemm *g, const ds_q_attr *q, const ds_act_attr *a, const float *sw, int sw_step, const float *bias, const int32_t *sum_w)
{
	double ys = q->y_scale > 0 ? q->y_scale : 1;
	g->f32_out = !(q->y_scale > 0);
	g->x_zp = (int32_t)q->x_zp;
	g->y_zp = (int32_t)q->y_zp;
	g->res_zp = (int32_t)q->r_zp;
	g->res_mult = (float)(q->r_scale / ys);
	if (g->f32_out) {
		ds_igemm_act(g, a);
	} else {
		g->lo = (float)(q->q_min - q->y_zp);
		g->hi = (float)(q->q_max - q->y_zp);
	}
	for (int64_t i = 0; i < g->groups; i++)
		for (int64_t j = 0; j < g->n; j++) {
			int64_t o = i * g->n + j, at = i * g->n_pad + j;
			g->mult[at] = (float)(q->x_scale * (double)sw[o * sw_step] / ys);
			g->bias[at] = bias ? (float)((double)bias[o] / ys) : 0;
			g->init[at] = -(int32_t)q->x_zp * sum_w[o];
		}
}

/* ---- tiles ------------------------------------------------------------------------------------------------------------------------ */
/* How one product is cut up.  Tiles are enough for 16 threads where the work is worth it; rows of a tile are many enough to pay for bringing a
 * block of the panel into the first-level cache. */
typedef struct tiles {
	int64_t panels, row_tiles, rows;        /* rows: of a tile, at most */
	bool    rows_outer;                     /* neighbouring tasks share rows rather than panels */
	int     tap_block, kc_block;            /* block of the sum: taps x channels */
	bool    blocked;
} tiles;

enum {
	TILES = 32,             /* tiles wanted per product */
	ROWS_MIN = 48,          /* rows worth a tile */
	NEAR_BYTES = 512 << 10, /* right operands up to this size stay in the second-level cache */
	ROWS_MAX = 512,
	LEFT_BYTES = 1 << 20,   /* rows of a tile that meet several panels stay in the second-level cache */
	BLOCK_BYTES = 96 << 10, /* of a panel, per block of the sum */
};

static tiles cut(const ds_igemm *g, int64_t m)
{
	tiles t = { .panels = ds_k_panel_count(g->kn, g->n) };
	int64_t columns = t.panels * g->groups;
	t.row_tiles = (TILES + columns - 1) / columns;
	t.row_tiles = DS_MIN(t.row_tiles, (m + ROWS_MIN - 1) / ROWS_MIN);
	t.row_tiles = DS_MAX(t.row_tiles, (m + ROWS_MAX - 1) / ROWS_MAX);
	t.row_tiles = DS_MAX(t.row_tiles, 1);
	/* what is read again: the left operand for every panel, or the right one for every tile of rows */
	int64_t left = m * g->kc * (int64_t)(g->i8 ? 1 : sizeof(float)), right = g->taps * g->kc * g->n * (int64_t)g->elem;
	if (t.panels > 1 && right > NEAR_BYTES && left > LEFT_BYTES) {
		int64_t tiles_near = DS_MAX(DS_MIN((left + LEFT_BYTES - 1) / LEFT_BYTES, (m + ROWS_MIN - 1) / ROWS_MIN), t.row_tiles);
		t.rows_outer = right * tiles_near < left * t.panels;
		t.row_tiles = t.rows_outer ? tiles_near : t.row_tiles;
	} else {
		t.rows_outer = t.row_tiles > t.panels && right <= NEAR_BYTES;
	}
	t.rows = (m + t.row_tiles - 1) / t.row_tiles;
	int64_t block = BLOCK_BYTES / ((int64_t)DS_MIN(g->kn->nr, g->n_pad) * (int64_t)g->elem), k = g->taps * g->kc;
	block = m == 1 ? k : DS_MAX(block, 64);         /* a single row streams the panel: nothing to keep */
	if (k <= block + block / 4) {
		t.tap_block = (int)g->taps;
		t.kc_block = (int)g->kc;
	} else if (g->kc >= block) {
		int64_t parts = (g->kc + block - 1) / block;
		t.tap_block = 1;
		t.kc_block = (int)(((g->kc + parts - 1) / parts + 63) / 64 * 64);
	} else {
		int64_t parts = (k + block - 1) / block;
		t.tap_block = (int)DS_MAX((g->taps + parts - 1) / parts, 1);
		t.kc_block = (int)g->kc;
	}
	t.blocked = t.tap_block < g->taps || t.kc_block < g->kc;
	return t;
}

static size_t worker_scratch(const ds_igemm *g, const tiles *t, size_t *acc_at)
{
	/* row pointers; sums of a blocked product; where the rows of the result go */
	*acc_at = (size_t)ds_pad64((uint64_t)(t->rows * g->taps) * sizeof(void *));
	size_t tile = (size_t)ds_pad64((uint64_t)(t->rows * g->kn->nr) * 4);
	return *acc_at + (t->blocked ? tile : 0) + (g->scatter ? (size_t)ds_pad64((uint64_t)t->rows * sizeof(void *)) : 0);
}

size_t ds_igemm_scratch(const ds_igemm *g, int64_t m, int threads)
{
	tiles t = cut(g, m);
	size_t acc_at;
	return worker_scratch(g, &t, &acc_at) * (size_t)threads;
}

typedef struct job { const ds_igemm_run *r; tiles t; size_t per_worker, acc_at; } job;

static void finish_act(const ds_igemm *g, float *c, size_t ldc, int rows, int cols)
{
	for (int r = 0; r < rows; r++)
		g->act_kn->fn.act(c + (size_t)r * ldc, c + (size_t)r * ldc, (size_t)cols, g->act, g->act_a, g->act_b);
}

/* Rows that no tap reaches: the sum is where it starts. */
static void start_only(const ds_igemm *g, void *const *to, int rows, size_t at, size_t col, int cols)
{
	for (int i = 0; i < rows; i++)
		memcpy((float *)to[i] + col, g->bias + at, (size_t)cols * sizeof(float));
}

static void tile(const job *j, int task, int worker)
{
	const ds_igemm_run *r = j->r;
	const ds_igemm *g = r->g;
	const tiles *t = &j->t;
	int64_t group = task / (t->panels * t->row_tiles), rest = task % (t->panels * t->row_tiles);
	int64_t panel = t->rows_outer ? rest % t->panels : rest / t->row_tiles, rt = t->rows_outer ? rest / t->panels : rest % t->row_tiles;
	/* equal shares: row tiles differ by one row at most */
	int64_t m0 = r->m * rt / t->row_tiles, m1 = r->m * (rt + 1) / t->row_tiles;
	int rows = (int)(m1 - m0);
	char *mine = (char *)r->scratch + (size_t)worker * j->per_worker;
	const void **p = (const void **)mine;
	r->rows(r->rows_arg, group, m0, rows, p, (size_t)rows);

	size_t ldc = (size_t)(g->groups * g->n), col = (size_t)(group * g->n + panel * g->kn->nr), at = (size_t)(group * g->n_pad + panel * g->kn->nr);
	size_t celem = g->i8 && !g->f32_out ? 1 : 4, relem = g->i8 ? 1 : 4;
	ds_k_gemm k = {
		.a_rows = (size_t)rows, .rows = rows, .width = ds_k_panel_width(g->kn, g->n, panel), .acc = mine + j->acc_at, .ld_acc = (size_t)g->kn->nr,
		.c = (char *)r->c + ((size_t)m0 * ldc + col) * celem, .ldc = ldc, .bias = g->bias + at, .mult = g->i8 ? g->mult + at : NULL,
		.init = g->i8 ? g->init + at : NULL, .res = r->res ? (const char *)r->res + ((size_t)m0 * ldc + col) * relem : NULL, .ldr = ldc,
		.lo = g->lo, .hi = g->hi, .res_mult = g->res_mult, .res_zp = g->res_zp, .zp = g->y_zp, .f32_out = g->f32_out,
	};
	k.cols = (int)DS_MIN(k.width, g->n - panel * g->kn->nr);
	if (r->out) {
		void **to = (void **)(void *)(mine + j->acc_at + (t->blocked ? (size_t)ds_pad64((uint64_t)(t->rows * g->kn->nr) * 4) : 0));
		r->out(r->rows_arg, m0, rows, to);
		k.c_rows = to;
		k.c_off = col;
		if (g->taps == 0)
			start_only(g, to, rows, at, col, k.cols);
	}
	const char *b = (const char *)g->b + ((size_t)group * g->group_size + ds_k_panel_at(g->kn, g->taps * g->kc, panel)) * g->elem;
	for (int64_t tap = 0; tap < g->taps; tap += t->tap_block)
		for (int64_t c = 0; c < g->kc; c += t->kc_block) {
			k.taps = (int)DS_MIN(t->tap_block, g->taps - tap);
			k.kc = (int)DS_MIN(t->kc_block, g->kc - c);
			k.a = p + (size_t)tap * (size_t)rows;
			k.a_off = (size_t)c;
			k.b = b + (size_t)(tap * g->kc + c) * (size_t)k.width * g->elem;
			k.first = tap == 0 && c == 0;
			k.last = tap + k.taps == g->taps && c + k.kc == g->kc;
			g->kn->fn.gemm(&k);
		}
	if (g->act != DS_ACT_NONE)
		finish_act(g, k.c, ldc, rows, k.cols);
}

typedef struct jobs { job j[DS_IGEMM_RUNS]; int n; } jobs;

static int tasks_of(const job *j) { return j->r->m <= 0 || j->r->g->n <= 0 ? 0 : (int)(j->t.panels * j->t.row_tiles * j->r->g->groups); }

static void tiles_task(void *arg, int task, int worker)
{
	const jobs *all = arg;
	for (int i = 0; i < all->n; i++)
		if (task < tasks_of(&all->j[i]))
			tile(&all->j[i], task, worker);
}

void ds_igemm_go_all(ds_pool *pool, const ds_igemm_run *r, int n)
{
	jobs all = { .n = n };
	int most = 0;
	for (int i = 0; i < n; i++) {
		job *j = &all.j[i];
		*j = (job){ .r = &r[i], .t = cut(r[i].g, r[i].m) };
		j->per_worker = worker_scratch(r[i].g, &j->t, &j->acc_at);
		most = DS_MAX(most, tasks_of(j));
	}
	size_t per_worker = 0;
	for (int i = 0; i < n; i++)
		per_worker = DS_MAX(per_worker, all.j[i].per_worker);
	for (int i = 0; i < n; i++)
		all.j[i].per_worker = per_worker;
	ds_pool_run(pool, most, tiles_task, &all);
}

void ds_igemm_go(ds_pool *pool, const ds_igemm_run *r) { ds_igemm_go_all(pool, r, 1); }

void ds_igemm_dense_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride)
{
	const ds_igemm_dense *d = arg;
	for (int r = 0; r < rows; r++)
		p[r] = d->a + (size_t)(m0 + r) * d->stride;
}

/* ---- quantised weights ------------------------------------------------------------------------------------------------------------ */
bool ds_q_codes_i8(const ds_qform *q)
{
	return (q->code == DS_I8 || (q->code >= DS_U2 && q->code <= DS_U6)) && q->scheme == DS_Q_SYM && (q->gran == DS_Q_TENSOR || q->gran == DS_Q_ROW) &&
		q->row_dims == 1;
}

bool ds_qweight_ok(const ds_arg *a)
{
	return a->value && a->value->q && ds_q_codes_i8(a->value->q);
}

static int row_bits(const ds_qform *q) { return q->code == DS_I8 ? 8 : q->code - DS_U2 + 2; }

ds_status ds_qweight_read(const ds_tensor *t, ds_qweight *w, ds_err *err)
{
	ds_qsize s;
	*w = (ds_qweight){ 0 };
	DS_TRY(ds_qform_size(t->q, t->rank, t->dim, &s, err));
	const ds_dtype_row *row = ds_dtype_of(t->q->scale_dtype);
	if (!row || !row->to_f32)
		return ds_fail(err, DS_E_INPUT, "quantised weight: scales of type %s", ds_dtype_name(t->q->scale_dtype));
	*w = (ds_qweight){ .rows = s.rows, .cols = s.cols, .scale_step = s.scales > 1, .scale = ds_malloc((size_t)s.scales * sizeof(float) + 1),
		.code = ds_malloc((size_t)(s.rows * s.cols) + 1) };
	if (!w->scale || !w->code) {
		ds_qweight_done(w);
		return ds_fail_nomem(err, (size_t)(s.rows * s.cols));
	}
	row->to_f32(w->scale, (const char *)t->data + s.scale_off, (size_t)s.scales);
	int bits = row_bits(t->q), offset = bits == 8 ? 0 : 1 << (bits - 1);
	uint8_t *code = (uint8_t *)w->code;
	if (t->q->joined)
		ds_q_unpack(bits, t->data, s.code_stride, s.rows * s.cols, code);
	for (int64_t i = 0; i < s.rows && !t->q->joined; i++)
		ds_q_unpack(bits, (const uint8_t *)t->data + (uint64_t)i * s.code_stride, s.code_stride, s.cols, code + i * s.cols);
	for (int64_t i = 0; i < s.rows * s.cols && offset; i++)
		w->code[i] = (int8_t)(code[i] - offset);
	return DS_OK;
}

void ds_qweight_done(ds_qweight *w)
{
	ds_free(w->code);
	ds_free(w->scale);
	*w = (ds_qweight){ 0 };
}
