/* nnsample.c - building the small random graphs of the operators' `sample` column (nnsample.h) */
#include "nnsample.h"

#include <math.h>
#include <string.h>

ds_rng ds_sample_rng(const char *op, uint64_t seed) { return ds_rng_init(seed, ds_hash64(op, strlen(op), 0)); }

ds_value *ds_sample_input(ds_graph *g, ds_dtype d, int rank, const int64_t *dim)
{
	ds_type t = ds_type_make(d, rank, dim);
	char name[] = "x0";

	name[1] = (char)('0' + g->n_input % 10);
	return ds_graph_input(g, name, &t);
}

ds_value *ds_sample_weight(ds_graph *g, ds_rng *r, ds_dtype d, int rank, const int64_t *dim, double lo, double hi)
{
	ds_tensor t, f;
	int64_t n;
	char name[16] = "w";
	ds_value *v = NULL;
	int len = 1;

	if (ds_tensor_new(&t, d, rank, dim, NULL) != DS_OK)
		return NULL;
	n = ds_tensor_count(&t);
	if (ds_tensor_new(&f, DS_F64, 1, &n, NULL) == DS_OK) {
		double *p = f.data;

		for (int64_t i = 0; i < n; i++) {
			p[i] = lo + (hi - lo) * ds_rng_f64(r);
			if (!ds_nn_is_float(d))
				p[i] = floor(p[i]);
		}
		if (ds_convert(t.data, d, p, DS_F64, (size_t)n, NULL) == DS_OK) {
			for (int k = g->n_weight; k > 0 && len < 15; k /= 10)
				name[len++] = (char)('0' + k % 10);
			v = ds_graph_weight(g, DS_V_PARAM, name, &t);
		}
		ds_tensor_done(&f);
	}
	if (!v)
		ds_tensor_done(&t);
	return v;
}

ds_node *ds_sample_node(ds_graph *g, const char *domain, const char *op, int n_in, ds_value *const *in, int n_out)
{
	static const char *const names[] = { "y0", "y1", "y2", "y3" };
	ds_node *n = ds_graph_node(g, domain, op, "n", n_in, in, n_out, names);

	for (int i = 0; n && i < n_out; i++)
		if (ds_graph_output(g, n->out[i]) != DS_OK)
			return NULL;
	return n;
}

ds_status ds_sample_window(ds_graph *g, uint64_t seed, const char *op, ds_dtype d, ds_err *err)
{
	return ds_sample_window_in(g, seed, "", op, d, err);
}

ds_status ds_sample_q2(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	ds_rng r = ds_sample_rng(op, seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 40), ds_sample_int(&r, 1, 6), ds_sample_int(&r, 1, 6) }, other[4];
	static const char *const keys[3][2] = { { "a_scale", "a_zp" }, { "b_scale", "b_zp" }, { "y_scale", "y_zp" } };
	ds_value *in[2];
	ds_node *n;

	for (int i = 0; i < 4; i++)
		other[i] = seed % 3 == 2 && i != 1 ? 1 : dim[i];
	in[0] = ds_sample_input(g, DS_U8, 4, dim);
	in[1] = ds_sample_input(g, DS_U8, 4, other);
	n = in[0] && in[1] ? ds_sample_node(g, "ds", op, 2, in, 1) : NULL;
	if (!n)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < 3; i++) {
		DS_TRY(ds_attr_f(n, keys[i][0], 0.01 + 0.1 * ds_rng_f64(&r)));
		DS_TRY(ds_attr_i(n, keys[i][1], ds_sample_int(&r, 0, 255)));
	}
	if (seed % 4 == 1)
		DS_TRY(ds_attr_i(n, "q_min", 30));
	return ds_node_parse(n, err);
}

ds_status ds_sample_window_in(ds_graph *g, uint64_t seed, const char *domain, const char *op, ds_dtype d, ds_err *err)
{
	ds_rng r = ds_sample_rng(op, seed);
	int nd = seed % 4 == 3 ? 1 : seed % 4 == 2 ? 3 : 2;
	int64_t dim[5] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 40) }, k[3], s[3], dil[3], pad[6];
	ds_value *x;
	ds_node *n;

	for (int i = 0; i < nd; i++) {
		k[i] = ds_sample_int(&r, 1, 3);
		s[i] = ds_sample_int(&r, 1, 3);
		dil[i] = ds_sample_int(&r, 1, 2);
		dim[2 + i] = ds_sample_int(&r, 5, 12);
		pad[i] = ds_sample_int(&r, 0, k[i] - 1);
		pad[nd + i] = ds_sample_int(&r, 0, k[i] - 1);
	}
	x = ds_sample_input(g, d, nd + 2, dim);
	if (!x || !(n = ds_sample_node(g, domain, op, 1, &x, 1)))
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_is(n, "kernel_shape", nd, k));
	if (seed % 3)
		DS_TRY(ds_attr_is(n, "strides", nd, s));
	if (seed % 5 == 1)
		DS_TRY(ds_attr_is(n, "dilations", nd, dil));
	if (seed % 2)
		DS_TRY(ds_attr_is(n, "pads", 2 * nd, pad));
	else if (seed % 6 == 2)
		DS_TRY(ds_attr_s(n, "auto_pad", seed % 12 == 2 ? "SAME_UPPER" : "SAME_LOWER"));
	if (seed % 7 == 3)
		DS_TRY(ds_attr_i(n, "ceil_mode", 1));
	return ds_node_parse(n, err);
}
