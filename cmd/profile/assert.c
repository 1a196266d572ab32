/* assert.c - --assert: conditions on figures, measured as far as they need it, each with its interval and verdict */
#include <math.h>
#include <string.h>

#include "profile/assert.h"
#include "profile/machine.h"
#include "profile/macs.h"
#include "profile.h"

/* What a key is measured by. */
enum { BY_LATENCY, BY_RATE, BY_ERRORS, BY_RSS, BY_PLAN, BY_COUNT_PARAMS, BY_COUNT_MACS, BY_SIZE, BY_PRICE, BY_DROP, BY_AGREEMENT };

static const ds_assert_key keys[] = {
	{ "p50", DS_UNIT_SECONDS, false, BY_LATENCY, "latency" }, { "p90", DS_UNIT_SECONDS, false, BY_LATENCY, "" }, { "p95", DS_UNIT_SECONDS, false, BY_LATENCY, "" },
	{ "p99", DS_UNIT_SECONDS, false, BY_LATENCY, "" }, { "p99.9", DS_UNIT_SECONDS, false, BY_LATENCY, "" },
	{ "qps", DS_UNIT_RATE, true, BY_RATE, "requests done per second" }, { "errors", DS_UNIT_SHARE, false, BY_ERRORS, "requests that failed or were left" },
	{ "rss", DS_UNIT_BYTES, false, BY_RSS, "most memory of the process" }, { "peak", DS_UNIT_BYTES, false, BY_PLAN, "planned peak" },
	{ "params", DS_UNIT_COUNT, false, BY_COUNT_PARAMS, "parameters" }, { "macs", DS_UNIT_COUNT, false, BY_COUNT_MACS, "multiply-adds" },
	{ "size", DS_UNIT_BYTES, false, BY_SIZE, "bytes of the model" }, { "price", DS_UNIT_PLAIN, false, BY_PRICE, "of 1000 requests" },
	{ "drop", DS_UNIT_SHARE, false, BY_DROP, "accuracy lost against the reference" }, { "agreement", DS_UNIT_SHARE, true, BY_AGREEMENT, "the same best class" }, { 0 }
};

static double percentile(const ds_assert_key *k)
{
	double p = 0;
	return ds_parse_f64(k->name + 1, &p) ? p / 100 : 0;
}

/* ---- measuring: value and both ends of its interval -------------------------------------------------------------------------------------- */

static ds_status latency(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_load_result *r;
	ds_quantile q = { .p = percentile(k) };
	DS_TRY(job_load(j, &r, err));
	DS_TRY(ds_dist_quantiles(&r->latency, &q, 1, err));
	v[0] = q.value;
	v[1] = q.lo;
	v[2] = q.hi;
	return DS_OK;
}

static ds_status rate(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_load_result *r;
	(void)k;
	DS_TRY(job_load(j, &r, err));
	v[0] = r->rate;
	v[1] = r->rate_lo;
	v[2] = r->rate_hi;
	return DS_OK;
}

static ds_status errors(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_load_result *r;
	(void)k;
	DS_TRY(job_load(j, &r, err));
	uint64_t bad = r->failed + r->left;
	v[0] = r->arrived ? (double)bad / (double)r->arrived : NAN;
	ds_wilson(bad, r->arrived, &v[1], &v[2]);
	return DS_OK;
}

static ds_status rss(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	(void)k;
	(void)err;
	v[0] = j->rss;
	return DS_OK;
}

static ds_status plan(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	ds_session *s;
	ds_plan_info info;
	(void)k;
	DS_TRY(job_session(j, &s, err));
	ds_session_info(s, &info);
	v[0] = (double)info.arena_bytes;
	return DS_OK;
}

ds_status job_counts(job *j, double *params, double *macs, ds_err *err)
{
	ds_layers l = { 0 };
	DS_TRY(job_inputs(j, err));
	ds_type *t = ds_calloc((size_t)j->n_in + 1, sizeof *t);
	if (!t)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < j->n_in; i++)
		t[i] = ds_type_of(&j->set[0][i]);
	ds_status rc = ds_layers_count(&l, j->m->graph, t, err);
	ds_free(t);
	if (rc != DS_OK)
		return rc;
	*params = l.sum.params;
	*macs = l.sum.cost.macs / DS_MAX(j->items, 1);
	ds_layers_done(&l);
	return DS_OK;
}

static ds_status count_params(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	double macs;
	(void)k;
	return job_counts(j, &v[0], &macs, err);
}

static ds_status count_macs(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	double params;
	(void)k;
	return job_counts(j, &params, &v[0], err);
}

static ds_status size(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	(void)k;
	(void)err;
	v[0] = j->m->id_len ? (double)j->m->id_len : NAN;
	return DS_OK;
}

static ds_status price(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_load_result *r;
	(void)k;
	DS_TRY(job_load(j, &r, err));
	job_price(j, v);
	return DS_OK;
}

static ds_status drop(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_versus *s;
	(void)k;
	DS_TRY(job_versus(j, &s, err));
	if (!s->labelled)
		return DS_OK;                   /* not measured */
	v[0] = ((double)s->lost - (double)s->gained) / (double)s->labelled;
	ds_paired_diff(s->lost, s->gained, s->labelled, &v[1], &v[2]);
	return DS_OK;
}

static ds_status agreement(job *j, const ds_assert_key *k, double v[3], ds_err *err)
{
	const ds_versus *s;
	(void)k;
	DS_TRY(job_versus(j, &s, err));
	v[0] = s->n ? (double)s->agree / (double)s->n : NAN;
	ds_wilson(s->agree, s->n, &v[1], &v[2]);
	return DS_OK;
}

static ds_status (*const measure[])(job *j, const ds_assert_key *k, double v[3], ds_err *err) = {
	[BY_LATENCY] = latency, [BY_RATE] = rate, [BY_ERRORS] = errors, [BY_RSS] = rss, [BY_PLAN] = plan, [BY_COUNT_PARAMS] = count_params, [BY_COUNT_MACS] = count_macs,
	[BY_SIZE] = size, [BY_PRICE] = price, [BY_DROP] = drop, [BY_AGREEMENT] = agreement,
};

/* ---- the mode -------------------------------------------------------------------------------------------------------------------------- */

ds_status check_assert(const settings *s, ds_err *err)
{
	ds_assertion a;
	for (int i = 0; i < s->assert_.n; i++) {
		DS_TRY(ds_assert_parse(&a, s->assert_.v[i], keys, err));
		if (a.key->needs == BY_PRICE && !s->is_cost)
			return ds_fail(err, DS_E_USAGE, "--assert price needs --cost PRICE, what an hour costs");
		if ((a.key->needs == BY_DROP || a.key->needs == BY_AGREEMENT) && !s->against)
			return ds_fail(err, DS_E_USAGE, "--assert %s needs --against MODEL, the reference", a.key->name);
		if (a.key->needs == BY_DROP && !s->c.data)
			return ds_fail(err, DS_E_USAGE, "--assert drop needs samples with labels: -d DATA");
	}
	return DS_OK;
}

/* Before anything else runs: the highest percentile that is asked for, and the memory that one run takes, before other measurements add to it. */
ds_status mode_prepare(job *j, ds_err *err)
{
	ds_assertion a;
	ds_process_memory m;
	for (int i = 0; i < j->s->assert_.n; i++) {
		DS_TRY(ds_assert_parse(&a, j->s->assert_.v[i], keys, err));
		if (a.key->needs == BY_LATENCY)
			j->percentile = DS_MAX(j->percentile, percentile(a.key));
		if (a.key->needs != BY_RSS || j->rss > 0)
			continue;
		ds_session *s;
		DS_TRY(job_session(j, &s, err));
		DS_TRY(job_run(j, 0, err));
		ds_machine_memory(&m);
		j->rss = m.high_water > 0 ? m.high_water : m.peak > 0 ? m.peak : NAN;
	}
	return DS_OK;
}

static ds_status print(section *o, const ds_assertion *a, ds_err *err)
{
	static const char letter[] = { [DS_UNIT_PLAIN] = 0, [DS_UNIT_SECONDS] = 's', [DS_UNIT_BYTES] = 'B', [DS_UNIT_COUNT] = 'n', [DS_UNIT_SHARE] = '%', [DS_UNIT_RATE] = 0 };
	char unit = letter[a->key->unit];
	cell_text(o, a->key->name);
	cell_text(o, a->op);
	cell_num(o, a->want, unit);
	cell_num(o, a->value, unit);
	cell_num(o, a->lo, unit);
	cell_num(o, a->hi, unit);
	cell_text(o, a->met ? "met" : "not met");
	return section_row(o, err);
}

ds_status mode_assert(job *j, ds_err *err)
{
	static const char *const columns[] = { "figure", "must_be", ">bound", ">value", ">low", ">high", "verdict", NULL };
	ds_buf unmet = { 0 };
	section o = { .j = j };
	int n = j->s->assert_.n, bad = 0;
	ds_status rc = DS_OK;
	ds_assertion *a = ds_calloc((size_t)n, sizeof *a);
	if (!a)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n; i++) {
		double v[3] = { NAN, NAN, NAN };
		DS_GOTO(ds_assert_parse(&a[i], j->s->assert_.v[i], keys, err));
		DS_GOTO(measure[a[i].key->needs](j, a[i].key, v, err));
		ds_assert_judge(&a[i], v[0], v[1], v[2]);
	}
	DS_GOTO(section_begin(&o, j, "assert", columns, err));
	for (int i = 0; i < n; i++) {
		DS_GOTO(print(&o, &a[i], err));
		if (a[i].met)
			continue;
		ds_buf_str(&unmet, bad++ ? "; " : "");
		ds_assert_say(&a[i], &unmet);
	}
	DS_GOTO(section_end(&o, err));
	if (bad)
		rc = ds_fail(err, DS_E_CHECK, "%s", unmet.data && !unmet.oom ? unmet.data : "a condition is not met");
out:
	section_drop(&o);
	ds_buf_done(&unmet);
	ds_free(a);
	return rc;
}
