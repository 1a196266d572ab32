/* spec_header.c - statements of a description beside its layers: name, param, input, output, labels, meta, init */
#include "spec.h"

#include "../base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- metadata ------------------------------------------------------------------------------------------------------------------------ */
/* Keys of a picture (ds-model(5)) whose type does not follow from what is written. */
static const struct { const char *key; bool real; const char *def; } picture[] = {
	{ "resize", false, "stretch" }, { "interpolation", false, "bilinear-antialias" }, { "crop", false, "none" }, { "color", false, NULL },
	{ "layout", false, "NCHW" }, { "fill", true, "0" }, { "scale", true, "1" }, { "mean", true, "0" }, { "std", true, "1" },
};

static bool is_real(const char *key)
{
	for (size_t i = 0; i < DS_COUNTOF(picture); i++)
		if (strcmp(picture[i].key, key) == 0)
			return picture[i].real;
	return false;
}

/* Words of a list as one list of strings. */
static ds_status meta_words(spec *s, const char *key, const spec_val *v, ds_err *err)
{
	const char *w[SPEC_MAX_LIST];
	for (int i = 0; i < v->n; i++) {
		if (v->item[i].kind != SPEC_WORD)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s: words and numbers in one list", key);
		w[i] = v->item[i].word;
	}
	ds_status rc = ds_meta_set_list(&s->m->meta, key, v->n, w);
	return rc == DS_OK ? DS_OK : ds_spec_fail(s, err, rc, "%s cannot be stored", key);
}

ds_status ds_spec_meta(spec *s, const char *what, int i, const char *key, const spec_val *v, ds_err *err)
{
	char full[256];
	const spec_val *item = v->kind == SPEC_LIST ? v->item : v;
	int n = v->kind == SPEC_LIST ? v->n : 1;
	double f[SPEC_MAX_LIST];
	int64_t w[SPEC_MAX_LIST];
	bool whole = !is_real(key);
	ds_status rc;
	if (what)
		snprintf(full, sizeof full, "%s.%d.%.200s", what, i, key);
	else
		snprintf(full, sizeof full, "%.200s", key);
	if (strcmp(full, "kind") == 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "the key 'kind' is the container's own");
	if (v->kind == SPEC_LAYER)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: a layer is no metadata", full);
	if (v->kind == SPEC_WORD) {
		rc = ds_meta_set_str(&s->m->meta, full, v->word);
		return rc == DS_OK ? DS_OK : ds_spec_fail(s, err, rc, "%s cannot be stored", full);
	}
	if (n > 0 && item[0].kind == SPEC_WORD)
		return meta_words(s, full, v, err);
	for (int k = 0; k < n; k++) {
		if (item[k].kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s: words and numbers in one list", full);
		f[k] = item[k].number;
		whole &= f[k] == floor(f[k]) && fabs(f[k]) < 0x1p53;
		w[k] = whole ? (int64_t)f[k] : 0;
	}
	rc = whole ? ds_meta_set_i64(&s->m->meta, full, n, w) : ds_meta_set_f64(&s->m->meta, full, n, f);
	return rc == DS_OK ? DS_OK : ds_spec_fail(s, err, rc, "%s cannot be stored", full);
}

/* ---- name, param, meta, init, labels ------------------------------------------------------------------------------------------------- */
/* The rest of the line as words and texts with spaces between them. */
static ds_status run_name(spec *s, ds_err *err)
{
	ds_buf b = { 0 };
	for (; !ds_spec_at_end(s); s->at++) {
		if (b.len && spec_tok(s)->space)
			ds_buf_str(&b, " ");
		ds_buf_str(&b, spec_tok(s)->text);
	}
	ds_status rc = b.oom ? ds_fail_nomem(err, b.len) : b.len == 0 ? ds_spec_fail(s, err, DS_E_INPUT, "name: what is it?") : DS_OK;
	if (rc == DS_OK && (rc = ds_meta_set_str(&s->m->meta, "model.name", b.data)) != DS_OK)
		rc = ds_spec_fail(s, err, rc, "the name cannot be stored");
	ds_buf_done(&b);
	return rc;
}

/* What --set says about a param; false: nothing. */
static bool override(spec *s, const char *name, spec_val *v)
{
	bool found = false;
	for (int i = 0; s->o && i < s->o->n_set; i++) {
		const char *eq = strchr(s->o->set[i], '=');
		if (!eq || (size_t)(eq - s->o->set[i]) != strlen(name) || strncmp(s->o->set[i], name, strlen(name)) != 0)
			continue;
		double number;
		*v = (spec_val){ .kind = SPEC_WORD, .word = eq + 1 };
		if (ds_parse_f64(eq + 1, &number))
			*v = (spec_val){ .kind = SPEC_NUMBER, .number = number };
		s->overridden[i] = found = true;
	}
	return found;
}

static ds_status run_param(spec *s, ds_err *err)
{
	const char *name = spec_tok(s)->text;
	spec_val v, given;
	DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "the name of a parameter", err));
	if (s->depth > 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "a param inside a def");
	if (ds_spec_layer_known(name))
		return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is an operator and no name", name);
	if (ds_spec_find(s, name))
		return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' exists already", name);
	DS_TRY(ds_spec_expect(s, '=', "a '='", err));
	DS_TRY(ds_spec_expr(s, &v, err));
	if (v.kind == SPEC_LAYER)
		return ds_spec_fail(s, err, DS_E_INPUT, "a param is a number or a word");
	if (override(s, name, &given)) {
		if (v.kind == SPEC_NUMBER && given.kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_USAGE, "--set %.64s=%.64s: not a number", name, given.word);
		v = given;
	}
	return ds_spec_set(s, name, &v, err);
}

static ds_status run_meta(spec *s, ds_err *err)
{
	const spec_token *key = spec_tok(s);
	spec_val v;
	if (key->kind != SPEC_T_NAME && key->kind != SPEC_T_TEXT)
		return ds_spec_fail(s, err, DS_E_INPUT, "meta: a key is missing before '%.64s'", key->text);
	s->at++;
	DS_TRY(ds_spec_expr(s, &v, err));
	return ds_spec_meta(s, NULL, 0, key->text, &v, err);
}

static ds_status run_init(spec *s, ds_err *err)
{
	return ds_spec_expr(s, &s->init, err);
}

static ds_status run_labels(spec *s, ds_err *err)
{
	ds_buf b = { 0 };
	int64_t last;
	ds_status rc = DS_OK;
	while (!ds_spec_at_end(s)) {
		spec_val v;
		DS_GOTO(ds_spec_expr(s, &v, err));
		if (v.kind == SPEC_NUMBER) {
			DS_GOTO(ds_spec_whole(s, &v, "a label", -SPEC_MAX_SIZE, SPEC_MAX_SIZE, &last, err));
			ds_buf_printf(&b, "%lld\n", (long long)last);
		} else if (v.kind == SPEC_WORD) {
			ds_buf_printf(&b, "%s\n", v.word);
		} else {
			DS_GOTO(ds_spec_fail(s, err, DS_E_INPUT, "a label is a word"));
		}
	}
	ds_buffer *data = b.oom ? NULL : ds_buffer_new(b.len);
	if (!data)
		DS_GOTO(ds_fail_nomem(err, b.len));
	if (b.len)
		memcpy(ds_buffer_data(data), b.data, b.len);
	rc = ds_model_asset_set(s->m, "labels", "text/plain", data);
	if (rc == DS_OK)
		rc = ds_meta_set_str(&s->m->meta, "output.0.labels", "labels");
	if (rc != DS_OK)
		rc = ds_fail_nomem(err, b.len);
out:
	ds_buf_done(&b);
	return rc;
}

/* ---- input --------------------------------------------------------------------------------------------------------------------------- */
/* A dim: a size, or a name that begins with a capital and stands for a free one. */
static ds_status read_dim(spec *s, int64_t *d, ds_err *err)
{
	spec_val v;
	const spec_token *t = spec_tok(s);
	DS_TRY(ds_spec_expr(s, &v, err));
	if (v.kind != SPEC_WORD || v.quoted || v.n || *v.word < 'A' || *v.word > 'Z') {
		if (t->kind == SPEC_T_NAME && v.kind == SPEC_WORD)
			return ds_spec_unknown(s, v.word, err);
		return ds_spec_whole(s, &v, "a dim", 1, SPEC_MAX_SIZE, d, err);
	}
	int *known = ds_omap_get(&s->symbols, v.word);
	if (!known) {
		known = ds_arena_alloc(&s->arena, 1, sizeof *known);
		if (!known || (*known = ds_graph_symbol(s->g, v.word)) < 0 || !ds_omap_set(&s->symbols, v.word, known))
			return ds_fail_nomem(err, 64);
	}
	*d = -1 - (int64_t)*known;
	return DS_OK;
}

static ds_status read_type(spec *s, ds_type *t, ds_err *err)
{
	*t = (ds_type){ .dtype = DS_F32 };
	if (spec_is(s, SPEC_T_NAME)) {
		const ds_dtype_row *row = ds_dtype_by_name(spec_tok(s)->text);
		if (!row || !ds_dtype_size(row->dtype))
			return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' is no type (f32, i64, ...)", spec_tok(s)->text);
		t->dtype = row->dtype;
		s->at++;
	}
	DS_TRY(ds_spec_expect(s, '[', "a '[' with the dims", err));
	while (!spec_is(s, ']')) {
		if (t->rank == DS_MAX_RANK)
			return ds_spec_fail(s, err, DS_E_INPUT, "more than %d dims", DS_MAX_RANK);
		DS_TRY(read_dim(s, &t->dim[t->rank++], err));
		if (spec_is(s, ','))
			s->at++;
		else if (!spec_is(s, ']'))
			return ds_spec_fail(s, err, DS_E_INPUT, "a ',' or ']' is missing before '%.64s'", spec_tok(s)->text);
	}
	s->at++;
	return DS_OK;
}

/* Keys that were not written, once the input is a picture. */
static ds_status fill_picture(spec *s, int i, const ds_type *t, ds_err *err)
{
	char key[64];
	ds_meta *m = &s->m->meta;
	snprintf(key, sizeof key, "input.%d.layout", i);
	const char *layout = ds_meta_str(m, key);
	bool last = layout && strcmp(layout, "NHWC") == 0;
	if (t->rank != 4)
		return ds_spec_fail(s, err, DS_E_INPUT, "a picture has four dims: [N, channels, height, width]");
	int64_t size[2] = { DS_MAX(t->dim[last ? 1 : 2], 0), DS_MAX(t->dim[last ? 2 : 3], 0) }, channels = t->dim[last ? 3 : 1];
	spec_val v = { .kind = SPEC_WORD };
	snprintf(key, sizeof key, "input.%d.color", i);
	if (!ds_meta_find(m, key)) {
		v.word = channels == 1 ? "gray" : "RGB";
		DS_TRY(ds_spec_meta(s, "input", i, "color", &v, err));
	}
	for (size_t k = 0; k < DS_COUNTOF(picture); k++) {
		snprintf(key, sizeof key, "input.%d.%s", i, picture[k].key);
		if (ds_meta_find(m, key) || !picture[k].def)
			continue;
		v = (spec_val){ .kind = picture[k].real ? SPEC_NUMBER : SPEC_WORD, .word = picture[k].def, .number = picture[k].def[0] == '1' };
		DS_TRY(ds_spec_meta(s, "input", i, picture[k].key, &v, err));
	}
	snprintf(key, sizeof key, "input.%d.resize_to", i);
	int64_t zero = 0;
	ds_status rc = ds_meta_find(m, key) ? DS_OK : ds_meta_set_i64(m, key, 1, &zero);
	snprintf(key, sizeof key, "input.%d.size", i);
	const ds_kv *given = ds_meta_find(m, key);      /* of a preset or a free size */
	if (rc == DS_OK && (!given || (size[0] && size[1])))
		rc = ds_meta_set_i64(m, key, 2, size);
	snprintf(key, sizeof key, "input.%d.kind", i);
	if (rc == DS_OK)
		rc = ds_meta_set_str(m, key, "image");
	return rc == DS_OK ? DS_OK : ds_fail_nomem(err, 64);
}

static ds_status put_preset(spec *s, int i, const char *name, ds_err *err)
{
	if (!s->o || !s->o->preset)
		return ds_spec_fail(s, err, DS_E_UNSUPPORTED, "preset=%.64s: no presets are known here", name);
	ds_status rc = s->o->preset(name, i, &s->m->meta, err);
	if (rc == DS_E_USAGE)
		rc = ds_spec_fail(s, err, DS_E_INPUT, "preset=%.64s: ds-convert --input-preset=help lists the names", name);
	return ds_spec_here(s, rc, err);
}

/* KEY=VALUE up to the end of the line; keys after a preset change it. */
static ds_status read_keys(spec *s, const char *what, int i, bool *image, ds_err *err)
{
	*image = false;
	while (!ds_spec_at_end(s)) {
		const char *key = spec_tok(s)->text;
		spec_val v;
		if (!spec_is(s, SPEC_T_NAME) || s->tok[s->at + 1].kind != '=')
			return ds_spec_fail(s, err, DS_E_INPUT, "%s: KEY=VALUE is missing before '%.64s'", what, key);
		s->at += 2;
		const char *word = spec_tok(s)->text;
		DS_TRY(ds_spec_expr(s, &v, err));
		if (v.kind == SPEC_LAYER)               /* a word that happens to be a layer's name too */
			v = (spec_val){ .kind = SPEC_WORD, .word = word };
		if (strcmp(key, "preset") == 0 && v.kind == SPEC_WORD && strcmp(what, "input") == 0) {
			DS_TRY(put_preset(s, i, v.word, err));
			*image = true;
			continue;
		}
		DS_TRY(ds_spec_meta(s, what, i, key, &v, err));
		for (size_t k = 0; k < DS_COUNTOF(picture); k++)
			*image |= strcmp(picture[k].key, key) == 0;
	}
	return DS_OK;
}

static ds_status run_input(spec *s, ds_err *err)
{
	const char *name = spec_tok(s)->text;
	char key[64];
	ds_type t;
	bool image;
	DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "the name of the input", err));
	if (s->depth > 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "an input inside a def");
	if (ds_spec_layer_known(name) || ds_spec_find(s, name) || ds_omap_get(&s->names, name))
		return ds_spec_fail(s, err, DS_E_INPUT, "'%.64s' exists already", name);
	DS_TRY(read_type(s, &t, err));
	ds_value *v = ds_graph_input(s->g, name, &t);
	if (!v || !ds_omap_set(&s->names, name, v))
		return ds_fail_nomem(err, 64);
	s->cur = v;
	int i = s->g->n_input - 1;
	DS_TRY(read_keys(s, "input", i, &image, err));
	DS_TRY(ds_spec_set(s, name, &(spec_val){ .kind = SPEC_LAYER, .layer = v }, err));
	snprintf(key, sizeof key, "input.%d.kind", i);
	const char *kind = ds_meta_str(&s->m->meta, key);
	if (image && !kind && t.rank == 4)
		kind = "image";
	return kind && strcmp(kind, "image") == 0 ? fill_picture(s, i, &t, err) : DS_OK;
}

/* ---- output -------------------------------------------------------------------------------------------------------------------------- */
static ds_status add_output(spec *s, const char *name, ds_value *v, ds_err *err)
{
	bool twice = v->kind != DS_V_NODE;
	for (int i = 0; i < s->g->n_output; i++)
		twice |= s->g->output[i] == v;
	void *used = ds_omap_get(&s->names, name);
	if (used && (twice || strcmp(v->name, name) != 0))
		return ds_spec_fail(s, err, DS_E_INPUT, "the name '%.64s' of the output belongs to another layer", name);
	if (twice)              /* a value has one name: a copy bears the second */
		DS_TRY(ds_spec_simple(s, "Identity", name, NULL, 1, &v, &v, err));
	if (!(v->name = ds_arena_strdup(&s->g->arena, name)) || !ds_omap_set(&s->names, v->name, v) || ds_graph_output(s->g, v) != DS_OK)
		return ds_fail_nomem(err, 64);
	return DS_OK;
}

static ds_status run_output(spec *s, ds_err *err)
{
	const char *name = spec_tok(s)->text;
	spec_val v = { .kind = SPEC_LAYER, .layer = s->cur };
	bool image;
	DS_TRY(ds_spec_expect(s, SPEC_T_NAME, "the name of the output", err));
	if (spec_is(s, '(') && !spec_tok(s)->space) {
		s->at++;
		DS_TRY(ds_spec_expr(s, &v, err));
		DS_TRY(ds_spec_expect(s, ')', "a ')'", err));
	}
	if (v.kind == SPEC_WORD && !v.quoted)
		return ds_spec_unknown(s, v.word, err);
	if (v.kind != SPEC_LAYER || !v.layer)
		return ds_spec_fail(s, err, DS_E_INPUT, "there is no layer that the output '%.64s' could be", name);
	DS_TRY(add_output(s, name, v.layer, err));
	return read_keys(s, "output", s->g->n_output - 1, &image, err);
}

ds_status ds_spec_finish_outputs(spec *s, ds_err *err)
{
	if (s->g->n_input == 0)
		return ds_fail(err, DS_E_INPUT, "the description has no input");
	if (s->g->n_output > 0)
		return DS_OK;
	return add_output(s, "output", s->cur, err);
}

const spec_statement ds_spec_headers[] = {
	{ "name", run_name }, { "param", run_param }, { "input", run_input }, { "output", run_output }, { "labels", run_labels },
	{ "meta", run_meta }, { "init", run_init }, { NULL }
};
