/* run.c - a training run: words into settings, data into sets, stage after stage */
#include "run.h"
#include "../base/str.h"
#include "../run/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const ds_fit_precisions[] = { "f32", "bf16", NULL };
const char *const ds_fit_targets[] = { "auto", "label", "input", NULL };
const char *const ds_fit_metrics[] = { "auto", "loss", "accuracy", NULL };
const char *const ds_fit_keeps[] = { "last", "best", NULL };

double ds_fit_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ds_fit_say(const ds_fitting *f, bool warn, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	void (*say)(void *arg, const char *text) = warn ? f->o->hook.warn : f->o->hook.note;
	if (!say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say(f->o->hook.arg, text);
}

/* ---- words --------------------------------------------------------------------------------------------------------------------------- */
static ds_status none_of(ds_err *err, const char *option, const char *value, const char *list)
{
	return ds_fail(err, DS_E_USAGE, "--%s '%s' is none of %s", option, value, list);
}

static ds_status check_names(const ds_fit_words *w, ds_err *err)
{
	char list[300] = "";
	int n;
	size_t at = 0;
	if (w->loss && !ds_loss_find(w->loss)) {
		const ds_loss *const *all = ds_loss_all(&n);
		for (int i = 0; i < n && at < sizeof list; i++)
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", all[i]->name);
		return none_of(err, "loss", w->loss, list);
	}
	if (!ds_optimizer_find(w->optimizer)) {
		const ds_optimizer *const *all = ds_optimizer_all(&n);
		for (int i = 0; i < n && at < sizeof list; i++)
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", all[i]->name);
		return none_of(err, "optimizer", w->optimizer, list);
	}
	if (!ds_schedule_find(w->schedule)) {
		const ds_schedule *const *all = ds_schedule_all(&n);
		for (int i = 0; i < n && at < sizeof list; i++)
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", all[i]->name);
		return none_of(err, "schedule", w->schedule, list);
	}
	return DS_OK;
}

ds_status ds_fit_check(const ds_fit_words *w, ds_err *err)
{
	ds_augment a;
	bool measured = w->validate || w->holdout > 0;
	const ds_loss *l = w->loss ? ds_loss_find(w->loss) : NULL;
	DS_TRY(check_names(w, err));
	DS_TRY(ds_augment_parse(&a, w->augment, err));
	if (w->validate && w->holdout > 0)
		return ds_fail(err, DS_E_USAGE, "--validate and --holdout exclude each other");
	if (!measured && (w->early_stop || w->keep == DS_FIT_KEEP_BEST || w->validate_every))
		return ds_fail(err, DS_E_USAGE, "%s needs --validate or --holdout", w->early_stop ? "--early-stop" : w->validate_every ? "--validate-every" : "--keep=best");
	if (w->metrics && strcmp(w->metrics, "-") == 0)
		return ds_fail(err, DS_E_USAGE, "--metrics writes a file: the model may go to standard output");
	if (!w->checkpoint && (w->resume || w->checkpoint_every))
		return ds_fail(err, DS_E_USAGE, "%s needs --checkpoint", w->resume ? "--resume" : "--checkpoint-every");
	if (l && w->target == DS_FIT_TARGET_INPUT && l->target != DS_TARGET_VALUES)
		return ds_fail(err, DS_E_USAGE, "--target=input needs a loss over numbers (mse, l1, huber, bce), not --loss=%s", l->name);
	if (l && measured && (l->target == DS_TARGET_NONE || l->target == DS_TARGET_SEQUENCE))
		return ds_fail(err, DS_E_USAGE, "--loss=%s is not measured on other data: no --validate, no --holdout", l->name);
	if (w->smoothing > 0 && l && strcmp(l->name, "cross-entropy"))
		return ds_fail(err, DS_E_USAGE, "--label-smoothing has a meaning with --loss=cross-entropy only");
	if (w->metric == DS_FIT_METRIC_ACCURACY && l && l->target != DS_TARGET_CLASS && strcmp(l->name, "bce"))
		return ds_fail(err, DS_E_USAGE, "--metric=accuracy has no meaning with --loss=%s", l->name);
	return DS_OK;
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------------- */
/* Type of output 0 as far as the graph says it. */
static ds_status output_type(const ds_graph *g, ds_type *t, ds_err *err)
{
	*t = (ds_type){ .rank = -1 };
	ds_graph *copy = ds_graph_clone(g);
	if (!copy)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_graph_infer(copy, err);
	if (rc == DS_OK && copy->n_output)
		*t = copy->output[0]->type;
	ds_graph_free(copy);
	return rc;
}

static int64_t class_count(const ds_fitting *f, const ds_type *out)
{
	int64_t n = 1;
	if (f->goal == DS_GOAL_VALUES) {        /* a label among outputs; one yes or no */
		for (int i = 1; i < out->rank; i++)
			n = out->dim[i] < 0 || n == 0 ? 0 : n * out->dim[i];
		return n > 1 ? n : f->loss && !strcmp(f->loss->name, "bce") ? 2 : 0;
	}
	if (out->rank < 2)
		return 0;
	n = out->dim[out->rank <= 3 ? out->rank - 1 : 1];
	return n > 0 ? n : 0;
}

static bool channels_last(const ds_model *m)
{
	ds_prep_spec spec;
	bool there = false;
	ds_err ignored;
	return ds_prep_from_meta(&spec, &m->meta, 0, &there, &ignored) == DS_OK && there && spec.layout == DS_NHWC;
}

static ds_status load_names(ds_fitting *f, ds_err *err)
{
	const char *name = ds_meta_str(&f->m->meta, "output.0.labels");
	const ds_asset *a = name ? ds_model_asset(f->m, name) : NULL;
	return a ? ds_labels_parse(&f->names, ds_buffer_data(a->data), ds_buffer_size(a->data), err) : DS_OK;
}

/* The goal that words and data agree on. */
static ds_status choose_goal(ds_fitting *f, ds_err *err)
{
	static const ds_goal of[] = { [DS_TARGET_NONE] = DS_GOAL_NONE, [DS_TARGET_CLASS] = DS_GOAL_CLASS, [DS_TARGET_VALUES] = DS_GOAL_VALUES,
		[DS_TARGET_SEQUENCE] = DS_GOAL_TOKENS };
	f->loss = f->w->loss ? ds_loss_find(f->w->loss) : NULL;
	if (f->o->hook.head) {
		f->loss = NULL;
		f->goal = of[f->o->hook.head_target];
	} else if (f->w->target == DS_FIT_TARGET_INPUT) {
		f->goal = DS_GOAL_INPUT;
		f->loss = f->loss ? f->loss : ds_loss_find("mse");
	} else {
		f->goal = f->loss ? of[f->loss->target] : DS_GOAL_AUTO;
	}
	return DS_OK;
}

/* A directory per class names the classes of a model that has no names for them. */
static ds_status keep_names(ds_fitting *f, const ds_samples *s, int64_t classes, ds_err *err)
{
	char *const *name;
	int n = ds_data_classes(s, &name);
	ds_buf b = { 0 };
	if (f->names.n || n < 1 || n != classes || ds_meta_find(&f->m->meta, "output.0.labels") || ds_model_asset(f->m, "labels"))
		return DS_OK;
	for (int i = 0; i < n; i++) {
		if (!ds_text_ok(name[i], strlen(name[i]), false)) {
			ds_buf_done(&b);
			return DS_OK;
		}
		ds_buf_printf(&b, "%s\n", name[i]);
	}
	ds_buffer *data = b.oom ? NULL : ds_buffer_new(b.len);
	if (data)
		memcpy(ds_buffer_data(data), b.data, b.len);
	ds_status rc = data ? ds_model_asset_set(f->m, "labels", "text/plain", data) : DS_E_NOMEM;
	if (rc != DS_OK)
		ds_buffer_unref(data);
	if (rc == DS_OK)
		rc = ds_meta_set_str(&f->m->meta, "output.0.labels", "labels");
	if (rc == DS_OK)
		rc = ds_labels_parse(&f->names, b.data, b.len, err);
	ds_buf_done(&b);
	return rc == DS_OK ? DS_OK : ds_fail_nomem(err, 0);
}

static ds_status open_set(ds_fitting *f, const char *path, bool validation, uint64_t memory, ds_trainset **set, ds_err *err)
{
	ds_samples *samples;
	ds_type out;
	bool labels = f->goal != DS_GOAL_INPUT && (f->goal != DS_GOAL_NONE || validation);
	ds_data_opts d = { .model = f->m, .n_path = 1, .path = &path, .want_labels = labels, .names = labels && f->names.n ? &f->names : NULL,
		.recursive = true, .threads = f->o->threads };
	DS_TRY(output_type(f->work.graph, &out, err));
	ds_trainset_opts t = { .goal = f->goal, .classes = class_count(f, &out), .output = out, .augment = f->augment, .channels_last = channels_last(f->m),
		.seed = f->o->seed, .batch = f->w->batch, .holdout = validation ? 1 : f->w->holdout, .memory = memory, .bad = f->o->hook.bad, .bad_arg = f->o->hook.arg };
	if (validation)
		t.augment = (ds_augment){ 0 };
	DS_TRY(ds_data_open(&samples, &d, err));
	ds_status rc = validation || (f->goal != DS_GOAL_CLASS && f->goal != DS_GOAL_AUTO) ? DS_OK : keep_names(f, samples, t.classes, err);
	if (rc != DS_OK) {
		samples->free(samples);
		return rc;
	}
	rc = ds_trainset_open(set, samples, &t, err);
	if (rc != DS_OK)
		ds_err_in(err, path);
	else if (f->goal == DS_GOAL_AUTO)
		f->goal = ds_trainset_goal(*set);
	return rc;
}

static void tell_empty_classes(const ds_fitting *f)
{
	const int64_t *n = ds_trainset_counts(f->set);
	int64_t empty = 0, first = -1, classes = 0, any = 0;
	ds_type out;
	ds_err ignored;
	if (f->goal != DS_GOAL_CLASS || !n || output_type(f->work.graph, &out, &ignored) != DS_OK)
		return;
	classes = class_count(f, &out);
	for (int64_t i = 0; i < classes; i++) {
		any += n[i];
		if (!n[i]) {
			first = empty++ ? first : i;
		}
	}
	if (!any || !empty)
		return;
	const char *name = first < f->names.n ? f->names.name[first] : NULL;
	if (empty > 1)
		ds_fit_say(f, true, "%s: no sample of %lld of the %lld classes, the first of them %lld%s%.100s%s", f->data, (long long)empty, (long long)classes,
			(long long)first, name ? " (" : "", name ? name : "", name ? ")" : "");
	else
		ds_fit_say(f, true, "%s: no sample of class %lld%s%.100s%s", f->data, (long long)first, name ? " (" : "", name ? name : "", name ? ")" : "");
}

static ds_status add_line(ds_fitting *f, const char *text, ds_err *err)
{
	for (int i = 0; i < f->r->n_external; i++) {
		if (!strcmp(f->r->external[i], text))
			return DS_OK;
	}
	char **more = ds_realloc(f->r->external, (size_t)f->r->n_external + 1, sizeof *more);
	if (!more)
		return ds_fail_nomem(err, 0);
	f->r->external = more;
	more[f->r->n_external] = ds_strdup(text);
	return more[f->r->n_external++] ? DS_OK : ds_fail_nomem(err, 0);
}

static ds_status add_external(ds_fitting *f, const char *role, const ds_trainset *t, ds_err *err)
{
	char hex[65], text[160];
	uint64_t n;
	ds_trainset_sum(t, hex, &n);
	snprintf(text, sizeof text, "%s %.64s %llu", role, hex, (unsigned long long)n);
	return add_line(f, text, err);
}

static ds_status open_data(ds_fitting *f, ds_err *err)
{
	uint64_t limit = f->o->memory_limit;
	DS_TRY(choose_goal(f, err));
	DS_TRY(open_set(f, f->data, false, limit / 2, &f->set, err));
	if (!f->loss && !f->o->hook.head)
		f->loss = ds_loss_find(f->goal == DS_GOAL_VALUES ? "mse" : "cross-entropy");
	if (f->o->hook.opened)
		DS_TRY(f->o->hook.opened(f->o->hook.arg, f->set, err));
	tell_empty_classes(f);
	DS_TRY(add_external(f, "training", f->set, err));
	f->r->items += (uint64_t)(ds_trainset_items(f->set) + ds_trainset_held(f->set) + ds_trainset_bad(f->set));
	f->r->bad += (uint64_t)ds_trainset_bad(f->set);
	if (f->w->holdout > 0 && !ds_trainset_held(f->set))
		ds_fit_say(f, true, "%s: --holdout=%g keeps none of %lld samples apart: nothing is measured", f->data, f->w->holdout, (long long)ds_trainset_items(f->set));
	if (f->w->validate) {
		uint64_t used = ds_trainset_bytes(f->set);
		DS_TRY(open_set(f, f->w->validate, true, limit && limit > used ? (limit - used) / 2 : limit, &f->val, err));
		DS_TRY(add_external(f, "validation", f->val, err));
		f->r->items += (uint64_t)(ds_trainset_held(f->val) + ds_trainset_bad(f->val));
		f->r->bad += (uint64_t)ds_trainset_bad(f->val);
	}
	ds_fit_say(f, false, "%s: %lld samples to train with, %lld to measure with, %lld left out; a batch is %lld, an epoch %lld batches%s", f->data,
		(long long)ds_trainset_items(f->set), (long long)ds_trainset_held(f->val ? f->val : f->set), (long long)f->r->bad, (long long)ds_trainset_batch(f->set),
		(long long)ds_trainset_batches(f->set), ds_trainset_window(f->set) ? "; too many for the memory limit: shuffled through a window" : "");
	return DS_OK;
}

/* ---- the trainer ---------------------------------------------------------------------------------------------------------------------- */
static bool is_frozen(void *arg, const char *name)
{
	ds_fitting *f = arg;
	bool hit = false;
	for (int i = 0; i < f->w->freeze.n; i++) {
		if (ds_glob(f->w->freeze.v[i], name))
			hit = f->frozen_used[i] = true;
	}
	return hit;
}

/* The trainer, made for the shapes of a batch; a checkpoint is put back into it. */
static ds_status make_trainer(ds_fitting *f, ds_err *err)
{
	const ds_fit_words *w = f->w;
	const ds_fit_hooks *h = &f->o->hook;
	const ds_minibatch *b;
	ds_type in[64];
	uint64_t limit = f->o->memory_limit, used = ds_trainset_bytes(f->set) + (f->val ? ds_trainset_bytes(f->val) : 0);
	DS_TRY(ds_trainset_start(f->set, 0, 0, err));
	DS_TRY(ds_trainset_next(f->set, &b, err));
	if (b->n_in > (int)DS_COUNTOF(in))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model with %d inputs", b->n_in);
	if (h->n_extra) {
		f->extra = ds_calloc((size_t)h->n_extra, sizeof *f->extra);
		f->extra_type = ds_calloc((size_t)h->n_extra, sizeof *f->extra_type);
		if (!f->extra || !f->extra_type)
			return ds_fail_nomem(err, 0);
		DS_TRY(h->extra_types(h->arg, b, f->extra_type, err));
	}
	ds_train_opts o = { .loss = f->loss, .loss_opts = { .smoothing = w->smoothing, .delta = w->delta, .temperature = w->temperature, .soft = ds_trainset_soft(f->set) },
		.head = h->head, .head_arg = h->arg, .head_target = h->head_target, .n_extra = h->n_extra, .extra = f->extra_type,
		.optimizer = ds_optimizer_find(w->optimizer), .optim = { .momentum = w->momentum, .nesterov = w->momentum > 0, .beta1 = w->beta1, .beta2 = w->beta2,
		.eps = 1e-8 }, .decay = w->decay, .clip = w->clip, .average = w->ema, .l1 = w->l1, .frozen = w->freeze.n ? is_frozen : NULL, .frozen_arg = f,
		.freeze_norm = w->freeze_norm, .bf16 = w->precision == 1, .seed = f->o->seed, .threads = f->o->threads, .memory_limit = limit && limit > used ? limit - used : limit };
	if (w->freeze.n && !(f->frozen_used = ds_calloc((size_t)w->freeze.n, sizeof *f->frozen_used)))
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < b->n_in; i++)
		in[i] = ds_type_of(&b->in[i]);
	DS_TRY(ds_trainer_new(&f->t, &f->work, &o, err));
	DS_TRY(ds_trainer_bind(f->t, in, b->n_in, err));
	for (int i = 0; i < w->freeze.n; i++) {
		if (!f->frozen_used[i])
			return ds_fail(err, DS_E_USAGE, "--freeze '%s' matches no weight", w->freeze.v[i]);
	}
	return f->resuming ? ds_fit_ckpt_restore(&f->ck, f->t, err) : DS_OK;
}

static void plan_steps(ds_fitting *f)
{
	const ds_fit_words *w = f->w;
	int64_t batches = ds_trainset_batches(f->set);
	f->accumulate = DS_MIN(w->accumulate, batches);
	f->per_epoch = batches / f->accumulate;
	int64_t steps = w->steps ? w->steps : w->epochs * f->per_epoch;
	f->schedule = ds_schedule_find(w->schedule);
	f->rate = (ds_schedule_opts){ .lr = w->lr > 0 ? w->lr : ds_optimizer_find(w->optimizer)->lr, .final = w->final, .steps = steps, .drop = w->drop,
		.every = w->drop_every * f->per_epoch, .warmup = w->warmup < 1 ? (int64_t)(w->warmup * (double)steps) : (int64_t)w->warmup };
}

/* ---- stages ---------------------------------------------------------------------------------------------------------------------------- */
static void stage_done(ds_fitting *f)
{
	ds_trainer_free(f->t);
	ds_trainset_free(f->set);
	ds_trainset_free(f->val);
	ds_graph_free(f->best);
	ds_free(f->frozen_used);
	ds_free(f->extra);
	ds_free(f->extra_type);
	f->t = NULL;
	f->set = f->val = NULL;
	f->best = NULL;
	f->frozen_used = NULL;
	f->extra = NULL;
	f->extra_type = NULL;
	f->stop = false;
}

static ds_status run_stage(ds_fitting *f, ds_err *err)
{
	ds_graph *g = NULL;
	ds_status rc;
	if (!f->resuming) {
		int64_t at = f->s.count[REPORT_AT];
		f->s = (ds_fit_state){ .count = { [AT_STAGE] = f->stage, [BEST_STEP] = -1, [REPORT_AT] = at, [DATA_ITEMS] = (int64_t)f->r->items,
			[DATA_BAD] = (int64_t)f->r->bad } };
	}
	DS_GOTO(ds_augment_parse(&f->augment, f->w->augment, err));
	DS_GOTO(open_data(f, err));
	plan_steps(f);
	DS_GOTO(make_trainer(f, err));
	if (f->resuming && ds_fit_ckpt_has_best(&f->ck)) {
		if (!(f->best = ds_graph_clone(f->work.graph)))
			DS_GOTO(ds_fail_nomem(err, 0));
		DS_GOTO(ds_fit_ckpt_weights(&f->ck, f->best, true, err));
	}
	ds_fit_ckpt_done(&f->ck);
	f->resuming = false;
	DS_GOTO(ds_fit_loop(f, err));
	if (!(g = ds_graph_clone(f->work.graph)))
		DS_GOTO(ds_fail_nomem(err, 0));
	DS_GOTO(ds_fit_result_weights(f, g, err));
	ds_trainer_free(f->t);          /* it looks at the graph that goes now */
	f->t = NULL;
	ds_graph_free(f->work.graph);
	f->work.graph = g;
	g = NULL;
out:
	ds_graph_free(g);
	stage_done(f);
	return rc;
}

static ds_status read_checkpoint(ds_fitting *f, const char *path, ds_err *err)
{
	ds_source *src;
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		ds_fit_say(f, false, "%s: no checkpoint yet, beginning anew", path);
		return DS_OK;
	}
	DS_TRY(ds_source_open(&src, path, NULL, err));
	ds_status rc = ds_fit_ckpt_read(&f->ck, src, f->o->memory_limit, err);
	if (rc == DS_OK)
		rc = ds_fit_ckpt_check(&f->ck, f->o->effective, f->m, err);
	if (rc == DS_OK && f->ck.state.count[AT_STAGE] >= f->o->n_stage)
		rc = ds_fail(err, DS_E_USAGE, "--resume: the checkpoint is of stage %lld, there are %d", (long long)f->ck.state.count[AT_STAGE] + 1, f->o->n_stage);
	if (rc == DS_OK)
		rc = ds_fit_ckpt_weights(&f->ck, f->work.graph, false, err);
	if (rc != DS_OK) {
		ds_err_in(err, path);
		return rc;
	}
	const ds_kv *lines = ds_meta_find(&f->ck.meta, "train.external");
	for (int i = 0; lines && lines->type == DS_KV_LIST && i < lines->n; i++)
		DS_TRY(add_line(f, lines->u.l[i], err));
	f->s = f->ck.state;
	f->r->items = (uint64_t)f->s.count[DATA_ITEMS];
	f->r->bad = (uint64_t)f->s.count[DATA_BAD];
	f->saved = f->s.count[AT_STEP];
	f->resuming = true;
	ds_fit_say(f, false, "%s: going on after step %lld of stage %lld", path, (long long)f->saved, (long long)f->s.count[AT_STAGE] + 1);
	return DS_OK;
}

static ds_status start_report(ds_fitting *f, ds_err *err)
{
	bool fresh = !f->resuming;
	DS_TRY(ds_fit_report_open(&f->report, f->o->report, fresh ? 0 : (uint64_t)f->s.count[REPORT_AT], err));
	ds_fit_report_begin(f->report, fresh ? "start" : "resume", -1);
	ds_fit_report_machine(f->report, f->o->threads);
	ds_fit_report_i64(f->report, "stages", f->o->n_stage);
	ds_fit_report_i64(f->report, "seed", (int64_t)f->o->seed);
	ds_fit_report_str(f->report, "settings", f->o->effective);
	return ds_fit_report_end(f->report, err);
}

ds_status ds_fit_run(ds_model *m, const ds_fit_opts *o, ds_fit_result *r, ds_err *err)
{
	ds_fitting f = { .o = o, .r = r, .m = m, .saved = -1, .w = &o->stage[0].w };
	ds_status rc;
	*r = (ds_fit_result){ 0 };
	if (!(f.work.graph = ds_graph_clone(m->graph)))
		DS_GOTO(ds_fail_nomem(err, 0));
	DS_GOTO(ds_data_fit(m, &(ds_data_opts){ .model = m, .n_path = 1, .path = &o->stage[0].data, .want_labels = true, .recursive = true, .threads = o->threads }, err));
	DS_GOTO(load_names(&f, err));
	if (o->stage[0].w.resume)
		DS_GOTO(read_checkpoint(&f, o->stage[0].w.checkpoint, err));
	DS_GOTO(start_report(&f, err));
	for (f.stage = (int)f.s.count[AT_STAGE]; f.stage < o->n_stage; f.stage++) {
		f.w = &o->stage[f.stage].w;
		f.data = o->stage[f.stage].data;
		if (o->n_stage > 1)
			ds_fit_say(&f, false, "stage %d of %d", f.stage + 1, o->n_stage);
		DS_GOTO(run_stage(&f, err));
	}
	rc = ds_fit_report_close(f.report, err);
	f.report = NULL;
	if (rc != DS_OK)
		goto out;
	ds_graph_free(m->graph);
	m->graph = f.work.graph;
	f.work.graph = NULL;
out:
	(void)!ds_fit_report_close(f.report, NULL);
	ds_fit_ckpt_done(&f.ck);
	ds_labels_done(&f.names);
	ds_graph_free(f.work.graph);
	if (rc != DS_OK)
		ds_fit_result_done(r);
	return rc;
}

void ds_fit_result_done(ds_fit_result *r)
{
	for (int i = 0; i < r->n_external; i++)
		ds_free(r->external[i]);
	ds_free(r->external);
	*r = (ds_fit_result){ 0 };
}
