/* sensitivity.h - how much the answers change when one layer alone is quantised or pruned, and the plan that a budget buys by that
 *
 * Every trial changes one layer, or one group of channels, of the reference and lets it answer the same samples.  Damages of layers are taken to add up, which holds while
 * they are small; the plan is then the multiple-choice knapsack over bytes (HAWQ-V2, Dong et al. 2020, with measured divergence in place of a second-order estimate). */
#ifndef DS_PROFILE_SENSITIVITY_H
#define DS_PROFILE_SENSITIVITY_H

#include "../prune/prune.h"
#include "../quantize/plan.h"
#include "answers.h"

typedef void (*ds_probe_progress)(void *arg, int done, int all);

/* ---- quantising ------------------------------------------------------------------------------------------------------------------ */
typedef struct ds_probe_opts {
	const ds_qbits  *bits;          /* to try, all with activations or all without; f32 costs no trial */
	int              n_bits;
	int              group;         /* weights only */
	const ds_qrule  *range;         /* NULL: as ds-quantize chooses by the bits */
	const ds_qstats *stats;         /* with activations: taken of this model, without equalisation */
	int              threads;
	ds_probe_progress progress;     /* NULL: none */
	void            *arg;
} ds_probe_opts;
/* What a trial found: row (of the plan, or group), choice (of bits, or ratio), cost in the file, padding counted. */
typedef struct ds_trial { int row, choice; uint64_t cost; ds_shift shift; double damage; } ds_trial;

/* The rows of m for these bits (ds_qplan_weights or ds_qplan_layers), ranges and groups filled in. */
ds_status ds_probe_rows(ds_qplan *p, ds_model *m, const ds_probe_opts *o, ds_err *err);
/* trial[r * n_bits + b] for every row and bits; ds_answers_ask has been called. */
ds_status ds_probe_quantize(const ds_model *m, const ds_qplan *rows, const ds_probe_opts *o, const ds_answers *a, ds_trial *trial, ds_err *err);
/* Give row r of the plan the bits of choice b, with the range that goes with them. */
void      ds_probe_set(ds_qplan *p, int r, ds_qbits bits, const ds_probe_opts *o);
/* A clone of m's graph with everything that the plan says. */
ds_status ds_probe_apply(ds_graph **g, const ds_model *m, const ds_qplan *p, const ds_probe_opts *o, ds_err *err);
/* Bits of every row so that the costs together are at most `budget` bytes and the damage is least.  DS_E_CHECK: too little. */
ds_status ds_probe_solve(ds_qplan *p, const ds_trial *trial, const ds_probe_opts *o, uint64_t budget, double *damage, ds_err *err);

/* ---- pruning --------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_probe_prune {
	const double *ratio;            /* shares of a group's channels to try; none at all is always a choice */
	int           n_ratio;
	int64_t       min_keep, round;
	bool          recalibrate;      /* batch normalisation, by the samples of the answers */
	int           threads;
	ds_probe_progress progress;
	void         *arg;
} ds_probe_prune;
/* Channels that stay in group g with ratio k. */
int       ds_probe_keep(const ds_structure *s, int g, double ratio, const ds_probe_prune *o);
/* trial[g * n_ratio + k]; cost: of the model with this group cut alone, of `kind`.  s has its scores.  Groups that cannot be cut are frozen. */
ds_status ds_probe_groups(ds_structure *s, const ds_model *m, ds_cost_kind kind, const ds_probe_prune *o, const ds_answers *a, ds_trial *trial, ds_err *err);
/* A clone of m's graph with what the groups' keep says cut, recalibrated as o says. */
ds_status ds_probe_cut(ds_graph **g, ds_structure *s, const ds_model *m, const ds_probe_prune *o, const ds_answers *a, ds_err *err);
/* Set keep of every group so that the model costs at most `target` (all groups cut together) and the damage is least.  DS_E_CHECK. */
ds_status ds_probe_solve_groups(ds_structure *s, const ds_trial *trial, ds_cost_kind kind, const ds_probe_prune *o, double target, double *damage, ds_err *err);

#endif
