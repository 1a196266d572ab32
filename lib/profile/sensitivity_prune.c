/* sensitivity_prune.c - cutting one group of channels at a time, and the plan of numbers that a budget buys */
#include "sensitivity.h"
#include "knapsack.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int ds_probe_keep(const ds_structure *s, int g, double ratio, const ds_probe_prune *o)
{
	int64_t all = s->group[g].classes, keep = all - (int64_t)floor((double)all * ratio + 1e-9);
	if (o->round > 1)
		keep = (keep + o->round - 1) / o->round * o->round;
	keep = DS_MAX(keep, DS_MAX(o->min_keep, (int64_t)1));
	return (int)DS_MIN(keep, all);
}

static void keep_all(ds_structure *s)
{
	for (int i = 0; i < s->n_group; i++)
		s->group[i].keep = s->group[i].classes;
}

/* Means and variances of the samples in place of those of the whole model. */
static ds_status recalibrate(ds_model *m, const ds_answers *a, int threads, ds_err *err)
{
	ds_recal *r;
	DS_TRY(ds_recal_new(&r, m, threads, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < a->n_set && rc == DS_OK && ds_recal_norms(r); i++)
		rc = ds_recal_batch(r, a->set[i].in, a->n_in, err);
	if (rc == DS_OK && ds_recal_norms(r))
		rc = ds_recal_finish(r, m, err);
	ds_recal_free(r);
	return rc;
}

/* The model with s's marks cut: *g is the caller's. */
static ds_status cut(ds_graph **g, ds_structure *s, const ds_model *m, const ds_probe_prune *o, const ds_answers *a, ds_err *err)
{
	ds_model copy = *m;             /* all but the graph is borrowed */
	ds_prune_mark(s);
	if (!(*g = copy.graph = ds_graph_clone(m->graph)))
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_prune_cut(*g, s, err);
	if (rc == DS_OK && o->recalibrate)
		rc = recalibrate(&copy, a, o->threads, err);
	if (rc != DS_OK) {
		ds_graph_free(*g);
		*g = NULL;
	}
	return rc;
}

ds_status ds_probe_cut(ds_graph **g, ds_structure *s, const ds_model *m, const ds_probe_prune *o, const ds_answers *a, ds_err *err)
{
	return cut(g, s, m, o, a, err);
}

static ds_status one_trial(ds_structure *s, const ds_model *m, ds_cost_kind kind, const ds_probe_prune *o, const ds_answers *a, ds_trial *t, ds_err *err)
{
	ds_graph *g;
	double cost;
	keep_all(s);
	s->group[t->row].keep = ds_probe_keep(s, t->row, o->ratio[t->choice], o);
	DS_TRY(ds_prune_cost(s, kind, NULL, &cost, err));
	t->cost = (uint64_t)cost;
	ds_status rc = cut(&g, s, m, o, a, err);
	if (rc == DS_E_UNSUPPORTED) {           /* an extent is spelt out somewhere: the group stays whole */
		s->frozen[t->row] = 1;
		return DS_OK;
	}
	if (rc != DS_OK)
		return rc;
	rc = ds_answers_compare(a, g, &t->shift, err);
	ds_graph_free(g);
	t->damage = ds_shift_damage(&t->shift, &a->kind);
	if (!isfinite(t->damage))
		t->damage = 1e300;
	return rc;
}

ds_status ds_probe_groups(ds_structure *s, const ds_model *m, ds_cost_kind kind, const ds_probe_prune *o, const ds_answers *a, ds_trial *trial, ds_err *err)
{
	for (int g = 0; g < s->n_group; g++)
		for (int k = 0; k < o->n_ratio; k++) {
			ds_trial *t = &trial[g * o->n_ratio + k];
			*t = (ds_trial){ .row = g, .choice = k };
			if (o->progress)
				o->progress(o->arg, g * o->n_ratio + k, s->n_group * o->n_ratio);
			ds_status rc = s->frozen[g] ? DS_OK : one_trial(s, m, kind, o, a, t, err);
			if (rc != DS_OK) {
				ds_err_prefix(err, "group \"%.100s\"", s->group[g].name);
				return rc;
			}
		}
	keep_all(s);
	return DS_OK;
}

/* ---- the plan -------------------------------------------------------------------------------------------------------------------- */
typedef struct search {
	ds_structure   *s;
	const ds_trial *trial;
	const ds_probe_prune *o;
	ds_cost_kind    kind;
	int             width, *n, *pick;
	ds_choice      *choice;
	double          whole, most;    /* cost of the whole model; what all groups together can save, each alone */
} search;

/* Choice 0 of a group: it stays whole.  Costs are what is not saved of the most that the group can save. */
static void set_choices(search *x)
{
	for (int g = 0; g < x->s->n_group; g++) {
		ds_choice *c = &x->choice[g * x->width];
		double most = 0;
		for (int k = 0; k < x->o->n_ratio && !x->s->frozen[g]; k++)
			most = fmax(most, x->whole - (double)x->trial[g * x->o->n_ratio + k].cost);
		x->most += most;
		c[0] = (ds_choice){ (uint64_t)most, 0 };
		x->n[g] = 1;
		for (int k = 0; k < x->o->n_ratio && !x->s->frozen[g]; k++) {
			const ds_trial *t = &x->trial[g * x->o->n_ratio + k];
			c[x->n[g]++] = (ds_choice){ (uint64_t)fmax(most - (x->whole - (double)t->cost), 0), t->damage };
		}
	}
}

/* The best plan that saves `saved` by the account of single groups; *cost: what it really costs. */
static ds_status plan_saving(search *x, double saved, double *cost, double *damage, ds_err *err)
{
	uint64_t budget = (uint64_t)fmax(x->most - saved, 0);
	DS_TRY(ds_knapsack(x->s->n_group, x->n, x->choice, x->width, budget, DS_MAX((uint64_t)(x->most / 32768), (uint64_t)1), x->pick, err));
	*damage = 0;
	for (int g = 0; g < x->s->n_group; g++) {
		int k = x->pick[g] - 1;
		x->s->group[g].keep = k < 0 ? x->s->group[g].classes : ds_probe_keep(x->s, g, x->o->ratio[k], x->o);
		*damage += k < 0 ? 0 : x->trial[g * x->o->n_ratio + k].damage;
	}
	return ds_prune_cost(x->s, x->kind, NULL, cost, err);
}

/* Groups cut together save less than the sum of what each saves alone: more is asked for until the model fits. */
static ds_status narrow(search *x, double target, double *damage, ds_err *err)
{
	double lo = fmax(x->whole - target, 0), hi = x->most, cost;
	DS_TRY(plan_saving(x, lo, &cost, damage, err));
	if (cost <= target)
		return DS_OK;
	DS_TRY(plan_saving(x, hi, &cost, damage, err));
	if (cost > target)
		return ds_fail(err, DS_E_CHECK, "the largest ratios leave %.0f of %.0f bytes of weights, and the budget %.0f", cost, x->whole, target);
	for (int i = 0; i < 24 && hi - lo > x->most / 32768; i++) {
		double mid = (lo + hi) / 2;
		DS_TRY(plan_saving(x, mid, &cost, damage, err));
		if (cost <= target)
			hi = mid;
		else
			lo = mid;
	}
	return plan_saving(x, hi, &cost, damage, err);
}

ds_status ds_probe_solve_groups(ds_structure *s, const ds_trial *trial, ds_cost_kind kind, const ds_probe_prune *o, double target, double *damage, ds_err *err)
{
	search x = { .s = s, .trial = trial, .o = o, .kind = kind, .width = o->n_ratio + 1 };
	ds_status rc;
	*damage = 0;
	keep_all(s);
	DS_TRY(ds_prune_cost(s, kind, NULL, &x.whole, err));
	x.n = ds_calloc((size_t)s->n_group + 1, sizeof *x.n);
	x.pick = ds_calloc((size_t)s->n_group + 1, sizeof *x.pick);
	x.choice = ds_calloc((size_t)(s->n_group + 1) * (size_t)x.width, sizeof *x.choice);
	if (!x.n || !x.pick || !x.choice) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	set_choices(&x);
	rc = x.most < x.whole - target ? ds_fail(err, DS_E_CHECK, "the largest ratios save %.0f of %.0f bytes of weights, and the budget leaves %.0f", x.most, x.whole,
		target) : narrow(&x, target, damage, err);
out:
	ds_free(x.n);
	ds_free(x.pick);
	ds_free(x.choice);
	return rc;
}
