/* convgrad_fast.c - fast f32 rows of ConvGradInput (and the loops of ConvTranspose's): indirect products over channels-last gradients, one per phase of the stride
 *
 * An input position is reached by the taps k with (i + pad - k*dilation) divisible by the stride: which ones depends on i modulo the stride only.  Each such phase is a
 * convolution of stride 1 over dY with its own taps of W, turned round: no product with the zeros that a dilated gradient would have. */
#include "conv_fast.h"
#include "convgrad.h"

#include <string.h>

/* Phases at most; beyond them and DS_CONV_TAPS_MAX taps the reference runs. */
enum { PHASES = DS_IGEMM_RUNS, PHASE_TAPS = 512 };

/* One phase: positions start + stride*j, 0 <= j < count, and the taps that reach them. */
typedef struct phase {
	int64_t start[3], count[3];
	int     taps;
	int64_t *tap;           /* index in the kernel */
	int64_t (*off)[3];      /* output position of the tap is j + off */
} phase;

/* Every tap belongs to one phase. */
typedef struct plan { phase ph[PHASES]; int64_t tap[PHASE_TAPS], off[PHASE_TAPS][3]; } plan;

static int64_t phases_of(const ds_conv_geo *g) { return g->stride[0] * g->stride[1] * g->stride[2]; }

static void phase_of(const ds_conv_geo *g, int64_t index, phase *p)
{
	p->start[2] = index % g->stride[2];
	p->start[1] = index / g->stride[2] % g->stride[1];
	p->start[0] = index / (g->stride[2] * g->stride[1]);
	p->taps = 0;
	for (int i = 0; i < 3; i++)
		p->count[i] = g->in[i] > p->start[i] ? (g->in[i] - p->start[i] + g->stride[i] - 1) / g->stride[i] : 0;
	int64_t taps = g->k[0] * g->k[1] * g->k[2];
	for (int64_t t = 0; t < taps; t++) {
		const int64_t k[3] = { t / (g->k[1] * g->k[2]), t / g->k[2] % g->k[1], t % g->k[2] };
		bool reaches = true;
		for (int i = 0; i < 3; i++) {
			int64_t d = p->start[i] + g->pad[i] - k[i] * g->dil[i];
			reaches = reaches && d % g->stride[i] == 0;
		}
		for (int i = 0; reaches && i < 3; i++)
			p->off[p->taps][i] = (p->start[i] + g->pad[i] - k[i] * g->dil[i]) / g->stride[i];
		if (reaches)
			p->tap[p->taps++] = t;
	}
}

static void plan_of(const ds_conv_geo *g, plan *p)
{
	for (int64_t i = 0, at = 0; i < phases_of(g); i++) {
		p->ph[i].tap = p->tap + at;
		p->ph[i].off = p->off + at;
		phase_of(g, i, &p->ph[i]);
		at += p->ph[i].taps;
	}
}

static int64_t phase_rows(const ds_conv_geo *g, const phase *p) { return g->n * p->count[0] * p->count[1] * p->count[2]; }

typedef struct source { const ds_conv_geo *g; const phase *ph; const char *dy, *zero; float *dx; } source;

/* Row pointers of the product: for each tap the pixel of dY, or zeros. */
static void grad_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride)
{
	const source *s = arg;
	const ds_conv_geo *g = s->g;
	const phase *ph = s->ph;
	const size_t px = (size_t)g->oc * 4, goff = (size_t)(group * (g->oc / g->groups)) * 4;
	for (int r = 0; r < rows;) {
		int64_t m = m0 + r, jx = m % ph->count[2], jy = m / ph->count[2] % ph->count[1], rest = m / (ph->count[2] * ph->count[1]);
		int64_t jz = rest % ph->count[0], img = rest / ph->count[0];
		int run = (int)DS_MIN(ph->count[2] - jx, rows - r);
		const void **q = p + r;
		for (int t = 0; t < ph->taps; t++, q += stride) {
			int64_t oz = jz + ph->off[t][0], oy = jy + ph->off[t][1], ox = jx + ph->off[t][2];
			bool inside = oz >= 0 && oz < g->out[0] && oy >= 0 && oy < g->out[1];
			const char *line = inside ? s->dy + (size_t)((img * g->out[0] + oz) * g->out[1] + oy) * (size_t)g->out[2] * px + goff : NULL;
			ds_conv_line(q, 1, run, line, ox, 1, g->out[2], px, s->zero);
		}
		r += run;
	}
}

/* Where rows [m0, m0 + rows) of the phase lie in dX. */
static void grad_out(const void *arg, int64_t m0, int rows, void **p)
{
	const source *s = arg;
	const ds_conv_geo *g = s->g;
	const phase *ph = s->ph;
	for (int r = 0; r < rows;) {
		int64_t m = m0 + r, jx = m % ph->count[2], jy = m / ph->count[2] % ph->count[1], rest = m / (ph->count[2] * ph->count[1]);
		int64_t jz = rest % ph->count[0], img = rest / ph->count[0], run = DS_MIN(ph->count[2] - jx, rows - r);
		int64_t z = ph->start[0] + jz * g->stride[0], y = ph->start[1] + jy * g->stride[1], x = ph->start[2] + jx * g->stride[2];
		float *at = s->dx + (((img * g->in[0] + z) * g->in[1] + y) * g->in[2] + x) * g->ic;
		for (int64_t i = 0; i < run; i++)
			p[r + i] = at + i * g->stride[2] * g->ic;
		r += (int)run;
	}
}

static bool depthwise(const ds_conv_geo *g) { return g->groups > 1 && g->ic == g->groups && g->oc == g->groups; }
static size_t zero_bytes(const ds_conv_geo *g) { return (size_t)ds_pad64((uint64_t)g->oc * 4 + 64); }

/* ---- depthwise: vectors over channels, all taps of a pixel, zeros where a tap does not reach ------------------------------------------------ */
typedef struct dwjob { const ds_conv_geo *g; const ds_kernel *kn; const float *dy, *w, *zero, *bias; float *dx; char *scratch; size_t per_worker, ldw; } dwjob;

static size_t dw_worker(const ds_conv_geo *g) { return (size_t)ds_pad64((uint64_t)(g->in[2] * g->k[0] * g->k[1] * g->k[2]) * sizeof(void *)); }
static size_t dw_ldw(const ds_conv_geo *g) { return (size_t)(g->oc + 63) / 64 * 64; }

static int64_t reach(const ds_conv_geo *g, int axis, int64_t i, int64_t k)
{
	int64_t d = i + g->pad[axis] - k * g->dil[axis];
	return d < 0 || d % g->stride[axis] || d / g->stride[axis] >= g->out[axis] ? -1 : d / g->stride[axis];
}

static void dw_task(void *arg, int task, int worker)
{
	const dwjob *j = arg;
	const ds_conv_geo *g = j->g;
	const int taps = (int)(g->k[0] * g->k[1] * g->k[2]);
	int64_t y = task % g->in[1], z = task / g->in[1] % g->in[0], img = task / (g->in[1] * g->in[0]);
	const void **p = (const void **)(void *)(j->scratch + (size_t)worker * j->per_worker);
	for (int t = 0; t < taps; t++) {
		int64_t oz = reach(g, 0, z, t / (g->k[1] * g->k[2])), oy = reach(g, 1, y, t / g->k[2] % g->k[1]);
		const float *line = oz < 0 || oy < 0 ? NULL : j->dy + ((img * g->out[0] + oz) * g->out[1] + oy) * g->out[2] * g->oc;
		for (int64_t x = 0; x < g->in[2]; x++) {
			int64_t ox = line ? reach(g, 2, x, t % g->k[2]) : -1;
			p[x * taps + t] = ox < 0 ? j->zero : line + ox * g->oc;
		}
	}
	j->kn->fn.dw(&(ds_k_dw){ .a = p, .n = (int)g->in[2], .taps = taps, .chans = (int)g->oc, .w = j->w, .ldw = j->ldw, .c = j->dx + (int64_t)task * g->in[2] * g->ic,
		.ldc = (size_t)g->ic, .bias = j->bias, .lo = -__builtin_inff(), .hi = __builtin_inff() });
}

static void dw_go(const ds_env *env, const ds_conv_geo *g, const float *dy, const float *w, const float *bias, float *dx)
{
	int64_t taps = g->k[0] * g->k[1] * g->k[2];
	float *zero = env->scratch, *packed = (float *)(void *)((char *)env->scratch + zero_bytes(g));
	dwjob j = { .g = g, .kn = ds_kernel_pick(DS_K_dw_f32, ds_cpu_allowed()), .dy = dy, .w = packed, .zero = zero, .dx = dx, .per_worker = dw_worker(g), .ldw = dw_ldw(g) };
	memset(zero, 0, zero_bytes(g));
	for (int64_t t = 0; t < taps; t++)
		for (int64_t c = 0; c < (int64_t)j.ldw; c++)
			packed[t * (int64_t)j.ldw + c] = c < g->oc ? w[c * taps + t] : 0;
	float *start = packed + taps * (int64_t)j.ldw;         /* the kernel reads whole vectors of it */
	for (int64_t c = 0; c < (int64_t)j.ldw; c++)
		start[c] = bias && c < g->ic ? bias[c] : 0;
	j.bias = start;
	j.scratch = (char *)(start + j.ldw);
	ds_pool_run(env->pool, (int)(g->n * g->in[0] * g->in[1]), dw_task, &j);
}

/* ---- together -------------------------------------------------------------------------------------------------------------------------------- */
bool ds_conv_grad_fast_ok(const ds_conv_geo *g) { return g->k[0] * g->k[1] * g->k[2] <= PHASE_TAPS && phases_of(g) <= PHASES; }

size_t ds_conv_grad_fast_scratch(const ds_conv_geo *g, bool bf16, int threads)
{
	plan p;
	size_t most = 0, packed = 0;
	if (depthwise(g))
		return zero_bytes(g) + (size_t)(g->k[0] * g->k[1] * g->k[2] + 1) * dw_ldw(g) * 4 + dw_worker(g) * (size_t)threads;
	plan_of(g, &p);
	for (int64_t i = 0; i < phases_of(g); i++) {
		ds_igemm m;
		packed += ds_igemm_place(&m, bf16, g->groups, g->ic / g->groups, p.ph[i].taps, g->oc / g->groups, NULL);
		m.scatter = phases_of(g) > 1;
		most = DS_MAX(most, ds_igemm_scratch(&m, phase_rows(g, &p.ph[i]), threads));
	}
	return zero_bytes(g) + packed + most;
}

void ds_conv_grad_fast_go(const ds_env *env, const ds_conv_geo *g, bool bf16, const float *dy, const float *w, const float *bias, float *dx)
{
	plan p;
	source src[PHASES];
	ds_igemm m[PHASES];
	ds_igemm_run run[PHASES];
	char *rest = (char *)env->scratch + zero_bytes(g);
	int64_t taps = g->k[0] * g->k[1] * g->k[2], icg = g->ic / g->groups, ocg = g->oc / g->groups, phases = phases_of(g);
	if (depthwise(g)) {
		dw_go(env, g, dy, w, bias, dx);
		return;
	}
	memset(env->scratch, 0, zero_bytes(g));
	plan_of(g, &p);
	for (int64_t i = 0; i < phases; i++) {
		const phase *ph = &p.ph[i];
		src[i] = (source){ .g = g, .ph = ph, .dy = (const char *)dy, .zero = env->scratch, .dx = dx };
		rest += ds_igemm_place(&m[i], bf16, g->groups, icg, ph->taps, ocg, rest);
		m[i].scatter = phases > 1;
		ds_igemm_weights(env->pool, &m[i],
			&(ds_igemm_w){ .w = w, .bias = bias, .tap = ph->tap, .taps = ph->taps, .s_group = ocg * icg * taps, .s_c = icg * taps, .s_n = taps });
		run[i] = (ds_igemm_run){ .g = &m[i], .m = phase_rows(g, ph), .rows = grad_rows, .rows_arg = &src[i], .c = dx, .out = phases > 1 ? grad_out : NULL };
	}
	for (int64_t i = 0; i < phases; i++)
		run[i].scratch = rest;
	ds_igemm_go_all(env->pool, run, (int)phases);
}

/* ---- the variant ------------------------------------------------------------------------------------------------------------------------------ */
static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	if (out->dtype != DS_F32 || ds_type_count(out) == 0 || ds_type_count(&in[0].type) == 0 || (in[1].value && in[1].value->q))
		return false;
	ds_conv_geo g = ds_conv_geometry(n->a, out, &in[1].type, &in[0].type);
	want[0] = *out_layout = DS_CHANNELS_LAST;
	want[1] = DS_PLAIN;
	return ds_conv_grad_fast_ok(&g);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_conv_geo g = ds_conv_geometry(n->a, out, &in[1].type, &in[0].type);
	return ds_conv_grad_fast_scratch(&g, DS_A(ds_conv_grad_attr, n)->bf16 != 0, threads);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(out[0]), w = ds_type_of(in[1]), y = ds_type_of(in[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	ds_conv_grad_fast_go(env, &g, DS_A(ds_conv_grad_attr, n)->bf16 != 0, in[0]->data, in[1]->data, NULL, out[0]->data);
	return DS_OK;
}

const ds_variant ds_conv_grad_input_variants[] = { { "convgradinput.f32.igemm", match, NULL, NULL, scratch, forward }, { 0 } };
