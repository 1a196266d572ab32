/* distill.h - losses that compare a student with its teacher
 *
 * A method compares the student's logits with the teacher's; features of inner values may be compared beside them.  The whole loss is
 *     (1 - alpha) * loss against labels + alpha * method + sum of weight * match.
 * The teacher's values are extra inputs of the training graph: its logits first, then one per match. */
#ifndef DS_TRAIN_DISTILL_H
#define DS_TRAIN_DISTILL_H

#include "train.h"

typedef struct ds_distill_opts ds_distill_opts;

typedef struct ds_distill {
	const char *name;
	bool        labels;             /* needs class labels itself (dkd) */
	/* student, teacher: logits of the same dims, classes on `axis`.  *loss: a scalar. */
	ds_status (*build)(const ds_head *h, const ds_distill_opts *o, ds_value *student, ds_value *teacher, int axis, ds_value **loss, ds_err *err);
	const char *help;
} ds_distill;

/* How inner values are compared: by their values where the dims agree; by the similarities of a batch's items (Tung & Mori 2019, arXiv:1907.09682), which any dims have; by
 * maps of where activations are large (Zagoruyko & Komodakis 2017, arXiv:1612.03928), for pictures of the same height and width. */
typedef enum ds_match_how { DS_MATCH_VALUES, DS_MATCH_SIMILARITY, DS_MATCH_ATTENTION } ds_match_how;
typedef struct ds_match {
	const char  *student;           /* name of a value of the student's graph */
	ds_type      teacher;           /* type of the teacher's value for a batch */
	ds_match_how how;
	double       weight;
} ds_match;

struct ds_distill_opts {
	const ds_distill *method;       /* NULL: matches only */
	double            temperature, alpha;
	double            beta;         /* dkd: weight of what is said about the other classes */
	const ds_loss    *loss;         /* against labels; NULL: the teacher alone */
	ds_loss_opts      loss_opts;
	int               n_match;
	const ds_match   *match;
};

const ds_distill *ds_distill_find(const char *name);
const ds_distill *const *ds_distill_all(int *n);
/* The head for ds_train_opts, with head_arg a ds_distill_opts; extra[0] are the teacher's logits (when there is a method), then those of the matches. */
ds_status ds_distill_head(void *arg, const ds_head *h, ds_value **loss, ds_err *err);

#endif
