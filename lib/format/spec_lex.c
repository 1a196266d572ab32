/* spec_lex.c - a description of a network as tokens: names, numbers, quoted texts, signs, ends of lines */
#include "spec.h"

#include "../base/str.h"

#include <string.h>

typedef struct cursor { const char *p, *end; int line, nested; bool space; } cursor;

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const struct { char text[3]; int kind; } pairs[] = {
	{ "//", SPEC_T_FLOOR }, { "==", SPEC_T_EQ }, { "!=", SPEC_T_NE }, { "<=", SPEC_T_LE }, { ">=", SPEC_T_GE },
	{ "&&", SPEC_T_AND }, { "||", SPEC_T_OR },
};

static ds_status push(spec *s, cursor *c, int kind, const char *text, size_t n, ds_err *err)
{
	char *copy = ds_arena_strndup(&s->arena, text, n);
	if (!copy || !ds_grow((void **)&s->tok, s->n_tok, &s->cap_tok, sizeof *s->tok))
		return ds_fail_nomem(err, n);
	s->tok[s->n_tok++] = (spec_token){ .kind = kind, .line = c->line, .space = c->space, .text = copy };
	c->space = false;
	return DS_OK;
}

static ds_status fail_at(spec *s, const cursor *c, ds_err *err, const char *what)
{
	s->line = c->line;
	return ds_spec_fail(s, err, DS_E_INPUT, "%s", what);
}

static ds_status number(spec *s, cursor *c, ds_err *err)
{
	const char *from = c->p;
	char buf[64];
	while (c->p < c->end && (is_digit(*c->p) || *c->p == '.'))
		c->p++;
	if (c->end - c->p >= 2 && (*c->p == 'e' || *c->p == 'E')) {
		bool sign = c->p[1] == '-' || c->p[1] == '+';
		if (is_digit(c->p[1]) || (sign && c->end - c->p >= 3 && is_digit(c->p[2])))
			for (c->p += 2; c->p < c->end && is_digit(*c->p); c->p++)
				;
	}
	size_t n = (size_t)(c->p - from);
	double v = 0;
	if (n < sizeof buf) {
		memcpy(buf, from, n);
		buf[n] = 0;
	}
	if (n >= sizeof buf || !ds_parse_f64(buf, &v) || (c->p < c->end && is_alpha(*c->p)))
		return fail_at(s, c, err, "this is no number (a name begins with a letter)");
	DS_TRY(push(s, c, SPEC_T_NUMBER, from, n, err));
	s->tok[s->n_tok - 1].number = v;
	return DS_OK;
}

static ds_status quoted(spec *s, cursor *c, ds_err *err)
{
	const char *from = ++c->p;
	while (c->p < c->end && *c->p != '"' && *c->p != '\n')
		c->p++;
	if (c->p == c->end || *c->p != '"')
		return fail_at(s, c, err, "a text in quotes does not end");
	return push(s, c, SPEC_T_TEXT, from, (size_t)(c->p++ - from), err);
}

static ds_status sign(spec *s, cursor *c, ds_err *err)
{
	for (size_t i = 0; i < DS_COUNTOF(pairs); i++)
		if (c->end - c->p >= 2 && memcmp(c->p, pairs[i].text, 2) == 0) {
			c->p += 2;
			return push(s, c, pairs[i].kind, pairs[i].text, 2, err);
		}
	if (!strchr("=,()[]{};|+-*/%^<>!.", *c->p))
		return fail_at(s, c, err, "a character that has no meaning here");
	c->nested += *c->p == '(' || *c->p == '[';
	c->nested -= (*c->p == ')' || *c->p == ']') && c->nested > 0;
	c->p++;
	return push(s, c, (unsigned char)c->p[-1], c->p - 1, 1, err);
}

static ds_status line_end(spec *s, cursor *c, ds_err *err)
{
	ds_status rc = DS_OK;
	if (c->nested == 0 && s->n_tok > 0 && s->tok[s->n_tok - 1].kind != SPEC_T_LINE)
		rc = push(s, c, SPEC_T_LINE, "end of line", 11, err);
	c->p++;
	c->line++;
	c->space = true;
	return rc;
}

ds_status ds_spec_lex(spec *s, const char *text, size_t n, ds_err *err)
{
	cursor c = { text, text + n, 1, 0, true };
	while (c.p < c.end) {
		const char *from = c.p;
		if (*c.p == '\n') {
			DS_TRY(line_end(s, &c, err));
		} else if (*c.p == ' ' || *c.p == '\t' || *c.p == '\r') {
			c.p++;
			c.space = true;
		} else if (*c.p == '#') {
			while (c.p < c.end && *c.p != '\n')
				c.p++;
		} else if (*c.p == '\\' && c.end - c.p >= 2 && c.p[1] == '\n') {
			c.p += 2;
			c.line++;
			c.space = true;
		} else if (is_alpha(*c.p)) {
			while (c.p < c.end && (is_alpha(*c.p) || is_digit(*c.p)))
				c.p++;
			DS_TRY(push(s, &c, SPEC_T_NAME, from, (size_t)(c.p - from), err));
		} else if (is_digit(*c.p) || (*c.p == '.' && c.end - c.p >= 2 && is_digit(c.p[1]))) {
			DS_TRY(number(s, &c, err));
		} else if (*c.p == '"') {
			DS_TRY(quoted(s, &c, err));
		} else {
			DS_TRY(sign(s, &c, err));
		}
	}
	DS_TRY(push(s, &c, SPEC_T_LINE, "end of line", 11, err));
	return push(s, &c, SPEC_T_END, "end of file", 11, err);
}
