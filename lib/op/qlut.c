/* qlut.c - ds.QLut: a function of one code as a table of 256 (fused_q.h) */
#include "fused_q.h"
#include "nnsample.h"

#include <math.h>

enum { PIECE = 16384 };

void ds_q_table(uint8_t table[256], double (*fn)(double v, const void *arg), const void *arg, double x_scale, int64_t x_zp, double y_scale, int64_t y_zp)
{
	for (int i = 0; i < 256; i++) {
		double v = (double)(i - x_zp) * x_scale, q;

		q = nearbyint((fn ? fn(v, arg) : v) / y_scale) + (double)y_zp;
		table[i] = (uint8_t)(q > 0 ? q < 255 ? q : 255 : 0);
	}
}

struct job { const uint8_t *x, *table; uint8_t *y; int64_t n; };

static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	int64_t end = DS_MIN(i1 * PIECE, j->n);

	(void)worker;
	for (int64_t i = i0 * PIECE; i < end; i++)
		j->y[i] = j->table[j->x[i]];
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { in[0]->data, in[1]->data, out[0]->data, ds_tensor_count(in[0]) };

	if (in[0]->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	ds_nn_for(env->pool, (j.n + PIECE - 1) / PIECE, 1, run, &j);
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	if (in[0].type.dtype != DS_U8 || in[1].type.dtype != DS_U8 || in[1].type.rank != 1 || in[1].type.dim[0] != 256)
		return ds_fail(err, DS_E_INPUT, "%s: u8 codes and a table of 256 u8 expected", n->op_name);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("QLut", seed);
	int64_t dim[4], table = 256;
	ds_value *in[2];
	ds_node *n;

	for (int i = 0; i < 4; i++)
		dim[i] = ds_sample_int(&r, 1, 9);
	in[0] = ds_sample_input(g, DS_U8, (int)(seed % 5 % 4 + 1), dim);
	in[1] = ds_sample_weight(g, &r, DS_U8, 1, &table, 0, 256);
	n = in[0] && in[1] ? ds_sample_node(g, "ds", "QLut", 2, in, 1) : NULL;
	return n ? ds_node_parse(n, err) : ds_fail_nomem(err, 0);
}

const ds_op ds_op_QLut = {
	.name = "QLut", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT | DS_OP_INPLACE,
	.infer = infer, .forward = forward, .channels = channels, .sample = sample,
};
