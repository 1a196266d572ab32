/* mm_variants.c - fast f32 rows of MatMul, Gemm and GemmAct: constant right operands packed once, others packed on the way */
#include "igemm.h"
#include "matmult.h"

/* What of a node the three operators' variants need. */
typedef struct mm { int64_t m, n, k; bool trans_b; const ds_arg *bias; ds_act_attr act; } mm;

static const ds_arg *opt(const ds_node *n, const ds_arg *in, int i) { return i < n->n_in && in[i].present ? &in[i] : NULL; }

/* Rows of a constant matrix B, all leading axes of A in one. */
static bool const_b(const ds_arg *in, bool trans_b, mm *p)
{
	const ds_type *a = &in[0].type, *b = &in[1].type;
	if (a->dtype != DS_F32 || !in[1].value || b->rank != 2 || a->rank < 1 || ds_type_count(a) == 0 || ds_type_count(b) == 0)
		return false;
	p->k = a->dim[a->rank - 1];
	p->m = ds_type_count(a) / p->k;
	p->n = b->dim[trans_b ? 0 : 1];
	p->trans_b = trans_b;
	p->act = (ds_act_attr){ 0 };
	p->bias = NULL;
	return true;
}

static bool read_matmul(const ds_node *n, const ds_arg *in, mm *p) { return const_b(in, false, p); }

static bool bias_row(const ds_arg *c, int64_t n)
{
	return c->value && c->type.dtype == DS_F32 && c->type.rank >= 1 && ds_type_count(&c->type) == n && c->type.dim[c->type.rank - 1] == n;
}

static bool read_gemm(const ds_node *n, const ds_arg *in, mm *p)
{
	const ds_gemm_attr *a = n->a;
	if (a->transA || a->alpha != 1 || a->beta != 1 || !const_b(in, a->transB != 0, p))
		return false;
	p->bias = opt(n, in, 2);
	return !p->bias || bias_row(p->bias, p->n);
}

static bool read_gemm_act(const ds_node *n, const ds_arg *in, mm *p)
{
	const ds_gemm_full *a = n->a;
	if (!const_b(in, a->transB != 0, p))
		return false;
	p->bias = opt(n, in, 2);
	p->act = a->act;
	return !p->bias || bias_row(p->bias, p->n);
}

typedef bool reader(const ds_node *n, const ds_arg *in, mm *p);

static ds_status prepare(const mm *p, const ds_tensor *weight, void **prep, size_t *bytes, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_tensor w = { 0 }, b = { 0 };
	ds_igemm *g = ds_calloc(1, sizeof *g);
	if (!g)
		return ds_fail_nomem(err, sizeof *g);
	DS_GOTO(ds_tensor_to_f32(weight, &w, err));
	DS_GOTO(ds_igemm_new(g, false, 1, p->n, 1, p->k, err));
	ds_igemm_pack_f32(g, 0, w.data, p->trans_b ? 1 : p->n, p->trans_b ? p->k : 1);
	if (p->bias) {
		DS_GOTO(ds_tensor_to_f32(p->bias->value, &b, err));
		for (int64_t j = 0; j < p->n; j++)
			g->bias[j] = ((const float *)b.data)[j];
	}
	ds_igemm_act(g, &p->act);
	*bytes = g->bytes;
	*prep = g;
	g = NULL;
out:
	ds_tensor_done(&w);
	ds_tensor_done(&b);
	if (g) {
		ds_igemm_done(g);
		ds_free(g);
	}
	return rc;
}

static void free_prep(void *prep)
{
	if (prep)
		ds_igemm_done(prep);
	ds_free(prep);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_igemm *g = env->prep;
	int64_t k = g->kc;
	ds_igemm_dense d = { in[0]->data, (size_t)k * sizeof(float) };
	ds_igemm_run r = { .g = g, .m = ds_tensor_count(in[0]) / k, .rows = ds_igemm_dense_rows, .rows_arg = &d, .c = out[0]->data, .scratch = env->scratch };
	ds_igemm_go(env->pool, &r);
	return DS_OK;
}

static size_t scratch(const mm *p, int threads)
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());
	ds_igemm g = { .kn = kn, .groups = 1, .n = p->n, .taps = 1, .kc = p->k, .elem = 4, .n_pad = ds_k_panel_count(kn, p->n) * kn->nr };
	return ds_igemm_scratch(&g, p->m, threads);
}

/* The columns of one operator's row, from its reader. */
#define CONST_B(op) \
static bool match_##op(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout) \
{ \
	mm p; \
	for (int i = 0; i < n->n_in; i++) \
		want[i] = DS_PLAIN; \
	return read_##op(n, in, &p); \
} \
static ds_status prepare_##op(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err) \
{ \
	mm p; \
	return read_##op(n, in, &p) ? prepare(&p, in[1].value, prep, bytes, err) : ds_fail(err, DS_E_INTERNAL, "%s: variant does not apply", n->name); \
} \
static size_t scratch_##op(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) \
{ \
	mm p; \
	return read_##op(n, in, &p) ? scratch(&p, threads) : 0; \
}
CONST_B(matmul)
CONST_B(gemm)
CONST_B(gemm_act)

/* ---- both operands computed: each tile packs its panel of B ------------------------------------------------------------------------- */
enum { PACK_ROWS_MIN = 4 };     /* fewer rows do not pay for the packing: they use the reference's order on B as it lies */

static bool match_packing(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	const ds_type *a = &in[0].type, *b = &in[1].type;
	want[0] = want[1] = DS_PLAIN;
	return a->dtype == DS_F32 && a->rank >= 2 && b->rank >= 2 && ds_type_count(a) > 0 && ds_type_count(out) > 0 && !(in[1].value && in[1].value->q) &&
		a->dim[a->rank - 2] >= PACK_ROWS_MIN;
}

static size_t packing_worker(const ds_mm_geo *g, const ds_kernel *kn, size_t *ptr_at)
{
	*ptr_at = (size_t)ds_pad64((uint64_t)g->k * (uint64_t)kn->nr * sizeof(float));
	return *ptr_at + (size_t)ds_pad64((uint64_t)g->m * sizeof(void *));
}

static size_t scratch_packing(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	size_t at;
	ds_mm_geo g = ds_mm_geometry(&in[0].type, &in[1].type, false, false);
	return packing_worker(&g, ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), &at) * (size_t)threads;
}

typedef struct packing { ds_mm_geo g; const ds_kernel *kn; const float *a, *b; float *y; char *scratch; size_t per_worker, ptr_at; int64_t panels; } packing;

static void pack_tile(void *arg, int task, int worker)
{
	const packing *j = arg;
	const ds_mm_geo *g = &j->g;
	int64_t batch = task / j->panels, p = task % j->panels, a_at, b_at;
	float *panel = (float *)(j->scratch + (size_t)worker * j->per_worker);
	const void **row = (const void **)((char *)panel + j->ptr_at);
	ds_mm_at(g, batch, &a_at, &b_at);
	ds_k_pack_f32(j->kn, panel, j->b + b_at, g->k, g->n, p, g->sbk, g->sbn);
	for (int64_t r = 0; r < g->m; r++)
		row[r] = j->a + a_at + r * g->sam;
	ds_k_gemm k = {
		.a = row, .a_rows = (size_t)g->m, .taps = 1, .kc = (int)g->k, .b = panel, .rows = (int)g->m, .width = ds_k_panel_width(j->kn, g->n, p),
		.first = true, .last = true, .c = j->y + batch * g->m * g->n + p * j->kn->nr, .ldc = (size_t)g->n, .lo = -__builtin_inff(),
		.hi = __builtin_inff(),
	};
	k.cols = (int)DS_MIN(k.width, g->n - p * j->kn->nr);
	j->kn->fn.gemm(&k);
}

static ds_status forward_packing(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type a = ds_type_of(in[0]), b = ds_type_of(in[1]);
	packing j = { .g = ds_mm_geometry(&a, &b, false, false), .kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), .a = in[0]->data, .b = in[1]->data,
		.y = out[0]->data, .scratch = env->scratch };
	j.panels = ds_k_panel_count(j.kn, j.g.n);
	j.per_worker = packing_worker(&j.g, j.kn, &j.ptr_at);
	ds_pool_run(env->pool, (int)(j.g.batch * j.panels), pack_tile, &j);
	return DS_OK;
}

const ds_variant ds_matmul_variants[] = {
	{ "matmul.f32.packed", match_matmul, prepare_matmul, free_prep, scratch_matmul, forward },
	{ "matmul.f32.train", ds_mm_train_match, NULL, NULL, ds_mm_train_scratch, ds_mm_train_forward },
	{ "matmul.f32.packing", match_packing, NULL, NULL, scratch_packing, forward_packing },
	{ 0 },
};
const ds_variant ds_gemm_variants[] = {
	{ "gemm.f32.packed", match_gemm, prepare_gemm, free_prep, scratch_gemm, forward },
	{ "gemm.f32.train", ds_gemm_train_match, NULL, NULL, ds_gemm_train_scratch, ds_gemm_train_forward },
	{ 0 },
};
const ds_variant ds_gemm_act_variants[] = {
	{ "gemmact.f32.packed", match_gemm_act, prepare_gemm_act, free_prep, scratch_gemm_act, forward },
	{ 0 },
};
