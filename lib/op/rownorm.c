/* rownorm.c - rows normalised by their mean and variance (rownorm.h) */
#include "rownorm.h"

#include <math.h>

static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const ds_rownorm *r = arg;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		const float *x = r->x + i * r->len;
		float *y = r->y + i * r->len, m, f;
		double mean = r->no_mean ? 0 : ds_nn_sum(x, r->len) / (double)r->len;

		f = (float)(1 / sqrt(ds_nn_sum_sq(x, mean, r->len) / (double)r->len + r->epsilon));
		m = (float)mean;
		if (r->mean)
			r->mean[i] = m;
		if (r->inv)
			r->inv[i] = f;
		for (int64_t j = 0; j < r->len;) {
			/* a stretch with parameters that either stay or go on one by one */
			int64_t at = (i * r->len + j) / r->inner % r->period, n = r->len - j;
			const float *s = r->scale ? r->scale + at : NULL, *b = r->bias ? r->bias + at : NULL;

			if (r->inner == 1) {
				n = DS_MIN(n, r->period - at);
				for (int64_t k = 0; k < n; k++) {
					float v = (x[j + k] - m) * f;

					v = s ? v * s[k] : v;
					y[j + k] = b ? v + b[k] : v;
				}
			} else {
				n = DS_MIN(n, r->inner - (i * r->len + j) % r->inner);
				for (int64_t k = 0; k < n; k++) {
					float v = (x[j + k] - m) * f;

					v = s ? v * s[0] : v;
					y[j + k] = b ? v + b[0] : v;
				}
			}
			j += n;
		}
	}
}

void ds_rownorm_run(ds_pool *pool, const ds_rownorm *r)
{
	if (r->len > 0)
		ds_nn_for(pool, r->rows, ds_nn_grain(r->rows, 4 * (double)r->len), run, (void *)r);
}

ds_status ds_rownorm_infer_channels(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;

	out[0] = *x;
	if (!ds_nn_is_float(x->dtype) || (x->rank >= 0 && x->rank < 2))
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d and type %s", n->op_name, x->rank, ds_dtype_name(x->dtype));
	for (int i = 1; i < 3; i++) {
		const ds_type *p = &in[i].type;

		if ((p->rank >= 0 && p->rank != 1) || (x->rank > 0 && p->rank == 1 && p->dim[0] >= 0 && x->dim[1] >= 0 && p->dim[0] != x->dim[1]))
			return ds_fail(err, DS_E_INPUT, "%s: one number for each channel expected in input %d", n->op_name, i);
	}
	return DS_OK;
}

void ds_rownorm_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	double count = (double)ds_type_count(&out[0]), size = (double)ds_dtype_size(out[0].dtype), weights = 0;

	for (int i = 1; i < n->n_in; i++)
		weights += in[i].present ? size * (double)ds_type_count(&in[i].type) : 0;
	*cost = (ds_cost){ .flops = 7 * count, .weight_bytes = weights, .act_bytes = 2 * count * size };
}

size_t ds_rownorm_scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}
