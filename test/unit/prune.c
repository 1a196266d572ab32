/* prune.c - a pruned network computes what the network with the same channels set to zero computes; plans are read back; recalibration gives the data's statistics */
#include "nets.h"
#include "prune/prune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

/* ---- comparison ----------------------------------------------------------------------------------------------------------------- */
static bool run(const ds_model *m, const ds_tensor *x, ds_tensor *y, ds_err *err)
{
	ds_session *s;
	if (ds_session_new(&s, m, 1, err) != DS_OK)
		return false;
	ds_status rc = ds_session_run(s, x, 1, y, 1, err);
	ds_session_free(s);
	return rc == DS_OK;
}

/* All weight elements of the classes that go become zero: what remains must compute the same. */
static void mask(ds_model *m, const ds_structure *s)
{
	ds_graph_number(m->graph);
	for (int i = 0; i < s->n_cls; i++)
		for (int k = 0; s->cls[i].cut && k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			for (int w = 0; w < m->graph->n_weight; w++) {
				ds_value *v = m->graph->weight[w];
				if (v->id != e->value)
					continue;
				int64_t st[DS_MAX_RANK];
				ds_tensor_strides(&v->data, st);
				for (int64_t p = 0; p < ds_tensor_count(&v->data); p++)
					if (p / st[e->axis] % v->data.dim[e->axis] == e->index)
						((float *)v->data.data)[p] = 0;
			}
		}
}

static double params(const ds_model *m)
{
	double n = 0;
	for (int i = 0; i < m->graph->n_weight; i++)
		n += m->graph->weight[i]->kind == DS_V_PARAM ? (double)ds_tensor_count(&m->graph->weight[i]->data) : 0;
	return n;
}

static void one(int k, const char *criterion, bool global)
{
	char name[100];
	ds_err err = { 0 };
	ds_structure *s = NULL;
	ds_tensor x = { 0 }, a = { 0 }, b = { 0 };
	snprintf(name, sizeof name, "%s-%s-%s", nets[k].name, criterion, global ? "global" : "local");
	rng = ds_rng_init(7, (uint64_t)k);
	ds_model *m = ds_model_new(), *masked = ds_model_new();
	nets[k].build(m->graph);
	ds_graph_free(masked->graph);
	if (ds_graph_verify(m->graph, NULL, &err) != DS_OK || ds_structure_new(&s, m, NULL, &err) != DS_OK ||
		ds_criterion_find(criterion)->score(s, m, &(ds_criterion_opts){ .seed = 3 }, &err) != DS_OK ||
		ds_prune_choose(s, &(ds_prune_opts){ .ratio = .4, .global = global, .min_keep = 2 }, &err) != DS_OK) {
		printf("not ok %s: %s\n", name, err.text);
		failed = 1;
		goto out;
	}
	ds_prune_mark(s);
	if (s->n_group != nets[k].groups) {
		ds_buf d = { 0 };
		ds_structure_dump(s, &d);
		printf("not ok %s: %d groups\n%s", name, s->n_group, d.data);
		ds_buf_done(&d);
		failed = 1;
	}
	/* A deep copy of the weights for the masked twin. */
	masked->graph = ds_graph_clone(m->graph);
	for (int i = 0; i < masked->graph->n_weight; i++) {
		ds_tensor t;
		ds_value *v = masked->graph->weight[i];
		if (v->data.dtype != DS_F32 || ds_tensor_to_f32(&v->data, &t, NULL) != DS_OK)
			continue;
		ds_tensor_done(&v->data);
		v->data = t;
	}
	mask(masked, s);
	double before = params(m);
	ds_status rc = ds_prune_cut(m->graph, s, &err);
	if (rc == DS_OK && ds_tensor_new(&x, DS_F32, 4, (int64_t[]){ 2, 3, 8, 8 }, &err) == DS_OK)
		for (int64_t i = 0; i < ds_tensor_count(&x); i++)
			((float *)x.data)[i] = (float)ds_rng_normal(&rng);
	if (rc != DS_OK || !run(m, &x, &a, &err) || !run(masked, &x, &b, &err)) {
		printf("not ok %s: %s\n", name, err.text);
		failed = 1;
		goto out;
	}
	double worst = 0, scale = 1e-3;
	for (int64_t i = 0; i < ds_tensor_count(&a); i++) {
		worst = fmax(worst, fabs((double)((float *)a.data)[i] - (double)((float *)b.data)[i]));
		scale = fmax(scale, fabs((double)((float *)b.data)[i]));
	}
	CHECK(name, worst <= 1e-5 * scale && params(m) < before * .9);
out:
	ds_tensor_done(&x);
	ds_tensor_done(&a);
	ds_tensor_done(&b);
	ds_structure_free(s);
	ds_model_free(m);
	ds_model_free(masked);
}

static void plans(void)
{
	ds_err err = { 0 };
	ds_structure *s;
	ds_buf text = { 0 };
	rng = ds_rng_init(7, 0);
	ds_model *m = ds_model_new();
	residual(m->graph);
	m->id_crc = 0x1234abcd;
	m->id_len = 77;
	if (ds_graph_verify(m->graph, NULL, &err) != DS_OK || ds_structure_new(&s, m, NULL, &err) != DS_OK) {
		printf("not ok plan: %s\n", err.text);
		failed = 1;
		ds_model_free(m);
		return;
	}
	ds_prune_choose(s, &(ds_prune_opts){ .ratio = .25, .min_keep = 1, .round = 8 }, &err);
	bool rounded = true;
	for (int i = 0; i < s->n_group; i++)
		rounded &= s->group[i].keep % 8 == 0;
	ds_prune_plan_head h = { "l1", 5, 0x1234abcd, 77 }, back;
	ds_prune_plan_write(s, &h, &text);
	int keep = s->group[0].keep;
	s->group[0].keep = 1;
	CHECK("plan-round-trip", rounded && ds_prune_plan_head_read(text.data, text.len, &back, &err) == DS_OK && back.seed == 5 && !strcmp(back.criterion, "l1") &&
		ds_prune_plan_apply(s, text.data, text.len, m, false, &err) == DS_OK && s->group[0].keep == keep);
	m->id_len = 78;
	CHECK("plan-other-model", ds_prune_plan_apply(s, text.data, text.len, m, false, &err) == DS_E_INPUT && strstr(err.text, "another model") &&
		ds_prune_plan_apply(s, text.data, text.len, m, true, &err) == DS_OK);
	static const char bad[] = "# ds-prune plan 1\ngroup\tlayers\tchannels\tkeep\nc0\t3\t16\t99\n";
	CHECK("plan-bad-keep", ds_prune_plan_apply(s, bad, sizeof bad - 1, m, true, &err) == DS_E_INPUT && strstr(err.text, "line 3"));
	ds_buf_done(&text);
	ds_structure_free(s);
	ds_model_free(m);
}

/* One conv without weights to speak of (identity), so that the norm's input is the data: its statistics are known. */
static void recalibration(void)
{
	ds_err err = { 0 };
	ds_recal *r = NULL;
	ds_tensor x = { 0 };
	rng = ds_rng_init(9, 0);
	ds_model *m = ds_model_new();
	ds_value *v = norm(m->graph, "n", start(m->graph), 3);
	finish(m->graph, v, 192);
	ds_status rc = ds_graph_verify(m->graph, NULL, &err);
	rc = rc ? rc : ds_recal_new(&r, m, 1, &err);
	rc = rc ? rc : ds_tensor_new(&x, DS_F32, 4, (int64_t[]){ 16, 3, 8, 8 }, &err);
	double sum = 0, sq = 0;
	for (int64_t i = 0; rc == DS_OK && i < ds_tensor_count(&x); i++) {
		float f = (float)(2 + 3 * ds_rng_normal(&rng));
		((float *)x.data)[i] = f;
		if (i / 64 % 3 == 1) {
			sum += (double)f;
			sq += (double)f * (double)f;
		}
	}
	rc = rc ? rc : ds_recal_batch(r, &x, 1, &err);
	rc = rc ? rc : ds_recal_finish(r, m, &err);
	if (rc != DS_OK) {
		printf("not ok recalibration: %s\n", err.text);
		failed = 1;
	} else {
		const ds_node *n = m->graph->node[0];
		double count = 16 * 64, mean = sum / count, var = (sq - sum * mean) / (count - 1);
		CHECK("recalibration", ds_recal_norms(r) == 1 && fabs(ds_tensor_f64(&n->in[3]->data, 1) - mean) < 1e-4 && fabs(ds_tensor_f64(&n->in[4]->data, 1) - var) < 1e-3);
	}
	ds_tensor_done(&x);
	ds_recal_free(r);
	ds_model_free(m);
}

int main(void)
{
	static const char *const criteria[] = { "l1", "l2", "random" };
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++)
		for (int c = 0; c < 3; c++)
			one(k, criteria[c], c == 1);
	plans();
	recalibration();
	return failed;
}
