/* logits.c - the logits of every sample as a stream for ds-distill */

#include "job.h"
#include "train/train.h"

/* A softmax at the end is left out: before the model is made ready to run. */
ds_status run_uncover_logits(job *j, ds_err *err)
{
	ds_graph *g = j->here.m->graph;
	if (!g->n_output)
		return ds_fail(err, DS_E_UNSUPPORTED, "--logits of a model without outputs");
	g->output[0] = ds_train_logits(g->output[0]);
	return DS_OK;
}

static ds_status logits_start(job *j, ds_err *err)
{
	ds_dsm_wopts o = { .compress = j->s->c.compress, .memory_limit = j->s->c.memory_limit };
	return ds_logits_create(&j->logits, j->out, j->here.m, ds_given("top") ? j->s->top : 0, &o, err);
}

static ds_status logits_item(job *j, const ds_result *r, const ds_result *ref, ds_err *err)
{
	DS_TRY(ds_logits_put(j->logits, &r->out[0], r->name, r->name_len, err));
	return run_report_item(j, r, -1, 0, err);
}

/* The numbers of the samples behind it stay what they are. */
static ds_status logits_bad(job *j, const ds_result *r, ds_err *err)
{
	return ds_logits_put(j->logits, NULL, r->name, r->name_len, err);
}

static ds_status logits_end(job *j, ds_err *err)
{
	return ds_logits_finish(j->logits, err);
}

static bool asked(const settings *s)
{
	return s->logits;
}

const run_mode run_logits = { asked, logits_start, logits_item, logits_end, logits_bad };
