/* slim.c - samples for scores, statistics and accuracy */
#include "slim.h"
#include "../data/batch.h"

#include <string.h>

struct ds_slim {
	const ds_model *m;
	ds_slim_opts    o;
	ds_trainset    *set;
	const ds_loss  *loss;
	int64_t         seen;           /* by the pass of scores that runs */
	uint64_t        bad, all;
	ds_sha256       sum;            /* of the samples that statistics were made from, the first time */
	uint64_t        summed;
	bool            sum_done;
};

ds_status ds_slim_new(ds_slim **out, const ds_model *m, const ds_slim_opts *o, ds_err *err)
{
	ds_slim *s = *out = ds_calloc(1, sizeof *s);
	if (!s)
		return ds_fail_nomem(err, sizeof *s);
	s->m = m;
	s->o = *o;
	ds_sha256_init(&s->sum);
	s->loss = o->loss ? ds_loss_find(o->loss) : NULL;
	return DS_OK;
}

void ds_slim_free(ds_slim *s)
{
	if (s)
		ds_trainset_free(s->set);
	ds_free(s);
}

const ds_slim_opts *ds_slim_settings(const ds_slim *s) { return &s->o; }

void ds_slim_counts(const ds_slim *s, uint64_t *bad, uint64_t *all)
{
	*bad = s->bad;
	*all = s->all;
}

bool ds_slim_sum(const ds_slim *s, int i, const char **role, char hex[65], uint64_t *n)
{
	bool labelled = i == 1;
	if (i > 1 || !(labelled ? s->o.data : s->o.calibrate) || (labelled ? !s->set && (s->o.calibrate || !s->sum_done) : !s->sum_done))
		return false;
	*role = labelled ? "training" : "calibration";
	if (labelled && s->set) {
		ds_trainset_sum(s->set, hex, n);
		return true;
	}
	ds_sha256 sum = s->sum;
	ds_sha256_hex(&sum, hex);
	*n = s->summed;
	return true;
}

static void bad(void *arg, const ds_item *item, const ds_err *err)
{
	ds_slim *s = arg;
	s->bad++;
	if (s->o.bad)
		s->o.bad(s->o.arg, item, err);
}

static void progress(const ds_slim *s, const char *what, int64_t done, int64_t total)
{
	if (s->o.progress)
		s->o.progress(s->o.arg, what, done, total);
}

/* ---- samples with targets ------------------------------------------------------------------------------------------------------------- */
static ds_status output_type(const ds_model *m, ds_type *t, ds_err *err)
{
	ds_graph *copy = ds_graph_clone(m->graph);
	if (!copy)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_graph_infer(copy, err);
	*t = (ds_type){ .rank = -1 };
	if (rc == DS_OK && copy->n_output)
		*t = copy->output[0]->type;
	ds_graph_free(copy);
	return rc;
}

static ds_status open_set(ds_slim *s, const ds_structure *st, ds_err *err)
{
	static const ds_goal of[] = { [DS_TARGET_NONE] = DS_GOAL_NONE, [DS_TARGET_CLASS] = DS_GOAL_CLASS, [DS_TARGET_VALUES] = DS_GOAL_VALUES,
		[DS_TARGET_SEQUENCE] = DS_GOAL_TOKENS };
	ds_samples *samples;
	ds_labels names = { 0 };
	const char *label = ds_meta_str(&s->m->meta, "output.0.labels");
	const ds_asset *a = label ? ds_model_asset(s->m, label) : NULL;
	ds_type out;
	if (s->set)
		return DS_OK;
	ds_trainset_opts o = { .goal = s->loss ? of[s->loss->target] : DS_GOAL_AUTO, .seed = s->o.seed, .holdout = s->o.holdout, .memory = s->o.memory_limit / 2, .bad = bad,
		.bad_arg = s };
	DS_TRY(ds_criterion_batch(st, s->m, &o.batch, err));
	DS_TRY(output_type(s->m, &out, err));
	o.output = out;
	if (o.goal != DS_GOAL_VALUES && out.rank >= 2)
		o.classes = DS_MAX(out.dim[out.rank <= 3 ? out.rank - 1 : 1], 0);
	if (a)
		DS_TRY(ds_labels_parse(&names, ds_buffer_data(a->data), ds_buffer_size(a->data), err));
	ds_status rc = ds_data_open(&samples, &(ds_data_opts){ .model = s->m, .n_path = 1, .path = &s->o.data, .want_labels = true, .names = names.n ? &names : NULL,
		.recursive = true, .threads = s->o.threads, .spread = s->o.holdout > 0 ? 0 : s->o.samples }, err);
	progress(s, "reading", 0, -1);
	if (rc == DS_OK)
		rc = ds_trainset_open(&s->set, samples, &o, err);
	ds_labels_done(&names);
	if (rc != DS_OK) {
		ds_err_in(err, s->o.data);
		return rc;
	}
	s->all += (uint64_t)(ds_trainset_items(s->set) + ds_trainset_held(s->set) + ds_trainset_bad(s->set));
	if (!s->loss)
		s->loss = ds_loss_find(ds_trainset_goal(s->set) == DS_GOAL_VALUES ? "mse" : "cross-entropy");
	return DS_OK;
}

static ds_status next(void *arg, const ds_tensor **in, int *n_in, const ds_tensor **target, ds_err *err)
{
	ds_slim *s = arg;
	const ds_minibatch *b;
	if (s->seen >= s->o.samples)
		return DS_END;
	DS_TRY(ds_trainset_next(s->set, &b, err));
	s->seen += b->n;
	progress(s, "scored", s->seen, DS_MIN(s->o.samples, ds_trainset_batches(s->set) * b->n));
	*in = b->in;
	*n_in = b->n_in;
	*target = b->target.data ? &b->target : NULL;
	return DS_OK;
}

ds_status ds_slim_score(ds_slim *s, ds_structure *st, const ds_model *m, const ds_criterion *c, uint64_t seed, int64_t *used, ds_err *err)
{
	ds_psamples samples = { next, s };
	ds_criterion_opts o = { .seed = seed, .samples = &samples, .loss_opts = { .delta = 1, .temperature = 1 }, .threads = s->o.threads,
		.memory_limit = s->o.memory_limit };
	s->seen = 0;
	if (c->data) {
		if (!s->o.data)
			return ds_fail(err, DS_E_USAGE, "criterion %s takes gradients: it wants samples with labels (--data)", c->name);
		DS_TRY(open_set(s, st, err));
		DS_TRY(ds_trainset_start(s->set, 0, 0, err));
		o.loss = s->loss;
	}
	DS_TRY(c->score(st, m, &o, err));
	*used = s->seen;
	return DS_OK;
}

ds_status ds_slim_measure(ds_slim *s, const ds_model *m, ds_fit_score *score, ds_err *err)
{
	ds_structure *st = NULL;
	if (!s->set) {
		DS_TRY(ds_structure_new(&st, s->m, NULL, err));
		ds_status rc = open_set(s, st, err);
		ds_structure_free(st);
		DS_TRY(rc);
	}
	if (!ds_trainset_held(s->set))
		return ds_fail(err, DS_E_INPUT, "%s: none of %lld samples is kept apart to measure with", s->o.data, (long long)ds_trainset_items(s->set));
	progress(s, "measuring", 0, -1);
	return ds_fit_measure(m, s->loss, 1, s->set, ds_trainset_batch(s->set), s->o.threads, s->o.memory_limit, score, err);
}

/* ---- samples without -------------------------------------------------------------------------------------------------------------------- */
/* Samples that make one set of batch statistics.  Part of what is computed, so nobody may choose it to save time or memory. */
#define RECAL_BATCH 256

ds_status ds_slim_recalibrate(ds_slim *s, ds_model *m, int *norms, int64_t *used, ds_err *err)
{
	ds_recal *r = NULL;
	ds_samples *data = NULL;
	ds_batch batch = { 0 };
	const char *path = s->o.calibrate ? s->o.calibrate : s->o.data;
	int64_t size = ds_batch_possible(m) ? RECAL_BATCH : 1;
	uint64_t bad_before = s->bad;
	ds_status rc = DS_OK;
	*used = 0;
	DS_GOTO(ds_recal_new(&r, m, s->o.threads, err));
	if (!(*norms = ds_recal_norms(r)))
		goto out;
	DS_GOTO(ds_data_open(&data, &(ds_data_opts){ .model = m, .n_path = 1, .path = &path, .recursive = true, .spread = s->o.samples, .threads = s->o.threads }, err));
	while (*used < s->o.samples) {
		rc = ds_batch_next(&batch, data, DS_MIN(size, s->o.samples - *used), bad, s, err);
		if (rc == DS_END)
			break;
		DS_GOTO(rc);
		DS_GOTO(ds_recal_batch(r, batch.in, batch.n_in, err));
		for (int i = 0; i < batch.n_in && !s->sum_done; i++) {
			ds_sha256_add(&s->sum, batch.in[i].data, ds_tensor_bytes(&batch.in[i]));
			s->summed += ds_tensor_bytes(&batch.in[i]);
		}
		*used += batch.items;
		progress(s, "recalibrated", *used, s->o.samples);
	}
	s->sum_done = true;
	rc = ds_recal_finish(r, m, err);
	s->all += (uint64_t)*used + (s->bad - bad_before);
out:
	ds_batch_done(&batch);
	if (data)
		data->free(data);
	ds_recal_free(r);
	return rc;
}
