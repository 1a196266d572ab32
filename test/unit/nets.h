/* nets.h - small random networks with the structures that pruning knows: residual, concatenated, depthwise and grouped, flattened, padded */
#ifndef DS_TEST_NETS_H
#define DS_TEST_NETS_H

#include "base/rng.h"
#include "graph/graph.h"

#include <math.h>
#include <stdio.h>

static ds_rng rng;

/* A random parameter; `around` is the mean. */
static ds_value *param(ds_graph *g, const char *name, double around, int rank, const int64_t *dim)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_F32, rank, dim, NULL) != DS_OK)
		return NULL;
	int64_t fan = 1;
	for (int i = 1; i < rank; i++)
		fan *= dim[i];
	for (int64_t i = 0; i < ds_tensor_count(&t); i++)
		((float *)t.data)[i] = (float)(around + ds_rng_normal(&rng) * (rank > 1 ? sqrt(2.0 / (double)fan) : 0.1));
	return ds_graph_weight(g, DS_V_PARAM, name, &t);
}

static ds_value *op(ds_graph *g, const char *name, int n, ds_value **in)
{
	char unique[64];
	snprintf(unique, sizeof unique, "%s_%d", name, g->n_node);
	ds_node *node = ds_graph_node(g, "", name, unique, n, in, 1, NULL);
	return node ? node->out[0] : NULL;
}

static ds_value *conv(ds_graph *g, const char *name, ds_value *x, int64_t i, int64_t o, int64_t k, int64_t group)
{
	char b[64];
	snprintf(b, sizeof b, "%s.bias", name);
	ds_value *v = op(g, "Conv", 3, (ds_value *[]){ x, param(g, name, 0, 4, (int64_t[]){ o, i / group, k, k }), param(g, b, 0, 1, &o) });
	ds_attr_is(v->node, "pads", 4, (int64_t[]){ k / 2, k / 2, k / 2, k / 2 });
	ds_attr_i(v->node, "group", group);
	return v;
}

static ds_value *norm(ds_graph *g, const char *name, ds_value *x, int64_t c)
{
	char n[4][64];
	static const char *const part[] = { "scale", "shift", "mean", "var" };
	for (int i = 0; i < 4; i++)
		snprintf(n[i], sizeof n[i], "%s.%s", name, part[i]);
	return op(g, "BatchNormalization", 5, (ds_value *[]){ x, param(g, n[0], 1, 1, &c), param(g, n[1], 0, 1, &c), param(g, n[2], 0, 1, &c), param(g, n[3], 1, 1, &c) });
}

static ds_value *relu(ds_graph *g, ds_value *x)
{
	return op(g, "Relu", 1, &x);
}

static ds_value *start(ds_graph *g)
{
	int s = ds_graph_symbol(g, "N");
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ -1 - s, 3, 8, 8 });
	return ds_graph_input(g, "x", &t);
}

static void finish(ds_graph *g, ds_value *x, int64_t features)
{
	int64_t o = 5;
	ds_value *f = op(g, "Flatten", 1, &x);
	ds_value *y = op(g, "Gemm", 3, (ds_value *[]){ f, param(g, "fc", 0, 2, (int64_t[]){ o, features }), param(g, "fc.bias", 0, 1, &o) });
	ds_attr_i(y->node, "transB", 1);
	y->name = "y";
	ds_graph_output(g, y);
}

/* ---- the networks --------------------------------------------------------------------------------------------------------------- */
static void residual(ds_graph *g)
{
	ds_value *x = relu(g, norm(g, "n0", conv(g, "c0", start(g), 3, 16, 3, 1), 16));
	for (int i = 0; i < 2; i++) {
		ds_value *a = relu(g, norm(g, i ? "n3" : "n1", conv(g, i ? "c3" : "c1", x, 16, 24, 3, 1), 24));
		x = relu(g, op(g, "Add", 2, (ds_value *[]){ norm(g, i ? "n4" : "n2", conv(g, i ? "c4" : "c2", a, 24, 16, 3, 1), 16), x }));
	}
	finish(g, op(g, "GlobalAveragePool", 1, &x), 16);
}

static void concat(ds_graph *g)
{
	ds_value *x = relu(g, conv(g, "squeeze", start(g), 3, 8, 1, 1));
	ds_value *a = relu(g, conv(g, "e1", x, 8, 12, 1, 1)), *b = relu(g, conv(g, "e3", x, 8, 20, 3, 1));
	ds_value *c = op(g, "Concat", 2, (ds_value *[]){ a, b });
	ds_attr_i(c->node, "axis", 1);
	x = relu(g, conv(g, "after", c, 32, 10, 3, 1));
	finish(g, op(g, "GlobalAveragePool", 1, &x), 10);
}

static void depthwise(ds_graph *g)
{
	ds_value *x = relu(g, norm(g, "n0", conv(g, "expand", start(g), 3, 24, 1, 1), 24));
	x = relu(g, norm(g, "n1", conv(g, "dw", x, 24, 24, 3, 24), 24));
	x = relu(g, conv(g, "project", x, 24, 16, 1, 1));
	x = relu(g, conv(g, "grouped", x, 16, 32, 3, 4));
	x = relu(g, conv(g, "last", x, 32, 12, 1, 1));
	finish(g, op(g, "GlobalAveragePool", 1, &x), 12);
}

static void flatten(ds_graph *g)
{
	ds_value *x = relu(g, conv(g, "c0", start(g), 3, 10, 3, 1));
	x = op(g, "MaxPool", 1, &x);
	ds_attr_is(x->node, "kernel_shape", 2, (int64_t[]){ 2, 2 });
	ds_attr_is(x->node, "strides", 2, (int64_t[]){ 2, 2 });
	finish(g, x, 160);
}

/* The channels of a shortcut without weights: every second point, zeros for the new channels. */
static void padded_shortcut(ds_graph *g)
{
	ds_value *x = relu(g, conv(g, "c0", start(g), 3, 8, 3, 1));
	ds_value *a = conv(g, "c2", relu(g, conv(g, "c1", x, 8, 20, 3, 1)), 20, 16, 3, 1);
	ds_value *p = op(g, "Pad", 2, (ds_value *[]){ x, ds_graph_const_i64(g, 8, (int64_t[]){ 0, 4, 0, 0, 0, 4, 0, 0 }) });
	x = relu(g, op(g, "Add", 2, (ds_value *[]){ a, p }));
	finish(g, op(g, "GlobalAveragePool", 1, &x), 16);
}

static void reshape(ds_graph *g)
{
	ds_value *x = relu(g, conv(g, "c0", start(g), 3, 10, 3, 1));
	ds_value *r = op(g, "Reshape", 2, (ds_value *[]){ x, ds_graph_const_i64(g, 2, (int64_t[]){ -1, 640 }) });
	finish(g, r, 640);
}

/* x.view(x.shape[0], -1), as exporters spell it. */
static void viewed(ds_graph *g)
{
	int64_t rest = -1;
	ds_value *x = relu(g, conv(g, "c0", start(g), 3, 10, 3, 1)), *zero = ds_graph_const_i64(g, 1, (int64_t[]){ 0 });
	ds_value *n = op(g, "Gather", 2, (ds_value *[]){ op(g, "Shape", 1, &x), ds_graph_const_i64(g, -1, (int64_t[]){ 0 }) });
	ds_value *dims = op(g, "Concat", 2, (ds_value *[]){ op(g, "Unsqueeze", 2, (ds_value *[]){ n, zero }), ds_graph_const_i64(g, 1, &rest) });
	ds_attr_i(dims->node, "axis", 0);
	finish(g, op(g, "Reshape", 2, (ds_value *[]){ x, dims }), 640);
}

/* One recurrent layer over [N, time, from], all of its states or the last one; rows of gates are those of ONNX. */
static ds_value *recur(ds_graph *g, const char *kind, const char *name, ds_value *x, int64_t gates, int64_t from, int64_t units, int peephole, bool last)
{
	char n[4][64];
	static const char *const part[] = { "weight", "recurrent", "bias", "peephole" };
	for (int i = 0; i < 4; i++)
		snprintf(n[i], sizeof n[i], "%s.%s", name, part[i]);
	ds_value *in[8] = { x, param(g, n[0], 0, 3, (int64_t[]){ 1, gates * units, from }), param(g, n[1], 0, 3, (int64_t[]){ 1, gates * units, units }),
		param(g, n[2], 0, 2, (int64_t[]){ 1, 2 * gates * units }) };
	if (peephole)
		in[7] = param(g, n[3], 0, 2, (int64_t[]){ 1, 3 * units });
	const char *names[2] = { last ? "" : name, last ? name : "" };
	ds_node *node = ds_graph_node(g, "", kind, name, peephole ? 8 : 4, in, last ? 2 : 1, names);
	ds_attr_i(node, "hidden_size", units);
	ds_attr_i(node, "layout", 1);
	return op(g, "Reshape", 2, (ds_value *[]){ node->out[last], ds_graph_const_i64(g, last ? 2 : 3, (int64_t[]){ 0, last ? units : 0, units }) });
}

/* A unit of a recurrent layer: its rows in every gate, its columns in the state's weights and in what reads it. */
static void recurrent(ds_graph *g)
{
	ds_value *x = op(g, "Reshape", 2, (ds_value *[]){ start(g), ds_graph_const_i64(g, 3, (int64_t[]){ 0, 8, 24 }) });
	x = recur(g, "LSTM", "lstm", x, 4, 24, 10, 1, false);
	x = recur(g, "GRU", "gru", x, 3, 10, 8, 0, false);
	finish(g, recur(g, "RNN", "rnn", x, 1, 8, 7, 0, true), 7);
}

static const struct { const char *name; void (*build)(ds_graph *g); int groups; } nets[] = {
	{ "residual", residual, 3 }, { "concat", concat, 4 }, { "depthwise", depthwise, 4 }, { "flatten", flatten, 1 }, { "padded-shortcut", padded_shortcut, 1 },
	{ "reshape", reshape, 1 }, { "viewed", viewed, 1 }, { "recurrent", recurrent, 3 },
};

#endif
