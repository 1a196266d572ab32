/* convgradw_fast.c - fast f32 rows of ConvGradWeight: products of dY transposed with the pixels of X
 *
 * A task is a piece of the output positions (ds_conv_grad_parts), a block of output channels and some kernel lines; it works through the positions in runs of whole output
 * lines that stay in the first-level cache.  The pixels are reached through pointers per tap.  Many input channels lie far apart and meet in few sets of the cache: then for
 * each kernel line the input lines that it meets are copied with their padding, cut into blocks of one vector of channels, all taps of the line are offsets into these, and
 * the pointers are the same for every run.  Few input channels are gathered to one run of all taps.
 * Sums of a piece lie as [oc][taps][ic]; at the end the pieces are added and turned to [oc][ic][taps]. */
#include "conv_fast.h"
#include "convgrad.h"

#include <string.h>

enum {
	PIXELS = 96,            /* of a run; lines longer than that are runs by themselves */
	ROWS = 64,              /* output channels of a task */
	NARROW = 64,            /* with at most as many output channels dY is read where it lies: rows further apart meet in few sets of the cache */
	FAR = 64,               /* with more input channels their lines are copied */
	FEW = 8,                /* input channels, at most, that are gathered to one run of all taps */
	TASKS = 12,
};

typedef struct job {
	const ds_conv_geo *g;
	const ds_kernel   *kn, *cut;
	const float       *dy, *x;          /* x: staged when there are patches */
	float             *dw, *part;
	const void        *zero;
	char              *scratch;
	float             *staged;
	size_t             per_worker, patch_at, pack_at, x_at, block;       /* block: elements from one block of channels to the next */
	int64_t            taps, icg, ocg, parts, blocks, lines, split;     /* lines: output lines of a run; split: tasks that share the kernel lines */
	int64_t            wide;            /* pixels of a copied input line */
	bool               patches, copied;
} job;

static bool depthwise(const ds_conv_geo *g) { return g->groups > 1 && g->ic == g->groups && g->oc == g->groups; }

/* Pixels of a run at most. */
static int64_t most_pixels(const job *j) { return depthwise(j->g) ? PIXELS : j->lines * j->g->out[2]; }

/* How the work is cut and where things lie in the scratch; returns its size.  at == NULL: the size only. */
static size_t cut(job *j, const ds_conv_geo *g, char *at, int threads)
{
	*j = (job){ .g = g, .taps = g->k[0] * g->k[1] * g->k[2], .icg = g->ic / g->groups, .ocg = g->oc / g->groups, .parts = ds_conv_grad_parts(g) };
	j->kn = ds_kernel_pick(depthwise(g) ? DS_K_dwg_f32 : DS_K_gemm_tn_f32, ds_cpu_allowed());
	j->cut = ds_kernel_pick(DS_K_blocks_f32, ds_cpu_allowed());
	j->patches = g->groups == 1 && j->icg <= FEW && j->taps > 1;
	j->copied = !depthwise(g) && !j->patches && g->ic > FAR;
	j->blocks = depthwise(g) ? 1 : (j->ocg + ROWS - 1) / ROWS;
	j->lines = DS_MAX(PIXELS / g->out[2], 1);
	j->wide = (g->out[2] - 1) * g->stride[2] + (g->k[2] - 1) * g->dil[2] + 1;
	int64_t tasks = j->parts * j->blocks * (depthwise(g) ? 1 : g->groups), nr = j->kn->nr;
	j->split = j->patches || depthwise(g) || tasks >= TASKS ? 1 : g->k[0] * g->k[1];
	/* an odd number of cache lines apart, so that blocks do not meet in the same sets */
	j->block = (size_t)(((j->lines * j->wide * nr + 15) / 16 | 1) * 16);
	size_t zero = (size_t)ds_pad64((uint64_t)g->ic * 4 + 64), part = (size_t)ds_pad64((uint64_t)(j->parts * g->oc * j->taps * j->icg) * 4);
	size_t stage = j->patches ? ds_conv_stage_bytes(g) : 0, pixels = (size_t)most_pixels(j);
	j->patch_at = (size_t)ds_pad64((uint64_t)(j->copied ? g->k[2] : j->taps) * pixels * sizeof(void *));
	j->pack_at = j->patch_at + (j->patches ? (size_t)ds_pad64((uint64_t)(j->taps * j->icg) * pixels * 4 + 64) : 0);
	j->x_at = j->pack_at + (g->oc > NARROW && !depthwise(g) ? (size_t)ds_pad64(pixels * ROWS * 4) : 0);
	j->per_worker = j->x_at + (!j->copied ? 0 : (size_t)ds_pad64((uint64_t)((j->icg + nr - 1) / nr) * j->block * 4));
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
	ds_conv_stage_rows(g, j->x, g->ic, 4, m, n, p, (size_t)n);
	for (int i = 0; i < n; i++)
		for (int64_t t = 0; t < runs; t++)
			for (int64_t c = 0; c < run; c += 4)
				memcpy(patch + i * k + t * run + c, (const float *)p[t * n + i] + c, 4 * sizeof *patch);
	for (int i = 0; i < n; i++)
		p[i] = patch + i * k;
}

/* The input lines of kernel line (kz, ky) for output lines [l0, l0 + n): cut into blocks, padding included. */
static void lines_of(const job *j, int64_t group, int64_t kz, int64_t ky, int64_t l0, int64_t n, float *to)
{
	const ds_conv_geo *g = j->g;
	const int64_t nr = j->kn->nr, cblocks = (j->icg + nr - 1) / nr;
	const int64_t x0 = -g->pad[2], lo = DS_MIN(DS_MAX(g->pad[2], 0), j->wide), hi = DS_MAX(DS_MIN(g->in[2] - x0, j->wide), lo);   /* pixels [lo, hi) of a copied line exist */
	for (int64_t i = 0; i < n; i++, to += j->wide * nr) {
		int64_t l = l0 + i, oy = l % g->out[1], oz = l / g->out[1] % g->out[0], img = l / (g->out[1] * g->out[0]);
		int64_t iy = oy * g->stride[1] + ky * g->dil[1] - g->pad[1], iz = oz * g->stride[0] + kz * g->dil[0] - g->pad[0];
		bool inside = iy >= 0 && iy < g->in[1] && iz >= 0 && iz < g->in[0];
		int64_t from = inside ? lo : j->wide, end = inside ? hi : j->wide;
		for (int64_t c = 0; c < cblocks; c++) {
			memset(to + (size_t)c * j->block, 0, (size_t)(from * nr) * sizeof *to);
			memset(to + (size_t)c * j->block + end * nr, 0, (size_t)((j->wide - end) * nr) * sizeof *to);
		}
		if (inside)
			j->cut->fn.blocks(to + from * nr, j->block, (size_t)nr, j->x + (((img * g->in[0] + iz) * g->in[1] + iy) * g->in[2] + from + x0) * g->ic + group * j->icg, (size_t)g->ic,
				(size_t)(end - from), (size_t)j->icg);
	}
}

static void task(void *arg, int t, int worker)
{
	const job *j = arg;
	const ds_conv_geo *g = j->g;
	const int64_t nr = j->kn->nr, kernel_lines = g->k[0] * g->k[1], width = j->taps * j->icg;
	int64_t share = t % j->split, rest = t / j->split, block = rest % j->blocks, piece = rest / j->blocks % j->parts, group = rest / j->blocks / j->parts;
	int64_t o0 = block * ROWS, rows = DS_MIN(ROWS, j->ocg - o0), kl0 = kernel_lines * share / j->split, kl1 = kernel_lines * (share + 1) / j->split;
	int64_t all = g->n * g->out[0] * g->out[1], l0 = all * piece / j->parts, l1 = all * (piece + 1) / j->parts, o = group * j->ocg + o0;
	char *mine = j->scratch + (size_t)worker * j->per_worker;
	const void **p = (const void **)(void *)mine;
	float *pack = (float *)(void *)(mine + j->pack_at), *x = (float *)(void *)(mine + j->x_at), *c = j->part + (piece * g->oc + o) * width;
	ds_k_tn k = { .b = p, .ldb = (size_t)most_pixels(j), .rows = (int)rows, .ldc = (size_t)width, .first = true };
	k.taps = j->patches ? 1 : (int)(j->copied ? g->k[2] : (kl1 - kl0) * g->k[2]);
	k.kc = (int)(j->patches ? width : j->icg);
	k.b_block = j->copied ? j->block : 0;
	for (int64_t kx = 0; j->copied && kx < g->k[2]; kx++)
		for (int64_t i = 0; i < most_pixels(j); i++)
			p[kx * most_pixels(j) + i] = x + (i / g->out[2] * j->wide + i % g->out[2] * g->stride[2] + kx * g->dil[2]) * nr;
	for (int64_t l = l0; l < l1 || k.first; l += j->lines, k.first = false) {
		int64_t lines = DS_MAX(DS_MIN(j->lines, l1 - l), 0);
		k.pixels = (int)(lines * g->out[2]);
		k.a = j->dy + l * g->out[2] * g->oc + o;
		k.lda = (size_t)g->oc;
		if (g->oc > NARROW) {
			for (int i = 0; i < k.pixels; i++)
				memcpy(pack + (int64_t)i * rows, k.a + (int64_t)i * g->oc, (size_t)rows * sizeof *pack);
			k.a = pack;
			k.lda = (size_t)rows;
		}
		if (!j->copied) {
			if (j->patches)
				gather(j, p, (float *)(void *)(mine + j->patch_at), l * g->out[2], k.pixels);
			else if (k.pixels)
				ds_conv_tap_rows(g, j->x, j->zero, 4, group * j->icg, l * g->out[2], k.pixels, p, k.ldb, 1);
			k.b = p + (j->patches ? 0 : kl0 * g->k[2] * (int64_t)k.ldb);
			k.c = c + (j->patches ? 0 : kl0 * g->k[2] * j->icg);
			j->kn->fn.tn(&k);
			continue;
		}
		for (int64_t kl = kl0; kl < kl1; kl++) {
			lines_of(j, group, kl / g->k[1], kl % g->k[1], l, lines, x);
			k.c = c + kl * g->k[2] * j->icg;
			j->kn->fn.tn(&k);
		}
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
		ds_pool_run(env->pool, (int)(g.groups * j.parts * j.blocks * j.split), task, &j);
	ds_pool_run(env->pool, (int)g.oc, finish, &j);
	return DS_OK;
}

const ds_variant ds_conv_grad_weight_variants[] = { { "convgradweight.f32.tn", match, NULL, NULL, scratch, forward }, { 0 } };
