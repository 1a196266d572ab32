/* against.c - --against: each layer's own error and what arrives at it, against the model before it was changed */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../feed.h"
#include "format/dsm.h"
#include "profile.h"
#include "profile/against.h"

/* How output 0 is read, as far as its type is known: open dims count as 1. */
static ds_status kind_of(const ds_model *m, ds_answer_kind *k, ds_err *err)
{
	ds_graph *g = ds_graph_clone(m->graph);
	ds_status rc = g ? ds_graph_infer(g, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK) {
		ds_type t = g->output[0]->type;
		for (int i = 0; i < t.rank; i++)
			t.dim[i] = t.dim[i] < 0 ? 1 : t.dim[i];
		*k = job_answer_kind(m, DS_MAX(t.rank, 0), t.dim);
	}
	ds_graph_free(g);
	return rc;
}

/* Did ds-quantize equalise channels?  The history says so; auto: where the reference has depthwise convolutions. */
static bool equalized(const ds_model *m, const ds_graph *ref)
{
	bool yes = false, depthwise = feed_equalize(0, ref);
	for (int i = 0; i < m->n_history; i++) {
		const char *tool = ds_meta_str(&m->history[i], "tool");
		const ds_kv *args = ds_meta_find(&m->history[i], "args");
		bool with_samples = ds_meta_find(&m->history[i], "external") != NULL, wanted = false;
		for (int k = 0; args && args->type == DS_KV_LIST && k < args->n; k++)
			wanted |= strcmp(args->u.l[k], "--equalize=yes") == 0 || (depthwise && strcmp(args->u.l[k], "--equalize=auto") == 0);
		yes |= tool && strncmp(tool, "ds-quantize", 11) == 0 && with_samples && wanted;
	}
	return yes;
}

ds_status job_load_reference(job *j, ds_model **ref, ds_err *err)
{
	const ds_common *c = &j->s->c;
	ds_source *src;
	DS_TRY(ds_open_file(&src, c, j->s->against, err));
	ds_status rc = ds_model_load(ref, src, &(ds_dsm_opts){ .memory_limit = c->memory_limit, .no_verify = c->no_verify }, err);
	if (rc != DS_OK)
		ds_err_in(err, j->s->against);
	return rc;
}

static ds_status run_samples(job *j, ds_against *a, int64_t *left_out, ds_err *err)
{
	ds_item item;
	bool bad = false, fits;
	ds_status rc;
	ds_progress *bar = ds_progress_new(&j->s->c, "samples", j->samples->count(j->samples));
	int64_t done = 0;
	*left_out = 0;
	while ((rc = j->samples->next(j->samples, &item, &bad, err)) == DS_OK || bad) {
		j->read++;
		if (bad) {
			ds_complain(err);
			j->failed++;
			bad = false;
			continue;
		}
		if ((rc = ds_against_item(a, item.in, item.n_in, item.label >= 0 ? &item.label : NULL, &fits, err)) != DS_OK)
			break;
		*left_out += !fits;
		ds_progress_at(bar, ++done, NULL);
	}
	ds_progress_free(bar);
	if (rc != DS_END)
		return rc;
	return done ? DS_OK : ds_fail(err, DS_E_INPUT, "none of the samples could be read");
}

/* ---- what comes out -------------------------------------------------------------------------------------------------------------- */
static const char *const columns[] = { "layer", "operator", "value", ">local_sqnr_db", ">local_cosine", "|", ">sqnr_db", ">cosine", "channels", "note", NULL };
static const char *const ends[] = { "answers", ">kl", ">same", ">right", ">sqnr_db", ">samples", NULL };

/* Of a layer whose error is that of its reference's values: a full bar; 60 dB below: none. */
static double bar_of(double sqnr)
{
	return isnan(sqnr) ? 0 : 1 - fmin(fmax(sqnr, 0), 60) / 60;
}

static ds_status row(section *o, const ds_against_row *r, ds_err *err)
{
	char channels[48] = "";
	double local = r->skip ? NAN : ds_likeness_sqnr(&r->local);
	cell_text(o, r->node);
	cell_text(o, r->op);
	cell_text(o, r->value);
	cell_num(o, local, 0);
	cell_num(o, r->skip ? NAN : ds_likeness_cosine(&r->local), 0);
	cell_bar(o, bar_of(local));
	cell_num(o, r->skip ? NAN : ds_likeness_sqnr(&r->arrived), 0);
	cell_num(o, r->skip ? NAN : ds_likeness_cosine(&r->arrived), 0);
	if (r->of > 0)
		snprintf(channels, sizeof channels, "%" PRId64 "/%" PRId64, r->channels, r->of);
	cell_text(o, channels);
	cell_text(o, r->skip ? r->skip : "");
	return section_row(o, err);
}

/* Layers that are exactly the reference's and have no weights say nothing. */
static bool worth_saying(const ds_against_row *r)
{
	return r->weights || r->skip || (r->local.err > 0);
}

static ds_status print_layers(job *j, ds_against *a, ds_err *err)
{
	section o;
	int n, said = 0;
	const ds_against_row *r = ds_against_rows(a, &n);
	DS_TRY(section_begin(&o, j, "error", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < n && rc == DS_OK && (!j->s->top || said < j->s->top); i++)
		if (worth_saying(&r[i])) {
			rc = row(&o, &r[i], err);
			said++;
		}
	if (rc == DS_OK)
		return section_end(&o, err);
	section_drop(&o);
	return rc;
}

static ds_status print_outputs(job *j, const ds_against *a, const ds_answer_kind *k, bool labels, ds_err *err)
{
	section o;
	const ds_shift *s = ds_against_outputs(a);
	ds_likeness l = { .ref = s->sq, .err = s->err };
	bool classes = k->classes && s->n;
	DS_TRY(section_begin(&o, j, "output", ends, err));
	cell_i64(&o, (int64_t)s->n);
	cell_num(&o, classes ? s->kl / (double)s->n : NAN, 0);
	cell_num(&o, classes ? (double)s->same / (double)s->n : NAN, '%');
	cell_num(&o, classes && labels ? (double)s->right / (double)s->n : NAN, '%');
	cell_num(&o, ds_likeness_sqnr(&l), 0);
	cell_i64(&o, (int64_t)(j->read - j->failed));
	ds_status rc = section_row(&o, err);
	if (rc == DS_OK)
		return section_end(&o, err);
	section_drop(&o);
	return rc;
}

ds_status mode_against(job *j, ds_err *err)
{
	const settings *s = j->s;
	ds_model *ref = NULL;
	ds_against *a = NULL;
	ds_against_opts o = { .threads = (int)s->c.threads, .memory_limit = s->c.memory_limit };
	int64_t left_out;
	ds_status rc;
	if (!j->samples)
		return ds_fail(err, DS_E_USAGE, "--against looks at samples: name some");
	DS_GOTO(job_rewind(j, err));
	DS_GOTO(job_load_reference(j, &ref, err));
	o.equalized = equalized(j->m, ref->graph);
	DS_GOTO(kind_of(ref, &o.kind, err));
	rc = ds_against_new(&a, ref, j->m, &o, err);
	if (rc != DS_OK) {
		ds_err_in(err, s->against);
		goto out;
	}
	DS_GOTO(run_samples(j, a, &left_out, err));
	if (left_out)
		ds_warn("%" PRId64 " samples have other dims than the first and are left out", left_out);
	DS_GOTO(print_layers(j, a, err));
	rc = print_outputs(j, a, &o.kind, s->c.data != NULL, err);
out:
	ds_against_free(a);
	ds_model_free(ref);
	return rc;
}
