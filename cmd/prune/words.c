/* words.c - ds-prune: targets, words of training, and which options go together */
#include <stdio.h>
#include <string.h>

#include "prune.h"

#define FIT(member) offsetof(ds_fit_words, member)
static const ds_opt fit_rows[] = {
#include "fit/options.def"
	{ 0 }
};

static const ds_opt *fit_row(const char *name)
{
	static const char *const not[] = { "", "stage", "checkpoint", "checkpoint-every", "resume", "metrics", "validate", "holdout", "validate-every", "keep", "early-stop" };
	for (size_t i = 0; i < DS_COUNTOF(not); i++)
		if (strcmp(name, not[i]) == 0)
			return NULL;
	for (const ds_opt *o = fit_rows; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* Where the next word begins: after a space, or after a comma that another `name=` follows.  Ends this one. */
static char *next_word(char *s)
{
	for (; *s; s++) {
		size_t n = *s == ',' ? strspn(s + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
		if (*s == ' ' || (n && s[1 + n] == '=')) {
			*s = 0;
			return s + 1;
		}
	}
	return NULL;
}

static ds_status set_word(settings *s, char *word, ds_err *err)
{
	while (*word == '-')
		word++;
	char *value = strchr(word, '=');
	if (value)
		*value++ = 0;
	const ds_opt *o = fit_row(word);
	if (!o)
		return ds_fail(err, DS_E_USAGE, "--finetune: '%.60s' is no word of training here (options of ds-train)", word);
	if (o->type == DS_T_FLAG && !value) {
		*(bool *)((char *)&s->words + o->offset) = true;
		return DS_OK;
	}
	if (!value || o->type == DS_T_FLAG)
		return ds_fail(err, DS_E_USAGE, "--finetune: '%.60s' %s a value", word, value ? "takes no" : "wants");
	if (o->type == DS_T_LIST) {
		if (s->words.freeze.n == (int)DS_COUNTOF(s->freeze))
			return ds_fail(err, DS_E_USAGE, "--finetune: too many patterns");
		s->words.freeze.v = s->freeze;
		s->freeze[s->words.freeze.n++] = value;
		return DS_OK;
	}
	ds_status rc = ds_set_option(&s->words, o, value, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "--finetune");
	return rc;
}

static ds_status parse_words(settings *s, ds_err *err)
{
	for (const ds_opt *o = fit_rows; o->name; o++)
		if (o->def && o->type != DS_T_GROUP)
			DS_TRY(ds_set_option(&s->words, o, o->def, err));
	if (!s->finetune)
		return DS_OK;
	if (!(s->words_text = ds_strdup(s->finetune)))
		return ds_fail_nomem(err, 0);
	for (char *w = s->words_text, *then; w; w = then) {
		then = next_word(w);
		if (*w)
			DS_TRY(set_word(s, w, err));
	}
	if (!s->words.loss)
		s->words.loss = s->loss;
	s->words.holdout = s->holdout;
	return ds_fit_check(&s->words, err);
}

int prune_targets(const settings *s, target *t)
{
	const target all[] = { { "target-params", s->target_params, DS_COST_PARAMS }, { "target-macs", s->target_macs, DS_COST_MACS },
		{ "target-size", s->target_size, DS_COST_BYTES }, { "target-latency", s->target_latency, DS_COST_LATENCY } };
	int n = 0;
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		if (all[i].text) {
			*t = all[i];
			n++;
		}
	return n;
}

ds_status prune_parse_amount(const target *t, double *v, bool *share, ds_err *err)
{
	char copy[64];
	size_t n = strlen(t->text);
	uint64_t bytes;
	double scale = 1;
	*share = n > 1 && t->text[n - 1] == '%';
	if (n < sizeof copy) {
		memcpy(copy, t->text, n + 1);
		if (t->kind == DS_COST_BYTES && !*share && ds_parse_size(t->text, &bytes)) {
			*v = (double)bytes;
			return DS_OK;
		}
		if (n > 1 && !*share && strchr("kMG", copy[n - 1]) && t->kind != DS_COST_LATENCY)
			scale = copy[n - 1] == 'k' ? 1e3 : copy[n - 1] == 'M' ? 1e6 : 1e9;
		if (*share || scale > 1)
			copy[n - 1] = 0;
		if (ds_parse_f64(copy, v) && *v > 0 && (!*share || *v <= 100)) {
			*v *= *share ? .01 : t->kind == DS_COST_LATENCY ? 1e-3 : scale;
			return DS_OK;
		}
	}
	return ds_fail(err, DS_E_USAGE, "--%s '%.40s' is neither a number nor a percentage", t->option, t->text);
}

static ds_status check_names(const settings *s, ds_err *err)
{
	const char *const name[] = { s->criterion, s->control };
	for (int k = 0; k < 2; k++) {
		if (!name[k] || ds_criterion_find(name[k]))
			continue;
		int n;
		const ds_criterion *const *all = ds_criterion_all(&n);
		char list[200] = "";
		for (int i = 0; i < n; i++)
			snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", all[i]->name);
		return ds_fail(err, DS_E_USAGE, "--%s '%s' is none of %s", k ? "control" : "criterion", name[k], list);
	}
	if (s->loss && !ds_loss_find(s->loss))
		return ds_fail(err, DS_E_USAGE, "--loss '%s' is not known", s->loss);
	return DS_OK;
}

ds_status prune_check(void *p, ds_err *err)
{
	settings *s = p;
	target t;
	double v;
	bool share;
	int n = prune_targets(s, &t);
	s->hold = ds_given("max-drop");
	DS_TRY(check_names(s, err));
	const ds_criterion *c = ds_criterion_find(s->criterion), *control = s->control ? ds_criterion_find(s->control) : NULL;
	bool search = n || s->hold;
	if (n > 1)
		return ds_fail(err, DS_E_USAGE, "one target at a time");
	if (n)
		DS_TRY(prune_parse_amount(&t, &v, &share, err));
	if (search && (ds_given("ratio") || ds_given("scope")))
		return ds_fail(err, DS_E_USAGE, "a target says how much goes: no --ratio, --scope beside it");
	if (s->front && !search)
		return ds_fail(err, DS_E_USAGE, "--front has a meaning with a target or --max-drop only");
	if (s->latency_table && !s->target_latency)
		return ds_fail(err, DS_E_USAGE, "--latency-table has a meaning with --target-latency only");
	if (!s->c.plan && (c->data || (control && control->data)) && !s->c.data)
		return ds_fail(err, DS_E_USAGE, "--criterion %s takes gradients: it wants samples with labels (--data)", s->criterion);
	if (!s->c.data && (s->finetune || s->hold || s->control || s->holdout > 0))
		return ds_fail(err, DS_E_USAGE, "%s wants samples with labels (--data)", s->finetune ? "--finetune" : s->hold ? "--max-drop" : s->control ? "--control" :
			"--holdout");
	if (s->hold && (s->steps > 1 || s->control))
		return ds_fail(err, DS_E_USAGE, "--max-drop tries plans at one stroke: no --steps, --control beside it");
	if (ds_given("schedule") && s->steps == 1)
		return ds_fail(err, DS_E_USAGE, "--schedule has a meaning with --steps only");
	if (s->c.plan && (ds_given("ratio") || ds_given("criterion") || ds_given("scope") || ds_given("min-keep") || ds_given("round") || ds_given("seed") || search))
		return ds_fail(err, DS_E_USAGE, "--plan says what goes: no --ratio, --criterion, --scope, --min-keep, --round, --seed, no target beside it");
	if (s->c.plan && s->c.dry_run)
		return ds_fail(err, DS_E_USAGE, "--plan and --dry-run exclude each other");
	if (ds_given("samples") && !s->c.calibrate && !s->c.data)
		return ds_fail(err, DS_E_USAGE, "--samples has a meaning with --calibrate or --data only");
	if ((s->hold || s->control) && !(s->holdout > 0))
		s->holdout = .2;
	return parse_words(s, err);
}
