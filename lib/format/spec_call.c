/* spec_call.c - lines with layers: what they read, blocks that are called, names */
#include "spec.h"

#include <stdio.h>
#include <string.h>

/* ---- names of layers ----------------------------------------------------------------------------------------------------------------- */
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

/* ---- def ----------------------------------------------------------------------------------------------------------------------------- */
static spec_def *find_def(const spec *s, const char *name)
{
	for (spec_def *d = s->def; d; d = d->next)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

ds_status ds_spec_def(spec *s, ds_err *err)
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
	return ds_spec_skip(s, err);
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
		rc = ds_spec_block(s, err);
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

/* ---- layers -------------------------------------------------------------------------------------------------------------------------- */
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

ds_status ds_spec_pipeline(spec *s, int n_out, const char *const *names, ds_err *err)
{
	const char *prefix = s->prefix, *as = n_out ? names[0] : NULL;
	ds_value *out[SPEC_MAX_OUT] = { NULL };
	bool several = false;
	for (int i = s->at, k; as && (k = s->tok[i].kind) != SPEC_T_LINE && k != SPEC_T_END && k != ';' && k != '}'; i++)
		several |= k == '|';
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

ds_status ds_spec_assign(spec *s, int n, const char *const *names, ds_err *err)
{
	spec_val v;
	for (int i = 0; i < n; i++)
		if (ds_spec_layer_known(names[i]) || find_def(s, names[i]))
			return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is an operator or a block and no name", names[i]);
	const spec_token *t = spec_tok(s);
	bool new_word = t->kind == SPEC_T_NAME && !ds_spec_find(s, t->text);
	if (new_word && (ds_spec_layer_known(t->text) || find_def(s, t->text)))
		return ds_spec_pipeline(s, n, names, err);
	if (new_word && (t[1].kind != '(' || t[1].space))
		return unknown_layer(s, t->text, err);
	if (n > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "several names need an operator with several results");
	DS_TRY(ds_spec_expr(s, &v, err));
	return ds_spec_set(s, names[0], &v, err);
}

