/* ds-explain.c - why a prediction came out: maps over pictures, sounds and texts, drawn or as numbers */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "explain/job.h"

#define AT(member) offsetof(settings, member)

static const char *const raw_names[] = { "npy", "dsm", NULL };
static const char *const view_names[] = { "pair", "overlay", "heat", "matrix", NULL };
static const char *const to_names[] = { "png", "html", "text", NULL };
static const char *const on_names[] = { "network", "original", NULL };

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What is explained" },
	{ .name = "method", .type = DS_T_STR, .offset = AT(method), .metavar = "NAME",
		.help = "how: a name from --method=help; default: lrp for transformers, else the first of that list that fits" },
	{ .name = "class", .type = DS_T_LIST, .offset = AT(classes), .metavar = "CLASS",
		.help = "explain this class: a number, a name, `top` for what the model says (default) or `true` for the sample's label; may be given again" },
	{ .name = "top", .letter = 'k', .type = DS_T_INT, .offset = AT(top), .metavar = "K", .def = "1", .min = 1, .max = 10000,
		.help = "`top` means the K most probable classes" },
	{ .name = "layer", .type = DS_T_STR, .offset = AT(layer), .metavar = "NAME",
		.help = "the layer that the method looks at: name or glob of a value or node; default: the method chooses" },
	{ .name = "head", .type = DS_T_INT, .offset = AT(head), .metavar = "N", .def = "-1", .min = -1, .max = 100000,
		.help = "attention head; -1: the method chooses" },
	{ .name = "position", .type = DS_T_INT, .offset = AT(position), .metavar = "N", .def = "-1", .min = -1e9, .max = 1e9,
		.help = "of a model that answers for each token: which answer is explained, from 0 on; -1: the last" },
	{ .name = "about", .type = DS_T_STR, .offset = AT(about), .metavar = "VALUE",
		.help = "what maps are about: a value inside the model, or `input`; default: the vectors of tokens, the spectrogram of a sound, else the input" },
	{ .name = "words", .type = DS_T_STR, .offset = AT(words), .metavar = "FILE",
		.help = "what tokens are called, one on each line, where the model does not say" },
	{ .name = "input", .letter = 'i', .type = DS_T_LIST, .offset = AT(input), .metavar = "NAME=FILE",
		.help = "samples for the model's input NAME; for models with several inputs, give it once for each" },
	{ .name = "truth", .type = DS_T_STR, .offset = AT(truth), .metavar = "FILE",
		.help = "labels of the samples, for --class=true: lines `path TAB label`, an IDX or an npy file" },
	{ .name = "labels", .type = DS_T_STR, .offset = AT(labels), .metavar = "FILE",
		.help = "names of the classes, one per line, instead of those in the model" },
	{ .name = "max-pixels", .type = DS_T_SIZE, .offset = AT(max_pixels), .metavar = "N", .def = "64M", .help = "refuse pictures of more pixels" },
	{ .name = "max-errors", .type = DS_T_INT, .offset = AT(max_errors), .metavar = "N", .def = "-1", .min = -1, .max = 1e15,
		.help = "stop when more than N samples have failed, -1: never" },
	{ .name = "", .type = DS_T_GROUP, .help = "Settings of methods" },
	{ .name = "steps", .type = DS_T_INT, .offset = AT(steps), .metavar = "N", .def = "0", .min = 0, .max = 65536,
		.help = "integrated-gradients: points on the path; 0: doubled until the gap is small enough" },
	{ .name = "max-gap", .type = DS_T_FLOAT, .offset = AT(max_gap), .metavar = "X", .def = "0.01", .min = 0, .max = 1,
		.help = "integrated-gradients: share of the difference of scores that the map may fail to account for" },
	{ .name = "baseline", .type = DS_T_STR, .offset = AT(baseline), .metavar = "WHAT", .def = "zero",
		.help = "what stands for `nothing there`: zero, mean, blur, or an npy file with numbers as the network gets them" },
	{ .name = "samples", .type = DS_T_INT, .offset = AT(samples), .metavar = "N", .def = "32", .min = 1, .max = 65536,
		.help = "smoothgrad: noisy copies of the sample" },
	{ .name = "noise", .type = DS_T_FLOAT, .offset = AT(noise), .metavar = "X", .def = "0.15", .min = 0, .max = 100,
		.help = "smoothgrad: standard deviation of the noise as a share of the range of the sample's numbers" },
	{ .name = "patch", .type = DS_T_INT, .offset = AT(patch), .metavar = "N", .def = "0", .min = 0, .max = 16384,
		.help = "occlusion: side of the square that is covered; 0: an eighth of the shorter side" },
	{ .name = "stride", .type = DS_T_INT, .offset = AT(stride), .metavar = "N", .def = "0", .min = 0, .max = 16384,
		.help = "occlusion: from one square to the next; 0: half its side" },
	{ .name = "probability", .type = DS_T_FLAG, .offset = AT(drop_probability), .help = "occlusion: measure the drop of the probability, not of the logit" },
	{ .name = "epsilon", .type = DS_T_FLOAT, .offset = AT(epsilon), .metavar = "X", .def = "0", .min = 0, .max = 1e6,
		.help = "lrp: what results of products with weights are made larger by before relevance is divided by them" },
	{ .name = "gamma", .type = DS_T_FLOAT, .offset = AT(gamma), .metavar = "X", .def = "-1", .min = -1, .max = 1000,
		.help = "lrp: how much more contributions count that agree in sign with the result; -1: 0.25 for pictures, else 0" },
	{ .name = "", .type = DS_T_GROUP, .help = "What comes out" },
	{ .name = "to", .type = DS_T_CHOICE, .offset = AT(to), .metavar = "FORM", .choices = to_names,
		.help = "a picture, a page for a browser or a text; default: text for models of text, else png" },
	{ .name = "top-tokens", .type = DS_T_INT, .offset = AT(top_tokens), .metavar = "K", .def = "0", .min = 0, .max = 1000000,
		.help = "rows for the K tokens that count most, instead of drawing" },
	{ .name = "raw", .type = DS_T_CHOICE, .offset = AT(raw), .metavar = "FORMAT", .choices = raw_names,
		.help = "the maps as numbers: an npy array, or a DSM tensor stream" },
	{ .name = "view", .type = DS_T_CHOICE, .offset = AT(view), .metavar = "VIEW", .choices = view_names, .def = "pair",
		.help = "picture: what the network saw beside the map over it, the map over it, or the map alone; of attention, `matrix` is who looks at whom" },
	{ .name = "on", .type = DS_T_CHOICE, .offset = AT(on), .metavar = "WHAT", .choices = on_names, .def = "network",
		.help = "picture: draw the map on the picture as the network saw it, or on the original picture" },
	{ .name = "colors", .type = DS_T_STR, .offset = AT(colors), .metavar = "NAME",
		.help = "picture: colour map ember, dusk, gray, or tide for maps with a sign; default: ember and tide" },
	{ .name = "opacity", .type = DS_T_FLOAT, .offset = AT(opacity), .metavar = "X", .def = "0.65", .min = 0, .max = 1,
		.help = "picture: how much the map covers what is below it" },
	{ .name = "clip", .type = DS_T_FLOAT, .offset = AT(clip), .metavar = "X", .def = "0.995", .min = 0.5, .max = 1,
		.help = "picture: the scale ends where this share of the places does not go beyond" },
	{ .name = "blur", .type = DS_T_FLOAT, .offset = AT(blur), .metavar = "X", .def = "-1", .min = -1, .max = 1000,
		.help = "picture: smooth the map over X places before it is drawn; -1: a little where it is a gradient of many places" },
	{ .name = "zoom", .type = DS_T_INT, .offset = AT(zoom), .metavar = "N", .def = "0", .min = 0, .max = 256,
		.help = "picture: pixels for each place of the network's input; 0: enough for 224 across" },
	{ .name = "columns", .type = DS_T_INT, .offset = AT(columns), .metavar = "N", .def = "0", .min = 0, .max = 1000,
		.help = "picture: how many maps stand side by side on a page; 0: chosen" },
	{ .name = "out-dir", .type = DS_T_STR, .offset = AT(out_dir), .metavar = "DIR",
		.help = "a file for each input, class, layer and head, called after them, in DIR; --tsv and --json then list what was written" },
	{ .name = "", .type = DS_T_GROUP, .help = "Is it true" },
	{ .name = "faithful", .type = DS_T_FLAG, .offset = AT(faithful),
		.help = "instead of the maps: how the probability falls and rises as patches go and come back in their order, against random orders; and do maps change "
			"when the model forgets" },
	{ .name = "grid", .type = DS_T_INT, .offset = AT(grid), .metavar = "N", .def = "0", .min = 0, .max = 16384,
		.help = "faithful: so many patches lie along the longer side; 0: 7, of a sound 49" },
	{ .name = "orders", .type = DS_T_INT, .offset = AT(orders), .metavar = "K", .def = "5", .min = 0, .max = 10000, .help = "faithful: random orders for each sample" },
	{ .name = "sanity", .type = DS_T_INT, .offset = AT(sanity), .metavar = "N", .def = "4", .min = 0, .max = 1000,
		.help = "faithful: models whose weights are shuffled from the top down, the top layer alone in the first, all in the N-th; 0: none" },
	{ .name = "curves", .type = DS_T_STR, .offset = AT(curves), .metavar = "FILE", .help = "faithful: also draw the mean curves, as PNG" },
	{ .name = "against", .type = DS_T_STR, .offset = AT(against), .metavar = "MODEL",
		.help = "instead of the maps: how they differ from those of MODEL, for the same classes of the same samples" },
	{ .name = "max-drift", .type = DS_T_FLOAT, .offset = AT(max_drift), .metavar = "X", .def = "2", .min = 0, .max = 2,
		.help = "against: exit 6 if 1 - the mean rank correlation may be more than X (95 % interval)" },
	{ 0 }
};

static const ex_output *const outputs[] = { &ex_output_faithful, &ex_output_drift, &ex_output_dir, &ex_output_raw, &ex_output_tokens, &ex_output_rows, &ex_output_html, &ex_output_blocks, &ex_output_text, &ex_output_picture };

static ds_status check(void *p, ds_err *err)
{
	const settings *s = p;
	const ds_common *c = &s->c;
	if (s->method && !strcmp(s->method, "help"))
		return DS_OK;
	if (s->method && !ds_method_find(s->method))
		return ds_fail(err, DS_E_USAGE, "no method \"%.60s\"; --method=help lists them", s->method);
	if (!c->operand.n && !c->files_from && !c->data && !s->input.n)
		return ds_fail(err, DS_E_USAGE, "nothing to explain: give files, directories, -d DATA, --files-from FILE or --input NAME=FILE");
	if (s->raw >= 0 && (c->json || c->tsv) && !s->out_dir)
		return ds_fail(err, DS_E_USAGE, "--raw writes numbers: not together with --json or --tsv");
	if (s->raw >= 0 && ds_given("view"))
		return ds_fail(err, DS_E_USAGE, "--raw draws nothing: not together with --view");
	if (s->to >= 0 && (s->raw >= 0 || c->json || c->tsv || s->top_tokens))
		return ds_fail(err, DS_E_USAGE, "--to=%s: not together with --raw, --json, --tsv or --top-tokens", to_names[s->to]);
	if (s->raw >= 0 && s->top_tokens)
		return ds_fail(err, DS_E_USAGE, "--raw writes maps: not together with --top-tokens");
	if (s->faithful && s->against)
		return ds_fail(err, DS_E_USAGE, "--faithful and --against are two different checks: one at a time");
	if ((s->faithful || s->against) && s->out_dir)
		return ds_fail(err, DS_E_USAGE, "--faithful and --against make no maps: not together with --out-dir");
	if (s->out_dir && c->output && !c->tsv && !c->json)
		return ds_fail(err, DS_E_USAGE, "with --out-dir only the rows of --tsv or --json go to --output");
	if ((s->faithful || s->against) && (s->raw >= 0 || ds_given("view")))
		return ds_fail(err, DS_E_USAGE, "--faithful and --against print figures: not together with --raw or --view");
	static const char *const faithful[] = { "grid", "orders", "sanity", "curves" };
	for (size_t i = 0; i < DS_COUNTOF(faithful); i++)
		if (ds_given(faithful[i]) && !s->faithful)
			return ds_fail(err, DS_E_USAGE, "--%s needs --faithful", faithful[i]);
	if (ds_given("max-drift") && !s->against)
		return ds_fail(err, DS_E_USAGE, "--max-drift needs --against MODEL");
	ds_colors colors;
	if (s->colors && !ds_colors_make(&colors, s->colors))
		return ds_fail(err, DS_E_USAGE, "no colours are called \"%.60s\"", s->colors);
	int streams = !c->model || !strcmp(c->model, "-");
	for (int i = 0; i < c->operand.n; i++)
		streams += !strcmp(c->operand.v[i], "-");
	streams += c->files_from && !strcmp(c->files_from, "-");
	streams += s->against && !strcmp(s->against, "-");
	if (streams > 1)
		return ds_fail(err, DS_E_USAGE, "standard input can be only one thing: the model (give it with -m), the other model, a sample or the list of names");
	return DS_OK;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */
static ds_status list_methods(const settings *s, ds_err *err)
{
	ds_sink *out;
	ds_buf b = { 0 };
	int n;
	const ds_method *const *m = ds_method_all(&n);
	DS_TRY(ds_open_output(&out, &s->c, false, err));
	for (int i = 0; i < n; i++)
		ds_buf_printf(&b, "%-22s %s\n", m[i]->name, m[i]->help);
	ds_status rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(out, b.data, b.len, err);
	ds_buf_done(&b);
	if (rc == DS_OK)
		return ds_sink_commit(out, err);
	ds_sink_abort(out);
	return rc;
}

static ds_status load_model(job *j, ds_err *err)
{
	const ds_common *c = &j->s->c;
	ds_source *src;
	ds_dsm_opts o = { .memory_limit = c->memory_limit, .no_verify = c->no_verify };
	DS_TRY(ds_open_input(&src, c, err));
	return ds_model_load(&j->m, src, &o, err);
}

static ds_status load_names(job *j, ds_err *err)
{
	if (!j->s->labels) {
		const char *name = ds_meta_str(&j->m->meta, "output.0.labels");
		const ds_asset *a = name ? ds_model_asset(j->m, name) : NULL;
		return a ? ds_labels_parse(&j->names, ds_buffer_data(a->data), ds_buffer_size(a->data), err) : DS_OK;
	}
	ds_source *src;
	const void *p;
	size_t n;
	void *owner;
	DS_TRY(ds_open_file(&src, &j->s->c, j->s->labels, err));
	ds_status rc = ds_source_all(src, 64 << 20, &p, &n, &owner, err);
	ds_source_close(src);
	DS_TRY(rc);
	rc = ds_labels_parse(&j->names, p, n, err);
	ds_source_drop(owner);
	if (rc != DS_OK)
		ds_err_in(err, j->s->labels);
	return rc;
}

/* --baseline: a word, or a file of numbers. */
static ds_status baseline(job *j, ds_explain_opts *o, ds_err *err)
{
	static const struct { const char *word; ds_base base; } words[] = { { "zero", DS_BASE_ZERO }, { "mean", DS_BASE_MEAN }, { "blur", DS_BASE_BLUR } };
	const char *b = j->s->baseline;
	ds_source *src;
	ds_tensor t;
	for (size_t i = 0; i < DS_COUNTOF(words); i++)
		if (!strcmp(b, words[i].word)) {
			o->base = words[i].base;
			return DS_OK;
		}
	DS_TRY(ds_open_file(&src, &j->s->c, b, err));
	ds_status rc = ds_npy_read(&t, src, j->s->c.memory_limit, err);
	if (rc == DS_OK) {
		rc = ds_tensor_to_f32(&t, &j->baseline, err);
		ds_tensor_done(&t);
	}
	if (rc != DS_OK)
		ds_err_in(err, b);
	ds_source_close(src);
	o->base = DS_BASE_TENSOR;
	o->base_tensor = j->baseline;
	return rc;
}

static ds_status open_explainer(job *j, ds_err *err)
{
	const settings *s = j->s;
	ds_explain_opts o = { .threads = (int)s->c.threads, .batch = (int)s->c.batch, .memory_limit = s->c.memory_limit, .seed = (uint64_t)s->c.seed, .input = -1,
		.layer = s->layer, .head = s->head, .samples = s->samples, .noise = s->noise, .steps = s->steps, .max_gap = s->max_gap, .patch = s->patch,
		.stride = s->stride, .probability = s->drop_probability, .position = ds_given("position") && s->position >= 0 ? s->position : -1, .epsilon = s->epsilon,
		.gamma = s->gamma };
	for (int i = 0; i < j->m->graph->n_input && !j->picture; i++) {
		DS_TRY(ds_prep_from_meta(&j->prep, &j->m->meta, i, &j->picture, err));
		if (j->picture) {
			o.input = i;
			o.axes = j->prep.layout == DS_NHWC ? DS_AXES_HWC : DS_AXES_CHW;
		}
	}
	DS_TRY(baseline(j, &o, err));
	DS_TRY(ex_inside_open(j, &o, err));
	DS_TRY(ds_explainer_new(&j->x, j->cut ? ds_cut_model(j->cut) : j->m, &o, err));
	j->method = s->method ? ds_method_find(s->method) : ds_method_default(j->x);
	if (!j->method)
		return ds_fail(err, DS_E_UNSUPPORTED, "no method fits this model");
	if (j->method->fits && !j->method->fits(j->x))
		return ds_fail(err, DS_E_UNSUPPORTED, "method %s does not fit this model", j->method->name);
	return DS_OK;
}

static bool wants_truth(const settings *s)
{
	for (int i = 0; i < s->classes.n; i++)
		if (!strcmp(s->classes.v[i], "true"))
			return true;
	return false;
}

static ds_status open_samples(job *j, ds_err *err)
{
	const settings *s = j->s;
	int n = s->c.operand.n + (s->c.data != NULL), k = 0;
	const char **path = ds_calloc((size_t)n + 1, sizeof *path);
	if (!path)
		return ds_fail_nomem(err, 0);
	if (s->c.data)
		path[k++] = s->c.data;
	for (int i = 0; i < s->c.operand.n; i++)
		path[k++] = s->c.operand.v[i];
	ds_data_opts o = { .model = j->m, .n_path = n, .path = path, .files_from = s->c.files_from, .null_sep = s->c.null_sep, .labels = s->truth,
		.want_labels = wants_truth(s) || s->c.data, .names = &j->names, .recursive = true, .threads = (int)s->c.threads, .max_pixels = s->max_pixels,
		.n_named = s->input.n, .named = s->input.v };
	ds_status rc = ds_data_open(&j->samples, &o, err);
	ds_free(path);
	return rc;
}

const ex_output *ex_choose(const job *j, const ex_output *after)
{
	size_t i = 0;
	while (after && outputs[i] != after)
		i++;
	for (i += after != NULL; i + 1 < DS_COUNTOF(outputs); i++)
		if (outputs[i]->chosen(j))
			break;
	return outputs[i];                      /* the last serves always */
}

static ds_status open_output(job *j, ds_err *err)
{
	j->output = ex_choose(j, NULL);
	DS_TRY(ds_open_output(&j->out, &j->s->c, j->output->binary, err));
	return j->s->c.report ? ds_sink_open(&j->report, j->s->c.report, err) : DS_OK;
}

/* ---- one item ---------------------------------------------------------------------------------------------------------------------------- */
typedef struct targets { int64_t *v; size_t n, cap; } targets;

static ds_status add_target(targets *t, int64_t v, ds_err *err)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i] == v)
			return DS_OK;
	if (!ds_grow((void **)&t->v, t->n, &t->cap, sizeof *t->v))
		return ds_fail_nomem(err, sizeof *t->v);
	t->v[t->n++] = v;
	return DS_OK;
}

static ds_status top_targets(const job *j, const ex_result *r, int64_t first, targets *t, ds_err *err)
{
	ds_classes c = ds_explainer_classes(j->x);
	int k = (int)DS_MIN(j->s->top, c.n);
	int64_t *best = ds_calloc((size_t)k + 1, sizeof *best);
	if (!best)
		return ds_fail_nomem(err, 0);
	ds_top_k(r->logit + first, c.n, k, best);
	ds_status rc = DS_OK;
	for (int i = 0; i < k && rc == DS_OK; i++)
		rc = add_target(t, first + best[i], err);
	ds_free(best);
	return rc;
}

/* A class by number or name. */
static ds_status named_target(const job *j, const char *word, int64_t *v, ds_err *err)
{
	ds_classes c = ds_explainer_classes(j->x);
	if (!ds_parse_i64(word, v))
		*v = ds_labels_find(&j->names, word);
	else if (*v < 0 || *v >= c.n)
		return ds_fail(err, DS_E_USAGE, "--class=%.40s: the model has %lld classes, from 0 on", word, (long long)c.n);
	return *v >= 0 ? DS_OK : ds_fail(err, DS_E_USAGE, "--class=%.100s: the model has no class of that name", word);
}

/* What --class asks for, as elements of the first output.  A model that answers for each of several tokens is asked for its last. */
static ds_status find_targets(const job *j, const ex_result *r, targets *t, ds_err *err)
{
	ds_classes c = ds_explainer_classes(j->x);
	int64_t answers = c.n ? c.elements / c.n : 1, at = j->s->position + (j->s->position < 0 ? answers : 0), first = at * c.n, v;
	if (c.stride != 1)
		return ds_fail(err, DS_E_UNSUPPORTED, "the model's output has classes for each place of a picture");
	if (answers == 1)               /* --position is whose attention is asked for */
		first = 0;
	else if (at < 0 || at >= answers)
		return ds_fail(err, DS_E_USAGE, "--position=%lld: the model answers for %lld tokens", (long long)j->s->position, (long long)answers);
	if (!j->s->classes.n)
		return top_targets(j, r, first, t, err);
	for (int i = 0; i < j->s->classes.n; i++) {
		const char *word = j->s->classes.v[i];
		if (!strcmp(word, "top")) {
			DS_TRY(top_targets(j, r, first, t, err));
			continue;
		}
		if (strcmp(word, "true"))
			DS_TRY(named_target(j, word, &v, err));
		else if ((v = r->item->label) < 0 || v >= c.n)
			return ds_fail(err, DS_E_INPUT, v < 0 ? "no label" : "label %lld where the model has %lld classes", (long long)v, (long long)c.n);
		DS_TRY(add_target(t, first + v, err));
	}
	return DS_OK;
}

static ds_status report(job *j, const ex_result *r, ds_err *err)
{
	ds_rows *rows;
	if (!j->report)
		return DS_OK;
	DS_TRY(ds_rows_open(&rows, j->report, true, ex_columns, err));
	ds_status rc = DS_OK;
	for (size_t i = 0; i < r->maps.n && rc == DS_OK; i++)
		rc = ex_put_row(j, rows, r, &r->maps.m[i], err);
	ds_rows_close(rows);
	return rc;
}

/* *own: the failure is the item's. */
static ds_status explain_item(job *j, const ds_item *item, bool *own, ds_err *err)
{
	ex_result r = { .item = item };
	float *logit = NULL, *p = NULL;
	targets t = { 0 };
	*own = true;
	ds_status rc = ex_inside_item(j, item, &r.it, err);
	if (rc == DS_OK)
		rc = ds_explain_predict(j->x, &r.it, &logit, &p, &r.n, err);
	if (rc == DS_OK) {
		r.logit = logit;
		r.probability = p;
		rc = find_targets(j, &r, &t, err);
	}
	for (size_t i = 0; rc == DS_OK && i < t.n; i++)
		rc = ds_explain(j->x, j->method, &r.it, t.v[i], &r.maps, err);
	if (rc == DS_E_INPUT || rc == DS_E_LIMIT)
		ds_err_in(err, item->name);
	else
		*own = false;
	if (rc == DS_OK)
		rc = j->output->item(j, &r, err);
	if (rc == DS_OK)
		rc = report(j, &r, err);
	ds_maps_done(&r.maps);
	ds_free(t.v);
	ds_free(logit);
	ds_free(p);
	return rc;
}

static ds_status run_items(job *j, ds_err *err)
{
	ds_progress *progress = ds_progress_new(&j->s->c, "samples", j->samples->count(j->samples));
	ds_status rc = DS_OK;
	while (rc == DS_OK) {
		ds_item item = { 0 };
		ds_err why = { 0 };
		bool bad = false;
		rc = j->samples->next(j->samples, &item, &bad, &why);
		if (rc == DS_OK)
			rc = explain_item(j, &item, &bad, &why);
		if (rc == DS_END)
			break;
		j->n++;
		if (rc != DS_OK && !bad) {
			*err = why;
			break;
		}
		if (rc != DS_OK) {
			ds_complain(&why);
			j->failed++;
			rc = DS_OK;
		}
		ds_progress_at(progress, (int64_t)j->n, NULL);
		if (j->s->max_errors >= 0 && j->failed > (uint64_t)j->s->max_errors) {
			ds_warn("stopped after %llu failed samples", (unsigned long long)j->failed);
			break;
		}
	}
	ds_progress_free(progress);
	return rc == DS_END ? DS_OK : rc;
}

static ds_status run(void *p, ds_err *err)
{
	job j = { .s = p };
	ds_err late = { 0 };
	ds_status rc, checked = DS_OK;
	if (j.s->method && !strcmp(j.s->method, "help"))
		return list_methods(p, err);
	DS_GOTO(load_model(&j, err));
	DS_GOTO(load_names(&j, err));
	DS_GOTO(open_explainer(&j, err));
	DS_GOTO(open_samples(&j, err));
	DS_GOTO(open_output(&j, err));
	DS_GOTO(j.output->start(&j, err));
	DS_GOTO(run_items(&j, err));
	ds_items_failed(j.failed, j.n);
	if (j.output->end && (j.failed < j.n || !j.n))          /* of samples that all failed there is nothing to give */
		checked = j.output->end(&j, &late);
	if (checked != DS_OK && checked != DS_E_CHECK) {
		rc = checked;
		*err = late;
		goto out;
	}
	if (j.report) {
		rc = ds_sink_commit(j.report, err);
		j.report = NULL;
		if (rc != DS_OK)
			goto out;
	}
	if (j.failed < j.n || !j.output->binary) {
		rc = ds_sink_commit(j.out, err);
		j.out = NULL;
	}
	if (rc == DS_OK && checked != DS_OK) {
		rc = checked;
		*err = late;
	}
out:
	if (j.output)
		j.output->drop(&j);
	ds_sink_abort(j.report);
	ds_sink_abort(j.out);
	ds_explainer_free(j.x);
	ex_inside_done(&j);
	if (j.samples)
		j.samples->free(j.samples);
	ds_tensor_done(&j.baseline);
	ds_labels_done(&j.names);
	ds_model_free(j.m);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-explain",
	.summary = "show why a model says what it says",
	.usage = "[option ...] [-m MODEL] INPUT ...",
	.examples = "$ ds-explain -m model.dsm photo.png -o why.png\n"
		"$ ds-explain -m model.dsm --method saliency --top 3 photo.png > why.png\n"
		"$ ds-explain -m model.dsm --tsv -d test/ --class true\n"
		"$ ds-explain -m model.dsm --faithful --curves curves.png -d test/\n"
		"$ ds-explain -m small.dsm --against model.dsm --max-drift 0.1 -d test/\n"
		"$ ds-explain -m model.dsm --raw npy photo.png > map.npy\n",
	.opts = opts,
	.common = DS_C_INPUTS | DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_BATCH | DS_C_FILES
		| DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS | DS_C_SEED,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng libjpeg libsndfile zlib zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
