/* rewrite.c - rewritten graphs compute what the graphs as they stand compute, and say what was done; the plan reuses memory and forgets nothing */
#include "base/rng.h"
#include "exec/exec.h"
#include "rewrite/rewrite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

static ds_rng rng;

static ds_value *param(ds_graph *g, const char *name, double around, int rank, const int64_t *dim)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_F32, rank, dim, NULL) != DS_OK)
		return NULL;
	for (int64_t i = 0; i < ds_tensor_count(&t); i++)
		((float *)t.data)[i] = (float)(around + .2 * ds_rng_normal(&rng));
	return ds_graph_weight(g, DS_V_PARAM, name, &t);
}

static ds_value *op(ds_graph *g, const char *name, int n, ds_value **in)
{
	ds_node *node = ds_graph_node(g, "", name, "", n, in, 1, NULL);
	return node ? node->out[0] : NULL;
}

static ds_value *conv(ds_graph *g, ds_value *x, int64_t i, int64_t o, bool bias)
{
	ds_value *v = op(g, "Conv", bias ? 3 : 2, (ds_value *[]){ x, param(g, "", 0, 4, (int64_t[]){ o, i, 3, 3 }), bias ? param(g, "", 0, 1, &o) : NULL });
	ds_attr_is(v->node, "pads", 4, (int64_t[]){ 1, 1, 1, 1 });
	return v;
}

static ds_value *norm(ds_graph *g, ds_value *x, int64_t c)
{
	return op(g, "BatchNormalization", 5, (ds_value *[]){ x, param(g, "", 1, 1, &c), param(g, "", 0, 1, &c), param(g, "", 0, 1, &c), param(g, "", 1.5, 1, &c) });
}

static ds_value *unary(ds_graph *g, const char *name, ds_value *x)
{
	return op(g, name, 1, &x);
}

/* ---- graphs; each takes x [N, 4, 9, 7] ------------------------------------------------------------------------------------------- */
static ds_value *plain_block(ds_graph *g, ds_value *x)
{
	return unary(g, "Relu", norm(g, conv(g, x, 4, 24, false), 24));
}

static ds_value *residual(ds_graph *g, ds_value *x)
{
	x = unary(g, "Relu", conv(g, x, 4, 16, true));
	ds_value *y = norm(g, conv(g, unary(g, "Relu", norm(g, conv(g, x, 16, 16, false), 16)), 16, 16, false), 16);
	return unary(g, "Relu", op(g, "Add", 2, (ds_value *[]){ x, y }));
}

static ds_value *two_arms(ds_graph *g, ds_value *x)             /* both arms are convolutions: the later one takes the other */
{
	ds_value *a = conv(g, x, 4, 8, true), *b = conv(g, x, 4, 8, true);
	return unary(g, "LeakyRelu", op(g, "Add", 2, (ds_value *[]){ a, b }));
}

static ds_value *silu(ds_graph *g, ds_value *x)
{
	ds_value *c = conv(g, x, 4, 8, true);
	return op(g, "Mul", 2, (ds_value *[]){ c, unary(g, "Sigmoid", c) });
}

static ds_value *clip_and_bias(ds_graph *g, ds_value *x)        /* bias as an Add of [1, C, 1, 1], then a clip by inputs */
{
	ds_value *c = op(g, "Add", 2, (ds_value *[]){ conv(g, x, 4, 8, false), param(g, "", 0, 4, (int64_t[]){ 1, 8, 1, 1 }) });
	return op(g, "Clip", 3, (ds_value *[]){ c, ds_graph_const_f32(g, -.1f), ds_graph_const_f32(g, .3f) });
}

static ds_value *shared(ds_graph *g, ds_value *x)               /* a value that is read twice must stay */
{
	ds_value *c = conv(g, x, 4, 8, true);
	ds_value *y = op(g, "Concat", 2, (ds_value *[]){ c, norm(g, c, 8) });
	ds_attr_i(y->node, "axis", 1);
	return y;
}

static ds_value *products(ds_graph *g, ds_value *x)
{
	int64_t n = 10;
	ds_value *f = unary(g, "Flatten", x);
	ds_value *y = op(g, "MatMul", 2, (ds_value *[]){ f, param(g, "", 0, 2, (int64_t[]){ 252, 20 }) });
	y = unary(g, "Tanh", op(g, "Add", 2, (ds_value *[]){ y, param(g, "", 0, 1, (int64_t[]){ 20 }) }));
	y = op(g, "Gemm", 3, (ds_value *[]){ y, param(g, "", 0, 2, (int64_t[]){ 10, 20 }), param(g, "", 0, 1, &n) });
	ds_attr_i(y->node, "transB", 1);
	return unary(g, "Identity", y);
}

static ds_value *dead(ds_graph *g, ds_value *x)
{
	conv(g, x, 4, 64, true);
	return unary(g, "Identity", unary(g, "Dropout", unary(g, "Relu", x)));
}

static const struct { const char *name; ds_value *(*build)(ds_graph *g, ds_value *x); int nodes; const char *says; } graphs[] = {
	{ "conv-norm-relu", plain_block, 1, "fold-batchnorm" },
	{ "residual", residual, 3, "fused residual Relu" },
	{ "two-arms", two_arms, 2, "fused residual LeakyRelu" },
	{ "silu", silu, 1, "fused Mul" },
	{ "clip-and-bias", clip_and_bias, 1, "fused bias Clip" },
	{ "shared", shared, 3, "kept: the value before it is used elsewhere" },
	{ "products", products, 3, "fused bias Tanh" },
	{ "dead", dead, 1, "drop-identity" },
};

static double difference(const ds_tensor *a, const ds_tensor *b)
{
	double worst = a->rank == b->rank && ds_tensor_count(a) == ds_tensor_count(b) ? 0 : INFINITY, scale = 1e-6;
	for (int64_t i = 0; worst < INFINITY && i < ds_tensor_count(a); i++) {
		worst = fmax(worst, fabs((double)((float *)a->data)[i] - (double)((float *)b->data)[i]));
		scale = fmax(scale, fabs((double)((float *)b->data)[i]));
	}
	return worst / scale;
}

static bool run(const ds_graph *g, const ds_session_opts *o, const ds_tensor *x, ds_tensor *y, ds_buf *log, int *nodes, ds_err *err)
{
	ds_session *s;
	if (ds_session_new_opts(&s, g, o, err) != DS_OK)
		return false;
	*nodes = ds_session_graph(s)->n_node;
	ds_status rc = ds_session_run(s, x, 1, y, 1, err);
	if (rc == DS_OK) {                      /* a second run in the same memory gives the same bits */
		ds_tensor again = { 0 };
		rc = ds_session_run(s, x, 1, &again, 1, err);
		if (rc == DS_OK && memcmp(again.data, y->data, ds_tensor_bytes(y)) != 0)
			rc = ds_fail(err, DS_E_INTERNAL, "the second run differs");
		ds_tensor_done(&again);
	}
	if (rc == DS_OK && log)
		rc = ds_session_dump(s, "rewrite", log, err);
	ds_session_free(s);
	return rc == DS_OK;
}

static void one(int k)
{
	char name[80];
	ds_err err = { .text = "" };
	ds_buf log = { 0 };
	ds_tensor x, want = { 0 }, have = { 0 }, kept = { 0 };
	int nodes = 0, all = 0;
	rng = ds_rng_init(5, (uint64_t)k);
	ds_graph *g = ds_graph_new();
	int sym = ds_graph_symbol(g, "N");
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ -1 - sym, 4, 9, 7 });
	ds_value *y = graphs[k].build(g, ds_graph_input(g, "x", &t));
	y->name = "y";
	ds_graph_output(g, y);
	if (ds_tensor_new(&x, DS_F32, 4, (int64_t[]){ 3, 4, 9, 7 }, &err) != DS_OK)
		return;
	for (int64_t i = 0; i < ds_tensor_count(&x); i++)
		((float *)x.data)[i] = (float)ds_rng_normal(&rng);
	bool ok = run(g, &(ds_session_opts){ .threads = 1, .no_rewrite = true, .no_variants = true }, &x, &want, NULL, &all, &err) &&
		run(g, &(ds_session_opts){ .threads = 2 }, &x, &have, &log, &nodes, &err) &&
		run(g, &(ds_session_opts){ .threads = 2, .keep_all = true }, &x, &kept, NULL, &all, &err);
	snprintf(name, sizeof name, "%s-runs", graphs[k].name);
	if (!ok)
		printf("# %s\n", err.text);
	CHECK(name, ok);
	snprintf(name, sizeof name, "%s-same", graphs[k].name);
	CHECK(name, ok && difference(&have, &want) < 2e-5 && difference(&kept, &want) < 2e-5);
	snprintf(name, sizeof name, "%s-nodes", graphs[k].name);
	if (nodes != graphs[k].nodes)
		printf("# %d nodes\n", nodes);
	CHECK(name, nodes == graphs[k].nodes);
	snprintf(name, sizeof name, "%s-log", graphs[k].name);
	if (!log.data || !strstr(log.data, graphs[k].says))
		printf("# %s\n", log.data ? log.data : "");
	CHECK(name, log.data && strstr(log.data, graphs[k].says));
	ds_buf_done(&log);
	ds_tensor_done(&x);
	ds_tensor_done(&want);
	ds_tensor_done(&have);
	ds_tensor_done(&kept);
	ds_graph_free(g);
}

/* A chain of 12 equal convolutions needs the memory of two values, not of twelve. */
static void memory(void)
{
	ds_err err;
	ds_session *s = NULL;
	ds_plan_info info = { 0 };
	ds_tensor x, y = { 0 };
	ds_graph *g = ds_graph_new();
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ 1, 4, 32, 32 });
	ds_value *v = ds_graph_input(g, "x", &t);
	for (int i = 0; i < 12; i++)
		v = unary(g, "Relu", conv(g, v, i ? 16 : 4, 16, true));
	v->name = "y";
	ds_graph_output(g, v);
	bool ok = ds_tensor_new(&x, DS_F32, 4, t.dim, &err) == DS_OK && ds_session_new_opts(&s, g, &(ds_session_opts){ .threads = 1 }, &err) == DS_OK &&
		ds_session_run(s, &x, 1, &y, 1, &err) == DS_OK;
	if (ok)
		ds_session_info(s, &info);
	CHECK("memory-reuse", ok && info.arena_bytes * 3 < info.naive_bytes);
	ds_tensor wrong = x;
	wrong.dim[1] = 5;
	ds_tensor_done(&y);
	CHECK("wrong-input", s && ds_session_run(s, &wrong, 1, &y, 1, &err) == DS_E_INPUT && strstr(err.text, "dimension 1"));
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	ds_session_free(s);
	ds_graph_free(g);
}

int main(void)
{
	for (int k = 0; k < (int)DS_COUNTOF(graphs); k++)
		one(k);
	memory();
	return failed;
}
