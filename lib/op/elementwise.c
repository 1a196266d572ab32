/* elementwise.c - the engine of operators that compute element by element */
#include "elementwise.h"
#include "../kernel/kernel.h"
#include "move.h"
#include "draw.h"
#include "walk.h"

#include <string.h>

void ds_ew_act(float *out, const float *in, int64_t stride, int64_t n, int act, float a, float b)
{
	ds_k_act_fn *fn = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed())->fn.act;

	if (stride == 1) {
		fn(out, in, (size_t)n, act, a, b);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		fn(out + i, in + i * stride, 1, act, a, b);
}

/* f16 and bf16 without rows of their own are computed as f32. */
static ds_ew_fn row_of(const ds_ew *ew, ds_dtype d, bool *wide)
{
	*wide = false;
	if (d <= DS_NONE || d > DS_BOOL)
		return NULL;
	if (!ew->fn[d] && (d == DS_F16 || d == DS_BF16)) {
		*wide = true;
		return ew->fn[DS_F32];
	}
	return ew->fn[d];
}

ds_status ds_ew_infer(const ds_ew *ew, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_dtype key = in[ew->key].type.dtype;
	bool wide;

	if (!row_of(ew, key, &wide))
		return ds_fail(err, DS_E_INPUT, "%s does not take %s", n->op_name, ds_dtype_name(key));
	for (int i = ew->same; i < n->n_in; i++)
		if (in[i].present && in[i].type.dtype != key)
			return ds_fail(err, DS_E_INPUT, "%s takes inputs of one type, not %s and %s", n->op_name, ds_dtype_name(key),
				ds_dtype_name(in[i].type.dtype));
	out[0].dtype = ew->out ? ew->out : key;
	return ds_infer_broadcast(in, n->n_in, &out[0], err);
}

struct job {
	ds_walk      w;                 /* array 0: output, 1..: inputs */
	ds_ew_fn     fn;
	const void  *arg;
	int          n_in;
	char        *out;
	const char  *in[DS_EW_MAX_IN];
	size_t       out_size, in_size[DS_EW_MAX_IN];
	const ds_dtype_row *out_wide, *in_wide[DS_EW_MAX_IN];   /* converted from and to f32 when set */
};

enum { CHUNK = 256 };

/* One run through f32: elements are gathered to dense chunks, computed, and rounded back. */
static void wide_run(const struct job *j, const ds_walk_at *p, int64_t n)
{
	float f[DS_EW_MAX_IN][CHUNK], r[CHUNK];
	uint16_t h[CHUNK];
	int last = j->w.rank - 1;

	for (int64_t at = 0; at < n; at += CHUNK) {
		int64_t c = DS_MIN(n - at, CHUNK);
		const void *in[DS_EW_MAX_IN];
		int64_t stride[DS_EW_MAX_IN];
		char *out = j->out + (p->off[0] + at) * (int64_t)j->out_size;

		for (int i = 0; i < j->n_in; i++) {
			int64_t s = j->w.stride[i + 1][last];
			const char *src = j->in[i] + (p->off[i + 1] + at * s) * (int64_t)j->in_size[i];

			stride[i] = s;
			in[i] = src;
			if (!j->in_wide[i])
				continue;
			for (int64_t k = 0; s != 1 && k < (s ? c : 1); k++)
				h[k] = ((const uint16_t *)src)[k * s];
			j->in_wide[i]->to_f32(f[i], s == 1 ? (const void *)src : h, s ? (size_t)c : 1);
			in[i] = f[i];
			stride[i] = s ? 1 : 0;
		}
		j->fn(j->out_wide ? (void *)r : out, in, stride, c, j->arg);
		if (j->out_wide)
			j->out_wide->from_f32(out, r, (size_t)c);
	}
}

static void ew_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	int last = j->w.rank - 1;
	bool wide = j->out_wide != NULL;
	int64_t stride[DS_EW_MAX_IN] = { 0 }, n;
	ds_walk_at p;

	for (int i = 0; i < j->n_in; i++) {
		stride[i] = j->w.stride[i + 1][last];
		wide = wide || j->in_wide[i];
	}
	ds_walk_start(&j->w, task, &p);
	while ((n = ds_walk_run(&j->w, &p)) > 0) {
		const void *in[DS_EW_MAX_IN];

		if (wide) {
			wide_run(j, &p, n);
		} else {
			for (int i = 0; i < j->n_in; i++)
				in[i] = j->in[i] + p.off[i + 1] * (int64_t)j->in_size[i];
			j->fn(j->out + p.off[0] * (int64_t)j->out_size, in, stride, n, j->arg);
		}
		ds_walk_next(&j->w, &p, n);
	}
}

ds_status ds_ew_run(const ds_ew *ew, ds_pool *pool, int n_in, const ds_tensor *const *in, ds_tensor *out, const void *arg, ds_err *err)
{
	struct job j = { .w = { .rank = out->rank, .n = n_in + 1 }, .arg = arg, .n_in = n_in, .out = out->data };
	int64_t stride[DS_MAX_RANK];
	bool wide;

	j.fn = row_of(ew, in[ew->key]->dtype, &wide);
	if (!j.fn || n_in > DS_EW_MAX_IN)
		return ds_fail(err, DS_E_INTERNAL, "elementwise: no row for %s", ds_dtype_name(in[ew->key]->dtype));
	j.out_size = ds_dtype_size(out->dtype);
	if (wide && (out->dtype == DS_F16 || out->dtype == DS_BF16))
		j.out_wide = ds_dtype_of(out->dtype);
	ds_tensor_strides(out, stride);
	for (int d = 0; d < out->rank; d++) {       /* in memory order of the output, which is then dense */
		j.w.dim[d] = out->dim[ds_walk_axis(out, d)];
		j.w.stride[0][d] = stride[ds_walk_axis(out, d)];
	}
	for (int i = 0; i < n_in; i++) {
		int lead = out->rank - in[i]->rank;

		j.in[i] = in[i]->data;
		j.in_size[i] = ds_dtype_size(in[i]->dtype);
		if (wide && (in[i]->dtype == DS_F16 || in[i]->dtype == DS_BF16))
			j.in_wide[i] = ds_dtype_of(in[i]->dtype);
		ds_tensor_strides(in[i], stride);
		for (int d = 0; d < out->rank; d++) {
			int axis = ds_walk_axis(out, d) - lead;

			j.w.stride[i + 1][d] = axis < 0 || in[i]->dim[axis] == 1 ? 0 : stride[axis];
		}
	}
	ds_walk_merge(&j.w);
	ds_pool_run(pool, ds_walk_tasks(&j.w), ew_task, &j);
	return DS_OK;
}

ds_status ds_ew_forward(const ds_ew *ew, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_ew_run(ew, env->pool, n->n_in, in, out[0], n->a, err);
}

ds_status ds_ew_fold(const ds_ew *ew, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *pair[2] = { in[0], in[0] };

	if (n->n_in == 1) {
		ds_move_tensor(env->pool, in[0], out[0]);
		return DS_OK;
	}
	for (int i = 1; i < n->n_in; i++) {
		pair[1] = in[i];
		DS_TRY(ds_ew_run(ew, env->pool, 2, pair, out[0], n->a, err));
		pair[0] = out[0];
	}
	return DS_OK;
}

ds_status ds_ew_gradient_sum(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	for (int i = 0; i < n->n_in; i++)
		din[i] = ds_emit_reduce_to(&e, dout[0], &n->out[0]->type, &n->in[i]->type);
	return ds_emit_end(&e);
}

ds_status ds_ew_gradient_first(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *left = dout[0], *zero = ds_emit_scalar(&e, n->out[0]->type.dtype, 0);

	for (int i = 0; i < n->n_in; i++) {
		ds_value *mine = ds_emit2(&e, "Equal", n->in[i], n->out[0]);

		din[i] = ds_emit_reduce_to(&e, ds_emit3(&e, "Where", mine, left, zero), &n->out[0]->type, &n->in[i]->type);
		left = ds_emit3(&e, "Where", mine, zero, left);
	}
	return ds_emit_end(&e);
}

ds_status ds_ew_gradient_none(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	return DS_OK;
}

ds_status ds_ew_gradient(ds_graph *g, const ds_node *n, const char *op, ds_value *v, ds_value *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	*din = ds_emit2(&e, op, v, dout);
	ds_emit_attrs(&e, *din, n);
	return ds_emit_end(&e);
}

/* Shapes of the two inputs of a broadcast: one full, the other with some axes of extent 1 or missing in front. */
static int thin(ds_draw *s, int rank, const int64_t *dim, int64_t *to)
{
	int skip = ds_draw_in(s, 0, 3) == 0 ? (int)ds_draw_in(s, 0, rank) : 0;

	for (int d = skip; d < rank; d++)
		to[d - skip] = ds_draw_in(s, 0, 3) == 0 ? 1 : dim[d];
	return rank - skip;
}

/* Random values for what the operator's table of attributes names: choices, yes or no, and positive floats. */
static void attributes(ds_draw *s, ds_node *n)
{
	const ds_op *op = s->oom ? NULL : ds_op_find(n->domain, n->op_name);

	for (const ds_opt *a = op ? op->attrs : NULL; a && a->name; a++) {
		int64_t k = 0;

		if (a->type == DS_T_CHOICE) {
			while (a->choices[k + 1] && ds_draw_in(s, 0, 1))
				k++;
			ds_draw_s(s, n, a->name, a->choices[k]);
		} else if (a->type == DS_T_INT && a->max == 1) {
			ds_draw_i(s, n, a->name, ds_draw_in(s, 0, 1));
		} else if (a->type == DS_T_FLOAT && ds_draw_in(s, 0, 1)) {
			ds_draw_f(s, n, a->name, (double)ds_draw_in(s, 1, 8) / 4);
		}
	}
}

ds_status ds_ew_sample(const ds_ew *ew, ds_graph *g, const char *op_name, int n_in, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype allowed[DS_BOOL + 1], key;
	int64_t dim[DS_MAX_RANK], other[DS_MAX_RANK];
	ds_value *in[DS_EW_MAX_IN] = { NULL };
	int n = 0, rank = (int)ds_draw_in(&s, 0, 4);
	ds_node *node;
	bool wide;

	for (ds_dtype d = DS_F32; d <= DS_BOOL; d++)
		if (row_of(ew, d, &wide))
			allowed[n++] = d;
	key = ds_draw_dtype(&s, allowed, n);
	ds_draw_dims(&s, rank, 7, dim);
	for (int i = 0; i < n_in; i++) {
		ds_dtype d = i == ew->key || i >= ew->same ? key : DS_BOOL;

		if (i == 0 && seed % 3) {
			in[i] = ds_draw_input(&s, d, rank, dim);
		} else {
			int r = n_in > 1 ? thin(&s, rank, dim, other) : rank;

			in[i] = ds_draw_input(&s, d, r, n_in > 1 ? other : dim);
		}
	}
	node = ds_draw_node(&s, op_name, n_in, in, 1);
	attributes(&s, node);
	return ds_draw_end(&s, node, err);
}
