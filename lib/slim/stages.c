/* stages.c - cutting in stages: score, choose, cut, recalibrate, measure, train; and the search for the smallest model that is good enough */
#include "slim.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct stager {
	ds_slim    *s;
	ds_model   *m;
	const ds_slim_plan *p;
	ds_slim_result *r;
	const ds_slim_result *as;
	int        *whole;              /* by group of r: units of the whole model */
	double      whole_cost;
	double      slack;              /* bytes of the file that no weight accounts for */
	ds_err     *err;
} stager;

DS_PRINTF(2, 3) static void say(const stager *g, const char *fmt, ...)
{
	char text[500];
	va_list ap;
	if (!g->p->note)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	g->p->note(g->p->arg, text);
}

void ds_slim_result_done(ds_slim_result *r)
{
	for (int i = 0; r->name && i < r->n_group; i++)
		ds_free(r->name[i]);
	ds_free(r->name);
	ds_free(r->keep);
	ds_free(r->stage);
	ds_buf_done(&r->plan);
	*r = (ds_slim_result){ 0 };
}

/* ---- how many stay -------------------------------------------------------------------------------------------------------------------- */
static int find(const ds_slim_result *r, const char *name)
{
	for (int i = 0; i < r->n_group; i++)
		if (strcmp(r->name[i], name) == 0)
			return i;
	return -1;
}

/* Groups of the whole model, by name: cut models have the same, with fewer units. */
static ds_status remember(stager *g, const ds_structure *st)
{
	ds_slim_result *r = g->r;
	r->name = ds_calloc((size_t)st->n_group + 1, sizeof *r->name);
	r->keep = ds_calloc((size_t)st->n_group + 1, sizeof *r->keep);
	g->whole = ds_calloc((size_t)st->n_group + 1, sizeof *g->whole);
	if (!r->name || !r->keep || !g->whole)
		return ds_fail_nomem(g->err, 0);
	for (; r->n_group < st->n_group; r->n_group++) {
		if (!(r->name[r->n_group] = ds_strdup(st->group[r->n_group].name)))
			return ds_fail_nomem(g->err, 0);
		r->keep[r->n_group] = g->whole[r->n_group] = st->group[r->n_group].classes;
	}
	return DS_OK;
}

/* The units of a group at a stage on the way to `last`. */
static int on_the_way(int whole, int last, double share) { return whole - (int)floor((whole - last) * share + 1e-9); }

/* Final numbers that do not depend on later scores: a plan, another run, a ratio in every group.  They are set once; what is left is the way there. */
static ds_status settle(stager *g, ds_structure *st)
{
	const ds_slim_plan *p = g->p;
	ds_prune_opts o = p->choose;
	if (p->text || g->as)
		o.ratio = 0;
	DS_TRY(ds_prune_choose(st, &o, g->err));
	if (p->text)
		DS_TRY(ds_prune_plan_apply(st, p->text, p->text_len, g->m, p->force, g->err));
	for (int i = 0; i < st->n_group; i++) {
		int k = g->as ? find(g->as, st->group[i].name) : -1;
		g->r->keep[i] = k >= 0 ? g->as->keep[k] : st->group[i].keep;
	}
	return DS_OK;
}

static ds_status by_ratio(stager *g, ds_structure *st, double share)
{
	ds_prune_opts o = g->p->choose;
	double all = 0, now = 0, gone = 0;
	for (int i = 0; i < st->n_group; i++) {
		int k = find(g->r, st->group[i].name);
		if (k < 0 || st->frozen[i])
			continue;
		all += g->whole[k];
		now += st->group[i].classes;
	}
	gone = all - now;
	o.ratio = now > 0 ? DS_MAX(0, floor(all * g->p->choose.ratio * share + 1e-9) - gone) / now : 0;
	return ds_prune_choose(st, &o, g->err);
}

static ds_status by_search(stager *g, ds_structure *st, double share)
{
	const ds_slim_plan *p = g->p;
	ds_front front;
	ds_prune_opts o = p->choose;
	double target = g->whole_cost - (g->whole_cost - p->target) * share;
	o.ratio = 0;
	DS_TRY(ds_prune_choose(st, &o, g->err));        /* freezes what may not be cut */
	DS_TRY(ds_prune_search(st, &o, p->kind, p->table, &front, g->err));
	ds_status rc = ds_prune_pick(st, &o, p->kind, p->table, &front, target - (p->kind == DS_COST_BYTES ? g->slack : 0), g->err);
	ds_front_done(&front);
	return rc;
}

static bool fixed_numbers(const stager *g) { return g->as || g->p->text || !(g->p->by_cost || g->p->choose.global); }

static ds_status choose(stager *g, ds_structure *st, double share)
{
	if (!fixed_numbers(g))
		return g->p->by_cost ? by_search(g, st, share) : by_ratio(g, st, share);
	ds_prune_opts o = g->p->choose;
	o.ratio = 0;
	o.min_keep = o.round = 1;
	DS_TRY(ds_prune_choose(st, &o, g->err));
	for (int i = 0; i < st->n_group; i++) {
		int k = find(g->r, st->group[i].name);
		if (k >= 0 && !(st->frozen[i] && !g->p->text))
			st->group[i].keep = DS_MIN(st->group[i].classes, on_the_way(g->whole[k], g->r->keep[k], share));
	}
	return DS_OK;
}

/* ---- one stage -------------------------------------------------------------------------------------------------------------------------- */
/* Cut a clone of the model's graph; groups that turn out to be impossible are left alone, unless a plan asks for them. */
static ds_status cut(stager *g, ds_structure *st, double share, ds_graph **out)
{
	for (;;) {
		DS_TRY(choose(g, st, share));
		ds_prune_mark(st);
		if (!(*out = ds_graph_clone(g->m->graph)))
			return ds_fail_nomem(g->err, 0);
		ds_status rc = ds_prune_cut(*out, st, g->err);
		if (rc == DS_OK)
			return DS_OK;
		ds_graph_free(*out);
		*out = NULL;
		if (g->p->text || !ds_prune_freeze_bad(st))
			return rc;
		say(g, "%s: what passes through it stays whole", g->err->text);
	}
}

static void write_plan(stager *g, ds_structure *st)
{
	ds_slim_result *r = g->r;
	ds_prune_plan_head h = { .seed = g->p->seed, .crc = g->m->id_crc, .len = g->m->id_len };
	snprintf(h.criterion, sizeof h.criterion, "%s", g->p->criterion->name);
	for (int i = 0; i < st->n_group; i++) {         /* numbers of the whole model beside what stays in the end */
		int k = find(r, st->group[i].name);
		if (k < 0)
			continue;
		r->keep[k] = st->group[i].keep;
		st->group[i].classes = g->whole[k];
	}
	ds_buf_reset(&r->plan);
	ds_prune_plan_write(st, &h, &r->plan);
}

static ds_status totals(const ds_structure *st, ds_slim_stage *row, ds_err *err)
{
	DS_TRY(ds_prune_cost(st, DS_COST_PARAMS, NULL, &row->params, err));
	return ds_prune_cost(st, DS_COST_MACS, NULL, &row->macs, err);
}

/* What training says goes where the rest is said. */
static void hear_bad(void *arg, const ds_item *item, const ds_err *err)
{
	const stager *g = arg;
	const ds_slim_opts *o = ds_slim_settings(g->s);
	if (o->bad)
		o->bad(o->arg, item, err);
}

static void hear_note(void *arg, const char *text)
{
	say(arg, "%s", text);
}

static void hear_progress(void *arg, int64_t step, int64_t total, const char *text)
{
	const stager *g = arg;
	const ds_slim_opts *o = ds_slim_settings(g->s);
	if (o->progress)
		o->progress(o->arg, "trained", step, total);
}

static ds_status train(stager *g, ds_slim_stage *row)
{
	const ds_slim_opts *so = ds_slim_settings(g->s);
	ds_fit_stage one = { *g->p->finetune, so->data };
	ds_fit_result fr = { 0 };
	ds_fit_opts o = { .stage = &one, .n_stage = 1, .effective = "", .seed = so->seed, .threads = so->threads, .memory_limit = so->memory_limit,
		.hook = { .arg = g, .bad = hear_bad, .note = hear_note, .progress = hear_progress } };
	DS_TRY(ds_fit_run(g->m, &o, &fr, g->err));
	row->tuned = true;
	row->train_loss = fr.loss;
	ds_fit_result_done(&fr);
	return DS_OK;
}

static void tell_score(const stager *g, int stage, const char *what, const ds_fit_score *v)
{
	if (v->has_accuracy)
		say(g, "stage %d of %d, %s: accuracy %.2f %%, loss %.4f (%" PRId64 " samples kept apart)", stage, g->p->steps, what, 100 * v->accuracy, v->loss, v->n);
	else
		say(g, "stage %d of %d, %s: loss %.4f (%" PRId64 " samples kept apart)", stage, g->p->steps, what, v->loss, v->n);
}

/* A file that is too large for its target: the target of the weights moves, and the stage is cut again. */
static ds_status too_large(stager *g, ds_graph *graph, bool *again)
{
	ds_model trial = *g->m;
	uint64_t bytes = 0;
	*again = false;
	if (!g->p->by_cost || g->p->kind != DS_COST_BYTES || !g->p->size_of)
		return DS_OK;
	trial.graph = graph;
	DS_TRY(g->p->size_of(g->p->arg, &trial, &g->r->plan, &bytes, g->err));
	if ((double)bytes > g->p->target) {
		g->slack += (double)bytes - g->p->target;
		*again = true;
	}
	return DS_OK;
}

/* What follows a cut: statistics, accuracy, training. */
static ds_status mend(stager *g, int stage, ds_slim_stage *row)
{
	if (g->p->recalibrate)
		DS_TRY(ds_slim_recalibrate(g->s, g->m, &g->r->norms, &g->r->recalibrated, g->err));
	say(g, "stage %d of %d: %.0f parameters, %.4gM MACs", stage, g->p->steps, row->params, row->macs / 1e6);
	if (g->p->measure) {
		DS_TRY(ds_slim_measure(g->s, g->m, &row->cut, g->err));
		tell_score(g, stage, g->p->recalibrate ? "recalibrated" : "cut", &row->cut);
		row->measured = true;
	}
	if (g->p->finetune) {
		DS_TRY(train(g, row));
		if (g->p->measure) {
			DS_TRY(ds_slim_measure(g->s, g->m, &row->after, g->err));
			tell_score(g, stage, "trained", &row->after);
		}
	}
	return DS_OK;
}

static ds_status one_stage(stager *g, int stage, bool dry)
{
	enum { TRIES = 8 };
	ds_slim_stage *row = &g->r->stage[stage - 1];
	double t = (double)stage / g->p->steps;
	ds_structure *st = NULL;
	ds_graph *graph = NULL;
	ds_status rc = DS_OK;
	bool again = true;
	row->share = g->p->cubic ? 1 - (1 - t) * (1 - t) * (1 - t) : t;
	for (int i = 0; again && i < TRIES; i++) {
		ds_graph_free(graph);
		graph = NULL;
		ds_structure_free(st);
		DS_GOTO(ds_structure_new(&st, g->m, NULL, g->err));
		if (!st->n_group) {
			rc = ds_fail(g->err, DS_E_INPUT, "the model has no channels that can be cut");
			goto out;
		}
		if (!g->whole) {
			DS_GOTO(remember(g, st));
			if (fixed_numbers(g))
				DS_GOTO(settle(g, st));
			for (int k = 0; k < st->n_group; k++)
				st->group[k].keep = st->group[k].classes;
			DS_GOTO(ds_prune_cost(st, g->p->kind, g->p->table, &g->whole_cost, g->err));
		}
		DS_GOTO(ds_slim_score(g->s, st, g->m, g->p->criterion, g->p->seed, &g->r->scored, g->err));
		if (g->p->choose.global && g->p->criterion->data && !g->p->by_cost)
			DS_GOTO(ds_prune_marginal(st, g->err));
		DS_GOTO(cut(g, st, row->share, &graph));
		DS_GOTO(totals(st, row, g->err));
		if (stage < g->p->steps)
			break;
		write_plan(g, st);
		if (g->r->plan.oom) {
			rc = ds_fail_nomem(g->err, 0);
			goto out;
		}
		DS_GOTO(too_large(g, graph, &again));
	}
	if (again && stage == g->p->steps) {
		rc = ds_fail(g->err, DS_E_CHECK, "the target of %.0f bytes cannot be reached", g->p->target);
		goto out;
	}
	if (dry)
		goto out;
	ds_graph_free(g->m->graph);
	g->m->graph = graph;
	graph = NULL;
	rc = mend(g, stage, row);
out:
	ds_graph_free(graph);
	ds_structure_free(st);
	return rc;
}

ds_status ds_slim_run(ds_slim *s, ds_model *m, const ds_slim_plan *p, const ds_slim_result *as, bool dry, ds_slim_result *r, ds_err *err)
{
	stager g = { .s = s, .m = m, .p = p, .r = r, .as = as, .err = err };
	ds_status rc = DS_OK;
	*r = (ds_slim_result){ .stage = ds_calloc((size_t)p->steps + 1, sizeof *r->stage) };
	if (!r->stage)
		return ds_fail_nomem(err, 0);
	for (int t = dry ? p->steps : 1; rc == DS_OK && t <= p->steps; t++) {
		rc = one_stage(&g, t, dry);
		r->n_stage = t;
	}
	ds_free(g.whole);
	if (rc != DS_OK)
		ds_slim_result_done(r);
	return rc;
}

/* ---- the smallest ------------------------------------------------------------------------------------------------------------------------ */
typedef struct smallest {
	stager      g;
	ds_structure *st;
	ds_front    front;
	ds_graph   *whole, *best;       /* the model's own; the best so far, NULL: the whole one */
	ds_buf      plan;               /* of the best */
	ds_slim_stage row;              /* of the best */
	double      before, least;      /* accuracy of the whole, and what a plan must have */
} smallest;

/* One plan: cut, mended, measured; kept when it is good enough. */
static ds_status attempt(smallest *q, int at, bool *good)
{
	stager *g = &q->g;
	ds_prune_opts o = g->p->choose;
	ds_slim_stage row = { .share = 1 };
	ds_graph *graph = ds_graph_clone(q->whole);
	ds_status rc = graph ? DS_OK : ds_fail_nomem(g->err, 0);
	*good = false;
	if (rc == DS_OK)
		rc = ds_prune_pick(q->st, &o, g->p->kind, g->p->table, &q->front, q->front.row[at].cost, g->err);
	if (rc == DS_OK) {
		ds_prune_mark(q->st);
		rc = ds_prune_cut(graph, q->st, g->err);
	}
	if (rc == DS_OK)
		rc = totals(q->st, &row, g->err);
	if (rc != DS_OK) {
		ds_graph_free(graph);
		return rc;
	}
	g->m->graph = graph;
	rc = mend(g, 1, &row);
	graph = g->m->graph;
	g->m->graph = q->whole;
	const ds_fit_score *v = row.tuned ? &row.after : &row.cut;
	*good = rc == DS_OK && v->accuracy >= q->least - 1e-9;
	if (!*good) {
		ds_graph_free(graph);
		return rc;
	}
	ds_graph_free(q->best);
	q->best = graph;
	q->row = row;
	write_plan(g, q->st);
	for (int i = 0; i < q->st->n_group; i++)        /* the structure is that of the whole model: as it was */
		q->st->group[i].classes = g->whole[i];
	return g->r->plan.oom ? ds_fail_nomem(g->err, 0) : DS_OK;
}

/* The deepest plan that is allowed and good enough; the search ends where plans differ by less than half a hundredth of the whole. */
static ds_status bisect(smallest *q, int *tried)
{
	int lo = 0, hi = 0;
	bool good;
	while (hi < q->front.n - 1 && q->front.row[hi].cost > q->g.p->target)
		hi++;
	for (int at = hi; at > lo;) {
		DS_TRY(attempt(q, at, &good));
		++*tried;
		if (good && at == hi)
			return DS_OK;
		*(good ? &lo : &hi) = at;
		at = hi - lo > 1 && q->front.row[lo].cost - q->front.row[hi].cost > .005 * q->front.row[0].cost ? (lo + hi) / 2 : 0;
	}
	return DS_OK;
}

static ds_status prepare(smallest *q)
{
	stager *g = &q->g;
	ds_prune_opts o = g->p->choose;
	o.ratio = 0;
	DS_TRY(ds_structure_new(&q->st, g->m, NULL, g->err));
	DS_TRY(remember(g, q->st));
	DS_TRY(ds_slim_score(g->s, q->st, g->m, g->p->criterion, g->p->seed, &g->r->scored, g->err));
	DS_TRY(ds_prune_choose(q->st, &o, g->err));
	/* What cannot be cut is found by cutting everything a little. */
	for (;;) {
		ds_graph *trial = ds_graph_clone(g->m->graph);
		if (!trial)
			return ds_fail_nomem(g->err, 0);
		for (int i = 0; i < q->st->n_group; i++)
			q->st->group[i].keep = q->st->frozen[i] ? q->st->group[i].classes : DS_MAX(q->st->group[i].classes - 1, 1);
		ds_prune_mark(q->st);
		ds_status rc = ds_prune_cut(trial, q->st, g->err);
		ds_graph_free(trial);
		if (rc != DS_OK && ds_prune_freeze_bad(q->st))
			continue;
		DS_TRY(rc);
		break;
	}
	return ds_prune_search(q->st, &o, g->p->kind, g->p->table, &q->front, g->err);
}

ds_status ds_slim_smallest(ds_slim *s, ds_model *m, const ds_slim_plan *p, double drop, ds_slim_result *r, double *before, double *after, int *tried, ds_err *err)
{
	smallest q = { .g = { .s = s, .m = m, .p = p, .r = r, .err = err }, .whole = m->graph };
	ds_fit_score v = { 0 };
	ds_status rc;
	*tried = 0;
	*r = (ds_slim_result){ .stage = ds_calloc(1, sizeof *r->stage), .n_stage = 1 };
	ds_arena_init(&q.front.arena);
	if (!r->stage) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(ds_slim_measure(s, m, &v, err));
	if (!v.has_accuracy) {
		rc = ds_fail(err, DS_E_UNSUPPORTED, "there is no accuracy to hold: the data have no classes");
		goto out;
	}
	*before = *after = v.accuracy;
	q.least = v.accuracy - drop;
	DS_GOTO(prepare(&q));
	DS_GOTO(bisect(&q, tried));
	if (!q.best) {
		rc = ds_fail(err, DS_E_CHECK, "no plan holds the accuracy (%.2f %% before, %.2f points may go)", 100 * *before, 100 * drop);
		goto out;
	}
	*after = q.row.tuned ? q.row.after.accuracy : q.row.cut.accuracy;
	r->stage[0] = q.row;
	ds_graph_free(m->graph);
	m->graph = q.best;
	q.best = NULL;
out:
	ds_graph_free(q.best);
	ds_structure_free(q.st);
	ds_front_done(&q.front);
	ds_free(q.g.whole);
	if (rc != DS_OK)
		ds_slim_result_done(r);
	return rc;
}
