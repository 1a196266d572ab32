/* uncertain.c - unit tests of how sure a prediction is: figures against numpy's, the coverage law, the temperature, Monte-Carlo dropout, what META keeps */
#include "base/rng.h"
#include "run/uncertain.h"
#include "uncertain_ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)
#define NEAR(name, got, want, eps) do { \
	double got_ = (got), want_ = (want); \
	if (fabs(got_ - want_) <= (eps) * fmax(1, fabs(want_))) printf("ok %s\n", name); \
	else { printf("not ok %s: %.12g for %.12g\n", name, got_, want_); failed = 1; } } while (0)

enum { N = 400, C = 7 };
static float z[N][C], p[N][C];
static int64_t label[N];
static double conf[N], v[N];
static bool hit[N];

/* The samples of uncertain.py. */
static void make_samples(void)
{
	for (int64_t i = 0; i < N; i++) {
		int64_t best;
		for (int64_t k = 0; k < C; k++)
			z[i][k] = (float)((double)((i * 7919 + k * 104729 + i * k * 31) % 1000) / 100 - 5);
		ds_top_k(z[i], C, 1, &best);
		label[i] = i % 10 < 6 ? best : (i * 3 + 1) % C;
		ds_softmax_at(z[i], C, 1, p[i]);
		conf[i] = p[i][best];
		hit[i] = best == label[i];
	}
}

#define FOR_ALL(expr) do { for (int64_t i = 0; i < N; i++) v[i] = (expr); } while (0)

static void figures(void)
{
	double t, lo, hi, mean;
	float q[C];
	bool kept = true;
	FOR_ALL(ds_nll(p[i], C, label[i]));
	NEAR("nll", ds_normal_interval(v, N, &lo, &hi), REF_NLL, 1e-6);
	FOR_ALL(ds_brier(p[i], C, label[i]));
	NEAR("brier", ds_normal_interval(v, N, &lo, &hi), REF_BRIER, 1e-6);
	FOR_ALL(ds_entropy(p[i], C));
	NEAR("entropy", ds_normal_interval(v, N, &lo, &hi), REF_ENTROPY, 1e-6);
	FOR_ALL(ds_energy(z[i], C));
	mean = ds_normal_interval(v, N, &lo, &hi);
	NEAR("energy", mean, REF_ENERGY, 1e-6);
	CHECK("interval of a mean", lo < mean && mean < hi && fabs(lo + hi - 2 * mean) < 1e-9);
	NEAR("calibration error", ds_ece(conf, hit, N, DS_ECE_BINS, NULL), REF_ECE, 1e-6);
	NEAR("calibration error by equal mass", ds_ece_adaptive(conf, hit, N, DS_ECE_BINS, NULL), REF_ECE_MASS, 1e-6);
	CHECK("temperature fits", ds_temperature_fit(&z[0][0], label, N, C, &t, NULL) == DS_OK);
	NEAR("temperature", t, REF_TEMPERATURE, 1e-7);
	for (int64_t i = 0; i < N; i++) {
		int64_t was, is;
		ds_softmax_at(z[i], C, t, q);
		ds_top_k(z[i], C, 1, &was);
		ds_top_k(q, C, 1, &is);
		kept = kept && was == is;
		v[i] = ds_nll(q, C, label[i]);
	}
	NEAR("nll at the temperature", ds_normal_interval(v, N, &lo, &hi), REF_NLL_FITTED, 1e-6);
	CHECK("a temperature never changes the best class", kept);
}

static void odd_cases(void)
{
	double t, lo, hi, one[] = { 1, 1, 1 };
	bool yes[] = { true, true, true };
	float sure[] = { 9, 0, 0, 9 }, bad[] = { NAN, 0 }, certain[] = { 0, 1 }, log_p[2];
	int64_t right[] = { 0, 1 }, wrong[] = { 1, 0 }, none[] = { 2 };
	CHECK("temperature of what is always right ends at the least", ds_temperature_fit(sure, right, 2, 2, &t, NULL) == DS_OK && t < 0.011 && t >= 0.01);
	CHECK("temperature of what is always wrong ends at the largest", ds_temperature_fit(sure, wrong, 2, 2, &t, NULL) == DS_OK && t > 90 && t <= 100);
	CHECK("no samples, temperature 1", ds_temperature_fit(sure, right, 0, 2, &t, NULL) == DS_OK && t == 1);
	CHECK("a label that is no class", ds_temperature_fit(sure, none, 1, 2, &t, NULL) == DS_E_INPUT);
	CHECK("an output that is no number", ds_temperature_fit(bad, right, 1, 2, &t, NULL) == DS_E_INPUT);
	CHECK("entropy of a sure one", ds_entropy(certain, 2) == 0);
	ds_log_p(certain, 2, log_p);
	CHECK("the log of nothing", isfinite(log_p[0]) && log_p[1] == 0 && isfinite(ds_nll(certain, 2, 0)));
	CHECK("calibration of what is sure and right", ds_ece(one, yes, 3, 15, NULL) == 0 && ds_ece_adaptive(one, yes, 3, 15, NULL) == 0);
	CHECK("calibration of nothing", isnan(ds_ece(one, yes, 0, 15, NULL)));
	CHECK("interval of equal ones", ds_ece_interval(one, yes, 3, 15, false, 100, 1, &lo, &hi, NULL) == DS_OK && lo == 0 && hi == 0);
}

/* Confidences that are true on average: the error is small; confidences that are too high by 0.2: it holds 0.2. */
static void intervals(void)
{
	enum { MANY = 4000 };
	static double c[MANY];
	static bool h[MANY];
	double lo, hi, lo2, hi2;
	ds_rng r = ds_rng_init(3, 0);
	for (int i = 0; i < MANY; i++) {
		c[i] = 0.3 + 0.6 * ds_rng_f64(&r);
		h[i] = ds_rng_f64(&r) < c[i];
	}
	CHECK("interval of a calibrated one", ds_ece_interval(c, h, MANY, 15, false, 400, 0, &lo, &hi, NULL) == DS_OK && lo < 0.01 && hi < 0.025);
	for (int i = 0; i < MANY; i++)
		h[i] = ds_rng_f64(&r) < c[i] - 0.2;
	CHECK("interval of an overconfident one", ds_ece_interval(c, h, MANY, 15, false, 400, 0, &lo, &hi, NULL) == DS_OK && lo < .2 && hi > .2 && hi - lo < .06);
	CHECK("the same by equal mass", ds_ece_interval(c, h, MANY, 15, true, 400, 0, &lo2, &hi2, NULL) == DS_OK && lo2 < .2 && hi2 > .2 && hi2 - lo2 < .06);
}

static void sets(void)
{
	const float probability[] = { 0.1f, 0.5f, 0.25f, 0.15f };
	int64_t order[4];
	double s[4], u, q[DS_ALPHAS], many[999];
	ds_set_rule lac = { DS_SET_LAC, 0, 1 }, aps = { DS_SET_APS, 0, 1 }, raps = { DS_SET_RAPS, 0.1, 2 };
	ds_set_scores(&lac, probability, 4, order, s);
	CHECK("order of classes", order[0] == 1 && order[1] == 2 && order[2] == 3 && order[3] == 0);
	CHECK("score of LAC", fabs(s[1] - 0.5) < 1e-7 && fabs(s[0] - 0.9) < 1e-7);
	ds_set_scores(&aps, probability, 4, order, s);
	u = s[1] / 0.5;
	CHECK("score of APS", u >= 0 && u < 1 && fabs(s[2] - (0.5 + u * 0.25)) < 1e-7 && fabs(s[0] - (0.9 + u * 0.1)) < 1e-6);
	ds_set_scores(&raps, probability, 4, order, s);
	CHECK("score of RAPS", fabs(s[1] - u * 0.5) < 1e-7 && fabs(s[2] - (0.5 + u * .25)) < 1e-7 && fabs(s[3] - (0.85 + u * .15)) < 1e-6 &&
		fabs(s[0] - (1.1 + u * 0.1)) < 1e-6);
	for (int i = 0; i < 999; i++)
		many[i] = 998 - i;
	ds_conformal_table(many, 999, q);
	CHECK("quantiles are of rank ceil((n + 1)(1 - alpha))", q[ds_alpha_index(0.1)] == 899 && q[ds_alpha_index(.3)] == 699 && q[0] == 998);
	CHECK("too few samples have no quantile", isinf(ds_conformal_quantile(many, 8, 0.1)) && ds_conformal_quantile(many, 9, 0.1) == 8);
	CHECK("alphas", ds_alpha_index(0.0005) == -1 && ds_alpha_index(0.104) == ds_alpha_index(0.1) && ds_alpha_at(ds_alpha_index(0.1)) == 0.1 &&
		ds_alpha_at(DS_ALPHAS - 1) == 0.99);
	FOR_ALL(1 - (double)p[i][label[i]]);
	double sorted_v[DS_ALPHAS];
	ds_conformal_table(v, N, sorted_v);
	NEAR("quantile of LAC at 0.1", sorted_v[ds_alpha_index(.1)], REF_LAC_10, 1e-6);
	NEAR("quantile of LAC at 0.05", sorted_v[ds_alpha_index(.05)], REF_LAC_05, 1e-6);
	double size = 0;
	for (int i = 0; i < N; i++) {
		for (int k = 0; k < C; k++)
			size += 1 - (double)p[i][k] <= sorted_v[ds_alpha_index(.1)];
	}
	NEAR("size of the sets of LAC", size / N, REF_LAC_SIZE_10, 1e-9);
}

/* A classifier of K classes whose probabilities are not quite the true ones; the score of the true class of sample i. */
enum { K = 6 };
static double draw_score(const ds_set_rule *rule, ds_rng *r)
{
	float logit[K], q[K], truth[K];
	int64_t order[K], y = 0;
	double s[K], u = ds_rng_f64(r), sum = 0;
	for (int k = 0; k < K; k++)
		logit[k] = (float)(2.5 * ds_rng_normal(r));
	ds_softmax_at(logit, K, 1.6, truth);
	ds_softmax_at(logit, K, 1, q);
	while (y + 1 < K && (sum += truth[y]) < u)
		y++;
	ds_set_scores(rule, q, K, order, s);
	return s[y];
}

/* Coverage given the calibration samples follows Beta(n + 1 - l, l); measured on `test` new ones it has their binomial noise too. */
static void coverage_law(ds_set_score score)
{
	enum { SPLITS = 200, CAL = 500, TEST = 1000 };
	static const double alphas[] = { 0.01, 0.05, 0.1, 0.2 };
	ds_set_rule rule = ds_set_rule_for(score, K);
	double sum[4] = { 0 }, square[4] = { 0 }, cal[CAL];
	int outside = 0, within = 0;
	char name[80];
	for (int split = 0; split < SPLITS; split++) {
		ds_rng r = ds_rng_init(17, (uint64_t)split);
		int hits[4] = { 0 };
		double q[DS_ALPHAS];
		for (int i = 0; i < CAL; i++)
			cal[i] = draw_score(&rule, &r);
		ds_conformal_table(cal, CAL, q);
		for (int i = 0; i < TEST; i++) {
			double s = draw_score(&rule, &r);
			for (int a = 0; a < 4; a++)
				hits[a] += s <= q[ds_alpha_index(alphas[a])];
		}
		for (int a = 0; a < 4; a++) {
			double lo, hi;
			ds_coverage_range(CAL, TEST, alphas[a], &lo, &hi);
			within += (double)hits[a] / TEST >= lo && (double)hits[a] / TEST <= hi;
			sum[a] += (double)hits[a] / TEST;
			square[a] += (double)hits[a] / TEST * hits[a] / TEST;
		}
	}
	for (int a = 0; a < 4; a++) {
		double l = floor((CAL + 1) * alphas[a]), mean = (CAL + 1 - l) / (CAL + 1), var = mean * (1 - mean) / (CAL + 2);
		double all = var + mean * (1 - mean) / TEST, got = sum[a] / SPLITS, sd = sqrt(fmax(0, square[a] / SPLITS - got * got));
		outside += fabs(got - mean) > 3 * sqrt(all / SPLITS) || sd > 1.25 * sqrt(all) || sd < 0.75 * sqrt(all);
	}
	snprintf(name, sizeof name, "coverage over 200 splits follows the beta law: %s", ds_set_names[score]);
	CHECK(name, outside == 0);
	snprintf(name, sizeof name, "95 %% of all coverages lie in the range that is told: %s", ds_set_names[score]);
	CHECK(name, within > 0.92 * 4 * SPLITS && within < 0.98 * 4 * SPLITS);
}

/* ---- what a model keeps ---------------------------------------------------------------------------------------------------------------- */
static ds_model *small_model(double ratio, float weight)
{
	ds_model *m = ds_model_new();
	ds_graph *g = m->graph;
	int n = ds_graph_symbol(g, "N");
	ds_type t = { .dtype = DS_F32, .rank = 2, .dim = { -1 - n, 64 } };
	ds_value *x = ds_graph_input(g, "x", &t), *in[2] = { x, NULL };
	ds_tensor w;
	if (ds_tensor_new(&w, DS_F32, 2, (int64_t[]){ 64, 3 }, NULL) != DS_OK)
		exit(1);
	for (int i = 0; i < 192; i++)
		((float *)w.data)[i] = weight * (float)(i % 5 - 2);
	in[1] = ds_graph_const_f32(g, (float)ratio);
	ds_node *d = ds_graph_node(g, "", "Dropout", "drop", 2, in, 1, (const char *[]){ "dropped" });
	in[0] = d->out[0];
	in[1] = ds_graph_weight(g, DS_V_PARAM, "w", &w);
	ds_node *mm = ds_graph_node(g, "", "MatMul", "mm", 2, in, 1, (const char *[]){ "y" });
	if (ds_graph_output(g, mm->out[0]) != DS_OK || ds_graph_verify(g, NULL, NULL) != DS_OK)
		exit(1);
	return m;
}

static void identity(void)
{
	ds_model *a = small_model(.5, 1), *b = small_model(.5, 1), *c = small_model(.5, 1.5f), *d = small_model(.25, 1);
	char ia[17], ib[17], ic[17], id[17], ie[17];
	ds_certainty f = { .classes = true, .temperature = 1.5, .n = 10, .lambda = 0.1, .k = 1 }, g;
	bool all = ds_function_identity(a, ia, NULL) == DS_OK && ds_function_identity(b, ib, NULL) == DS_OK && ds_function_identity(c, ic, NULL) == DS_OK &&
		ds_function_identity(d, id, NULL) == DS_OK;
	CHECK("identity: equal for equal models, another for other weights or attributes", all && !strcmp(ia, ib) && strcmp(ia, ic) && strcmp(ia, id));
	all = ds_meta_set_str(&b->meta, "model.name", "b") == DS_OK && ds_function_identity(b, ib, NULL) == DS_OK;
	CHECK("identity: a name does not count", all && !strcmp(ia, ib));
	all = ds_meta_set_str(&b->meta, "output.0.values", "logits") == DS_OK && ds_function_identity(b, ie, NULL) == DS_OK;
	CHECK("identity: what the output means does count", all && strcmp(ia, ie));
	CHECK("certainty goes into META", ds_certainty_to_meta(&f, a, NULL) == DS_OK);
	CHECK("certainty comes back", ds_certainty_from_meta(&g, a, NULL) == DS_OK && g.classes && !g.values && g.temperature == 1.5 && g.n == 10 && !g.stale);
	ds_certainty_done(&g);
	((float *)a->graph->weight[1]->data.data)[0] += 1;
	((float *)a->graph->weight[0]->data.data)[0] += .125f;
	CHECK("certainty of other weights is stale", ds_certainty_from_meta(&g, a, NULL) == DS_OK && g.classes && g.stale);
	ds_certainty_done(&g);
	CHECK("contradictions are found", ds_meta_set_f64(&a->meta, "uncertainty.lac", 2, (double[]){ 0, 1 }) == DS_OK && ds_certainty_from_meta(&g, a, NULL) == DS_E_INPUT);
	CHECK("no keys, nothing kept", ds_certainty_from_meta(&g, c, NULL) == DS_OK && !g.classes && !g.values);
	ds_model_free(a);
	ds_model_free(b);
	ds_model_free(c);
	ds_model_free(d);
}

/* ---- Monte-Carlo dropout --------------------------------------------------------------------------------------------------------------- */
typedef struct ones { ds_samples base; ds_tensor t; uint64_t at; } ones;

static ds_status ones_next(ds_samples *s, ds_item *item, bool *bad, ds_err *err)
{
	ones *o = (ones *)s;
	if (o->at == 5)
		return DS_END;
	*bad = false;
	*item = (ds_item){ .name = "one", .name_len = 3, .index = o->at++, .label = -1, .row = -1, .in = &o->t, .n_in = 1 };
	return DS_OK;
}

static ds_status ones_rewind(ds_samples *s, ds_err *err) { ((ones *)s)->at = 0; return DS_OK; }
static int64_t ones_count(ds_samples *s) { return 5; }
static void ones_free(ds_samples *s) { ds_tensor_done(&((ones *)s)->t); ds_free(s); }

static void run_passes(const ds_model *m, int batch, int threads, float out[40][3], int *n)
{
	ones *o = ds_calloc(1, sizeof *o);
	ds_samples *s;
	ds_runner *r;
	ds_result res;
	ds_runner_opts opts = { .threads = threads, .batch = batch };
	o->base = (ds_samples){ ones_next, ones_rewind, ones_count, ones_free, NULL };
	*n = 0;
	if (ds_tensor_new(&o->t, DS_F32, 2, (int64_t[]){ 1, 64 }, NULL) != DS_OK)
		exit(1);
	for (int i = 0; i < 64; i++)
		((float *)o->t.data)[i] = 1 + (float)i / 64;
	if (ds_mc_samples(&o->base, m->graph, 8, &s, NULL) != DS_OK || ds_runner_new(&r, m, s, &opts, NULL) != DS_OK)
		exit(1);
	while (*n < 40 && ds_runner_next(r, &res, NULL) == DS_OK && !res.bad)
		memcpy(out[(*n)++], res.out[0].data, sizeof out[0]);
	ds_runner_free(r);
	s->free(s);
}

static void mc_dropout(void)
{
	static float a[40][3], b[40][3];
	ds_model *m = small_model(.5, 1), *none = small_model(0, 1);
	ds_model mc = *m;
	ds_graph *g = NULL;
	int n = 0, k = 0, equal = 0;
	CHECK("a graph without Dropout has no passes", ds_mc_graph(none->graph, 1, &g, NULL) == DS_E_UNSUPPORTED && !g);
	CHECK("a graph with Dropout", ds_mc_graph(m->graph, 1, &g, NULL) == DS_OK && g && g->n_input == 2);
	if (!g)
		exit(1);
	ds_graph_verify(g, NULL, NULL);
	CHECK("passes may be computed together", ds_graph_infer(g, NULL) == DS_OK && ds_graph_items_apart(g));
	mc.graph = g;
	run_passes(&mc, 1, 1, a, &n);
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < i; j++)
			equal += !memcmp(a[i], a[j], sizeof a[i]);
	}
	CHECK("every item, every pass, each another", n == 40 && equal == 0);
	for (int batch = 2; batch <= 40; batch += 19) {
		run_passes(&mc, batch, 2, b, &k);
		CHECK("the same bits for any batch and threads", k == 40 && !memcmp(a, b, sizeof a));
	}
	double mean = 0, want = 0;
	for (int i = 0; i < 40; i++)
		mean += a[i][0] / 40;
	for (int i = 0; i < 64; i++)
		want += (1 + i / 64.) * (i * 3 % 5 - 2);
	CHECK("passes are right on average", fabs(mean - want) < 12);
	ds_graph_free(g);
	ds_model_free(m);
	ds_model_free(none);
}

int main(void)
{
	make_samples();
	figures();
	odd_cases();
	intervals();
	sets();
	for (int i = 0; i < DS_SET_SCORES; i++)
		coverage_law((ds_set_score)i);
	identity();
	mc_dropout();
	return failed;
}
