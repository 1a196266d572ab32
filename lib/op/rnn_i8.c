/* rnn_i8.c - products of a recurrent operator on integers: rows of f32 become codes as they come, weights are codes already (rnn.h, QLSTM) */
#include "rnnstep.h"
#include "nnsample.h"
#include "../kernel/kernel.h"

#include <math.h>
#include <string.h>

enum { ZERO = 128, TOP = 127 };

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */

ds_status ds_rnn_codes_new(ds_rnn_codes *c, const ds_qweight *w, int64_t first, int64_t n, float step, size_t *bytes, ds_err *err)
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_i8, ds_cpu_allowed());
	int64_t k = w->cols, k4 = (k + 3) / 4 * 4, panels = ds_k_panel_count(kn, n);
	size_t pad = (size_t)(panels * kn->nr), size = ds_k_panels_size(kn, k4, n);
	int8_t *rows = ds_calloc((size_t)(n * k4) + 1, 1);

	*c = (ds_rnn_codes){ .kn = kn, .k4 = k4, .panels = ds_aligned(size), .init = ds_calloc(pad, sizeof *c->init), .mult = ds_calloc(pad, sizeof *c->mult) };
	if (!rows || !c->panels || !c->init || !c->mult) {
		ds_free(rows);
		ds_rnn_codes_done(c);
		return ds_fail_nomem(err, size);
	}
	for (int64_t j = 0; j < n; j++) {
		const int8_t *from = w->code + (first + j) * k;

		memcpy(rows + j * k4, from, (size_t)k);
		for (int64_t i = 0; i < k; i++)
			c->init[j] -= ZERO * from[i];
		c->mult[j] = w->scale[w->scale_step * (first + j)] * (step > 0 ? step : 1.0f);
	}
	for (int64_t p = 0; p < panels; p++)
		ds_k_pack_i8(kn, c->panels + ds_k_panel_at(kn, k4, p), rows, k4, n, p, 1, k4);
	ds_free(rows);
	*bytes += size + pad * (sizeof *c->init + sizeof *c->mult);
	return DS_OK;
}

void ds_rnn_codes_done(ds_rnn_codes *c)
{
	ds_free(c->panels);
	ds_free(c->init);
	ds_free(c->mult);
	*c = (ds_rnn_codes){ 0 };
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------------- */

/* The step of a row: its largest magnitude / 127; not finite if one of its elements is not, so that the sums are not either. */
static float step_of(const float *x, int64_t n)
{
	uint32_t top = 0;
	float peak;

	for (int64_t i = 0; i < n; i++) {
		uint32_t u;

		memcpy(&u, x + i, sizeof u);
		u &= 0x7FFFFFFFu;
		top = u > top ? u : top;
	}
	memcpy(&peak, &top, sizeof peak);
	peak /= TOP;
	return peak >= 0x1p-126f || peak != peak ? peak : 1.0f;
}

/* rint(x / step) + 128, clamped to 1..255: adding 1.5 * 2^23 + 128 leaves the rounded sum in the low bits. */
static void encode(uint8_t *code, const float *x, int64_t n, float step)
{
	float inv = 1.0f / step;

	for (int64_t i = 0; i < n; i++) {
		float v = x[i] * inv;
		uint32_t u;

		v = v > TOP ? TOP : v;
		v = v > -TOP ? v : -TOP;
		v += 0x1.8p23f + ZERO;
		memcpy(&u, &v, sizeof u);
		code[i] = (uint8_t)u;
	}
}

size_t ds_rnn_codes_work(int64_t k, size_t ld)
{
	return ds_pad64(DS_RNN_CHUNK * (uint64_t)((k + 3) / 4 * 4)) + DS_RNN_CHUNK * ld * sizeof(int32_t) + ds_pad64((uint64_t)k * sizeof(float));
}

/* ---- products ------------------------------------------------------------------------------------------------------------------- */

struct coded {
	const ds_rnn_matrix *m;
	const void          *row[DS_RNN_CHUNK];
	float                step[DS_RNN_CHUNK];
	int                  n;
	int32_t             *sum;
	float               *acc;
	size_t               ld;
};

/* Panel p of acc += step * mult * (codes * panel). */
static void coded_panel(void *arg, int64_t p0, int64_t p1, int worker)
{
	const struct coded *d = arg;
	const ds_rnn_codes *c = d->m->codes;
	const ds_kernel *kn = c->kn;

	(void)worker;
	for (int64_t p = p0; p < p1; p++) {
		int64_t at = p * kn->nr, cols = DS_MIN(kn->nr, d->m->n - at);
		ds_k_gemm g = { .a = d->row, .a_rows = (size_t)d->n, .taps = 1, .kc = (int)c->k4, .b = c->panels + ds_k_panel_at(kn, c->k4, p), .rows = d->n,
			.width = ds_k_panel_width(kn, d->m->n, p), .cols = (int)cols, .first = true, .acc = d->sum + at, .ld_acc = d->ld, .init = c->init + at };

		if (d->n == 1 && d->m->step > 0) {              /* one row: the kernel adds what stands there as if it were the bias */
			g.last = g.f32_out = true;
			g.bias = g.c = d->acc + at;
			g.ldc = d->ld;
			g.mult = c->mult + at;
			g.lo = -INFINITY;
			g.hi = INFINITY;
		}
		kn->fn.gemm(&g);
		for (int r = 0; r < d->n && !g.last; r++) {
			const int32_t *s = d->sum + (size_t)r * d->ld + at;
			const float *mult = c->mult + at, step = d->m->step > 0 ? 1.0f : d->step[r];
			float *y = d->acc + (size_t)r * d->ld + at;

			for (int64_t j = 0; j < cols; j++)
				y[j] += (float)s[j] * (mult[j] * step);
		}
	}
}

/* The reference: the same codes as numbers, times decoded weights. */
static void plain(const ds_rnn_matrix *m, const float *const *rows, int64_t n_rows, float *acc, size_t ld)
{
	uint8_t *code = m->work;
	float *x = (float *)((char *)m->work + ds_pad64((uint64_t)m->k));

	for (int64_t i = 0; i < n_rows; i++) {
		float step = m->step > 0 ? m->step : step_of(rows[i], m->k);

		encode(code, rows[i], m->k, step);
		for (int64_t k = 0; k < m->k; k++)
			x[k] = (float)(code[k] - ZERO) * step;
		for (int64_t j = 0; j < m->n; j++) {
			float s = 0;

			for (int64_t k = 0; k < m->k; k++)
				s = fmaf(x[k], m->raw[j * m->k + k], s);
			acc[(size_t)i * ld + (size_t)j] += s;
		}
	}
}

void ds_rnn_product_coded(ds_pool *pool, const ds_rnn_matrix *m, const float *const *rows, int64_t n_rows, float *acc, size_t ld)
{
	struct coded d = { .m = m, .ld = ld };
	uint8_t *code = m->work;

	if (!m->codes) {
		plain(m, rows, n_rows, acc, ld);
		return;
	}
	if (m->k == 0)
		return;
	d.sum = (int32_t *)(void *)(code + ds_pad64(DS_RNN_CHUNK * (uint64_t)m->codes->k4));
	for (int64_t at = 0; at < n_rows; at += DS_RNN_CHUNK) {
		int64_t panels = ds_k_panel_count(m->codes->kn, m->n);

		d.n = (int)DS_MIN(DS_RNN_CHUNK, n_rows - at);
		d.acc = acc + (size_t)at * ld;
		for (int i = 0; i < d.n; i++) {
			uint8_t *row = code + i * m->codes->k4;

			d.step[i] = m->step > 0 ? m->step : step_of(rows[at + i], m->k);
			encode(row, rows[at + i], m->k, d.step[i]);
			for (int64_t k = m->k; k < m->codes->k4; k++)
				row[k] = ZERO;                                  /* the panels are 0 there */
			d.row[i] = row;
		}
		ds_nn_for(pool, panels, (double)(d.n * m->n) * (double)m->k < 2e6 ? panels : 1, coded_panel, &d);
	}
}

/* ---- samples -------------------------------------------------------------------------------------------------------------------- */

ds_value *ds_rnn_sample_codes(ds_graph *g, ds_rng *r, const int64_t dim[3], bool per_row)
{
	static const ds_qform form[2] = {
		{ .code = DS_I8, .scheme = DS_Q_SYM, .gran = DS_Q_TENSOR, .row_dims = 2, .scale_dtype = DS_F32 },
		{ .code = DS_I8, .scheme = DS_Q_SYM, .gran = DS_Q_ROW, .row_dims = 2, .scale_dtype = DS_F32 },
	};
	ds_tensor t = { .dtype = DS_F32, .rank = 3, .dim = { dim[0], dim[1], dim[2] }, .q = &form[per_row] };
	ds_qsize size;
	char *name;

	if (ds_qform_size(t.q, 3, dim, &size, NULL) != DS_OK || !(t.buf = ds_buffer_new(size.total)))
		return NULL;
	t.data = ds_buffer_data(t.buf);
	for (int64_t i = 0; i < size.rows; i++)
		for (int64_t k = 0; k < size.cols; k++)
			((int8_t *)t.data)[(uint64_t)i * size.code_stride + (uint64_t)k] = (int8_t)ds_sample_int(r, -127, 127);
	for (int64_t i = 0; i < size.scales; i++)
		((float *)(void *)((char *)t.data + size.scale_off))[i] = (float)(0.001 + ds_rng_f64(r) * 0.004);
	name = ds_arena_printf(&ds_graph_root(g)->arena, "codes%d", g->n_weight);
	return name ? ds_graph_weight(g, DS_V_PARAM, name, &t) : NULL;
}
