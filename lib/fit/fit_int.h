/* fit_int.h - what the files of fit/ share: the position of a run, scores, checkpoints, reports */
#ifndef DS_FIT_INT_H
#define DS_FIT_INT_H

#include "fit.h"

/* ---- where a run stands: what a checkpoint holds beside tensors ------------------------------------------------------------------ */
enum {                                  /* counts */
	AT_STAGE, AT_EPOCH, AT_BATCH, AT_STEP,          /* stage, epoch of it, batches of the epoch taken, steps of the stage made */
	EPOCH_PLACES, EPOCH_HITS, EPOCH_BATCHES,        /* of the epoch so far: things classified, of them rightly; batches in its mean loss */
	BEST_STEP, BEST_N, STALE,                       /* step of the best measurement (-1: none), its items; measurements since */
	LAST_N, REPORT_AT,
	DATA_ITEMS, DATA_BAD,                           /* of the stages before */
	N_COUNT
};
enum { EPOCH_LOSS, BEST_LOSS, BEST_ACCURACY, LAST_LOSS, LAST_ACCURACY, DONE_LOSS, SECONDS, N_FIGURE };        /* figures */
enum { HAS_BEST_LOSS = 1, HAS_BEST_ACCURACY = 2, HAS_LAST_LOSS = 4, HAS_LAST_ACCURACY = 8 };
typedef struct ds_fit_state { int64_t count[N_COUNT]; double figure[N_FIGURE]; int64_t has; } ds_fit_state;

/* ---- scores (measure.c) ---------------------------------------------------------------------------------------------------------- */
typedef enum ds_fit_rule { DS_RULE_NONE, DS_RULE_CLASS, DS_RULE_SQUARE, DS_RULE_ABS, DS_RULE_HUBER, DS_RULE_BINARY } ds_fit_rule;
typedef struct ds_fit_tally {
	ds_fit_rule rule;
	bool    logits;                 /* of CLASS and BINARY: predictions before softmax or sigmoid */
	double  delta;
	double  loss;                   /* sum */
	int64_t places, hits, items;    /* of the loss; places rightly classified */
} ds_fit_tally;
/* What is measured for a loss; NONE for those that only training can compute. */
ds_fit_rule ds_fit_rule_of(const ds_loss *l);
/* pred: output 0 for the batch.  loss false: only what is right is counted. */
ds_status   ds_fit_tally_add(ds_fit_tally *t, const ds_tensor *pred, const ds_minibatch *b, bool loss, ds_err *err);
void        ds_fit_tally_score(const ds_fit_tally *t, ds_fit_score *s);

/* ---- checkpoints (checkpoint.c) -------------------------------------------------------------------------------------------------- */
typedef struct ds_fit_ckpt {            /* one that was read */
	ds_fit_state state;
	ds_meta      meta;
	ds_graph    *g;
	char       **name;              /* further tensors, rising */
	ds_tensor   *t;
	size_t       n, cap;
} ds_fit_ckpt;
typedef struct ds_fit_saved {           /* what is written */
	const ds_fit_state *state;
	const char     *settings;       /* must be the same on resuming */
	const ds_model *m;              /* graph and identity of what the run began with */
	ds_trainer     *t;
	const ds_graph *best;           /* NULL: none */
	const ds_fit_result *r;         /* its external lines */
} ds_fit_saved;
ds_status ds_fit_ckpt_save(const char *path, const ds_fit_saved *s, ds_err *err);
/* DS_E_INPUT: no checkpoint of ours.  The source is taken. */
ds_status ds_fit_ckpt_read(ds_fit_ckpt *c, ds_source *src, uint64_t memory_limit, ds_err *err);
/* Was it made with these settings for this model?  DS_E_USAGE names the first setting that differs. */
ds_status ds_fit_ckpt_check(const ds_fit_ckpt *c, const char *settings, const ds_model *m, ds_err *err);
/* Copy its weights into g by name. */
ds_status ds_fit_ckpt_weights(const ds_fit_ckpt *c, ds_graph *g, bool best, ds_err *err);
/* Everything the trainer keeps; it must have been bound. */
ds_status ds_fit_ckpt_restore(const ds_fit_ckpt *c, ds_trainer *t, ds_err *err);
bool      ds_fit_ckpt_has_best(const ds_fit_ckpt *c);
void      ds_fit_ckpt_done(ds_fit_ckpt *c);

/* ---- reports (report.c) ------------------------------------------------------------------------------------------------------------ */
typedef struct ds_fit_report ds_fit_report;
/* keep: bytes of a report that goes on.  path NULL: *r is NULL, and every call does nothing. */
ds_status ds_fit_report_open(ds_fit_report **r, const char *path, uint64_t keep, ds_err *err);
/* An object: begin, members, end.  step < 0: none. */
void      ds_fit_report_begin(ds_fit_report *r, const char *event, int64_t step);
void      ds_fit_report_f64(ds_fit_report *r, const char *key, double v);
void      ds_fit_report_i64(ds_fit_report *r, const char *key, int64_t v);
void      ds_fit_report_str(ds_fit_report *r, const char *key, const char *v);
ds_status ds_fit_report_end(ds_fit_report *r, ds_err *err);
/* Processor, instruction sets, governor, threads, load, versions: members of the object that is open. */
void      ds_fit_report_machine(ds_fit_report *r, int threads);
/* Does it want histograms?  What a tensor's values are like, one summary each. */
bool      ds_fit_report_histograms(const ds_fit_report *r);
ds_status ds_fit_report_histogram(ds_fit_report *r, const char *group, const char *name, const ds_tensor *t, int64_t step, ds_err *err);
uint64_t  ds_fit_report_offset(const ds_fit_report *r);
/* Closed in every case. */
ds_status ds_fit_report_close(ds_fit_report *r, ds_err *err);

#endif
