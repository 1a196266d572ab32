/* ops_nn.c - operators of neural networks on small cases worked out by hand or with an independent program; the generic test (test/op/ops.c) compares
 * implementations with each other, this one with the truth */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/exec/exec.h"
#include "../../lib/op/fused_q.h"

static int failures;

typedef struct one { ds_graph *g; ds_value *in[8]; int n_in; ds_tensor data[8]; int n_data; } one;

#define DIMS(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[]){ __VA_ARGS__ }
#define F(...) (const double[]){ __VA_ARGS__ }

static one begin(void) { return (one){ .g = ds_graph_new() }; }

static ds_tensor tensor(ds_dtype d, int rank, const int64_t *dim, const double *v)
{
	ds_tensor t = { 0 };

	if (ds_tensor_new(&t, d, rank, dim, NULL) != DS_OK || ds_convert(t.data, d, v, DS_F64, (size_t)ds_tensor_count(&t), NULL) != DS_OK)
		exit(2);
	return t;
}

/* A graph input with its data; a constant; an absent input. */
static void input(one *o, ds_dtype d, int rank, const int64_t *dim, const double *v)
{
	char name[4] = { 'x', (char)('0' + o->n_data), 0 };
	ds_type t = ds_type_make(d, rank, dim);

	o->data[o->n_data++] = tensor(d, rank, dim, v);
	o->in[o->n_in++] = ds_graph_input(o->g, name, &t);
}

static void weight(one *o, ds_dtype d, int rank, const int64_t *dim, const double *v)
{
	char name[4] = { 'w', (char)('0' + o->n_in), 0 };
	ds_tensor t = tensor(d, rank, dim, v);

	o->in[o->n_in++] = ds_graph_weight(o->g, DS_V_PARAM, name, &t);
}

static void absent(one *o) { o->in[o->n_in++] = NULL; }

static ds_node *node(one *o, const char *domain, const char *op, int n_out)
{
	static const char *const names[] = { "y0", "y1", "y2" };
	ds_node *n = ds_graph_node(o->g, domain, op, "n", o->n_in, o->in, n_out, names);

	for (int i = 0; i < n_out; i++)
		if (ds_graph_output(o->g, n->out[i]) != DS_OK)
			exit(2);
	return n;
}

/* Run and compare output `which` with the expected dims and values; frees the graph when it is the last. */
static void expect(one *o, const char *name, int which, int rank, const int64_t *dim, const double *v, double tol)
{
	ds_session *s = NULL;
	ds_session_opts opts = { .threads = 1 };
	ds_tensor out[3] = { 0 };
	ds_err err = { 0 };
	char why[600] = "";
	int n_out = o->g->n_output;

	if (ds_node_parse(o->g->node[0], &err) != DS_OK || ds_session_new_opts(&s, o->g, &opts, &err) != DS_OK
		|| ds_session_run(s, o->data, o->n_data, out, n_out, &err) != DS_OK) {
		snprintf(why, sizeof why, "%s", err.text);
	} else {
		const ds_tensor *t = &out[which];

		if (t->rank != rank || (rank && memcmp(t->dim, dim, (size_t)rank * sizeof *dim) != 0))
			snprintf(why, sizeof why, "shape");
		for (int64_t i = 0; !why[0] && i < ds_tensor_count(t); i++)
			if (!(fabs(ds_tensor_f64(t, i) - v[i]) <= tol))
				snprintf(why, sizeof why, "element %lld is %.9g, %.9g expected", (long long)i, ds_tensor_f64(t, i), v[i]);
	}
	printf("%s %s%s%s\n", why[0] ? "not ok" : "ok", name, why[0] ? ": " : "", why);
	failures += why[0] != 0;
	for (int i = 0; i < 3; i++)
		ds_tensor_done(&out[i]);
	ds_session_free(s);
}

static void end(one *o)
{
	for (int i = 0; i < o->n_data; i++)
		ds_tensor_done(&o->data[i]);
	ds_graph_free(o->g);
}

static void must(ds_status rc) { if (rc != DS_OK) exit(2); }

static void pools(void)
{
	one o = begin();
	ds_node *n;
	const double x[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

	input(&o, DS_F32, DIMS(1, 1, 3, 3), x);
	n = node(&o, "", "MaxPool", 2);
	must(ds_attr_is(n, "kernel_shape", 2, (int64_t[]){ 2, 2 }));
	must(ds_attr_is(n, "strides", 2, (int64_t[]){ 2, 2 }));
	must(ds_attr_i(n, "ceil_mode", 1));
	expect(&o, "MaxPool with ceil_mode", 0, DIMS(1, 1, 2, 2), F(5, 6, 8, 9), 0);
	expect(&o, "MaxPool positions", 1, DIMS(1, 1, 2, 2), F(4, 5, 7, 8), 0);
	must(ds_attr_i(n, "storage_order", 1));
	expect(&o, "MaxPool positions column by column", 1, DIMS(1, 1, 2, 2), F(4, 7, 5, 8), 0);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(1, 1, 3, 3), x);
	n = node(&o, "", "AveragePool", 1);
	must(ds_attr_is(n, "kernel_shape", 2, (int64_t[]){ 3, 3 }));
	must(ds_attr_is(n, "strides", 2, (int64_t[]){ 2, 2 }));
	must(ds_attr_is(n, "pads", 4, (int64_t[]){ 1, 1, 1, 1 }));
	expect(&o, "AveragePool", 0, DIMS(1, 1, 2, 2), F(3, 4, 6, 7), 1e-6);
	must(ds_attr_i(n, "count_include_pad", 1));
	expect(&o, "AveragePool with padding counted", 0, DIMS(1, 1, 2, 2), F(12.0 / 9, 16.0 / 9, 24.0 / 9, 28.0 / 9), 1e-6);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(1, 1, 3, 3), x);
	n = node(&o, "", "LpPool", 1);
	must(ds_attr_is(n, "kernel_shape", 2, (int64_t[]){ 2, 2 }));
	must(ds_attr_s(n, "auto_pad", "SAME_UPPER"));
	expect(&o, "LpPool SAME_UPPER", 0, DIMS(1, 1, 3, 3), F(sqrt(46), sqrt(74), sqrt(45), sqrt(154), sqrt(206), sqrt(117), sqrt(113), sqrt(145), 9), 1e-5);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(1, 2, 1, 3), F(1, 2, 6, -1, -2, -9));
	node(&o, "", "GlobalAveragePool", 1);
	expect(&o, "GlobalAveragePool", 0, DIMS(1, 2, 1, 1), F(3, -4), 0);
	end(&o);
}

static void norms(void)
{
	one o = begin();
	ds_node *n;

	input(&o, DS_F32, DIMS(1, 2, 2), F(1, 3, 10, 20));
	weight(&o, DS_F32, DIMS(2), F(2, 1));
	weight(&o, DS_F32, DIMS(2), F(0.5, -1));
	weight(&o, DS_F32, DIMS(2), F(1, 10));
	weight(&o, DS_F32, DIMS(2), F(4, 25));
	n = node(&o, "", "BatchNormalization", 1);
	must(ds_attr_f(n, "epsilon", 0));
	expect(&o, "BatchNormalization", 0, DIMS(1, 2, 2), F(0.5, 2.5, -1, 1), 1e-6);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(2, 2), F(1, 3, -5, 5));
	weight(&o, DS_F32, DIMS(2), F(1, 10));
	n = node(&o, "", "LayerNormalization", 1);
	must(ds_attr_f(n, "epsilon", 0));
	expect(&o, "LayerNormalization", 0, DIMS(2, 2), F(-1, 10, -1, 10), 1e-6);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(2, 3), F(0, log(2), log(5), 1000, 1000, -1000));
	node(&o, "", "Softmax", 1);
	expect(&o, "Softmax", 0, DIMS(2, 3), F(0.125, 0.25, 0.625, 0.5, 0.5, 0), 1e-6);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(3, 1), F(0, log(2), log(5)));
	n = node(&o, "", "LogSoftmax", 1);
	must(ds_attr_i(n, "axis", 0));
	expect(&o, "LogSoftmax along axis 0", 0, DIMS(3, 1), F(log(0.125), log(0.25), log(0.625)), 1e-6);
	end(&o);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* One element of state, two steps, worked out from the equations. */
static void recurrent(void)
{
	one o = begin();
	ds_node *n;
	double h = 0, c = 0, r, z, x[2] = { 1, -2 }, y[2];

	for (int t = 0; t < 2; t++) {           /* gates i o f c: W 0.1 0.2 0.3 0.4, R 0.5 0.6 0.7 0.8, P 0.1 0.2 0.3 */
		double i = sigmoid(0.1 * x[t] + 0.5 * h + 0.1 * c), f = sigmoid(0.3 * x[t] + 0.7 * h + 0.3 * c), g = tanh(0.4 * x[t] + 0.8 * h);

		c = f * c + i * g;
		h = sigmoid(0.2 * x[t] + 0.6 * h + 0.2 * c) * tanh(c);
		y[t] = h;
	}
	input(&o, DS_F32, DIMS(2, 1, 1), x);
	weight(&o, DS_F32, DIMS(1, 4, 1), F(0.1, 0.2, 0.3, 0.4));
	weight(&o, DS_F32, DIMS(1, 4, 1), F(0.5, 0.6, 0.7, 0.8));
	for (int i = 0; i < 4; i++)
		absent(&o);
	weight(&o, DS_F32, DIMS(1, 3), F(0.1, 0.2, 0.3));
	n = node(&o, "", "LSTM", 3);
	must(ds_attr_i(n, "hidden_size", 1));
	expect(&o, "LSTM with peepholes", 0, DIMS(2, 1, 1, 1), y, 1e-6);
	expect(&o, "LSTM cell", 2, DIMS(1, 1, 1), &c, 1e-6);
	end(&o);

	o = begin();
	h = 0.25;
	for (int t = 1; t >= 0; t--) {          /* backwards; gates z r h */
		z = sigmoid(0.1 * x[t] + 0.4 * h + 0.01);
		r = sigmoid(0.2 * x[t] + 0.5 * h + 0.02);
		h = (1 - z) * tanh(0.3 * x[t] + 0.03 + r * (0.6 * h + 0.06)) + z * h;
		y[t] = h;
	}
	input(&o, DS_F32, DIMS(2, 1, 1), x);
	weight(&o, DS_F32, DIMS(1, 3, 1), F(0.1, 0.2, 0.3));
	weight(&o, DS_F32, DIMS(1, 3, 1), F(0.4, 0.5, 0.6));
	weight(&o, DS_F32, DIMS(1, 6), F(0.01, 0.02, 0.03, 0, 0, 0.06));
	absent(&o);
	weight(&o, DS_F32, DIMS(1, 1, 1), F(0.25));
	n = node(&o, "", "GRU", 1);
	must(ds_attr_s(n, "direction", "reverse"));
	must(ds_attr_i(n, "linear_before_reset", 1));
	expect(&o, "GRU backwards", 0, DIMS(2, 1, 1, 1), y, 1e-6);
	end(&o);
}

static void resize(void)
{
	one o = begin();
	ds_node *n;

	input(&o, DS_F32, DIMS(1, 1, 2, 2), F(1, 2, 3, 4));
	absent(&o);
	weight(&o, DS_F32, DIMS(4), F(1, 1, 2, 2));
	n = node(&o, "", "Resize", 1);
	must(ds_attr_s(n, "mode", "linear"));
	expect(&o, "Resize linear", 0, DIMS(1, 1, 4, 4), F(1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4), 1e-6);
	must(ds_attr_s(n, "mode", "nearest"));
	expect(&o, "Resize nearest", 0, DIMS(1, 1, 4, 4), F(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4), 0);
	must(ds_attr_s(n, "mode", "linear"));
	must(ds_attr_s(n, "coordinate_transformation_mode", "align_corners"));
	expect(&o, "Resize linear, corners aligned", 0, DIMS(1, 1, 4, 4), F(1, 4.0 / 3, 5.0 / 3, 2, 5.0 / 3, 2, 7.0 / 3, 8.0 / 3, 7.0 / 3, 8.0 / 3, 3,
		10.0 / 3, 3, 10.0 / 3, 11.0 / 3, 4), 1e-6);
	end(&o);
}

static void quantise(void)
{
	one o = begin();
	ds_node *n;

	input(&o, DS_F32, DIMS(8), F(0, 2, 3, 1000, -254, -1000, 1, 5));
	weight(&o, DS_F32, 0, NULL, F(2));
	weight(&o, DS_U8, 0, NULL, F(128));
	node(&o, "", "QuantizeLinear", 1);
	expect(&o, "QuantizeLinear, halves to even", 0, DIMS(8), F(128, 129, 130, 255, 1, 0, 128, 130), 0);
	end(&o);

	o = begin();
	input(&o, DS_I8, DIMS(1, 2, 2), F(-128, 127, 3, 4));
	weight(&o, DS_F32, DIMS(2), F(2, 0.5));
	weight(&o, DS_I8, DIMS(2), F(-1, 4));
	node(&o, "", "DequantizeLinear", 1);
	expect(&o, "DequantizeLinear per axis", 0, DIMS(1, 2, 2), F(-254, 256, -0.5, 0), 0);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(6), F(0, 2, -3, -2.5, 1.34, 0.5));
	node(&o, "", "DynamicQuantizeLinear", 3);
	expect(&o, "DynamicQuantizeLinear", 0, DIMS(6), F(153, 255, 0, 26, 221, 179), 0);
	expect(&o, "DynamicQuantizeLinear scale", 1, 0, NULL, F(5.0 / 255), 1e-8);
	expect(&o, "DynamicQuantizeLinear zero point", 2, 0, NULL, F(153), 0);
	end(&o);

	o = begin();
	input(&o, DS_U8, DIMS(4), F(10, 0, 255, 11));
	input(&o, DS_U8, DIMS(4), F(20, 0, 255, 21));
	n = node(&o, "ds", "QAdd", 1);
	must(ds_attr_f(n, "a_scale", 0.5));
	must(ds_attr_f(n, "b_scale", 0.25));
	must(ds_attr_i(n, "a_zp", 10));
	must(ds_attr_i(n, "b_zp", 20));
	must(ds_attr_f(n, "y_scale", 0.5));
	must(ds_attr_i(n, "y_zp", 3));
	/* sums 0, -10, 181.25, 0.75: codes 3 + 0, 3 - 20, 3 + 362, 3 + rint(1.5) */
	expect(&o, "QAdd", 0, DIMS(4), F(3, 0, 255, 5), 0);
	end(&o);

	o = begin();
	input(&o, DS_U8, DIMS(1, 1, 2), F(1, 2));
	input(&o, DS_U8, DIMS(1, 1, 2), F(10, 12));
	n = node(&o, "ds", "QConcat", 1);
	must(ds_attr_fs(n, "x_scales", 2, F(1, 0.5)));
	must(ds_attr_is(n, "x_zps", 2, (int64_t[]){ 0, 10 }));
	expect(&o, "QConcat", 0, DIMS(1, 2, 2), F(1, 2, 0, 1), 0);
	end(&o);

	o = begin();
	input(&o, DS_U8, DIMS(1, 1, 2, 2), F(10, 12, 14, 17));
	n = node(&o, "ds", "QGlobalAveragePool", 1);
	must(ds_attr_f(n, "x_scale", 0.5));
	must(ds_attr_i(n, "x_zp", 10));
	must(ds_attr_f(n, "y_scale", 0.25));
	must(ds_attr_i(n, "y_zp", 100));
	expect(&o, "QGlobalAveragePool", 0, DIMS(1, 1, 1, 1), F(106), 0);      /* mean 3.25 * 2 = 6.5, to even */
	end(&o);
}

static void attention(void)
{
	one o = begin();
	ds_node *n;
	double p = exp(log(3) * 1.0) / (1 + exp(log(3) * 1.0));         /* scores 0 and ln 3 */

	input(&o, DS_F32, DIMS(1, 1, 2, 1), F(1, 1));
	input(&o, DS_F32, DIMS(1, 1, 2, 1), F(0, log(3)));
	input(&o, DS_F32, DIMS(1, 1, 2, 1), F(4, 8));
	n = node(&o, "", "Attention", 1);
	must(ds_attr_f(n, "scale", 1));
	expect(&o, "Attention", 0, DIMS(1, 1, 2, 1), F(4 + 4 * p, 4 + 4 * p), 1e-5);
	must(ds_attr_i(n, "is_causal", 1));
	expect(&o, "Attention, causal", 0, DIMS(1, 1, 2, 1), F(4, 4 + 4 * p), 1e-5);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(1, 1, 1, 4), F(1, 2, 3, 4));
	weight(&o, DS_F32, DIMS(1, 1, 2), F(0, 1));
	weight(&o, DS_F32, DIMS(1, 1, 2), F(1, 0));
	node(&o, "", "RotaryEmbedding", 1);
	expect(&o, "RotaryEmbedding", 0, DIMS(1, 1, 1, 4), F(-3, 2, 1, 4), 1e-6);
	end(&o);

	o = begin();
	input(&o, DS_F32, DIMS(2, 2), F(1, 2, 3, 4));
	input(&o, DS_F32, DIMS(2, 2), F(5, 6, 7, 8));
	n = node(&o, "", "Einsum", 1);
	must(ds_attr_s(n, "equation", "ij,kj->ki"));
	expect(&o, "Einsum", 0, DIMS(2, 2), F(17, 39, 23, 53), 1e-6);
	end(&o);
}

int main(void)
{
	pools();
	norms();
	recurrent();
	resize();
	quantise();
	attention();
	return failures != 0;
}
