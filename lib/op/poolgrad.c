/* poolgrad.c - gradients of pooling, for both layouts: ds.MaxPoolGrad, ds.AveragePoolGrad, ds.GlobalAveragePoolGrad (poolgrad.h) */
#include "poolgrad.h"
#include "infer.h"
#include "nnsample.h"

#include <string.h>

typedef struct job {
	ds_window    w;
	const float *dy, *x, *y;
	float       *dx;
	int64_t      channels, in_plane, out_plane;
	bool         count_pad, max;
	float        share;             /* global: of every position */
} job;

/* Elements that the mean of output o counts. */
static float divisor(const job *j, const int64_t o[3], const int64_t k[3][2])
{
	const ds_window *w = &j->w;
	int64_t n = 1;
	for (int i = 0; i < 3; i++) {
		int64_t end = w->in[i] + w->pb[i] + w->pe[i];
		n *= j->count_pad ? DS_MIN((end - o[i] * w->s[i] + w->d[i] - 1) / w->d[i], w->k[i]) : k[i][1] - k[i][0];
	}
	return n > 0 ? (float)n : 1.0f;
}

/* One window of channels [0, nc), whose elements are `step` apart: the taps in ascending order.  done: channels whose maximum was found. */
static void window(const job *j, const int64_t o[3], const float *dy, const float *x, const float *y, float *dx, int64_t nc)
{
	const ds_window *w = &j->w;
	int64_t k[3][2], f[3];
	uint32_t left[DS_POOL_BLOCK];
	float add[DS_POOL_BLOCK];
	for (int i = 0; i < 3; i++)
		ds_window_taps(w, i, o[i], &k[i][0], &k[i][1], &f[i]);
	float div = j->max ? 1 : divisor(j, o, (const int64_t (*)[2])k);
	for (int64_t c = 0; c < nc; c++) {
		left[c] = 0xFFFFFFFFu;
		add[c] = dy[c] / div;
	}
	for (int64_t a = k[0][0]; a < k[0][1]; a++)
		for (int64_t b = k[1][0]; b < k[1][1]; b++)
			for (int64_t e = k[2][0]; e < k[2][1]; e++) {
				int64_t at = (((f[0] + a * w->d[0]) * w->in[1] + f[1] + b * w->d[1]) * w->in[2] + f[2] + e * w->d[2]) * j->channels;
				float *d = dx + at;
				if (!j->max) {
					for (int64_t c = 0; c < nc; c++)
						d[c] += add[c];
					continue;
				}
				const float *v = x + at;
				for (int64_t c = 0; c < nc; c++) {
					uint32_t hit = left[c] & (v[c] == y[c] ? 0xFFFFFFFFu : 0);
					d[c] += hit ? add[c] : 0.0f;
					left[c] &= ~hit;
				}
			}
}

/* Blocks of channels of an image (channels-last: channels is C; plain: channels is 1 and every plane is an image). */
static void task(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	const int64_t blocks = (j->channels + DS_POOL_BLOCK - 1) / DS_POOL_BLOCK;
	for (int64_t i = i0; i < i1; i++) {
		int64_t img = i / blocks, c0 = i % blocks * DS_POOL_BLOCK, nc = DS_MIN(DS_POOL_BLOCK, j->channels - c0);
		int64_t in = img * j->in_plane * j->channels + c0, out = img * j->out_plane * j->channels + c0;
		for (int64_t p = 0; p < j->in_plane; p++)
			memset(j->dx + in + p * j->channels, 0, (size_t)nc * sizeof(float));
		int64_t o[3];
		for (o[0] = 0; o[0] < j->w.out[0]; o[0]++)
			for (o[1] = 0; o[1] < j->w.out[1]; o[1]++)
				for (o[2] = 0; o[2] < j->w.out[2]; o[2]++, out += j->channels)
					window(j, o, j->dy + out, j->max ? j->x + in : NULL, j->max ? j->y + out : NULL, j->dx + in, nc);
	}
}

ds_status ds_pool_grad(const ds_env *env, const ds_node *n, const ds_tensor *dy, const ds_tensor *x, const ds_tensor *y, ds_tensor *dx, ds_err *err)
{
	const ds_pool_attr *a = n->a;
	bool last = dx->layout == DS_CHANNELS_LAST;
	job j = { .dy = dy->data, .x = x ? x->data : NULL, .y = y ? y->data : NULL, .dx = dx->data, .channels = last ? dx->dim[1] : 1, .in_plane = 1, .out_plane = 1,
		.count_pad = a->count_include_pad != 0, .max = x != NULL };
	if (dy->layout != dx->layout || (x && (x->layout != dx->layout || y->layout != dx->layout)))
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	DS_TRY(ds_window_of(n, dx, &j.w, err));
	for (int i = 0; i < 3; i++) {
		j.in_plane *= j.w.in[i];
		j.out_plane *= j.w.out[i];
	}
	int64_t items = dx->dim[0] * (last ? (j.channels + DS_POOL_BLOCK - 1) / DS_POOL_BLOCK : dx->dim[1]);
	ds_nn_for(env->pool, items, ds_nn_grain(items, (double)(j.in_plane + 4 * j.out_plane) * (last ? DS_POOL_BLOCK / 4 : 1)), task, &j);
	return DS_OK;
}

/* ---- over everything ---------------------------------------------------------------------------------------------------------------- */
static void spread(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	for (int64_t i = i0; i < i1; i++) {
		float *dx = j->dx + i * j->in_plane * j->channels;
		const float *dy = j->dy + i * j->channels;
		for (int64_t p = 0; p < j->in_plane; p++)
			for (int64_t c = 0; c < j->channels; c++)
				dx[p * j->channels + c] = dy[c] * j->share;
	}
}

ds_status ds_global_average_grad(const ds_env *env, const ds_tensor *dy, ds_tensor *dx)
{
	bool last = dx->layout == DS_CHANNELS_LAST;
	job j = { .dy = dy->data, .dx = dx->data, .channels = last ? dx->dim[1] : 1, .in_plane = 1 };
	for (int i = 2; i < dx->rank; i++)
		j.in_plane *= dx->dim[i];
	j.share = (float)(1.0 / (double)DS_MAX(j.in_plane, 1));
	int64_t items = dx->dim[0] * (last ? 1 : dx->dim[1]);
	ds_nn_for(env->pool, items, ds_nn_grain(items, (double)(j.in_plane * j.channels) / 4), spread, &j);
	return DS_OK;
}

/* ---- emitting, samples ------------------------------------------------------------------------------------------------------------------ */
void ds_pool_grad_emit(ds_emit *e, const ds_node *n, ds_value *dy, bool max, ds_value **dx)
{
	const ds_value *x = n->in[0];
	*dx = max ? ds_emit3(e, "ds.MaxPoolGrad", dy, n->in[0], n->out[0]) : ds_emit1(e, "ds.AveragePoolGrad", dy);
	if (!max)
		ds_emit_is(e, *dx, "shape", x->type.rank, x->type.dim);
	ds_emit_attrs(e, *dx, n);
}

ds_status ds_pool_grad_sample(ds_graph *g, uint64_t seed, const char *op, bool max, ds_err *err)
{
	ds_type x, y;
	/* the pooling's own sample tells the attributes */
	ds_graph *f = ds_graph_new();
	ds_status rc = f ? ds_sample_window(f, seed, max ? "MaxPool" : "AveragePool", DS_F32, err) : ds_fail_nomem(err, 0);
	ds_node *n = NULL;
	if (rc == DS_OK)
		rc = ds_graph_verify(f, NULL, err);
	if (rc == DS_OK)
		rc = ds_graph_infer(f, err);
	if (rc == DS_OK) {
		ds_emit e = ds_emit_begin(g, err);
		x = f->node[0]->in[0]->type;
		y = f->node[0]->out[0]->type;
		ds_value *in[3] = { ds_sample_input(g, DS_F32, y.rank, y.dim), NULL, NULL };
		if (max) {
			in[1] = ds_sample_input(g, DS_F32, x.rank, x.dim);
			in[2] = ds_sample_input(g, DS_F32, y.rank, y.dim);
		}
		n = in[0] && (!max || (in[1] && in[2])) ? ds_sample_node(g, "ds", op, max ? 3 : 1, in, 1) : NULL;
		if (!n)
			rc = ds_fail_nomem(err, 0);
		else if (!max)
			ds_emit_is(&e, n->out[0], "shape", x.rank, x.dim);
		if (n) {
			ds_emit_attrs(&e, n->out[0], f->node[0]);
			rc = ds_emit_end(&e);
		}
	}
	if (rc == DS_OK)
		rc = ds_node_parse(n, err);
	ds_graph_free(f);
	return rc;
}
