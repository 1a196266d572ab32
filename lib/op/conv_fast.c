/* conv_fast.c - convolution as an indirect matrix product over channels-last tensors, and depthwise convolution by rows */
#include "conv_fast.h"

#include <string.h>

enum { FEW_CHANNELS = 8 };      /* at most as many: staging pays, because a tap would be a run of a few elements */

bool ds_conv_fast_how(const ds_conv_geo *g, bool i8, ds_conv_how *how)
{
	int64_t icg = g->ic / g->groups;
	if (g->groups > 1 && icg == 1 && g->oc == g->groups)
		*how = DS_CONV_DEPTHWISE;
	else if (g->groups == 1 && g->k[1] * g->k[2] * g->k[0] > 1 && icg <= FEW_CHANNELS)
		*how = DS_CONV_STAGED;
	else if (i8 && icg % 4)
		return *how = DS_CONV_STAGED, g->groups == 1;
	else
		*how = DS_CONV_TAPS;
	return g->ic > 0 && g->oc > 0;
}

static int64_t taps_of(const ds_conv_geo *g) { return g->k[0] * g->k[1] * g->k[2]; }

/* A staged pixel is padded to a whole number of int8 quads. */
static int64_t staged_channels(const ds_conv_geo *g, bool i8) { return i8 ? (g->ic + 3) / 4 * 4 : g->ic; }

static void staged_dims(const ds_conv_geo *g, int64_t sdim[3])
{
	for (int i = 0; i < 3; i++)
		sdim[i] = (g->out[i] - 1) * g->stride[i] + (g->k[i] - 1) * g->dil[i] + 1;
}

/* Taps along x are one run of a staged row when they touch. */
static bool merged(const ds_conv_geo *g) { return g->dil[2] == 1; }

/* ---- prepare ---------------------------------------------------------------------------------------------------------------------- */
/* Weights [oc][icg][taps] -> row-major [oc][taps][cp], the order of the sum. */
static void *taps_first(const ds_conv_geo *g, const void *w, size_t elem, int64_t cp)
{
	int64_t icg = g->ic / g->groups, taps = taps_of(g);
	char *out = ds_calloc((size_t)(g->oc * taps * cp), elem);
	for (int64_t o = 0; out && o < g->oc; o++)
		for (int64_t c = 0; c < icg; c++)
			for (int64_t t = 0; t < taps; t++)
				memcpy(out + (size_t)((o * taps + t) * cp + c) * elem, (const char *)w + (size_t)((o * icg + c) * taps + t) * elem, elem);
	return out;
}

static ds_status depthwise_new(ds_conv_fast *f, const ds_conv_geo *g, const void *w, bool i8, ds_err *err)
{
	int64_t taps = taps_of(g);
	f->dw = ds_kernel_pick(i8 ? DS_K_dw_i8 : DS_K_dw_f32, ds_cpu_allowed());
	f->ldw = (size_t)(g->oc + 63) / 64 * 64;
	f->dw_w = ds_aligned((size_t)taps * f->ldw * f->elem);
	/* vectors over channels: one group of oc columns, as the epilogue sees it */
	ds_igemm *m = &f->mm;
	*m = (ds_igemm){ .act_kn = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed()), .i8 = i8, .groups = 1, .n = g->oc, .n_pad = (int64_t)f->ldw,
		.lo = -__builtin_inff(), .hi = __builtin_inff() };
	m->bias = ds_aligned(f->ldw * 4);
	m->mult = ds_aligned(f->ldw * 4);
	m->init = ds_aligned(f->ldw * 4);
	if (!f->dw_w || !m->bias || !m->mult || !m->init)
		return ds_fail_nomem(err, (size_t)taps * f->ldw * f->elem);
	memset(f->dw_w, 0, (size_t)taps * f->ldw * f->elem);
	memset(m->bias, 0, f->ldw * 4);
	memset(m->mult, 0, f->ldw * 4);
	memset(m->init, 0, f->ldw * 4);
	for (int64_t o = 0; o < g->oc; o++)
		for (int64_t t = 0; t < taps; t++)
			memcpy((char *)f->dw_w + ((size_t)t * f->ldw + (size_t)o) * f->elem, (const char *)w + (size_t)(o * taps + t) * f->elem, f->elem);
	f->bytes = (size_t)taps * f->ldw * f->elem + f->ldw * 12;
	return DS_OK;
}

ds_status ds_conv_fast_new(ds_conv_fast *f, const ds_conv_geo *g, bool i8, const void *w, int32_t x_zp, ds_err *err)
{
	ds_status rc = DS_OK;
	*f = (ds_conv_fast){ .elem = i8 ? 1 : 4 };
	ds_conv_fast_how(g, i8, &f->how);
	size_t zero = (size_t)ds_pad64((uint64_t)g->ic * f->elem + 64);
	f->zero = ds_aligned(zero);
	if (!f->zero)
		return ds_fail_nomem(err, zero);
	memset(f->zero, i8 ? x_zp : 0, zero);
	if (f->how == DS_CONV_DEPTHWISE) {
		DS_GOTO(depthwise_new(f, g, w, i8, err));
		return DS_OK;
	}
	int64_t icg = g->ic / g->groups, ocg = g->oc / g->groups, taps = taps_of(g);
	f->cp = f->how == DS_CONV_STAGED ? staged_channels(g, i8) : icg;
	bool merge = f->how == DS_CONV_STAGED && merged(g);
	DS_GOTO(ds_igemm_new(&f->mm, i8, g->groups, ocg, merge ? taps / g->k[2] : taps, merge ? f->cp * g->k[2] : f->cp, err));
	void *ordered = taps_first(g, w, f->elem, f->cp);
	if (!ordered) {
		rc = ds_fail_nomem(err, (size_t)(g->oc * taps * f->cp) * f->elem);
		goto out;
	}
	for (int64_t i = 0; i < g->groups; i++) {
		const char *part = (const char *)ordered + (size_t)(i * ocg * taps * f->cp) * f->elem;
		if (i8)
			ds_igemm_pack_i8(&f->mm, i, (const int8_t *)part, 1, taps * f->cp);
		else
			ds_igemm_pack_f32(&f->mm, i, (const float *)part, 1, taps * f->cp);
	}
	ds_free(ordered);
	f->bytes = f->mm.bytes + zero;
	return DS_OK;
out:
	ds_conv_fast_done(f);
	return rc;
}

/* ---- weights of one run --------------------------------------------------------------------------------------------------------------- */
size_t ds_conv_fast_place(ds_conv_fast *f, const ds_conv_geo *g, bool bf16, void *at)
{
	size_t zero = (size_t)ds_pad64((uint64_t)g->ic * 4 + 64), used;
	char *p = at;
	*f = (ds_conv_fast){ .elem = 4, .zero = at };
	ds_conv_fast_how(g, false, &f->how);
	int64_t icg = g->ic / g->groups, taps = taps_of(g);
	if (f->how == DS_CONV_DEPTHWISE) {
		f->dw = ds_kernel_pick(DS_K_dw_f32, ds_cpu_allowed());
		f->ldw = (size_t)(g->oc + 63) / 64 * 64;
		f->dw_w = at ? p + zero : NULL;
		f->mm = (ds_igemm){ .act_kn = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed()), .groups = 1, .n = g->oc, .n_pad = (int64_t)f->ldw, .lo = -__builtin_inff(),
			.hi = __builtin_inff() };
		f->mm.bias = at ? (float *)f->dw_w + (size_t)taps * f->ldw : NULL;
		return zero + ((size_t)taps + 1) * f->ldw * 4;
	}
	f->cp = icg;
	bool merge = f->how == DS_CONV_STAGED && merged(g);
	used = ds_igemm_place(&f->mm, bf16 && f->how == DS_CONV_TAPS, g->groups, g->oc / g->groups, merge ? taps / g->k[2] : taps, merge ? f->cp * g->k[2] : f->cp, at ? p + zero : NULL);
	return zero + used;
}

void ds_conv_fast_weights(ds_pool *pool, ds_conv_fast *f, const ds_conv_geo *g, const float *w, const float *bias)
{
	int64_t icg = g->ic / g->groups, ocg = g->oc / g->groups, taps = taps_of(g), at[DS_CONV_TAPS_MAX];
	memset(f->zero, 0, (size_t)ds_pad64((uint64_t)g->ic * 4 + 64));
	if (f->how == DS_CONV_DEPTHWISE) {
		for (int64_t o = 0; o < (int64_t)f->ldw; o++) {
			f->mm.bias[o] = bias && o < g->oc ? bias[o] : 0;
			for (int64_t t = 0; t < taps; t++)
				((float *)f->dw_w)[t * (int64_t)f->ldw + o] = o < g->oc ? w[o * taps + t] : 0;
		}
		return;
	}
	for (int64_t t = 0; t < taps; t++)
		at[t] = t;
	ds_igemm_weights(pool, &f->mm, &(ds_igemm_w){ .w = w, .bias = bias, .tap = at, .taps = (int)taps, .s_group = ocg * icg * taps, .s_c = taps, .s_n = icg * taps });
}

void ds_conv_fast_done(ds_conv_fast *f)
{
	ds_igemm_done(&f->mm);
	ds_free(f->dw_w);
	ds_free(f->zero);
	*f = (ds_conv_fast){ 0 };
}

/* ---- row pointers ----------------------------------------------------------------------------------------------------------------- */
typedef struct source { const ds_conv_fast *f; const ds_conv_geo *g; const char *x; int64_t sdim[3]; } source;

void ds_conv_line(const void **q, size_t step, int n, const char *line, int64_t ix, int64_t by, int64_t width, size_t px, const void *zero)
{
	/* [lo, hi): inside the line; lines are short and their ends few: divisions only where they are needed */
	int64_t lo = 0, hi = n;
	if (!line || ix >= width) {
		lo = n;
	} else {
		if (ix < 0)
			lo = by == 1 ? -ix : (-ix + by - 1) / by;
		if (ix + (n - 1) * by >= width)
			hi = by == 1 ? width - ix : (width - ix + by - 1) / by;
	}
	lo = DS_MIN(lo, n);
	hi = DS_MAX(hi, lo);
	for (int64_t i = 0; i < lo; i++)
		q[(size_t)i * step] = zero;
	const uintptr_t d = (uintptr_t)by * px;
	uintptr_t at = (uintptr_t)line + (uintptr_t)(ix + lo * by) * px;
	if (step == 1)
		for (int64_t i = lo; i < hi; i++, at += d)
			q[i] = (const void *)at;
	else
		for (int64_t i = lo; i < hi; i++, at += d)
			q[(size_t)i * step] = (const void *)at;
	for (int64_t i = hi; i < n; i++)
		q[(size_t)i * step] = zero;
}

/* Rows are output pixels in order (image, z, y, x); they are visited in runs of one output row, tap by tap. */
void ds_conv_tap_rows(const ds_conv_geo *g, const void *x, const void *zero, size_t elem, int64_t c0, int64_t m0, int rows, const void **p, size_t stride, size_t step)
{
	const size_t px = (size_t)g->ic * elem, goff = (size_t)c0 * elem;
	for (int r = 0; r < rows;) {
		int64_t m = m0 + r, ox = m % g->out[2], oy = m / g->out[2] % g->out[1], rest = m / (g->out[2] * g->out[1]);
		int64_t oz = rest % g->out[0], img = rest / g->out[0];
		int run = (int)DS_MIN(g->out[2] - ox, rows - r);
		const void **q = p + (size_t)r * step;
		for (int64_t kz = 0; kz < g->k[0]; kz++)
			for (int64_t ky = 0; ky < g->k[1]; ky++) {
				int64_t iz = oz * g->stride[0] + kz * g->dil[0] - g->pad[0], iy = oy * g->stride[1] + ky * g->dil[1] - g->pad[1];
				bool inside = iz >= 0 && iz < g->in[0] && iy >= 0 && iy < g->in[1];
				const char *line = inside ? (const char *)x + (size_t)((img * g->in[0] + iz) * g->in[1] + iy) * (size_t)g->in[2] * px + goff : (const char *)zero;
				for (int64_t kx = 0; kx < g->k[2]; kx++, q += stride)
					ds_conv_line(q, step, run, inside ? line : NULL, ox * g->stride[2] + kx * g->dil[2] - g->pad[2], g->stride[2], g->in[2], px, zero);
			}
		r += run;
	}
}

static inline void taps_of_rows(const source *s, int64_t c0, int64_t m0, int rows, const void **p, size_t stride, size_t step)
{
	ds_conv_tap_rows(s->g, s->x, s->f->zero, s->f->elem, c0, m0, rows, p, stride, step);
}

static void conv_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride)
{
	const source *s = arg;
	taps_of_rows(s, group * (s->g->ic / s->g->groups), m0, rows, p, stride, 1);
}

/* The staged input has its padding in place: every pointer is plain arithmetic. */
void ds_conv_stage_rows(const ds_conv_geo *g, const void *staged, int64_t cp, size_t elem, int64_t m0, int rows, const void **p, size_t stride)
{
	const size_t px = (size_t)cp * elem, d = (size_t)g->stride[2] * px;
	int64_t sdim[3];
	staged_dims(g, sdim);
	for (int r = 0; r < rows;) {
		int64_t m = m0 + r, ox = m % g->out[2], oy = m / g->out[2] % g->out[1], rest = m / (g->out[2] * g->out[1]);
		int64_t oz = rest % g->out[0], img = rest / g->out[0];
		int run = (int)DS_MIN(g->out[2] - ox, rows - r);
		const void **q = p + r;
		for (int64_t kz = 0; kz < g->k[0]; kz++)
			for (int64_t ky = 0; ky < g->k[1]; ky++) {
				int64_t z = oz * g->stride[0] + kz * g->dil[0], y = oy * g->stride[1] + ky * g->dil[1];
				const char *line = (const char *)staged + (size_t)((img * sdim[0] + z) * sdim[1] + y) * (size_t)sdim[2] * px;
				for (int64_t kx = 0; kx < (merged(g) ? 1 : g->k[2]); kx++, q += stride) {
					uintptr_t at = (uintptr_t)line + (uintptr_t)(ox * g->stride[2] + kx * g->dil[2]) * px;
					for (int i = 0; i < run; i++, at += d)
						q[i] = (const void *)at;
				}
			}
		r += run;
	}
}

static void staged_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride)
{
	const source *s = arg;
	ds_conv_stage_rows(s->g, s->x, s->f->cp, s->f->elem, m0, rows, p, stride);
}

/* ---- staging ---------------------------------------------------------------------------------------------------------------------- */
typedef struct stage { const ds_conv_fast *f; const ds_conv_geo *g; const int64_t *sdim; const ds_tensor *x; char *to; int32_t pad; } stage;

#define STAGE_ROW(T) do { \
	T *d = (T *)to; \
	for (int64_t i = 0; i < s->sdim[2] * f->cp; i++) \
		d[i] = (T)s->pad; \
	if (!inside) \
		return; \
	d += x0 * f->cp; \
	if (s->x->layout == DS_CHANNELS_LAST) { \
		const T *src = (const T *)s->x->data + ((img * g->in[0] + iz) * g->in[1] + iy) * g->in[2] * g->ic + from * g->ic; \
		for (int64_t i = 0; i < n; i++) \
			for (int64_t c = 0; c < g->ic; c++) \
				d[i * f->cp + c] = src[i * g->ic + c]; \
	} else { \
		for (int64_t c = 0; c < g->ic; c++) { \
			const T *src = (const T *)s->x->data + (((img * g->ic + c) * g->in[0] + iz) * g->in[1] + iy) * g->in[2] + from; \
			for (int64_t i = 0; i < n; i++) \
				d[i * f->cp + c] = src[i]; \
		} \
	} \
} while (0)

/* One staged row: padding, then the part of the input row that is there. */
static void stage_row(void *arg, int task, int worker)
{
	const stage *s = arg;
	const ds_conv_fast *f = s->f;
	const ds_conv_geo *g = s->g;
	int64_t sy = task % s->sdim[1], sz = task / s->sdim[1] % s->sdim[0], img = task / (s->sdim[1] * s->sdim[0]);
	int64_t iy = sy - g->pad[1], iz = sz - g->pad[0];
	bool inside = iy >= 0 && iy < g->in[1] && iz >= 0 && iz < g->in[0];
	int64_t x0 = g->pad[2], from = 0, n = DS_MIN(g->in[2], s->sdim[2] - x0);
	char *to = s->to + (size_t)task * (size_t)(s->sdim[2] * f->cp) * f->elem;
	inside = inside && n > 0;
	if (f->elem == 1)
		STAGE_ROW(uint8_t);
	else
		STAGE_ROW(float);
}

void ds_conv_stage(ds_pool *pool, const ds_conv_geo *g, const ds_tensor *x, float *to)
{
	int64_t sdim[3];
	const ds_conv_fast f = { .elem = 4, .cp = g->ic };
	staged_dims(g, sdim);
	ds_pool_run(pool, (int)(g->n * sdim[0] * sdim[1]), stage_row, &(stage){ .f = &f, .g = g, .sdim = sdim, .x = x, .to = (char *)to });
}

/* ---- depthwise -------------------------------------------------------------------------------------------------------------------- */
/* Tasks are (output row, block of channels); rows are long enough in the first layers, channels many enough in the last. */
typedef struct dwjob { source src; const ds_conv_fast *f; const void *res; void *y; void *scratch; int64_t cblocks, cblock; size_t per_worker; } dwjob;

static int64_t dw_blocks(const ds_conv_geo *g, int64_t *cblock)
{
	int64_t rows = g->n * g->out[0] * g->out[1], want = DS_MAX((32 + rows - 1) / rows, 1);
	*cblock = DS_MAX((g->oc / want + 63) / 64 * 64, 64);
	return (g->oc + *cblock - 1) / *cblock;
}

static size_t dw_per_worker(const ds_conv_geo *g) { return (size_t)ds_pad64((uint64_t)(g->out[2] * taps_of(g)) * sizeof(void *)); }

static void dw_task(void *arg, int task, int worker)
{
	const dwjob *j = arg;
	const ds_conv_fast *f = j->f;
	const ds_conv_geo *g = j->src.g;
	int taps = (int)taps_of(g), n = (int)g->out[2];
	int64_t row = task / j->cblocks, c0 = task % j->cblocks * j->cblock, chans = DS_MIN(j->cblock, g->oc - c0);
	const void **by_pixel = (const void **)((char *)j->scratch + (size_t)worker * j->per_worker);
	taps_of_rows(&j->src, c0, row * n, n, by_pixel, 1, (size_t)taps);
	const ds_igemm *m = &f->mm;
	size_t at = (size_t)(row * n * g->oc + c0), celem = m->i8 && !m->f32_out ? 1 : 4, relem = m->i8 ? 1 : 4;
	ds_k_dw d = {
		.a = by_pixel, .n = n, .taps = taps, .chans = (int)chans, .w = (const char *)f->dw_w + (size_t)c0 * f->elem, .ldw = f->ldw,
		.c = (char *)j->y + at * celem, .ldc = (size_t)g->oc, .bias = m->bias + c0, .mult = m->mult ? m->mult + c0 : NULL,
		.init = m->init ? m->init + c0 : NULL,
		.res = j->res ? (const char *)j->res + at * relem : NULL, .ldr = (size_t)g->oc, .lo = m->lo, .hi = m->hi, .res_mult = m->res_mult,
		.res_zp = m->res_zp, .zp = m->y_zp, .f32_out = m->f32_out,
	};
	f->dw->fn.dw(&d);
	for (int i = 0; i < n && m->act != DS_ACT_NONE; i++) {
		float *c = (float *)d.c + (size_t)i * d.ldc;
		m->act_kn->fn.act(c, c, (size_t)chans, m->act, m->act_a, m->act_b);
	}
}

/* ---- running ---------------------------------------------------------------------------------------------------------------------- */
static size_t staged_bytes(const ds_conv_geo *g, bool i8)
{
	int64_t sdim[3];
	staged_dims(g, sdim);
	/* kernels read whole quads: a little slack behind the last row */
	return (size_t)ds_pad64((uint64_t)(g->n * sdim[0] * sdim[1] * sdim[2] * staged_channels(g, i8)) * (i8 ? 1 : 4) + 64);
}

size_t ds_conv_stage_bytes(const ds_conv_geo *g) { return staged_bytes(g, false); }

size_t ds_conv_fast_scratch(const ds_conv_geo *g, bool i8, int threads)
{
	ds_conv_how how;
	ds_conv_fast_how(g, i8, &how);
	if (how == DS_CONV_DEPTHWISE)
		return dw_per_worker(g) * (size_t)threads;
	bool merge = how == DS_CONV_STAGED && merged(g);
	int64_t cp = how == DS_CONV_STAGED ? staged_channels(g, i8) : g->ic / g->groups, taps = taps_of(g);
	const ds_kernel *kn = ds_kernel_pick(i8 ? DS_K_gemm_i8 : DS_K_gemm_f32, ds_cpu_allowed());
	ds_igemm m = { .kn = kn, .groups = g->groups, .n = g->oc / g->groups, .taps = merge ? taps / g->k[2] : taps, .kc = merge ? cp * g->k[2] : cp,
		.elem = i8 ? 1 : 4 };
	m.n_pad = ds_k_panel_count(kn, m.n) * kn->nr;
	return ds_igemm_scratch(&m, g->n * g->out[0] * g->out[1] * g->out[2], threads) + (how == DS_CONV_STAGED ? staged_bytes(g, i8) : 0);
}

size_t ds_conv_fast_run_scratch(const ds_conv_fast *f, const ds_conv_geo *g, int threads)
{
	if (f->how == DS_CONV_DEPTHWISE)
		return dw_per_worker(g) * (size_t)threads;
	return ds_igemm_scratch(&f->mm, g->n * g->out[0] * g->out[1] * g->out[2], threads) + (f->how == DS_CONV_STAGED ? staged_bytes(g, false) : 0);
}

void ds_conv_fast_go(const ds_env *env, const ds_conv_fast *f, const ds_conv_geo *g, const ds_tensor *x, const void *res, void *y)
{
	bool i8 = f->elem == 1;
	source src = { .f = f, .g = g, .x = x->data };
	staged_dims(g, src.sdim);
	char *scratch = env->scratch;
	if (f->how == DS_CONV_DEPTHWISE) {
		dwjob j = { .src = src, .f = f, .res = res, .y = y, .scratch = scratch, .per_worker = dw_per_worker(g) };
		j.cblocks = dw_blocks(g, &j.cblock);
		ds_pool_run(env->pool, (int)(g->n * g->out[0] * g->out[1] * j.cblocks), dw_task, &j);
		return;
	}
	if (f->how == DS_CONV_STAGED) {
		stage s = { .f = f, .g = g, .sdim = src.sdim, .x = x, .to = scratch, .pad = i8 ? f->mm.x_zp : 0 };
		ds_pool_run(env->pool, (int)(g->n * src.sdim[0] * src.sdim[1]), stage_row, &s);
		src.x = scratch;
		scratch += staged_bytes(g, i8);
	}
	ds_igemm_run r = { .g = &f->mm, .m = g->n * g->out[0] * g->out[1] * g->out[2], .rows = f->how == DS_CONV_STAGED ? staged_rows : conv_rows,
		.rows_arg = &src, .c = y, .res = res, .scratch = scratch };
	ds_igemm_go(env->pool, &r);
}
