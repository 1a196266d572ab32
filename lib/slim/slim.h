/* slim.h - pruning with data: what scores by gradient, statistics of batch normalisation, accuracy and the search for the smallest model need of samples
 *
 * prune/ knows no file and train/ no epoch; here both meet data.  Nothing is printed: the caller hears through hooks. */
#ifndef DS_SLIM_H
#define DS_SLIM_H

#include "../data/data.h"
#include "../fit/fit.h"
#include "../prune/prune.h"

typedef struct ds_slim_opts {
	const char *data;               /* samples with targets; NULL: none */
	const char *calibrate;          /* samples for statistics; NULL: those of data */
	int64_t     samples;            /* how many for scores and for statistics, evenly spaced */
	double      holdout;            /* share of data that is kept apart for accuracy: the one that ds-train's --holdout keeps apart with the same seed; 0: none */
	const char *loss;               /* what scores are gradients of; NULL: by what the data say */
	uint64_t    seed;
	int         threads;
	uint64_t    memory_limit;
	void      (*bad)(void *arg, const ds_item *item, const ds_err *err);    /* a sample that is left out; NULL: nobody listens */
	void      (*progress)(void *arg, const char *what, int64_t done, int64_t total);        /* NULL: nobody watches */
	void       *arg;
} ds_slim_opts;

typedef struct ds_slim ds_slim;
/* The model must outlive it: its META says how samples become inputs.  Data are read when they are first asked for. */
ds_status ds_slim_new(ds_slim **s, const ds_model *m, const ds_slim_opts *o, ds_err *err);
void      ds_slim_free(ds_slim *s);
const ds_slim_opts *ds_slim_settings(const ds_slim *s);
/* Score the classes of st, the structure of m (the model or a cut of it).  *used: samples that were looked at. */
ds_status ds_slim_score(ds_slim *s, ds_structure *st, const ds_model *m, const ds_criterion *c, uint64_t seed, int64_t *used, ds_err *err);
/* New statistics for m's batch normalisations; *norms: how many there are, *used: samples. */
ds_status ds_slim_recalibrate(ds_slim *s, ds_model *m, int *norms, int64_t *used, ds_err *err);
/* Loss and accuracy on what is kept apart. */
ds_status ds_slim_measure(ds_slim *s, const ds_model *m, ds_fit_score *score, ds_err *err);
/* Samples that could not be used, and all that were asked for. */
void      ds_slim_counts(const ds_slim *s, uint64_t *bad, uint64_t *all);
/* For history: the i-th source of samples (0, 1) that was read so far, under the name of its option in history; false: it was not. */
bool      ds_slim_sum(const ds_slim *s, int i, const char **role, char hex[65], uint64_t *n);

/* ---- cutting in stages -------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_slim_plan {
	const ds_criterion *criterion;
	uint64_t        seed;
	ds_prune_opts   choose;         /* ratio, scope, min_keep, round, which weights */
	bool            by_cost;        /* search for the plan that costs `target` instead of the ratio */
	ds_cost_kind    kind;
	double          target;         /* parameters, multiply-adds, seconds; bytes of the file */
	const ds_latency *table;
	const char     *text;           /* a plan to follow instead; its criterion and seed are the caller's to set */
	size_t          text_len;
	bool            force;          /* though it was made for another model */
	int             steps;          /* stages, 1: at once */
	bool            cubic;          /* share of what goes by stage t of T: 1 - (1 - t/T)^3, else t/T */
	bool            recalibrate, measure;
	const ds_fit_words *finetune;   /* training after each stage, NULL: none */
	const char     *effective;      /* for it */
	/* Bytes of the file that m would make now; NULL: weights alone are counted. */
	ds_status     (*size_of)(void *arg, ds_model *m, const ds_buf *plan, uint64_t *bytes, ds_err *err);
	void          (*note)(void *arg, const char *text);
	void           *arg;
} ds_slim_plan;

typedef struct ds_slim_stage {          /* what a stage did */
	double       share;             /* of everything that goes */
	double       params, macs;
	bool         measured, tuned;
	ds_fit_score cut, after;        /* after cutting and recalibration; after training */
	double       train_loss;
} ds_slim_stage;

typedef struct ds_slim_result {
	ds_slim_stage *stage;  int n_stage;
	ds_buf         plan;            /* numbers by group of the whole model, as --dry-run prints them */
	int64_t        scored, recalibrated;    /* samples, in the last stage */
	int            norms;
	char         **name;  int *keep;  int n_group;  /* what stays, by group */
} ds_slim_result;
void      ds_slim_result_done(ds_slim_result *r);

/* Cut m in place (its graph is replaced).  keep_as (may be NULL): the numbers of another run are followed, channels are this criterion's (a control).  dry: the plan alone, m stays.
 * DS_E_CHECK: the target cannot be reached. */
ds_status ds_slim_run(ds_slim *s, ds_model *m, const ds_slim_plan *p, const ds_slim_result *keep_as, bool dry, ds_slim_result *r, ds_err *err);

/* The smallest model (by the plan's cost) whose accuracy on what is kept apart is at most `drop` below m's: plans of the front are tried by bisection, each cut, recalibrated,
 * trained if the plan says so, and measured.  No plan below p->target is tried (0: no bound).  m is replaced by the best; *before, *after: accuracy; *tried: how many. */
ds_status ds_slim_smallest(ds_slim *s, ds_model *m, const ds_slim_plan *p, double drop, ds_slim_result *r, double *before, double *after, int *tried, ds_err *err);

#endif
