/* ds-train.c - train a model on samples */
#include "fitting.h"
#include "format/dsm.h"

typedef struct settings {
	ds_common    c;
	ds_fit_words fit;
} settings;

#define FIT(member) offsetof(settings, fit.member)
static const ds_opt opts[] = {
#include "fit/options.def"
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	if (!s->c.data && !s->fit.stage)
		return ds_fail(err, DS_E_USAGE, "--data is missing: what is the model to be trained with?");
	return ds_fit_check(&s->fit, err);
}

/* ---- the work ------------------------------------------------------------------------------------------------------------------------ */
static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	voice v = { .c = &s->c, .total = -1 };
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_model *m = NULL;
	ds_fit_result r = { 0 };
	ds_status rc;
	stages t = { 0 };
	DS_GOTO(ds_open_output(&out, &s->c, true, err));
	DS_GOTO(plan_stages(&s->c, &s->fit, opts, offsetof(settings, fit), &t, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = ds_model_load(&m, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	in = NULL;
	if (rc != DS_OK)
		goto out;
	ds_fit_opts o = { .stage = t.stage, .n_stage = t.n, .report = s->c.report, .filter = s->c.filter->name, .label = s->c.output,
		.effective = t.effective.data, .seed = (uint64_t)s->c.seed, .threads = (int)s->c.threads,
		.memory_limit = s->c.memory_limit, .hook = { .arg = &v, .bad = say_bad, .note = say_note, .warn = say_warn, .progress = say_progress } };
	DS_GOTO(ds_fit_run(m, &o, &r, err));
	say_result(&r);
	DS_GOTO(write_trained(&s->c, m, NULL, &r, stages_text(&t, &s->c), out, err));
	rc = ds_sink_commit(out, err);
	out = NULL;
	if (r.bad)
		ds_items_failed(r.bad, r.items);
out:
	ds_progress_free(v.bar);
	say_bad_sum(&v);
	ds_fit_result_done(&r);
	stages_done(&t);
	ds_sink_abort(out);
	ds_source_close(in);
	ds_model_free(m);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-train",
	.summary = "train a model on samples",
	.usage = "[option ...] -d PATH [MODEL]",
	.examples = "$ ds-train -d train/ --epochs 20 model.dsm -o trained.dsm\n"
		"$ ds-train -d train/ --holdout .1 --augment crop:2 < model.dsm > t.dsm\n"
		"$ ds-train -d train/ --checkpoint run.dsm --resume model.dsm -o trained.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_HISTORY | DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
