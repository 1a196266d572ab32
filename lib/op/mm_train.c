/* mm_train.c - fast f32 rows of MatMul, Gemm and MatMulT for operands that are all computed
 *
 * Three ways: one right operand for all rows (packed into scratch once, then the product driver); a right operand per batch item (each tile packs its panel); a transposed
 * left operand (sums over samples: no packing, the columns of A are broadcast and the rows of B are vectors). */
#include "igemm.h"
#include "matmult.h"

#include <string.h>

typedef enum way { NONE, SHARED, PER_ITEM, SUMS } way;

/* All rows of A in one, B the same for each: rows lie `stride` apart. */
static bool one_matrix(const ds_mm_geo *g)
{
	int64_t next = g->m * g->sam;
	if (g->batch == 1)
		return true;
	for (int i = g->rank - 1; i >= 0; i--) {
		if (g->dim[i] == 1)
			continue;
		if (g->sb[i] != 0 || g->sa[i] != next)
			return false;
		next *= g->dim[i];
	}
	return true;
}

static way way_of(const ds_mm_geo *g, bool trans_a)
{
	if (g->m <= 0 || g->n <= 0 || g->k <= 0 || g->batch <= 0)
		return NONE;
	if (trans_a)
		return g->sbn == 1 ? SUMS : NONE;
	return one_matrix(g) ? SHARED : PER_ITEM;
}

/* ---- shared right operand ------------------------------------------------------------------------------------------------------------------ */
static size_t shared_scratch(const ds_mm_geo *g, bool bf16, int threads)
{
	ds_igemm m;
	size_t used = ds_igemm_place(&m, bf16, 1, g->n, 1, g->k, NULL);
	return used + ds_igemm_scratch(&m, g->batch * g->m, threads);
}

static void shared_go(const ds_env *env, const ds_mm_geo *g, bool bf16, const float *a, const float *b, const float *bias, float *y)
{
	ds_igemm m;
	size_t used = ds_igemm_place(&m, bf16, 1, g->n, 1, g->k, env->scratch);
	const int64_t tap = 0;
	ds_igemm_weights(env->pool, &m, &(ds_igemm_w){ .w = b, .bias = bias, .tap = &tap, .taps = 1, .s_c = g->sbk, .s_n = g->sbn });
	ds_igemm_dense d = { (const char *)a, (size_t)g->sam * sizeof(float) };
	ds_igemm_go(env->pool, &(ds_igemm_run){ .g = &m, .m = g->batch * g->m, .rows = ds_igemm_dense_rows, .rows_arg = &d, .c = y, .scratch = (char *)env->scratch + used });
}

/* ---- a right operand per item: tasks are (item, panel) --------------------------------------------------------------------------------------- */
typedef struct item_job { const ds_mm_geo *g; const ds_kernel *kn; const float *a, *b; float *y; char *scratch; size_t per_worker, ptr_at; int64_t panels; } item_job;

static size_t item_worker(const ds_mm_geo *g, const ds_kernel *kn, size_t *ptr_at)
{
	*ptr_at = (size_t)ds_pad64((uint64_t)g->k * (uint64_t)kn->nr * sizeof(float) + 64);
	return *ptr_at + (size_t)ds_pad64((uint64_t)g->m * sizeof(void *));
}

static void item_task(void *arg, int task, int worker)
{
	const item_job *j = arg;
	const ds_mm_geo *g = j->g;
	int64_t item = task / j->panels, p = task % j->panels, a_at, b_at;
	float *panel = (float *)(void *)(j->scratch + (size_t)worker * j->per_worker);
	const void **row = (const void **)(void *)((char *)panel + j->ptr_at);
	ds_mm_at(g, item, &a_at, &b_at);
	ds_k_pack_f32(j->kn, panel, j->b + b_at, g->k, g->n, p, g->sbk, g->sbn);
	for (int64_t r = 0; r < g->m; r++)
		row[r] = j->a + a_at + r * g->sam;
	ds_k_gemm k = {
		.a = row, .a_rows = (size_t)g->m, .taps = 1, .kc = (int)g->k, .b = panel, .rows = (int)g->m, .width = ds_k_panel_width(j->kn, g->n, p),
		.first = true, .last = true, .c = j->y + item * g->m * g->n + p * j->kn->nr, .ldc = (size_t)g->n, .lo = -__builtin_inff(), .hi = __builtin_inff(),
	};
	k.cols = (int)DS_MIN(k.width, g->n - p * j->kn->nr);
	j->kn->fn.gemm(&k);
}

/* ---- sums over samples ------------------------------------------------------------------------------------------------------------------------- */
/* A task makes a tile of the result.  Both operands of a block of samples are packed: three vectors of columns stay in the first-level cache while all rows of the tile
 * pass, whose packed samples and sums stay in the second. */
enum {
	BLOCK_K = 192,          /* samples that pass at once, at most */
	TILE_ROWS = 384, TILE_COLS = 384, TILE_COLS_MIN = 96,
	TASKS = 4,              /* wanted, where columns are many enough */
	SKEW = 16,              /* elements between blocks, so that they do not meet in the same sets of a cache */
};

typedef struct sum_job {
	const ds_mm_geo *g;
	const ds_kernel *kn, *cut;
	const float     *a, *b;
	float           *y, *part;
	char            *scratch;
	size_t           per_worker;
	int64_t          parts, row_tiles, col_tiles, rows, cols, block;        /* block: samples that pass at once */
	size_t           left_block, right_block;       /* elements from one packed block of columns to the next */
} sum_job;

static size_t left_size(const sum_job *j) { return (size_t)ds_pad64((uint64_t)(j->rows / DS_TN_ROWS) * j->left_block * sizeof(float)); }

static size_t sum_cut(sum_job *j, const ds_mm_geo *g, char *at, int threads)
{
	*j = (sum_job){ .g = g, .kn = ds_kernel_pick(DS_K_gemm_tn_f32, ds_cpu_allowed()), .cut = ds_kernel_pick(DS_K_blocks_f32, ds_cpu_allowed()),
		.parts = ds_mm_parts(g, true), .row_tiles = (g->m + TILE_ROWS - 1) / TILE_ROWS };
	j->col_tiles = (g->n + TILE_COLS - 1) / TILE_COLS;
	while (g->batch * j->parts * j->row_tiles * j->col_tiles < TASKS && g->n >= 2 * TILE_COLS_MIN * j->col_tiles)
		j->col_tiles *= 2;
	j->cols = ((g->n + j->col_tiles - 1) / j->col_tiles + 15) / 16 * 16;
	j->col_tiles = (g->n + j->cols - 1) / j->cols;
	j->rows = ((g->m + j->row_tiles - 1) / j->row_tiles + DS_TN_ROWS - 1) / DS_TN_ROWS * DS_TN_ROWS;
	j->row_tiles = (g->m + j->rows - 1) / j->rows;
	int64_t samples = (g->k + j->parts - 1) / j->parts, blocks = (samples + BLOCK_K - 1) / BLOCK_K;
	j->block = (samples + blocks - 1) / blocks;
	j->left_block = (size_t)j->block * DS_TN_ROWS + SKEW;
	j->right_block = (size_t)j->block * (size_t)j->kn->nr + SKEW;
	j->per_worker = left_size(j) + (size_t)ds_pad64((uint64_t)((j->cols + j->kn->nr - 1) / j->kn->nr) * j->right_block * sizeof(float));
	size_t part = j->parts > 1 ? (size_t)ds_pad64((uint64_t)(j->parts * g->m * g->n) * 4) : 0;
	j->part = (float *)(void *)at;
	j->scratch = at ? at + part : NULL;
	return part + j->per_worker * (size_t)threads;
}

/* Rows of samples in blocks of DS_TN_ROWS columns, a few rows at a time so that lines are written whole; columns that fill up the last block are nobody's. */
static void pack_left(float *to, size_t block, const float *a, int64_t step, int samples, int64_t cols)
{
	enum { STRETCH = 8 };
	for (int at = 0; at < samples; at += STRETCH, a += STRETCH * step, to += STRETCH * DS_TN_ROWS) {
		int n = DS_MIN(STRETCH, samples - at);
		float *y = to;
		for (int64_t c = 0; c < cols; c += DS_TN_ROWS, y += block) {
			if (c + DS_TN_ROWS <= cols)
				for (int i = 0; i < n; i++)
					memcpy(y + i * DS_TN_ROWS, a + c + i * step, DS_TN_ROWS * sizeof *a);
			else
				for (int i = 0; i < n; i++)
					memcpy(y + i * DS_TN_ROWS, a + c + i * step, (size_t)(cols - c) * sizeof *a);
		}
	}
}

static void sum_task(void *arg, int t, int worker)
{
	const sum_job *j = arg;
	const ds_mm_geo *g = j->g;
	int64_t ct = t % j->col_tiles, rest = t / j->col_tiles, rt = rest % j->row_tiles, piece = rest / j->row_tiles % j->parts, item = rest / j->row_tiles / j->parts;
	int64_t r0 = rt * j->rows, rows = DS_MIN(j->rows, g->m - r0), c0 = ct * j->cols, cols = DS_MIN(j->cols, g->n - c0), a_at, b_at;
	int64_t k0 = g->k * piece / j->parts, k1 = g->k * (piece + 1) / j->parts;
	float *left = (float *)(void *)(j->scratch + (size_t)worker * j->per_worker), *right = (float *)(void *)((char *)left + left_size(j));
	float *c = j->parts > 1 ? j->part + piece * g->m * g->n : j->y + item * g->m * g->n;
	size_t nr = (size_t)j->kn->nr;
	ds_mm_at(g, item, &a_at, &b_at);
	ds_k_tn k = { .a = left, .lda = j->left_block, .packed = right, .b_block = j->right_block, .rows = (int)rows, .taps = 1, .kc = (int)cols, .c = c + r0 * g->n + c0,
		.ldc = (size_t)g->n };
	for (int64_t at = k0; at < k1; at += j->block) {
		k.pixels = (int)DS_MIN(j->block, k1 - at);
		k.first = at == k0;
		pack_left(left, j->left_block, j->a + a_at + at * g->sak + r0, g->sak, k.pixels, rows);
		j->cut->fn.blocks(right, k.b_block, nr, j->b + b_at + at * g->sbk + c0, (size_t)g->sbk, (size_t)k.pixels, (size_t)cols);
		j->kn->fn.tn(&k);
	}
}

static void sum_finish(void *arg, int row, int worker)
{
	const sum_job *j = arg;
	const ds_mm_geo *g = j->g;
	const float *from = j->part + (int64_t)row * g->n;
	float *y = j->y + (int64_t)row * g->n;
	memcpy(y, from, (size_t)g->n * sizeof *y);
	for (int64_t part = 1; part < j->parts; part++) {
		from += g->m * g->n;
		for (int64_t c = 0; c < g->n; c++)
			y[c] += from[c];
	}
}

/* ---- together ------------------------------------------------------------------------------------------------------------------------------------- */
static size_t scratch_of(const ds_mm_geo *g, bool trans_a, bool bf16, int threads)
{
	sum_job j;
	size_t at;
	switch (way_of(g, trans_a)) {
	case SHARED: return shared_scratch(g, bf16, threads);
	case PER_ITEM: return item_worker(g, ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), &at) * (size_t)threads;
	case SUMS: return sum_cut(&j, g, NULL, threads);
	default: return 0;
	}
}

static void go(const ds_env *env, const ds_mm_geo *g, bool trans_a, bool bf16, const float *a, const float *b, const float *bias, float *y)
{
	way w = way_of(g, trans_a);
	if (w == SHARED) {
		shared_go(env, g, bf16, a, b, bias, y);
	} else if (w == PER_ITEM) {
		item_job j = { .g = g, .kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), .a = a, .b = b, .y = y, .scratch = env->scratch };
		j.panels = ds_k_panel_count(j.kn, g->n);
		j.per_worker = item_worker(g, j.kn, &j.ptr_at);
		ds_pool_run(env->pool, (int)(g->batch * j.panels), item_task, &j);
	} else {
		sum_job j;
		sum_cut(&j, g, env->scratch, 0);
		j.a = a;
		j.b = b;
		j.y = y;
		ds_pool_run(env->pool, (int)(g->batch * j.parts * j.row_tiles * j.col_tiles), sum_task, &j);
		if (j.parts > 1)
			ds_pool_run(env->pool, (int)g->m, sum_finish, &j);
	}
}

static bool floats(const ds_arg *in) { return in[0].type.dtype == DS_F32 && in[1].type.dtype == DS_F32 && !(in[1].value && in[1].value->q) && !(in[0].value && in[0].value->q); }

static void plain(const ds_node *n, ds_layout *want)
{
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_PLAIN;
}

/* ---- MatMulT ---------------------------------------------------------------------------------------------------------------------------------------- */
static ds_mm_geo geo_t(const ds_node *n, const ds_type *a, const ds_type *b, bool *trans_a)
{
	const ds_matmult_attr *t = n->a;
	*trans_a = t->trans_a != 0;
	return ds_mm_geometry(a, b, t->trans_a != 0, t->trans_b != 0);
}

static bool match_t(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	bool ta;
	ds_mm_geo g = geo_t(n, &in[0].type, &in[1].type, &ta);
	plain(n, want);
	return floats(in) && way_of(&g, ta) != NONE;
}

static size_t scratch_t(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	bool ta;
	ds_mm_geo g = geo_t(n, &in[0].type, &in[1].type, &ta);
	return scratch_of(&g, ta, DS_A(ds_matmult_attr, n)->bf16 != 0, threads);
}

static ds_status forward_t(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	bool ta;
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = geo_t(n, &a, &b, &ta);
	go(env, &g, ta, DS_A(ds_matmult_attr, n)->bf16 != 0, in[0]->data, in[1]->data, NULL, out[0]->data);
	return DS_OK;
}

const ds_variant ds_matmult_variants[] = { { "matmult.f32", match_t, NULL, NULL, scratch_t, forward_t }, { 0 } };

/* ---- MatMul: one computed matrix for all rows ---------------------------------------------------------------------------------------------------------- */
enum { ROWS_MIN = 4 };  /* fewer rows do not pay for packing */

bool ds_mm_train_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	const ds_type *a = &in[0].type, *b = &in[1].type;
	if (!floats(in) || a->rank < 2 || b->rank < 2)
		return false;
	ds_mm_geo g = ds_mm_geometry(a, b, false, false);
	plain(n, want);
	return way_of(&g, false) == SHARED && g.batch * g.m >= ROWS_MIN;
}

size_t ds_mm_train_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_mm_geo g = ds_mm_geometry(&in[0].type, &in[1].type, false, false);
	return scratch_of(&g, false, DS_A(ds_matmul_attr, n)->bf16 != 0, threads);
}

ds_status ds_mm_train_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = ds_mm_geometry(&a, &b, false, false);
	go(env, &g, false, DS_A(ds_matmul_attr, n)->bf16 != 0, in[0]->data, in[1]->data, NULL, out[0]->data);
	return DS_OK;
}

/* ---- Gemm: with a bias per column, or none ----------------------------------------------------------------------------------------------------------- */
bool ds_gemm_train_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	const ds_gemm_attr *a = n->a;
	if (!floats(in) || a->transA || a->alpha != 1)
		return false;
	ds_mm_geo g = ds_mm_geometry(&in[0].type, &in[1].type, false, a->transB != 0);
	plain(n, want);
	if (n->n_in > 2 && in[2].present) {
		const ds_type *c = &in[2].type;
		if (a->beta != 1 || c->dtype != DS_F32 || c->rank < 1 || c->dim[c->rank - 1] != g.n || ds_type_count(c) != g.n)
			return false;
	}
	return way_of(&g, false) == SHARED && g.m >= ROWS_MIN;
}

static ds_mm_geo geo_gemm(const ds_node *n, const ds_type *a, const ds_type *b) { return ds_mm_geometry(a, b, false, DS_A(ds_gemm_attr, n)->transB != 0); }

size_t ds_gemm_train_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_mm_geo g = geo_gemm(n, &in[0].type, &in[1].type);
	return scratch_of(&g, false, DS_A(ds_gemm_attr, n)->bf16 != 0, threads);
}

ds_status ds_gemm_train_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	ds_mm_geo g = geo_gemm(n, &a, &b);
	go(env, &g, false, DS_A(ds_gemm_attr, n)->bf16 != 0, in[0]->data, in[1]->data, n->n_in > 2 && in[2] ? in[2]->data : NULL, out[0]->data);
	return DS_OK;
}
