/* qat.c - fake quantisation: its values and gradients against the formulas, written down once more in double; networks with it, as they are
 * run, against the integer models that are written of them: the same bits */
#include "../../lib/exec/exec.h"
#include "../../lib/base/rng.h"
#include "../../lib/op/grad.h"
#include "../../lib/rewrite/rewrite.h"
#include "../../lib/train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok %s\n" : "not ok %s: " #cond "\n", name); \
} while (0)

typedef struct grid { int q_min, q_max, per_sample; bool rows; } grid;
enum { N = 6, C = 5, H = 7, W = 9, ALL = N * C * H * W };

static void set(ds_node *n, const grid *q)
{
	ds_attr_i(n, "axis", 1);
	ds_attr_i(n, "q_min", q->q_min);
	ds_attr_i(n, "q_max", q->q_max);
	ds_attr_i(n, "per_sample", q->per_sample);
}

/* y = FakeQuantize(x, scale), and the gradients of the sum of w * y to x and scale beside it. */
static ds_graph *build(const grid *q, ds_err *err)
{
	ds_graph *g = ds_graph_new();
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ N, C, H, W }), st = ds_type_make(DS_F32, q->rows, (int64_t[]){ C });
	ds_value *x = ds_graph_input(g, "x", &t), *s = ds_graph_input(g, "scale", &st), *w = ds_graph_input(g, "w", &t), *grad[2] = { NULL };
	ds_emit e = ds_emit_begin(g, err);
	ds_value *y = ds_emit2(&e, "ds.FakeQuantize", x, s);
	set(y->node, q);
	if (ds_emit_end(&e) != DS_OK || ds_graph_output(g, y) != DS_OK || ds_graph_verify(g, NULL, err) != DS_OK || ds_graph_infer(g, err) != DS_OK)
		return NULL;
	if (y->node->op->gradient(g, y->node, &w, grad, err) != DS_OK || ds_graph_output(g, grad[0]) != DS_OK ||
	    ds_graph_output(g, grad[1]) != DS_OK || ds_graph_name_all(g) != DS_OK)
		return NULL;
	return g;
}

/* The formulas of the paper (equations 1 to 5), in double, with the code decided in f32 as the operator does. */
static void expect(const grid *q, const float *x, const float *s, const float *w, float *y, float *dx, double *ds)
{
	int64_t scales = q->rows ? C : 1, per = ALL / scales / (q->per_sample ? N : 1);
	double factor = 1 / sqrt((double)per * q->q_max) * pow(fmin(15.0 / q->q_max, 1), 1.5);        /* 8 bits: held at that of 4 */
	memset(ds, 0, C * sizeof *ds);
	for (int64_t i = 0; i < ALL; i++) {
		int64_t k = q->rows ? i / (H * W) % C : 0;
		float u = x[i] / s[k];
		double code = fmin(fmax(nearbyint((double)u), q->q_min), q->q_max) + 0.0;     /* no -0 */
		bool inside = u >= (float)q->q_min && u <= (float)q->q_max;
		y[i] = (float)code * s[k];
		dx[i] = inside ? w[i] : 0;
		ds[k] += (double)w[i] * (inside ? nearbyint((double)u) - (double)u : code) * factor;
	}
}

static bool near(const float *a, const double *b, int64_t n)
{
	double most = 0, worst = 0;
	for (int64_t i = 0; i < n; i++) {
		most = fmax(most, fabs(b[i]));
		worst = fmax(worst, fabs((double)a[i] - b[i]));
	}
	return worst <= 1e-5 * most;
}

static void test(const char *name, const grid *q)
{
	ds_err err = { 0 };
	ds_graph *g = build(q, &err);
	ds_session *s = NULL;
	ds_tensor in[3] = { 0 }, out[3] = { 0 }, again[3] = { 0 };
	ds_rng r = ds_rng_init(11, (uint64_t)(q->q_max * 2 + q->rows));
	static float y[ALL], dx[ALL];
	double ds[C];
	bool ok = g != NULL;
	for (int i = 0; i < 3; i++)
		ok = ok && ds_tensor_new(&in[i], DS_F32, i == 1 ? q->rows : 4, i == 1 ? (int64_t[]){ C } : (int64_t[]){ N, C, H, W }, &err) == DS_OK;
	for (int i = 0; ok && i < 3; i++)
		for (int64_t k = 0; k < ds_tensor_count(&in[i]); k++)
			((float *)in[i].data)[k] = i == 1 ? 0.1f + 0.05f * (float)k : (float)ds_rng_normal(&r);
	printf("# %s\n", name);
	ok = ok && ds_session_new_opts(&s, g, &(ds_session_opts){ .threads = 1 }, &err) == DS_OK && ds_session_run(s, in, 3, out, 3, &err) == DS_OK;
	CHECK("it runs", ok);
	if (!ok) {
		printf("# %s\n", err.text);
		goto out;
	}
	expect(q, in[0].data, in[1].data, in[2].data, y, dx, ds);
	CHECK("values are code * scale, bit for bit", memcmp(y, out[0].data, sizeof y) == 0);
	CHECK("straight through inside, nothing outside", memcmp(dx, out[1].data, sizeof dx) == 0);
	CHECK("the gradient of the scale", near(out[2].data, ds, q->rows ? C : 1));
	ds_session_free(s);
	s = NULL;
	ok = ds_session_new_opts(&s, g, &(ds_session_opts){ .threads = 3 }, &err) == DS_OK && ds_session_run(s, in, 3, again, 3, &err) == DS_OK;
	CHECK("the same bits on three threads", ok && memcmp(out[2].data, again[2].data, ds_tensor_bytes(&out[2])) == 0);
out:
	for (int i = 0; i < 3; i++) {
		ds_tensor_done(&in[i]);
		ds_tensor_done(&out[i]);
		ds_tensor_done(&again[i]);
	}
	ds_session_free(s);
	ds_graph_free(g);
}

/* ---- networks ------------------------------------------------------------------------------------------------------------------- */
typedef struct net { ds_graph *g; ds_emit e; ds_rng r; int axes; } net;        /* axes: of space or time */

static ds_value *weight(net *t, const char *name, int rank, const int64_t *dim, double mean, double spread)
{
	ds_tensor v;
	if (ds_tensor_new(&v, DS_F32, rank, dim, NULL) != DS_OK)
		return NULL;
	for (int64_t i = 0; i < ds_tensor_count(&v); i++)
		((float *)v.data)[i] = (float)(mean + spread * ds_rng_normal(&t->r));
	return ds_graph_weight(t->g, DS_V_PARAM, name, &v);
}

static ds_value *fake(net *t, ds_value *x, ds_value *scale, int lo, int hi)
{
	ds_value *y = ds_emit2(&t->e, "ds.FakeQuantize", x, scale);
	ds_emit_i(&t->e, y, "q_min", lo);
	ds_emit_i(&t->e, y, "q_max", hi);
	return y;
}

/* An activation of `bits`, on a random step. */
static ds_value *act(net *t, ds_value *x, int bits, bool sign)
{
	float step = 4.0f / (float)(1 << bits) * (float)(0.5 + ds_rng_f64(&t->r));
	ds_tensor v;
	if (ds_tensor_new(&v, DS_F32, 1, (int64_t[]){ 1 }, NULL) != DS_OK)
		return NULL;
	*(float *)v.data = step;
	int zero = sign ? 3 * (1 << bits) / 7 : 0;
	return fake(t, x, ds_graph_weight(t->g, DS_V_PARAM, "", &v), -zero, (1 << bits) - 1 - zero);
}

/* Convolution of a fake-quantised weight, batch normalisation with scales of both signs. */
static ds_value *conv(net *t, ds_value *x, int64_t in, int64_t out, int k, int stride, int groups, int bits)
{
	ds_value *w = weight(t, "", 2 + t->axes, (int64_t[]){ out, in / groups, k, k }, 0, 0.3), *s = weight(t, "", 1, &out, 0.5 / (1 << bits), 0.01 / (1 << bits));
	ds_value *c = ds_emit2(&t->e, "Conv", x, fake(t, w, s, bits == 8 ? -127 : -(1 << (bits - 1)), (1 << (bits - 1)) - 1));
	ds_emit_is(&t->e, c, "pads", 2 * t->axes, (int64_t[]){ k / 2, k / 2, k / 2, k / 2 });
	ds_emit_is(&t->e, c, "strides", t->axes, (int64_t[]){ stride, stride });
	ds_emit_i(&t->e, c, "group", groups);
	ds_value *var = weight(t, "", 1, &out, 1, 0);
	ds_value *in5[5] = { c, weight(t, "", 1, &out, 0.3, 0.5), weight(t, "", 1, &out, 0, 0.3), weight(t, "", 1, &out, 0, 0.3), var };
	return ds_emit_op(&t->e, "BatchNormalization", 5, in5);
}

static ds_value *relu(net *t, ds_value *x) { return ds_emit1(&t->e, "Relu", x); }

/* Residual network: a block with an identity, one with a projection, a depthwise layer, a maximum, the mean, a product with a bias. */
static ds_graph *network(int bits, int axes, uint64_t seed, ds_err *err)
{
	net t = { .g = ds_graph_new(), .r = ds_rng_init(seed, 9), .axes = axes };
	ds_type xt = ds_type_make(DS_F32, 2 + axes, (int64_t[]){ 2, 3, 14, 14 });
	t.e = ds_emit_begin(t.g, err);
	ds_value *x = act(&t, ds_graph_input(t.g, "x", &xt), 8, true);
	x = act(&t, relu(&t, conv(&t, x, 3, 12, 3, 1, 1, 8)), 8, false);
	for (int block = 0; block < 2; block++) {
		int64_t in = block ? 16 : 12, out = block ? 20 : 12;
		ds_value *q = bits < 8 ? act(&t, x, bits, false) : x, *side = x;
		ds_value *h = act(&t, relu(&t, conv(&t, q, in, out, 3, 1 + block, 1, bits)), bits, false);
		if (block)
			side = act(&t, conv(&t, q, in, out, 1, 2, 1, bits), 8, true);
		x = act(&t, relu(&t, ds_emit2(&t.e, "Add", conv(&t, h, out, out, 3, 1, 1, bits), side)), 8, false);
		if (!block) {
			x = ds_emit1(&t.e, "MaxPool", x);
			ds_emit_is(&t.e, x, "kernel_shape", axes, (int64_t[]){ 2, 2 });
			ds_emit_is(&t.e, x, "strides", axes, (int64_t[]){ 2, 2 });
			x = act(&t, relu(&t, conv(&t, act(&t, x, bits, false), 12, 12, 3, 1, 12, bits)), bits, false);
			x = act(&t, relu(&t, conv(&t, x, 12, 16, 1, 1, 1, bits)), 8, false);
		}
	}
	x = ds_emit1(&t.e, "Flatten", act(&t, ds_emit1(&t.e, "GlobalAveragePool", x), 8, false));
	ds_value *w = fake(&t, weight(&t, "", 2, (int64_t[]){ 7, 20 }, 0, 0.3), weight(&t, "", 1, (int64_t[]){ 7 }, 0.01, 0.001), -127, 127);
	x = ds_emit3(&t.e, "Gemm", x, w, weight(&t, "", 1, (int64_t[]){ 7 }, 0, 0.3));
	ds_emit_i(&t.e, x, "transB", 1);
	if (ds_emit_end(&t.e) != DS_OK || ds_graph_output(t.g, x) != DS_OK || ds_graph_name_all(t.g) != DS_OK || ds_graph_verify(t.g, NULL, err) != DS_OK)
		return NULL;
	for (int i = 0, k = 0; i < t.g->n_weight; i++)
		if (t.g->weight[i]->kind == DS_V_PARAM && !t.g->weight[i]->name[0])
			t.g->weight[i]->name = ds_arena_printf(&t.g->arena, "w%d", k++);
	return t.g;
}

static int count(const ds_graph *g, const char *op)
{
	int n = 0;
	for (int i = 0; i < g->n_node; i++)
		n += strcmp(g->node[i]->op_name, op) == 0;
	return n;
}

static bool run(const ds_graph *g, const ds_session_opts *o, const ds_tensor *in, ds_tensor *out, const char *ops[], int n_ops, ds_err *err)
{
	ds_session *s = NULL;
	bool ok = ds_session_new_opts(&s, g, o, err) == DS_OK && ds_session_run(s, in, 1, out, 1, err) == DS_OK;
	for (int i = 0; ok && i < n_ops; i++)
		if (count(ds_session_graph(s), ops[i])) {
			printf("# %d %s\n", count(ds_session_graph(s), ops[i]), ops[i]);
			ok = false;
		}
	ds_session_free(s);
	return ok;
}

/* The integer model of a graph: what ds-quantize writes. */
static ds_graph *integers(const ds_graph *g, ds_err *err)
{
	ds_graph *h = ds_graph_clone(g);
	int n;
	if (!h || ds_graph_verify(h, NULL, err) != DS_OK || ds_graph_infer(h, err) != DS_OK || ds_rewrite_apply(h, "lower-fake-quantize", &n, NULL, err) != DS_OK ||
	    ds_rewrite_apply(h, "fold-batchnorm", &n, NULL, err) != DS_OK || ds_graph_name_all(h) != DS_OK || ds_graph_verify(h, NULL, err) != DS_OK)
		return NULL;
	return h;
}

/* A few steps of training on noise: do the steps of all grids move?  The trained model takes the place of the first. */
static void test_train(ds_graph *g, ds_err *err)
{
	ds_model *m = ds_model_new();
	ds_trainer *t = NULL;
	ds_tensor x = { 0 }, y = { 0 };
	ds_train_opts o = { .loss = ds_loss_find("cross-entropy"), .optimizer = ds_optimizer_find("sgd"), .optim = { .momentum = 0.9 }, .threads = 1 };
	ds_rng r = ds_rng_init(3, 3);
	ds_param *p;
	ds_train_stat stat;
	double first = 0, last = 0;
	int grids = 0, moved = 0, decayed = 0;
	ds_graph_free(m->graph);
	m->graph = g;
	bool ok = ds_tensor_new(&x, DS_F32, 4, (int64_t[]){ 2, 3, 14, 14 }, err) == DS_OK && ds_tensor_new(&y, DS_I64, 1, (int64_t[]){ 2 }, err) == DS_OK &&
		ds_trainer_new(&t, m, &o, err) == DS_OK;
	for (int64_t i = 0; ok && i < ds_tensor_count(&x); i++)
		((float *)x.data)[i] = (float)ds_rng_normal(&r);
	for (int step = 0; ok && step < 10; step++) {
		((int64_t *)y.data)[0] = 2;
		((int64_t *)y.data)[1] = 5;
		ok = ds_trainer_batch(t, &x, 1, &y, NULL, 1, &stat, err) == DS_OK && ds_trainer_update(t, 0.02, NULL, err) == DS_OK;
		last = stat.loss;
		first = step ? first : last;
	}
	int n = ok ? ds_trainer_params(t, &p) : 0;
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < n && strcmp(g->node[i]->op_name, "FakeQuantize") == 0; k++)
			if (strcmp(p[k].name, g->node[i]->in[1]->name) == 0) {
				grids++;
				decayed += p[k].decay;
				moved += memcmp(p[k].value.data, g->node[i]->in[1]->data.data, ds_tensor_bytes(&p[k].value)) != 0;
			}
	CHECK("  training lowers the loss", ok && last < first);
	CHECK("  every scale is trained, none decays", grids == count(g, "FakeQuantize") && grids - moved <= 2 && decayed == 0);
	ok = ok && ds_trainer_export(t, m, false, err) == DS_OK;
	CHECK("  the trained model is taken over", ok);
	printf("# %d of %d scales moved, loss %g to %g\n", moved, grids, first, last);
	ds_trainer_free(t);
	m->graph = ds_graph_new();
	ds_model_free(m);
	ds_tensor_done(&x);
	ds_tensor_done(&y);
}

static void test_network(int bits, int axes, uint64_t seed, bool train)
{
	static const char *f32[] = { "FakeQuantize", "Conv", "ConvAct", "Gemm", "GemmAct", "Relu", "Clip", "Add", "GlobalAveragePool", "BatchNormalization" };
	static const char *fakes[] = { "FakeQuantize", "BatchNormalization" };
	ds_err err = { 0 };
	ds_graph *g = network(bits, axes, seed, &err), *h = NULL;
	if (g && train)
		test_train(g, &err);
	h = g ? integers(g, &err) : NULL;
	ds_tensor x = { 0 }, sim = { 0 }, a = { 0 }, b = { 0 };
	ds_rng r = ds_rng_init(seed, 10);
	char name[80];
	bool ok = h && count(h, fakes[0]) == 0 && count(h, fakes[1]) == 0 && ds_tensor_new(&x, DS_F32, 2 + axes, (int64_t[]){ 2, 3, 14, 14 }, &err) == DS_OK;
	for (int64_t i = 0; ok && i < ds_tensor_count(&x); i++)
		((float *)x.data)[i] = (float)ds_rng_normal(&r);
	ok = ok && run(g, &(ds_session_opts){ .threads = 1, .no_rewrite = true }, &x, &sim, NULL, 0, &err);
	snprintf(name, sizeof name, "w%da%d over %d axes, seed %d%s: all on integers", bits, bits, axes, (int)seed, train ? ", trained" : "");
	CHECK(name, ok && run(g, &(ds_session_opts){ .threads = 1 }, &x, &a, f32, DS_COUNTOF(f32), &err));
	CHECK("  the integer model gives the same bits", ok && run(h, &(ds_session_opts){ .threads = 2 }, &x, &b, f32, DS_COUNTOF(f32), &err) &&
		memcmp(a.data, b.data, ds_tensor_bytes(&a)) == 0);
	double d = 0, most = 0;
	for (int64_t i = 0; ok && a.data && i < ds_tensor_count(&a); i++) {
		d = fmax(d, fabs((double)((float *)a.data)[i] - (double)((float *)sim.data)[i]));
		most = fmax(most, fabs((double)((float *)sim.data)[i]));
	}
	/* a code at a tie may fall the other way in f32, and moves what comes after */
	CHECK("  as in training", ok && most > 0 && d < 0.1 * most);
	printf("# largest difference %.3g of %.3g\n", d, most);
	if (err.text[0])
		printf("# %s\n", err.text);
	ds_tensor_done(&x);
	ds_tensor_done(&sim);
	ds_tensor_done(&a);
	ds_tensor_done(&b);
	ds_graph_free(g);
	ds_graph_free(h);
}

int main(void)
{
	test("w4, a scale for each channel", &(grid){ -8, 7, 0, true });
	test("w2, one scale", &(grid){ -2, 1, 0, false });
	test("a4, of samples", &(grid){ 0, 15, 1, false });
	test("a8 with a zero point", &(grid){ -100, 155, 1, false });
	for (uint64_t seed = 0; seed < 3; seed++)
		for (int bits = 2; bits <= 8; bits *= 2)
			test_network(bits, 2, seed, seed == 2);
	test_network(4, 1, 0, false);
	return failures != 0;
}
