/* search.c - costs of plans are those of models that were cut; the search meets its target; tables of latencies are read back */
#include "nets.h"
#include "../../lib/prune/search.h"

#include <string.h>

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

static double params(const ds_graph *g)
{
	double n = 0;
	for (int i = 0; i < g->n_weight; i++)
		n += g->weight[i]->kind == DS_V_PARAM ? (double)ds_tensor_count(&g->weight[i]->data) : 0;
	return n;
}

static ds_model *model(int k, ds_structure **s)
{
	ds_err err = { 0 };
	rng = ds_rng_init(7, (uint64_t)k);
	ds_model *m = ds_model_new();
	nets[k].build(m->graph);
	m->id_crc = 0xabcd;
	m->id_len = 99;
	*s = NULL;
	if (ds_graph_verify(m->graph, NULL, &err) != DS_OK || ds_structure_new(s, m, NULL, &err) != DS_OK ||
		ds_criterion_find("l1")->score(*s, m, &(ds_criterion_opts){ .seed = 1 }, &err) != DS_OK)
		CHECK(nets[k].name, false, "%s", err.text);
	return m;
}

/* Random numbers of channels: what the plan is said to cost, and what the cut model has. */
static void costs(int k)
{
	char name[80];
	ds_err err = { 0 };
	ds_structure *s;
	ds_model *m = model(k, &s);
	bool same = s != NULL;
	for (int t = 0; same && t < 4; t++) {
		double macs, weights, cut_macs = 0;
		ds_prune_row *rows = NULL;
		int n = 0;
		for (int g = 0; g < s->n_group; g++)
			s->group[g].keep = 1 + (int)ds_rng_below(&rng, (uint64_t)s->group[g].classes);
		ds_prune_mark(s);
		ds_model after = { .graph = ds_graph_clone(m->graph) };
		same = ds_prune_cost(s, DS_COST_MACS, NULL, &macs, &err) == DS_OK && ds_prune_cost(s, DS_COST_PARAMS, NULL, &weights, &err) == DS_OK &&
			ds_prune_cut(after.graph, s, &err) == DS_OK && ds_prune_table(m, &after, NULL, &rows, &n, &err) == DS_OK;
		for (int i = 0; i < n; i++)
			cut_macs += rows[i].macs_after;
		same = same && macs == cut_macs && weights == params(after.graph);
		if (!same)
			printf("# %s: macs %g, cut %g; parameters %g, cut %g; %s\n", nets[k].name, macs, cut_macs, weights, params(after.graph), err.text);
		ds_free(rows);
		ds_graph_free(after.graph);
	}
	snprintf(name, sizeof name, "%s-costs", nets[k].name);
	CHECK(name, same, "see above");
	ds_structure_free(s);
	ds_model_free(m);
}

static void search(int k)
{
	char name[80];
	ds_err err = { 0 };
	ds_structure *s;
	ds_model *m = model(k, &s);
	ds_prune_opts o = { .min_keep = 2, .round = 2 };
	ds_front f = { 0 };
	double whole = 0, cost = 0;
	ds_status rc = s ? ds_prune_choose(s, &o, &err) : DS_E_INTERNAL;
	rc = rc ? rc : ds_prune_cost(s, DS_COST_MACS, NULL, &whole, &err);
	rc = rc ? rc : ds_prune_search(s, &o, DS_COST_MACS, NULL, &f, &err);
	bool rows = rc == DS_OK && f.row[0].cost == whole && f.row[0].lost == 0, multiples = true;
	for (int i = 1; rc == DS_OK && i < f.n; i++)
		rows &= f.row[i].cost < f.row[i - 1].cost && f.row[i].lost >= f.row[i - 1].lost;
	rc = rc ? rc : ds_prune_pick(s, &o, DS_COST_MACS, NULL, &f, .6 * whole, &err);
	rc = rc ? rc : ds_prune_cost(s, DS_COST_MACS, NULL, &cost, &err);
	for (int g = 0; rc == DS_OK && g < s->n_group; g++)
		multiples &= s->group[g].keep == s->group[g].classes || (s->group[g].keep % 2 == 0 && s->group[g].keep >= 2);
	snprintf(name, sizeof name, "%s-search", nets[k].name);
	CHECK(name, rc == DS_OK && rows && multiples && cost <= .6 * whole && cost > .3 * whole, "%s %d %d %g of %g", err.text, rows, multiples, cost, whole);
	snprintf(name, sizeof name, "%s-unreachable", nets[k].name);
	CHECK(name, rc != DS_OK || ds_prune_pick(s, &o, DS_COST_MACS, NULL, &f, 1, &err) == DS_E_CHECK, "a target of one multiply-add");
	ds_front_done(&f);
	ds_structure_free(s);
	ds_model_free(m);
}

/* A group that is worth less than half of the others loses a larger share of its channels in the global scope; order inside groups stays. */
static void marginal(void)
{
	ds_err err = { 0 };
	ds_structure *s;
	ds_model *m = model(1, &s);
	bool order = s != NULL, some = s != NULL;
	double was[400];
	for (int i = 0; s && i < s->n_cls; i++)
		was[i] = s->cls[i].score *= s->cls[i].group == 0 ? .4 : 1;
	ds_status rc = s ? ds_prune_marginal(s, &err) : DS_E_INTERNAL;
	for (int i = 0; rc == DS_OK && i < s->n_cls; i++)
		for (int k = 0; k < s->n_cls; k++)
			order &= s->cls[i].group != s->cls[k].group || was[i] <= was[k] || s->cls[i].score >= s->cls[k].score;
	rc = rc ? rc : ds_prune_choose(s, &(ds_prune_opts){ .ratio = .5, .global = true, .min_keep = 1 }, &err);
	for (int g = 0; rc == DS_OK && g < s->n_group; g++)
		some &= s->group[g].keep >= 1 && (g == 0 || (double)s->group[g].keep / s->group[g].classes > (double)s->group[0].keep / s->group[0].classes);
	CHECK("marginal", rc == DS_OK && order && some, "%s %d %d", err.text, order, some);
	ds_structure_free(s);
	ds_model_free(m);
}

static void tables(void)
{
	ds_err err = { 0 };
	ds_structure *s;
	ds_model *m = model(0, &s);
	ds_latency *t = NULL, *back = NULL;
	ds_buf text = { 0 }, again = { 0 };
	double a = 0, b = 1, small = 0;
	ds_latency_opts o = { .threads = 1, .round = 4, .min_keep = 1, .budget = .02 };
	ds_status rc = s ? ds_latency_measure(&t, s, m, &o, &err) : DS_E_INTERNAL;
	if (rc == DS_OK)
		ds_latency_write(t, m, &text);
	rc = rc ? rc : ds_latency_read(&back, text.data, text.len, m, false, &err);
	if (rc == DS_OK)
		ds_latency_write(back, m, &again);
	rc = rc ? rc : ds_prune_cost(s, DS_COST_LATENCY, t, &a, &err);
	rc = rc ? rc : ds_prune_cost(s, DS_COST_LATENCY, back, &b, &err);
	for (int g = 0; rc == DS_OK && g < s->n_group; g++)
		s->group[g].keep = 4;
	rc = rc ? rc : ds_prune_cost(s, DS_COST_LATENCY, back, &small, &err);
	CHECK("table", rc == DS_OK && a > 0 && fabs(a - b) < 1e-7 && small > 0 && ds_latency_find(back, "nothing") == -1, "%s %g %g %g", err.text, a, b, small);
	m->id_len++;
	ds_latency *other = NULL;
	CHECK("table-other-model", rc != DS_OK || (ds_latency_read(&other, text.data, text.len, m, false, &err) == DS_E_INPUT && !other), "was read");
	m->id_len--;
	/* Interpolation on a grid with a hole: 4 and 8 in, 4 and 12 out, of which 8 > 12 was not seen. */
	static const char grid[] = "# ds-prune latency 1\nnode\tin\tout\tnanoseconds\nx\t4\t4\t1000\nx\t8\t4\t2000\nx\t4\t12\t3000\ny\t4\t4\t10\ny\t8\t8\t30\n";
	ds_latency *g = NULL;
	rc = ds_latency_read(&g, grid, sizeof grid - 1, m, false, &err);
	if (rc == DS_OK) {
		int x = ds_latency_find(g, "x"), y = ds_latency_find(g, "y");
		CHECK("interpolation", fabs(ds_latency_at(g, x, 6, 4) - 1.5e-6) < 1e-12 && fabs(ds_latency_at(g, x, 4, 8) - 2e-6) < 1e-12 && fabs(ds_latency_at(g, x, 99, 1) - 2e-6) < 1e-12 &&
			ds_latency_at(g, x, 8, 12) > 3e-6 && fabs(ds_latency_at(g, y, 6, 6) - 2e-8) < 1e-14, "%g %g", ds_latency_at(g, x, 8, 12), ds_latency_at(g, y, 6, 6));
	} else {
		CHECK("interpolation", false, "%s", err.text);
	}
	ds_latency_free(g);
	ds_latency_free(t);
	ds_latency_free(back);
	ds_buf_done(&text);
	ds_buf_done(&again);
	ds_structure_free(s);
	ds_model_free(m);
}

int main(void)
{
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++)
		costs(k);
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++)
		search(k);
	marginal();
	tables();
	return failed;
}
