/* search.c - how many channels each group keeps so that a cost is met with the least score lost: greedy steps, then exchanges
 *
 * A multiple-choice knapsack whose costs depend on pairs of groups.  The greedy step looks at all lower numbers of a group, not at the next alone: kernels work on
 * channels in blocks, and the last channel of a block may be worth all of its time. */
#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 24 };                  /* numbers that a step looks at in one group */

static int upto(int64_t v, int64_t to) { return (int)((v + to - 1) / to * to); }

int ds_prune_keeps(const ds_structure *s, const ds_prune_opts *o, int group, int *keep, int cap)
{
	int all = s->group[group].classes, round = (int)DS_MAX(o->round, 1), low = upto(DS_MAX(o->min_keep, 1), round);
	int count = low < all ? 1 + (all - 1 - low) / round + 1 : 1, n = DS_MIN(count, cap);
	keep[0] = all;
	for (int i = 1; i < n; i++) {           /* multiple number j of the count - 1 below the whole, counted from the top */
		int j = n == count ? i : (int)((int64_t)i * (count - 1) / (n - 1));
		keep[i] = low + (count - 1 - j) * round;
	}
	return n;
}

typedef struct searcher {
	const ds_structure *s;
	const ds_prune_opts *o;
	ds_costs *costs;
	double  **lost;                 /* lost[g][k]: what it does when k units of group g stay */
	double   *room;
	int      *keep;
} searcher;

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void searcher_done(searcher *q)
{
	ds_costs_free(q->costs);
	ds_free(q->lost);
	ds_free(q->room);
	ds_free(q->keep);
}

/* What taking channels from one group does.  A sum of scores says it for the first ones only: channels of a group stand in for each other, so the harm grows with the
 * square of what is gone (as a quadratic model of the loss has it where channels pull together), and beyond every bound when nothing stays. */
static double damage(double all, double stays)
{
	double first = all > 0 ? -all * log(DS_MAX(stays, 1e-9 * all) / all) : 0;
	return first * first;
}

typedef struct ranked { double score; int cls; } ranked;

static int by_rank(const void *a, const void *b)
{
	const ranked *x = a, *y = b;
	return x->score != y->score ? (x->score > y->score) - (x->score < y->score) : y->cls - x->cls;         /* of equals the later one goes first */
}

ds_status ds_prune_marginal(ds_structure *s, ds_err *err)
{
	ranked *list = ds_calloc((size_t)s->n_cls + 1, sizeof *list);
	if (!list)
		return ds_fail_nomem(err, 0);
	for (int g = 0; g < s->n_group; g++) {
		int n = 0;
		double all = 0, gone = 0;
		for (int i = 0; i < s->n_cls; i++)
			if (s->cls[i].group == g) {
				list[n++] = (ranked){ s->cls[i].score, i };
				all += s->cls[i].score;
			}
		qsort(list, (size_t)n, sizeof *list, by_rank);
		for (int i = 0; i < n; i++) {
			double before = damage(all, all - gone);
			gone += list[i].score;
			s->cls[list[i].cls].score = damage(all, all - gone) - before;
		}
	}
	ds_free(list);
	return DS_OK;
}

static ds_status searcher_new(searcher *q, const ds_structure *s, const ds_prune_opts *o, ds_cost_kind kind, const ds_latency *table, ds_err *err)
{
	size_t at = 0;
	*q = (searcher){ .s = s, .o = o, .lost = ds_calloc((size_t)s->n_group + 1, sizeof *q->lost), .keep = ds_calloc((size_t)s->n_group + 1, sizeof *q->keep),
		.room = ds_calloc((size_t)s->n_cls + (size_t)s->n_group + 1, sizeof *q->room) };
	double *score = ds_calloc((size_t)s->n_cls + 1, sizeof *score);
	ds_status rc = q->lost && q->keep && q->room && score ? ds_costs_new(&q->costs, s, kind, table, err) : ds_fail_nomem(err, 0);
	for (int g = 0; rc == DS_OK && g < s->n_group; g++) {
		int n = 0;
		for (int i = 0; i < s->n_cls; i++)
			if (s->cls[i].group == g)
				score[n++] = s->cls[i].score;
		qsort(score, (size_t)n, sizeof *score, by_value);
		q->lost[g] = q->room + at;
		for (int k = n - 1; k >= 0; k--)
			q->lost[g][k] = q->lost[g][k + 1] + score[n - 1 - k];
		double all = q->lost[g][0];
		for (int k = 0; k <= n; k++)
			q->lost[g][k] = damage(all, all - q->lost[g][k]);
		at += (size_t)n + 1;
		q->keep[g] = n;
	}
	ds_free(score);
	if (rc != DS_OK)
		searcher_done(q);
	return rc;
}

static double lost_of(const searcher *q, const int *keep)
{
	double sum = 0;
	for (int g = 0; g < q->s->n_group; g++)
		sum += q->lost[g][keep[g]];
	return sum;
}

/* ---- greedy ----------------------------------------------------------------------------------------------------------------------------- */
static ds_status add_row(ds_front *f, const searcher *q, double cost, ds_err *err)
{
	size_t n = (size_t)q->s->n_group;
	if (!ds_grow((void **)&f->row, (size_t)f->n, &f->cap, sizeof *f->row))
		return ds_fail_nomem(err, 0);
	int *keep = ds_arena_alloc(&f->arena, n + 1, sizeof *keep);
	if (!keep)
		return ds_fail_nomem(err, 0);
	memcpy(keep, q->keep, sizeof *keep * n);
	f->row[f->n++] = (ds_front_row){ cost, lost_of(q, keep), keep };
	return DS_OK;
}

void ds_front_done(ds_front *f)
{
	ds_free(f->row);
	ds_arena_done(&f->arena);
	*f = (ds_front){ 0 };
}

/* The step with the least score for its gain; false: there is none. */
static bool best_step(const searcher *q, int *group, int *to, double *gain)
{
	double best_lost = 0;
	*group = -1;
	for (int g = 0; g < q->s->n_group; g++) {
		int choice[CHOICES], n = q->s->frozen[g] ? 0 : ds_prune_keeps(q->s, q->o, g, choice, CHOICES);
		for (int i = 0; i < n; i++) {
			if (choice[i] >= q->keep[g])
				continue;
			double d = -ds_costs_change(q->costs, q->keep, g, choice[i]), l = q->lost[g][choice[i]] - q->lost[g][q->keep[g]];
			if (d <= 0 || (*group >= 0 && (l * *gain > best_lost * d || (l * *gain == best_lost * d && d <= *gain))))
				continue;
			*group = g;
			*to = choice[i];
			*gain = d;
			best_lost = l;
		}
	}
	return *group >= 0;
}

ds_status ds_prune_search(const ds_structure *s, const ds_prune_opts *o, ds_cost_kind kind, const ds_latency *table, ds_front *f, ds_err *err)
{
	searcher q;
	int g = 0, to = 0;
	double gain = 0;
	*f = (ds_front){ 0 };
	ds_arena_init(&f->arena);
	DS_TRY(searcher_new(&q, s, o, kind, table, err));
	ds_status rc = add_row(f, &q, ds_costs_total(q.costs, q.keep), err);
	while (rc == DS_OK && best_step(&q, &g, &to, &gain)) {
		ds_costs_move(q.costs, q.keep, g, to);
		rc = add_row(f, &q, f->row[f->n - 1].cost - gain, err);
	}
	searcher_done(&q);
	if (rc != DS_OK)
		ds_front_done(f);
	return rc;
}

/* ---- exchanges -------------------------------------------------------------------------------------------------------------------------- */
/* Give one group more, as long as the cost allows it: the largest score that comes back.  False: nothing fits. */
static bool give_back(searcher *q, double *cost, double target)
{
	double best = 0, best_cost = 0;
	int group = -1, to = 0;
	for (int g = 0; g < q->s->n_group; g++) {
		int choice[CHOICES], n = q->s->frozen[g] ? 0 : ds_prune_keeps(q->s, q->o, g, choice, CHOICES);
		for (int i = 0; i < n && choice[i] > q->keep[g]; i++) {
			double back = q->lost[g][q->keep[g]] - q->lost[g][choice[i]], d = ds_costs_change(q->costs, q->keep, g, choice[i]);
			if (back > best && *cost + d <= target) {
				best = back;
				best_cost = d;
				group = g;
				to = choice[i];
			}
		}
	}
	if (group < 0)
		return false;
	ds_costs_move(q->costs, q->keep, group, to);
	*cost += best_cost;
	return true;
}

/* Take from one group and give to another: the exchange with the largest score won.  False: none. */
static bool exchange(searcher *q, double *cost, double target)
{
	int n_group = q->s->n_group, take = -1, give = -1, take_to = 0, give_to = 0;
	double best = 0, best_cost = 0;
	for (int a = 0; a < n_group; a++) {
		int down[CHOICES], n = q->s->frozen[a] ? 0 : ds_prune_keeps(q->s, q->o, a, down, CHOICES), was = q->keep[a];
		for (int i = 0, looked = 0; i < n && looked < 2; i++) {
			if (down[i] >= was)
				continue;
			looked++;
			double d = ds_costs_change(q->costs, q->keep, a, down[i]), less = q->lost[a][down[i]] - q->lost[a][was];
			ds_costs_move(q->costs, q->keep, a, down[i]);
			for (int b = 0; b < n_group; b++) {
				int up[CHOICES], m = b == a || q->s->frozen[b] ? 0 : ds_prune_keeps(q->s, q->o, b, up, CHOICES);
				for (int j = 0; j < m && up[j] > q->keep[b]; j++) {
					double won = q->lost[b][q->keep[b]] - q->lost[b][up[j]] - less;
					if (won <= best)
						continue;
					double e = ds_costs_change(q->costs, q->keep, b, up[j]);
					if (*cost + d + e > target)
						continue;
					best = won;
					best_cost = d + e;
					take = a;
					take_to = down[i];
					give = b;
					give_to = up[j];
				}
			}
			ds_costs_move(q->costs, q->keep, a, was);
		}
	}
	if (take < 0)
		return false;
	ds_costs_move(q->costs, q->keep, take, take_to);
	ds_costs_move(q->costs, q->keep, give, give_to);
	*cost += best_cost;
	return true;
}

ds_status ds_prune_pick(ds_structure *s, const ds_prune_opts *o, ds_cost_kind kind, const ds_latency *table, const ds_front *f, double target, ds_err *err)
{
	enum { ROUNDS = 200 };          /* each wins score, so there is an end; a bound on time all the same */
	searcher q;
	int at = 0;
	while (at < f->n && f->row[at].cost > target)
		at++;
	if (at == f->n)
		return ds_fail(err, DS_E_CHECK, "the target cannot be reached: the smallest plan has %.4g of the cost of the whole model, %.4g is asked for",
			f->row[f->n - 1].cost / f->row[0].cost, target / f->row[0].cost);
	DS_TRY(searcher_new(&q, s, o, kind, table, err));
	memcpy(q.keep, f->row[at].keep, sizeof *q.keep * (size_t)s->n_group);
	double cost = ds_costs_total(q.costs, q.keep);
	for (int i = 0; i < ROUNDS && (give_back(&q, &cost, target) || exchange(&q, &cost, target)); i++)
		;
	for (int g = 0; g < s->n_group; g++)
		s->group[g].keep = q.keep[g];
	searcher_done(&q);
	return DS_OK;
}

ds_status ds_prune_cost(const ds_structure *s, ds_cost_kind kind, const ds_latency *table, double *cost, ds_err *err)
{
	ds_costs *c;
	int *keep = ds_calloc((size_t)s->n_group + 1, sizeof *keep);
	if (!keep)
		return ds_fail_nomem(err, 0);
	for (int g = 0; g < s->n_group; g++)
		keep[g] = s->group[g].keep;
	ds_status rc = ds_costs_new(&c, s, kind, table, err);
	if (rc == DS_OK)
		*cost = ds_costs_total(c, keep);
	ds_costs_free(c);
	ds_free(keep);
	return rc;
}
