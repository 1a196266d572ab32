/* sure.c - --uncertainty: several models or passes asked for each item, and what they say taken together */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sure.h"

/* ---- the words ---------------------------------------------------------------------------------------------------------------- */

static ds_status parse_members(sure_words *w, const char *text, ds_err *err)
{
	while (true) {
		size_t n = strcspn(text, ",");
		if (!n)
			return ds_fail(err, DS_E_USAGE, "--uncertainty ensemble:MODEL,...: a model's name is empty");
		if (w->n_member == MEMBERS_MAX)
			return ds_fail(err, DS_E_USAGE, "--uncertainty ensemble:MODEL,...: more than %d models", MEMBERS_MAX);
		char *path = ds_malloc(n + 1);
		if (!path)
			return ds_fail_nomem(err, n);
		memcpy(path, text, n);
		path[n] = 0;
		w->member[w->n_member++] = path;
		if (!text[n])
			return DS_OK;
		text += n + 1;
	}
}

static ds_status parse_alpha(sure_words *w, const char *text, ds_err *err)
{
	char number[40];
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	if (colon) {
		int i = 0;
		while (ds_set_names[i] && strcmp(ds_set_names[i], colon + 1))
			i++;
		if (!ds_set_names[i])
			return ds_fail(err, DS_E_USAGE, "--uncertainty conformal:ALPHA:SCORE: the score is lac, aps or raps, not '%s'", colon + 1);
		w->score = (ds_set_score)i;
	}
	if (n >= sizeof number)
		return ds_fail(err, DS_E_USAGE, "--uncertainty conformal:ALPHA: not a number");
	memcpy(number, text, n);
	number[n] = 0;
	if (!ds_parse_f64(number, &w->alpha) || !(w->alpha > 0 && w->alpha < 1))
		return ds_fail(err, DS_E_USAGE, "--uncertainty conformal:ALPHA: a number between 0 and 1, not '%s'", number);
	return DS_OK;
}

ds_status run_sure_parse(sure_words *w, const char *text, ds_err *err)
{
	*w = (sure_words){ 0 };
	if (!strcmp(text, "softmax")) {
		w->how = SURE_SOFTMAX;
	} else if (!strcmp(text, "temperature")) {
		w->how = SURE_TEMPERATURE;
	} else if (!strncmp(text, "mc:", 3)) {
		w->how = SURE_MC;
		if (!ds_parse_i64(text + 3, &w->passes) || w->passes < 1 || w->passes > PASSES_MAX)
			return ds_fail(err, DS_E_USAGE, "--uncertainty mc:N: N is a number from 1 to %d, not '%s'", PASSES_MAX, text + 3);
	} else if (!strncmp(text, "ensemble:", 9)) {
		w->how = SURE_ENSEMBLE;
		return parse_members(w, text + 9, err);
	} else if (!strncmp(text, "conformal:", 10)) {
		w->how = SURE_CONFORMAL;
		return parse_alpha(w, text + 10, err);
	} else {
		return ds_fail(err, DS_E_USAGE, "--uncertainty is softmax, temperature, mc:N, ensemble:MODEL,... or conformal:ALPHA, not '%s'", text);
	}
	return DS_OK;
}

void run_sure_words_done(sure_words *w)
{
	for (int i = 0; i < w->n_member; i++)
		ds_free(w->member[i]);
	w->n_member = 0;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------ */

/* What the words need that the model must have. */
static ds_status check_kept(job *j, ds_err *err)
{
	const struct sure *u = j->sure;
	const char *name = j->s->c.model ? j->s->c.model : "the model";
	bool fitted = u->kept.classes || (u->kept.values && u->ask.how == SURE_CONFORMAL);
	if ((u->ask.how == SURE_TEMPERATURE || u->ask.how == SURE_CONFORMAL) && !fitted)
		return ds_fail(err, DS_E_INPUT, "%s keeps no %s: fit it on held-out samples with ds-run --fit-uncertainty", name,
			u->ask.how == SURE_CONFORMAL ? "conformal quantiles" : "temperature");
	if (u->ask.how == SURE_CONFORMAL && u->alpha_at < 0)
		ds_warn("no quantile for an alpha below %g is kept: every class is in every set", ds_alpha_at(0));
	if (u->kept.stale && (u->ask.how == SURE_NONE || fitted) && (u->ask.how == SURE_NONE || u->ask.how == SURE_TEMPERATURE || u->ask.how == SURE_CONFORMAL))
		ds_warn("the temperature and the quantiles were fitted to another state of this model (other weights, graph or preparation) and promise nothing here: "
			"fit them again with --fit-uncertainty");
	return DS_OK;
}

static ds_status wrap_mc(job *j, side *d, ds_err *err)
{
	struct sure *u = j->sure;
	ds_samples *passes;
	ds_graph *g;
	DS_TRY(ds_mc_graph(d->m->graph, (uint64_t)j->s->c.seed, &g, err));
	u->mc = *d->m;
	u->mc.graph = g;
	DS_TRY(ds_mc_samples(d->samples, g, u->ask.passes, &passes, err));
	d->samples = passes;
	d->runs = &u->mc;
	return DS_OK;
}

static ds_status open_members(job *j, ds_err *err)
{
	struct sure *u = j->sure;
	bool plain = u->ask.how == SURE_MC && j->s->eval;       /* for comparison */
	int n = plain ? 1 : u->ask.n_member;
	if (!n)
		return DS_OK;
	u->member = ds_calloc((size_t)n, sizeof *u->member);
	if (!u->member)
		return ds_fail_nomem(err, (size_t)n * sizeof *u->member);
	for (u->n_member = 0; u->n_member < n;) {
		side *d = &u->member[u->n_member++];
		if (plain) {
			d->borrowed = true;
			d->m = j->here.m;
		} else {
			DS_TRY(run_load_model(&d->m, &j->s->c, u->ask.member[u->n_member - 1], err));
		}
		DS_TRY(run_open_side(j, d, NULL, NULL, err));
	}
	return DS_OK;
}

ds_status run_sure_open(job *j, ds_tap_fn tap, ds_err *err)
{
	const sure_words *ask = &j->s->sure;
	bool kept = ds_meta_find(&j->here.m->meta, "uncertainty.model") != NULL;
	if (j->s->fit_uncertainty)
		return run_open_side(j, &j->here, tap, run_sum_samples, err);
	if (ask->how == SURE_NONE && !j->s->reliability && !(j->s->eval && kept))
		return run_open_side(j, &j->here, tap, NULL, err);
	struct sure *u = j->sure = ds_calloc(1, sizeof *u);
	if (!u)
		return ds_fail_nomem(err, sizeof *u);
	u->ask = *ask;
	if (ask->how == SURE_NONE)
		u->ask.alpha = 0.1;
	u->alpha_at = ds_alpha_index(u->ask.alpha);
	DS_TRY(ds_certainty_from_meta(&u->kept, j->here.m, err));
	DS_TRY(check_kept(j, err));
	u->rule = (ds_set_rule){ u->ask.score, u->kept.lambda, u->kept.k };
	if (j->s->reliability)
		DS_TRY(ds_sink_open(&u->reliability, j->s->reliability, err));
	DS_TRY(run_open_side(j, &j->here, tap, ask->how == SURE_MC ? wrap_mc : NULL, err));
	u->logits = j->here.logits;
	if (ask->how != SURE_NONE)
		j->here.logits = false;         /* its outputs will be probabilities */
	return open_members(j, err);
}

void run_sure_close(job *j)
{
	struct sure *u = j->sure;
	run_sure_words_done(&j->s->sure);
	if (!u)
		return;
	for (int i = 0; i < u->n_member; i++)
		run_close_side(&u->member[i]);
	run_close_side(&j->here);       /* it runs the graph that drops */
	ds_free(u->member);
	ds_graph_free(u->mc.graph);
	ds_certainty_done(&u->kept);
	ds_tensor_done(&u->out);
	void *const all[] = { u->one, u->raw, u->p, u->sum, u->square, u->score, u->order, u->sizes, u->covered_by };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		ds_free(all[i]);
	run_figures_done(&u->alone);
	run_figures_done(&u->together);
	ds_sink_abort(u->reliability);
	ds_free(u);
	j->sure = NULL;
}

/* ---- one item ------------------------------------------------------------------------------------------------------------------ */

/* The first result says whether there are classes or values, and how many. */
static ds_status meet(job *j, const ds_result *r, ds_err *err)
{
	struct sure *u = j->sure;
	bool values_too = u->ask.how == SURE_MC || u->ask.how == SURE_ENSEMBLE || (u->ask.how == SURE_CONFORMAL && u->kept.values) ||
		(u->ask.how == SURE_NONE && u->kept.values);
	u->kind = r->n_out ? run_find_kind(j, r) : RUN_SUMMARY;
	if (u->kind == RUN_SCORES)      /* of classes */
		u->kind = RUN_CLASSES;
	u->n = r->n_out ? ds_tensor_count(&r->out[0]) : 0;
	u->mute = u->ask.how == SURE_NONE && !u->reliability && !(u->kind == RUN_CLASSES ? u->kept.classes : u->kind == RUN_VALUES && u->kept.n_value == u->n);
	if (u->mute)
		return DS_OK;
	if (u->kind != RUN_CLASSES && !(u->kind == RUN_VALUES && values_too))
		return ds_fail(err, DS_E_UNSUPPORTED, "this uncertainty is for a model whose output is one row of classes%s", values_too ? " or of values" : "");
	if (j->s->score == SCORE_ENERGY && !u->logits)
		return ds_fail(err, DS_E_UNSUPPORTED, "--score energy needs a model that gives logits");
	if (u->kind == RUN_CLASSES && !u->kept.classes && u->ask.how == SURE_CONFORMAL)
		return ds_fail(err, DS_E_INPUT, "the model keeps conformal quantiles of values, and gives classes");
	if (u->kind == RUN_VALUES && u->kept.values && u->kept.n_value != u->n)
		return ds_fail(err, DS_E_INPUT, "META uncertainty.residual is for %lld values, the model gives %lld", (long long)u->kept.n_value, (long long)u->n);
	size_t n = (size_t)u->n;
	u->one = ds_calloc(n, sizeof *u->one);
	u->raw = ds_calloc(n, sizeof *u->raw);
	u->p = ds_calloc(n, sizeof *u->p);
	u->sum = ds_calloc(n, sizeof *u->sum);
	u->square = ds_calloc(n, sizeof *u->square);
	u->score = ds_calloc(n, sizeof *u->score);
	u->order = ds_calloc(n, sizeof *u->order);
	return u->one && u->raw && u->p && u->sum && u->square && u->score && u->order ? DS_OK : ds_fail_nomem(err, 7 * n * sizeof(double));
}

/* What one member says: probabilities, or values, in u->one. */
static ds_status listen(struct sure *u, const ds_result *r, bool logits, const char *who, ds_err *err)
{
	ds_tensor f;
	if (!r->n_out || ds_tensor_count(&r->out[0]) != u->n)
		return ds_fail(err, DS_E_INPUT, "%s: its output is not of %lld numbers as that of the first", who, (long long)u->n);
	DS_TRY(ds_tensor_to_f32(&r->out[0], &f, err));
	memcpy(u->one, f.data, (size_t)u->n * sizeof *u->one);
	ds_tensor_done(&f);
	if (u->kind == RUN_CLASSES && logits) {
		u->energy = ds_energy(u->one, u->n);
		ds_softmax_at(u->one, u->n, 1, u->one);
	}
	return DS_OK;
}

static void begin(struct sure *u)
{
	for (int64_t i = 0; i < u->n; i++)
		u->sum[i] = u->square[i] = 0;
	u->mutual = u->spread = 0;
	u->energy = NAN;
}

static void add(struct sure *u)
{
	for (int64_t i = 0; i < u->n; i++) {
		u->sum[i] += u->one[i];
		u->square[i] += (double)u->one[i] * u->one[i];
	}
	if (u->kind == RUN_CLASSES)
		u->mutual += ds_entropy(u->one, u->n);
}

static double deviation(const struct sure *u, int64_t i, int members)
{
	double mean = u->sum[i] / members;
	return sqrt(fmax(0, u->square[i] / members - mean * mean));
}

/* Mean and disagreement of `members` of them; square[] becomes their deviations. */
static void agree(struct sure *u, int members)
{
	for (int64_t i = 0; i < u->n; i++) {
		u->square[i] = deviation(u, i, members);
		u->p[i] = (float)(u->sum[i] / members);
	}
	u->mutual /= members;
}

static ds_status conclude(struct sure *u, ds_result *r, ds_err *err)
{
	if (u->ask.how == SURE_TEMPERATURE) {
		ds_log_p(u->raw, u->n, u->one);
		ds_softmax_at(u->one, u->n, u->kept.temperature, u->p);
	} else if (u->ask.how != SURE_MC && u->ask.how != SURE_ENSEMBLE) {
		memcpy(u->p, u->raw, (size_t)u->n * sizeof *u->p);
	}
	if (u->kind == RUN_CLASSES) {
		ds_top_k(u->p, u->n, 1, &u->best);
		u->entropy = ds_entropy(u->p, u->n);
		u->mutual = fmax(0, u->entropy - u->mutual);
		u->spread = u->square[u->best];
	}
	if (u->kind == RUN_CLASSES && u->kept.classes) {
		ds_set_scores(&u->rule, u->raw, u->n, u->order, u->score);
		u->set_size = 0;
		for (int64_t i = 0; i < u->n; i++)
			u->set_size += run_sure_has(u, i);
	}
	if (u->ask.how == SURE_NONE)
		return DS_OK;
	const ds_tensor *like = &r->out[0];
	ds_tensor_done(&u->out);
	DS_TRY(ds_tensor_new(&u->out, DS_F32, like->rank, like->dim, err));
	memcpy(u->out.data, u->p, (size_t)u->n * sizeof *u->p);
	r->out = &u->out;
	r->n_out = 1;
	return DS_OK;
}

bool run_sure_has(const struct sure *u, int64_t y)
{
	return u->alpha_at < 0 || u->score[y] <= u->kept.set[u->rule.score][u->alpha_at];
}

double run_sure_width(const struct sure *u, int64_t i)
{
	return u->alpha_at < 0 ? INFINITY : u->kept.residual[i * DS_ALPHAS + u->alpha_at];
}

/* All passes of an item; r is the last one's result. */
static ds_status next_passes(job *j, ds_result *r, ds_err *err)
{
	struct sure *u = j->sure;
	for (int64_t k = 0; k < u->ask.passes; k++) {
		ds_status rc = ds_runner_next(j->here.run, r, err);
		if (rc != DS_OK)
			return rc;
		if (r->bad)
			continue;
		if (!u->n)
			DS_TRY(meet(j, r, err));
		if (!k)
			begin(u);
		DS_TRY(listen(u, r, u->logits, "a pass", err));
		add(u);
	}
	if (!r->bad)
		agree(u, (int)u->ask.passes);
	return DS_OK;
}

/* The model itself, and its companions; *r is the model's result, or says what is bad about one of them. */
static ds_status next_members(job *j, ds_result *r, ds_err *err)
{
	struct sure *u = j->sure;
	DS_TRY(ds_runner_next(j->here.run, r, err));
	if (!r->bad) {
		if (!u->n)
			DS_TRY(meet(j, r, err));
		if (u->mute)
			return DS_OK;
		begin(u);
		DS_TRY(listen(u, r, u->logits, "the model", err));
		memcpy(u->raw, u->one, (size_t)u->n * sizeof *u->raw);
		add(u);
	}
	double energy = u->energy;
	for (int i = 0; i < u->n_member; i++) {
		ds_result other;
		const char *who = u->ask.member[i];
		ds_status rc = ds_runner_next(u->member[i].run, &other, err);
		if (rc != DS_OK)
			return rc == DS_END ? ds_fail(err, DS_E_INPUT, "%s takes fewer samples from the same files", who) : rc;
		if (other.bad && !r->bad)
			r->bad = other.bad;
		if (r->bad)
			continue;
		DS_TRY(listen(u, &other, u->member[i].logits, who, err));
		add(u);
	}
	u->energy = energy;
	if (!r->bad)
		agree(u, 1 + u->n_member);
	return DS_OK;
}

/* What the model says without dropout, beside its passes. */
static ds_status next_plain(job *j, ds_err *err)
{
	struct sure *u = j->sure;
	ds_result r;
	DS_TRY(ds_runner_next(u->member[0].run, &r, err));
	if (r.bad || !u->n)
		return DS_OK;
	DS_TRY(listen(u, &r, u->logits, "the model", err));
	memcpy(u->raw, u->one, (size_t)u->n * sizeof *u->raw);
	return DS_OK;
}

ds_status run_sure_next(job *j, ds_result *r, ds_err *err)
{
	bool mc = j->sure->ask.how == SURE_MC;
	DS_TRY(mc ? next_passes(j, r, err) : next_members(j, r, err));
	if (mc && j->sure->n_member)
		DS_TRY(next_plain(j, err));
	return r->bad || j->sure->mute ? DS_OK : conclude(j->sure, r, err);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------- */

const char *const *run_sure_columns(const job *j)
{
	static const char *const single[] = { "confidence", "entropy", "energy", NULL };
	static const char *const many[] = { "confidence", "entropy", "mutual_information", "spread", NULL };
	static const char *const set[] = { "confidence", "entropy", "set", "set_size", NULL };
	static const char *const *const by[] = { NULL, single, single, many, many, set };
	return by[j->sure->ask.how];
}

const char *const *run_sure_value_columns(const job *j)
{
	static const char *const many[] = { "spread", NULL }, *const interval[] = { "low", "high", NULL };
	return j->sure->ask.how == SURE_CONFORMAL ? interval : many;
}

static void put_f32(ds_rows *rows, double v)
{
	if (isnan(v))
		ds_rows_null(rows);
	else
		ds_rows_f32(rows, (float)v);
}

/* The classes of the set by falling probability. */
static void put_set(job *j, ds_rows *rows)
{
	const struct sure *u = j->sure;
	ds_buf b = { 0 };
	for (int64_t k = 0; k < u->n; k++) {
		int64_t y = u->order[k];
		if (!run_sure_has(u, y))
			continue;
		if (b.len)
			ds_buf_str(&b, "|");
		if (y < j->names.n)
			ds_buf_str(&b, j->names.name[y]);
		else
			ds_buf_printf(&b, "%lld", (long long)y);
	}
	ds_rows_str(rows, b.data ? b.data : "", b.len);
	ds_buf_done(&b);
}

void run_sure_put(job *j, ds_rows *rows)
{
	const struct sure *u = j->sure;
	ds_rows_f32(rows, u->p[u->best]);
	put_f32(rows, u->entropy);
	switch (u->ask.how) {
	case SURE_SOFTMAX:
	case SURE_TEMPERATURE:
		put_f32(rows, u->energy);
		break;
	case SURE_MC:
	case SURE_ENSEMBLE:
		put_f32(rows, u->mutual);
		put_f32(rows, u->spread);
		break;
	default:
		put_set(j, rows);
		ds_rows_i64(rows, u->set_size);
	}
}

double run_sure_score(const job *j)
{
	const struct sure *u = j->sure;
	switch (j->s->score) {
	case SCORE_CONFIDENCE:
		return 1 - (double)u->p[u->best];
	case SCORE_ENTROPY:
		return u->entropy;
	case SCORE_ENERGY:
		return u->energy;
	default:
		return u->mutual;
	}
}

void run_sure_put_value(job *j, ds_rows *rows, int64_t i, double scale, double offset)
{
	const struct sure *u = j->sure;
	if (u->ask.how != SURE_CONFORMAL) {
		ds_rows_f32(rows, (float)(u->square[i] * scale));
		return;
	}
	double q = run_sure_width(u, i);
	ds_rows_f32(rows, (float)((u->p[i] - q) * scale + offset));
	ds_rows_f32(rows, (float)((u->p[i] + q) * scale + offset));
}
