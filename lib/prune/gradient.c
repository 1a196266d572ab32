/* gradient.c - the criteria by gradient: what the loss says about each channel
 *
 * taylor and fisher look at the gate of a channel for each sample by itself (Molchanov et al. 2017, arXiv:1611.06440; Theis et al. 2018, arXiv:1801.05787; gates shared by
 * coupled layers: Liu et al. 2021, arXiv:2108.00708).  The mean gradient over samples is nought at an optimum, so absolute values or squares are taken of each sample's
 * first.  snip looks at weights: |w * dL/dw| of a batch, summed over everything that would leave with the channel (Lee et al. 2019, arXiv:1810.02340). */
#include "sense.h"

#include <math.h>

/* Gate gradients of one batch into scores.  gate: room for one number per class. */
static void add_gates(ds_sense *s, bool square, double *gate)
{
	ds_structure *st = s->s;
	for (int64_t i = 0; i < s->items; i++) {
		for (int c = 0; c < st->n_cls; c++)
			gate[c] = 0;
		for (int k = 0; k < s->n_at; k++) {
			const ds_sense_at *at = &s->at[k];
			const float *v = at->out >= 0 ? (const float *)s->out[at->out].data + i * at->extent : NULL;
			for (int64_t p = 0; v && p < at->extent; p++)
				if (at->cls[p] >= 0)
					gate[at->cls[p]] += (double)v[p];
		}
		for (int c = 0; c < st->n_cls; c++) {   /* the loss is the mean over the batch: times items is the sample's own */
			double z = gate[c] * (double)s->items;
			st->cls[c].score += square ? z * z : fabs(z);
		}
	}
}

static void add_weights(ds_sense *s)
{
	for (int k = 0; k < s->n_at; k++) {
		const ds_sense_at *at = &s->at[k];
		const float *v = at->out >= 0 ? s->out[at->out].data : NULL;
		for (int64_t p = 0; v && p < at->extent; p++)
			if (at->cls[p] >= 0)
				s->s->cls[at->cls[p]].score += (double)v[p];
	}
}

static ds_status by_gradient(ds_structure *st, const ds_model *m, const ds_criterion_opts *o, bool weights, bool square, ds_err *err)
{
	ds_sense s = { 0 };
	ds_status rc = DS_OK;
	const ds_tensor *in, *target;
	int n_in;
	int64_t seen = 0, step = 0;
	double *gate = ds_calloc((size_t)st->n_cls + 1, sizeof *gate);
	if (!gate)
		return ds_fail_nomem(err, 0);
	for (int c = 0; c < st->n_cls; c++)
		st->cls[c].score = 0;
	DS_GOTO(ds_sense_new(&s, st, m, weights, o, err));
	while ((rc = o->samples->next(o->samples->arg, &in, &n_in, &target, err)) == DS_OK) {
		DS_GOTO(ds_sense_run(&s, in, n_in, target, err));
		if (!isfinite(*(const float *)s.out[0].data)) {
			rc = ds_fail(err, DS_E_INPUT, "the loss of batch %lld is not finite", (long long)step + 1);
			goto out;
		}
		if (weights)
			add_weights(&s);
		else
			add_gates(&s, square, gate);
		seen += weights ? 1 : s.items;
		step++;
	}
	if (rc != DS_END)
		goto out;
	rc = seen ? DS_OK : ds_fail(err, DS_E_INPUT, "no sample to score channels with");
	for (int c = 0; seen && c < st->n_cls; c++)
		st->cls[c].score /= (double)seen;
out:
	ds_sense_done(&s);
	ds_free(gate);
	return rc;
}

static ds_status score_taylor(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	return by_gradient(s, m, o, false, false, err);
}

static ds_status score_fisher(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	return by_gradient(s, m, o, false, true, err);
}

static ds_status score_snip(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	return by_gradient(s, m, o, true, false, err);
}

const ds_criterion ds_criterion_taylor = { "taylor", true, score_taylor, "mean over samples of |gradient of the channel's gate|" };
const ds_criterion ds_criterion_fisher = { "fisher", true, score_fisher, "mean over samples of the squared gradient of the channel's gate" };
const ds_criterion ds_criterion_snip = { "snip", true, score_snip, "|weight * gradient| of a batch, summed over all weights that leave with the channel" };
