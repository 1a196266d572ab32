/* qat.c - fake quantisation: its values and gradients against the formulas, written down once more in double */
#include "../../lib/exec/exec.h"
#include "../../lib/base/rng.h"
#include "../../lib/op/grad.h"

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
	double factor = 1 / sqrt((double)per * q->q_max);
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

int main(void)
{
	test("w4, a scale for each channel", &(grid){ -8, 7, 0, true });
	test("w2, one scale", &(grid){ -2, 1, 0, false });
	test("a4, of samples", &(grid){ 0, 15, 1, false });
	test("a8 with a zero point", &(grid){ -100, 155, 1, false });
	return failures != 0;
}
