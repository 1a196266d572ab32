/* ds-convert.c - models of other formats into DSM streams, and what a model should know about its inputs and outputs
 *
 * ONNX and descriptions are read whole and become a graph; safetensors and DSM pass through in blocks, so that memory does not grow with the model. */
#include <string.h>

#include "convert/convert.h"

#define DS_FORMAT(name) #name,
static const char *const from_names[] = { "auto", "dsm",
#include "format/formats.def"
	NULL };
#undef DS_FORMAT
enum { FROM_AUTO, FROM_DSM, FROM_FIRST };
static const char *const to_names[] = { "dsm", NULL };
static const char *const layout_names[] = { "NCHW", "NHWC", "NT", "TN", "NTC", "NCT", "TNC", NULL };

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
	{ .name = "output-values", .type = DS_T_CHOICE, .offset = AT(values), .def = "auto", .choices = convert_value_names,
		.help = "what it gives: scores of classes, numbers, or its input again; auto looks for a Softmax or Sigmoid at the end" },
	{ 0 }
};

static ds_status check(void *arg, ds_err *err)
{
	settings *s = arg;
	DS_TRY(convert_parse_prep(s, err));
	DS_TRY(convert_check_rows(s, err));
	if (s->check && (s->prep || s->labels || s->rows || s->state.n))
		return ds_fail(err, DS_E_USAGE, "--check writes no model, so it takes no options about inputs and labels");
	if (!s->check && (s->c.json || s->c.tsv))
		return ds_fail(err, DS_E_USAGE, "--json and --tsv have a meaning with --check only");
	return DS_OK;
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
		return convert_from_dsm_whole(s, in, l, out, err);
	if (!f)         /* DSM, or nothing that we know: its reader says what it looks like */
		return convert_from_dsm(s, in, l, out, err);
	return f->read ? convert_from_graph(s, f, in, l, out, err) : convert_from_tensors(s, f, in, out, err);
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
		DS_GOTO(convert_read_labels(s, &l, err));
	if (s->vocabulary)
		DS_GOTO(convert_sum_vocabulary(s, &l, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = convert(s, in, &l, out, err);
	if (rc == DS_OK || (s->check && rc == DS_E_UNSUPPORTED)) {      /* the list of --check is wanted above all when something is missing */
		ds_status end = ds_sink_commit(out, rc == DS_OK ? err : NULL);
		rc = rc == DS_OK ? end : rc;
		out = NULL;
	}
out:
	ds_sink_abort(out);
	convert_labels_done(&l);
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
