/* meta.c - ds-convert: what the options tell the model about its inputs and outputs */
#include <string.h>

#include "convert.h"

const char *const convert_value_names[] = { "auto", "logits", "probabilities", "numbers", "input", NULL };

/* Do dims say NHWC?  Channels are 1 or 3 where they are known. */
static bool is_nhwc(const ds_type *t)
{
	bool first = t->dim[1] == 1 || t->dim[1] == 3, last = t->dim[3] == 1 || t->dim[3] == 3;
	return last && !first;
}

/* Preprocessing of input 0 with what its type says filled in. */
static ds_status put_prep(const settings *s, const ds_graph *g, ds_meta *meta, ds_err *err)
{
	const ds_type *t = g->n_input > 0 ? &g->input[0]->type : NULL;
	ds_prep_spec p = s->spec;
	if (!t || (t->rank >= 0 && t->rank != 4))
		return ds_fail(err, DS_E_INPUT, "the model's first input is no picture (it has not four dims), so it takes no --input options");
	if (t->rank == 4) {
		if (s->layout < 0)
			p.layout = is_nhwc(t) ? DS_NHWC : p.layout;
		bool last = p.layout == DS_NHWC;
		int64_t h = t->dim[last ? 1 : 2], w = t->dim[last ? 2 : 3], channels = t->dim[last ? 3 : 1];
		if (!s->size && h > 0 && w > 0 && h <= 65535 && w <= 65535) {
			p.h = (int)h;
			p.w = (int)w;
		} else if ((h > 0 && p.h && p.h != h) || (w > 0 && p.w && p.w != w)) {
			return ds_fail(err, DS_E_USAGE, "--input-size %dx%d: the model's input is %lldx%lld", p.h, p.w, (long long)h, (long long)w);
		}
		if (s->color < 0 && channels == 1)
			p.color = DS_COLOR_GRAY;
		if (channels > 0 && channels != (p.color == DS_COLOR_GRAY ? 1 : 3))
			return ds_fail(err, DS_E_USAGE, "the model's input has %lld channels, %s has %d", (long long)channels, ds_prep_color[p.color],
				p.color == DS_COLOR_GRAY ? 1 : 3);
	}
	DS_TRY(ds_prep_check(&p, err));
	ds_status rc = ds_prep_to_meta(&p, meta, 0);
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "the preprocessing cannot be stored");
}

/* "a,b": names into fresh memory; a comma that belongs to a name has a backslash before it. */
typedef struct names { char *text; const char **v; int n; } names;

static ds_status split_names(names *l, const char *option, const char *text, ds_err *err)
{
	*l = (names){ ds_strdup(text), ds_calloc(strlen(text) + 1, sizeof *l->v), 0 };
	if (!l->text || !l->v)
		return ds_fail_nomem(err, strlen(text));
	char *d = l->text;
	l->v[l->n++] = d;
	for (const char *s = text; *s; s++) {
		bool plain = *s == '\\' && s[1];
		s += plain;
		*d++ = *s == ',' && !plain ? 0 : *s;
		if (*s == ',' && !plain)
			l->v[l->n++] = d;
	}
	*d = 0;
	for (int i = 0; i < l->n; i++) {
		if (!*l->v[i])
			return ds_fail(err, DS_E_USAGE, "--%s '%s': an empty name", option, text);
	}
	return DS_OK;
}

static void names_done(names *l)
{
	ds_free(l->v);
	ds_free(l->text);
}

static ds_status put_rows(const settings *s, const ds_graph *g, ds_meta *meta, ds_err *err)
{
	names column = { 0 }, target = { 0 };
	ds_rows_spec r = { .kind = s->kind, .axes = s->layout - LAYOUT_ROWS, .tokens = s->tokens, .items = s->items, .window = s->window, .hop = s->hop,
		.context = s->context, .rate = s->rate, .horizon = s->horizon };
	ds_status rc = g->n_input ? DS_OK : ds_fail(err, DS_E_INPUT, "the model has no inputs");
	if (rc == DS_OK && s->columns)
		rc = split_names(&column, "columns", s->columns, err);
	if (rc == DS_OK && s->target)
		rc = split_names(&target, "target", s->target, err);
	if (rc == DS_OK) {
		r.column = column.v;
		r.n_column = column.n;
		r.target = target.v;
		r.n_target = target.n;
		rc = ds_rows_to_meta(&r, meta, 0, err);
	}
	names_done(&column);
	names_done(&target);
	return rc;
}

/* --state OUT=IN: pairs of the graph. */
ds_status convert_put_states(const settings *s, ds_graph *g, ds_err *err)
{
	for (int i = 0; i < s->state.n; i++) {
		const char *text = s->state.v[i], *eq = strchr(text, '=');
		ds_value *in = NULL, *out = NULL;
		for (int k = 0; eq && k < g->n_input; k++)
			in = !strcmp(g->input[k]->name, eq + 1) ? g->input[k] : in;
		for (int k = 0; eq && k < g->n_output; k++)
			out = !strncmp(g->output[k]->name, text, (size_t)(eq - text)) && !g->output[k]->name[eq - text] ? g->output[k] : out;
		if (!in || !out)
			return ds_fail(err, DS_E_USAGE, "--state '%s': not the name of an output, = and the name of an input", text);
		for (int k = 0; k < g->n_state; k++) {
			if (g->state[k].in == in || g->state[k].out == out)
				return ds_fail(err, DS_E_USAGE, "--state '%s': one of them is part of a state already", text);
		}
		if (out->type.dtype != DS_NONE && out->type.dtype != in->type.dtype)
			return ds_fail(err, DS_E_USAGE, "--state '%s': of different types", text);
		if (!ds_grow((void **)&g->state, (size_t)g->n_state, &g->cap_state, sizeof *g->state))
			return ds_fail_nomem(err, sizeof *g->state);
		g->state[g->n_state++] = (ds_state){ in, out, DS_NO_SYMBOL, 0 };
	}
	return DS_OK;
}

/* The node whose result output 0 is, operators that only move data left out. */
static const ds_node *last_node(const ds_graph *g)
{
	static const char *const movers[] = { "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast" };
	const ds_value *v = g->n_output > 0 ? g->output[0] : NULL;
	const ds_node *n = NULL;
	for (bool moved = true; moved && v && v->kind == DS_V_NODE;) {
		n = v->node;
		moved = false;
		for (size_t i = 0; i < DS_COUNTOF(movers); i++)
			moved |= strcmp(n->op_name, movers[i]) == 0;
		v = n->n_in > 0 ? n->in[0] : NULL;
	}
	return n;
}

/* "logits", "probabilities", or NULL where output 0 does not look like the scores of a classifier. */
static const char *guess_values(const ds_graph *g)
{
	const ds_node *n = last_node(g);
	const ds_type *t = g->n_output > 0 ? &g->output[0]->type : NULL;
	if (!n || !t || t->rank < 2)
		return NULL;
	for (int i = 2; i < t->rank; i++)
		if (t->dim[i] != 1)
			return NULL;
	if (t->dim[1] >= 0 && t->dim[1] < 2)
		return NULL;
	bool p = strcmp(n->op_name, "Softmax") == 0 || strcmp(n->op_name, "Sigmoid") == 0;
	return convert_value_names[p ? VALUES_PROBABILITIES : VALUES_LOGITS];
}

ds_status convert_read_labels(const settings *s, labels *l, ds_err *err)
{
	ds_source *src = NULL;
	const void *p = NULL;
	void *owner = NULL;
	size_t n = 0;
	ds_labels parsed = { 0 };
	ds_status rc;
	DS_GOTO(ds_open_file(&src, &s->c, s->labels, err));
	DS_GOTO(ds_source_all(src, 64u << 20, &p, &n, &owner, err));
	rc = ds_labels_parse(&parsed, p, n, err);
	if (rc != DS_OK) {
		ds_err_in(err, s->labels);
		goto out;
	}
	l->n = parsed.n;
	l->data = ds_buffer_new(n);
	l->external = ds_history_external("labels", p, n);
	if (!l->data || !l->external)
		DS_GOTO(ds_fail_nomem(err, n));
	if (n)
		memcpy(ds_buffer_data(l->data), p, n);
out:
	ds_labels_done(&parsed);
	ds_source_drop(owner);
	ds_source_close(src);
	return rc;
}

/* The record of the text that --vocabulary names. */
ds_status convert_sum_vocabulary(const settings *s, labels *l, ds_err *err)
{
	ds_source *src = NULL;
	const void *p;
	void *owner;
	size_t n;
	DS_TRY(ds_open_file(&src, &s->c, s->vocabulary, err));
	ds_status rc = ds_source_all(src, (uint64_t)1 << 30, &p, &n, &owner, err);
	ds_source_close(src);
	if (rc != DS_OK)
		return rc;
	l->vocabulary = ds_history_external("vocabulary", p, n);
	ds_source_drop(owner);
	return l->vocabulary ? DS_OK : ds_fail_nomem(err, n);
}

void convert_labels_done(labels *l)
{
	ds_buffer_unref(l->data);
	ds_free(l->external);
	ds_free(l->vocabulary);
}

ds_status convert_put_meta(const settings *s, const ds_graph *g, const labels *l, bool guess, ds_meta *meta, ds_err *err)
{
	const char *values = s->values != VALUES_AUTO ? convert_value_names[s->values] : s->horizon > 0 ? convert_value_names[VALUES_NUMBERS] : guess ? guess_values(g) : NULL;
	ds_status rc = DS_OK;
	if (s->prep)
		DS_TRY(put_prep(s, g, meta, err));
	if (s->rows)
		DS_TRY(put_rows(s, g, meta, err));
	if (values)
		rc = ds_meta_set_str(meta, "output.0.values", values);
	if (rc == DS_OK && l->data)
		rc = ds_meta_set_str(meta, "output.0.labels", "labels");
	if (rc != DS_OK)
		return ds_fail(err, rc, "the metadata cannot be stored");
	const ds_type *t = g->n_output > 0 ? &g->output[0]->type : NULL;
	if (l->data && t && t->rank >= 2 && t->dim[1] >= 0 && t->dim[1] != l->n)
		ds_warn("%s: %d labels for an output of %lld classes", s->labels, l->n, (long long)t->dim[1]);
	return DS_OK;
}
