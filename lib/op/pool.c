/* pool.c - the pooling loops that MaxPool, AveragePool and LpPool share (pool.h) */
#include "pool.h"

#include "../kernel/kernel.h"

#include <math.h>

enum { MAX_TAPS = 256 };

struct job {
	ds_window    w;
	ds_k_pool_fn *f32;
	ds_k_pool_u8_fn *u8;
	ds_pool_kind kind;
	bool         count_pad, colmajor;
	int64_t      channels, p;
	const void  *x;
	void        *y;
	int64_t     *index;
};

/* Taps along axis i that count for the mean at output position o: those inside the input, or also those inside the padding.  What lies
 * behind the padding (ceil_mode) never counts. */
static int64_t counted(const ds_window *w, int i, int64_t o)
{
	int64_t p = o * w->s[i], end = w->in[i] + w->pb[i] + w->pe[i];
	int64_t n = (end - p + w->d[i] - 1) / w->d[i];

	return DS_MIN(n, w->k[i]);
}

static double divisor(const struct job *j, int64_t o, int64_t (*k)[2])
{
	const ds_window *w = &j->w;
	double n;

	if (j->count_pad)
		n = (double)counted(w, 0, o / (w->out[1] * w->out[2])) * (double)counted(w, 1, o / w->out[2] % w->out[1])
			* (double)counted(w, 2, o % w->out[2]);
	else
		n = (double)((k[0][1] - k[0][0]) * (k[1][1] - k[1][0]) * (k[2][1] - k[2][0]));
	return n > 0 ? n : 1;
}

static double lp_term(double v, int64_t p)
{
	v = fabs(v);
	return p == 1 ? v : p == 2 ? v * v : pow(v, (double)p);
}

static double lp_root(double v, int64_t p) { return p == 1 ? v : p == 2 ? sqrt(v) : pow(v, 1.0 / (double)p); }

/* Flat position in a plane whose last two axes run the other way round (storage_order 1). */
static int64_t swap_last(const ds_window *w, int64_t i)
{
	int64_t x = i % w->in[2], y = i / w->in[2] % w->in[1], z = i / (w->in[1] * w->in[2]);

	return z + w->in[0] * (y + w->in[1] * x);
}

#define T       float
#define ACC     float
#define LOWEST  (-INFINITY)
#define BLOCK   16
#define NAME(x) x##_f32
#include "pool_t.h"
#define T       double
#define ACC     double
#define LOWEST  (-INFINITY)
#define BLOCK   16
#define NAME(x) x##_f64
#include "pool_t.h"
#define T       uint8_t
#define ACC     int32_t
#define LOWEST  0
#define BLOCK   64
#define NAME(x) x##_u8
#include "pool_t.h"
#define T       int8_t
#define ACC     int32_t
#define LOWEST  (-128)
#define BLOCK   64
#define NAME(x) x##_i8
#include "pool_t.h"

/* Output rows [i0, i1) of (n, z, y) of a channels-last tensor of f32 or u8 through the kernels: each output position is its list of taps. */
static void last_kernel(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const ds_window *w = &j->w;
	int64_t in_plane = w->in[0] * w->in[1] * w->in[2], rows = w->out[0] * w->out[1], size = j->u8 ? 1 : 4;
	const char *tap[MAX_TAPS];

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const char *x = (const char *)j->x + r / rows * in_plane * j->channels * size;
		char *y = (char *)j->y + r * w->out[2] * j->channels * size;
		int64_t k[3][2], f[3], row = r % rows;

		ds_window_taps(w, 0, row / w->out[1], &k[0][0], &k[0][1], &f[0]);
		ds_window_taps(w, 1, row % w->out[1], &k[1][0], &k[1][1], &f[1]);
		for (int64_t o = 0; o < w->out[2]; o++, y += j->channels * size) {
			int taps = 0;

			ds_window_taps(w, 2, o, &k[2][0], &k[2][1], &f[2]);
			for (int64_t a = k[0][0]; a < k[0][1]; a++)
				for (int64_t b = k[1][0]; b < k[1][1]; b++)
					for (int64_t c = k[2][0]; c < k[2][1]; c++)
						tap[taps++] = x + (((f[0] + a * w->d[0]) * w->in[1] + f[1] + b * w->d[1]) * w->in[2] + f[2]
							+ c * w->d[2]) * j->channels * size;
			if (j->u8) {
				j->u8((uint8_t *)y, (const uint8_t *const *)(const void *)tap, taps, (size_t)j->channels);
				continue;
			}
			j->f32((float *)(void *)y, (const float *const *)(const void *)tap, taps, (size_t)j->channels, j->kind == DS_POOL_AVG);
			if (j->kind == DS_POOL_AVG) {
				float div = (float)divisor(j, row * w->out[2] + o, k), *v = (float *)(void *)y;

				for (int64_t c = 0; c < j->channels; c++)
					v[c] /= div;
			}
		}
	}
}

static const struct { ds_dtype dtype; ds_nn_range_fn *plain, *last; } loops[] = {
	{ DS_F32, plain_f32, last_f32 },
	{ DS_F64, plain_f64, last_f64 },
	{ DS_U8, plain_u8, last_u8 },
	{ DS_I8, plain_i8, last_i8 },
};

ds_status ds_pool_forward(const ds_env *env, const ds_node *n, ds_pool_kind kind, const ds_tensor *x, ds_tensor *y, int64_t *index, ds_err *err)
{
	const ds_pool_attr *a = n->a;
	bool last = x->layout == DS_CHANNELS_LAST;
	struct job j = { .kind = kind, .count_pad = a->count_include_pad != 0, .colmajor = a->storage_order == 1, .channels = x->dim[1],
		.p = a->p, .x = x->data, .y = y->data, .index = index };
	double taps, items;

	if (x->layout != y->layout || (index && last))
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	DS_TRY(ds_window_of(n, x, &j.w, err));
	taps = (double)j.w.k[0] * (double)j.w.k[1] * (double)j.w.k[2];
	for (size_t i = 0; i < DS_COUNTOF(loops); i++) {
		if (loops[i].dtype != x->dtype)
			continue;
		if (last) {
			ds_nn_range_fn *fn = loops[i].last;
			unsigned isa = ds_cpu_allowed();

			if (taps <= MAX_TAPS && x->dtype == DS_F32 && kind != DS_POOL_LP) {
				j.f32 = ds_kernel_pick(DS_K_pool_f32, isa)->fn.pool;
				fn = last_kernel;
			} else if (taps <= MAX_TAPS && x->dtype == DS_U8) {
				j.u8 = ds_kernel_pick(DS_K_pool_u8, isa)->fn.pool_u8;
				fn = last_kernel;
			}
			items = (double)(j.w.out[2] * x->dim[1]);
			ds_nn_for(env->pool, x->dim[0] * j.w.out[0] * j.w.out[1], ds_nn_grain(x->dim[0] * j.w.out[0] * j.w.out[1], items * taps / 4),
				fn, &j);
		} else {
			items = (double)(j.w.out[0] * j.w.out[1] * j.w.out[2]);
			ds_nn_for(env->pool, x->dim[0] * x->dim[1], ds_nn_grain(x->dim[0] * x->dim[1], items * taps), loops[i].plain, &j);
		}
		return DS_OK;
	}
	return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
}

bool ds_pool_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	ds_dtype d = in[0].type.dtype;

	(void)out;
	/* a second output (positions) counts in the plain order */
	if (want[0] != DS_CHANNELS_LAST || (n->n_out > 1 && n->out[1]->name[0]))
		return false;
	*out_layout = DS_CHANNELS_LAST;
	return d == DS_F32 || d == DS_F64 || d == DS_U8 || d == DS_I8;
}

void ds_pool_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	const ds_pool_attr *a = n->a;
	double taps = 1;

	for (int i = 0; i < a->kernel.n; i++)
		taps *= (double)a->kernel.v[i];
	cost->macs = 0;
	cost->flops = (double)ds_type_count(&out[0]) * taps;
	cost->weight_bytes = 0;
	cost->act_bytes = (double)(ds_type_count(&in[0].type) + ds_type_count(&out[0])) * (double)ds_dtype_size(out[0].dtype);
}

int ds_pool_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	(void)in;
	(void)out;
	for (int i = 0; i < n->n_out; i++)
		k = ds_nn_same(link, cap, k, 0, DS_SLOT_OUT + i, 0, 2);
	return k;
}
