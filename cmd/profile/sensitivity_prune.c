/* sensitivity_prune.c - --sensitivity prune: what cutting one group of channels alone does to the answers, and with --budget the plan that ds-prune obeys */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sensitivity.h"

static const char *const kl_columns[] = { "group", ">layers", ">channels", ">keep", ">bytes", ">kl", "|", ">same", ">right", NULL };
static const char *const noise_columns[] = { "group", ">layers", ">channels", ">keep", ">bytes", ">noise", "|", ">same", ">right", NULL };

/* What everything here needs. */
typedef struct work {
	job            *j;
	ds_structure   *st;
	ds_answers      a;
	choices         c;
	ds_probe_prune  o;
	ds_trial       *trial;
} work;

static ds_status print_table(const work *w, ds_err *err)
{
	section o;
	const bool classes = w->a.kind.classes;
	const int n = w->st->n_group * w->c.n;
	double most = 0;
	for (int i = 0; i < n; i++)
		most = fmax(most, w->trial[i].damage);
	DS_TRY(section_begin(&o, w->j, "sensitivity", classes ? kl_columns : noise_columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < n && rc == DS_OK; i++) {
		const ds_trial *t = &w->trial[i];
		const ds_pgroup *g = &w->st->group[t->row];
		if (w->st->frozen[t->row])
			continue;
		cell_text(&o, g->name);
		cell_i64(&o, g->layers);
		cell_i64(&o, g->classes);
		cell_i64(&o, ds_probe_keep(w->st, t->row, w->c.ratio[t->choice], &w->o));
		cell_num(&o, (double)t->cost, 'B');
		cell_num(&o, t->damage, 0);
		cell_bar(&o, most > 0 ? t->damage / most : 0);
		cell_num(&o, classes ? (double)t->shift.same / (double)t->shift.n : NAN, '%');
		cell_num(&o, classes && w->j->s->c.data ? (double)t->shift.right / (double)t->shift.n : NAN, '%');
		rc = section_row(&o, err);
	}
	if (rc == DS_OK)
		return section_end(&o, err);
	section_drop(&o);
	return rc;
}

/* The budget is of the file: what is not weights stays about as it is, and the plan comes twice into the history. */
static ds_status solve(work *w, double *expected, ds_err *err)
{
	budget b;
	double whole, id_len = (double)w->j->m->id_len;
	DS_TRY(parse_budget(w->j->s->budget, &b, err));
	for (int i = 0; i < w->st->n_group; i++)
		w->st->group[i].keep = w->st->group[i].classes;
	DS_TRY(ds_prune_cost(w->st, DS_COST_BYTES, NULL, &whole, err));
	double target = b.kind == SHARE ? b.v / 100 * id_len : b.v, others = fmax(id_len - whole, 0) + 1024 + 64 * w->st->n_group;
	if (target <= others)
		return ds_fail(err, DS_E_CHECK, "the budget is %.0f bytes, and what is not weights takes %.0f", target, others);
	return ds_probe_solve_groups(w->st, w->trial, DS_COST_BYTES, &w->o, target - others, expected, err);
}

static ds_status print_plan(work *w, ds_err *err)
{
	const ds_model *m = w->j->m;
	ds_prune_plan_head h = { .seed = (uint64_t)w->j->s->c.seed, .crc = m->id_crc, .len = m->id_len };
	ds_graph *g;
	ds_shift all;
	ds_buf b = { 0 };
	double expected;
	char x[32], y[32];
	snprintf(h.criterion, sizeof h.criterion, "%s", w->j->s->criterion);
	DS_TRY(solve(w, &expected, err));
	DS_TRY(ds_probe_cut(&g, w->st, m, &w->o, &w->a, err));
	ds_status rc = ds_answers_compare(&w->a, g, &all, err);
	ds_graph_free(g);
	if (rc != DS_OK)
		return rc;
	ds_note("%s %s by the sum of groups, %s of all together", w->a.kind.classes ? "KL" : "noise", ds_fmt_f64(x, expected), ds_fmt_f64(y, ds_shift_damage(&all, &w->a.kind)));
	ds_prune_plan_write(w->st, &h, &b);
	rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(w->j->out, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}

static bool has_norm(const ds_graph *g)
{
	for (int i = 0; i < g->n_node; i++)
		if (strcmp(g->node[i]->op_name, "BatchNormalization") == 0)
			return true;
	return false;
}

ds_status sensitivity_prune(job *j, ds_err *err)
{
	const settings *s = j->s;
	work w = { .j = j, .a = { .threads = (int)s->c.threads, .memory_limit = s->c.memory_limit } };
	const ds_criterion *criterion = ds_criterion_find(s->criterion);
	ds_criterion_opts how = { .seed = (uint64_t)s->c.seed, .threads = (int)s->c.threads };
	ds_shift own;
	ds_progress *bar = NULL;
	ds_status rc;
	DS_GOTO(sensitivity_choices(s, &w.c, err));
	DS_GOTO(ds_structure_new(&w.st, j->m, NULL, err));
	if (!w.st->n_group) {
		rc = ds_fail(err, DS_E_INPUT, "the model has no channels that can be cut");
		goto out;
	}
	DS_GOTO(criterion->score(w.st, j->m, &how, err));
	DS_GOTO(sensitivity_samples(j, &w.a, err));
	DS_GOTO(sensitivity_ask(j, &w.a, &own, err));
	w.o = (ds_probe_prune){ .ratio = w.c.ratio, .n_ratio = w.c.n, .recalibrate = has_norm(j->m->graph), .threads = (int)s->c.threads, .progress = sensitivity_hear };
	if (!(w.trial = ds_calloc((size_t)w.st->n_group * (size_t)w.c.n + 1, sizeof *w.trial))) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	w.o.arg = bar = ds_progress_new(&s->c, "trials", (int64_t)w.st->n_group * w.c.n);
	DS_GOTO(ds_probe_groups(w.st, j->m, DS_COST_BYTES, &w.o, &w.a, w.trial, err));
	ds_progress_free(bar);
	bar = NULL;
	rc = s->budget ? print_plan(&w, err) : print_table(&w, err);
out:
	ds_progress_free(bar);
	ds_free(w.trial);
	ds_answers_done(&w.a);
	ds_structure_free(w.st);
	return rc;
}
