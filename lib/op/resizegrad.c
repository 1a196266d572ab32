/* resizegrad.c - ds.ResizeGrad: the gradient of Resize, which is linear: what an output took from its neighbours goes back to them
 *
 * ResizeGrad(dout, dims of x, roi, scales, sizes; attributes of Resize) -> dx.  The axes are passed in the other direction, last first; an element of the result is a
 * sum in the order of the outputs. */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "resize.h"

#include <string.h>

typedef struct pass { ds_resize_table t; int64_t in, out, inner; const float *dy; float *dx; } pass;

static void run_outer(void *arg, int64_t i0, int64_t i1, int worker)
{
	const pass *p = arg;

	for (int64_t i = i0; i < i1; i++) {
		const float *dy = p->dy + i * p->out * p->inner;
		float *dx = p->dx + i * p->in * p->inner;

		memset(dx, 0, sizeof *dx * (size_t)(p->in * p->inner));
		for (int64_t o = 0; o < p->out; o++) {
			const int32_t *index = p->t.index + o * p->t.taps;
			const float *w = p->t.weight + o * p->t.taps;

			for (int k = 0; k < p->t.taps && index[0] >= 0; k++) {
				float *to = dx + index[k] * p->inner;
				const float *from = dy + o * p->inner;

				for (int64_t e = 0; e < p->inner; e++)
					to[e] += w[k] * from[e];
			}
		}
	}
}

/* Two results of passes, and the table of an axis. */
static size_t layout(const ds_node *n, int rank, const int64_t *in, const int64_t *out, size_t at[3])
{
	size_t most = 1, table = 0, total = 0;

	for (int i = rank; i >= 0; i--) {
		size_t c = 1;

		for (int k = 0; k < rank; k++)
			c *= (size_t)(k < i ? out[k] : in[k]);
		most = DS_MAX(most, c);
		if (i < rank)
			table = DS_MAX(table, (size_t)out[i] * (size_t)ds_resize_taps(n->a, in[i], out[i]));
	}
	for (int i = 0; i < 3; i++) {
		at[i] = total;
		total += ds_pad64(i < 2 ? most * sizeof(float) : table * (sizeof(float) + sizeof(int32_t)));
	}
	return total;
}

static const ds_tensor *given(const ds_tensor *t) { return t && ds_tensor_count(t) > 0 ? t : NULL; }

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_resize_attr *a = n->a;
	const ds_tensor *sizes = n->n_in > 4 ? given(in[4]) : NULL, *scales = n->n_in > 3 && !sizes ? given(in[3]) : NULL;
	ds_resize_axis ax[DS_MAX_RANK];
	int64_t dim[DS_MAX_RANK];
	const float *from = in[0]->data;
	char *work = env->scratch;
	int rank = out[0]->rank, left = 0, turn = 0;
	size_t at[3];

	DS_TRY(ds_resize_extents(n, rank, out[0]->dim, scales, sizes, ax, err));
	DS_TRY(ds_resize_roi(n, n->n_in > 2 ? in[2] : NULL, rank, ax, err));
	for (int i = 0; i < rank; i++) {
		if (ax[i].out != in[0]->dim[i])
			return ds_fail(err, DS_E_INPUT, "%s: extents", n->op_name);
		dim[i] = ax[i].out;
		left += !ax[i].same;
	}
	if (layout(n, rank, out[0]->dim, in[0]->dim, at) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	if (ds_tensor_count(in[0]) == 0 || left == 0) {
		memset(out[0]->data, 0, ds_tensor_bytes(out[0]));
		if (left == 0)
			memcpy(out[0]->data, from, ds_tensor_bytes(out[0]));
		return DS_OK;
	}
	for (int i = rank - 1; i >= 0; i--) {
		int64_t outer = 1;
		pass p = { .in = ax[i].in, .out = ax[i].out, .inner = 1, .dy = from };

		if (ax[i].same)
			continue;
		for (int k = 0; k < rank; k++)
			*(k < i ? &outer : k > i ? &p.inner : &p.in) *= k == i ? 1 : dim[k];
		p.t.taps = ds_resize_taps(a, ax[i].in, ax[i].out);
		p.t.index = (int32_t *)(work + at[2]);
		p.t.weight = (float *)(p.t.index + p.out * p.t.taps);
		ds_resize_fill(a, &ax[i], &p.t);
		p.dx = --left == 0 ? out[0]->data : (float *)(work + at[turn]);
		ds_nn_for(env->pool, outer, ds_nn_grain(outer, (double)(p.out * p.inner * p.t.taps)), run_outer, &p);
		dim[i] = p.in;
		from = p.dx;
		turn ^= 1;
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, run);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	size_t at[3];

	return ds_nn_in_f32_scratch(n, in, out) + layout(n, out[0].rank, out[0].dim, in[0].type.dim, at);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (!ds_nn_is_float(in[0].type.dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	DS_TRY(ds_infer_given(&in[1], in[0].type.dtype, &out[0], err));
	if (out[0].rank >= 0 && in[0].type.rank >= 0 && out[0].rank != in[0].type.rank)
		return ds_fail(err, DS_E_INPUT, "%s: ranks", n->op_name);
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&in[0].type);

	*c = (ds_cost){ .flops = 8 * count, .act_bytes = (double)ds_dtype_size(out[0].dtype) * (count + (double)ds_type_count(&out[0])) };
}

ds_status ds_resize_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *in[5] = { dout[0], ds_emit_ints(&e, n->in[0]->type.rank, n->in[0]->type.dim) };

	for (int i = 1; i < n->n_in; i++)
		in[i + 1] = n->in[i];
	din[0] = ds_emit_op(&e, "ds.ResizeGrad", n->n_in + 1, in);
	ds_emit_attrs(&e, din[0], n);
	return ds_emit_end(&e);
}

/* Random graphs of Resize, of which the gradient takes the place. */
static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	DS_TRY(ds_resize_sample(g, seed, err));
	DS_TRY(ds_graph_infer(g, err));
	const ds_node *n = g->node[0];
	const ds_type *y = &n->out[0]->type, *x = &n->in[0]->type;
	ds_draw s = ds_draw_begin(g, seed);
	ds_value *in[5] = { NULL };
	ds_emit e = ds_emit_begin(g, err);
	ds_node *back;

	s.inputs = 100;
	in[0] = ds_draw_input(&s, x->dtype == DS_F16 ? DS_F16 : DS_F32, y->rank, y->dim);
	in[1] = ds_draw_ints(&s, x->rank, x->dim);
	for (int i = 1; i < n->n_in; i++)
		in[i + 1] = n->in[i];
	back = ds_draw_node(&s, "ds.ResizeGrad", n->n_in + 1, in, 1);
	if (!back)
		return ds_fail_nomem(err, 0);
	ds_emit_attrs(&e, back->out[0], n);
	DS_TRY(ds_emit_end(&e));
	g->n_output = 0;
	DS_TRY(ds_draw_end(&s, back, err));
	ds_graph_prune_dead(g);
	return DS_OK;
}

const ds_op ds_op_ResizeGrad = {
	.name = "ResizeGrad", .domain = "ds", .min_in = 2, .max_in = 5, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_resize_attr), .attrs = ds_resize_attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .sample = sample,
};
