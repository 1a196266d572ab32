/* loop.c - steps and epochs: batches into the trainer, measurements between them, checkpoints and reports along the way */
#include "run.h"
#include "../base/str.h"
#include "../run/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define REPORTS_PER_EPOCH 50            /* step events, at most */

/* ---- measuring ------------------------------------------------------------------------------------------------------------------------ */
/* The model as it would be written now. */
static ds_status present(ds_fitting *f, ds_model *m, ds_err *err)
{
	*m = (ds_model){ .graph = ds_graph_clone(f->work.graph), .meta = f->m->meta };
	return m->graph ? ds_trainer_export(f->t, m, f->w->ema > 0, err) : ds_fail_nomem(err, 0);
}

static bool by_accuracy(const ds_fitting *f, const ds_fit_score *s)
{
	return s->has_accuracy && f->w->metric != DS_FIT_METRIC_LOSS;
}

static bool better(const ds_fitting *f, const ds_fit_score *s)
{
	if (f->s.count[BEST_STEP] < 0)
		return true;
	return by_accuracy(f, s) ? s->accuracy > f->s.figure[BEST_ACCURACY] : s->has_loss && s->loss < f->s.figure[BEST_LOSS];
}

static void score_to_state(ds_fit_state *s, const ds_fit_score *score, bool best)
{
	s->count[best ? BEST_N : LAST_N] = score->n;
	s->figure[best ? BEST_LOSS : LAST_LOSS] = score->loss;
	s->figure[best ? BEST_ACCURACY : LAST_ACCURACY] = score->accuracy;
	int64_t loss = best ? HAS_BEST_LOSS : HAS_LAST_LOSS, accuracy = best ? HAS_BEST_ACCURACY : HAS_LAST_ACCURACY;
	s->has &= ~(loss | accuracy);
	s->has |= (score->has_loss ? loss : 0) | (score->has_accuracy ? accuracy : 0);
}

static ds_fit_score score_of_state(const ds_fit_state *s, bool best)
{
	return (ds_fit_score){ .n = s->count[best ? BEST_N : LAST_N], .loss = s->figure[best ? BEST_LOSS : LAST_LOSS],
		.accuracy = s->figure[best ? BEST_ACCURACY : LAST_ACCURACY], .has_loss = s->has & (best ? HAS_BEST_LOSS : HAS_LAST_LOSS),
		.has_accuracy = s->has & (best ? HAS_BEST_ACCURACY : HAS_LAST_ACCURACY) };
}

static ds_status report_score(ds_fitting *f, const ds_fit_score *s, bool best, double seconds, ds_err *err)
{
	ds_fit_report_begin(f->report, "validation", f->s.count[AT_STEP]);
	ds_fit_report_i64(f->report, "stage", f->stage + 1);
	ds_fit_report_i64(f->report, "epoch", f->s.count[AT_EPOCH] + 1);
	ds_fit_report_i64(f->report, "samples", s->n);
	if (s->has_loss)
		ds_fit_report_f64(f->report, "loss", s->loss);
	if (s->has_accuracy)
		ds_fit_report_f64(f->report, "accuracy", s->accuracy);
	ds_fit_report_i64(f->report, "best", best);
	ds_fit_report_f64(f->report, "seconds", seconds);
	return ds_fit_report_end(f->report, err);
}

/* Nothing to measure with: nothing happens. */
static ds_status measure(ds_fitting *f, ds_err *err)
{
	ds_model m = { 0 };
	ds_fit_score score = { 0 };
	double from = ds_fit_now();
	if (!ds_trainset_held(f->val ? f->val : f->set))
		return DS_OK;
	ds_status rc = present(f, &m, err);
	if (rc == DS_OK)
		rc = ds_fit_measure(&m, f->loss, f->w->delta, f->val ? f->val : f->set, ds_trainset_batch(f->set), f->o->threads, f->o->memory_limit, &score, err);
	if (rc == DS_OK) {
		bool best = better(f, &score);
		score_to_state(&f->s, &score, false);
		f->s.count[STALE]++;
		if (best) {
			score_to_state(&f->s, &score, true);
			f->s.count[BEST_STEP] = f->s.count[AT_STEP];
			f->s.count[STALE] = 0;
			if (f->w->keep == DS_FIT_KEEP_BEST) {
				ds_graph *old = f->best;
				f->best = m.graph;
				m.graph = old;
			}
		}
		f->stop = f->w->early_stop && f->s.count[STALE] >= f->w->early_stop;
		rc = report_score(f, &score, best, ds_fit_now() - from, err);
	}
	f->clock += ds_fit_now() - from;        /* not part of the training rate */
	ds_graph_free(m.graph);
	return rc;
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------------------------------- */
static ds_status save(ds_fitting *f, ds_err *err)
{
	double from = ds_fit_now();
	if (!f->w->checkpoint)
		return DS_OK;
	f->s.count[REPORT_AT] = (int64_t)ds_fit_report_offset(f->report);
	ds_model m = { .graph = f->work.graph, .id_crc = f->m->id_crc, .id_len = f->m->id_len };
	ds_fit_saved what = { .state = &f->s, .settings = f->o->effective, .m = &m, .t = f->t, .best = f->w->keep == DS_FIT_KEEP_BEST ? f->best : NULL, .r = f->r };
	DS_TRY(ds_fit_ckpt_save(f->w->checkpoint, &what, err));
	f->saved = f->s.count[AT_STEP];
	f->clock += ds_fit_now() - from;
	return DS_OK;
}

/* A failure in the middle: where the run stood and what is left of it. */
static void say_where(const ds_fitting *f, ds_err *err)
{
	char text[sizeof err->text];
	if (!err)
		return;
	memcpy(text, err->text, sizeof text);
	text[sizeof text - 1] = 0;
	if (f->saved >= 0)
		snprintf(err->text, sizeof err->text, "%.300s (the checkpoint %.120s of step %lld stays)", text, f->w->checkpoint, (long long)f->saved);
	else
		snprintf(err->text, sizeof err->text, "%.400s (%s)", text, f->w->checkpoint ? "there is no checkpoint yet" : "no --checkpoint was asked for");
}

/* ---- what is told ------------------------------------------------------------------------------------------------------------------------ */
static double rate(const ds_fitting *f)
{
	double t = ds_fit_now() - f->clock;
	return t > 0 ? (double)f->stretch / t : 0;
}

static double epoch_loss(const ds_fitting *f)
{
	return f->s.count[EPOCH_BATCHES] ? f->s.figure[EPOCH_LOSS] / (double)f->s.count[EPOCH_BATCHES] : 0;
}

static double epoch_accuracy(const ds_fitting *f)
{
	return f->s.count[EPOCH_PLACES] ? (double)f->s.count[EPOCH_HITS] / (double)f->s.count[EPOCH_PLACES] : 0;
}

static bool has_accuracy(const ds_fitting *f)
{
	return (f->tally.rule == DS_RULE_CLASS || f->tally.rule == DS_RULE_BINARY) && f->s.count[EPOCH_PLACES];
}

static void show(const ds_fitting *f, double loss)
{
	char text[200], accuracy[40] = "";
	if (!f->o->hook.progress)
		return;
	if (has_accuracy(f))
		snprintf(accuracy, sizeof accuracy, " accuracy %.2f %%", 100 * epoch_accuracy(f));
	snprintf(text, sizeof text, "epoch %lld loss %.4f%s %.0f/s", (long long)f->s.count[AT_EPOCH] + 1, loss, accuracy, rate(f));
	f->o->hook.progress(f->o->hook.arg, f->s.count[AT_STEP], f->rate.steps, text);
}

static ds_status report_step(ds_fitting *f, double loss, ds_err *err)
{
	ds_fit_report_begin(f->report, "step", f->s.count[AT_STEP]);
	ds_fit_report_i64(f->report, "stage", f->stage + 1);
	ds_fit_report_i64(f->report, "epoch", f->s.count[AT_EPOCH] + 1);
	ds_fit_report_f64(f->report, "loss", loss);
	if (has_accuracy(f))
		ds_fit_report_f64(f->report, "accuracy", epoch_accuracy(f));
	ds_fit_report_f64(f->report, "gradient_norm", f->norm);
	ds_fit_report_f64(f->report, "learning_rate", f->lr);
	ds_fit_report_f64(f->report, "samples_per_second", rate(f));
	return ds_fit_report_end(f->report, err);
}

static ds_status report_histograms(ds_fitting *f, bool gradients, ds_err *err)
{
	ds_param *p;
	int n = ds_trainer_params(f->t, &p);
	for (int i = 0; i < n && ds_fit_report_histograms(f->report); i++)
		DS_TRY(ds_fit_report_histogram(f->report, gradients ? "gradients" : "weights", p[i].name, gradients ? &p[i].grad : &p[i].value, f->s.count[AT_STEP], err));
	return DS_OK;
}

static ds_status report_epoch(ds_fitting *f, ds_err *err)
{
	ds_fit_score v = score_of_state(&f->s, false);
	char accuracy[40] = "", measured[80] = "", right[40] = "";
	bool any = v.n > 0 && f->w->validate_every == 0;
	ds_fit_report_begin(f->report, "epoch", f->s.count[AT_STEP]);
	ds_fit_report_i64(f->report, "stage", f->stage + 1);
	ds_fit_report_i64(f->report, "epoch", f->s.count[AT_EPOCH] + 1);
	ds_fit_report_f64(f->report, "loss", epoch_loss(f));
	if (has_accuracy(f))
		ds_fit_report_f64(f->report, "accuracy", epoch_accuracy(f));
	ds_fit_report_f64(f->report, "learning_rate", f->lr);
	ds_fit_report_f64(f->report, "samples_per_second", rate(f));
	DS_TRY(ds_fit_report_end(f->report, err));
	DS_TRY(report_histograms(f, false, err));
	if (has_accuracy(f))
		snprintf(accuracy, sizeof accuracy, ", accuracy %.2f %%", 100 * epoch_accuracy(f));
	if (any && v.has_loss)
		snprintf(measured, sizeof measured, "; validation loss %.4f", v.loss);
	if (any && v.has_accuracy)
		snprintf(right, sizeof right, ", accuracy %.2f %%", 100 * v.accuracy);
	ds_fit_say(f, false, "epoch %lld: loss %.4f%s%s%s; step %lld, rate %.3g, %.0f samples/s", (long long)f->s.count[AT_EPOCH] + 1, epoch_loss(f), accuracy, measured,
		right, (long long)f->s.count[AT_STEP], f->lr, rate(f));
	return DS_OK;
}

/* ---- steps -------------------------------------------------------------------------------------------------------------------------------- */
static ds_status micro_batch(ds_fitting *f, const ds_minibatch *b, double *loss, ds_err *err)
{
	const ds_fit_hooks *h = &f->o->hook;
	ds_train_stat stat;
	if (h->n_extra)
		DS_TRY(h->extra(h->arg, b, f->extra, err));
	DS_TRY(ds_trainer_batch(f->t, b->in, b->n_in, b->target.data ? &b->target : NULL, f->extra, 1.0 / (double)f->accumulate, &stat, err));
	f->tally.places = f->tally.hits = 0;
	if (stat.n_pred)
		DS_TRY(ds_fit_tally_add(&f->tally, &stat.pred[0], b, false, err));
	f->s.count[EPOCH_PLACES] += f->tally.places;
	f->s.count[EPOCH_HITS] += f->tally.hits;
	f->s.count[EPOCH_BATCHES]++;
	f->s.figure[EPOCH_LOSS] += stat.loss;
	f->s.count[AT_BATCH]++;
	f->stretch += b->n;
	*loss += stat.loss / (double)f->accumulate;
	return DS_OK;
}

/* Between two steps. */
static ds_status after_step(ds_fitting *f, double loss, ds_err *err)
{
	const ds_fit_words *w = f->w;
	int64_t step = f->s.count[AT_STEP], in_epoch = f->s.count[AT_BATCH] / f->accumulate;
	bool epoch_ends = in_epoch == f->per_epoch || step == f->rate.steps;
	int64_t every = DS_MAX(f->per_epoch / REPORTS_PER_EPOCH, (int64_t)1);
	show(f, loss);
	DS_TRY(ds_fit_page(f, loss, false, err));
	if (in_epoch % every == 0 || epoch_ends)
		DS_TRY(report_step(f, loss, err));
	if (epoch_ends)
		DS_TRY(report_histograms(f, true, err));
	if (w->validate_every && (step % w->validate_every == 0 || step == f->rate.steps))
		DS_TRY(measure(f, err));
	if (w->checkpoint_every && step % w->checkpoint_every == 0 && !epoch_ends)
		return save(f, err);
	return DS_OK;
}

/* From where the state stands to the end of the epoch or of the run. */
static ds_status rest_of_epoch(ds_fitting *f, ds_err *err)
{
	const ds_minibatch *b;
	DS_TRY(ds_trainset_start(f->set, f->s.count[AT_EPOCH], f->s.count[AT_BATCH], err));
	f->clock = ds_fit_now();
	f->stretch = 0;
	while (f->s.count[AT_BATCH] < f->per_epoch * f->accumulate && f->s.count[AT_STEP] < f->rate.steps && !f->stop) {
		double loss = 0;
		for (int64_t k = 0; k < f->accumulate; k++) {
			ds_status rc = ds_trainset_next(f->set, &b, err);
			if (rc == DS_END)
				return ds_fail(err, DS_E_INPUT, "%s: fewer samples than before", f->data);
			DS_TRY(rc);
			DS_TRY(micro_batch(f, b, &loss, err));
		}
		f->lr = f->schedule->rate(&f->rate, f->s.count[AT_STEP]);
		DS_TRY(ds_trainer_update(f->t, f->lr, &f->norm, err));
		f->s.count[AT_STEP]++;
		DS_TRY(after_step(f, loss, err));
	}
	return DS_OK;
}

static ds_status end_of_epoch(ds_fitting *f, ds_err *err)
{
	if (!f->w->validate_every)
		DS_TRY(measure(f, err));
	DS_TRY(report_epoch(f, err));
	DS_TRY(ds_fit_page(f, epoch_loss(f), f->s.count[AT_STEP] >= f->rate.steps || f->stop, err));
	f->s.figure[DONE_LOSS] = epoch_loss(f);
	f->s.figure[EPOCH_LOSS] = 0;
	f->s.count[EPOCH_PLACES] = f->s.count[EPOCH_HITS] = f->s.count[EPOCH_BATCHES] = 0;
	f->s.count[AT_EPOCH]++;
	f->s.count[AT_BATCH] = 0;
	bool due = !f->w->checkpoint_every || f->s.count[AT_STEP] % f->w->checkpoint_every == 0 || f->s.count[AT_STEP] >= f->rate.steps || f->stop;
	return due ? save(f, err) : DS_OK;
}

static ds_status report_end(ds_fitting *f, ds_err *err)
{
	ds_fit_score best = score_of_state(&f->s, true);
	ds_fit_report_begin(f->report, "end", f->s.count[AT_STEP]);
	ds_fit_report_i64(f->report, "stage", f->stage + 1);
	ds_fit_report_i64(f->report, "epochs", f->s.count[AT_EPOCH]);
	ds_fit_report_f64(f->report, "loss", f->s.figure[DONE_LOSS]);
	if (f->s.count[BEST_STEP] >= 0)
		ds_fit_report_i64(f->report, "best_step", f->s.count[BEST_STEP]);
	if (best.has_loss)
		ds_fit_report_f64(f->report, "best_loss", best.loss);
	if (best.has_accuracy)
		ds_fit_report_f64(f->report, "best_accuracy", best.accuracy);
	ds_plan_info info = { 0 };
	ds_session_info(ds_trainer_session(f->t), &info);
	ds_fit_report_i64(f->report, "step_memory", (int64_t)info.arena_bytes);
	ds_fit_report_i64(f->report, "data_memory", (int64_t)ds_trainset_bytes(f->set));
	return ds_fit_report_end(f->report, err);
}

ds_status ds_fit_loop(ds_fitting *f, ds_err *err)
{
	ds_status rc = DS_OK;
	f->tally = (ds_fit_tally){ .rule = f->loss ? ds_fit_rule_of(f->loss) : DS_RULE_CLASS, .logits = true, .delta = f->w->delta };
	f->stop = f->w->early_stop && f->s.count[STALE] >= f->w->early_stop;
	while (rc == DS_OK && f->s.count[AT_STEP] < f->rate.steps && !f->stop) {
		rc = rest_of_epoch(f, err);
		if (rc == DS_OK)
			rc = end_of_epoch(f, err);
	}
	if (rc == DS_OK)
		rc = report_end(f, err);
	if (rc != DS_OK) {
		say_where(f, err);
		return rc;
	}
	f->r->steps = f->s.count[AT_STEP];
	f->r->epochs = f->s.count[AT_EPOCH];
	f->r->loss = f->s.figure[DONE_LOSS];
	f->r->best = score_of_state(&f->s, true);
	f->r->last = score_of_state(&f->s, false);
	return DS_OK;
}

ds_status ds_fit_result_weights(ds_fitting *f, ds_graph *g, ds_err *err)
{
	ds_model m = { .graph = g };
	if (f->w->keep == DS_FIT_KEEP_LAST || !f->best)
		return ds_trainer_export(f->t, &m, f->w->ema > 0, err);
	for (int i = 0; i < g->n_weight; i++) {         /* clones of one graph: the same order */
		ds_tensor t = ds_tensor_ref(&f->best->weight[i]->data);
		ds_tensor_done(&g->weight[i]->data);
		g->weight[i]->data = t;
	}
	return DS_OK;
}
