/* nn.c - what the neural-network operators share (nn.h) */
#include "nn.h"

#include <string.h>

enum { MAX_IN = 16, MAX_OUT = 8 };

static bool needs_copy(ds_dtype d) { return d == DS_F16 || d == DS_BF16 || d == DS_F64; }

size_t ds_nn_in_f32_scratch(const ds_node *n, const ds_arg *in, const ds_type *out)
{
	size_t bytes = 0;

	for (int i = 0; i < n->n_in; i++)
		if (in[i].present && needs_copy(in[i].type.dtype))
			bytes += ds_pad64((uint64_t)ds_type_count(&in[i].type) * sizeof(float));
	for (int i = 0; i < n->n_out; i++)
		if (needs_copy(out[i].dtype))
			bytes += ds_pad64((uint64_t)ds_type_count(&out[i]) * sizeof(float));
	return bytes;
}

ds_status ds_nn_in_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, ds_forward_fn *fn)
{
	ds_tensor head[MAX_IN + MAX_OUT];
	const ds_tensor *in2[MAX_IN] = { 0 };
	ds_tensor *out2[MAX_OUT] = { 0 };
	ds_env env2 = *env;
	char *p = env->scratch;
	size_t used = 0;
	bool any = false;

	if (n->n_in > MAX_IN || n->n_out > MAX_OUT)
		return ds_fail(err, DS_E_INTERNAL, "%s: too many inputs", n->op_name);
	for (int i = 0; i < n->n_in; i++) {
		in2[i] = in[i];
		if (in[i] && needs_copy(in[i]->dtype)) {
			size_t count = (size_t)ds_tensor_count(in[i]);

			head[i] = *in[i];
			head[i].dtype = DS_F32;
			head[i].data = p + used;
			head[i].buf = NULL;
			ds_dtype_of(in[i]->dtype)->to_f32(head[i].data, in[i]->data, count);
			used += ds_pad64(count * sizeof(float));
			in2[i] = &head[i];
			any = true;
		}
	}
	for (int i = 0; i < n->n_out; i++) {
		out2[i] = out[i];
		if (out[i] && needs_copy(out[i]->dtype)) {
			head[MAX_IN + i] = *out[i];
			head[MAX_IN + i].dtype = DS_F32;
			head[MAX_IN + i].data = p + used;
			head[MAX_IN + i].buf = NULL;
			used += ds_pad64((size_t)ds_tensor_count(out[i]) * sizeof(float));
			out2[i] = &head[MAX_IN + i];
			any = true;
		}
	}
	if (!any)
		return fn(env, n, in, out, err);
	if (used > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: scratch of %zu bytes, %zu needed", n->op_name, env->scratch_size, used);
	env2.scratch = p + used;
	env2.scratch_size = env->scratch_size - used;
	DS_TRY(fn(&env2, n, in2, out2, err));
	for (int i = 0; i < n->n_out; i++)
		if (out2[i] != out[i])
			ds_dtype_of(out[i]->dtype)->from_f32(out[i]->data, out2[i]->data, (size_t)ds_tensor_count(out[i]));
	return DS_OK;
}

ds_status ds_nn_axis(const ds_node *n, int64_t axis, int rank, int *out, ds_err *err)
{
	if (axis < -rank || axis >= rank)
		return ds_fail(err, DS_E_INPUT, "%s: axis %lld of a tensor of rank %d", n->op_name, (long long)axis, rank);
	*out = (int)(axis < 0 ? axis + rank : axis);
	return DS_OK;
}

void ds_nn_split(const ds_tensor *t, int axis, int64_t *outer, int64_t *extent, int64_t *inner)
{
	bool last = t->layout == DS_CHANNELS_LAST && t->rank >= 3;
	/* place of an axis in memory order: N, spatial..., C */
	int place = !last || axis == 0 ? axis : axis == 1 ? t->rank - 1 : axis - 1;

	*outer = *inner = 1;
	*extent = t->dim[axis];
	for (int i = 0; i < t->rank; i++) {
		int q = !last || i == 0 ? i : i == 1 ? t->rank - 1 : i - 1;

		if (q < place)
			*outer *= t->dim[i];
		else if (q > place)
			*inner *= t->dim[i];
	}
}

ds_status ds_nn_infer_same(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	(void)n;
	(void)err;
	out[0] = in[0].type;
	return DS_OK;
}

int ds_nn_same(ds_link *link, int cap, int k, int a, int b, int from, int to)
{
	for (int i = from; i < to && k < cap; i++)
		link[k++] = (ds_link){ DS_LINK_SAME, (int8_t)a, (int8_t)i, (int8_t)b, (int8_t)i, 0 };
	return k;
}

enum { LANES = 8 };

double ds_nn_sum(const float *x, int64_t n)
{
	double s[LANES] = { 0 }, sum = 0;
	int64_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			s[k] += (double)x[i + k];
	for (int k = 0; i < n; i++, k++)
		s[k] += (double)x[i];
	for (int k = 0; k < LANES; k++)
		sum += s[k];
	return sum;
}

double ds_nn_sum_sq(const float *x, double mean, int64_t n)
{
	double s[LANES] = { 0 }, sum = 0;
	int64_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++) {
			double d = (double)x[i + k] - mean;

			s[k] += d * d;
		}
	for (int k = 0; i < n; i++, k++) {
		double d = (double)x[i] - mean;

		s[k] += d * d;
	}
	for (int k = 0; k < LANES; k++)
		sum += s[k];
	return sum;
}

struct range { int64_t items, grain; ds_nn_range_fn *fn; void *arg; };

static void run_range(void *arg, int task, int worker)
{
	struct range *r = arg;
	int64_t i0 = (int64_t)task * r->grain, i1 = DS_MIN(i0 + r->grain, r->items);

	r->fn(r->arg, i0, i1, worker);
}

void ds_nn_for(ds_pool *pool, int64_t items, int64_t grain, ds_nn_range_fn *fn, void *arg)
{
	struct range r = { items, grain, fn, arg };

	if (items <= 0)
		return;
	if (grain >= items)
		fn(arg, 0, items, 0);
	else
		ds_pool_run(pool, (int)((items + grain - 1) / grain), run_range, &r);
}
