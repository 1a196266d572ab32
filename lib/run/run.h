/* run.h - a model over many samples: batches in, results in input order out; scores of one model, comparison of two */
#ifndef DS_RUN_H
#define DS_RUN_H

#include "../data/data.h"
#include "../exec/exec.h"

/* ---- running ------------------------------------------------------------------------------------------------------------------ */
/* Items are gathered into batches and results handed out one by one in input order.  What an item gives never depends on the batch: where the
 * graph does not carry the batch through to every output as dim 0, items run one at a time.  So they do where the graph has states (without an axis): the
 * outputs of a window are the states of the next as long as the samples say that it follows. */
typedef struct ds_runner ds_runner;
typedef struct ds_runner_opts {
	int       threads;              /* 0: all */
	int       batch;                /* items computed together, 0: chosen by their size */
	uint64_t  memory_limit;         /* of the plan, 0: none */
	ds_tap_fn tap;                  /* sees every inner value of every item (batch 1, nothing fused); NULL: none */
	void     *tap_arg;
} ds_runner_opts;

typedef struct ds_result {
	const char      *name;          /* of the item, any bytes; valid until the next call, as the rest */
	size_t           name_len;
	uint64_t         index;
	size_t           path_len;      /* of the name: without [row] */
	int64_t          label;         /* -1: none */
	int64_t          row;           /* target, last, row: as in ds_item; empty (no data): none */
	const ds_tensor *target, *last;
	const ds_tensor *out;           /* n_out plain tensors, dim 0 of each being this item's */
	int              n_out;
	const ds_err    *bad;           /* the item failed, and why: no outputs; NULL: fine */
} ds_result;

/* The samples stay the caller's; the model too. */
ds_status ds_runner_new(ds_runner **r, const ds_model *m, ds_samples *samples, const ds_runner_opts *o, ds_err *err);
/* DS_END at the end.  Other failures end the run; that of an item is in result->bad.  With a tap, it is called before the call returns. */
ds_status ds_runner_next(ds_runner *r, ds_result *result, ds_err *err);
ds_session *ds_runner_session(ds_runner *r);
/* Type of output i as far as it is known before running; rank -1: not known. */
ds_type   ds_runner_output(const ds_runner *r, int i);
void      ds_runner_free(ds_runner *r);

/* ---- classes ------------------------------------------------------------------------------------------------------------------ */
/* Is this the result of a classifier for one item: one axis of two or more values, the others 1?  The number of classes, 0: no. */
int64_t   ds_class_count(int rank, const int64_t *dim);
/* Do output i's values need a softmax to be probabilities?  META's output.N.values, else what the last operators of the graph say. */
bool      ds_output_is_logits(const ds_model *m, int i);
/* The values of one item as f32 (fresh, n values; ds_free). */
ds_status ds_class_values(const ds_tensor *t, float **v, int64_t *n, ds_err *err);

/* ---- scores ------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_score {
	uint64_t  n, top1, top5;        /* items with a label; those whose label is the best, among the best five */
	int64_t   classes;
	uint32_t *confusion;            /* [true, predicted], NULL: not asked for */
} ds_score;
ds_status ds_score_init(ds_score *s, int64_t classes, bool confusion, ds_err *err);
/* v: classes values.  DS_E_INPUT when the label is none of them.  *hit (may be NULL): is the best class the right one? */
ds_status ds_score_add(ds_score *s, const float *v, int64_t label, bool *hit, ds_err *err);
void      ds_score_done(ds_score *s);

/* Values against targets: sums over elements of what is off, the squares and the absolute values. */
typedef struct ds_fit { uint64_t n; double square, absolute; } ds_fit;
/* v and t: elements in the same order.  DS_E_INPUT when they are not equally many. */
ds_status ds_fit_add(ds_fit *f, const ds_tensor *v, const ds_tensor *t, ds_err *err);
/* The same for the forecast that every target row is as the window's last one was: last [1, columns], target of h rows, columns before rows where `swap`. */
ds_status ds_fit_last(ds_fit *f, const ds_tensor *last, const ds_tensor *target, int64_t h, bool swap, ds_err *err);
/* Tokens against logits (or probabilities) [..., T, V] of one item: the sum of -log p of the target tokens (nats), and how often the best one was right. */
typedef struct ds_tokens { uint64_t n, top1; double nll; } ds_tokens;
ds_status ds_tokens_add(ds_tokens *k, const ds_tensor *v, const ds_tensor *target, bool logits, ds_err *err);
/* Area under the curve of true against false alarms (Mann & Whitney 1947; ties count half): score n values, positive[i]: an alarm would be right.  NaN: one sort only. */
double    ds_auc(const double *score, const bool *positive, int64_t n);
/* Its 95 % interval by Hanley & McNeil 1982. */
void      ds_auc_interval(double auc, int64_t positive, int64_t negative, double *lo, double *hi);

/* Two models on the same items, this one against the reference. */
typedef struct ds_difference { double max, sum; uint64_t n; char *item; } ds_difference;        /* of one output: largest, where; mean is sum / n */
typedef struct ds_versus {
	uint64_t       n, agree;        /* items; the same best class */
	uint64_t       labelled, gained, lost;  /* right here and wrong there, and the other way round */
	ds_difference *out;
	int            n_out;
} ds_versus;
ds_status ds_versus_init(ds_versus *v, int n_out, ds_err *err);
/* a: this model's result, b: the reference's.  Outputs of different shape are passed over. */
ds_status ds_versus_add(ds_versus *v, const ds_result *a, const ds_result *b, ds_err *err);
void      ds_versus_done(ds_versus *v);

#endif
