/* calibrate.c - --eval of how sure a model is: calibration, likelihood, coverage; the table of bins */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sure.h"

enum { ROUNDS = 400 };          /* of the bootstrap */

void run_figures_done(figures *f)
{
	ds_free(f->conf);
	ds_free(f->brier);
	ds_free(f->nll);
	ds_free(f->hit);
	*f = (figures){ 0 };
}

static bool larger(figures *f)
{
	size_t cap[4] = { f->cap, f->cap, f->cap, f->cap };
	bool all = ds_grow((void **)&f->conf, f->n, &cap[0], sizeof *f->conf) && ds_grow((void **)&f->brier, f->n, &cap[1], sizeof *f->brier) &&
		ds_grow((void **)&f->nll, f->n, &cap[2], sizeof *f->nll) && ds_grow((void **)&f->hit, f->n, &cap[3], sizeof *f->hit);
	if (all)
		f->cap = cap[0];
	return all;
}

static ds_status count(figures *f, const float *p, int64_t classes, int64_t label, ds_err *err)
{
	int64_t best;
	if (!larger(f))
		return ds_fail_nomem(err, f->n * sizeof *f->conf);
	ds_top_k(p, classes, 1, &best);
	f->conf[f->n] = p[best];
	f->hit[f->n] = best == label;
	f->brier[f->n] = ds_brier(p, classes, label);
	f->nll[f->n++] = ds_nll(p, classes, label);
	return DS_OK;
}

/* Are there intervals or sets to be counted? */
static bool covers(const struct sure *u)
{
	return (u->ask.how == SURE_NONE || u->ask.how == SURE_CONFORMAL) && (u->kind == RUN_VALUES ? u->kept.values : u->kept.classes);
}

static bool differ(const struct sure *u)
{
	return u->ask.how != SURE_SOFTMAX && u->ask.how != SURE_CONFORMAL && (u->ask.how != SURE_NONE || u->kept.classes);
}

static ds_status measure_values(job *j, const ds_result *r, ds_err *err)
{
	struct sure *u = j->sure;
	int64_t c = DS_MAX(j->aim.col.n, 1);
	if (!covers(u) || !r->target->data || ds_tensor_count(r->target) != u->n)
		return DS_OK;
	if (!u->covered_by && !(u->covered_by = ds_calloc((size_t)c, sizeof *u->covered_by)))
		return ds_fail_nomem(err, (size_t)c * sizeof *u->covered_by);
	for (int64_t i = 0; i < u->n; i++) {
		bool in = fabs(u->raw[i] - ds_tensor_f64(r->target, i)) <= run_sure_width(u, i);
		u->covered_by[j->swap ? i / j->horizon : i % c] += in;
		u->covered += in;
		u->counted++;
	}
	return DS_OK;
}

ds_status run_sure_measure(job *j, const ds_result *r, ds_err *err)
{
	struct sure *u = j->sure;
	if (u->mute)
		return DS_OK;
	if (u->kind == RUN_VALUES)
		return measure_values(j, r, err);
	if (r->label < 0 || r->label >= u->n)
		return DS_OK;
	DS_TRY(count(&u->alone, u->raw, u->n, r->label, err));
	if (u->ask.how == SURE_NONE && u->kept.classes) {
		ds_log_p(u->raw, u->n, u->one);
		ds_softmax_at(u->one, u->n, u->kept.temperature, u->p);
	}
	if (differ(u))
		DS_TRY(count(&u->together, u->p, u->n, r->label, err));
	if (!covers(u))
		return DS_OK;
	if (!ds_grow((void **)&u->sizes, u->n_sizes, &u->cap_sizes, sizeof *u->sizes))
		return ds_fail_nomem(err, sizeof *u->sizes);
	u->sizes[u->n_sizes++] = (double)u->set_size;
	u->covered += run_sure_has(u, r->label);
	u->counted++;
	return DS_OK;
}

/* ---- the table of bins ----------------------------------------------------------------------------------------------------------- */

static ds_status put_bins(ds_rows *rows, const char *name, const char *kind, const ds_ece_bin *bin, ds_err *err)
{
	for (int i = 0; i < DS_ECE_BINS; i++) {
		double n = (double)bin[i].n;
		ds_rows_str(rows, name, strlen(name));
		ds_rows_str(rows, kind, strlen(kind));
		ds_rows_f64(rows, bin[i].low);
		ds_rows_f64(rows, bin[i].high);
		ds_rows_i64(rows, bin[i].n);
		if (bin[i].n) {
			ds_rows_f64(rows, bin[i].conf / n);
			ds_rows_f64(rows, (double)bin[i].hits / n);
		} else {
			ds_rows_null(rows);
			ds_rows_null(rows);
		}
		DS_TRY(ds_rows_end(rows, err));
	}
	return DS_OK;
}

static ds_status put_reliability(ds_rows *rows, const figures *f, const char *name, ds_err *err)
{
	ds_ece_bin bin[DS_ECE_BINS];
	ds_ece(f->conf, f->hit, (int64_t)f->n, DS_ECE_BINS, bin);
	DS_TRY(put_bins(rows, name, "width", bin, err));
	if (f->n && isnan(ds_ece_adaptive(f->conf, f->hit, (int64_t)f->n, DS_ECE_BINS, bin)))
		return ds_fail_nomem(err, f->n * sizeof *f->conf);
	return f->n ? put_bins(rows, name, "mass", bin, err) : DS_OK;
}

/* The name of the probabilities that several voices or a temperature have made. */
static const char *together_name(const struct sure *u)
{
	return u->ask.how == SURE_MC ? "mc" : u->ask.how == SURE_ENSEMBLE ? "ensemble" : "temperature";
}

static ds_status print_reliability(struct sure *u, ds_err *err)
{
	static const char *const columns[] = { "probabilities", "bins", "low", "high", "count", "confidence", "accuracy", NULL };
	ds_rows *rows;
	DS_TRY(ds_rows_open(&rows, u->reliability, false, columns, err));
	ds_status rc = put_reliability(rows, &u->alone, "raw", err);
	if (rc == DS_OK && differ(u))
		rc = put_reliability(rows, &u->together, together_name(u), err);
	ds_rows_close(rows);
	if (rc == DS_OK) {
		rc = ds_sink_commit(u->reliability, err);
		u->reliability = NULL;
	}
	return rc;
}

/* ---- the figures ------------------------------------------------------------------------------------------------------------------ */

static ds_status print_mean(job *j, const char *prefix, const char *name, const double *v, size_t n, ds_err *err)
{
	char full[64];
	double lo, hi, mean = ds_normal_interval(v, (int64_t)n, &lo, &hi);
	snprintf(full, sizeof full, "%s%s", prefix, name);
	return run_metric(j, full, mean, lo, hi, -1, (int64_t)n, NULL, NULL, err);
}

static ds_status print_figures(job *j, const char *prefix, const figures *f, ds_err *err)
{
	char name[64];
	int64_t n = (int64_t)f->n;
	double lo, hi;
	DS_TRY(print_mean(j, prefix, "nll", f->nll, f->n, err));
	DS_TRY(print_mean(j, prefix, "brier", f->brier, f->n, err));
	for (int adaptive = 0; adaptive < 2; adaptive++) {
		double e = adaptive ? ds_ece_adaptive(f->conf, f->hit, n, DS_ECE_BINS, NULL) : ds_ece(f->conf, f->hit, n, DS_ECE_BINS, NULL);
		DS_TRY(ds_ece_interval(f->conf, f->hit, n, DS_ECE_BINS, adaptive, ROUNDS, 0, &lo, &hi, err));
		snprintf(name, sizeof name, "%s%s", prefix, adaptive ? "adaptive_ece" : "ece");
		DS_TRY(run_metric(j, name, e, lo, hi, -1, n, NULL, NULL, err));
	}
	return DS_OK;
}

static ds_status print_values(job *j, ds_err *err)
{
	const struct sure *u = j->sure;
	const ds_columns *c = &j->aim.col;
	uint64_t each = u->counted / (uint64_t)DS_MAX(c->n, 1);
	DS_TRY(run_metric(j, "nominal_coverage", 1 - u->ask.alpha, NAN, NAN, -1, -1, NULL, NULL, err));
	DS_TRY(run_metric(j, "coverage", (double)u->covered / (double)u->counted, NAN, NAN, (int64_t)u->covered, (int64_t)u->counted, NULL, NULL, err));
	for (int k = 0; k < c->n; k++) {
		double width = 0;
		for (int64_t i = 0; i < u->n; i++)
			width += (j->swap ? i / j->horizon : i % c->n) == k ? 2 * run_sure_width(u, i) * (c->std ? c->std[k] : 1) / (double)j->horizon : 0;
		DS_TRY(run_metric(j, "column_coverage", (double)u->covered_by[k] / (double)each, NAN, NAN, (int64_t)u->covered_by[k], (int64_t)each, c->name[k], NULL, err));
		DS_TRY(run_metric(j, "column_width", width, NAN, NAN, -1, -1, c->name[k], NULL, err));
	}
	return DS_OK;
}

ds_status run_sure_print(job *j, ds_err *err)
{
	struct sure *u = j->sure;
	char prefix[32];
	if (u->alone.n)
		DS_TRY(print_figures(j, "", &u->alone, err));
	snprintf(prefix, sizeof prefix, "%s_", together_name(u));
	if (u->together.n)
		DS_TRY(print_figures(j, prefix, &u->together, err));
	if (u->kind == RUN_VALUES && u->counted)
		DS_TRY(print_values(j, err));
	if (u->kind == RUN_CLASSES && u->counted) {
		double lo, hi;
		ds_coverage_range(u->kept.n, (int64_t)u->counted, u->alpha_at < 0 ? 0 : ds_alpha_at(u->alpha_at), &lo, &hi);
		DS_TRY(run_metric(j, "nominal_coverage", 1 - u->ask.alpha, lo, hi, -1, -1, NULL, NULL, err));
		DS_TRY(run_share(j, "coverage", u->covered, u->counted, err));
		DS_TRY(print_mean(j, "", "set_size", u->sizes, u->n_sizes, err));
	}
	return u->reliability ? print_reliability(u, err) : DS_OK;
}
