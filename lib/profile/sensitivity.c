/* sensitivity.c - quantising one layer at a time, and the plan of bits that a budget buys */
#include "sensitivity.h"
#include "knapsack.h"
#include "../base/status.h"

#include <math.h>
#include <string.h>

static bool activations(const ds_probe_opts *o)
{
	for (int i = 0; i < o->n_bits; i++)
		if (o->bits[i].a)
			return true;
	return false;
}

void ds_probe_set(ds_qplan *p, int r, ds_qbits bits, const ds_probe_opts *o)
{
	ds_qrow *row = &p->row[r];
	row->bits = bits;
	row->group = bits.w && !bits.a ? o->group : 0;
	row->range = o->range ? *o->range : (ds_qrule){ bits.a || bits.w < 6 ? DS_RANGE_MSE : DS_RANGE_MINMAX, 100, 0 };
}

ds_status ds_probe_rows(ds_qplan *p, ds_model *m, const ds_probe_opts *o, ds_err *err)
{
	DS_TRY(activations(o) ? ds_qplan_layers(p, m->graph, false, err) : ds_qplan_weights(p, m->graph, err));
	p->crc = m->id_crc;
	p->len = m->id_len;
	return p->n ? DS_OK : ds_fail(err, DS_E_INPUT, "the model has no layer that could be quantised");
}

/* ---- one change ------------------------------------------------------------------------------------------------------------------ */
static ds_status round_weight(ds_graph *g, const ds_qrow *row, ds_err *err)
{
	ds_qw_opts o = { .bits = row->bits.w, .group = row->group, .range = row->range.range };
	ds_value *v = NULL;
	ds_tensor q;
	ds_qw_stat st;
	for (int i = 0; i < g->n_weight && !v; i++)
		if (g->weight[i]->kind == DS_V_PARAM && strcmp(g->weight[i]->name, row->weight) == 0)
			v = g->weight[i];
	ds_qform *form = ds_arena_alloc(&g->arena, 1, sizeof *form);
	if (!form)
		return ds_fail_nomem(err, sizeof *form);
	if (!v)
		return ds_fail(err, DS_E_INTERNAL, "weight \"%.100s\" is gone", row->weight);
	DS_TRY(ds_qw_tensor(&v->data, &o, &q, form, &st, err));
	ds_tensor_done(&v->data);
	v->data = q;
	return DS_OK;
}

/* The plan, and one row of it that is to be done alone; -1: all. */
typedef struct asked { const ds_qplan *p; int only; ds_qbits bits; const ds_qrule *range; } asked;

static int row_of(const asked *a, const char *node)
{
	for (int i = 0; i < a->p->n; i++)
		if (strcmp(a->p->row[i].node, node) == 0)
			return i;
	return -1;
}

static ds_qbits layer_bits(void *arg, const char *node, const char *weight, bool edge)
{
	const asked *a = arg;
	int r = row_of(a, node);
	(void)weight, (void)edge;
	if (r < 0 || (a->only >= 0 && r != a->only))
		return (ds_qbits){ 0, 0 };
	return a->only < 0 ? a->p->row[r].bits : a->bits;
}

static ds_status round_graph(ds_graph *g, asked *a, const ds_probe_opts *o, ds_err *err)
{
	ds_qlayer *layer = NULL;
	int n = 0;
	ds_q8_opts q = { .range = o->range ? *o->range : (ds_qrule){ DS_RANGE_MSE, 100, 0 }, .weight_range = DS_RANGE_MINMAX, .bias_correct = true, .bits = layer_bits,
		.bits_arg = a, .threads = o->threads, .stats = o->stats };
	ds_status rc = ds_q_calibrated(g, &q, NULL, &layer, &n, err);
	ds_free(layer);
	return rc;
}

/* Row `only` with its present bits, or all (-1), in a clone. */
static ds_status changed(ds_graph **out, const ds_model *m, const ds_qplan *p, int only, const ds_probe_opts *o, ds_err *err)
{
	ds_graph *g = ds_graph_clone(m->graph);
	ds_status rc = g ? DS_OK : ds_fail_nomem(err, 0);
	bool any = false;
	*out = g;
	for (int i = 0; i < p->n; i++)
		any |= (only < 0 || i == only) && p->row[i].bits.w;
	if (rc == DS_OK && any && activations(o)) {
		asked a = { .p = p, .only = only, .bits = only >= 0 ? p->row[only].bits : (ds_qbits){ 0, 0 } };
		rc = round_graph(g, &a, o, err);
	}
	for (int i = 0; i < p->n && rc == DS_OK && !activations(o); i++)
		if ((only < 0 || i == only) && p->row[i].bits.w)
			rc = round_weight(g, &p->row[i], err);
	if (rc != DS_OK) {
		ds_graph_free(g);
		*out = NULL;
	}
	return rc;
}

ds_status ds_probe_apply(ds_graph **g, const ds_model *m, const ds_qplan *p, const ds_probe_opts *o, ds_err *err)
{
	return changed(g, m, p, -1, o, err);
}

/* ---- all layers ------------------------------------------------------------------------------------------------------------------ */
static ds_status one_trial(const ds_model *m, const ds_qplan *rows, int r, const ds_probe_opts *o, const ds_answers *a, ds_trial *t, ds_err *err)
{
	uint64_t before, after;
	ds_graph *g;
	DS_TRY(ds_qrow_bytes(&rows->row[r], &before, &after, err));
	t->cost = ds_pad64(after);
	DS_TRY(changed(&g, m, rows, r, o, err));
	ds_status rc = ds_answers_compare(a, g, &t->shift, err);
	ds_graph_free(g);
	t->damage = ds_shift_damage(&t->shift, &a->kind);
	if (!isfinite(t->damage))
		t->damage = 1e300;
	return rc;
}

ds_status ds_probe_quantize(const ds_model *m, const ds_qplan *given, const ds_probe_opts *o, const ds_answers *a, ds_trial *trial, ds_err *err)
{
	ds_qplan rows = *given;         /* bits are changed for the length of a trial and put back */
	for (int r = 0; r < rows.n; r++) {
		ds_qrow was = rows.row[r];
		for (int b = 0; b < o->n_bits; b++) {
			ds_trial *t = &trial[r * o->n_bits + b];
			*t = (ds_trial){ .row = r, .choice = b };
			if (o->progress)
				o->progress(o->arg, r * o->n_bits + b, rows.n * o->n_bits);
			ds_probe_set(&rows, r, o->bits[b], o);
			ds_status rc = one_trial(m, &rows, r, o, a, t, err);
			if (rc != DS_OK) {
				ds_err_prefix(err, "layer \"%.100s\"", was.node[0] ? was.node : was.weight);
				return rc;
			}
		}
		rows.row[r] = was;
	}
	return DS_OK;
}

ds_status ds_probe_solve(ds_qplan *p, const ds_trial *trial, const ds_probe_opts *o, uint64_t budget, double *damage, ds_err *err)
{
	size_t all = (size_t)p->n * (size_t)o->n_bits;
	ds_choice *c = ds_calloc(all + 1, sizeof *c);
	int *n = ds_calloc((size_t)p->n + 1, sizeof *n), *pick = ds_calloc((size_t)p->n + 1, sizeof *pick);
	ds_status rc = c && n && pick ? DS_OK : ds_fail_nomem(err, all * sizeof *c);
	for (size_t i = 0; i < all && rc == DS_OK; i++)
		c[i] = (ds_choice){ trial[i].cost, trial[i].damage };
	for (int r = 0; r < p->n && rc == DS_OK; r++)
		n[r] = o->n_bits;
	if (rc == DS_OK)
		rc = ds_knapsack(p->n, n, c, o->n_bits, budget, 64, pick, err);
	*damage = 0;
	for (int r = 0; r < p->n && rc == DS_OK; r++) {
		ds_probe_set(p, r, o->bits[pick[r]], o);
		*damage += trial[r * o->n_bits + pick[r]].damage;
	}
	ds_free(c);
	ds_free(n);
	ds_free(pick);
	return rc;
}
