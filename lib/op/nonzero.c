/* nonzero.c - NonZero: coordinates of the elements that are not zero, one column each; their number must be known when shapes are bound */
#include "draw.h"
#include "infer.h"

static int64_t count(const ds_tensor *t)
{
	int64_t n = ds_tensor_count(t), k = 0;

	for (int64_t i = 0; i < n; i++)
		k += ds_tensor_f64(t, i) != 0;
	return k;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_infer_unknown(&out[0], DS_I64, 2);
	if (in[0].type.rank >= 0)
		out[0].dim[0] = in[0].type.rank;
	if (in[0].value)
		out[0].dim[1] = count(in[0].value);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int64_t total = ds_tensor_count(in[0]), columns = out[0]->dim[1], k = 0, *r = out[0]->data;

	if (count(in[0]) != columns)
		return ds_fail(err, DS_E_UNSUPPORTED, "NonZero of data that are known only when running");
	for (int64_t i = 0; i < total; i++) {
		int64_t rest = i;

		if (ds_tensor_f64(in[0], i) == 0)
			continue;
		for (int d = in[0]->rank - 1; d >= 0; d--) {
			r[d * columns + k] = rest % in[0]->dim[d];
			rest /= in[0]->dim[d];
		}
		k++;
	}
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;

	ds_draw_dims(&s, 3, 4, dim);
	in = ds_draw_param(&s, seed & 1 ? DS_BOOL : DS_I32, 3, dim);
	return ds_draw_end(&s, ds_draw_node(&s, "NonZero", 1, &in, 1), err);
}

const ds_op ds_op_NonZero = {
	.name = "NonZero", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.infer = infer, .forward = forward, .sample = sample,
};
