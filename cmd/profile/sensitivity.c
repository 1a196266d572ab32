/* sensitivity.c - --sensitivity: what quantising one layer alone does to the answers, and with --budget the plan that ds-quantize obeys */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../feed.h"
#include "data/batch.h"
#include "format/dsm.h"
#include "sensitivity.h"


/* ---- words ----------------------------------------------------------------------------------------------------------------------- */
/* Calls `take` for each item of a list with commas. */
static ds_status each(const char *list, ds_status (*take)(void *arg, const char *item, ds_err *err), void *arg, ds_err *err)
{
	char item[64];
	for (const char *p = list, *next; p; p = next) {
		size_t n = strcspn(p, ",");
		next = p[n] ? p + n + 1 : NULL;
		if (!n || n >= sizeof item)
			return ds_fail(err, DS_E_USAGE, "'%.100s' is not a list with commas between its items", list);
		memcpy(item, p, n);
		item[n] = 0;
		DS_TRY(take(arg, item, err));
	}
	return DS_OK;
}

static ds_status take_bits(void *arg, const char *item, ds_err *err)
{
	choices *c = arg;
	ds_qbits b;
	if (!ds_qbits_parse(item, &b))
		return ds_fail(err, DS_E_USAGE, "--bits: '%s' is not f32, w8 w6 w5 w4 w3 w2, or these with a2 to a8 (w4a8)", item);
	if (c->n == MAX_CHOICES)
		return ds_fail(err, DS_E_USAGE, "--bits: more than %d", MAX_CHOICES);
	for (int i = 0; i < c->n; i++) {
		if (c->bits[i].w == b.w && c->bits[i].a == b.a)
			return ds_fail(err, DS_E_USAGE, "--bits: '%s' twice", item);
		if (c->bits[i].w && b.w && !c->bits[i].a != !b.a)
			return ds_fail(err, DS_E_USAGE, "--bits: '%s' beside others: all with activations (w4a8), or all without", item);
	}
	c->bits[c->n++] = b;
	return DS_OK;
}

ds_status parse_budget(const char *text, budget *b, ds_err *err)
{
	char copy[64];
	size_t n = strlen(text);
	uint64_t bytes;
	b->kind = BYTES;
	snprintf(copy, sizeof copy, "%s", text);
	if (n < sizeof copy && n > 3 && !strcmp(text + n - 3, "bpw")) {
		b->kind = BPW;
		copy[n - 3] = 0;
	} else if (n < sizeof copy && n > 1 && text[n - 1] == '%') {
		b->kind = SHARE;
		copy[n - 1] = 0;
	} else if (ds_parse_size(text, &bytes) && bytes) {
		*b = (budget){ BYTES, (double)bytes };
		return DS_OK;
	}
	if (n >= sizeof copy || b->kind == BYTES || !ds_parse_f64(copy, &b->v) || !(b->v > 0) || (b->kind == SHARE && b->v > 100))
		return ds_fail(err, DS_E_USAGE, "--budget '%.40s' is not bits per weight (3.5bpw), a size (300K) or a percentage of the model's file (40%%)", text);
	return DS_OK;
}

static ds_status take_ratio(void *arg, const char *item, ds_err *err)
{
	choices *c = arg;
	double r;
	if (!ds_parse_f64(item, &r) || !(r > 0) || !(r < 1))
		return ds_fail(err, DS_E_USAGE, "--ratio: '%s' is not a number between 0 and 1", item);
	if (c->n == MAX_CHOICES)
		return ds_fail(err, DS_E_USAGE, "--ratio: more than %d", MAX_CHOICES);
	for (int i = 0; i < c->n; i++)
		if (c->ratio[i] == r)
			return ds_fail(err, DS_E_USAGE, "--ratio: '%s' twice", item);
	c->ratio[c->n++] = r;
	return DS_OK;
}

ds_status sensitivity_choices(const settings *s, choices *c, ds_err *err)
{
	*c = (choices){ .n = 0 };
	if (s->sensitivity == PRUNE)
		return each(s->ratio ? s->ratio : "0.125,0.25,0.375,0.5,0.625,0.75", take_ratio, c, err);
	return each(s->bits ? s->bits : "w8,w6,w5,w4,w3,w2", take_bits, c, err);
}

static ds_status check_quantize(const settings *s, const choices *c, ds_err *err)
{
	ds_qrule r;
	if (s->ratio || ds_given("criterion"))
		return ds_fail(err, DS_E_USAGE, "--%s is for --sensitivity prune", s->ratio ? "ratio" : "criterion");
	if (s->group & (s->group - 1))
		return ds_fail(err, DS_E_USAGE, "--group %" PRId64 " is not a power of two", s->group);
	if (s->group && c->bits[0].a)
		return ds_fail(err, DS_E_USAGE, "--group is for weights only");
	if (s->range)
		DS_TRY(ds_qrule_parse(s->range, &r, err));
	if (s->range && !c->bits[0].a && r.range != DS_RANGE_MINMAX && r.range != DS_RANGE_MSE)
		return ds_fail(err, DS_E_USAGE, "--range %s is for activations; weights take minmax or mse", s->range);
	return DS_OK;
}

static ds_status check_prune(const settings *s, ds_err *err)
{
	const ds_criterion *c = ds_criterion_find(s->criterion);
	if (s->bits || s->group || s->range)
		return ds_fail(err, DS_E_USAGE, "--%s is for --sensitivity quantize", s->bits ? "bits" : s->group ? "group" : "range");
	if (!c || c->data)
		return ds_fail(err, DS_E_USAGE, "--criterion '%.40s' is not one that needs no gradients: l1, l2, random", s->criterion);
	return DS_OK;
}

ds_status check_sensitivity(const settings *s, ds_err *err)
{
	choices c;
	budget b = { .kind = BPW };
	if (s->sensitivity < 0) {
		static const char *const words[] = { "bits", "group", "range", "budget", "ratio", "criterion" };
		for (size_t i = 0; i < DS_COUNTOF(words); i++)
			if (ds_given(words[i]))
				return ds_fail(err, DS_E_USAGE, "--%s has a meaning with --sensitivity only", words[i]);
		return DS_OK;
	}
	DS_TRY(sensitivity_choices(s, &c, err));
	DS_TRY(s->sensitivity == PRUNE ? check_prune(s, err) : check_quantize(s, &c, err));
	if (!s->budget)
		return DS_OK;
	if (s->c.json || s->c.tsv)
		return ds_fail(err, DS_E_USAGE, "--budget writes a plan, which has a form of its own");
	DS_TRY(parse_budget(s->budget, &b, err));
	if (b.kind == BPW && s->sensitivity == PRUNE)
		return ds_fail(err, DS_E_USAGE, "--budget %s: pruning leaves the bits of weights as they are; give a size or a percentage", s->budget);
	return DS_OK;
}

/* ---- samples --------------------------------------------------------------------------------------------------------------------- */
/* All samples in memory, item by item; labels with -d. */
ds_status sensitivity_samples(job *j, ds_answers *a, ds_err *err)
{
	const settings *s = j->s;
	uint64_t bytes = 0, limit = s->c.memory_limit / 2;
	ds_item item;
	bool bad = false;
	ds_status rc;
	if (!j->samples)
		return ds_fail(err, DS_E_USAGE, "--sensitivity looks at samples: name some");
	DS_TRY(job_rewind(j, err));
	while ((rc = j->samples->next(j->samples, &item, &bad, err)) == DS_OK || bad) {
		if (bad) {
			ds_complain(err);
			j->failed++;
			j->read++;
			bad = false;
			continue;
		}
		for (int i = 0; i < item.n_in; i++)
			bytes += ds_tensor_bytes(&item.in[i]);
		if (limit && bytes > limit)
			return ds_fail(err, DS_E_LIMIT, "the samples take more than half of --memory-limit: fewer of them (--max-samples)");
		DS_TRY(ds_answers_add(a, item.in, item.n_in, item.label >= 0 ? &item.label : NULL, 1, err));
		j->read++;
	}
	if (rc != DS_END)
		return rc;
	return a->n_set ? DS_OK : ds_fail(err, DS_E_INPUT, "none of the samples could be read");
}

/* Numbers, by what META says of output 0, or because it has the dims of the input: an autoencoder. */
static bool numbers(const ds_model *m, int rank, const int64_t *dim)
{
	const char *say = ds_meta_str(&m->meta, "output.0.values");
	const ds_type *in = m->graph->n_input ? &m->graph->input[0]->type : NULL;
	if (say)
		return strcmp(say, "numbers") == 0;
	if (!in || in->rank != rank || rank < 2)
		return false;
	for (int i = 1; i < rank; i++)
		if (in->dim[i] != dim[i])
			return false;
	return true;
}

ds_answer_kind job_answer_kind(const ds_model *m, int rank, const int64_t *dim)
{
	ds_answer_kind k = { ds_class_count(rank, dim), ds_output_is_logits(m, 0) };
	ds_aim aim = { 0 };
	if (numbers(m, rank, dim))
		k.classes = 0;
	else if (!k.classes && rank == 3 && ds_aim_from_meta(&aim, m, NULL) == DS_OK && aim.what == DS_AIM_NEXT)
		k.classes = dim[2];
	ds_aim_done(&aim);
	return k;
}

/* May samples be computed together without one changing what another gets? */
static bool items_apart(const ds_model *m)
{
	ds_graph *g = ds_batch_possible(m) ? ds_graph_clone(m->graph) : NULL;
	bool yes = g && ds_graph_infer(g, NULL) == DS_OK && ds_graph_items_apart(g);
	ds_graph_free(g);
	return yes;
}

/* The reference's answers; what kind they are is known after the first. */
ds_status sensitivity_ask(job *j, ds_answers *a, ds_shift *s, ds_err *err)
{
	ds_answers first = { .threads = a->threads, .memory_limit = a->memory_limit };
	DS_TRY(ds_answers_add(&first, a->set[0].in, a->n_in, NULL, 1, err));
	ds_status rc = ds_answers_ask(&first, j->m->graph, s, err);
	if (rc == DS_OK)
		a->kind = job_answer_kind(j->m, first.set[0].out[0].rank, first.set[0].out[0].dim);
	ds_answers_done(&first);
	if (rc == DS_OK && items_apart(j->m))
		rc = ds_answers_pack(a, BATCH, err);
	return rc == DS_OK ? ds_answers_ask(a, j->m->graph, s, err) : rc;
}

/* Statistics for activations, from the samples in memory. */
typedef struct replay { const ds_answers *a; int at; } replay;

static ds_status replay_next(void *arg, const ds_tensor **in, int *n_in, ds_err *err)
{
	replay *r = arg;
	(void)err;
	if (r->at == r->a->n_set)
		return DS_END;
	*in = r->a->set[r->at++].in;
	*n_in = r->a->n_in;
	return DS_OK;
}

static ds_status replay_rewind(void *arg, ds_err *err)
{
	(void)err;
	((replay *)arg)->at = 0;
	return DS_OK;
}

/* ---- what comes out -------------------------------------------------------------------------------------------------------------- */
static const char *const kl_columns[] = { "layer", "operator", "weight", "bits", ">bytes", ">kl", "|", ">same", ">right", NULL };
static const char *const noise_columns[] = { "layer", "operator", "weight", "bits", ">bytes", ">noise", "|", ">same", ">right", NULL };

static ds_status print_table(job *j, const ds_qplan *p, const choices *c, const ds_answers *a, const ds_trial *trial, bool labels, ds_err *err)
{
	section o;
	char bits[16];
	double most = 0;
	for (int i = 0; i < p->n * c->n; i++)
		most = fmax(most, trial[i].damage);
	DS_TRY(section_begin(&o, j, "sensitivity", a->kind.classes ? kl_columns : noise_columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < p->n * c->n && rc == DS_OK; i++) {
		const ds_trial *t = &trial[i];
		const ds_qrow *r = &p->row[t->row];
		cell_text(&o, r->node);
		cell_text(&o, r->op);
		cell_text(&o, r->weight);
		cell_text(&o, ds_qbits_text(bits, c->bits[t->choice]));
		cell_num(&o, (double)t->cost, 'B');
		cell_num(&o, t->damage, 0);
		cell_bar(&o, most > 0 ? t->damage / most : 0);
		cell_num(&o, a->kind.classes ? (double)t->shift.same / (double)t->shift.n : NAN, '%');
		cell_num(&o, a->kind.classes && labels ? (double)t->shift.right / (double)t->shift.n : NAN, '%');
		rc = section_row(&o, err);
	}
	if (rc == DS_OK)
		return section_end(&o, err);
	section_drop(&o);
	return rc;
}

/* Bytes of the file that ds-quantize would write: the model with the plan, and the plan once more in its history. */
static ds_status file_bytes(job *j, const ds_qplan *p, const ds_probe_opts *o, uint64_t *bytes, ds_err *err)
{
	ds_graph *was = j->m->graph, *g;
	ds_buf text = { 0 }, file = { 0 };
	ds_sink *sink;
	DS_TRY(ds_probe_apply(&g, j->m, p, o, err));
	j->m->graph = g;
	ds_status rc = ds_sink_memory(&sink, &file, err);
	if (rc == DS_OK) {
		rc = ds_model_save(j->m, sink, &(ds_dsm_wopts){ .memory_limit = j->s->c.memory_limit }, err);
		if (rc == DS_OK)
			rc = ds_sink_commit(sink, err);
		else
			ds_sink_abort(sink);
	}
	j->m->graph = was;
	ds_graph_free(g);
	if (rc == DS_OK)
		rc = ds_qplan_write(p, &text, err);
	*bytes = file.len + ds_pad64(text.len) + 1024;
	ds_buf_done(&text);
	ds_buf_done(&file);
	return rc;
}

static uint64_t cost_of(const ds_qplan *p)
{
	uint64_t sum = 0, before, after;
	for (int i = 0; i < p->n; i++)
		if (ds_qrow_bytes(&p->row[i], &before, &after, NULL) == DS_OK)
			sum += ds_pad64(after);
	return sum;
}

static double weights_of(const ds_qplan *p)
{
	double n = 0;
	for (int i = 0; i < p->n; i++) {
		ds_type t = ds_type_make(p->row[i].dtype, p->row[i].rank, p->row[i].dim);
		n += (double)ds_type_count(&t);
	}
	return n;
}

/* Bits per weight are of the weights alone; a file has other parts, which are found out by making it. */
static ds_status solve(job *j, ds_qplan *p, const ds_trial *trial, const ds_probe_opts *o, double *expected, ds_err *err)
{
	budget b = { .kind = BPW };
	uint64_t bytes;
	DS_TRY(parse_budget(j->s->budget, &b, err));
	if (b.kind == BPW)
		return ds_probe_solve(p, trial, o, (uint64_t)(b.v * weights_of(p) / 8), expected, err);
	uint64_t target = b.kind == SHARE ? (uint64_t)(b.v / 100 * (double)j->m->id_len) : (uint64_t)b.v, room = target;
	for (int i = 0; i < p->n; i++)
		ds_probe_set(p, i, o->bits[0], o);
	for (int round = 0; round < 5; round++) {
		DS_TRY(file_bytes(j, p, o, &bytes, err));
		uint64_t others = bytes - DS_MIN(cost_of(p), bytes);
		if (round && bytes <= target && target - bytes < target / 200)
			break;
		if (target <= others)
			return ds_fail(err, DS_E_CHECK, "the budget is %" PRIu64 " bytes, and what is not weights takes %" PRIu64, target, others);
		if (round && target - others == room)
			break;
		room = target - others;
		DS_TRY(ds_probe_solve(p, trial, o, room, expected, err));
	}
	return DS_OK;
}

static ds_status print_plan(job *j, ds_qplan *p, const ds_trial *trial, const ds_probe_opts *o, const ds_answers *a, ds_err *err)
{
	ds_graph *g;
	ds_shift all;
	ds_buf b = { 0 };
	double expected;
	char x[32], y[32];
	const char *what = a->kind.classes ? "KL" : "noise";
	DS_TRY(solve(j, p, trial, o, &expected, err));
	DS_TRY(ds_probe_apply(&g, j->m, p, o, err));
	ds_status rc = ds_answers_compare(a, g, &all, err);
	ds_graph_free(g);
	if (rc == DS_OK)
		rc = ds_qplan_write(p, &b, err);
	if (rc == DS_OK) {
		double bpw = 8 * (double)cost_of(p) / weights_of(p), measured = ds_shift_damage(&all, &a->kind);
		ds_note("%.3f bits per weight; %s %s by the sum of layers, %s of all together", bpw, what, ds_fmt_f64(x, expected), ds_fmt_f64(y, measured));
		rc = ds_sink_write(j->out, b.data, b.len, err);
	}
	ds_buf_done(&b);
	return rc;
}

/* ---- the mode -------------------------------------------------------------------------------------------------------------------- */
void sensitivity_hear(void *arg, int done, int all)
{
	(void)all;
	ds_progress_at(arg, done, NULL);
}

ds_status mode_sensitivity(job *j, ds_err *err)
{
	const settings *s = j->s;
	if (s->sensitivity == PRUNE)
		return sensitivity_prune(j, err);
	choices c;
	ds_qplan p = { 0 };
	ds_qstats stats = { 0 };
	ds_qrule rule;
	ds_answers a = { .threads = (int)s->c.threads, .memory_limit = s->c.memory_limit };
	ds_shift own;
	ds_trial *trial = NULL;
	ds_progress *bar = NULL;
	ds_status rc;
	DS_GOTO(sensitivity_choices(s, &c, err));
	if (s->range)
		DS_GOTO(ds_qrule_parse(s->range, &rule, err));
	ds_probe_opts o = { .bits = c.bits, .n_bits = c.n, .group = (int)s->group, .range = s->range ? &rule : NULL, .threads = (int)s->c.threads, .progress = sensitivity_hear };
	DS_GOTO(ds_probe_rows(&p, j->m, &o, err));
	DS_GOTO(sensitivity_samples(j, &a, err));
	DS_GOTO(sensitivity_ask(j, &a, &own, err));
	for (int i = 0; i < c.n && !o.stats; i++)
		if (c.bits[i].a) {
			replay r = { &a, 0 };
			DS_GOTO(ds_q_observe(&stats, j->m->graph, false, (int)s->c.threads, &(ds_qsamples){ replay_next, replay_rewind, &r }, err));
			o.stats = &stats;
		}
	trial = ds_calloc((size_t)p.n * (size_t)c.n + 1, sizeof *trial);
	if (!trial) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	o.arg = bar = ds_progress_new(&s->c, "trials", (int64_t)p.n * c.n);
	DS_GOTO(ds_probe_quantize(j->m, &p, &o, &a, trial, err));
	ds_progress_free(bar);
	bar = NULL;
	if (s->budget)
		rc = print_plan(j, &p, trial, &o, &a, err);
	else
		rc = print_table(j, &p, &c, &a, trial, s->c.data != NULL, err);
out:
	ds_progress_free(bar);
	ds_free(trial);
	ds_answers_done(&a);
	ds_qstats_done(&stats);
	ds_qplan_done(&p);
	return rc;
}
