/* parse.c - the option parser: words of the command line into the settings struct, by the table
 *
 * No abbreviations (they would freeze the set of names), options after operands unless POSIXLY_CORRECT, `--` ends options, clusters of letters, a value
 * in the same word or the next.  The first fault is kept while parsing goes on, because -h anywhere wins. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static ds_status append(ds_strs *l, const char *s, ds_err *err)
{
	const char **v = ds_realloc((void *)l->v, (size_t)l->n + 1, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, ((size_t)l->n + 1) * sizeof *v);
	v[l->n++] = s;
	l->v = v;
	return DS_OK;
}

/* "--ratio: '0,5' is not a number from 0 to 0.95" */
static ds_status bad_value(const ds_opt *o, const char *value, const char *spelt, const char *kind, ds_err *err)
{
	ds_buf range = { 0 };
	ds_cli_range(o, &range);
	ds_status rc = ds_fail(err, DS_E_USAGE, "%s: '%s' is not %s%s%s", spelt, value, kind, range.len ? " " : "", range.len ? range.data : "");
	ds_buf_done(&range);
	return rc;
}

static ds_status bad_choice(const ds_opt *o, const char *value, const char *spelt, ds_err *err)
{
	ds_buf list = { 0 };
	const char *best = NULL;
	int dist = 3;
	for (int i = 0; o->choices[i]; i++) {
		int d = ds_edit_distance(value, o->choices[i], dist);
		ds_buf_printf(&list, "%s%s", i ? ", " : "", o->choices[i]);
		if (d < dist) {
			dist = d;
			best = o->choices[i];
		}
	}
	ds_status rc = ds_fail(err, DS_E_USAGE, "%s: '%s' is not one of %s%s%s%s", spelt, value, list.data ? list.data : "",
		best ? " (did you mean '" : "", best ? best : "", best ? "'?)" : "");
	ds_buf_done(&list);
	return rc;
}

static bool in_range(const ds_opt *o, double v)
{
	return (o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max);
}

ds_status ds_cli_set(void *settings, const ds_opt *o, const char *value, const char *spelt, ds_err *err)
{
	void *at = (char *)settings + o->offset;
	double f;
	int64_t i;
	uint64_t u;
	switch ((ds_opt_type)o->type) {
	case DS_T_FLAG:
		*(bool *)at = true;
		return DS_OK;
	case DS_T_INT:
		if (!ds_parse_i64(value, &i) || !in_range(o, (double)i))
			return bad_value(o, value, spelt, "a whole number", err);
		*(int64_t *)at = i;
		return DS_OK;
	case DS_T_FLOAT:
		if (!ds_parse_f64(value, &f) || !in_range(o, f))
			return bad_value(o, value, spelt, "a number", err);
		*(double *)at = f;
		return DS_OK;
	case DS_T_SIZE:
		if (!ds_parse_size(value, &u) || !in_range(o, (double)u))
			return bad_value(o, value, spelt, "a size such as 512M or 2G", err);
		*(uint64_t *)at = u;
		return DS_OK;
	case DS_T_CHOICE:
		for (int k = 0; o->choices[k]; k++)
			if (strcmp(o->choices[k], value) == 0) {
				*(int *)at = k;
				return DS_OK;
			}
		return bad_choice(o, value, spelt, err);
	case DS_T_STR:
	case DS_T_LIST:
		if (!*value && ds_cli_is_path(o))
			return ds_fail(err, DS_E_USAGE, "%s: the name is empty", spelt);
		if (o->type == DS_T_LIST)
			return append(at, value, err);
		*(const char **)at = value;
		return DS_OK;
	default:
		return ds_fail(err, DS_E_INTERNAL, "option --%s has a type for attributes", o->name);
	}
}

ds_status ds_set_option(void *settings, const ds_opt *o, const char *value, ds_err *err)
{
	return ds_cli_set(settings, o, value, o->name, err);
}

ds_status ds_cli_defaults(void *settings, ds_err *err)
{
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type == DS_T_CHOICE && !o->def)
			*(int *)((char *)settings + o->offset) = -1;
		if (o->def && ds_cli_takes_value(o))
			DS_TRY(ds_cli_set(settings, o, o->def, o->name, err));
	}
	return DS_OK;
}

/* The option whose name is nearest to a wrong one, at most two edits away; of equals the one with the same first letter. */
static const ds_opt *nearest(const char *word)
{
	const ds_opt *best = NULL;
	int score = 6;
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type == DS_T_GROUP || (o->flags & DS_OPT_HIDDEN))
			continue;
		int s = 2 * ds_edit_distance(word, o->name, 3) + (o->name[0] != word[0]);
		if (s < score) {
			score = s;
			best = o;
		}
	}
	/* a short word is two edits from everything */
	return best && score / 2 < (int)strlen(best->name) ? best : NULL;
}

static ds_status unknown_long(const char *word, size_t n, ds_err *err)
{
	ds_buf w = { 0 };
	ds_buf_add(&w, word, n);
	const ds_opt *o = w.data && n < 64 ? nearest(w.data) : NULL;
	ds_status rc = ds_fail(err, DS_E_USAGE, "unknown option '--%s'%s%s%s", w.data ? w.data : "", o ? " (did you mean '--" : "", o ? o->name : "",
		o ? "'?)" : "");
	ds_buf_done(&w);
	return rc;
}

typedef struct words {
	int    argc, at;        /* at: the word after the one being looked at */
	char **argv;
} words;

static ds_status apply(void *settings, int row, const char *value, const char *spelt, ds_err *err)
{
	const ds_opt *o = ds_cli.row[row];
	bool known = ds_cli.given[row];
	ds_cli.given[row] = true;
	if (o->type == DS_T_ACTION) {
		*(strcmp(o->name, "help") == 0 ? &ds_cli.want_help : &ds_cli.want_version) = true;
		return DS_OK;
	}
	if (!((ds_common *)settings)->recorded || !o->def)
		return ds_cli_set(settings, o, value, spelt, err);
	/* a record holds every setting, and some have no meaning beside others: the default says nothing */
	union { int64_t i; double f; uint64_t u; int k; const char *s; } before = { 0 }, after = { 0 };
	size_t size = o->type == DS_T_INT ? sizeof before.i : o->type == DS_T_FLOAT ? sizeof before.f : o->type == DS_T_SIZE ? sizeof before.u :
		o->type == DS_T_CHOICE ? sizeof before.k : 0;
	char *at = (char *)settings + o->offset;
	memcpy(&before, at, size);
	DS_TRY(ds_cli_set(settings, o, value, spelt, err));
	memcpy(&after, at, size);
	bool same = size ? memcmp(&before, &after, size) == 0 : strcmp(o->def, value) == 0;
	ds_cli.given[row] = known || !same;
	return DS_OK;
}

static ds_status parse_long(void *settings, const char *word, words *w, ds_err *err)
{
	const char *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);
	int row;
	const ds_opt *o = ds_cli_find(word, n, &row);
	char spelt[80];
	if (!o)
		return unknown_long(word, n, err);
	spelt[0] = spelt[1] = '-';
	memcpy(spelt + 2, o->name, DS_MIN(n, sizeof spelt - 3));
	spelt[2 + DS_MIN(n, sizeof spelt - 3)] = 0;
	if (!ds_cli_takes_value(o))
		return eq ? ds_fail(err, DS_E_USAGE, "%s takes no value", spelt) : apply(settings, row, NULL, spelt, err);
	if (eq)
		return apply(settings, row, eq + 1, spelt, err);
	if (ds_cli_optional(o))
		return apply(settings, row, "", spelt, err);
	if (w->at >= w->argc)
		return ds_fail(err, DS_E_USAGE, "%s needs a value", spelt);
	return apply(settings, row, w->argv[w->at++], spelt, err);
}

static ds_status parse_cluster(void *settings, const char *word, words *w, ds_err *err)
{
	for (const char *s = word; *s; s++) {
		char spelt[3] = { '-', *s, 0 };
		int row = -1;
		for (int i = 0; i < ds_cli.n_row; i++)
			if (ds_cli.row[i]->letter == *s)
				row = i;
		if (row < 0)    /* a letter outside ASCII is given with what follows, never cut */
			return ds_fail(err, DS_E_USAGE, "unknown option '-%.*s'", (unsigned char)*s < 0x80 ? 1 : 64, s);
		const ds_opt *o = ds_cli.row[row];
		if (!ds_cli_takes_value(o)) {
			DS_TRY(apply(settings, row, NULL, spelt, err));
			continue;
		}
		if (s[1] || ds_cli_optional(o))
			return apply(settings, row, s + 1, spelt, err);
		if (w->at >= w->argc)
			return ds_fail(err, DS_E_USAGE, "%s needs a value", spelt);
		return apply(settings, row, w->argv[w->at++], spelt, err);
	}
	return DS_OK;
}

ds_status ds_cli_parse(void *settings, int argc, char **argv, ds_err *err)
{
	ds_common *c = settings;
	words w = { argc, 1, argv };
	bool only_operands = false;
	bool posix = getenv("POSIXLY_CORRECT") != NULL;
	ds_status first = DS_OK;
	while (w.at < argc) {
		const char *word = argv[w.at++];
		ds_err later;
		ds_err *e = first == DS_OK ? err : &later;
		ds_status rc;
		if (only_operands || word[0] != '-' || !word[1]) {
			only_operands |= posix;
			rc = append(&c->operand, word, e);
		} else if (strcmp(word, "--") == 0) {
			only_operands = true;
			continue;
		} else {
			rc = word[1] == '-' ? parse_long(settings, word + 2, &w, e) : parse_cluster(settings, word + 1, &w, e);
		}
		if (first == DS_OK)
			first = rc;
	}
	return first;
}

/* An option that was not given takes the value of the first of these variables that is set and not empty.  `lenient` variables are not ours: what
 * does not fit is ignored, and of a list ("4,2") the first number counts. */
ds_status ds_cli_environment(void *settings, ds_err *err)
{
	static const struct { const char *option, *variable; bool lenient; } table[] = {
		{ "threads", "DS_THREADS", false }, { "threads", "OMP_NUM_THREADS", true },
		{ "batch", "BATCH_SIZE", false }, { "memory-limit", "DS_MEMORY_LIMIT", false },
	};
	const char *done = "";
	for (size_t i = 0; i < DS_COUNTOF(table); i++) {
		int row;
		const ds_opt *o = ds_cli_find(table[i].option, strlen(table[i].option), &row);
		const char *v = getenv(table[i].variable);
		if (!o || ds_cli.given[row] || !v || !*v || strcmp(done, table[i].option) == 0)
			continue;
		if (table[i].variable[0] != 'D' && !(ds_cli.f->common & DS_C_INPUTS))
			continue;
		if (table[i].lenient) {
			char first[16] = "";
			size_t n = strcspn(v, ",");
			if (n < sizeof first)
				memcpy(first, v, n);
			ds_err ignored;
			(void)!ds_cli_set(settings, o, first, table[i].variable, &ignored);
		} else {
			DS_TRY(ds_cli_set(settings, o, v, table[i].variable, err));
		}
		done = table[i].option;
	}
	return DS_OK;
}

/* Everything that reads standard input, so that two cannot. */
static int stdin_users(const ds_common *c, const char *who[8])
{
	const struct { const char *v, *name; } one[] = {
		{ c->model, "--model" }, { c->files_from, "--files-from" }, { c->calibrate, "--calibrate" }, { c->data, "--data" }, { c->plan, "--plan" },
	};
	int n = 0;
	bool operand = false;
	for (size_t i = 0; i < DS_COUNTOF(one); i++)
		if (one[i].v && strcmp(one[i].v, "-") == 0)
			who[n++] = one[i].name;
	for (int i = 0; i < c->operand.n; i++)
		operand |= strcmp(c->operand.v[i], "-") == 0;
	if (operand)
		who[n++] = "operand -";
	bool from_operand = !(ds_cli.f->common & DS_C_INPUTS) && c->operand.n > 0;
	if ((ds_cli.f->common & DS_C_MODEL) && !c->model && !from_operand)
		who[n++] = "the model";
	return n;
}

ds_status ds_cli_combinations(const ds_common *c, ds_err *err)
{
	const ds_filter *f = ds_cli.f;
	const char *who[8];
	ds_status rc = DS_OK;
	if (c->json && c->tsv)
		return ds_fail(err, DS_E_USAGE, "--json and --tsv exclude each other");
	if (c->operand.n > 0 && !ds_cli_has_operand(f)) {
		rc = ds_fail(err, DS_E_USAGE, "'%s': no operand is expected", c->operand.v[0]);
	} else if (!(f->common & DS_C_INPUTS) && c->operand.n > 1) {
		rc = ds_fail(err, DS_E_USAGE, "'%s': only one model can be given", c->operand.v[1]);
	} else if (!(f->common & DS_C_INPUTS) && c->operand.n == 1 && c->model) {
		rc = ds_fail(err, DS_E_USAGE, "'%s': the model is given by --model already", c->operand.v[0]);
	}
	for (int i = 0; i < c->operand.n && rc == DS_OK; i++)
		if (!*c->operand.v[i])
			rc = ds_fail(err, DS_E_USAGE, "operand %d is an empty name", i + 1);
	DS_TRY(rc);
	if (stdin_users(c, who) > 1)
		return ds_fail(err, DS_E_USAGE, "%s and %s cannot both be read from standard input", who[0], who[1]);
	if (c->null_sep && !c->files_from)
		return ds_fail(err, DS_E_USAGE, "--null has a meaning with --files-from only");
	/* before anything else is opened, so that a bare `ds-x` at a prompt answers with its usage */
	bool reads_stdin = (f->common & DS_C_MODEL) && (c->model ? strcmp(c->model, "-") == 0 : (f->common & DS_C_INPUTS) || c->operand.n == 0);
	if (reads_stdin && isatty(0)) {
		ds_cli.usage_hint = true;
		return ds_fail(err, DS_E_USAGE, "nothing to read: standard input is a terminal");
	}
	return DS_OK;
}

/* The settings that the result depends on, as options in canonical spelling, one on each line, in the order of the table. */
char *ds_cli_effective(const void *settings)
{
	ds_buf b = { 0 };
	char t[40];
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		const void *at = (const char *)settings + o->offset;
		bool said = ds_cli.given[i] || o->def;
		if (o->flags & (DS_OPT_NO_HIST | DS_OPT_HIDDEN))
			continue;
		if (o->type == DS_T_FLAG && *(const bool *)at)
			ds_buf_printf(&b, "--%s\n", o->name);
		if (o->type == DS_T_INT && (said || *(const int64_t *)at != 0))
			ds_buf_printf(&b, "--%s=%lld\n", o->name, (long long)*(const int64_t *)at);
		if (o->type == DS_T_SIZE && (said || *(const uint64_t *)at != 0))
			ds_buf_printf(&b, "--%s=%llu\n", o->name, (unsigned long long)*(const uint64_t *)at);
		if (o->type == DS_T_FLOAT && (said || *(const double *)at != 0))
			ds_buf_printf(&b, "--%s=%s\n", o->name, ds_fmt_f64(t, *(const double *)at));
		if (o->type == DS_T_CHOICE && *(const int *)at >= 0)
			ds_buf_printf(&b, "--%s=%s\n", o->name, o->choices[*(const int *)at]);
		const ds_strs *l = at;
		ds_strs single = { 0 };
		if (o->type == DS_T_STR) {
			single = (ds_strs){ (const char **)at, *(const char *const *)at != NULL };
			l = &single;
		}
		for (int k = 0; (o->type == DS_T_STR || o->type == DS_T_LIST) && k < l->n; k++) {
			ds_buf_printf(&b, "--%s=", o->name);
			ds_text_quote(&b, l->v[k], strlen(l->v[k]));
			ds_buf_str(&b, "\n");
		}
	}
	ds_buf_add(&b, "", 0);
	char *s = b.oom ? NULL : ds_strdup(b.data ? b.data : "");
	ds_buf_done(&b);
	return s;
}

void ds_cli_done(void *settings)
{
	ds_common *c = settings;
	for (int i = 0; i < ds_cli.n_row; i++)
		if (ds_cli.row[i]->type == DS_T_LIST)
			ds_free((void *)((ds_strs *)(void *)((char *)settings + ds_cli.row[i]->offset))->v);
	ds_free((void *)c->operand.v);
	ds_free((void *)c->effective);
	ds_free(settings);
}
