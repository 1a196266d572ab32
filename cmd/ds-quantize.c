/* ds-quantize.c - quantise the weights of a model in one pass, or a whole network with calibration, before training or after it */
#include <inttypes.h>
#include <string.h>

#include "quantize/parts.h"

static const char *const bit_names[] = { "w8a8", "w4a8", "w4a4", "w3a3", "w2a8", "w2a2", "w8", "w6", "w5", "w4", "w3", "w2", "trained", NULL };
static const char *const equalize_names[] = { "auto", "yes", "no", NULL };

#define AT(member) offsetof(settings, member)

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "Quantisation" },
	{ .name = "bits", .letter = 'B', .type = DS_T_CHOICE, .offset = AT(bits), .def = "w8", .choices = bit_names,
		.help = "w8, w6, ...: weights only; w8a8, w4a4, ...: activations too, needs -c; trained: integers of a model that was trained after --qat" },
	{ .name = "qat", .type = DS_T_FLAG, .offset = AT(qat), .help = "fake quantisation that ds-train can train, in place of integers" },
	{ .name = "group", .letter = 'g', .type = DS_T_INT, .offset = AT(group), .metavar = "N", .min = 16, .max = 1024,
		.help = "one scale for N columns (a power of two) instead of one for a row" },
	{ .name = "range", .letter = 'r', .type = DS_T_STR, .offset = AT(range), .metavar = "RULE",
		.help = "minmax, mse, percentile:P or kl; default mse for activations and for weights of less than 6 bits" },
	{ .name = "keep", .letter = 'k', .type = DS_T_LIST, .offset = AT(keep), .metavar = "GLOB=BITS",
		.help = "f32: leave layers or weights of this name as they are; w8, w4a4, ...: give them these bits, of the kind of --bits" },
	{ .name = "", .type = DS_T_GROUP, .help = "Activations (w8a8, w4a8, ...)" },
	{ .name = "equalize", .type = DS_T_CHOICE, .offset = AT(equalize), .def = "auto", .choices = equalize_names,
		.help = "even out the channels of activations first; auto: depthwise models" },
	{ .name = "no-bias-correction", .type = DS_T_FLAG, .offset = AT(no_bias), .help = "do not move biases against the mean error of rounding" },
	{ .name = "max-samples", .type = DS_T_INT, .offset = AT(max_samples), .metavar = "N", .def = "1024", .min = 1, .max = 1e9,
		.help = "calibrate on N samples, evenly spaced" },
	{ 0 }
};

/* What says the same as a plan, or cannot be beside it. */
static ds_status check_plan(const settings *s, ds_err *err)
{
	static const char *const words[] = { "bits", "group", "range", "keep", "only", "except" };
	for (size_t i = 0; s->c.plan && i < DS_COUNTOF(words); i++)
		if (ds_given(words[i]))
			return ds_fail(err, DS_E_USAGE, "--plan says what each layer gets: no --%s beside it", words[i]);
	if (s->c.plan && s->c.dry_run)
		return ds_fail(err, DS_E_USAGE, "--plan and --dry-run exclude each other");
	if (s->c.dry_run && s->c.report)
		return ds_fail(err, DS_E_USAGE, "--dry-run does nothing that --report could tell of");
	return DS_OK;
}

static ds_status check_trained(const settings *s, ds_err *err)
{
	if (s->c.calibrate || s->group || s->range || s->keep.n || s->c.only.n || s->c.except.n || ds_given("equalize") || s->no_bias || ds_given("max-samples"))
		return ds_fail(err, DS_E_USAGE, "--bits trained takes everything from the model: no samples, ranges or choice of layers");
	if (s->c.dry_run)
		return ds_fail(err, DS_E_USAGE, "--bits trained has no plan: everything is in the model");
	return DS_OK;
}

static ds_status check_activations(const settings *s, const char *bits, ds_err *err)
{
	if (!s->c.calibrate && !s->c.dry_run)
		return ds_fail(err, DS_E_USAGE, "--bits %s needs samples to calibrate with: -c PATH", bits);
	if (s->group)
		return ds_fail(err, DS_E_USAGE, "--group is for weights only; %s has one scale per output channel", bits);
	if (s->qat && (s->no_bias || s->equalize == 1))
		return ds_fail(err, DS_E_USAGE, "--qat leaves biases and channels to training: no --no-bias-correction, no --equalize");
	return DS_OK;
}

static ds_status check_weights(const settings *s, const char *bits, ds_err *err)
{
	if (s->rule.range != DS_RANGE_MINMAX && s->rule.range != DS_RANGE_MSE)
		return ds_fail(err, DS_E_USAGE, "--range %s is for activations (w8a8); weights take minmax or mse", s->range);
	if (s->c.calibrate || ds_given("equalize") || s->no_bias || ds_given("max-samples"))
		return ds_fail(err, DS_E_USAGE, "--bits %s rounds weights only and takes no samples; calibration is for --bits w8a8", bits);
	return DS_OK;
}

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	const char *bits = bit_names[s->bits];
	s->trained = !ds_qbits_parse(bits, &s->base);
	s->activations = s->base.a != 0;
	if (s->group & (s->group - 1))
		return ds_fail(err, DS_E_USAGE, "--group %" PRId64 " is not a power of two", s->group);
	s->rule = (ds_qrule){ s->activations || s->base.w < 6 ? DS_RANGE_MSE : DS_RANGE_MINMAX, 100, 0 };
	if (s->range)
		DS_TRY(ds_qrule_parse(s->range, &s->rule, err));
	DS_TRY(check_plan(s, err));
	if (s->qat && !s->activations && !s->c.plan)
		return ds_fail(err, DS_E_USAGE, "--qat is for bits of weights and activations (--bits w4a4), not for --bits %s", bits);
	if (s->trained)
		DS_TRY(check_trained(s, err));
	else if (s->activations)
		DS_TRY(check_activations(s, bits, err));
	else if (!s->c.plan)
		DS_TRY(check_weights(s, bits, err));
	ds_status rc = table_words(s, err);
	if (rc != DS_OK)                        /* run(), which frees it otherwise, is not called */
		table_done(s);
	return rc;
}

static ds_status run(void *v, ds_err *err)
{
	settings *s = v;
	ds_source *in = NULL;
	ds_sink *out = NULL, *report = NULL;
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, !s->c.dry_run, err));
	DS_GOTO(table_read(s, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	if (s->c.report)
		DS_GOTO(ds_sink_open(&report, s->c.report, err));
	DS_GOTO((s->activations || s->trained ? run_model : run_weights)(s, &in, out, report, err));
	rc = ds_sink_commit(out, err);
	out = NULL;
	if (rc == DS_OK && report) {
		rc = ds_sink_commit(report, err);
		report = NULL;
	}
out:
	ds_sink_abort(out);
	ds_sink_abort(report);
	ds_source_close(in);
	table_done(s);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-quantize",
	.summary = "quantise the weights of a model, or weights and activations",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-quantize --bits w8 < model.dsm > small.dsm\n"
		"$ ds-quantize --bits w4 --group 32 -v model.dsm -o small.dsm\n"
		"$ ds-quantize --bits w8a8 -c pictures/ model.dsm -o int8.dsm\n"
		"$ ds-quantize --bits w4 --dry-run model.dsm > plan.tsv\n"
		"$ ds-quantize --plan plan.tsv model.dsm -o mixed.dsm\n"
		"$ ds-quantize --qat --bits w4a4 -c pictures/ model.dsm -o qat.dsm\n"
		"$ ds-quantize --bits trained qat.dsm -o int4.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_ONLY | DS_C_HISTORY | DS_C_COMPRESS | DS_C_CALIBRATE |
		DS_C_REPORT | DS_C_PLAN,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
