/* job.h - one run of ds-run: its settings, what it holds, and what the modes share */
#ifndef DS_RUN_JOB_H
#define DS_RUN_JOB_H

#include "cli/cli.h"
#include "format/logits.h"
#include "run/run.h"
#include "run/uncertain.h"

/* --uncertainty, understood. */
typedef enum sure_how { SURE_NONE, SURE_SOFTMAX, SURE_TEMPERATURE, SURE_MC, SURE_ENSEMBLE, SURE_CONFORMAL } sure_how;
enum { MEMBERS_MAX = 64, PASSES_MAX = 10000 };
typedef struct sure_words {
	sure_how     how;
	int64_t      passes;            /* of MC */
	double       alpha;             /* of CONFORMAL */
	ds_set_score score;
	char        *member[MEMBERS_MAX];       /* of ENSEMBLE: paths of the other models */
	int          n_member;
} sure_words;

/* --score: how odd an item is. */
enum run_score { SCORE_RECONSTRUCTION, SCORE_CONFIDENCE, SCORE_ENTROPY, SCORE_ENERGY, SCORE_MUTUAL };

typedef struct settings {
	ds_common   c;
	ds_strs     input;
	const char *labels, *truth, *tensors, *compare, *failures;
	int64_t     top, max_errors;
	double      max_drop;
	uint64_t    max_pixels;
	bool        summary, eval, confusion, logits;
	const char *uncertainty, *reliability;
	bool        fit_uncertainty;
	int         score;              /* run_score, -1: none */
	sure_words  sure;
	ds_strs     assert_;
	const char *metrics;
} settings;

/* One of the two models, with its own samples: each prepares the inputs as it wants them. */
typedef struct side {
	ds_model   *m;
	const ds_model *runs;           /* what is run in its place, NULL: itself */
	ds_samples *samples;
	ds_runner  *run;
	ds_score    score;
	ds_fit      fit;                /* values against targets */
	ds_tokens   tokens;
	bool        logits, borrowed;   /* borrowed: the model is somebody else's */
} side;

/* What is known of one item's uncertainty, and of all items'. */
typedef struct sure sure;

/* Figures that --assert and --metrics wait for, as they are printed: value and both ends of its interval. */
typedef struct run_figure { char name[48]; double v[3]; } run_figure;
typedef struct watch { run_figure *seen; size_t n, cap; double begun; } watch;

/* A tensor that a tap has seen, until its item is done. */
typedef struct tapped { const char *name; ds_tensor t; } tapped;

typedef struct job {
	settings      *s;
	side           here, ref;
	ds_labels      names;
	ds_sink       *out, *report;
	ds_rows       *rows;
	ds_sink       *failures;        /* NULL: not wanted */
	ds_rows       *failure_rows;
	ds_buf         unseen;          /* the figures, where standard output has the failures */
	ds_dsm_writer *w;
	ds_logits_writer *logits;
	ds_versus      versus;
	tapped        *tap;
	size_t         n_tap, cap_tap;
	bool           taps;            /* inner values are wanted */
	uint64_t       n, failed, written;
	int64_t        classes;         /* 0: not known yet, or no classifier */
	const struct row_kind *kind;    /* of the rows that are printed */
	ds_aim         aim;             /* what output 0 answers to */
	int64_t        horizon;         /* ... in how many rows, 1 or more */
	bool           swap;            /* ... columns before rows */
	const char    *position;        /* the column that says where a window is, NULL: none */
	double         unit;            /* ... rows in one of it */
	char         **column;          /* of rows of values, n_column of them */
	int64_t        n_column;
	char         **more;            /* ... and n_more of them that say how sure each value is */
	int64_t        n_more;
	const char   **columns;         /* all of them, as the rows want them */
	ds_fit         naive, *each;    /* the last row as forecast; of each column of the target */
	double        *alarm;           /* of items with a class: the error, and whether it is not class 0 */
	bool          *alarming;
	size_t         n_alarm, cap_alarm, cap_alarming;
	sure          *sure;            /* NULL: nobody asks, and the model keeps nothing */
	struct fitted *fitted;          /* of --fit-uncertainty */
	watch          watch;
} job;

/* Read the model and its samples.  tap: sees inner values, NULL: none.  wrap: puts something between samples and model, NULL: nothing. */
typedef ds_status (*side_wrap)(job *j, side *d, ds_err *err);
ds_status run_load_model(ds_model **m, const ds_common *c, const char *path, ds_err *err);
ds_status run_open_side(job *j, side *d, ds_tap_fn tap, side_wrap wrap, ds_err *err);
void      run_close_side(side *d);

/* ---- modes: what is done with each item ---------------------------------------------------------------------------------------- */
typedef struct run_mode {
	bool      (*asked)(const settings *s);          /* do the options say so?  The first in the table that says yes is it */
	ds_status (*start)(job *j, ds_err *err);
	ds_status (*item)(job *j, const ds_result *r, const ds_result *ref, ds_err *err);      /* DS_E_INPUT: this item has failed */
	ds_status (*end)(job *j, ds_err *err);          /* DS_E_CHECK: all is written, the check failed */
	ds_status (*bad)(job *j, const ds_result *r, ds_err *err);      /* an item that has failed; NULL: nothing to do */
} run_mode;
extern const run_mode run_predict, run_tensors, run_measure, run_logits, run_fit;

/* ---- fitting: what the samples say until all have been seen; the wrap that sums them up for the history makes it ------------------- */
ds_status run_sum_samples(job *j, side *d, ds_err *err);
void      run_fitted_free(job *j);

/* ---- tensors ------------------------------------------------------------------------------------------------------------------- */
/* Does the pattern of --tensors name values that are no outputs?  Sets j->taps; one that names nothing at all is a mistake. */
ds_status run_find_taps(job *j, ds_err *err);
ds_status run_on_tap(void *arg, const ds_node *n, int i, const ds_tensor *t, ds_err *err);
void      run_forget_taps(job *j);

/* ---- logits -------------------------------------------------------------------------------------------------------------------- */
/* A softmax at the end is left out: before the model is made ready to run. */
ds_status run_uncover_logits(job *j, ds_err *err);

/* ---- how sure a prediction is ------------------------------------------------------------------------------------------------- */
/* Understand --uncertainty; DS_E_USAGE says what may stand there. */
ds_status run_sure_parse(sure_words *w, const char *text, ds_err *err);
void      run_sure_words_done(sure_words *w);
/* After the model was read: what it keeps; the other members of an ensemble.  Opens the side of the model itself. */
ds_status run_sure_open(job *j, ds_tap_fn tap, ds_err *err);
/* Closes the model's side too, if there was something to open. */
void      run_sure_close(job *j);
/* The next item of the model: of all members, of all passes.  r: its outputs become what is left when all have spoken, probabilities or values. */
ds_status run_sure_next(job *j, ds_result *r, ds_err *err);
/* Names of the columns that rows of classes have in addition (NULL-terminated), and their cells. */
const char *const *run_sure_columns(const job *j);
void      run_sure_put(job *j, ds_rows *rows);
/* The same for rows of values: what stands behind the name of a value, and the cells of value i whose unit is `scale` of the output's. */
const char *const *run_sure_value_columns(const job *j);
void      run_sure_put_value(job *j, ds_rows *rows, int64_t i, double scale, double offset);
/* What --score asks for, of a model of classes. */
double    run_sure_score(const job *j);
/* --eval: take the item's figures down; print what they come to. */
ds_status run_sure_measure(job *j, const ds_result *r, ds_err *err);
ds_status run_sure_print(job *j, ds_err *err);

/* ---- how odd an item is --------------------------------------------------------------------------------------------------------- */
/* --score reconstruction: output 0 is what the input was, which META need not say.  Before the model's aim is found. */
ds_status run_score_open(job *j, ds_err *err);
/* The mean of the squares by which output 0 is off; each[c], where wanted, of each of the input's n columns (run_score_columns). */
ds_status run_score_error(job *j, const ds_result *r, double *all, double *each, ds_err *err);
/* The columns that the error is told of: those of the table that the model takes, with --score; 0: none. */
int       run_score_columns(job *j, char *const **names);
/* An alarm of --eval, right if the item's class is not 0; items without a class do not count. */
ds_status run_alarm(job *j, const ds_result *r, double value, ds_err *err);

/* ---- figures ------------------------------------------------------------------------------------------------------------------- */
/* A row of --eval; NaN, negative totals and NULL texts are left empty. */
ds_status run_metric(job *j, const char *name, double value, double lo, double hi, int64_t count, int64_t total, const char *output, const char *input, ds_err *err);
/* k of n with Wilson's interval. */
ds_status run_share(job *j, const char *name, uint64_t k, uint64_t n, ds_err *err);

/* ---- figures that somebody waits for ----------------------------------------------------------------------------------------------- */
/* Conditions of --assert: can they be read, and are they measured? */
ds_status run_watch_check(const settings *s, ds_err *err);
void      run_watch_begin(job *j);
void      run_watch_done(job *j);
/* run_metric says it of each row that is not about one output alone. */
ds_status run_watch_figure(job *j, const char *name, double v, double lo, double hi, ds_err *err);
/* Behind all figures: the table of verdicts; DS_E_CHECK when one is not met. */
ds_status run_watch_assert(job *j, ds_err *err);
ds_status run_watch_metrics(job *j, ds_err *err);

/* What a result is for the rows.  Sets j->classes. */
enum run_kind { RUN_CLASSES, RUN_SUMMARY, RUN_VALUES, RUN_ERROR, RUN_TOKENS, RUN_SCORES };
int       run_find_kind(job *j, const ds_result *r);

/* ---- rows ---------------------------------------------------------------------------------------------------------------------- */
/* The name of the item; of a window that of its file, and where it is. */
void      run_put_input(job *j, const ds_result *r);
/* The name of class i, if it has one. */
void      run_put_label(job *j, ds_rows *rows, int64_t i);

/* ---- failures: the samples that are answered wrongly ---------------------------------------------------------------------------- */
ds_status run_failures_open(job *j, ds_err *err);
/* best, p: as for the report.  Nothing where the answer is right or the label is not known. */
ds_status run_failures_item(job *j, const ds_result *r, int64_t best, float p, ds_err *err);
ds_status run_failures_end(job *j, ds_err *err);
void      run_failures_drop(job *j);

/* ---- the report: one line of JSON per sample, {"event":"item"|"error", ...}, and one at the end --------------------------------- */
/* best: the class, with its probability p; -1: none */
ds_status run_report_item(job *j, const ds_result *r, int64_t best, float p, ds_err *err);
ds_status run_report_end(job *j, ds_err *err);

#endif
