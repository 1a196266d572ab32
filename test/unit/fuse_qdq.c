/* fuse_qdq.c - the integer rewrite against the graph as it stands: the same codes, and the operators that were meant */
#include "../../lib/exec/exec.h"
#include "../../lib/base/rng.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok %s\n" : "not ok %s: " #cond "\n", name); \
} while (0)

static ds_value *zero(ds_graph *g, ds_dtype d, int v)
{
	ds_tensor t;
	if (ds_tensor_new(&t, d, 0, NULL, NULL) != DS_OK)
		return NULL;
	*(uint8_t *)t.data = (uint8_t)v;
	return ds_graph_weight(g, DS_V_CONST, "", &t);
}

static ds_value *node(ds_graph *g, const char *op, int n, ds_value *a, ds_value *b, ds_value *c)
{
	ds_value *in[3] = { a, b, c };
	ds_node *m = ds_graph_node(g, "", op, "", n, in, 1, NULL);
	return m ? m->out[0] : NULL;
}

/* A QuantizeLinear/DequantizeLinear pair. */
static ds_value *pair(ds_graph *g, ds_value *v, float scale, int zp, ds_dtype d)
{
	ds_value *s = ds_graph_const_f32(g, scale), *z = zero(g, d, zp);
	return node(g, "DequantizeLinear", 3, node(g, "QuantizeLinear", 3, v, s, z), s, z);
}

/* Two inputs [2, 4, 6, 6] through a sum with Relu, a function, a concatenation, a maximum, a move and a mean. */
static ds_graph *build(ds_dtype d)
{
	ds_graph *g = ds_graph_new();
	int64_t dim[4] = { 2, 4, 6, 6 };
	ds_type t = ds_type_make(DS_F32, 4, dim);
	int off = d == DS_I8 ? -128 : 0;
	ds_value *a = pair(g, ds_graph_input(g, "a", &t), 0.02f, 128 + off, d), *b = pair(g, ds_graph_input(g, "b", &t), 0.03f, 100 + off, d);
	ds_value *sum = pair(g, node(g, "Relu", 1, node(g, "Add", 2, a, b, NULL), NULL, NULL), 0.025f, off, d);
	ds_value *sig = pair(g, node(g, "Sigmoid", 1, b, NULL, NULL), 1.0f / 255, off, d);
	ds_value *cat = node(g, "Concat", 2, sum, sig, NULL);
	ds_attr_i(cat->node, "axis", 1);
	cat = pair(g, cat, 0.025f, off, d);
	ds_value *max = node(g, "MaxPool", 1, cat, NULL, NULL);
	ds_attr_is(max->node, "kernel_shape", 2, (int64_t[]){ 2, 2 });
	max = pair(g, max, 0.025f, off, d);
	ds_value *turn = node(g, "Transpose", 1, max, NULL, NULL);
	ds_attr_is(turn->node, "perm", 4, (int64_t[]){ 0, 1, 3, 2 });
	ds_value *mean = pair(g, node(g, "GlobalAveragePool", 1, turn, NULL, NULL), 0.01f, off, d);
	if (ds_graph_output(g, mean) != DS_OK || ds_graph_output(g, turn) != DS_OK || ds_graph_name_all(g) != DS_OK)
		return NULL;
	return g;
}

static bool has(const ds_graph *g, const char *op)
{
	for (int i = 0; i < g->n_node; i++)
		if (strcmp(g->node[i]->op_name, op) == 0)
			return true;
	return false;
}

static void test(ds_dtype d, const char *label)
{
	ds_graph *g = build(d);
	ds_tensor in[2], want[2], got[2];
	ds_session *plain = NULL, *fused = NULL;
	ds_err err = { 0 };
	ds_rng r = ds_rng_init(5, (uint64_t)d);
	bool ok = g != NULL;
	for (int i = 0; i < 2; i++) {
		ok = ok && ds_tensor_new(&in[i], DS_F32, 4, (int64_t[]){ 2, 4, 6, 6 }, &err) == DS_OK;
		for (int64_t k = 0; ok && k < 288; k++)
			((float *)in[i].data)[k] = (float)ds_rng_normal(&r);
	}
	printf("# %s\n", label);
	ok = ok && ds_session_new_opts(&plain, g, &(ds_session_opts){ .threads = 1, .no_rewrite = true }, &err) == DS_OK &&
		ds_session_new_opts(&fused, g, &(ds_session_opts){ .threads = 2 }, &err) == DS_OK &&
		ds_session_run(plain, in, 2, want, 2, &err) == DS_OK && ds_session_run(fused, in, 2, got, 2, &err) == DS_OK;
	CHECK("both run", ok);
	if (!ok) {
		printf("# %s\n", err.text);
		return;
	}
	const ds_graph *f = ds_session_graph(fused);
	CHECK("operators on codes", has(f, "QAdd") && has(f, "QLut") && has(f, "QConcat") && has(f, "QGlobalAveragePool"));
	CHECK("no f32 operator is left", !has(f, "Add") && !has(f, "Relu") && !has(f, "Sigmoid") && !has(f, "Concat") && !has(f, "GlobalAveragePool"));
	/* one step at most, where the sum in f32 is rounded in another order, and that rarely */
	int off = 0, far = 0, all = 0;
	for (int o = 0; o < 2; o++) {
		float step = o == 0 ? 0.01f : 0.025f;
		for (int64_t k = 0; k < ds_tensor_count(&got[o]); k++, all++) {
			float e = ((float *)got[o].data)[k] - ((float *)want[o].data)[k];
			e = e < 0 ? -e : e;
			off += e > step * 0.01f;
			far += e > step * 1.01f;
		}
	}
	CHECK("the same codes", far == 0 && off * 50 <= all);
	for (int i = 0; i < 2; i++) {
		ds_tensor_done(&in[i]);
		ds_tensor_done(&want[i]);
		ds_tensor_done(&got[i]);
	}
	ds_session_free(plain);
	ds_session_free(fused);
	ds_graph_free(g);
}

int main(void)
{
	test(DS_U8, "u8 activations");
	test(DS_I8, "i8 activations become u8");
	return failures != 0;
}
