/* globalpool.c - pooling over all spatial axes (globalpool.h) */
#include "globalpool.h"
#include "nnsample.h"

#include <math.h>

enum { BLOCK = 16 };

struct job {
	ds_pool_kind kind;
	int64_t      p, spatial, channels, blocks;
	const float *x;
	float       *y;
};

static double term(const struct job *j, double v)
{
	v = fabs(v);
	return j->p == 1 ? v : j->p == 2 ? v * v : pow(v, (double)j->p);
}

static float finish(const struct job *j, double sum)
{
	if (j->kind == DS_POOL_AVG)
		return (float)(sum / (double)j->spatial);
	return (float)(j->p == 1 ? sum : j->p == 2 ? sqrt(sum) : pow(sum, 1.0 / (double)j->p));
}

static void plain(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t p = i0; p < i1; p++) {
		const float *x = j->x + p * j->spatial;
		float max = -INFINITY;
		double sum = 0;

		for (int64_t i = 0; i < j->spatial; i++) {
			if (j->kind == DS_POOL_MAX)
				max = x[i] > max ? x[i] : max;
			else
				sum += j->kind == DS_POOL_AVG ? (double)x[i] : term(j, x[i]);
		}
		j->y[p] = j->kind == DS_POOL_MAX ? max : finish(j, sum);
	}
}

static inline void add_block(double *restrict sum, const float *restrict x)
{
	for (int i = 0; i < BLOCK; i++)
		sum[i] += (double)x[i];
}

/* Blocks [i0, i1) of BLOCK channels of (n, block). */
static void last(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t b = i0; b < i1; b++) {
		int64_t c = b % j->blocks * BLOCK, nc = DS_MIN(BLOCK, j->channels - c);
		const float *x = j->x + b / j->blocks * j->spatial * j->channels + c;
		float *y = j->y + b / j->blocks * j->channels + c;
		double sum[BLOCK] = { 0 };
		float max[BLOCK];

		for (int i = 0; i < BLOCK; i++)
			max[i] = -INFINITY;
		for (int64_t s = 0; s < j->spatial; s++, x += j->channels) {
			if (j->kind == DS_POOL_AVG && nc == BLOCK)
				add_block(sum, x);
			else
				for (int64_t i = 0; i < nc; i++) {
					if (j->kind == DS_POOL_MAX)
						max[i] = x[i] > max[i] ? x[i] : max[i];
					else
						sum[i] += j->kind == DS_POOL_AVG ? (double)x[i] : term(j, x[i]);
				}
		}
		for (int64_t i = 0; i < nc; i++)
			y[i] = j->kind == DS_POOL_MAX ? max[i] : finish(j, sum[i]);
	}
}

ds_status ds_global_forward(const ds_env *env, const ds_node *n, ds_pool_kind kind, int64_t p, const ds_tensor *x, ds_tensor *y, ds_err *err)
{
	struct job j = { kind, p, 1, x->dim[1], (x->dim[1] + BLOCK - 1) / BLOCK, x->data, y->data };

	if (x->dtype != DS_F32)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
	for (int i = 2; i < x->rank; i++)
		j.spatial *= x->dim[i];
	if (x->layout == DS_CHANNELS_LAST)
		ds_nn_for(env->pool, x->dim[0] * j.blocks, ds_nn_grain(x->dim[0] * j.blocks, (double)j.spatial * BLOCK / 4), last, &j);
	else
		ds_nn_for(env->pool, x->dim[0] * j.channels, ds_nn_grain(x->dim[0] * j.channels, (double)j.spatial), plain, &j);
	return DS_OK;
}

ds_status ds_global_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	if (out[0].rank < 0)
		return DS_OK;
	if (out[0].rank < 2 || !ds_nn_is_float(out[0].dtype))
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d and type %s", n->op_name, out[0].rank, ds_dtype_name(out[0].dtype));
	for (int i = 2; i < out[0].rank; i++)
		out[0].dim[i] = 1;
	return DS_OK;
}

bool ds_global_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)n;
	(void)out;
	if (want[0] != DS_CHANNELS_LAST || in[0].type.dtype != DS_F32)
		return false;
	/* [N, C, 1...] lies the same in both layouts: say plain, so that a Flatten behind it moves nothing */
	*out_layout = DS_PLAIN;
	return true;
}

size_t ds_global_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

void ds_global_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	(void)n;
	*cost = (ds_cost){ .flops = (double)ds_type_count(&in[0].type),
		.act_bytes = (double)(ds_type_count(&in[0].type) + ds_type_count(&out[0])) * (double)ds_dtype_size(out[0].dtype) };
}

ds_status ds_global_sample(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	ds_rng r = ds_sample_rng(op, seed);
	int64_t dim[5];
	ds_value *x;
	ds_node *n;

	for (int i = 0; i < 5; i++)
		dim[i] = ds_sample_int(&r, 1, i == 1 ? 70 : 7);
	x = ds_sample_input(g, seed % 5 == 4 ? DS_BF16 : DS_F32, (int)(3 + seed % 3), dim);
	n = x ? ds_sample_node(g, "", op, 1, &x, 1) : NULL;
	return n ? ds_node_parse(n, err) : ds_fail_nomem(err, 0);
}
