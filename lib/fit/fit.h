/* fit.h - a whole training run: data into batches, epochs, validation, the best model, checkpoints, reports
 *
 * What ds-train does between reading a model and writing it, for every filter that trains.  The step itself is train/'s; the words of the command line are the rows
 * of options.def over ds_fit_words. */
#ifndef DS_FIT_H
#define DS_FIT_H

#include "../base/opt.h"
#include "../data/trainset.h"
#include "../io/io.h"
#include "../train/train.h"

/* ---- the words: one member per row of options.def ------------------------------------------------------------------------------- */
typedef struct ds_fit_words {
	int64_t     epochs, steps, batch, accumulate;
	const char *loss;
	double      smoothing, delta, temperature;
	int         target;             /* auto label input */
	const char *augment;
	const char *optimizer;
	double      lr, momentum, beta1, beta2, eps, decay, clip, ema, l1;
	const char *schedule;
	double      warmup, final, drop;
	int64_t     drop_every;
	ds_strs     freeze;
	bool        freeze_norm;
	int         precision;          /* f32 bf16 */
	const char *validate;
	double      holdout;
	int64_t     validate_every, early_stop;
	int         metric;             /* auto loss accuracy */
	int         keep;               /* last best */
	const char *checkpoint, *metrics;
	int64_t     checkpoint_every;
	bool        resume;
	const char *stage;
} ds_fit_words;
enum { DS_FIT_TARGET_AUTO, DS_FIT_TARGET_LABEL, DS_FIT_TARGET_INPUT };
enum { DS_FIT_METRIC_AUTO, DS_FIT_METRIC_LOSS, DS_FIT_METRIC_ACCURACY };
enum { DS_FIT_KEEP_LAST, DS_FIT_KEEP_BEST };
extern const char *const ds_fit_precisions[], *const ds_fit_targets[], *const ds_fit_metrics[], *const ds_fit_keeps[];
/* Names that exist, combinations that make sense.  DS_E_USAGE. */
ds_status ds_fit_check(const ds_fit_words *w, ds_err *err);

/* ---- stages: a TSV whose header names options, one row for each stage; an empty cell leaves the option as it is ------------------- */
typedef struct ds_stages { int n_col, n_row; char **cell; char *text; } ds_stages;    /* cell[0 .. n_col) the header, then the rows */
/* DS_E_INPUT: not such a table. */
ds_status ds_stages_parse(ds_stages *s, const char *text, size_t n, ds_err *err);
void      ds_stages_done(ds_stages *s);
#define DS_STAGES_MAX 1000

typedef struct ds_fit_stage { ds_fit_words w; const char *data; } ds_fit_stage;
/* The settings of each stage: those of `first`, and over them its row of the table (NULL: one stage).  Empty cells change nothing, "-" is the option's default, flags are
 * yes or no, lists have commas.  rows: the filter's table, whose words lie at offset `at` of its settings; set: how a value gets in (ds_set_option).  The cells are
 * cut in place and must outlive the stages. */
ds_status ds_fit_stages(ds_fit_stage **stage, int *n, const ds_stages *table, const ds_fit_stage *first, const ds_opt *rows, size_t at,
	ds_status (*set)(void *settings, const ds_opt *o, const char *value, ds_err *err), ds_err *err);
void      ds_fit_stages_done(ds_fit_stage *stage, int n);

/* ---- the run ------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_fit_score {           /* of one pass over validation data */
	int64_t n;                      /* items */
	bool    has_loss, has_accuracy;
	double  loss, accuracy;
} ds_fit_score;

/* Loss and accuracy of a model over the items that a set keeps apart, `batch` at a time.  loss NULL: classes. */
ds_status ds_fit_measure(const ds_model *m, const ds_loss *loss, double delta, ds_trainset *set, int64_t batch, int threads, uint64_t memory_limit, ds_fit_score *score,
	ds_err *err);

/* What the caller hears and adds.  Every member may be NULL. */
typedef struct ds_fit_hooks {
	void     *arg;
	void    (*bad)(void *arg, const ds_item *item, const ds_err *err);      /* a sample that is left out */
	void    (*note)(void *arg, const char *text);                           /* -v */
	void    (*warn)(void *arg, const char *text);
	/* total: steps of the stage */
	void    (*progress)(void *arg, int64_t step, int64_t total, const char *text);
	/* A head of one's own in place of --loss, and what it gets beside the target: for each batch `extra` fills n_extra tensors that stay the hook's. */
	ds_status (*head)(void *arg, const ds_head *h, ds_value **loss, ds_err *err);
	ds_target   head_target;
	/* The samples of a stage were read; a failure ends the run. */
	ds_status (*opened)(void *arg, const ds_trainset *set, ds_err *err);
	int         n_extra;
	ds_status (*extra_types)(void *arg, const ds_minibatch *b, ds_type *extra, ds_err *err);
	ds_status (*extra)(void *arg, const ds_minibatch *b, ds_tensor *extra, ds_err *err);
} ds_fit_hooks;

typedef struct ds_fit_opts {
	const ds_fit_stage *stage;      /* n_stage of them, in order */
	int            n_stage;
	const char    *report;          /* JSON Lines, or events for TensorBoard when the name says tfevents; NULL: none */
	const char    *filter, *label;  /* of --metrics: who trains, and what (NULL: nothing) */
	const char    *effective;       /* the settings that decide the result, one a line: a checkpoint is only resumed with the same */
	uint64_t       seed;
	int            threads;
	uint64_t       memory_limit;
	ds_fit_hooks   hook;
} ds_fit_opts;

typedef struct ds_fit_result {
	int64_t      steps, epochs;     /* of the last stage */
	uint64_t     items, bad;        /* samples of all stages, and how many of them were left out */
	double       loss;              /* training loss of the last epoch */
	ds_fit_score best, last;        /* of the last stage */
	int          n_external;        /* lines "training sha256 length" for the history, freed by ds_fit_result_done */
	char       **external;
} ds_fit_result;
/* Train m in place: the graph stays, weights change; META and assets get what they lack and the data of the first stage tell (ds_data_fit).  On failure the weights are
 * as they were.  DS_E_LIMIT: a loss that is not finite. */
ds_status ds_fit_run(ds_model *m, const ds_fit_opts *o, ds_fit_result *r, ds_err *err);
void      ds_fit_result_done(ds_fit_result *r);

#endif
