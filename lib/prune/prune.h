/* prune.h - structured pruning: which channels belong together, what they are worth, taking them out
 *
 * The structure is found, not listed: every operator's `channels` column links indices of axes (graph/op.h); elements (value, axis, index) that are linked form
 * a class, and a class leaves as a whole or not at all (DepGraph, Fang et al. 2023, arXiv:2301.12900, at the level of single indices).  Classes that contain an
 * output channel of a weight and touch no barrier (inputs, outputs, axes that an operator does not link) can go.  Classes whose channels live in the same weights
 * form a group: a residual stream, the two arms of a concatenation's consumer, a depthwise pair.  A group is what a plan speaks about.
 *
 * The order of everything follows the graph, sums are double in that order: the same model, options and seed give the same result on every machine. */
#ifndef DS_PRUNE_H
#define DS_PRUNE_H

#include "../graph/model.h"
#include "../exec/exec.h"
#include "../train/train.h"

/* One unit that can be removed: elements[first .. first+n) of the structure. */
typedef struct ds_pclass { int first, n, group; double score; bool cut; } ds_pclass;
typedef struct ds_pelem  { int value; int8_t axis; bool source; int32_t index; } ds_pelem;      /* value: id in the graph; source: an output channel */
typedef struct ds_pgroup {
	const char *name;               /* of the first weight in graph order whose output channels are in the group */
	int         classes, keep;      /* how many units there are; how many stay */
	int         layers;             /* weights whose output channels are in it */
} ds_pgroup;

typedef struct ds_structure {
	ds_graph  *g;                   /* bound clone of the model's graph; value ids agree with the model's after ds_graph_number */
	ds_bound   known;
	ds_pelem  *elem;   int n_elem;
	ds_pclass *cls;    int n_cls;
	ds_pgroup *group;  int n_group;
	char      *frozen;              /* by group: excluded by --only/--except, or found to be impossible to cut */
	int        bad_node;            /* after a failed ds_prune_cut: the node that stands in the way, -1: none */
} ds_structure;

/* Analyse m's graph, bound with every open dim of an input set to 1 (dim[0]) or to the extents in `in` (may be NULL). */
ds_status ds_structure_new(ds_structure **s, const ds_model *m, const ds_type *in, ds_err *err);
void      ds_structure_free(ds_structure *s);
/* One line per group: name, layers, channels, members. */
void      ds_structure_dump(const ds_structure *s, ds_buf *out);

/* ---- criteria: what a class is worth ------------------------------------------------------------------------------------------ */
/* Where samples with targets come from: batches of ds_criterion_batch items each (one size for all of them).  DS_END after the last.  in[] has one tensor per graph input,
 * *target what the loss wants (NULL where it wants none); both valid until the next call. */
typedef struct ds_psamples {
	ds_status (*next)(void *arg, const ds_tensor **in, int *n_in, const ds_tensor **target, ds_err *err);
	void       *arg;
} ds_psamples;
/* Items of a batch for the criteria by gradient: what their gradients can do together within a bounded memory; depends on the model alone. */
ds_status ds_criterion_batch(const ds_structure *s, const ds_model *m, int64_t *items, ds_err *err);

typedef struct ds_criterion_opts {
	uint64_t           seed;
	const ds_psamples *samples;     /* the rest: for criteria with `data` */
	const ds_loss     *loss;
	ds_loss_opts       loss_opts;
	int                threads;     /* 0: all; never changes a score */
	uint64_t           memory_limit; /* of a plan, 0: none */
} ds_criterion_opts;

typedef struct ds_criterion {
	const char *name;
	bool        data;               /* wants samples with targets */
	/* Score of every class (higher: more important), 0 or more.  Of criteria with data: in units of the loss (or its square), comparable over the whole network as it is;
	 * of the others: comparable within a group. */
	ds_status (*score)(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err);
	const char *help;
} ds_criterion;
const ds_criterion *ds_criterion_find(const char *name);
const ds_criterion *const *ds_criterion_all(int *n);

/* ---- choosing ----------------------------------------------------------------------------------------------------------------- */
typedef struct ds_prune_opts {
	double      ratio;              /* of the units of a group (local) or of all units (global) that go, 0 .. <1 */
	bool        global;
	int64_t     min_keep;           /* units that stay in every group, at least 1 */
	int64_t     round;              /* kept counts are rounded up to a multiple of this, 0 or 1: no */
	/* May this weight's channels be cut?  NULL: all.  A group is cut only if all its weights may. */
	bool      (*allowed)(void *arg, const char *weight);
	void       *arg;
} ds_prune_opts;
/* Set keep of every group from the options. */
ds_status ds_prune_choose(ds_structure *s, const ds_prune_opts *o, ds_err *err);
/* Mark the classes that go: in each group all but the `keep` best; ties keep the lower index. */
void      ds_prune_mark(ds_structure *s);

/* ---- searching ---------------------------------------------------------------------------------------------------------------- */
typedef enum ds_cost_kind { DS_COST_PARAMS, DS_COST_BYTES, DS_COST_MACS, DS_COST_LATENCY } ds_cost_kind;

/* Seconds of every node at some numbers of channels, measured on this machine, or read back: the same table gives the same plan. */
typedef struct ds_latency ds_latency;
typedef struct ds_latency_opts {
	int      threads;               /* 0: all */
	int64_t  round, min_keep;       /* numbers of channels that a plan may have */
	double   budget;                /* seconds that measuring may take, about */
	uint64_t memory_limit;          /* of a plan, 0: none */
	void   (*progress)(void *arg, int done, int all);       /* NULL: none */
	void    *arg;
} ds_latency_opts;
/* Cut the groups that are not frozen to some numbers of channels each, so that every node is seen with all pairs of what it reads and makes, and time each step of the runs:
 * the least of several.  The inputs are those of the structure (open dims 1). */
ds_status ds_latency_measure(ds_latency **t, ds_structure *s, const ds_model *m, const ds_latency_opts *o, ds_err *err);
/* TSV with `#` header lines: node, in, out (channels), nanoseconds. */
void      ds_latency_write(const ds_latency *t, const ds_model *m, ds_buf *out);
/* DS_E_INPUT with the line: not such a table; another model's (force ignores that). */
ds_status ds_latency_read(ds_latency **t, const char *text, size_t n, const ds_model *m, bool force, ds_err *err);
void      ds_latency_free(ds_latency *t);
/* Seconds of whole runs of two graphs, taking turns: the median over rounds of the best of each round. */
ds_status ds_latency_compare(const ds_graph *a, const ds_graph *b, const ds_type *in, int threads, double *seconds_a, double *seconds_b, ds_err *err);

/* A plan that was found on the way: what it costs, the damage (of each group (all * log(all / stays))^2, sums of scores), and what stays by group. */
typedef struct ds_front_row { double cost, lost; int *keep; } ds_front_row;
typedef struct ds_front { ds_front_row *row; int n; size_t cap; ds_arena arena; } ds_front;
void      ds_front_done(ds_front *f);
/* Starting from the whole model, take away whatever gives most cost for the least score until nothing is left to take.  Rows come with falling cost and rising loss.
 * Respects min_keep, round, and frozen groups. */
ds_status ds_prune_search(const ds_structure *s, const ds_prune_opts *o, ds_cost_kind kind, const ds_latency *table, ds_front *f, ds_err *err);
/* Replace scores by what the damage to the group grows by when its units go from the worst on: the order inside a group stays, and the last units of a group are dear.  For the
 * global scope and scores that mean the same in every group. */
ds_status ds_prune_marginal(ds_structure *s, ds_err *err);
/* Set keep of every group to a plan that costs at most `target`: the row of the front that does, improved by giving back what fits and by exchanges between groups.
 * DS_E_CHECK when no row does. */
ds_status ds_prune_pick(ds_structure *s, const ds_prune_opts *o, ds_cost_kind kind, const ds_latency *table, const ds_front *f, double target, ds_err *err);
/* The cost of the plan in s->group[].keep. */
ds_status ds_prune_cost(const ds_structure *s, ds_cost_kind kind, const ds_latency *table, double *cost, ds_err *err);

/* The plan as text: TSV with `#` header lines (model fingerprint, criterion, seed) and the columns group, layers, channels, keep. */
typedef struct ds_prune_plan_head { char criterion[32]; uint64_t seed; uint32_t crc; uint64_t len; } ds_prune_plan_head;
void      ds_prune_plan_write(const ds_structure *s, const ds_prune_plan_head *h, ds_buf *out);
/* Read the header alone (to score with the same criterion and seed), then set keep of the groups named; groups without a row stay whole.
 * DS_E_INPUT with the line: unknown group, other channel count, another model's fingerprint (force ignores that one). */
ds_status ds_prune_plan_head_read(const char *text, size_t n, ds_prune_plan_head *h, ds_err *err);
ds_status ds_prune_plan_apply(ds_structure *s, const char *text, size_t n, const ds_model *m, bool force, ds_err *err);

/* ---- cutting ------------------------------------------------------------------------------------------------------------------ */
/* Remove the marked classes from g (the model's graph or a clone): weights are sliced, constants that spell extents follow, and the result is bound again and
 * compared with what was expected.  DS_E_UNSUPPORTED names the node where they differ, and s->bad_node is its position; g is then unusable. */
ds_status ds_prune_cut(ds_graph *g, ds_structure *s, ds_err *err);
/* Freeze every group that was to cut an axis of s->bad_node, an extent of which is spelt out in shape arithmetic, say.  Returns how many; choose and mark again. */
int       ds_prune_freeze_bad(ds_structure *s);

/* What changed, weight by weight in graph order. */
typedef struct ds_prune_row { const char *name; int64_t out_before, out_after, in_before, in_after; double params_before, params_after, macs_before, macs_after; } ds_prune_row;
ds_status ds_prune_table(const ds_model *before, const ds_model *after, const ds_type *in, ds_prune_row **rows, int *n, ds_err *err);

/* ---- batch norm ---------------------------------------------------------------------------------------------------------------- */
/* Recalibration: running means and variances of every BatchNormalization are replaced by those of the data, without labels.  The model runs with batch statistics in
 * place of the stored ones (as in training); the statistics of all batches are averaged (variance: unbiased per batch). */
typedef struct ds_recal ds_recal;
ds_status ds_recal_new(ds_recal **r, const ds_model *m, int threads, ds_err *err);
int       ds_recal_norms(const ds_recal *r);                                    /* how many there are; 0: nothing to do */
ds_status ds_recal_batch(ds_recal *r, const ds_tensor *in, int n_in, ds_err *err);
ds_status ds_recal_finish(ds_recal *r, ds_model *m, ds_err *err);              /* writes into m */
void      ds_recal_free(ds_recal *r);

#endif
