/* randomdrop.c - ds.RandomDrop(x, step): dropout of training (Srivastava et al. 2014): an element is 0 with probability `ratio`, else x / (1 - ratio)
 *
 * x: floats of any shape; step: one i64, or one for each index of x's dim 0.  Which elements go depends on seed, node, step and the element's index alone
 * (base/rng.h by counter; ratio is rounded to 2^-16), not on threads or layout; with many steps the index counts within its part of dim 0, so that a sample loses
 * the same elements alone and among others.  The gradient is the same operator applied to dout. */
#include "draw.h"
#include "grad.h"
#include "nn.h"
#include "../kernel/vmath.h"

#include <math.h>

typedef struct attr { double ratio; int64_t seed, node; } attr;
static const ds_opt attrs[] = {
	DS_NN_INT(attr, node, "node", "0", 0, 0, "Number that tells the graph's drops from each other"),
	DS_NN_FLOAT(attr, ratio, "ratio", "0.5", "Share of elements that become 0"),
	DS_NN_INT(attr, seed, "seed", "0", 0, 0, "Of the random numbers"),
	{ 0 }
};

enum { GRAIN = 16384 };         /* a multiple of 4: one random number decides about four neighbours */

/* n elements in each of the parts, which have `tasks` tasks each */
typedef struct job { const float *x; float *y, scale; const ds_tensor *step; uint64_t seed, node, below; int64_t n, tasks; } job;

/* Which of four neighbours go: 16 bits for each of the SplitMix64 of their number. */
static inline uint64_t draw(uint64_t key, int64_t i)
{
	uint64_t z = key + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* Bits are masked, because a branch would be guessed wrong as often as elements go. */
static inline float keep(const job *j, uint64_t r, float x)
{
	return ds_vm_float(ds_vm_bits(x * j->scale) & ((uint32_t)((r & 0xFFFFu) < j->below) - 1));
}

static void run_task(const job *j, int64_t task)
{
	int64_t part = task / j->tasks, i = task % j->tasks * GRAIN, end = DS_MIN(i + GRAIN, j->n);
	const float *x = j->x + part * j->n;
	float *y = j->y + part * j->n;
	uint64_t key = ds_rng_at(j->seed, j->node, (uint64_t)ds_tensor_i64(j->step, part));

	for (; i + 4 <= end; i += 4) {
		uint64_t r = draw(key, i / 4);

		for (int k = 0; k < 4; k++)
			y[i + k] = keep(j, r >> 16 * k, x[i + k]);
	}
	for (int k = 0; i + k < end; k++)
		y[i + k] = keep(j, draw(key, i / 4) >> 16 * k, x[i + k]);
}

static void run_range(void *arg, int64_t i0, int64_t i1, int worker)
{
	for (int64_t i = i0; i < i1; i++)
		run_task(arg, i);
}

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const attr *a = n->a;
	int64_t parts = ds_tensor_count(in[1]);
	job j = { .x = in[0]->data, .y = out[0]->data, .step = in[1], .seed = (uint64_t)a->seed, .node = (uint64_t)a->node };

	if (!(a->ratio >= 0 && a->ratio <= 1))
		return ds_fail(err, DS_E_INPUT, "%s: a ratio of %g", n->op_name, a->ratio);
	if (parts < 1 || (parts > 1 && (in[0]->rank < 1 || parts != in[0]->dim[0])))
		return ds_fail(err, DS_E_INPUT, "%s: %lld steps for another number of parts", n->op_name, (long long)parts);
	j.n = ds_tensor_count(in[0]) / parts;
	j.tasks = (j.n + GRAIN - 1) / GRAIN;
	j.below = (uint64_t)llrint(a->ratio * 0x1p16);
	j.scale = a->ratio < 1 ? (float)(1 / (1 - a->ratio)) : 0;
	ds_nn_for(env->pool, parts * j.tasks, 1, run_range, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, run);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_nn_in_f32_scratch(n, in, out); }

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	if (!ds_nn_is_float(in[0].type.dtype) || in[1].type.dtype != DS_I64)
		return ds_fail(err, DS_E_INPUT, "%s of %s with a step of %s", n->op_name, ds_dtype_name(in[0].type.dtype), ds_dtype_name(in[1].type.dtype));
	int64_t steps = ds_type_concrete(&in[1].type) ? ds_type_count(&in[1].type) : 1;
	if (steps != 1 && !(in[0].type.rank > 0 && (in[0].type.dim[0] < 0 || in[0].type.dim[0] == steps)))
		return ds_fail(err, DS_E_INPUT, "%s: neither one step nor one for each index of dim 0", n->op_name);
	return DS_OK;
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit2(&e, "ds.RandomDrop", dout[0], n->in[1]);
	ds_emit_attrs(&e, din[0], n);
	return ds_emit_end(&e);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16, DS_F64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, seed % 4 == 1 ? 50 : 7, dim);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, types, 4), 3, dim);
	if (seed % 3 == 2)
		in[1] = ds_draw_input(&s, DS_I64, 2, (int64_t[]){ dim[0], 1 });
	else
		in[1] = seed % 2 ? ds_draw_input(&s, DS_I64, 0, NULL) : ds_draw_ints(&s, -1, (int64_t[]){ 3 });
	n = ds_draw_node(&s, "ds.RandomDrop", 2, in, 1);
	ds_draw_f(&s, n, "ratio", (double)(seed % 5) / 4);
	ds_draw_i(&s, n, "seed", (int64_t)seed);
	ds_draw_i(&s, n, "node", (int64_t)(seed % 7));
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_RandomDrop = {
	.name = "RandomDrop", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = DS_OP_INPLACE,
	.attr_size = sizeof(attr), .attrs = attrs, .infer = infer, .scratch = scratch, .forward = forward, .gradient = gradient, .sample = sample,
};
