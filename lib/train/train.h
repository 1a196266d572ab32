/* train.h - training: gradients, losses, optimisers, and the state that a step changes
 *
 * A trainer turns a model into a training graph: the model's inputs, a target, every trainable parameter and every running statistic are inputs of it; the loss, the
 * predictions, the new statistics and the gradients are its outputs.  Backward is made of ordinary nodes, emitted by the operators' `gradient` columns after the
 * graph is bound to the shapes of a batch; the session plans and runs it as any other graph.  What changes from step to step (parameters, the optimiser's moments,
 * running statistics, their moving averages) lies in tensors with names, so that a checkpoint is a list of tensors.
 *
 * Nothing here reads a file: batches come from the caller.  The same batches and settings give the same bytes for any number of threads. */
#ifndef DS_TRAIN_H
#define DS_TRAIN_H

#include "../exec/exec.h"
#include "../op/grad.h"

/* ---- gradients ---------------------------------------------------------------------------------------------------------------- */
/* Append to g nodes that compute d loss / d wrt[i]; grad[i] is the value, NULL where the loss does not depend on it.  g was verified and bound to concrete types, loss is
 * a float with one element.  The nodes are not parsed or inferred yet.  DS_E_UNSUPPORTED names a node on the way whose operator has no gradient. */
ds_status ds_train_backward(ds_graph *g, ds_value *loss, ds_value *const *wrt, int n, ds_value **grad, ds_err *err);

/* Logits: what stands before a Softmax, a LogSoftmax or a Sigmoid that makes an output; v itself where nothing does. */
ds_value *ds_train_logits(ds_value *v);

/* ---- losses: one row each (losses.def) ------------------------------------------------------------------------------------------ */
typedef struct ds_loss_opts {
	double smoothing;       /* cross-entropy: label smoothing, 0 .. <1 */
	double delta;           /* huber: where square turns to linear */
	double temperature;     /* contrastive */
	bool   has_ignore;      /* cross-entropy: positions of class `ignore` count as nothing (padding) */
	int64_t ignore;
	bool   soft;            /* targets of cross-entropy are probabilities f32 [.., classes] (mixup), not class numbers */
} ds_loss_opts;

/* What the head of a training graph is built from. */
typedef struct ds_head {
	ds_emit  *e;
	ds_graph *g;                    /* bound: types of the model's values are concrete */
	ds_value *const *pred;          /* the model's outputs; logits where a trailing Softmax or Sigmoid was taken off */
	int       n_pred;
	ds_value *target;               /* NULL when the loss has none */
	ds_value *const *extra;         /* further inputs per batch (a teacher's outputs) */
	int       n_extra;
} ds_head;

typedef enum ds_target {
	DS_TARGET_NONE,                 /* no target (contrastive over pairs, distillation without labels) */
	DS_TARGET_CLASS,                /* i64: pred's dims without the class axis: [N, C] -> [N]; [N, T, V] -> [N, T]; or f32 probabilities when `soft` */
	DS_TARGET_VALUES,               /* f32 of pred's dims */
	DS_TARGET_SEQUENCE,             /* i64 [N, S], padded with -1 (ctc) */
} ds_target;

typedef struct ds_loss {
	const char *name;
	ds_target   target;
	/* The mean loss of the batch, a scalar f32. */
	ds_status (*build)(const ds_head *h, const ds_loss_opts *o, ds_value **loss, ds_err *err);
	const char *help;
} ds_loss;
const ds_loss *ds_loss_find(const char *name);
const ds_loss *const *ds_loss_all(int *n);

/* ---- optimisers: one row each (optimizers.def) ----------------------------------------------------------------------------------- */
typedef struct ds_optim_opts {
	double momentum;                /* sgd, muon */
	bool   nesterov;
	double beta1, beta2, eps;       /* adamw */
} ds_optim_opts;

/* A trainable parameter and what belongs to it.  Everything is f32 with the parameter's dims. */
typedef struct ds_param {
	const char *name;               /* in the model's graph */
	ds_tensor   value, grad;        /* grad: the sum over the micro-batches of a step */
	ds_tensor   moment[2];          /* the optimiser's; as many as its row says */
	ds_tensor   average;            /* exponential moving average, empty: none */
	bool        decay;              /* weight decay applies: rank 2 or more */
	bool        sparse_l1;          /* --l1 applies: scale of a batch normalisation */
	bool        matrix;             /* muon takes it: a hidden weight of rank 2 or more */
	double      lr_scale;
} ds_param;

typedef struct ds_optimizer {
	const char *name;
	int         moments;
	double      lr;                 /* a default that works */
	/* One update of elements [i0, i1) of p (or, with `whole`, of all of it by one call with the pool); step counts from 1. */
	void      (*update)(const ds_optim_opts *o, ds_param *p, int64_t i0, int64_t i1, double lr, double decay, int64_t step);
	ds_status (*whole)(const ds_optim_opts *o, ds_param *p, ds_pool *pool, double lr, double decay, int64_t step, ds_err *err);
	const char *help;
} ds_optimizer;
const ds_optimizer *ds_optimizer_find(const char *name);
const ds_optimizer *const *ds_optimizer_all(int *n);

/* ---- schedules: one row each ---------------------------------------------------------------------------------------------------- */
typedef struct ds_schedule_opts {
	double lr, final;               /* peak; the last rate as a share of it */
	int64_t warmup, steps;          /* in optimiser steps */
	double drop; int64_t every;     /* step: times drop every so many steps */
} ds_schedule_opts;
typedef struct ds_schedule {
	const char *name;               /* constant cosine onecycle step linear wsd */
	double    (*rate)(const ds_schedule_opts *o, int64_t step);     /* step counts from 0; warm-up included */
	const char *help;
} ds_schedule;
const ds_schedule *ds_schedule_find(const char *name);
const ds_schedule *const *ds_schedule_all(int *n);

/* ---- parts of training graphs, for whoever builds another graph with gradients ------------------------------------------------------- */
/* Values that shape arithmetic made known when g was bound become constants, so that gradients find numbers where they need them.  moves[value id] says which weights
 * will change: what is computed from those (a transposed, a fake-quantised one) stays computed, and its entries are set. */
ds_status ds_train_fold(ds_graph *g, const ds_bound *known, char *moves, ds_err *err);
/* Logits: what stands before a Softmax (or a Sigmoid) that makes an output; else v. */
ds_value *ds_train_logits(ds_value *v);
/* The type of a target of this kind for a prediction of type *pred (concrete). */
ds_type   ds_train_target_type(ds_target kind, bool soft, const ds_type *pred);

/* ---- the trainer ---------------------------------------------------------------------------------------------------------------- */
typedef struct ds_trainer ds_trainer;

typedef struct ds_train_opts {
	const ds_loss      *loss;       /* NULL: head */
	ds_loss_opts        loss_opts;
	/* A head of one's own in place of a loss row (distillation): *loss is a scalar f32. */
	ds_status         (*head)(void *arg, const ds_head *h, ds_value **loss, ds_err *err);
	void               *head_arg;
	ds_target           head_target;
	int                 n_extra;    /* inputs beside the target, with their types (dim 0 is the batch) */
	const ds_type      *extra;
	const ds_optimizer *optimizer;
	ds_optim_opts       optim;
	double              decay;      /* weight decay, decoupled, of parameters with `decay` */
	double              clip;       /* of the global norm of the gradient, 0: none */
	double              average;    /* of the weights: decay of the exponential moving average, 0: none */
	double              l1;         /* on scales of batch normalisations */
	bool              (*frozen)(void *arg, const char *name);       /* parameters that stay; NULL: none */
	void               *frozen_arg;
	bool                freeze_norm; /* batch normalisations use and keep their running statistics */
	bool                bf16;       /* products of bf16 with f32 sums, activations kept for backward as bf16; parameters and their gradients stay f32 */
	uint64_t            seed;       /* of dropout */
	int                 threads;    /* 0: all */
	uint64_t            memory_limit; /* of a step's plan, 0: none */
} ds_train_opts;

/* The model is read, not changed, and must outlive the trainer.  DS_E_UNSUPPORTED: an operator without gradient, quantised weights. */
ds_status ds_trainer_new(ds_trainer **t, const ds_model *m, const ds_train_opts *o, ds_err *err);
void      ds_trainer_free(ds_trainer *t);

/* Make the training graph and the state for micro-batches of these types, before the first batch (to restore a checkpoint into it, or to ask for the parameters). */
ds_status ds_trainer_bind(ds_trainer *t, const ds_type *in, int n_in, ds_err *err);

typedef struct ds_train_stat {
	double          loss;           /* of the last micro-batch */
	const ds_tensor *pred;          /* its predictions (logits), valid until the next call */
	int             n_pred;
} ds_train_stat;
/* Forward and backward of one micro-batch.  Gradients are added to those of the step; `share` is the weight of this batch in the step's mean (1 / number of micro-batches of
 * equal size).  target may be NULL where there is none.  DS_E_INPUT: a loss that is not finite, a class outside the range. */
ds_status ds_trainer_batch(ds_trainer *t, const ds_tensor *in, int n_in, const ds_tensor *target, const ds_tensor *extra, double share, ds_train_stat *stat, ds_err *err);
/* One optimiser step with the gradients gathered since the last; *norm (may be NULL) is their global norm before clipping. */
ds_status ds_trainer_update(ds_trainer *t, double lr, double *norm, ds_err *err);
int64_t   ds_trainer_steps(const ds_trainer *t);        /* updates made so far */
/* Memory and work of the last batch's plan. */
ds_session *ds_trainer_session(ds_trainer *t);

/* Parameters, in graph order. */
int       ds_trainer_params(ds_trainer *t, ds_param **p);
/* Everything that a step changes, by name: "param/NAME", "moment0/NAME", "average/NAME", "state/NAME" and "average-state/NAME" (running statistics), "step" (i64).  Tensors are the trainer's own:
 * reading them saves, writing into them restores.  i counts from 0; false: no more. */
bool      ds_trainer_tensor(ds_trainer *t, int i, const char **name, ds_tensor **v);
/* Write parameters (averaged ones when `average`) and running statistics into m, a model of the same graph. */
ds_status ds_trainer_export(const ds_trainer *t, ds_model *m, bool average, ds_err *err);

#endif
