/* knapsack.c - unit tests: the knapsack against trying everything; divergence of answers, likeness of values */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "profile/against.h"
#include "profile/knapsack.h"

static int failures;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok %s\n" : "not ok %s: " #cond "\n", name); \
} while (0)

enum { N = 7, W = 4 };

/* Least damage within the budget by trying all 4^7; HUGE_VAL: nothing fits. */
static double brute(const ds_choice *c, const int *n, uint64_t budget)
{
	double least = HUGE_VAL;
	for (int code = 0; code < 1 << (2 * N); code++) {
		double d = 0;
		uint64_t cost = 0;
		bool ok = true;
		for (int i = 0; i < N; i++) {
			int k = code >> (2 * i) & 3;
			ok = ok && k < n[i];
			cost += c[i * W + k].cost;
			d += c[i * W + k].damage;
		}
		if (ok && cost <= budget)
			least = fmin(least, d);
	}
	return least;
}

static void test_brute(void)
{
	ds_rng r = ds_rng_init(11, 4);
	ds_choice c[N * W];
	int n[N], pick[N], right = 0, refused = 0, all = 0;
	for (int t = 0; t < 60; t++, all++) {
		uint64_t most = 0, unit = t % 2 ? 64 : 1;
		for (int i = 0; i < N; i++) {
			n[i] = 1 + (int)ds_rng_below(&r, W);
			for (int k = 0; k < W; k++) {
				c[i * W + k] = (ds_choice){ unit * ds_rng_below(&r, 40), ds_rng_f64(&r) };
				most = DS_MAX(most, c[i * W + k].cost);
			}
		}
		uint64_t budget = ds_rng_below(&r, N * most);
		double want = brute(c, n, budget), have = 0;
		uint64_t cost = 0;
		ds_status rc = ds_knapsack(N, n, c, W, budget, unit, pick, NULL);
		for (int i = 0; i < N && rc == DS_OK; i++) {
			have += c[i * W + pick[i]].damage;
			cost += c[i * W + pick[i]].cost;
		}
		right += rc == DS_OK ? fabs(have - want) < 1e-12 && cost <= budget : rc == DS_E_CHECK && !isfinite(want);
		refused += rc != DS_OK;
	}
	CHECK("the knapsack finds what trying everything finds", right == all);
	CHECK("some budgets were too small", refused > 0 && refused < all);
}

/* Budgets that want a coarser unit are kept, and hardly worse. */
static void test_coarse(void)
{
	enum { MANY = 300 };
	static ds_choice c[MANY * 3];
	static int n[MANY], pick[MANY];
	ds_rng r = ds_rng_init(5, 5);
	uint64_t cost = 0, most = 0;
	for (int i = 0; i < MANY; i++) {
		n[i] = 3;
		uint64_t size = 1000000 + ds_rng_below(&r, 9000000);
		for (int k = 0; k < 3; k++)
			c[i * 3 + k] = (ds_choice){ size / (1u << k), (double)k * ds_rng_f64(&r) };
		most += size;
	}
	ds_status rc = ds_knapsack(MANY, n, c, 3, most / 2, 1, pick, NULL);
	for (int i = 0; i < MANY; i++)
		cost += c[i * 3 + pick[i]].cost;
	CHECK("a large budget is kept, and used", rc == DS_OK && cost <= most / 2 && cost > most / 2 - most / 200);
}

static void test_answers(void)
{
	const float p[3] = { 1, 2, 3 }, q[3] = { 3, 2, 1 }, u[3] = { 4, 5, 6 };
	double e[3] = { exp(1), exp(2), exp(3) }, sum = e[0] + e[1] + e[2], want = 0;
	for (int i = 0; i < 3; i++)
		want += e[i] / sum * log(e[i] / e[2 - i]);
	CHECK("divergence of two distributions", fabs(ds_kl(p, q, 3, true) - want) < 1e-7);
	CHECK("logits that differ by a constant are one distribution", ds_kl(p, u, 3, true) < 1e-12);
	const float a[2] = { .25f, .75f }, b[2] = { .5f, .5f };
	CHECK("of probabilities", fabs(ds_kl(a, b, 2, false) - (.25 * log(.5) + .75 * log(1.5))) < 1e-7);
	ds_likeness l = { 0 };
	const float x[2] = { 3, 4 }, y[2] = { 6, 8 };
	CHECK("nothing was seen", isnan(ds_likeness_sqnr(&l)) && isnan(ds_likeness_cosine(&l)));
	ds_likeness_add(&l, x, y, 2);
	CHECK("twice the value: 0 dB and the same direction", ds_likeness_sqnr(&l) == 0 && fabs(ds_likeness_cosine(&l) - 1) < 1e-15);
}

/* Items joined give the answers that they give alone: y = 2 x. */
static void test_pack(void)
{
	ds_graph *g = ds_graph_new();
	ds_type t = ds_type_make(DS_F32, 2, (int64_t[]){ DS_DIM_UNKNOWN, 3 });
	ds_answers a = { .kind = { 3, true }, .threads = 1 }, b = a;
	ds_shift s, d;
	int sym = g ? ds_graph_symbol(g, "N") : -1;
	t.dim[0] = -1 - sym;
	ds_value *x = g ? ds_graph_input(g, "x", &t) : NULL, *in[2] = { x, x };
	ds_node *n = x ? ds_graph_node(g, "", "Add", "add", 2, in, 1, (const char *const[]){ "y" }) : NULL;
	bool ok = n && ds_graph_output(g, n->out[0]) == DS_OK && ds_graph_verify(g, NULL, NULL) == DS_OK;
	for (int64_t i = 0; i < 7 && ok; i++) {
		float v[3] = { (float)i, 1, (float)(i % 3) };
		ds_tensor item;
		ds_tensor_borrow(&item, DS_F32, 2, (int64_t[]){ 1, 3 }, v);
		ok = ds_answers_add(&a, &item, 1, &i, 1, NULL) == DS_OK && ds_answers_add(&b, &item, 1, &i, 1, NULL) == DS_OK;
	}
	ok = ok && ds_answers_pack(&b, 3, NULL) == DS_OK && b.n_set == 3 && ds_answers_ask(&a, g, &s, NULL) == DS_OK && ds_answers_ask(&b, g, &d, NULL) == DS_OK;
	CHECK("joined items answer as they do alone", ok && s.n == 7 && d.n == 7 && s.right == d.right && s.sq == d.sq && d.kl == 0 && d.same == 7);
	ds_answers_done(&a);
	ds_answers_done(&b);
	ds_graph_free(g);
}

int main(void)
{
	test_brute();
	test_coarse();
	test_answers();
	test_pack();
	return failures != 0;
}
