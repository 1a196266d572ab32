/* qaveragepool.c - ds.QAveragePool and ds.QGlobalAveragePool: means of codes (fused_q.h) */
#include "fused_q.h"
#include "nnsample.h"
#include "pool.h"
#include "qdq.h"

enum { BLOCK = 64 };

struct job {
	ds_window      w;
	int64_t        channels, batch;
	int64_t        step_c, step_p;  /* distance of channels and of positions in memory */
	bool           count_pad;
	const uint8_t *x;
	uint8_t       *y;
	float          m, lo, hi;
	int32_t        zx, zy;
};

static int64_t counted(const ds_window *w, int i, int64_t o)
{
	int64_t n = (w->in[i] + w->pb[i] + w->pe[i] - o * w->s[i] + w->d[i] - 1) / w->d[i];

	return DS_MIN(n, w->k[i]);
}

/* Output positions [i0, i1) of (batch, position, block of channels). */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const ds_window *w = &j->w;
	int64_t in_plane = w->in[0] * w->in[1] * w->in[2], out_plane = w->out[0] * w->out[1] * w->out[2];
	int64_t blocks = (j->channels + BLOCK - 1) / BLOCK;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		int64_t c0 = i % blocks * BLOCK, o = i / blocks % out_plane, b = i / blocks / out_plane, nc = DS_MIN(BLOCK, j->channels - c0);
		const uint8_t *x = j->x + b * in_plane * j->channels + c0 * j->step_c;
		uint8_t *y = j->y + b * out_plane * j->channels + o * (j->step_c == 1 ? j->channels : 1) + c0 * (j->step_c == 1 ? 1 : out_plane);
		int64_t k[3][2], f[3], pos[3] = { o / (w->out[1] * w->out[2]), o / w->out[2] % w->out[1], o % w->out[2] }, n = 1, taps = 1;
		int32_t sum[BLOCK] = { 0 };

		for (int d = 0; d < 3; d++) {
			ds_window_taps(w, d, pos[d], &k[d][0], &k[d][1], &f[d]);
			taps *= k[d][1] - k[d][0];
			n *= j->count_pad ? counted(w, d, pos[d]) : k[d][1] - k[d][0];
		}
		for (int64_t p = k[0][0]; p < k[0][1]; p++)
			for (int64_t q = k[1][0]; q < k[1][1]; q++)
				for (int64_t r = k[2][0]; r < k[2][1]; r++) {
					const uint8_t *v = x + (((f[0] + p * w->d[0]) * w->in[1] + f[1] + q * w->d[1]) * w->in[2] + f[2] + r * w->d[2])
						* j->step_p;

					if (j->step_c == 1 && nc == BLOCK)
						for (int c = 0; c < BLOCK; c++)
							sum[c] += v[c];
					else
						for (int64_t c = 0; c < nc; c++)
							sum[c] += v[c * j->step_c];
				}
		for (int64_t c = 0; c < nc; c++) {
			float v = (float)(sum[c] - (int32_t)taps * j->zx) / (float)(n > 0 ? n : 1) * j->m;

			v = v > j->lo ? v : j->lo;
			v = v < j->hi ? v : j->hi;
			y[c * (j->step_c == 1 ? 1 : out_plane)] = (uint8_t)((int32_t)ds_rint_small(v) + j->zy);
		}
	}
}

static void start(struct job *j, const ds_node *n, const ds_tensor *x, ds_tensor *y)
{
	const ds_qpool_attr *q = n->a;
	bool last = x->layout == DS_CHANNELS_LAST;

	j->batch = x->dim[0];
	j->channels = x->dim[1];
	j->step_c = last ? 1 : j->w.in[0] * j->w.in[1] * j->w.in[2];
	j->step_p = last ? j->channels : 1;
	j->count_pad = q->pool.count_include_pad != 0;
	j->x = x->data;
	j->y = y->data;
	j->m = (float)(q->x_scale / q->y_scale);
	j->lo = (float)(q->q_min - q->y_zp);
	j->hi = (float)(q->q_max - q->y_zp);
	j->zx = (int32_t)q->x_zp;
	j->zy = (int32_t)q->y_zp;
}

static void finish(const ds_env *env, struct job *j)
{
	const ds_window *w = &j->w;
	int64_t items = j->batch * w->out[0] * w->out[1] * w->out[2] * ((j->channels + BLOCK - 1) / BLOCK);

	ds_nn_for(env->pool, items, ds_nn_grain(items, (double)(w->k[0] * w->k[1] * w->k[2] * BLOCK) / 4), run, j);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { 0 };

	if (in[0]->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	DS_TRY(ds_window_of(n, in[0], &j.w, err));
	if ((double)j.w.k[0] * (double)j.w.k[1] * (double)j.w.k[2] > 1 << 22)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s: window of more than 2^22 elements", n->op_name);
	start(&j, n, in[0], out[0]);
	finish(env, &j);
	return DS_OK;
}

/* One window over everything; [N, C, 1...] lies the same in both layouts. */
static ds_status forward_global(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .w = { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0 }, { 0 } } };

	for (int i = 2; i < in[0]->rank; i++)
		j.w.in[2] *= in[0]->dim[i];
	if (j.w.in[2] > (1 << 22))
		return ds_fail(err, DS_E_UNSUPPORTED, "%s over %lld positions", n->op_name, (long long)j.w.in[2]);
	j.w.k[2] = j.w.in[2];
	start(&j, n, in[0], out[0]);
	finish(env, &j);
	return DS_OK;
}

static ds_status check(const ds_node *n, const ds_arg *in, ds_err *err)
{
	const ds_qpool_attr *q = n->a;

	if (in[0].type.dtype != DS_U8 || !(q->x_scale > 0) || !(q->y_scale > 0) || q->q_min > q->q_max)
		return ds_fail(err, DS_E_INPUT, "%s: u8 codes and positive scales expected", n->op_name);
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(check(n, in, err));
	return ds_window_infer(n, in, out, err);
}

static ds_status infer_global(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	DS_TRY(check(n, in, err));
	out[0] = in[0].type;
	if (out[0].rank >= 0 && out[0].rank < 3)
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d", n->op_name, out[0].rank);
	for (int i = 2; i < out[0].rank; i++)
		out[0].dim[i] = 1;
	return DS_OK;
}

static bool match_global(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)n;
	(void)in;
	(void)out;
	*out_layout = DS_PLAIN;
	return want[0] == DS_CHANNELS_LAST;
}

static ds_status scales(ds_node *n, ds_rng *r, ds_err *err)
{
	DS_TRY(ds_attr_f(n, "x_scale", 0.02 + 0.05 * ds_rng_f64(r)));
	DS_TRY(ds_attr_i(n, "x_zp", ds_sample_int(r, 0, 255)));
	DS_TRY(ds_attr_f(n, "y_scale", 0.02 + 0.05 * ds_rng_f64(r)));
	DS_TRY(ds_attr_i(n, "y_zp", ds_sample_int(r, 0, 255)));
	return ds_node_parse(n, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("QAveragePool", seed);

	DS_TRY(ds_sample_window_in(g, seed, "ds", "QAveragePool", DS_U8, err));
	return scales(g->node[g->n_node - 1], &r, err);
}

static ds_status sample_global(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("QGlobalAveragePool", seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 150), ds_sample_int(&r, 1, 8), ds_sample_int(&r, 1, 8) };
	ds_value *x = ds_sample_input(g, DS_U8, 4, dim);
	ds_node *n = x ? ds_sample_node(g, "ds", "QGlobalAveragePool", 1, &x, 1) : NULL;

	return n ? scales(n, &r, err) : ds_fail_nomem(err, 0);
}

#define SCALE_ROWS \
	DS_NN_INT(ds_qpool_attr, q_max, "q_max", "255", 0, 255, "Largest code of the result"), \
	DS_NN_INT(ds_qpool_attr, q_min, "q_min", "0", 0, 255, "Smallest code of the result"), \
	DS_NN_FLOAT(ds_qpool_attr, x_scale, "x_scale", "1", "Scale of the input"), \
	DS_NN_INT(ds_qpool_attr, x_zp, "x_zp", "0", 0, 255, "Zero point of the input"), \
	DS_NN_FLOAT(ds_qpool_attr, y_scale, "y_scale", "1", "Scale of the result"), \
	DS_NN_INT(ds_qpool_attr, y_zp, "y_zp", "0", 0, 255, "Zero point of the result"), \
	{ 0 }

static const ds_opt attrs[] = {
	DS_WINDOW_ROWS,
	DS_NN_INT(ds_pool_attr, count_include_pad, "count_include_pad", "0", 0, 1, "Padding counts in the mean"),
	SCALE_ROWS
};
static const ds_opt attrs_global[] = { SCALE_ROWS };

static const ds_variant variants[] = {
	{ .name = "qaveragepool.last", .match = ds_pool_match_last, .forward = forward },
	{ 0 }
};
static const ds_variant variants_global[] = {
	{ .name = "qglobalaveragepool.last", .match = match_global, .forward = forward_global },
	{ 0 }
};

const ds_op ds_op_QAveragePool = {
	.name = "QAveragePool", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_qpool_attr), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = variants, .cost = ds_pool_cost, .channels = ds_pool_channels, .sample = sample,
};

const ds_op ds_op_QGlobalAveragePool = {
	.name = "QGlobalAveragePool", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_qpool_attr), .attrs = attrs_global,
	.infer = infer_global, .forward = forward_global, .variants = variants_global, .channels = ds_pool_channels, .sample = sample_global,
};
