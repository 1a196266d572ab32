/* faithful.c - curves of a model whose answer is known by heart; how alike maps are, by hand; the interval covers the mean as often as it says */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "explain/drift.h"
#include "explain/faithful.h"
#include "explain/randomise.h"
#include "nets.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

/* ---- curves ---------------------------------------------------------------------------------------------------------------------- */

enum { C = 2, H = 6, W = 8, N = C * H * W };

/* The answer is the share of the marks that stand: a place is marked where its weight is not 0, and stands while both channels have their values. */
typedef struct judge { const float *x, *weight; int calls; int64_t most, seen; bool last; } judge;

static ds_status answer(void *arg, const float *x, int64_t n, double *p, ds_err *err)
{
	judge *j = arg;
	(void)err;
	j->calls++;
	j->seen += n;
	j->most = DS_MAX(j->most, n);
	for (int64_t k = 0; k < n; k++) {
		double sum = 0, all = 0;
		for (int i = 0; i < H * W; i++) {
			bool stands = true;
			for (int c = 0; c < C; c++) {
				int at = j->last ? i * C + c : c * H * W + i;
				stands = stands && x[k * N + at] == j->x[at];
			}
			sum += stands ? (double)j->weight[i] : 0;
			all += (double)j->weight[i];
		}
		p[k] = sum / all;
	}
	return DS_OK;
}

static ds_plane plane_of(bool last)
{
	return last ? (ds_plane){ C, H, W, 1, W * C, C } : (ds_plane){ C, H, W, H * W, W, 1 };
}

/* One marked patch of 2 x 2 in a grid of 3 x 4: of 12 patches it goes first, so that the curve is 1, 0, 0, ...: area 1/24 and 23/24. */
static void one_patch(bool last)
{
	float x[N], blank[N] = { 0 }, weight[H * W] = { 0 };
	ds_faith f;
	ds_err e;
	for (int i = 0; i < N; i++)
		x[i] = 1 + (float)i;
	weight[2 * W + 4] = weight[2 * W + 5] = weight[3 * W + 4] = weight[3 * W + 5] = 1;
	judge j = { .x = x, .weight = weight, .last = last };
	ds_faith_opts o = { .plane = plane_of(last), .grid = 4, .orders = 40, .batch = 5, .seed = 3 };
	ds_status rc = ds_faithful(&f, &o, x, blank, weight, answer, &j, &e);
	CHECK("curves/one patch", rc == DS_OK && f.patches == 12 && f.steps == 12, "%d", (int)rc);
	if (rc != DS_OK)
		return;
	CHECK("curves/areas", fabs(f.deletion_auc - 1. / 24) < 1e-12 && fabs(f.insertion_auc - 23. / 24) < 1e-12, "%g %g", f.deletion_auc, f.insertion_auc);
	CHECK("curves/ends", f.whole == 1 && f.blank == 0 && f.deletion[0] == 1 && f.deletion[12] == 0 && f.insertion[0] == 0 && f.insertion[12] == 1, "%g", f.whole);
	CHECK("curves/chance is half", fabs(f.random_auc - .5) < .15, "%g", f.random_auc);
	CHECK("curves/batches", j.most == 5 && j.seen == 2 + (2 + 40) * 11, "%d calls, %lld", j.calls, (long long)j.seen);
	ds_faith_done(&f);
}

/* The same for any batch; fewer steps than patches; a map that says the opposite is worse than chance; equal patches are not taken by position. */
static void other_ways(void)
{
	float x[N], blank[N] = { 0 }, weight[H * W], against[H * W], flat[H * W] = { 0 };
	ds_faith a, b;
	for (int i = 0; i < N; i++)
		x[i] = 1 + (float)i;
	for (int i = 0; i < H * W; i++) {
		weight[i] = i < H * W / 2 ? 0 : 1;      /* the lower half */
		against[i] = -weight[i];
	}
	judge j = { .x = x, .weight = weight };
	ds_faith_opts o = { .plane = plane_of(false), .grid = 4, .orders = 3, .batch = 1, .seed = 9 };
	bool same = ds_faithful(&a, &o, x, blank, weight, answer, &j, NULL) == DS_OK;
	o.batch = 100;
	same = same && ds_faithful(&b, &o, x, blank, weight, answer, &j, NULL) == DS_OK;
	same = same && !memcmp(a.random, b.random, (size_t)(a.steps + 1) * sizeof *a.random) && !memcmp(a.deletion, b.deletion, (size_t)(a.steps + 1) * sizeof *a.deletion);
	CHECK("curves/any batch", same, "differs");
	ds_faith_done(&b);
	o.steps = 5;
	bool few = ds_faithful(&b, &o, x, blank, weight, answer, &j, NULL) == DS_OK && b.steps == 5 && b.deletion[5] == 0 && b.insertion[5] == 1;
	CHECK("curves/few steps", few && b.deletion_auc < .5, "%g", b.deletion_auc);
	ds_faith_done(&b);
	o.steps = 0;
	bool worse = ds_faithful(&b, &o, x, blank, against, answer, &j, NULL) == DS_OK && b.deletion_auc > b.random_auc && b.insertion_auc < b.random_auc;
	CHECK("curves/the opposite", worse && fabs(b.deletion_auc - a.insertion_auc) < 1e-12, "%g %g", b.deletion_auc, a.insertion_auc);
	ds_faith_done(&b);
	bool flat_ok = ds_faithful(&b, &o, x, blank, flat, answer, &j, NULL) == DS_OK;
	CHECK("curves/a flat map", flat_ok && fabs(b.deletion_auc - .5) < .3 && fabs(b.deletion_auc - a.insertion_auc) > 1e-6, "%g", b.deletion_auc);
	ds_faith_done(&b);
	ds_faith_done(&a);
	o.grid = 1;
	ds_err e;
	CHECK("curves/one patch is none", ds_faithful(&b, &o, x, blank, flat, answer, &j, &e) == DS_E_INPUT, "taken");
}

static ds_status refuse(void *arg, const float *x, int64_t n, double *p, ds_err *err)
{
	(void)arg, (void)x, (void)n, (void)p;
	return ds_fail(err, DS_E_LIMIT, "no");
}

/* ---- how alike ------------------------------------------------------------------------------------------------------------------- */

static void by_hand(void)
{
	double v = 9, w = 9;
	float a[] = { 1, 2, 3, 4, 5 }, b[] = { 5, 6, 7, 8, 7 }, tied[] = { 1, 1, 2, 2, 3 }, flat[] = { 2, 2, 2, 2, 2 }, odd[] = { NAN, -INFINITY, INFINITY, 1, 0 };
	/* ranks 1 2 3 4 5 against 1 2 3.5 5 3.5: covariance 8, variances 10 and 9.5 */
	bool ok = ds_map_rank(a, b, 5, &v, NULL) == DS_OK && fabs(v - 8 / sqrt(95)) < 1e-12;
	CHECK("rank/by hand", ok, "%.12g", v);
	ok = ds_map_rank(tied, tied, 5, &v, NULL) == DS_OK && ds_map_rank(a, flat, 5, &w, NULL) == DS_OK;
	CHECK("rank/ties and constants", ok && fabs(v - 1) < 1e-12 && w == 0, "%g %g", v, w);
	ok = ds_map_rank(flat, flat, 5, &v, NULL) == DS_OK && ds_map_rank(odd, odd, 5, &w, NULL) == DS_OK;
	CHECK("rank/nothing to rank, odd numbers", ok && v == 1 && fabs(w - 1) < 1e-12, "%g %g", v, w);
	float up[40], down[40];
	for (int i = 0; i < 40; i++)
		down[39 - i] = up[i] = (float)(i * i);
	ok = ds_map_rank(up, down, 40, &v, NULL) == DS_OK && ds_map_overlap(up, down, 40, .1, &w, NULL) == DS_OK;
	CHECK("rank and overlap/opposite", ok && fabs(v + 1) < 1e-12 && w == 0, "%g %g", v, w);
	up[0] = 1e9f;           /* of the 4 foremost now 3 are those of before */
	float was[40];
	for (int i = 0; i < 40; i++)
		was[i] = (float)(i * i);
	ok = ds_map_overlap(was, up, 40, .1, &v, NULL) == DS_OK && ds_map_overlap(was, was, 40, .1, &w, NULL) == DS_OK;
	CHECK("overlap/by hand", ok && v == .75 && w == 1, "%g %g", v, w);
}

static void structure(void)
{
	enum { SIDE = 28 };
	float a[SIDE * SIDE], noise[SIDE * SIDE], near[SIDE * SIDE], flat[SIDE * SIDE] = { 0 };
	double same = 0, chance = 1, close = 0, scaled = 0, none = 0;
	ds_rng r = ds_rng_init(1, 1);
	for (int i = 0; i < SIDE * SIDE; i++) {
		double dx = i % SIDE - 14, dy = i / SIDE - 10;
		a[i] = (float)exp(-(dx * dx + dy * dy) / 60);
		noise[i] = (float)ds_rng_f64(&r);
		near[i] = 7 * a[i] + .1f * noise[i];
	}
	bool ok = ds_map_ssim(a, a, SIDE, SIDE, &same, NULL) == DS_OK && ds_map_ssim(a, noise, SIDE, SIDE, &chance, NULL) == DS_OK
		&& ds_map_ssim(a, near, SIDE, SIDE, &close, NULL) == DS_OK && ds_map_ssim(near, a, SIDE, SIDE, &scaled, NULL) == DS_OK
		&& ds_map_ssim(flat, flat, SIDE, SIDE, &none, NULL) == DS_OK;
	CHECK("ssim/the same and noise", ok && fabs(same - 1) < 1e-9 && chance < .2, "%g %g", same, chance);
	CHECK("ssim/symmetric, of flat maps", ok && fabs(close - scaled) < 1e-12 && close > .5 && close < 1 && none == 1, "%g %g %g", close, scaled, none);
}

/* Of 200 samples of 30 normal numbers about 95 of 100 intervals hold the mean: 3 standard deviations below is .90, and the bootstrap of 30 is a little narrow. */
static void intervals(void)
{
	int held = 0;
	double m, lo, hi, v[30];
	for (int k = 0; k < 200; k++) {
		ds_rng r = ds_rng_init(17, (uint64_t)k);
		for (int i = 0; i < 30; i++)
			v[i] = 2 + ds_rng_normal(&r);
		if (ds_mean_interval(v, 30, 5, &m, &lo, &hi, NULL) == DS_OK)
			held += lo <= 2 && hi >= 2;
	}
	CHECK("interval/coverage", held >= 176 && held <= 199, "%d of 200", held);
	bool ok = ds_mean_interval(v, 1, 5, &m, &lo, &hi, NULL) == DS_OK && m == v[0] && lo == m && hi == m && ds_mean_interval(v, 0, 5, &m, &lo, &hi, NULL) == DS_OK && isnan(m);
	CHECK("interval/one and none", ok, "%g %g %g", m, lo, hi);
}

/* ---- layers that forget ------------------------------------------------------------------------------------------------------------ */

static int by_size(const void *pa, const void *pb)
{
	float a = *(const float *)pa, b = *(const float *)pb;
	return (a > b) - (a < b);
}

static ds_value *weight_called(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_weight; i++)
		if (!strcmp(g->weight[i]->name, name))
			return g->weight[i];
	return NULL;
}

/* conv - norm - conv through a transposed weight: the order is that of reading, vectors stay, a shuffled weight has the same values elsewhere. */
static void forgetting(void)
{
	ds_graph *g = ds_graph_new(), *one = NULL, *again = NULL, *all = NULL;
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ 1, 3, 6, 6 });
	ds_value *late = param(g, "late", 0, 4, (int64_t[]){ 8, 5, 3, 3 });
	ds_value *turned = op(g, "Transpose", 1, &late);
	ds_attr_is(turned->node, "perm", 4, (int64_t[]){ 1, 0, 2, 3 });
	ds_value *v = norm(g, "norm", conv(g, "early", ds_graph_input(g, "x", &t), 3, 8, 3, 1), 8);
	v = op(g, "Conv", 2, (ds_value *[]){ v, turned });
	CHECK("layers/order", ds_forget_layers(g) == 2 && !strcmp(ds_forget_name(g, 0), "late") && !strcmp(ds_forget_name(g, 1), "early"), "%d %s", ds_forget_layers(g),
		ds_forget_name(g, 0));
	bool ok = ds_forget(&one, g, 1, 7, NULL) == DS_OK && ds_forget(&again, g, 1, 7, NULL) == DS_OK && ds_forget(&all, g, 9, 7, NULL) == DS_OK;
	CHECK("layers/copies", ok, "failed");
	if (ok) {
		const ds_value *a = weight_called(g, "late"), *b = weight_called(one, "late"), *c = weight_called(again, "late");
		size_t n = (size_t)ds_tensor_count(&a->data);
		float x[8 * 5 * 9], y[8 * 5 * 9];
		memcpy(x, a->data.data, n * sizeof *x);
		memcpy(y, b->data.data, n * sizeof *y);
		CHECK("layers/moved, by the seed", memcmp(x, y, n * sizeof *x) && !memcmp(y, c->data.data, n * sizeof *y), "not");
		qsort(x, n, sizeof *x, by_size);
		qsort(y, n, sizeof *y, by_size);
		CHECK("layers/the same values", !memcmp(x, y, n * sizeof *x), "others");
		CHECK("layers/the lower one stays", weight_called(one, "early")->data.data == weight_called(g, "early")->data.data, "moved");
		CHECK("layers/all of them", weight_called(all, "early")->data.data != weight_called(g, "early")->data.data
			&& weight_called(all, "norm.scale")->data.data == weight_called(g, "norm.scale")->data.data, "not");
	}
	ds_graph_free(all);
	ds_graph_free(again);
	ds_graph_free(one);
	ds_graph_free(g);
}

int main(void)
{
	float x[N] = { 0 }, map[H * W] = { 0 };
	ds_faith f;
	ds_faith_opts o = { .plane = plane_of(false), .grid = 4, .batch = 4 };
	one_patch(false);
	one_patch(true);
	other_ways();
	CHECK("curves/a failure goes up", ds_faithful(&f, &o, x, x, map, refuse, NULL, NULL) == DS_E_LIMIT && !f.deletion, "not");
	by_hand();
	structure();
	intervals();
	forgetting();
	return failed;
}
