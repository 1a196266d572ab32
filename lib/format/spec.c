/* spec.c - the spec format: is it one, and how its statements run (ds-spec(5)) */
#include "spec.h"

#include "../base/str.h"

#include <stdio.h>
#include <string.h>

static const uint64_t DEFAULT_LIMIT = (uint64_t)2 << 30;

static ds_status block(spec *s, ds_err *err);
static ds_status statement(spec *s, ds_err *err);

/* ---- is it one? ----------------------------------------------------------------------------------------------------------------------------- */
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

/* ---- names of layers ------------------------------------------------------------------------------------------------------------------------ */
const char *ds_spec_name(spec *s, const char *base, bool numbered)
{
	char *stem = ds_arena_printf(&s->arena, "%s%s", s->prefix, base);
	if (!stem)
		return NULL;
	/* behind the stem the map counts the names that were made of it */
	char *key = ds_arena_printf(&s->arena, "%s\n%d", stem, numbered);
	int *count = key ? ds_omap_get(&s->names, key) : NULL;
	if (key && !count) {
		count = ds_arena_alloc(&s->arena, 1, sizeof *count);
		if (!count || !ds_omap_set(&s->names, key, count))
			return NULL;
	}
	if (!count)
		return NULL;
	for (;;) {
		char *name = ++*count == 1 && !numbered ? stem : ds_arena_printf(&s->arena, numbered ? "%s%d" : "%s_%d", stem, *count);
		if (!name)
			return NULL;
		if (!ds_omap_get(&s->names, name))
			return ds_omap_set(&s->names, name, name) ? name : NULL;
	}
}

/* ---- blocks ----------------------------------------------------------------------------------------------------------------------------------- */
/* From behind a { to behind its }. */
static ds_status skip_block(spec *s, ds_err *err)
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
	DS_TRY(skip_block(s, err));
	int after = s->at;
	for (int64_t i = 0; i < times; i++) {
		s->at = body;
		v.number = (double)i;
		if (counter)
			DS_TRY(ds_spec_set(s, counter, &v, err));
		DS_TRY(block(s, err));
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
			DS_TRY(block(s, err));
		else
			DS_TRY(skip_block(s, err));
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

/* ---- def ---------------------------------------------------------------------------------------------------------------------------------------- */
static spec_def *find_def(const spec *s, const char *name)
{
	for (spec_def *d = s->def; d; d = d->next)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static ds_status run_def(spec *s, ds_err *err)
{
	spec_def *d = ds_arena_alloc(&s->arena, 1, sizeof *d);
	if (!d)
		return ds_fail_nomem(err, sizeof *d);
	d->name = spec_tok(s)->text;
	DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "the name of the block", err));
	if (ds_spec_layer_known(d->name) || find_def(s, d->name))
		return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' exists already", d->name);
	if (s->depth > 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "a def inside a def");
	DS_TRY(ds_spec_expect(s, '(', "a '(' with the names of its sizes", err));
	d->args = s->at;
	while (!spec_is(s, ')') && !spec_is(s, SPEC_T_END) && !spec_is(s, '{'))
		s->at++;
	DS_TRY(ds_spec_expect(s, ')', "a ')'", err));
	DS_TRY(ds_spec_expect(s, '{', "a '{'", err));
	d->body = s->at;
	d->next = s->def;
	s->def = d;
	return skip_block(s, err);
}

/* Bind the names in the parentheses of a def: sizes in order, layers in order, keys, defaults. */
static ds_status bind_args(spec *s, const spec_def *d, spec_call *c, ds_err *err)
{
	int pos = 0;
	s->at = d->args;
	while (!spec_is(s, ')')) {
		const char *name = spec_tok(s)->text;
		const spec_val *key;
		spec_val v = { .kind = SPEC_WORD };
		bool have = true;
		DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "a name", err));
		if (spec_is(s, '=')) {
			s->at++;
			DS_TRY(ds_spec_expr(s, &v, err));
		} else {
			have = false;
		}
		key = ds_spec_key(c, name);
		if (key)
			v = *key;
		else if (pos < c->n_pos)
			v = c->pos[pos++];
		else if (!have)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s: '%.64s' is not given", d->name, name);
		DS_TRY(ds_spec_set(s, name, &v, err));
		if (spec_is(s, ','))
			s->at++;
		else if (!spec_is(s, ')'))
			return ds_spec_fail(s, err, DS_E_INPUT, "def %s: a ',' or ')' is missing before '%.64s'", d->name, spec_tok(s)->text);
	}
	if (pos < c->n_pos)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s takes %d size%s, here are %d", d->name, pos, pos == 1 ? "" : "s", c->n_pos);
	for (int i = 0; i < c->n_key; i++)
		if (!c->key[i].used)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s has no '%.64s'", d->name, c->key[i].key);
	return DS_OK;
}

static ds_status call_def(spec *s, const spec_def *d, spec_call *c, const char *as, ds_value **out, ds_err *err)
{
	const char *prefix = s->prefix;
	const char *name = as ? ds_spec_name(s, as, false) : ds_spec_name(s, d->name, true);
	size_t frame = s->frame, n_bind = s->n_bind;
	int after = s->at, line = s->line;
	ds_status rc;
	if (c->n_in > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: a block reads one layer; give others by name, such as x=y", d->name);
	if (s->depth >= SPEC_MAX_DEPTH)
		return ds_spec_fail(s, err, DS_E_INPUT, "blocks call each other more than %d deep", SPEC_MAX_DEPTH);
	if (!name || !(s->prefix = ds_arena_printf(&s->arena, "%s.", name)))
		return ds_fail_nomem(err, 64);
	if (c->n_in == 1)
		s->cur = c->in[0];
	s->depth++;
	s->frame = s->n_bind;
	rc = bind_args(s, d, c, err);
	if (rc == DS_OK) {
		s->at = d->body;
		rc = block(s, err);
	}
	if (rc != DS_OK) {              /* `where` is the line of the failure */
		size_t used = err ? strlen(err->text) : 0;
		if (err && rc != DS_E_NOMEM)
			snprintf(err->text + used, sizeof err->text - used, ", in %.64s from line %d", d->name, line);
		return rc;
	}
	s->depth--;
	s->frame = frame;
	s->n_bind = n_bind;
	s->prefix = prefix;
	s->at = after;
	s->line = line;
	out[0] = s->cur;
	return DS_OK;
}

/* ---- layers --------------------------------------------------------------------------------------------------------------------------------------- */
static ds_status add_in(spec *s, spec_call *c, ds_value *v, ds_err *err)
{
	if (c->n_in == SPEC_MAX_ARG)
		return ds_spec_fail(s, err, DS_E_INPUT, "more than %d layers on one line", SPEC_MAX_ARG);
	c->in[c->n_in++] = v;
	return DS_OK;
}

static ds_status add_arg(spec *s, spec_call *c, ds_err *err)
{
	const spec_token *t = spec_tok(s);
	spec_val v;
	if (t->kind == SPEC_T_NAME && s->tok[s->at + 1].kind == '=') {
		for (int i = 0; i < c->n_key; i++)
			if (strcmp(c->key[i].key, t->text) == 0)
				return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is given twice", t->text);
		if (c->n_key == SPEC_MAX_ARG)
			return ds_spec_fail(s, err, DS_E_INPUT, "more than %d keys on one line", SPEC_MAX_ARG);
		s->at += 2;
		DS_TRY(ds_spec_expr(s, &v, err));
		c->key[c->n_key++] = (spec_arg){ .key = t->text, .val = v };
		return DS_OK;
	}
	DS_TRY(ds_spec_expr(s, &v, err));
	if (v.kind == SPEC_LAYER)
		return add_in(s, c, v.layer, err);
	if (v.kind == SPEC_WORD && !v.quoted)
		return ds_spec_unknown(s, v.word, err);
	if (c->n_pos == SPEC_MAX_ARG)
		return ds_spec_fail(s, err, DS_E_INPUT, "more than %d sizes on one line", SPEC_MAX_ARG);
	c->pos[c->n_pos++] = v;
	return DS_OK;
}

/* After the operator's name: (layers) or the last result, then sizes, names of further layers and keys. */
static ds_status read_call(spec *s, spec_call *c, ds_err *err)
{
	if (spec_is(s, '(') && !spec_tok(s)->space) {
		s->at++;
		while (!spec_is(s, ')')) {
			spec_val v;
			DS_TRY(ds_spec_expr(s, &v, err));
			if (v.kind == SPEC_WORD && !v.quoted)
				return ds_spec_unknown(s, v.word, err);
			if (v.kind != SPEC_LAYER)
				return ds_spec_fail(s, err, DS_E_INPUT, "%s( ) holds layers; sizes come after it", c->op);
			DS_TRY(add_in(s, c, v.layer, err));
			if (spec_is(s, ','))
				s->at++;
			else if (!spec_is(s, ')'))
				return ds_spec_fail(s, err, DS_E_INPUT, "a ',' or ')' is missing before '%.64s'", spec_tok(s)->text);
		}
		s->at++;
	} else if (s->cur) {
		DS_TRY(add_in(s, c, s->cur, err));
	}
	while (!ds_spec_at_end(s))
		DS_TRY(add_arg(s, c, err));
	return DS_OK;
}

static ds_status unknown_layer(spec *s, const char *word, ds_err *err)
{
	static const char *const blocks[] = { "repeat", "if", "def" };
	const char *best = NULL;
	int d = 3;
	for (const spec_def *def = s->def; def; def = def->next)
		ds_spec_nearer(word, def->name, &best, &d);
	for (const spec_statement *h = ds_spec_headers; h->word; h++)
		ds_spec_nearer(word, h->word, &best, &d);
	for (size_t i = 0; i < DS_COUNTOF(blocks); i++)
		ds_spec_nearer(word, blocks[i], &best, &d);
	ds_spec_layer_nearest(word, &best, &d);
	return ds_spec_fail(s, err, DS_E_INPUT, "no operator, block or statement is called '%.64s'%s", word, ds_spec_hint(s, best));
}

/* One layer or call of a block; `as`: the name it is given, NULL: none. */
static ds_status stage(spec *s, const char *as, int n_out, const char *const *names, ds_value **out, ds_err *err)
{
	const spec_token *t = spec_tok(s);
	spec_call *c = ds_arena_alloc(&s->arena, 1, sizeof *c);
	if (!c)
		return ds_fail_nomem(err, sizeof *c);
	DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "an operator", err));
	const spec_def *d = find_def(s, t->text);
	if (!d && !ds_spec_layer_known(t->text))
		return unknown_layer(s, t->text, err);
	c->op = t->text;
	DS_TRY(read_call(s, c, err));
	if (d && n_out > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "a block has one result");
	if (d) {
		DS_TRY(call_def(s, d, c, as, out, err));
	} else {
		const char *base = as ? as : ds_spec_layer_base(s, t->text);
		c->name = base ? ds_spec_name(s, base, !as) : NULL;
		c->n_out = n_out;
		for (int i = 1; i < n_out; i++)
			if (!(c->out_name[i] = ds_spec_name(s, names[i], false)))
				return ds_fail_nomem(err, 64);
		if (!c->name)
			return ds_fail_nomem(err, 64);
		if (++s->layers > SPEC_MAX_LAYERS)
			return ds_spec_fail(s, err, DS_E_INPUT, "more than %d layers", SPEC_MAX_LAYERS);
		DS_TRY(ds_spec_layer_make(s, c, out, err));
	}
	s->cur = out[0];
	return DS_OK;
}

/* Stages with | between them; with a name the stages' own names begin with it. */
static ds_status pipeline(spec *s, int n_out, const char *const *names, ds_err *err)
{
	const char *prefix = s->prefix, *as = n_out ? names[0] : NULL;
	ds_value *out[SPEC_MAX_OUT] = { NULL };
	bool several = false;
	for (int i = s->at; as && s->tok[i].kind != SPEC_T_LINE && s->tok[i].kind != SPEC_T_END && s->tok[i].kind != ';' && s->tok[i].kind != '}'; i++)
		several |= s->tok[i].kind == '|';
	if (several && n_out > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "several names and several stages");
	if (several) {
		const char *name = ds_spec_name(s, as, false);
		if (!name || !(s->prefix = ds_arena_printf(&s->arena, "%s.", name)))
			return ds_fail_nomem(err, 64);
	}
	for (;;) {
		DS_TRY(stage(s, several ? NULL : as, n_out ? n_out : 1, names, out, err));
		if (!spec_is(s, '|'))
			break;
		s->at++;
		while (spec_is(s, SPEC_T_LINE))         /* a line may end with | */
			s->at++;
	}
	s->prefix = prefix;
	for (int i = 0; i < n_out; i++)
		DS_TRY(ds_spec_set(s, names[i], &(spec_val){ .kind = SPEC_LAYER, .layer = out[i] }, err));
	return DS_OK;
}

/* NAME = ..., with the position behind the =. */
static ds_status assign(spec *s, int n, const char *const *names, ds_err *err)
{
	spec_val v;
	for (int i = 0; i < n; i++)
		if (ds_spec_layer_known(names[i]) || find_def(s, names[i]))
			return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is an operator or a block and no name", names[i]);
	if (spec_is(s, SPEC_T_NAME) && !ds_spec_find(s, spec_tok(s)->text) && (ds_spec_layer_known(spec_tok(s)->text) || find_def(s, spec_tok(s)->text)))
		return pipeline(s, n, names, err);
	if (spec_is(s, SPEC_T_NAME) && !ds_spec_find(s, spec_tok(s)->text) && (s->tok[s->at + 1].kind != '(' || s->tok[s->at + 1].space))
		return unknown_layer(s, spec_tok(s)->text, err);
	if (n > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "several names need an operator with several results");
	DS_TRY(ds_spec_expr(s, &v, err));
	return ds_spec_set(s, names[0], &v, err);
}

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

/* ---- statements ------------------------------------------------------------------------------------------------------------------------------------- */
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

static const spec_statement blocks[] = { { "repeat", run_repeat }, { "if", run_if }, { "def", run_def }, { NULL } };

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
		return assign(s, n, names, err);
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
	return pipeline(s, 0, NULL, err);
}

/* Statements up to the } of a block, which is read too, or to the end of the file. */
static ds_status block(spec *s, ds_err *err)
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

/* ---- import ------------------------------------------------------------------------------------------------------------------------------------------ */
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
	DS_TRY(block(s, err));
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
