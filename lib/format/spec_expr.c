/* spec_expr.c - expressions of a description: numbers, names, lists, functions, and the names that are visible */
#include "spec.h"

#include "../base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- failures ------------------------------------------------------------------------------------------------------------------------ */
ds_status ds_spec_here(spec *s, ds_status rc, ds_err *err)
{
	char where[512];
	if (rc == DS_OK)
		return rc;
	snprintf(where, sizeof where, "%.240s:%d", s->file, s->line);
	ds_err_in(err, where);
	return rc;
}

ds_status ds_spec_fail(spec *s, ds_err *err, ds_status code, const char *fmt, ...)
{
	char text[480];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return ds_spec_here(s, ds_fail(err, code, "%s", text), err);
}

void ds_spec_nearer(const char *word, const char *candidate, const char **best, int *distance)
{
	int d = ds_edit_distance(word, candidate, *distance);
	if (d < *distance) {
		*distance = d;
		*best = candidate;
	}
}

const char *ds_spec_hint(spec *s, const char *best)
{
	const char *t = best ? ds_arena_printf(&s->arena, " (did you mean '%.64s'?)", best) : NULL;
	return t ? t : "";
}

/* ---- names --------------------------------------------------------------------------------------------------------------------------- */
spec_bind *ds_spec_find(spec *s, const char *name)
{
	for (size_t i = s->n_bind; i > s->frame; i--)
		if (strcmp(s->bind[i - 1].name, name) == 0)
			return &s->bind[i - 1];
	for (size_t i = DS_MIN(s->outer, s->frame); i > 0; i--)
		if (strcmp(s->bind[i - 1].name, name) == 0)
			return &s->bind[i - 1];
	return NULL;
}

ds_status ds_spec_set(spec *s, const char *name, const spec_val *v, ds_err *err)
{
	for (size_t i = s->n_bind; i > s->frame; i--)
		if (strcmp(s->bind[i - 1].name, name) == 0) {
			s->bind[i - 1].val = *v;
			return DS_OK;
		}
	if (!ds_grow((void **)&s->bind, s->n_bind, &s->cap_bind, sizeof *s->bind))
		return ds_fail_nomem(err, sizeof *s->bind);
	s->bind[s->n_bind++] = (spec_bind){ .name = name, .val = *v };
	if (s->depth == 0)
		s->outer = s->n_bind;
	return DS_OK;
}

ds_status ds_spec_unknown(spec *s, const char *word, ds_err *err)
{
	const char *best = NULL;
	int d = 3;
	for (size_t i = 0; i < s->n_bind; i++)
		if (i >= s->frame || i < s->outer)
			ds_spec_nearer(word, s->bind[i].name, &best, &d);
	return ds_spec_fail(s, err, DS_E_INPUT, "nothing is called '%.64s' here%s", word, ds_spec_hint(s, best));
}

ds_status ds_spec_whole(spec *s, const spec_val *v, const char *what, int64_t min, int64_t max, int64_t *out, ds_err *err)
{
	char buf[32];
	*out = min;
	if (v->kind == SPEC_WORD && !v->quoted)
		return ds_spec_unknown(s, v->word, err);
	if (v->kind != SPEC_NUMBER)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s must be a number", what);
	if (v->number != floor(v->number) || v->number < (double)min || v->number > (double)max)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s is %s: not a whole number from %lld to %lld", what, ds_fmt_f64(buf, v->number),
			(long long)min, (long long)max);
	*out = (int64_t)v->number;
	return DS_OK;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------------------------- */
bool ds_spec_is_word(const spec *s, const char *word)
{
	return spec_is(s, SPEC_T_NAME) && strcmp(spec_tok(s)->text, word) == 0;
}

bool ds_spec_at_end(const spec *s)
{
	int k = spec_tok(s)->kind;
	return k == SPEC_T_LINE || k == SPEC_T_END || k == ';' || k == '|' || k == '{' || k == '}';
}

ds_status ds_spec_expect(spec *s, int kind, const char *what, ds_err *err)
{
	if (!spec_is(s, kind))
		return ds_spec_fail(s, err, DS_E_INPUT, "%s is missing before '%.64s'", what, spec_tok(s)->text);
	s->at++;
	return DS_OK;
}

/* ---- expressions: the usual order of operations -------------------------------------------------------------------------------------- */
static ds_status binary(spec *s, int level, spec_val *out, ds_err *err);

ds_status ds_spec_expr(spec *s, spec_val *out, ds_err *err)
{
	if (++s->nested > SPEC_MAX_NESTED)
		return ds_spec_fail(s, err, DS_E_INPUT, "parentheses are nested too deeply");
	ds_status rc = binary(s, 0, out, err);
	s->nested--;
	return rc;
}

static ds_status number_of(spec *s, const spec_val *v, double *out, ds_err *err)
{
	if (v->kind == SPEC_WORD && !v->quoted)
		return ds_spec_unknown(s, v->word, err);
	if (v->kind != SPEC_NUMBER)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s is no number to calculate with",
			v->kind == SPEC_LAYER ? "a layer" : v->kind == SPEC_LIST ? "a list" : "a text");
	*out = v->number;
	return DS_OK;
}

/* Items up to the closing sign, which is read too. */
static ds_status items(spec *s, int close, spec_val *out, ds_err *err)
{
	spec_val list[SPEC_MAX_LIST];
	int n = 0;
	while (!spec_is(s, close)) {
		if (n == SPEC_MAX_LIST)
			return ds_spec_fail(s, err, DS_E_INPUT, "a list of more than %d items", SPEC_MAX_LIST);
		DS_TRY(ds_spec_expr(s, &list[n++], err));
		if (spec_is(s, ','))
			s->at++;
		else if (!spec_is(s, close))
			return ds_spec_fail(s, err, DS_E_INPUT, "a ',' or '%c' is missing before '%.64s'", close, spec_tok(s)->text);
	}
	s->at++;
	out->n = n;
	out->item = ds_arena_alloc(&s->arena, (size_t)n + 1, sizeof *out->item);
	if (!out->item)
		return ds_fail_nomem(err, sizeof *out->item * (size_t)n);
	if (n)
		memcpy(out->item, list, sizeof *list * (size_t)n);
	return DS_OK;
}

/* dim(x, i): an extent of a layer. */
static ds_status call_dim(spec *s, const spec_val *a, spec_val *out, ds_err *err)
{
	int64_t axis, d;
	if (a->n != 2)
		return ds_spec_fail(s, err, DS_E_INPUT, "dim(LAYER, AXIS) takes a layer and an axis");
	if (a->item[0].kind == SPEC_WORD)
		return ds_spec_unknown(s, a->item[0].word, err);
	if (a->item[0].kind != SPEC_LAYER)
		return ds_spec_fail(s, err, DS_E_INPUT, "dim(LAYER, AXIS): the first is no layer");
	DS_TRY(ds_spec_whole(s, &a->item[1], "the axis", -DS_MAX_RANK, DS_MAX_RANK - 1, &axis, err));
	DS_TRY(ds_spec_dim(s, a->item[0].layer, (int)axis, "dim()", &d, err));
	*out = (spec_val){ .kind = SPEC_NUMBER, .number = (double)d };
	return DS_OK;
}

static double least(double a, double b) { return a < b ? a : b; }
static double most(double a, double b) { return a > b ? a : b; }
static double down(double a, double b) { (void)b; return floor(a); }
static double up(double a, double b) { (void)b; return ceil(a); }
static double root(double a, double b) { (void)b; return sqrt(a); }
static const struct { const char *name; int n; double (*fn)(double, double); } functions[] = {
	{ "min", 2, least }, { "max", 2, most }, { "floor", 1, down }, { "ceil", 1, up }, { "sqrt", 1, root },
};

/* A name with parentheses: a function, or a word with something in parentheses. */
static ds_status call(spec *s, const char *name, spec_val *out, ds_err *err)
{
	spec_val a = { .kind = SPEC_WORD, .word = name };
	DS_TRY(items(s, ')', &a, err));
	if (strcmp(name, "dim") == 0)
		return call_dim(s, &a, out, err);
	for (size_t i = 0; i < DS_COUNTOF(functions); i++) {
		double x[2] = { 0, 0 };
		if (strcmp(name, functions[i].name) != 0)
			continue;
		if (a.n != functions[i].n)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s() takes %d number%s", name, functions[i].n, functions[i].n == 1 ? "" : "s");
		for (int k = 0; k < a.n; k++)
			DS_TRY(number_of(s, &a.item[k], &x[k], err));
		*out = (spec_val){ .kind = SPEC_NUMBER, .number = functions[i].fn(x[0], x[1]) };
		return DS_OK;
	}
	*out = a;
	return DS_OK;
}

static ds_status primary(spec *s, spec_val *out, ds_err *err)
{
	const spec_token *t = spec_tok(s);
	*out = (spec_val){ .kind = SPEC_NUMBER, .number = t->number };
	switch (t->kind) {
	case SPEC_T_NUMBER:
		s->at++;
		return DS_OK;
	case SPEC_T_TEXT:
		s->at++;
		*out = (spec_val){ .kind = SPEC_WORD, .word = t->text, .quoted = true };
		return DS_OK;
	case '.':
		s->at++;
		if (!s->cur)
			return ds_spec_fail(s, err, DS_E_INPUT, "there is no layer yet that '.' could be");
		*out = (spec_val){ .kind = SPEC_LAYER, .layer = s->cur };
		return DS_OK;
	case '(':
		s->at++;
		DS_TRY(ds_spec_expr(s, out, err));
		return ds_spec_expect(s, ')', "a ')'", err);
	case '[':
		s->at++;
		out->kind = SPEC_LIST;
		return items(s, ']', out, err);
	case SPEC_T_NAME: {
		s->at++;
		if (spec_is(s, '(') && !spec_tok(s)->space) {
			s->at++;
			return call(s, t->text, out, err);
		}
		const spec_bind *b = ds_spec_find(s, t->text);
		*out = b ? b->val : (spec_val){ .kind = SPEC_WORD, .word = t->text };
		return DS_OK;
	}
	default:
		return ds_spec_fail(s, err, DS_E_INPUT, "a number or a name is missing before '%.64s'", t->text);
	}
}

static ds_status unary(spec *s, spec_val *out, ds_err *err)
{
	int sign = spec_tok(s)->kind;
	double x, y;
	if (sign == '-' || sign == '!') {
		s->at++;
		if (++s->nested > SPEC_MAX_NESTED)
			return ds_spec_fail(s, err, DS_E_INPUT, "too many signs");
		ds_status rc = unary(s, out, err);
		s->nested--;
		DS_TRY(rc);
		DS_TRY(number_of(s, out, &x, err));
		out->number = sign == '-' ? -x : x == 0;
		return DS_OK;
	}
	DS_TRY(primary(s, out, err));
	if (spec_is(s, '^')) {          /* binds more strongly than a sign before it, and to the right */
		s->at++;
		spec_val e;
		DS_TRY(number_of(s, out, &x, err));
		if (++s->nested > SPEC_MAX_NESTED)
			return ds_spec_fail(s, err, DS_E_INPUT, "too many signs");
		ds_status rc = unary(s, &e, err);
		s->nested--;
		DS_TRY(rc);
		DS_TRY(number_of(s, &e, &y, err));
		out->number = pow(x, y);
	}
	return DS_OK;
}

/* Level of a sign between two operands, -1: it is none. */
static int level_of(int kind)
{
	switch (kind) {
	case SPEC_T_OR: return 0;
	case SPEC_T_AND: return 1;
	case SPEC_T_EQ: case SPEC_T_NE: return 2;
	case '<': case '>': case SPEC_T_LE: case SPEC_T_GE: return 3;
	case '+': case '-': return 4;
	case '*': case '/': case '%': case SPEC_T_FLOOR: return 5;
	default: return -1;
	}
}

static double apply(int kind, double x, double y)
{
	switch (kind) {
	case SPEC_T_OR: return x != 0 || y != 0;
	case SPEC_T_AND: return x != 0 && y != 0;
	case SPEC_T_EQ: return x == y;
	case SPEC_T_NE: return x != y;
	case '<': return x < y;
	case '>': return x > y;
	case SPEC_T_LE: return x <= y;
	case SPEC_T_GE: return x >= y;
	case '+': return x + y;
	case '-': return x - y;
	case '*': return x * y;
	case '/': return x / y;
	case '%': return x - floor(x / y) * y;
	default: return floor(x / y);
	}
}

static bool same_word(const spec_val *a, const spec_val *b)
{
	return a->kind == SPEC_WORD && b->kind == SPEC_WORD && strcmp(a->word, b->word) == 0;
}

static ds_status binary(spec *s, int level, spec_val *out, ds_err *err)
{
	enum { UNARY = 6 };
	if (level == UNARY)
		return unary(s, out, err);
	DS_TRY(binary(s, level + 1, out, err));
	for (int kind; level_of(kind = spec_tok(s)->kind) == level;) {
		spec_val right;
		double x, y;
		s->at++;
		DS_TRY(binary(s, level + 1, &right, err));
		if ((kind == SPEC_T_EQ || kind == SPEC_T_NE) && out->kind == SPEC_WORD && right.kind == SPEC_WORD) {
			*out = (spec_val){ .kind = SPEC_NUMBER, .number = same_word(out, &right) == (kind == SPEC_T_EQ) };
			continue;
		}
		DS_TRY(number_of(s, out, &x, err));
		DS_TRY(number_of(s, &right, &y, err));
		double v = apply(kind, x, y);
		if (!isfinite(v))
			return ds_spec_fail(s, err, DS_E_INPUT, "the result of '%s' is not finite", s->tok[s->at - 1].text);
		*out = (spec_val){ .kind = SPEC_NUMBER, .number = v };
	}
	return DS_OK;
}
