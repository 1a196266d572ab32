/* spec.c - the spec format: is it one, and how its statements run (ds-spec(5)) */
#include "spec.h"

#include "../base/str.h"

#include <stdio.h>
#include <string.h>

static const uint64_t DEFAULT_LIMIT = (uint64_t)2 << 30;

static ds_status statement(spec *s, ds_err *err);

/* ---- is it one? ---------------------------------------------------------------------------------------------------------------------- */
/* The first word of the first line that is no comment. */
static bool probe(const uint8_t *p, size_t n, int64_t size)
{
	size_t i = 0, from;
	(void)size;
	while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n' || p[i] == '#')) {
		if (p[i] == '#')
			while (i < n && p[i] != '\n')
				i++;
		else
			i++;
	}
	for (from = i; i < n && p[i] >= 'a' && p[i] <= 'z';)
		i++;
	if (i == from || i == n || (p[i] != ' ' && p[i] != '\t'))
		return false;
	for (const spec_statement *h = ds_spec_headers; h->word; h++)
		if (strlen(h->word) == i - from && memcmp(h->word, p + from, i - from) == 0)
			return true;
	return i - from == 3 && memcmp(p + from, "def", 3) == 0;
}

/* ---- blocks -------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_spec_skip(spec *s, ds_err *err)
{
	for (int open = 1; open > 0; s->at++) {
		int k = spec_tok(s)->kind;
		if (k == SPEC_T_END)
			return ds_spec_fail(s, err, DS_E_INPUT, "a '}' is missing for this '{'");
		open += (k == '{') - (k == '}');
	}
	return DS_OK;
}

static ds_status run_repeat(spec *s, ds_err *err)
{
	spec_val n, v = { .kind = SPEC_NUMBER };
	const char *counter = NULL;
	int line = s->line;
	int64_t times;
	DS_TRY(ds_spec_expr(s, &n, err));
	DS_TRY(ds_spec_whole(s, &n, "the number of times", 0, SPEC_MAX_LINES, &times, err));
	if (ds_spec_is_word(s, "as")) {
		s->at++;
		counter = spec_tok(s)->text;
		DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "a name after 'as'", err));
	}
	DS_TRY(ds_spec_expect(s, '{', "a '{'", err));
	int body = s->at;
	DS_TRY(ds_spec_skip(s, err));
	int after = s->at;
	for (int64_t i = 0; i < times; i++) {
		s->at = body;
		v.number = (double)i;
		if (counter)
			DS_TRY(ds_spec_set(s, counter, &v, err));
		DS_TRY(ds_spec_block(s, err));
	}
	s->at = after;
	s->line = line;
	return DS_OK;
}

static ds_status run_if(spec *s, ds_err *err)
{
	bool done = false;
	for (;;) {
		spec_val v = { .kind = SPEC_NUMBER, .number = 1 };
		bool plain = spec_is(s, '{');           /* of an else */
		if (!plain)
			DS_TRY(ds_spec_expr(s, &v, err));
		if (v.kind == SPEC_WORD && !v.quoted)
			return ds_spec_unknown(s, v.word, err);
		if (v.kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_INPUT, "the condition is no number");
		DS_TRY(ds_spec_expect(s, '{', "a '{'", err));
		if (v.number != 0 && !done)
			DS_TRY(ds_spec_block(s, err));
		else
			DS_TRY(ds_spec_skip(s, err));
		done |= v.number != 0;
		int here = s->at;
		while (spec_is(s, SPEC_T_LINE))
			s->at++;
		if (plain || !ds_spec_is_word(s, "else")) {
			s->at = here;
			return DS_OK;
		}
		s->at++;
		if (ds_spec_is_word(s, "if"))
			s->at++;
		else if (!spec_is(s, '{'))
			return ds_spec_fail(s, err, DS_E_INPUT, "after 'else' comes a '{' or 'if'");
	}
}

/* ---- statements ---------------------------------------------------------------------------------------------------------------------- */
/* . = x */
static ds_status go_on(spec *s, ds_err *err)
{
	spec_val v;
	s->at++;
	DS_TRY(ds_spec_expect(s, '=', "a '='", err));
	DS_TRY(ds_spec_expr(s, &v, err));
	if (v.kind == SPEC_WORD && !v.quoted)
		return ds_spec_unknown(s, v.word, err);
	if (v.kind != SPEC_LAYER)
		return ds_spec_fail(s, err, DS_E_INPUT, "'.' can only be a layer");
	s->cur = v.layer;
	return DS_OK;
}

/* The names before a =; 0: this is no assignment, and nothing is read. */
static ds_status names_before(spec *s, const char **names, int *n, ds_err *err)
{
	int i = s->at;
	*n = 0;
	while (s->tok[i].kind == SPEC_T_NAME) {
		if (*n == SPEC_MAX_OUT)
			return ds_spec_fail(s, err, DS_E_INPUT, "more than %d names before a '='", SPEC_MAX_OUT);
		names[(*n)++] = s->tok[i++].text;
		if (s->tok[i].kind == '=') {
			s->at = i + 1;
			return DS_OK;
		}
		if (s->tok[i++].kind != ',')
			break;
	}
	*n = 0;
	return DS_OK;
}

static const spec_statement blocks[] = { { "repeat", run_repeat }, { "if", run_if }, { "def", ds_spec_def }, { NULL } };

static ds_status statement(spec *s, ds_err *err)
{
	const char *names[SPEC_MAX_OUT];
	int n;
	s->line = spec_tok(s)->line;
	if (++s->lines > SPEC_MAX_LINES)
		return ds_spec_fail(s, err, DS_E_INPUT, "more than %d lines were run", SPEC_MAX_LINES);
	if (spec_is(s, '.'))
		return go_on(s, err);
	DS_TRY(names_before(s, names, &n, err));
	if (n)
		return ds_spec_assign(s, n, names, err);
	if (!spec_is(s, SPEC_T_NAME))
		return ds_spec_fail(s, err, DS_E_INPUT, "a line cannot begin with '%.64s'", spec_tok(s)->text);
	const char *word = spec_tok(s)->text;
	for (const spec_statement *b = blocks; b->word; b++)
		if (strcmp(word, b->word) == 0) {
			s->at++;
			return b->run(s, err);
		}
	for (const spec_statement *h = ds_spec_headers; h->word; h++)
		if (strcmp(word, h->word) == 0) {
			s->at++;
			return h->run(s, err);
		}
	return ds_spec_pipeline(s, 0, NULL, err);
}

ds_status ds_spec_block(spec *s, ds_err *err)
{
	bool top = s->at == 0;
	int line = s->line;
	for (;;) {
		int k = spec_tok(s)->kind;
		if (k == SPEC_T_LINE || k == ';') {
			s->at++;
			continue;
		}
		if (k == SPEC_T_END || k == '}') {
			s->line = k == '}' && top ? spec_tok(s)->line : line;
			if (top ? k == '}' : k == SPEC_T_END)
				return ds_spec_fail(s, err, DS_E_INPUT, top ? "a '}' without its '{'" : "a '}' is missing");
			s->at += k == '}';
			return DS_OK;
		}
		DS_TRY(statement(s, err));
		if (!ds_spec_at_end(s) || spec_is(s, '{') || spec_is(s, '|'))
			return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is too much in this line", spec_tok(s)->text);
	}
}

/* ---- import -------------------------------------------------------------------------------------------------------------------------- */
static ds_status finish(spec *s, ds_err *err)
{
	ds_buf *missing = s->o ? s->o->missing : NULL;
	for (int i = 0; s->o && i < s->o->n_set; i++)
		if (!s->overridden[i])
			return ds_fail(err, DS_E_USAGE, "--set %s: the description has no such param", s->o->set[i]);
	DS_TRY(ds_spec_finish_outputs(s, err));
	int before = s->g->n_node;
	ds_graph_prune_dead(s->g);
	if (s->g->n_node < before && s->o && s->o->notes)
		ds_buf_printf(s->o->notes, "%d nodes whose results nobody uses were left out\n", before - s->g->n_node);
	if (ds_graph_name_all(s->g) != DS_OK)
		return ds_fail_nomem(err, 64);
	ds_status rc = ds_graph_verify(s->g, missing, err);
	return rc == DS_OK ? ds_graph_infer(s->g, err) : rc;
}

static ds_status run_all(spec *s, const char *text, size_t n, ds_err *err)
{
	bool ok = n <= SPEC_MAX_FILE;
	for (size_t i = 0, from = 0; ok && i <= n; i++)
		if (i == n || text[i] == '\r') {        /* carriage returns are white space */
			ok = ds_text_ok(text + from, i - from, true);
			from = i + 1;
		}
	if (!ok)
		return ds_fail(err, DS_E_INPUT, "no description of a network: longer than 1 MiB, or not clean UTF-8 text");
	DS_TRY(ds_spec_lex(s, text, n, err));
	s->overridden = ds_arena_alloc(&s->arena, (size_t)(s->o ? s->o->n_set : 0) + 1, sizeof *s->overridden);
	s->m = ds_model_new();
	if (!s->m || !s->overridden)
		return ds_fail_nomem(err, sizeof *s->m);
	s->g = s->m->graph;
	s->at = 0;
	DS_TRY(ds_spec_block(s, err));
	return finish(s, err);
}

static ds_status read_spec(ds_model **out, ds_source *src, const ds_import *o, ds_err *err)
{
	spec *s = ds_calloc(1, sizeof *s);
	const void *p = NULL;
	void *owner = NULL;
	size_t n = 0;
	ds_status rc;
	*out = NULL;
	if (!s) {
		ds_source_close(src);
		return ds_fail_nomem(err, sizeof *s);
	}
	ds_arena_init(&s->arena);
	s->o = o;
	s->file = ds_source_name(src);
	s->prefix = "";
	s->init = (spec_val){ .kind = SPEC_WORD, .word = "" };
	DS_GOTO(ds_source_all(src, o && o->memory_limit ? o->memory_limit : DEFAULT_LIMIT, &p, &n, &owner, err));
	DS_GOTO(run_all(s, p, n, err));
	*out = s->m;
	s->m = NULL;
out:
	ds_err_in(err, ds_source_name(src));
	ds_model_free(s->m);
	ds_omap_done(&s->names);
	ds_omap_done(&s->symbols);
	ds_free(s->tok);
	ds_free(s->bind);
	ds_arena_done(&s->arena);
	ds_free(s);
	ds_source_drop(owner);
	ds_source_close(src);
	return rc;
}

const ds_format ds_format_spec = {
	.name = "spec",
	.help = "descriptions of networks as text, ds-spec(5); their parameters are filled at random",
	.complete = true,
	.probe = probe,
	.read = read_spec,
};
