/* ds-convert.c - models of other formats into DSM streams, and what a model should know about its inputs and outputs
 *
 * ONNX and descriptions are read whole and become a graph; safetensors and DSM pass through in blocks, so that memory does not grow with the model. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "data/data.h"
#include "format/dsm_pass.h"
#include "format/format.h"
#include "format/history.h"
#include "graph/op.h"

typedef struct settings {
	ds_common   c;
	int         from, to;
	bool        check;
	ds_strs     set;
	const char *size, *resize, *mean, *std, *scale, *fill, *preset, *labels;
	int         interpolation, crop, color, layout, values;
	int         kind, tokens, items;
	const char *columns, *target, *vocabulary;
	ds_strs     state;
	int64_t     window, hop, context, rate, horizon;
	/* derived by check() */
	bool        rows;               /* an option about rows was given */
	bool         prep;              /* an option about preprocessing was given */
	ds_prep_spec spec;
} settings;

#define DS_FORMAT(name) #name,
static const char *const from_names[] = { "auto", "dsm",
#include "format/formats.def"
	NULL };
#undef DS_FORMAT
enum { FROM_AUTO, FROM_DSM, FROM_FIRST };
static const char *const to_names[] = { "dsm", NULL };
static const char *const value_names[] = { "auto", "logits", "probabilities", "numbers", "input", NULL };
static const char *const layout_names[] = { "NCHW", "NHWC", "NT", "TN", "NTC", "NCT", "TNC", NULL };
enum { LAYOUT_ROWS = 2 };       /* from here on: ds_axes_names */
enum { VALUES_AUTO, VALUES_LOGITS, VALUES_PROBABILITIES, VALUES_NUMBERS };
static const char *const check_columns[] = { "operator", "domain", "nodes", "supported", NULL };

#define AT(member) offsetof(settings, member)

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "Formats" },
	{ .name = "from", .type = DS_T_CHOICE, .flags = DS_OPT_NO_HIST, .offset = AT(from), .metavar = "FORMAT", .def = "auto", .choices = from_names,
		.help = "format of the input; auto finds it out from the content" },
	{ .name = "to", .type = DS_T_CHOICE, .flags = DS_OPT_NO_HIST, .offset = AT(to), .metavar = "FORMAT", .def = "dsm", .choices = to_names,
		.help = "format of the output" },
	{ .name = "check", .type = DS_T_FLAG, .flags = DS_OPT_NO_HIST, .offset = AT(check),
		.help = "list every operator and whether it is supported, write no model; exit 4 if one is not" },
	{ .name = "set", .letter = 'D', .type = DS_T_LIST, .offset = AT(set), .metavar = "NAME=VALUE",
		.help = "a param of a description (spec) gets this value" },
	{ .name = "", .type = DS_T_GROUP, .help = "How a picture becomes the first input (kept in the model)" },
	{ .name = "input-preset", .type = DS_T_STR, .offset = AT(preset), .metavar = "NAME",
		.help = "all of the following at once; --input-preset=help lists them" },
	{ .name = "input-size", .type = DS_T_STR, .offset = AT(size), .metavar = "HxW", .help = "height and width; default: those that the model states" },
	{ .name = "resize", .type = DS_T_STR, .offset = AT(resize), .metavar = "RULE", .help = "none, stretch, short-side[:N] or letterbox" },
	{ .name = "interpolation", .type = DS_T_CHOICE, .offset = AT(interpolation), .choices = ds_prep_interp, .help = "how pixels are made when resizing" },
	{ .name = "crop", .type = DS_T_CHOICE, .offset = AT(crop), .choices = ds_prep_crop, .help = "what is cut to --input-size after resizing" },
	{ .name = "fill", .type = DS_T_STR, .offset = AT(fill), .metavar = "V[,V,V]", .help = "colour of a letterbox's borders, 0 to 255" },
	{ .name = "input-color", .type = DS_T_CHOICE, .offset = AT(color), .choices = ds_prep_color, .help = "order of the channels" },
	{ .name = "layout", .type = DS_T_CHOICE, .offset = AT(layout), .choices = layout_names,
		.help = "order of the dims; default: as the model's input is; T and C are rows and columns of a table, T also tokens or sound frames" },
	{ .name = "input-scale", .type = DS_T_STR, .offset = AT(scale), .metavar = "S", .help = "a pixel 0..255 is multiplied by S first, such as 1/255" },
	{ .name = "input-mean", .type = DS_T_STR, .offset = AT(mean), .metavar = "V[,V,V]", .help = "then this is subtracted, per channel" },
	{ .name = "input-std", .type = DS_T_STR, .offset = AT(std), .metavar = "V[,V,V]", .help = "then it is divided by this, per channel" },
	{ .name = "", .type = DS_T_GROUP, .help = "How rows become the first input (kept in the model)" },
	{ .name = "input-kind", .type = DS_T_CHOICE, .offset = AT(kind), .choices = ds_kind_names, .help = "what the samples are" },
	{ .name = "columns", .type = DS_T_STR, .offset = AT(columns), .metavar = "NAME[,NAME...]",
		.help = "columns of a table, by name or number; default: ds-train takes all that hold numbers" },
	{ .name = "window", .type = DS_T_INT, .offset = AT(window), .metavar = "N", .min = 1, .max = 2147483647,
		.help = "rows of a table, tokens of a text or frames of a sound that make one sample; default: as the model's input is" },
	{ .name = "hop", .type = DS_T_INT, .offset = AT(hop), .metavar = "N", .def = "-1", .min = -1, .max = 2147483647,
		.help = "rows from one window to the next; -1: 1 for a table, the window for a text, and a sound is one sample" },
	{ .name = "context", .type = DS_T_INT, .offset = AT(context), .metavar = "N", .min = 0, .max = 2147483647,
		.help = "rows before each window that the model sees too" },
	{ .name = "rate", .type = DS_T_INT, .offset = AT(rate), .metavar = "HZ", .min = 1, .max = 768000, .help = "frames of a sound in a second" },
	{ .name = "tokens", .type = DS_T_CHOICE, .offset = AT(tokens), .choices = ds_tokens_names,
		.help = "what the numbers of a text stand for: characters of the model's vocabulary, or bytes" },
	{ .name = "vocabulary", .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(vocabulary), .metavar = "FILE",
		.help = "a text whose characters become the tokens" },
	{ .name = "items", .type = DS_T_CHOICE, .offset = AT(items), .choices = ds_items_names,
		.help = "what a sample of a text is: a window, or a line with its class behind a tab" },
	{ .name = "state", .type = DS_T_LIST, .offset = AT(state), .metavar = "OUT=IN",
		.help = "output OUT of a window is input IN of the next; may be given again" },
	{ .name = "", .type = DS_T_GROUP, .help = "What the first output means (kept in the model)" },
	{ .name = "target", .type = DS_T_STR, .offset = AT(target), .metavar = "NAME[,NAME...]",
		.help = "columns of a table that it answers to: one class, or with --output-values=numbers values" },
	{ .name = "horizon", .type = DS_T_INT, .offset = AT(horizon), .metavar = "N", .def = "-1", .min = -1, .max = 2147483647,
		.help = "how many rows after the window it answers to; 0: the window's last row" },
	{ .name = "labels", .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(labels), .metavar = "FILE",
		.help = "names of the classes, one on each line in the order of the output" },
	{ .name = "output-values", .type = DS_T_CHOICE, .offset = AT(values), .def = "auto", .choices = value_names,
		.help = "what it gives: scores of classes, numbers, or its input again; auto looks for a Softmax or Sigmoid at the end" },
	{ 0 }
};

/* ---- options about preprocessing ------------------------------------------------------------------------------------------------------- */
/* A number, or a quotient such as 1/255. */
static bool parse_real(const char *text, size_t n, double *v)
{
	char buf[64], *slash;
	double den = 1;
	if (n == 0 || n >= sizeof buf)
		return false;
	memcpy(buf, text, n);
	buf[n] = 0;
	slash = strchr(buf, '/');
	if (slash) {
		*slash = 0;
		if (!ds_parse_f64(slash + 1, &den) || den == 0)
			return false;
	}
	if (!ds_parse_f64(buf, v))
		return false;
	*v /= den;
	return true;
}

/* One number for all channels or three. */
static ds_status parse_channels(const char *option, const char *text, double v[3], ds_err *err)
{
	int n = 0;
	for (const char *s = text; s && n <= 3; n++) {
		const char *end = strchrnul(s, ',');
		if (n == 3 || !parse_real(s, (size_t)(end - s), &v[n]))
			return ds_fail(err, DS_E_USAGE, "--%s '%s': one number, or three with commas between them", option, text);
		s = *end ? end + 1 : NULL;
	}
	if (n == 2)
		return ds_fail(err, DS_E_USAGE, "--%s '%s': one number, or three with commas between them", option, text);
	for (; n < 3; n++)
		v[n] = v[0];
	return DS_OK;
}

static ds_status parse_size(const char *text, ds_prep_spec *s, ds_err *err)
{
	const char *x = strchr(text, 'x');
	double h, w;
	if (!x || !parse_real(text, (size_t)(x - text), &h) || !parse_real(x + 1, strlen(x + 1), &w) || h < 1 || w < 1 || h > 65535 || w > 65535 ||
		h != (int)h || w != (int)w)
		return ds_fail(err, DS_E_USAGE, "--input-size '%s': not HEIGHTxWIDTH", text);
	s->h = (int)h;
	s->w = (int)w;
	return DS_OK;
}

static ds_status parse_resize(const char *text, ds_prep_spec *s, ds_err *err)
{
	size_t n = strcspn(text, ":");
	double to = 0;
	for (int i = 0; ds_prep_resize[i]; i++) {
		if (strlen(ds_prep_resize[i]) != n || strncmp(ds_prep_resize[i], text, n) != 0)
			continue;
		if (text[n] && (i != DS_RESIZE_SHORT || !parse_real(text + n + 1, strlen(text + n + 1), &to) || to < 1 || to > 65535 || to != (int)to))
			break;
		s->resize = i;
		s->resize_to = (int)to;
		return DS_OK;
	}
	return ds_fail(err, DS_E_USAGE, "--resize '%s': not none, stretch, short-side, short-side:N or letterbox", text);
}

static ds_status presets_text(ds_err *err, const char *name)
{
	ds_buf b = { 0 };
	int n;
	const ds_preset *p = ds_presets(&n);
	for (int i = 0; i < n; i++)
		ds_buf_printf(&b, "%s%s", i ? ", " : "", p[i].name);
	ds_status rc = ds_fail(err, DS_E_USAGE, "--input-preset '%s': the names are %s", name, b.data ? b.data : "");
	ds_buf_done(&b);
	return rc;
}

static ds_status parse_prep(settings *s, ds_err *err)
{
	static const char *const given[] = { "input-preset", "input-size", "resize", "interpolation", "crop", "fill", "input-color", "input-scale", "input-mean",
		"input-std" };
	ds_prep_spec *p = &s->spec;
	double scale[3];
	for (size_t i = 0; i < DS_COUNTOF(given); i++)
		s->prep |= ds_given(given[i]);
	s->prep |= s->layout >= 0 && s->layout < LAYOUT_ROWS;
	*p = (ds_prep_spec){ .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = 1, .std = { 1, 1, 1 } };
	if (s->preset && strcmp(s->preset, "help") == 0)
		return DS_OK;                   /* run prints the table */
	if (s->preset) {
		const ds_preset *preset = ds_preset_find(s->preset);
		if (!preset)
			return presets_text(err, s->preset);
		*p = preset->spec;
	}
	if (s->size)
		DS_TRY(parse_size(s->size, p, err));
	if (s->resize)
		DS_TRY(parse_resize(s->resize, p, err));
	if (s->scale) {
		DS_TRY(parse_channels("input-scale", s->scale, scale, err));
		p->scale = scale[0];
	}
	if (s->mean)
		DS_TRY(parse_channels("input-mean", s->mean, p->mean, err));
	if (s->std)
		DS_TRY(parse_channels("input-std", s->std, p->std, err));
	if (s->fill)
		DS_TRY(parse_channels("fill", s->fill, p->fill, err));
	p->interpolation = s->interpolation >= 0 ? s->interpolation : p->interpolation;
	p->crop = s->crop >= 0 ? s->crop : p->resize == DS_RESIZE_SHORT && !s->preset ? DS_CROP_CENTER : p->crop;
	p->color = s->color >= 0 ? s->color : p->color;
	p->layout = s->layout >= 0 && s->layout < LAYOUT_ROWS ? s->layout : p->layout;
	return ds_prep_check(p, err);
}

/* Options that say something of rows, and what kinds they are for. */
static ds_status check_rows(settings *s, ds_err *err)
{
	static const struct { const char *name; unsigned kinds; } given[] = {
		{ "columns", 1u << DS_KIND_TABLE }, { "target", 1u << DS_KIND_TABLE }, { "horizon", 1u << DS_KIND_TABLE },
		{ "window", 1u << DS_KIND_TABLE | 1u << DS_KIND_TEXT | 1u << DS_KIND_SOUND }, { "hop", 1u << DS_KIND_TABLE | 1u << DS_KIND_TEXT | 1u << DS_KIND_SOUND },
		{ "context", 1u << DS_KIND_TABLE | 1u << DS_KIND_SOUND }, { "rate", 1u << DS_KIND_SOUND }, { "tokens", 1u << DS_KIND_TEXT },
		{ "vocabulary", 1u << DS_KIND_TEXT }, { "items", 1u << DS_KIND_TEXT },
	};
	s->rows = s->kind >= 0 || s->layout >= LAYOUT_ROWS;
	for (size_t i = 0; i < DS_COUNTOF(given); i++) {
		if (!ds_given(given[i].name))
			continue;
		s->rows = true;
		if (s->kind >= 0 && !(given[i].kinds & 1u << s->kind))
			return ds_fail(err, DS_E_USAGE, "--%s has no meaning with --input-kind %s", given[i].name, ds_kind_names[s->kind]);
	}
	if (s->rows && s->prep)
		return ds_fail(err, DS_E_USAGE, "options about pictures and about rows cannot be combined");
	if (s->vocabulary && s->tokens == DS_TOKENS_BYTES)
		return ds_fail(err, DS_E_USAGE, "--tokens bytes needs no --vocabulary");
	return DS_OK;
}

static ds_status check(void *arg, ds_err *err)
{
	settings *s = arg;
	DS_TRY(parse_prep(s, err));
	DS_TRY(check_rows(s, err));
	if (s->check && (s->prep || s->labels || s->rows || s->state.n))
		return ds_fail(err, DS_E_USAGE, "--check writes no model, so it takes no options about inputs and labels");
	if (!s->check && (s->c.json || s->c.tsv))
		return ds_fail(err, DS_E_USAGE, "--json and --tsv have a meaning with --check only");
	return DS_OK;
}

/* ---- what the model learns ------------------------------------------------------------------------------------------------------------- */
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
static ds_status put_states(const settings *s, ds_graph *g, ds_err *err)
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
	return value_names[p ? VALUES_PROBABILITIES : VALUES_LOGITS];
}

typedef struct labels { ds_buffer *data; char *external, *vocabulary; int n; } labels;

static ds_status read_labels(const settings *s, labels *l, ds_err *err)
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
static ds_status sum_vocabulary(const settings *s, labels *l, ds_err *err)
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

static void labels_done(labels *l)
{
	ds_buffer_unref(l->data);
	ds_free(l->external);
	ds_free(l->vocabulary);
}

/* Everything that the options add to META.  guess: output.0.values is set even without an option. */
static ds_status put_meta(const settings *s, const ds_graph *g, const labels *l, bool guess, ds_meta *meta, ds_err *err)
{
	const char *values = s->values != VALUES_AUTO ? value_names[s->values] : s->horizon > 0 ? value_names[VALUES_NUMBERS] : guess ? guess_values(g) : NULL;
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

/* ---- --check --------------------------------------------------------------------------------------------------------------------------- */
typedef struct count { const ds_node *n; int64_t nodes; } count;

static ds_status count_ops(const ds_graph *g, count **list, size_t *n, size_t *cap, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *node = g->node[i];
		size_t k = 0;
		while (k < *n && (strcmp((*list)[k].n->op_name, node->op_name) != 0 || strcmp((*list)[k].n->domain, node->domain) != 0))
			k++;
		if (k == *n) {
			if (!ds_grow((void **)list, *n, cap, sizeof **list))
				return ds_fail_nomem(err, sizeof **list);
			(*list)[(*n)++] = (count){ node, 0 };
		}
		(*list)[k].nodes++;
		for (int a = 0; a < node->n_attr; a++)
			if (node->attr[a].type == DS_T_GRAPH)
				DS_TRY(count_ops(node->attr[a].u.g, list, n, cap, err));
	}
	return DS_OK;
}

static ds_status print_check(const settings *s, const ds_graph *g, ds_sink *sink, int *missing, ds_err *err)
{
	count *list = NULL;
	size_t n = 0, cap = 0;
	ds_rows *rows = NULL;
	ds_status rc;
	DS_GOTO(count_ops(g, &list, &n, &cap, err));
	DS_GOTO(ds_rows_open(&rows, sink, s->c.json, check_columns, err));
	for (size_t i = 0; i < n && rc == DS_OK; i++) {
		const ds_node *node = list[i].n;
		bool yes = ds_op_find(node->domain, node->op_name) != NULL;
		const char *domain = *node->domain ? node->domain : "ai.onnx";
		*missing += !yes;
		ds_rows_str(rows, node->op_name, strlen(node->op_name));
		ds_rows_str(rows, domain, strlen(domain));
		ds_rows_i64(rows, list[i].nodes);
		ds_rows_str(rows, yes ? "yes" : "no", yes ? 3 : 2);
		rc = ds_rows_end(rows, err);
	}
out:
	ds_rows_close(rows);
	ds_free(list);
	return rc;
}

static ds_status check_result(int missing, ds_err *err)
{
	if (missing == 0)
		return DS_OK;
	return ds_fail(err, DS_E_UNSUPPORTED, "%d operator%s not supported", missing, missing == 1 ? " is" : "s are");
}

/* ---- from a format that holds a graph --------------------------------------------------------------------------------------------------- */
static void say_lines(ds_buf *b, bool warn, const char *name)
{
	for (char *s = b->data, *end; s && *s; s = end) {
		end = strchrnul(s, '\n');
		if (*end)
			*end++ = 0;
		if (warn)
			ds_warn("%s: operator not supported: %s", name, s);
		else
			ds_note("%s", s);
	}
}

static const char *model_path(const settings *s)
{
	const char *path = s->c.model ? s->c.model : s->c.operand.n > 0 ? s->c.operand.v[0] : NULL;
	return path && strcmp(path, "-") != 0 ? path : NULL;
}

static ds_status save_model(const settings *s, ds_model *m, bool guess, const char *source, const labels *l, ds_sink *out, ds_err *err)
{
	const char *external[3];
	int n = 0;
	const ds_dsm_wopts w = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	DS_TRY(put_states(s, m->graph, err));
	DS_TRY(put_meta(s, m->graph, l, guess, &m->meta, err));
	if (s->vocabulary)
		DS_TRY(ds_vocab_set(m, 0, s->vocabulary, err));
	if (s->rows || s->vocabulary)
		DS_TRY(ds_data_check(m, err));
	if (l->data && ds_model_asset_set(m, "labels", "text/plain", ds_buffer_ref(l->data)) != DS_OK)
		return ds_fail_nomem(err, 64);
	if (source)
		external[n++] = source;
	if (l->external)
		external[n++] = l->external;
	if (l->vocabulary)
		external[n++] = l->vocabulary;
	if (!s->c.no_history)
		DS_TRY(ds_history_add(m, s->c.filter->name, s->c.effective, external, n, NULL, err));
	return ds_model_save(m, out, &w, err);
}

/* What a description calls a preset. */
static ds_status preset_meta(const char *name, int input, ds_meta *meta, ds_err *err)
{
	const ds_preset *p = ds_preset_find(name);
	if (!p)
		return DS_E_USAGE;
	ds_status rc = ds_prep_to_meta(&p->spec, meta, input);
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "the preprocessing cannot be stored");
}

/* Does what a description says of its data fit together? */
static ds_status check_meta(const ds_model *m, ds_err *err)
{
	ds_prep_spec p;
	bool present;
	for (int i = 0; i < m->graph->n_input; i++)
		DS_TRY(ds_prep_from_meta(&p, &m->meta, i, &present, err));
	return ds_data_check(m, err);
}

/* The source is taken. */
static ds_status from_graph(const settings *s, const ds_format *f, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	ds_source *mem = NULL;
	ds_model *m = NULL;
	ds_buf missing = { 0 }, notes = { 0 };
	const void *p = NULL;
	void *owner = NULL;
	char *source = NULL;
	size_t n = 0;
	int bad = 0;
	const ds_import o = { .path = model_path(s), .memory_limit = s->c.memory_limit, .check_only = s->check, .seed = (uint64_t)s->c.seed,
		.set = s->set.v, .n_set = s->set.n, .preset = preset_meta, .missing = &missing, .notes = &notes };
	ds_status rc;
	DS_GOTO(ds_source_all(in, s->c.memory_limit, &p, &n, &owner, err));
	if (!s->c.no_history && !s->check && !(source = ds_history_external("model", p, n)))
		DS_GOTO(ds_fail_nomem(err, 64));
	DS_GOTO(ds_source_memory(&mem, p, n, ds_source_name(in), err));
	rc = f->read(&m, mem, &o, err);
	say_lines(&notes, false, NULL);
	if (rc == DS_E_UNSUPPORTED && !s->check)
		say_lines(&missing, true, ds_source_name(in));
	if (rc == DS_OK && f->complete)
		rc = check_meta(m, err);
	if (rc == DS_OK && s->check) {
		DS_GOTO(print_check(s, m->graph, out, &bad, err));
		rc = check_result(bad, err);
	} else if (rc == DS_OK) {
		rc = save_model(s, m, !f->complete, source, l, out, err);
	}
out:
	ds_err_in(err, ds_source_name(in));
	ds_model_free(m);
	ds_buf_done(&missing);
	ds_buf_done(&notes);
	ds_free(source);
	ds_source_drop(owner);
	ds_source_close(in);
	return rc;
}

/* ---- from a bag of tensors -------------------------------------------------------------------------------------------------------------- */
/* A source that sums what passes. */
typedef struct summed { ds_source *in; ds_sha256 sum; uint64_t n; } summed;

static int64_t summed_read(void *arg, void *buf, size_t n, ds_err *err)
{
	summed *t = arg;
	size_t got = 0;
	ds_status rc = ds_source_some(t->in, buf, n, &got, err);
	if (rc == DS_END)
		return 0;
	if (rc != DS_OK)
		return -1;
	ds_sha256_add(&t->sum, buf, got);
	t->n += got;
	return (int64_t)got;
}

static ds_status from_tensors(const settings *s, const ds_format *f, ds_source *in, ds_sink *out, ds_err *err)
{
	const ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	const ds_import o = { .path = model_path(s), .memory_limit = s->c.memory_limit };
	ds_dsm_writer *w = NULL;
	ds_source *through = NULL;
	summed sum = { .in = in };
	ds_meta entry = { 0 };
	char *external = NULL, hex[65];
	ds_status rc = DS_OK;
	if (s->check || s->prep || s->labels || s->rows || s->state.n)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "it holds tensors and no model, so there is nothing to check and no input or output to describe"));
	ds_sha256_init(&sum.sum);
	DS_GOTO(ds_dsm_create(&w, out, &wo, err));
	DS_GOTO(ds_source_custom(&through, summed_read, NULL, &sum, ds_source_name(in), err));
	rc = f->stream(through, w, &o, err);
	if (rc == DS_OK && !s->c.no_history) {
		ds_sha256_hex(&sum.sum, hex);
		external = ds_history_external_sum("model", hex, sum.n);
		const char *list[1] = { external };
		rc = external ? ds_history_make(&entry, s->c.filter->name, s->c.effective, 0, 0, list, 1, NULL, err) : ds_fail_nomem(err, 64);
		if (rc == DS_OK)
			rc = ds_dsm_put_history(w, &entry, err);
	}
	if (rc == DS_OK)
		rc = ds_dsm_finish(w, err);
out:
	ds_err_in(err, ds_source_name(in));
	ds_meta_done(&entry);
	ds_free(external);
	ds_dsm_writer_free(w);
	ds_source_close(through);
	ds_source_close(in);
	return rc;
}

/* ---- from DSM: record by record ----------------------------------------------------------------------------------------------------------- */
typedef struct change { const settings *s; const labels *l; } change;

static ds_status edit(void *arg, const ds_graph *g, ds_meta *meta, ds_err *err)
{
	const change *c = arg;
	return put_meta(c->s, g, c->l, false, meta, err);
}

static ds_status own_history(void *arg, uint32_t crc, uint64_t len, ds_meta *entry, ds_err *err)
{
	const change *c = arg;
	const ds_common *cm = &c->s->c;
	const char *external[1] = { c->l->external };
	return ds_history_make(entry, cm->filter->name, cm->effective, crc, len, external, c->l->external ? 1 : 0, NULL, err);
}

static void dropped(void *arg, const char *letters)
{
	(void)arg;
	ds_warn("record '%s' is not known and was left out", letters);
}

static ds_status check_dsm(const settings *s, ds_dsm_reader *r, ds_sink *out, ds_err *err)
{
	ds_graph *g = NULL;
	ds_rec rec;
	int missing = 0;
	ds_status rc;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK)
		if (rec.type == DS_REC_GRPH)
			DS_GOTO(ds_dsm_graph(r, &g, NULL, NULL, err));
	if (rc != DS_END)
		goto out;
	if (!g)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "it holds no model, so there is nothing to check"));
	DS_GOTO(print_check(s, g, out, &missing, err));
	rc = check_result(missing, err);
out:
	ds_graph_free(g);
	return rc;
}

/* The source is taken. */
static ds_status from_dsm(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	const ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	const ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	bool changed = s->prep || l->data || s->values != VALUES_AUTO;
	char label[] = "labels", media[] = "text/plain";
	const ds_asset asset = { label, media, l->data };
	change ch = { s, l };
	const ds_dsm_pass_opts co = { .edit = changed ? edit : NULL, .arg = &ch, .asset = l->data ? &asset : NULL, .drop_history = s->c.no_history,
		.history = changed && !s->c.no_history ? own_history : NULL, .dropped = dropped };
	ds_dsm_reader *r = NULL;
	ds_dsm_writer *w = NULL;
	char *name = ds_strdup(ds_source_name(in));
	ds_status rc = ds_dsm_open(&r, in, &ro, err);
	if (rc == DS_OK && s->check)
		rc = check_dsm(s, r, out, err);
	else if (rc == DS_OK && (rc = ds_dsm_create(&w, out, &wo, err)) == DS_OK)
		rc = ds_dsm_pass(r, w, &co, err);
	if (name)
		ds_err_in(err, name);
	ds_dsm_writer_free(w);
	ds_dsm_close(r);
	ds_free(name);
	return rc;
}

/* Where the graph changes or an asset is computed, the model is read as a whole.  The source is taken. */
static ds_status from_dsm_whole(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	const ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	char *name = ds_strdup(ds_source_name(in));
	ds_model *m = NULL;
	ds_status rc = ds_model_load(&m, in, &ro, err);
	for (int i = 0; rc == DS_OK && s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (rc == DS_OK && s->c.no_history)
		m->n_history = 0;
	if (rc == DS_OK)
		rc = save_model(s, m, false, NULL, l, out, err);
	if (name)
		ds_err_in(err, name);
	ds_model_free(m);
	ds_free(name);
	return rc;
}

/* ---- the filter --------------------------------------------------------------------------------------------------------------------------- */
static bool is_dsm(const uint8_t *p, size_t n)
{
	return n >= 4 && memcmp(p, "\x89" "DSM", 4) == 0;
}

/* The source is taken. */
static ds_status convert(const settings *s, ds_source *in, const labels *l, ds_sink *out, ds_err *err)
{
	const void *p;
	size_t n = 0;
	ds_status rc = ds_source_peek(in, 65536, &p, &n, err);
	if (rc != DS_OK && rc != DS_END) {
		ds_source_close(in);
		return rc;
	}
	const ds_format *f = s->from >= FROM_FIRST ? ds_format_find(from_names[s->from]) : NULL;
	if (s->from == FROM_AUTO && !is_dsm(p, n))
		f = ds_format_probe(p, n, ds_source_size(in));
	if (!f && (s->state.n || s->rows) && !s->check)
		return from_dsm_whole(s, in, l, out, err);
	if (!f)         /* DSM, or nothing that we know: its reader says what it looks like */
		return from_dsm(s, in, l, out, err);
	return f->read ? from_graph(s, f, in, l, out, err) : from_tensors(s, f, in, out, err);
}

/* --input-preset=help: what there is, and nothing is read. */
static ds_status print_presets(settings *s, ds_err *err)
{
	static const char *const columns[] = { "preset", "what it does to a picture", NULL };
	ds_sink *out = NULL;
	ds_table t;
	int n;
	const ds_preset *p = ds_presets(&n);
	ds_table_init(&t, columns);
	for (int i = 0; i < n; i++) {
		ds_table_cell(&t, "%s", p[i].name);
		ds_table_cell(&t, "%s", p[i].help);
	}
	DS_TRY(ds_open_output(&out, &s->c, false, err));
	ds_status rc = ds_table_write(&t, out, err);
	if (rc == DS_OK)
		return ds_sink_commit(out, err);
	ds_sink_abort(out);
	return rc;
}

static ds_status run(void *arg, ds_err *err)
{
	settings *s = arg;
	if (s->preset && strcmp(s->preset, "help") == 0)
		return print_presets(s, err);
	ds_source *in = NULL;
	ds_sink *out = NULL;
	labels l = { 0 };
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, !s->check, err));
	if (s->labels)
		DS_GOTO(read_labels(s, &l, err));
	if (s->vocabulary)
		DS_GOTO(sum_vocabulary(s, &l, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = convert(s, in, &l, out, err);
	if (rc == DS_OK || (s->check && rc == DS_E_UNSUPPORTED)) {      /* the list of --check is wanted above all when something is missing */
		ds_status end = ds_sink_commit(out, rc == DS_OK ? err : NULL);
		rc = rc == DS_OK ? end : rc;
		out = NULL;
	}
out:
	ds_sink_abort(out);
	labels_done(&l);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-convert",
	.summary = "convert models of other formats into DSM streams",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-convert model.onnx > model.dsm\n"
		"$ ds-convert --check model.onnx\n"
		"$ ds-convert --seed 1 --set width=32 network.spec -o untrained.dsm\n"
		"$ ds-convert --input-scale 1/255 --labels labels.txt model.onnx -o model.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_HISTORY | DS_C_COMPRESS | DS_C_SEED,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
