/* answers.h - what a model answers to some samples, and how far a changed model's answers are from that
 *
 * Answers that are classes are compared as distributions: the Kullback-Leibler divergence KL(p || q) in nats, p of the reference, q of the changed model, mean over
 * answers (a sample has one, a text one for each position).  Others by noise: sum of squared differences over the sum of squares. */
#ifndef DS_PROFILE_ANSWERS_H
#define DS_PROFILE_ANSWERS_H

#include "../graph/model.h"

/* How output 0 is read. */
typedef struct ds_answer_kind {
	int64_t classes;                /* values of one answer, 0: no classes */
	bool    logits;                 /* they want a softmax */
} ds_answer_kind;

/* How far: sums over answers. */
typedef struct ds_shift {
	uint64_t n, same, right;        /* answers; with the same best class; of these with a label: with the right one */
	double   kl;                    /* sum over answers, nats */
	double   sq, err;               /* of all outputs: squares of the reference, of the difference */
} ds_shift;
double ds_shift_damage(const ds_shift *s, const ds_answer_kind *k);     /* mean KL, or noise */

/* p, q: values of one answer. */
double ds_kl(const float *p, const float *q, int64_t n, bool logits);
/* Outputs of the two for the same items: adds to s.  label: of each answer, NULL: none, -1: of this one none. */
ds_status ds_shift_add(ds_shift *s, const ds_answer_kind *k, const ds_tensor *ref, const ds_tensor *out, int n_out, const int64_t *label, ds_err *err);

/* Samples in memory with the reference's answers. */
typedef struct ds_answers {
	ds_answer_kind kind;
	int         threads;
	uint64_t    memory_limit;
	struct ds_answer_set { ds_tensor *in, *out; int64_t *label; int64_t items; } *set;
	int         n_set, n_in, n_out;
	size_t      cap;
	int64_t     items;
} ds_answers;
/* One more batch of inputs; tensors and labels (may be NULL) are copied. */
ds_status ds_answers_add(ds_answers *a, const ds_tensor *in, int n_in, const int64_t *label, int64_t items, ds_err *err);
/* Join neighbours of the same types along dim 0, up to `items` in one: for models that keep items apart, and before any answers. */
ds_status ds_answers_pack(ds_answers *a, int64_t items, ds_err *err);
/* Let g, the reference, answer all of them; *s: its own shift, which is none, with the right answers counted. */
ds_status ds_answers_ask(ds_answers *a, const ds_graph *g, ds_shift *s, ds_err *err);
/* How far the answers of another graph with the same inputs and outputs are. */
ds_status ds_answers_compare(const ds_answers *a, const ds_graph *g, ds_shift *s, ds_err *err);
void      ds_answers_done(ds_answers *a);

#endif
