/* convgradw_fast.c - fast f32 rows of ConvGradWeight: products of dY transposed with the pixels of X, which are reached through pointers
 *
 * A task is a piece of the output positions (ds_conv_grad_parts), a block of output channels and some taps; it works through the positions in blocks that stay in the
 * first-level cache.  Sums of a piece lie as [oc][taps][ic]; at the end the pieces are added and turned to [oc][ic][taps]. */
#include "conv_fast.h"
#include "convgrad.h"

#include <string.h>

enum {
	PIXELS = 96,            /* of a block */
	ROWS = 64,              /* output channels of a task */
	NARROW = 64,            /* with at most as many output channels dY is read where it lies: rows further apart meet in few sets of the cache */
	FEW = 8,                /* input channels, at most, that are gathered to one run of all taps */
	TASKS = 16,
};

typedef struct job {
	const ds_conv_geo *g;
	const ds_kernel   *kn;
	const float       *dy, *x;          /* x: staged when there are patches */
	float             *dw, *part;
	const void        *zero;
	char              *scratch;
	float             *staged;
	size_t             per_worker, patch_at, pack_at;
	int64_t            taps, icg, ocg, parts, blocks, groups_of_taps;
	bool               patches;
} job;

static bool depthwise(const ds_conv_geo *g) { return g->groups > 1 && g->ic == g->groups && g->oc == g->groups; }

/* How the work is cut and where things lie in the scratch; returns its size.  at == NULL: the size only. */
static size_t cut(job *j, const ds_conv_geo *g, char *at, int threads)
{
	*j = (job){ .g = g, .taps = g->k[0] * g->k[1] * g->k[2], .icg = g->ic / g->groups, .ocg = g->oc / g->groups, .parts = ds_conv_grad_parts(g) };
	j->kn = ds_kernel_pick(depthwise(g) ? DS_K_dwg_f32 : DS_K_gemm_tn_f32, ds_cpu_allowed());
	j->patches = g->groups == 1 && j->icg <= FEW && j->taps > 1;
	j->blocks = depthwise(g) ? 1 : (j->ocg + ROWS - 1) / ROWS;
	int64_t tasks = j->parts * j->blocks * (depthwise(g) ? 1 : g->groups), lines = g->k[0] * g->k[1];
	j->groups_of_taps = j->patches || depthwise(g) || tasks >= TASKS ? 1 : tasks * lines >= TASKS ? lines : j->taps;
	size_t zero = (size_t)ds_pad64((uint64_t)g->ic * 4 + 64), part = (size_t)ds_pad64((uint64_t)(j->parts * g->oc * j->taps * j->icg) * 4);
	size_t stage = j->patches ? ds_conv_stage_bytes(g) : 0, pointers = (size_t)ds_pad64((uint64_t)(j->taps * PIXELS) * sizeof(void *));
	j->patch_at = pointers;
	j->pack_at = pointers + (j->patches ? (size_t)ds_pad64((uint64_t)(j->taps * j->icg * PIXELS) * 4 + 64) : 0);
	j->per_worker = j->pack_at + (g->oc > NARROW ? (size_t)PIXELS * ROWS * 4 : 0);
	if (at) {
		memset(at, 0, zero);
		j->zero = at;
		j->part = (float *)(void *)(at + zero);
		j->staged = (float *)(void *)(at + zero + part);
		j->scratch = at + zero + part + stage;
	}
	return zero + part + stage + j->per_worker * (size_t)threads;
}

/* Few channels: the taps of pixels [m, m + n) side by side, as the columns of one run.  Staged rows are copied in pieces of four floats; what is copied too much is
 * overwritten by the next run. */
static void gather(const job *j, const void **p, float *patch, int64_t m, int n)
{
	const ds_conv_geo *g = j->g;
	const bool lines = g->dil[2] == 1;
	const int64_t runs = lines ? g->k[0] * g->k[1] : j->taps, run = lines ? g->k[2] * j->icg : j->icg, k = j->taps * j->icg;
	ds_conv_stage_rows(g, j->x, g->ic, 4, m, n, p, PIXELS);
	for (int i = 0; i < n; i++)
		for (int64_t t = 0; t < runs; t++)
			for (int64_t c = 0; c < run; c += 4)
				memcpy(patch + i * k + t * run + c, (const float *)p[t * PIXELS + i] + c, 4 * sizeof *patch);
	for (int i = 0; i < n; i++)
		p[i] = patch + i * k;
}

static void task(void *arg, int t, int worker)
{
	const job *j = arg;
	const ds_conv_geo *g = j->g;
	int64_t tg = t % j->groups_of_taps, rest = t / j->groups_of_taps, block = rest % j->blocks, piece = rest / j->blocks % j->parts, group = rest / j->blocks / j->parts;
	int64_t o0 = block * ROWS, rows = DS_MIN(ROWS, j->ocg - o0), tap0 = j->taps * tg / j->groups_of_taps, tap1 = j->taps * (tg + 1) / j->groups_of_taps;
	int64_t lines = g->n * g->out[0] * g->out[1], m0 = lines * piece / j->parts * g->out[2], m1 = lines * (piece + 1) / j->parts * g->out[2], o = group * j->ocg + o0;
	char *mine = j->scratch + (size_t)worker * j->per_worker;
	const void **p = (const void **)(void *)mine;
	float *pack = (float *)(void *)(mine + j->pack_at), *c = j->part + (piece * g->oc + o) * j->taps * j->icg;
	ds_k_tn k = { .b = p, .ldb = PIXELS, .rows = (int)rows, .c = c + tap0 * j->icg, .ldc = (size_t)(j->taps * j->icg), .first = true };
	k.taps = j->patches ? 1 : (int)(tap1 - tap0);
	k.kc = (int)(j->patches ? j->taps * j->icg : j->icg);
	for (int64_t m = m0; m < m1 || k.first; m += PIXELS, k.first = false) {
		int n = (int)DS_MIN(PIXELS, m1 - m);
		if (j->patches)
			gather(j, p, (float *)(void *)(mine + j->patch_at), m, n);
		else if (n > 0)
			ds_conv_tap_rows(g, j->x, j->zero, 4, group * j->icg, m, n, p, PIXELS, 1);
		k.a = j->dy + m * g->oc + o;
		k.lda = (size_t)g->oc;
		k.b = p + (j->patches ? 0 : tap0 * PIXELS);
		k.pixels = DS_MAX(n, 0);
		if (g->oc > NARROW) {
			for (int i = 0; i < n; i++)
				memcpy(pack + (int64_t)i * rows, k.a + (int64_t)i * g->oc, (size_t)rows * sizeof *pack);
			k.a = pack;
			k.lda = (size_t)rows;
		}
		j->kn->fn.tn(&k);
	}
}

static void dw_task(void *arg, int piece, int worker)
{
	const job *j = arg;
	const ds_conv_geo *g = j->g;
	int64_t lines = g->n * g->out[0] * g->out[1], m0 = lines * piece / j->parts * g->out[2], m1 = lines * (piece + 1) / j->parts * g->out[2];
	const void **p = (const void **)(void *)(j->scratch + (size_t)worker * j->per_worker);
	ds_k_dwg k = { .lda = (size_t)g->oc, .b = p, .ldb = PIXELS, .taps = (int)j->taps, .chans = (int)g->oc, .first = true, .c = j->part + piece * g->oc * j->taps,
		.ldc = (size_t)g->oc };
	for (int64_t m = m0; m < m1 || k.first; m += PIXELS, k.first = false) {
		k.pixels = (int)DS_MAX(DS_MIN(PIXELS, m1 - m), 0);
		ds_conv_tap_rows(g, j->x, j->zero, 4, 0, m, k.pixels, p, PIXELS, 1);
		k.a = j->dy + m * g->oc;
		j->kn->fn.dwg(&k);
	}
}

/* Pieces added in their order, [taps][ic] turned to [ic][taps] (depthwise: [taps][oc] to [oc][taps]). */
static void finish(void *arg, int o, int worker)
{
	const job *j = arg;
	const ds_conv_geo *g = j->g;
	const bool dw = depthwise(g);
	const int64_t all = g->oc * j->taps * j->icg, n = j->taps * j->icg;
	float *to = j->dw + (int64_t)o * n, *sum = j->part + (int64_t)o * n;
	if (dw) {
		for (int64_t t = 0; t < n; t++) {
			const float *from = j->part + o + t * g->oc;
			to[t] = from[0];
			for (int64_t part = 1; part < j->parts; part++)
				to[t] += from[part * all];
		}
		return;
	}
	for (int64_t part = 1; part < j->parts; part++)
		for (int64_t i = 0; i < n; i++)
			sum[i] += sum[part * all + i];
	for (int64_t t = 0; t < j->taps; t++)
		for (int64_t c = 0; c < j->icg; c++)
			to[c * j->taps + t] = sum[t * j->icg + c];
}

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	if (out->dtype != DS_F32 || ds_type_count(out) == 0)
		return false;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[1].type, out, &in[0].type);
	job j;
	cut(&j, &g, NULL, 0);
	want[0] = DS_CHANNELS_LAST;
	if (!j.patches)         /* staging takes both */
		want[1] = DS_CHANNELS_LAST;
	*out_layout = DS_PLAIN;
	return true;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	job j;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[1].type, out, &in[0].type);
	return cut(&j, &g, NULL, threads);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	job j;
	ds_type x = ds_type_of(in[1]), w = ds_type_of(out[0]), y = ds_type_of(in[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	cut(&j, &g, env->scratch, 0);
	j.dy = in[0]->data;
	j.x = in[1]->data;
	j.dw = out[0]->data;
	if (j.patches) {
		ds_conv_stage(env->pool, &g, in[1], j.staged);
		j.x = j.staged;
	}
	if (depthwise(&g))
		ds_pool_run(env->pool, (int)j.parts, dw_task, &j);
	else
		ds_pool_run(env->pool, (int)(g.groups * j.parts * j.blocks * j.groups_of_taps), task, &j);
	ds_pool_run(env->pool, (int)g.oc, finish, &j);
	return DS_OK;
}

const ds_variant ds_conv_grad_weight_variants[] = { { "convgradweight.f32.tn", match, NULL, NULL, scratch, forward }, { 0 } };
